package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// me is the broker under test; the others of the image exist on paper only.
const me, other = int32(1), int32(2)

const never = time.Hour // longer than any test lets the clock run

// rig is a replica manager over memory files, fed with metadata records.
type rig struct {
	t     *testing.T
	clock *clock.Fake
	mem   *vfs.Mem
	logs  *storage.Manager
	m     *Manager
	img   *meta.Image

	mu     sync.Mutex
	minISR int
	hook   func(vfs.Op) error
	told   []string // OnRole and OnHighWatermark, as text
	marks  map[storage.TopicPartition]int64
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, clock: clock.NewFake(time.UnixMilli(1_700_000_000_000)), mem: vfs.NewMem(), img: meta.NewImage(),
		minISR: 1, marks: map[storage.TopicPartition]int64{},
	}
	if err := r.mem.MkdirAll("/d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := storage.WriteMetaProperties(r.mem, "/d", storage.MetaProperties{ClusterID: "c", NodeID: me, DirectoryID: [16]byte{9}}); err != nil {
		t.Fatal(err)
	}
	r.open(change...)
	return r
}

// open starts storage and manager on what is on the disk.
func (r *rig) open(change ...func(*Config)) {
	r.t.Helper()
	logs, err := storage.OpenManager(storage.ManagerOptions{
		FS: vfs.NewFault(r.mem, r.fault), Clock: r.clock, Dirs: []string{"/d"}, NodeID: -1, DefaultConfig: storage.DefaultLogConfig(),
		DirCheckIntervalMs: -1, // tests count timers
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.logs = logs
	c := Config{
		NodeID: me, Logs: logs, Clock: r.clock, Logger: slog.New(slog.DiscardHandler), TopicConfig: r.topicConfig,
		OnRole: func(tp storage.TopicPartition, epoch int32, leads bool) {
			r.tell("%s epoch %d leads %v", tp, epoch, leads)
		},
		OnHighWatermark: func(tp storage.TopicPartition, _ int32, hw int64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.marks[tp] = max(r.marks[tp], hw)
		},
	}
	for _, f := range change {
		f(&c)
	}
	r.m = NewManager(c)
	r.t.Cleanup(func() {
		r.m.Stop()
		_ = logs.Close(false)
	})
}

func flushed(c *Config) { c.FlushAcks = true }

func (r *rig) topicConfig(*meta.Image, string) TopicConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	return TopicConfig{Log: storage.DefaultLogConfig(), MinISR: r.minISR}
}

func (r *rig) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *rig) fault(op vfs.Op) error {
	r.mu.Lock()
	hook := r.hook
	r.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(op)
}

func (r *rig) setHook(f func(vfs.Op) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = f
}

func (r *rig) setMinISR(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minISR = n
}

func (r *rig) apply(records ...meta.Record) {
	r.t.Helper()
	img, delta, err := r.img.Apply(records, r.img.Offset()+int64(len(records)), 1, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.img = img
	r.m.ApplyMetadata(img, delta)
}

// create makes a topic that this broker leads alone, unless replicas say otherwise.
func (r *rig) create(topic string, id byte, partitions int32, replicas ...int32) {
	r.t.Helper()
	if replicas == nil {
		replicas = []int32{me}
	}
	records := []meta.Record{&meta.TopicRecord{Name: topic, TopicID: meta.UUID{id}}}
	for i := range partitions {
		records = append(records, &meta.PartitionRecord{
			PartitionID: i, TopicID: meta.UUID{id}, Replicas: replicas, ISR: replicas, Leader: replicas[0],
		})
	}
	r.apply(records...)
}

// change alters partition 0 of the topic with this id.
func (r *rig) change(id byte, f func(*meta.PartitionChangeRecord)) {
	r.t.Helper()
	c := meta.NewPartitionChange(meta.UUID{id}, 0)
	f(c)
	r.apply(c)
}

func (r *rig) lead(id byte, broker int32) {
	r.t.Helper()
	r.change(id, func(c *meta.PartitionChangeRecord) { c.Leader = broker })
}

func (r *rig) shrink(id byte, isr ...int32) {
	r.t.Helper()
	r.change(id, func(c *meta.PartitionChangeRecord) { c.ISR = isr })
}

// reconfigure hands topic its settings anew, as after an alter-configs.
func (r *rig) reconfigure(topic string) {
	r.t.Helper()
	value := "x"
	r.apply(&meta.ConfigRecord{ResourceType: meta.ResourceTopic, ResourceName: topic, Name: "min.insync.replicas", Value: &value})
}

func (r *rig) log(topic string) *storage.Log {
	r.t.Helper()
	p, err := r.m.Partition(tp(topic, 0))
	if err != nil {
		r.t.Fatal(err)
	}
	return p.Log()
}

func tp(topic string, partition int32) storage.TopicPartition {
	return storage.TopicPartition{Topic: topic, Partition: partition}
}

func batch(values ...string) record.Batch { return batchAt(1_700_000_000_000, values...) }

func batchAt(ts int64, values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{})
	for i, v := range values {
		b.Append(ts+int64(i), nil, []byte(v), nil)
	}
	return b.Build()
}

