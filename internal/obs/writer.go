package obs

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a metric family.
type Kind string

// The kinds that are written here.
const (
	KindCounter Kind = "counter"
	KindGauge   Kind = "gauge"
)

// Writer gathers the samples of one scrape in the text format of Prometheus. Samples
// of one family may come from several collectors; they are written together.
type Writer struct {
	families map[string]*Family
	static   string // static labels, written already, each with a comma after it
}

// Family is all samples of one name.
type Family struct {
	name, help string
	kind       Kind
	static     string
	buf        []byte
}

func newWriter(static map[string]string) *Writer {
	w := &Writer{families: make(map[string]*Family)}
	names := make([]string, 0, len(static))
	for name := range static {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.static += name + `="` + escapeLabel(static[name]) + `",`
	}
	return w
}

// Family begins or continues the samples of a name. A collector keeps the Family while it loops.
func (w *Writer) Family(name, help string, kind Kind) *Family {
	f := w.families[name]
	if f == nil {
		f = &Family{name: name, help: help, kind: kind, static: w.static}
		w.families[name] = f
	}
	return f
}

// Int writes a sample; labels are names and values in turn.
func (f *Family) Int(v int64, labels ...string) {
	f.begin(labels)
	f.buf = strconv.AppendInt(f.buf, v, 10)
	f.buf = append(f.buf, '\n')
}

// Float writes a sample; labels are names and values in turn.
func (f *Family) Float(v float64, labels ...string) {
	f.begin(labels)
	f.buf = strconv.AppendFloat(f.buf, v, 'g', -1, 64)
	f.buf = append(f.buf, '\n')
}

// begin writes the name and the labels of a sample.
func (f *Family) begin(labels []string) {
	f.buf = append(f.buf, f.name...)
	if len(labels) > 0 || f.static != "" {
		f.buf = append(f.buf, '{')
		f.buf = append(f.buf, f.static...)
		for i := 0; i+1 < len(labels); i += 2 {
			f.buf = append(f.buf, labels[i]...)
			f.buf = append(f.buf, '=', '"')
			f.buf = appendLabel(f.buf, labels[i+1])
			f.buf = append(f.buf, '"', ',')
		}
		f.buf[len(f.buf)-1] = '}' // over the last comma
	}
	f.buf = append(f.buf, ' ')
}

// flush writes all families by name.
func (w *Writer) flush(out io.Writer) error {
	names := make([]string, 0, len(w.families))
	for name := range w.families {
		names = append(names, name)
	}
	slices.Sort(names)
	var head bytes.Buffer
	for _, name := range names {
		f := w.families[name]
		if len(f.buf) == 0 {
			continue
		}
		head.Reset()
		head.WriteString("# HELP " + name + " " + escapeHelp(f.help) + "\n# TYPE " + name + " " + string(f.kind) + "\n")
		if _, err := out.Write(head.Bytes()); err != nil {
			return err
		}
		if _, err := out.Write(f.buf); err != nil {
			return err
		}
	}
	return nil
}

func appendLabel(buf []byte, s string) []byte {
	if strings.ContainsAny(s, "\\\"\n") {
		s = escapeLabel(s)
	}
	return append(buf, s...)
}

func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\ufffd"))
}

func escapeHelp(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s)
}
