package cli

import (
	"bytes"
	"fmt"
	"html"
)

// The plots are bars, a panel for each figure: as wide as a page, as high as they need to be.
const (
	plotPanelWidth = 330
	plotLabelWidth = 96
	plotValueWidth = 64
	plotTop        = 58
	plotRow        = 26
	plotBar        = 16
	plotUsual      = "#b6bec7" // of the default
	plotOther      = "#2f81f7"
)

// plot draws a result as SVG.
func (r *labResult) plot() []byte {
	var b bytes.Buffer
	width, height := plotPanelWidth*len(r.knob.figures)+12, plotTop+plotRow*len(r.rows)+10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	plotText(&b, 12, 22, "#24292f", r.knob.key)
	for i, name := range r.knob.figures {
		r.panel(&b, 12+i*plotPanelWidth, i, name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (r *labResult) panel(b *bytes.Buffer, x, figure int, name string) {
	plotText(b, x, 46, "#8c959f", name)
	most := 0.0
	for _, row := range r.rows {
		most = max(most, row.figures[figure])
	}
	for i, row := range r.rows {
		y, v, color := plotTop+i*plotRow, row.figures[figure], plotOther
		if row.isDefault {
			color = plotUsual
		}
		bar := 1.0
		if most > 0 {
			bar = max(v/most*(plotPanelWidth-plotLabelWidth-plotValueWidth), 1)
		}
		plotText(b, x, y+plotBar-4, "#24292f", row.value)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x+plotLabelWidth, y, bar, plotBar, color)
		plotText(b, x+plotLabelWidth+int(bar)+6, y+plotBar-4, "#24292f", labFigure(v))
	}
}

func plotText(b *bytes.Buffer, x, y int, color, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", x, y, color, html.EscapeString(s))
}
