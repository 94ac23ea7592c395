package txn

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a coordinator over a log in memory, on a clock that moves by hand, with partitions that know what markers do.
type stage struct {
	t       testing.TB
	clk     *clock.Fake
	log     *coord.MemLog
	s       *Service
	epoch   int32
	nextID  int64
	spareID int // how many ids are at hand; negative: any number
	version int16

	parts map[TopicPartition]*part
	held  []heldMarker // sent and not delivered
	hold  bool
	check func(Marker) // of every marker that is sent
}

type heldMarker struct {
	m    Marker
	done func([]MarkerResult)
}

func newStage(t testing.TB, tune ...func(*Options)) *stage {
	st := &stage{t: t, clk: clock.NewFake(time.UnixMilli(1_700_000_000_000)), log: coord.NewMemLog(nil), nextID: 1000, spareID: -1, version: 2, parts: map[TopicPartition]*part{}}
	o := Options{
		Config: DefaultConfig(), Writer: st.log, Loader: st.log, Clock: st.clk, Markers: st,
		NumPartitions:    func() int32 { return 1 },
		FetchProducerIDs: func(done func(error)) { st.spareID = 10; done(nil) },
		Log:              slog.New(slog.NewTextHandler(complaints{t}, &slog.HandlerOptions{Level: slog.LevelError})),
		CommitTimeoutMs:  5000,
	}
	o.Config.Version = func() int16 { return st.version }
	o.Config.NewProducerID = st.newID
	for _, f := range tune {
		f(&o)
	}
	st.s = New(o)
	st.log.OnCommit(st.s.HighWatermark)
	t.Cleanup(st.s.Close)
	st.elect()
	return st
}

func (st *stage) newID() (int64, bool) {
	if st.spareID == 0 {
		return 0, false
	}
	st.spareID--
	st.nextID++
	return st.nextID, true
}

func (st *stage) elect() {
	st.t.Helper()
	st.epoch++
	st.log.SetEpoch(0, st.epoch)
	st.s.Elect(0, st.epoch)
	st.settle()
}