// produced is a produce under way.
type produced struct {
	t     *testing.T
	parts []Append
	done  chan struct{}
}

func (r *rig) produce(acks int16, timeout time.Duration, parts ...Append) *produced {
	p := &produced{t: r.t, parts: parts, done: make(chan struct{})}
	r.m.Produce(p.parts, acks, timeout, func() { close(p.done) }) // a second call would panic
	return p
}

func to(topic string, values ...string) Append {
	return Append{TP: tp(topic, 0), Batches: batch(values...)}
}

func (r *rig) put(topic string, values ...string) {
	r.t.Helper()
	if err := r.produce(1, never, to(topic, values...)).wait()[0].Err; err != nil {
		r.t.Fatal(err)
	}
}

func (p *produced) wait() []Append {
	p.t.Helper()
	await(p.t, p.done, "the produce is not answered")
	return p.parts
}

func (p *produced) waits() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *produced) fails(want error) {
	p.t.Helper()
	for _, a := range p.wait() {
		if !errors.Is(a.Err, want) || want == nil && a.Err != nil {
			p.t.Fatalf("%s: %v, want %v", a.TP, a.Err, want)
		}
	}
}

// patience is how long a test waits for another goroutine before it calls it a hang.
const patience = 20 * time.Second

func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal(what)
	}
}

// fetched is a fetch under way.
type fetched struct {
	t      *testing.T
	parts  []FetchPart
	parked *ParkedFetch
	done   chan struct{}
}

func from(topic string, offset int64) FetchPart { return fromPartition(topic, 0, offset) }

func fromPartition(topic string, partition int32, offset int64) FetchPart {
	return FetchPart{TP: tp(topic, partition), Offset: offset, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}
}

func (r *rig) fetch(spec FetchSpec, parts ...FetchPart) *fetched {
	if spec.MaxBytes == 0 {
		spec.MaxBytes = math.MaxInt32
	}
	f := &fetched{t: r.t, parts: parts, done: make(chan struct{})}
	f.parked = r.m.Fetch(spec, f.parts, func() { close(f.done) })
	return f
}

// poll is a fetch that waits for a byte for as long as it takes.
func (r *rig) poll(parts ...FetchPart) *fetched {
	return r.fetch(FetchSpec{MaxWait: never, MinBytes: 1}, parts...)
}

// read is a fetch that does not wait.
func (r *rig) read(spec FetchSpec, parts ...FetchPart) []FetchPart {
	r.t.Helper()
	spec.MaxWait = 0
	return r.fetch(spec, parts...).wait()
}

func (f *fetched) wait() []FetchPart {
	f.t.Helper()
	await(f.t, f.done, "the fetch is not answered")
	for i := range f.parts {
		if s := f.parts[i].Slice; s != nil {
			f.t.Cleanup(s.Release)
		}
	}
	return f.parts
}

func (f *fetched) waits() bool {
	select {
	case <-f.done:
		return false
	default:
		return true
	}
}

// stillParked gives a wake-up that should not be there the time to show itself.
func (f *fetched) stillParked() {
	f.t.Helper()
	time.Sleep(5 * time.Millisecond)
	if !f.waits() {
		f.t.Fatalf("answered, where it had to wait: %s", texts(f.t, f.parts))
	}
}

// texts is what a fetch has brought: partition by partition its records, its error or nothing.
func texts(t *testing.T, parts []FetchPart) string {
	t.Helper()
	var out []string
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Err != nil:
			out = append(out, p.Err.Error())
		case p.Slice == nil:
			out = append(out, "-")
		default:
			out = append(out, strings.Join(values(t, p.Slice), " "))
		}
	}
	return strings.Join(out, " | ")
}

func values(t *testing.T, s *storage.Slice) (out []string) {
	t.Helper()
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		var one record.Batch
		if one, b, err = record.Next(b); err != nil {
			t.Fatal(err)
		}
		if err := one.ForEach(func(rec record.Record) error {
			out = append(out, string(rec.Value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func wantTexts(t *testing.T, parts []FetchPart, want string) {
	t.Helper()
	if got := texts(t, parts); got != want {
		t.Fatalf("read %q, want %q", got, want)
	}
}

// gate holds back every sync of a log's records until it is opened.
type gate struct {
	mu   sync.Mutex
	held chan struct{}
	fail error
}

func (r *rig) gate() *gate {
	g := &gate{held: make(chan struct{})}
	r.setHook(func(op vfs.Op) error {
		if op.Kind != vfs.OpSync || !strings.HasSuffix(op.Name, ".log") {
			return nil
		}
		g.mu.Lock()
		held := g.held
		g.mu.Unlock()
		<-held
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.fail
	})
	r.t.Cleanup(func() { g.open(nil) })
	return g
}

// open lets syncs pass, or fail with err.
func (g *gate) open(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
	select {
	case <-g.held:
	default:
		close(g.held)
	}
}

// shut holds back the syncs that begin from now on.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = make(chan struct{})
}
