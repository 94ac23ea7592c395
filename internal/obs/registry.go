package obs

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// ContentType is that of what Registry.Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Collector writes its samples when it is asked. It must not block and must not hold up those who count.
type Collector interface {
	WriteMetrics(w *Writer)
}

// CollectorFunc is a Collector that is a function.
type CollectorFunc func(w *Writer)

// WriteMetrics calls f.
func (f CollectorFunc) WriteMetrics(w *Writer) { f(w) }

// Registry is the list of all metrics of one node.
type Registry struct {
	now     func() time.Time
	static  map[string]string    // never written after NewRegistry
	process *prometheus.Registry // process_* and go_*

	mu         sync.Mutex
	series     map[string]*family // by metric name
	collectors []*registration
}

type registration struct{ c Collector }

type family struct {
	help    string
	kind    Kind
	members map[string]*member // by the labels, joined
}

// member is one time series: exactly one of the pointers is set.
type member struct {
	labels    []string
	counter   *Counter
	gauge     *Gauge
	histogram *Histogram
	scale     float64
	read      func() float64
}

// Options of a registry.
type Options struct {
	Now          func() time.Time  // ages the windows of histograms
	StaticLabels map[string]string // that every sample carries
}

// NewRegistry makes a registry that already shows the process and the Go runtime.
func NewRegistry(o Options) *Registry {
	r := &Registry{now: o.Now, static: o.StaticLabels, process: prometheus.NewRegistry(), series: make(map[string]*family)}
	into := prometheus.WrapRegistererWith(prometheus.Labels(o.StaticLabels), r.process)
	into.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Register adds a collector; the result takes it off again.
func (r *Registry) Register(c Collector) (unregister func()) {
	entry := &registration{c}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, entry)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.collectors, entry); i >= 0 {
			r.collectors = slices.Delete(slices.Clone(r.collectors), i, i+1)
		}
	}
}

// Counter is the counter of a name and labels (names and values in turn); the same again for the same.
func (r *Registry) Counter(name, help string, labels ...string) *Counter {
	m := r.member(name, help, KindCounter, labels, func(m *member) { m.counter = new(Counter) })
	return m.counter
}

// Gauge is the gauge of a name and labels; the same again for the same.
func (r *Registry) Gauge(name, help string, labels ...string) *Gauge {
	m := r.member(name, help, KindGauge, labels, func(m *member) { m.gauge = new(Gauge) })
	return m.gauge
}

// GaugeFunc shows what read returns at the moment of a scrape.
func (r *Registry) GaugeFunc(name, help string, read func() float64, labels ...string) {
	r.member(name, help, KindGauge, labels, func(m *member) { m.read = read })
}

// CounterFunc shows what read returns at the moment of a scrape, as a counter.
func (r *Registry) CounterFunc(name, help string, read func() float64, labels ...string) {
	r.member(name, help, KindCounter, labels, func(m *member) { m.read = read })
}

// Histogram is the histogram of a name and labels; the same again for the same. It is shown as Kafka's
// exporters show one: a gauge for each quantile, and a counter that ends in _count. Observed values are
// multiplied by scale: 0.001 shows microseconds as milliseconds.
func (r *Registry) Histogram(name, help string, scale float64, labels ...string) *Histogram {
	m := r.member(name, help, KindGauge, labels, func(m *member) { m.histogram, m.scale = new(Histogram), scale })
	return m.histogram
}

// Remove takes one time series off.
func (r *Registry) Remove(name string, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.series[name]; f != nil {
		delete(f.members, strings.Join(labels, "\xff"))
	}
}

func (r *Registry) member(name, help string, kind Kind, labels []string, fill func(*member)) *member {
	if len(labels)%2 != 0 {
		panic(fmt.Sprintf("obs: the labels of %s are not names and values in turn", name))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.series[name]
	if f == nil {
		f = &family{help: help, kind: kind, members: make(map[string]*member)}
		r.series[name] = f
	}
	if f.kind != kind {
		panic(fmt.Sprintf("obs: %s is a %s and was asked for as a %s", name, f.kind, kind))
	}
	key := strings.Join(labels, "\xff")
	m := f.members[key]
	if m == nil {
		m = &member{labels: slices.Clone(labels)}
		fill(m)
		f.members[key] = m
	}
	return m
}

// Write writes all metrics in the text format of Prometheus.
func (r *Registry) Write(out io.Writer) error {
	w := newWriter(r.static)
	series, others := r.snapshot()
	for _, s := range series {
		r.writeSeries(w, s)
	}
	for _, o := range others {
		o.c.WriteMetrics(w)
	}
	var buf bytes.Buffer
	if err := w.flush(&buf); err != nil {
		return fmt.Errorf("cannot write metrics: %w", err)
	}
	if err := r.writeProcess(&buf); err != nil {
		return err
	}
	if _, err := buf.WriteTo(out); err != nil {
		return fmt.Errorf("cannot write metrics: %w", err)
	}
	return nil
}

// series is a member with what its family knows of it.
type series struct {
	name string
	*family
	*member
}

// snapshot lists what there is to write, so that it is written without the lock: a function that is read
// may itself ask the registry for something.
func (r *Registry) snapshot() ([]series, []*registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []series
	for _, name := range slices.Sorted(maps.Keys(r.series)) {
		f := r.series[name]
		for _, key := range slices.Sorted(maps.Keys(f.members)) {
			all = append(all, series{name, f, f.members[key]})
		}
	}
	return all, r.collectors
}

func (r *Registry) writeSeries(w *Writer, s series) {
	switch {
	case s.counter != nil:
		w.Family(s.name, s.help, s.kind).Int(s.counter.Value(), s.labels...)
	case s.gauge != nil:
		w.Family(s.name, s.help, s.kind).Float(s.gauge.Value(), s.labels...)
	case s.read != nil:
		w.Family(s.name, s.help, s.kind).Float(s.read(), s.labels...)
	case s.histogram != nil:
		w.Histogram(s.name, s.help, r.now(), s.histogram, s.scale, s.labels...)
	}
}

// Histogram writes a histogram: its quantiles and its count.
func (w *Writer) Histogram(name, help string, now time.Time, h *Histogram, scale float64, labels ...string) {
	shares := [...]float64{0.50, 0.75, 0.95, 0.98, 0.99, 0.999}
	shown := [...]string{"0.50", "0.75", "0.95", "0.98", "0.99", "0.999"}
	var values [len(shares)]float64
	h.Quantiles(now, shares[:], values[:])
	quantiles := w.Family(name, help, KindGauge)
	withQuantile := append(slices.Clone(labels), "quantile", "")
	for i, v := range values {
		withQuantile[len(withQuantile)-1] = shown[i]
		quantiles.Float(v*scale, withQuantile...)
	}
	w.Family(name+"_count", help+" How many.", KindCounter).Int(h.Count(), labels...)
}

func (r *Registry) writeProcess(out io.Writer) error {
	families, err := r.process.Gather()
	if err != nil {
		return fmt.Errorf("cannot gather the metrics of the process: %w", err)
	}
	encoder := expfmt.NewEncoder(out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return fmt.Errorf("cannot write metric %s: %w", f.GetName(), err)
		}
	}
	return nil
}