// settle waits for the load, which has a goroutine of its own.
func (st *stage) settle() {
	st.t.Helper()
	for i := 0; st.s.rt.Counts().Active != len(st.s.rt.Partitions()) || !st.s.rt.Idle(); i++ {
		if i > 10_000 {
			st.t.Fatal("the partition does not load")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// failover makes the coordinator forget all that is not in the log.
func (st *stage) failover() {
	st.t.Helper()
	st.s.Resign(0, -1)
	st.elect()
}

func (st *stage) pass(d time.Duration) { st.clk.Advance(d) }

func silent(o *Options) { o.Log = nil }

type complaints struct{ t testing.TB }

func (c complaints) Write(line []byte) (int, error) {
	c.t.Errorf("logged: %s", line)
	return len(line), nil
}

// part is a data partition: which producers have which epoch, and whose transaction is open.
type part struct {
	epoch    map[int64]int16
	open     map[int64]string // by producer: the transaction's name
	outcome  map[string]bool  // by transaction: committed?
	markers  map[int64]int    // taken, by producer
	coordAt  map[int64]int32
	twice    []string // transactions that went on after their end
	refusing int16    // code for every marker
}

func (st *stage) part(tp TopicPartition) *part {
	p := st.parts[tp]
	if p == nil {
		p = &part{epoch: map[int64]int16{}, open: map[int64]string{}, outcome: map[string]bool{}, markers: map[int64]int{}, coordAt: map[int64]int32{}}
		st.parts[tp] = p
	}
	return p
}

// SendMarkers is the stage's way to the partitions.
func (st *stage) SendMarkers(m Marker, done func([]MarkerResult)) {
	if st.check != nil {
		st.check(m)
	}
	if st.hold {
		st.held = append(st.held, heldMarker{m, done})
		return
	}
	st.write(m, done)
}

func (st *stage) write(m Marker, done func([]MarkerResult)) {
	var out []MarkerResult
	for _, tp := range m.Partitions {
		out = append(out, MarkerResult{tp, st.part(tp).mark(m)})
	}
	done(out)
}

func (st *stage) release() {
	st.hold = false
	held := st.held
	st.held = nil
	for _, h := range held {
		st.write(h.m, h.done)
	}
}

// mark does what storage does with a marker.
func (p *part) mark(m Marker) int16 {
	epoch, known := p.epoch[m.ProducerID]
	_, open := p.open[m.ProducerID]
	switch {
	case p.refusing != 0:
		return p.refusing
	case known && m.ProducerEpoch < epoch,
		known && m.TransactionVersion >= 2 && m.ProducerEpoch == epoch && open:
		return codeInvalidProducerEpoch
	case m.CoordinatorEpoch < p.coordAt[m.ProducerID]:
		return codeCoordinatorFenced
	}
	p.coordAt[m.ProducerID], p.epoch[m.ProducerID] = m.CoordinatorEpoch, m.ProducerEpoch
	p.markers[m.ProducerID]++
	if open {
		name := p.open[m.ProducerID]
		if _, before := p.outcome[name]; before {
			p.twice = append(p.twice, name)
		}
		p.outcome[name] = m.Commit
		delete(p.open, m.ProducerID)
	}
	return 0
}

// client is a producer as it sees itself.
type client struct {
	st    *stage
	id    string
	pid   int64
	epoch int16
}

func (st *stage) client(id string) *client { return &client{st: st, id: id, pid: -1, epoch: -1} }

// word is the name of a code.
func word(code int16) string {
	if code == 0 {
		return "ok"
	}
	return kerr.ErrorForCode(code).(*kerr.Error).Message
}

// init asks for the producer; a story in which it is not answered at once has gone wrong.
func (c *client) init(expect bool) string {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &c.id, 60_000, -1, -1
	if expect {
		req.ProducerID, req.ProducerEpoch = c.pid, c.epoch
	}
	said := "no answer"
	c.st.s.InitProducerID(5, req, func(resp *kmsg.InitProducerIDResponse) {
		said = word(resp.ErrorCode)
		if resp.ErrorCode == 0 {
			c.pid, c.epoch = resp.ProducerID, resp.ProducerEpoch
		}
	})
	return said
}

func (c *client) must(said string) {
	c.st.t.Helper()
	if said != "ok" {
		c.st.t.Fatal(said)
	}
}

func (c *client) add(version int16, tps ...TopicPartition) string {
	said := "no answer"
	c.st.s.AddPartitions(Partitions{TransactionalID: c.id, ProducerID: c.pid, ProducerEpoch: c.epoch, Partitions: tps, TransactionVersion: version},
		func(code int16) { said = word(code) })
	return said
}

func (c *client) end(version int16, commit bool) string {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = c.id, c.pid, c.epoch, commit
	said := "no answer"
	c.st.s.EndTxn(version, req, func(resp *kmsg.EndTxnResponse) {
		said = word(resp.ErrorCode)
		if resp.ErrorCode == 0 && version >= 5 {
			c.pid, c.epoch = resp.ProducerID, resp.ProducerEpoch
		}
	})
	return said
}

func (st *stage) state(id string) string {
	out := "no answer"
	st.s.Describe(id, func(d kmsg.DescribeTransactionsResponseTransactionState) {
		out = d.State
		if d.ErrorCode != 0 {
			out = word(d.ErrorCode)
		}
	})
	return out
}

func (st *stage) wantState(id, want string) {
	st.t.Helper()
	if got := st.state(id); got != want {
		st.t.Fatalf("%s is %s, want %s", id, got, want)
	}
}

// stored is what the committed part of the log says of an id.
func (st *stage) stored(id string) (value, bool) {
	var v value
	found := false
	end := int64(0)
	_, _ = st.log.Load(st.t.Context(), 0, func(coord.StoredBatch) error { return nil })
	ext, err := st.log.Load(st.t.Context(), 0, func(coord.StoredBatch) error { return nil })
	if err == nil {
		end = ext.HighWatermark
	}
	for _, b := range st.log.Batches(0) {
		for _, r := range b.Records {
			if k, err := parseKey(r.Key); err != nil || k != id || r.Offset >= end {
				continue
			}
			if found = r.Value != nil; found {
				v, _ = parseValue(r.Value)
			}
		}
	}
	return v, found
}

func tp(topic string, p int32) TopicPartition { return TopicPartition{topic, p} }

func sortedPartitions(m map[TopicPartition]*part) []TopicPartition {
	var out []TopicPartition
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, comparePartitions)
	return out
}

func (st *stage) outcomes(name string) string {
	var out []string
	for _, k := range sortedPartitions(st.parts) {
		if commit, ok := st.parts[k].outcome[name]; ok {
			out = append(out, fmt.Sprintf("%s-%d=%t", k.Topic, k.Partition, commit))
		}
	}
	return fmt.Sprint(out)
}
