package report

import (
	"bytes"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Bar is one bar with its spread.
type Bar struct {
	Label     string
	Value     float64
	Low, High float64
	Text      string // the value as it is to be read
	Color     string // #rrggbb
}

// Chart is horizontal bars on one scale from zero.
type Chart struct {
	Title, Unit string
	Bars        []Bar
}

const (
	width      = 720
	left       = 110
	right      = 120
	top        = 56
	rowHeight  = 34
	barHeight  = 22
	textSize   = 13
	titleSize  = 15
	background = "#ffffff"
	ink        = "#24292f"
	faint      = "#8c959f"
)

// canvas is what a chart is drawn on.
type canvas interface {
	rect(x, y, w, h float64, color string)
	text(x, y float64, size int, color, s string)
}

func (c Chart) height() int { return top + rowHeight*len(c.Bars) + 12 }

func (c Chart) draw(on canvas) {
	on.rect(0, 0, width, float64(c.height()), background)
	on.text(12, 22, titleSize, ink, c.Title)
	on.text(12, 42, textSize, faint, c.Unit)
	most := 0.0
	for _, b := range c.Bars {
		most = max(most, b.Value, b.High)
	}
	if most == 0 {
		most = 1
	}
	scale := (width - left - right) / most
	for i, b := range c.Bars {
		y := float64(top + i*rowHeight)
		on.text(12, y+16, textSize, ink, b.Label)
		on.rect(left, y, max(b.Value*scale, 1), barHeight, b.Color)
		if b.High > b.Low {
			on.rect(left+b.Low*scale, y+barHeight/2-1, (b.High-b.Low)*scale, 2, ink)
		}
		on.text(left+max(b.Value, b.High)*scale+8, y+16, textSize, ink, b.Text)
	}
}

// Write writes the chart to path.svg and path.png.
func (c Chart) Write(path string) error {
	s := &svg{}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif">`+"\n", width, c.height(), width, c.height())
	c.draw(s)
	s.WriteString("</svg>\n")
	if err := os.WriteFile(path+".svg", s.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write a plot: %w", err)
	}
	r, err := newRaster(width, c.height())
	if err != nil {
		return err
	}
	c.draw(r)
	var out bytes.Buffer
	if err := png.Encode(&out, r.img); err != nil {
		return fmt.Errorf("cannot encode a plot: %w", err)
	}
	return os.WriteFile(path+".png", out.Bytes(), 0o644)
}

type svg struct{ bytes.Buffer }

func (s *svg) rect(x, y, w, h float64, color string) {
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, color)
}

func (s *svg) text(x, y float64, size int, color, t string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" font-size="%d" fill="%s">%s</text>`+"\n", x, y, size, color, html.EscapeString(t))
}

type raster struct {
	img   *image.RGBA
	faces map[int]font.Face
	sfnt  *opentype.Font
}

// pixels is how many pixels stand for a unit of the drawing, so that text is sharp.
const pixels = 2

func newRaster(w, h int) (*raster, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("cannot read the font: %w", err)
	}
	return &raster{img: image.NewRGBA(image.Rect(0, 0, w*pixels, h*pixels)), faces: map[int]font.Face{}, sfnt: f}, nil
}

func (r *raster) rect(x, y, w, h float64, c string) {
	box := image.Rect(int(x*pixels), int(y*pixels), int((x+w)*pixels), int((y+h)*pixels))
	draw.Draw(r.img, box, image.NewUniform(parse(c)), image.Point{}, draw.Src)
}

func (r *raster) text(x, y float64, size int, c, t string) {
	face := r.faces[size]
	if face == nil {
		var err error
		if face, err = opentype.NewFace(r.sfnt, &opentype.FaceOptions{Size: float64(size * pixels), DPI: 72}); err != nil {
			return
		}
		r.faces[size] = face
	}
	d := font.Drawer{Dst: r.img, Src: image.NewUniform(parse(c)), Face: face, Dot: fixed.P(int(x*pixels), int(y*pixels))}
	d.DrawString(t)
}

func parse(c string) color.Color {
	var r, g, b uint8
	fmt.Sscanf(strings.TrimPrefix(c, "#"), "%02x%02x%02x", &r, &g, &b)
	return color.RGBA{r, g, b, 255}
}
