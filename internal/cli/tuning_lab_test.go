package cli

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeResults are what a lab of every setting would have found: each value ten more than the one before.
func fakeResults() []labResult {
	var out []labResult
	for _, k := range labKnobs() {
		r := labResult{knob: k}
		for i, v := range k.values {
			row := labRow{value: v.shown(), isDefault: v.isDefault}
			for f := range k.figures {
				row.figures = append(row.figures, float64(10*(i+1)+f))
			}
			r.rows = append(r.rows, row)
		}
		out = append(out, r)
	}
	return out
}

func TestTheLabWritesBothLanguagesAndEveryPlot(t *testing.T) {
	dir := t.TempDir()
	env := Env{Stdout: io.Discard, Stderr: io.Discard, Stdin: strings.NewReader("")}
	fillDefaults(&env)
	r := newRun(&env, "tuning-lab", t.Context())
	p, err := tuningOptions().parse([]string{"--out", dir})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{run: r, p: p, length: 2 * time.Second}
	if _, err := l.prepare(); err != nil {
		t.Fatal(err)
	}
	results := fakeResults()
	if err := l.write(results); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tuning.md", "tuning.ko.md"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if n := strings.Count(string(text), "](tuning/"+r.knob.key+".svg)"); n != 1 {
				t.Errorf("%s shows the plot of %s %d times", name, r.knob.key, n)
			}
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
			t.Errorf("%s is not filled in", name)
		}
	}
	for _, r := range results {
		f, err := os.Open(filepath.Join(dir, "tuning", r.knob.key+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(f)
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", r.knob.key, err)
			}
		}
		f.Close()
	}
}

// What was not measured has no heading, and a value stands beside its ratio to the default's.
func TestAReportTellsOnlyOfWhatWasMeasured(t *testing.T) {
	one := fakeResults()[1:2] // linger.ms
	for _, g := range labLanguages() {
		text, err := g.report(one, "here")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n## "); n != 1 {
			t.Errorf("%s has %d headings", g.file, n)
		}
		if !strings.Contains(string(text), "| 50 | 30.0 (x1.50) |") || !strings.Contains(string(text), "| 5 ("+g.usual+") | 20.0 |") {
			t.Errorf("%s: %s", g.file, text)
		}
	}
}

func TestTheLabRefusesWhatItCannotMeasure(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--only batch.size,linger", `does not know the setting "linger"`},
		{"--seconds 0", "--seconds must be from 1 to 60"},
		{"--seconds much", "much"},
		{"--outt x", "outt"},
	} {
		var out strings.Builder
		env := Env{Args: append([]string{"moldau", "tuning-lab", "--out", t.TempDir()}, strings.Fields(c.args)...), Stdout: io.Discard, Stderr: &out, Stdin: strings.NewReader("")}
		if code := Run(env); code == 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exits with %d and says %q", c.args, code, out.String())
		}
	}
}
