package cli

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"
)

// labPlots is the directory of the plots, beside the reports.
const labPlots = "tuning"

//go:embed tuning_lab.en.md tuning_lab.ko.md
var labTexts embed.FS

// labLanguages are the reports: file names, and how figures are called there.
func labLanguages() []labLanguage {
	return []labLanguage{
		{"tuning.md", "tuning_lab.en.md", "default", map[string]string{}},
		{"tuning.ko.md", "tuning_lab.ko.md", "기본값", map[string]string{
			labRecordsPerSecond: "레코드/초", labMBPerSecond: "MB/초", labRequestsPerS: "요청/초", labRecordsPerBatch: "배치당 레코드",
			labP50: "p50 ms", labP99: "p99 ms", labSizeShare: "저장 크기/보낸 크기 %", labSegments: "세그먼트 수", labMBPerFetch: "요청당 MB",
		}},
	}
}

type labLanguage struct {
	file, text, usual string
	figures           map[string]string
}

func (g labLanguage) figure(name string) string {
	if s := g.figures[name]; s != "" {
		return s
	}
	return name
}

// write writes the reports and the plots.
func (l *lab) write(results []labResult) error {
	dir := l.p.value("out")
	for _, r := range results {
		if err := os.WriteFile(filepath.Join(dir, labPlots, r.knob.key+".svg"), r.plot(), 0o644); err != nil {
			return fmt.Errorf("cannot write a plot: %w", err)
		}
	}
	for _, g := range labLanguages() {
		text, err := g.report(results, l.where())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, g.file), text, 0o644); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	return nil
}

// where says what the figures were measured on.
func (l *lab) where() string {
	return fmt.Sprintf("%s/%s, %d CPUs, %s, %s, moldau %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		l.Now().UTC().Format("2006-01-02 15:04 UTC"), l.Version, fmt.Sprintf("--seconds %d", int(l.length.Seconds())))
}

// report fills a language's text in. What was not measured is left out with its heading.
func (g labLanguage) report(results []labResult, where string) ([]byte, error) {
	t, err := template.New(g.text).Funcs(template.FuncMap{
		"where": func() string { return where },
		"measured": func(key string) bool {
			return find(results, key) != nil
		},
		"result": func(key string) string {
			if r := find(results, key); r != nil {
				return r.table(g)
			}
			return ""
		},
	}).ParseFS(labTexts, g.text)
	if err != nil {
		return nil, fmt.Errorf("cannot read the report's text: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, nil); err != nil {
		return nil, fmt.Errorf("cannot write the report: %w", err)
	}
	return out.Bytes(), nil
}

func find(results []labResult, key string) *labResult {
	for i := range results {
		if results[i].knob.key == key {
			return &results[i]
		}
	}
	return nil
}

// usual is the row of the default.
func (r *labResult) usual() labRow {
	for _, row := range r.rows {
		if row.isDefault {
			return row
		}
	}
	return r.rows[0]
}

// table is the figures, each beside how it differs from the default's, and the plot.
func (r *labResult) table(g labLanguage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| `%s` |", r.knob.key)
	for _, f := range r.knob.figures {
		fmt.Fprintf(&b, " %s |", g.figure(f))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.knob.figures)) + "\n")
	usual := r.usual()
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s", row.value)
		if row.isDefault {
			fmt.Fprintf(&b, " (%s)", g.usual)
		}
		for i, v := range row.figures {
			fmt.Fprintf(&b, " | %s", labFigure(v))
			if base := usual.figures[i]; !row.isDefault && base > 0 {
				fmt.Fprintf(&b, " (x%s)", labFigure(v/base))
			}
		}
		b.WriteString(" |\n")
	}
	fmt.Fprintf(&b, "\n![%s](%s/%s.svg)", r.knob.key, labPlots, r.knob.key)
	return b.String()
}
