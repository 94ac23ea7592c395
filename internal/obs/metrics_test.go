package obs

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func newTestRegistry(static map[string]string) (*Registry, *time.Time) {
	now := time.Unix(1000, 0)
	return NewRegistry(Options{Now: func() time.Time { return now }, StaticLabels: static}), &now
}

// scrape writes the registry and reads it with the parser of Prometheus.
func scrape(t *testing.T, r *Registry) map[string]*dto.MetricFamily {
	t.Helper()
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&out)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// sample is the value of one series; NaN when there is none.
func sample(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	f := families[name]
	for _, m := range f.GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName(), l.GetValue())
		}
		if !slices.Equal(have, labels) {
			continue
		}
		if c := m.GetCounter(); c != nil {
			return c.GetValue()
		}
		return m.GetGauge().GetValue()
	}
	return math.NaN()
}

func TestAScrapeIsReadByPrometheus(t *testing.T) {
	r, _ := newTestRegistry(nil)
	r.Counter("requests_total", "Requests.", "request", "Produce").Add(3)
	r.Counter("requests_total", "Requests.", "request", "Fetch").Inc()
	if r.Counter("requests_total", "", "request", "Fetch").Value() != 1 {
		t.Error("the same name and labels are another counter")
	}
	g := r.Gauge("depth", "A \\ and a\nnew line.")
	g.Set(2.5)
	g.Add(-1)
	r.GaugeFunc("leaders", "Leaders.", func() float64 { return 7 })
	r.CounterFunc("syncs_total", "Syncs.", func() float64 { return 9 })
	stop := r.Register(CollectorFunc(func(w *Writer) {
		f := w.Family("size", "Bytes.", KindGauge)
		f.Int(1<<40, "topic", "a \"quoted\" \\ name\n", "partition", "0")
		w.Family("requests_total", "Requests.", KindCounter).Int(5, "request", "Metadata")
	}))
	families := scrape(t, r)
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{3, "requests_total", []string{"request", "Produce"}}, {1, "requests_total", []string{"request", "Fetch"}},
		{5, "requests_total", []string{"request", "Metadata"}}, {1.5, "depth", nil}, {7, "leaders", nil}, {9, "syncs_total", nil},
		{1 << 40, "size", []string{"topic", "a \"quoted\" \\ name\n", "partition", "0"}},
	} {
		if got := sample(families, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, name := range []string{"process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes", "go_goroutines"} {
		if families[name] == nil && (strings.HasPrefix(name, "go_") || families["process_start_time_seconds"] != nil) {
			t.Errorf("%s is missing", name)
		}
	}
	stop()
	r.Remove("depth")
	families = scrape(t, r)
	if families["size"] != nil || families["depth"] != nil {
		t.Error("what was taken off is still shown")
	}
}

func TestStaticLabelsAreOnEverySample(t *testing.T) {
	r, _ := newTestRegistry(map[string]string{"namespace": `a"b`, "cluster": "c"})
	r.Counter("x_total", "X.", "topic", "t").Inc()
	NewTopicMetrics(r)
	for name, f := range scrape(t, r) {
		for _, m := range f.GetMetric() {
			found := 0
			for _, l := range m.GetLabel() {
				if l.GetName() == "namespace" && l.GetValue() == `a"b` || l.GetName() == "cluster" && l.GetValue() == "c" {
					found++
				}
			}
			if found != 2 {
				t.Fatalf("%s: %v", name, m)
			}
		}
	}
}

func TestTopicsAreCountedTogetherAndEach(t *testing.T) {
	r, _ := newTestRegistry(nil)
	m := NewTopicMetrics(r)
	m.Topic("orders").MessagesIn.Add(4)
	m.All().MessagesIn.Add(4)
	if again := m.Topic("orders").MessagesIn.Value(); again != 4 {
		t.Error("a topic has two counters")
	}
	f := scrape(t, r)
	if sample(f, MessagesIn) != 4 || sample(f, MessagesIn, "topic", "orders") != 4 || sample(f, BytesOut, "topic", "orders") != 0 {
		t.Error(f[MessagesIn])
	}
	m.Remove("orders")
	f = scrape(t, r)
	if sample(f, MessagesIn) != 4 || !math.IsNaN(sample(f, MessagesIn, "topic", "orders")) {
		t.Error("a topic that is gone is shown, or the sum forgot it")
	}
}

func TestRequestsAreTimedInMilliseconds(t *testing.T) {
	r, _ := newTestRegistry(nil)
	m := NewRequestMetrics(r)
	for range 100 {
		m.For("Produce").Done(11, RequestTimes{Total: 20 * time.Millisecond, Local: time.Millisecond}, 1000, 50)
	}
	m.For("Produce").Error("NONE", 99)
	m.For("Produce").Error("NOT_LEADER_OR_FOLLOWER", 1)
	f := scrape(t, r)
	if got := sample(f, TotalTimeMs, "request", "Produce", "quantile", "0.99"); math.Abs(got-20) > 20.0/16 {
		t.Error("total", got)
	}
	if got := sample(f, TotalTimeMs+"_count", "request", "Produce"); got != 100 {
		t.Error("count", got)
	}
	if sample(f, Requests, "request", "Produce", "version", "11") != 100 ||
		sample(f, RequestErrors, "request", "Produce", "error", "NOT_LEADER_OR_FOLLOWER") != 1 {
		t.Error("counters")
	}
	if got := sample(f, RequestBytes, "request", "Produce", "quantile", "0.50"); math.Abs(got-1000) > 1000.0/16 {
		t.Error("bytes", got)
	}
}

func TestQuantilesAreNearTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []int64
	for range 20000 {
		v := int64(math.Exp(random.NormFloat64()*2 + 7)) // a long tail, as of latencies
		h.Observe(v)
		all = append(all, v)
	}
	slices.Sort(all)
	shares := []float64{0, 0.5, 0.75, 0.95, 0.98, 0.99, 0.999, 1}
	got := make([]float64, len(shares))
	h.Quantiles(time.Unix(0, 1), shares, got)
	for i, share := range shares {
		want := float64(all[min(int(share*float64(len(all))), len(all)-1)])
		if math.Abs(got[i]-want) > want/8+1 {
			t.Errorf("quantile %v: %v, want about %v", share, got[i], want)
		}
	}
}

func TestBucketsGrowAndHoldTheirValue(t *testing.T) {
	last := -1
	for _, v := range []int64{-5, 0, 1, 15, 16, 17, 31, 32, 33, 100, 1000, 1 << 20, 1<<36 - 1, 1 << 36, math.MaxInt64} {
		b := bucketOf(v)
		if b < last || b >= numBuckets {
			t.Fatalf("%d is in bucket %d, after %d", v, b, last)
		}
		last = b
		if v >= 0 && v < 1<<36 && math.Abs(valueOf(b)-float64(v)) > float64(v)/16+0.5 {
			t.Errorf("%d is shown as %v", v, valueOf(b))
		}
	}
}

func TestWindowsForgetWhatIsPast(t *testing.T) {
	var h Histogram
	half := []float64{0.5}
	out := make([]float64, 1)
	now := time.Unix(5000, 0)
	median := func() float64 { h.Quantiles(now, half, out); return out[0] }
	if median() != 0 {
		t.Fatal("an empty histogram has a median")
	}
	h.Observe(10)
	if median() != 10 {
		t.Fatal(out)
	}
	now = now.Add(windowAge)
	if median() != 10 {
		t.Fatal("forgotten too early")
	}
	now = now.Add(windowAge)
	if median() != 0 || h.Count() != 1 {
		t.Fatal("remembered too long, or the count is gone")
	}
	h.Observe(10)
	now = now.Add(10 * windowAge)
	if median() != 0 {
		t.Fatal("a pause between scrapes keeps the past")
	}
}

func TestCountingTakesNoMemory(t *testing.T) {
	r, _ := newTestRegistry(nil)
	h := r.Histogram("t", "T.", 1)
	h.Observe(1)
	topic := NewTopicMetrics(r)
	meter := NewRequestMetrics(r).For("Fetch")
	meter.Done(1, RequestTimes{}, 1, 1)
	topic.Topic("x")
	if n := testing.AllocsPerRun(100, func() {
		h.Observe(12345)
		topic.Topic("x").BytesIn.Add(9)
		meter.Done(1, RequestTimes{Total: time.Second}, 10, 10)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyCountWhileOneScrapes(t *testing.T) {
	r := NewRegistry(Options{Now: time.Now})
	h := r.Histogram("t", "T.", 1)
	m := NewRequestMetrics(r)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				h.Observe(int64(n))
				m.For("Fetch").Done(int16(i), RequestTimes{Total: time.Duration(n)}, n, n)
				r.Counter("c_total", "C.", "n", string(rune('a'+n%5))).Inc()
			}
		})
	}
	for range 20 {
		var out bytes.Buffer
		if err := r.Write(&out); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if h.Count() != 8000 {
		t.Error(h.Count())
	}
}

func TestHealthIsShown(t *testing.T) {
	r, _ := newTestRegistry(nil)
	h := NewHealth(r)
	h.SetState(StateRecovery)
	h.SetRecovery(Recovery{RemainingLogs: 2, TotalLogs: 5, RemainingSegments: 9})
	if sample(scrape(t, r), BrokerStateMetric) != 2 || h.Recovery() != (Recovery{2, 5, 9}) || h.State().String() != "RECOVERY" {
		t.Error(h.State(), h.Recovery())
	}
	if h.Failure() != "" {
		t.Error("ill without cause")
	}
	h.Fail("the event loop stands still")
	if h.Failure() != "the event loop stands still" {
		t.Error(h.Failure())
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.RunParallel(func(pb *testing.PB) {
		for v := int64(0); pb.Next(); v++ {
			h.Observe(v & 0xffff)
		}
	})
}

func BenchmarkScrape50000Series(b *testing.B) {
	r := NewRegistry(Options{Now: time.Now})
	r.Register(CollectorFunc(func(w *Writer) {
		f := w.Family(LogEndOffset, "Next offset.", KindGauge)
		for range 50000 {
			f.Int(1234567, "topic", "orders", "partition", "17")
		}
	}))
	for b.Loop() {
		var out bytes.Buffer
		if err := r.Write(&out); err != nil {
			b.Fatal(err)
		}
	}
}
