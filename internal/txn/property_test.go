package txn

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// writer is a process that produces in transactions. It has one request under way, and does with the
// answers what a real client does. Those of the new protocol have an epoch for each transaction.
type writer struct {
	name    string
	id      string
	bumps   bool
	pid     int64
	epoch   int16
	ready   bool // it has a producer id
	dead    bool // fenced, or in a state that only a new process gets out of
	waiting bool // for an answer
	began   bool // something was written, or tried
	txn     string
	count   int
	ending  *bool // the end that it wants and was not told of yet
}

// world is writers, a coordinator, partitions and faults.
type world struct {
	*rapid.T
	st      *stage
	writers []*writer
	named   int
	// What writers were told of their transactions.
	told map[string]bool
	// Partitions that each transaction has written to.
	wrote map[string]map[TopicPartition]bool
	// The newest producer that any process of an id was told of, and whose it is.
	owner map[string]*writer
}

var worldPartitions = []TopicPartition{{"t", 0}, {"t", 1}, {"u", 0}}

func TestRandomWorlds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{T: rt, st: newStage(t, silent), told: map[string]bool{}, wrote: map[string]map[TopicPartition]bool{}, owner: map[string]*writer{}}
		w.st.version = rapid.SampledFrom([]int16{0, 1, 2, 2}).Draw(rt, "level")
		w.st.check = w.checkMarker
		rt.Repeat(map[string]func(*rapid.T){
			"":          func(*rapid.T) { w.look() },
			"arrive":    w.arrive,
			"act":       w.act,
			"act more":  w.act,
			"act on":    w.act,
			"act again": w.act,
			"time": func(t *rapid.T) {
				w.st.pass(time.Duration(rapid.SampledFrom([]int{10, 500, 6000, 30_000}).Draw(t, "ms")) * time.Millisecond)
			},
			"hold markers": func(*rapid.T) { w.st.hold = true },
			"deliver":      func(*rapid.T) { w.st.release() },
			"refuse": func(t *rapid.T) {
				p := w.st.part(rapid.SampledFrom(worldPartitions).Draw(t, "partition"))
				p.refusing = rapid.SampledFrom([]int16{0, 0, 6, 19}).Draw(t, "code")
			},
			"hold commits": func(*rapid.T) { w.st.log.HoldCommits(true) },
			"commit":       func(*rapid.T) { w.st.log.HoldCommits(false); w.st.log.CommitAll(0) },
			"fail appends": func(*rapid.T) { w.st.log.FailAppends(coord.ErrNotEnoughReplicas) },
			"heal":         func(*rapid.T) { w.st.log.FailAppends(nil) },
			"failover":     w.failover,
			"no ids":       func(*rapid.T) { w.st.spareID = 0 },
		})
		w.finish()
	})
}

func (w *world) failover(t *rapid.T) {
	w.st.s.Resign(0, -1)
	if rapid.Bool().Draw(t, "cut") {
		w.st.log.TruncateToCommitted(0)
	}
	w.st.log.HoldCommits(false)
	w.st.log.CommitAll(0)
	w.st.elect()
}

func (w *world) arrive(t *rapid.T) {
	w.named++
	w.writers = append(w.writers, &writer{
		name: fmt.Sprintf("w%d", w.named), id: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "id"),
		bumps: w.st.version >= 2 && rapid.Bool().Draw(t, "bumps"), pid: -1, epoch: -1,
	})
}

func (w *world) act(t *rapid.T) {
	var able []*writer
	for _, x := range w.writers {
		if !x.dead && !x.waiting {
			able = append(able, x)
		}
	}
	if len(able) == 0 {
		t.Skip()
	}
	x := rapid.SampledFrom(able).Draw(t, "writer")
	switch {
	case !x.ready:
		w.init(x)
	case x.ending != nil:
		w.end(x, *x.ending)
	case x.txn != "" && rapid.IntRange(0, 2).Draw(t, "end") == 0:
		w.end(x, rapid.Bool().Draw(t, "commit"))
	default:
		w.write(x, rapid.SampledFrom(worldPartitions).Draw(t, "partition"))
	}
}

// retriable codes are asked again.
func retriable(code int16) bool {
	return slices.Contains([]int16{codeConcurrentTransactions, codeCoordinatorNotAvailable, codeNotCoordinator, codeCoordinatorLoading}, code)
}

func (w *world) init(x *writer) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &x.id, 20_000, -1, -1
	x.waiting = true
	w.st.s.InitProducerID(5, req, func(resp *kmsg.InitProducerIDResponse) {
		x.waiting = false
		switch {
		case resp.ErrorCode == 0:
			x.pid, x.epoch, x.ready = resp.ProducerID, resp.ProducerEpoch, true
			w.checkNewest(x)
			w.owner[x.id] = x
		case !retriable(resp.ErrorCode):
			w.Fatalf("%s: init: %s", x.name, word(resp.ErrorCode))
		}
	})
}

// checkNewest: who is told of a producer id and epoch is the only one with them, and newer than everybody before.
func (w *world) checkNewest(x *writer) {
	for _, o := range w.writers {
		if o != x && o.ready && o.id == x.id && o.pid == x.pid && o.epoch >= x.epoch && !o.dead {
			w.Fatalf("%s was given epoch %d of producer %d, and %s has %d", x.name, x.epoch, x.pid, o.name, o.epoch)
		}
	}
}

func (w *world) begin(x *writer) {
	if x.txn == "" {
		x.count++
		x.txn = fmt.Sprintf("%s.%d", x.name, x.count)
		w.wrote[x.txn] = map[TopicPartition]bool{}
	}
}

// write adds a partition and, when that is confirmed and no marker has come meanwhile, writes to it.
func (w *world) write(x *writer, to TopicPartition) {
	w.begin(x)
	p := w.st.part(to)
	guard := p.markers[x.pid]
	version := int16(0)
	if x.bumps {
		version = 2
	}
	x.waiting, x.began = true, true
	name := x.txn
	w.st.s.AddPartitions(Partitions{TransactionalID: x.id, ProducerID: x.pid, ProducerEpoch: x.epoch, Partitions: []TopicPartition{to}, TransactionVersion: version}, func(code int16) {
		x.waiting = false
		switch {
		case code == 0:
			w.checkOwner(x, "add")
			if open, is := p.open[x.pid]; is && open != name {
				w.Fatalf("%s writes to %v in which %s is open", name, to, open)
			}
			if epoch, known := p.epoch[x.pid]; known && epoch > x.epoch || p.markers[x.pid] != guard {
				return // the partition refuses it
			}
			p.epoch[x.pid], p.open[x.pid] = x.epoch, name
			w.wrote[name][to] = true
		case !retriable(code):
			w.fenced(x, code)
		}
	})
}

// checkOwner: a writer whose place was taken is not served any more.
func (w *world) checkOwner(x *writer, what string) {
	if o := w.owner[x.id]; o != x {
		w.Fatalf("%s of %s succeeds after %s has taken over", what, x.name, o.name)
	}
}

// fenced ends a writer that was told to stop: by another process, or because it was too slow.
func (w *world) fenced(x *writer, code int16) {
	if !slices.Contains([]int16{codeProducerFenced, codeInvalidProducerIDMapping, codeInvalidTxnState}, code) {
		w.Fatalf("%s: %s", x.name, word(code))
	}
	x.dead = true
}

func (w *world) end(x *writer, commit bool) {
	x.ending = &commit
	version := int16(4)
	if x.bumps {
		version = 5
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = x.id, x.pid, x.epoch, commit
	x.waiting = true
	name := x.txn
	w.st.s.EndTxn(version, req, func(resp *kmsg.EndTxnResponse) {
		x.waiting = false
		switch {
		case resp.ErrorCode == 0:
			w.checkOwner(x, "end")
			w.told[name] = commit
			x.txn, x.ending, x.began = "", nil, false
			if x.bumps {
				x.pid, x.epoch = resp.ProducerID, resp.ProducerEpoch
				w.checkNewest(x)
			}
		case !retriable(resp.ErrorCode):
			w.fenced(x, resp.ErrorCode)
		}
	})
}

// checkMarker: a marker says what a committed record of its coordinator's log says.
func (w *world) checkMarker(m Marker) {
	v, found := w.st.stored(m.TransactionalID)
	if !found || !v.state.decided() || v.state.commits() != m.Commit || v.epoch != m.ProducerEpoch || v.producerID != m.ProducerID {
		w.Fatalf("marker %+v is sent while the committed log says %+v", m, v)
	}
}

// look: at no moment has a transaction two outcomes, or another than its producer was told.
func (w *world) look() {
	for _, k := range sortedPartitions(w.st.parts) {
		if twice := w.st.parts[k].twice; len(twice) > 0 {
			w.Fatalf("in %v transactions were ended and went on: %v", k, twice)
		}
		for name, commit := range w.st.parts[k].outcome {
			for _, o := range sortedPartitions(w.st.parts) {
				if other, ok := w.st.parts[o].outcome[name]; ok && other != commit {
					w.Fatalf("transaction %s is committed=%t in %v and %t in %v", name, commit, k, other, o)
				}
			}
			if told, ok := w.told[name]; ok && told != commit {
				w.Fatalf("transaction %s is committed=%t in %v, its producer was told %t", name, commit, k, told)
			}
		}
	}
}

// finish heals everything and lets time pass: then no transaction hangs, every decided one is whole, and
// a coordinator that reads the log knows what the present one knows.
func (w *world) finish() {
	for _, p := range w.st.parts {
		p.refusing = 0
	}
	w.st.log.FailAppends(nil)
	w.st.log.HoldCommits(false)
	w.st.log.CommitAll(0)
	w.st.spareID = -1
	for range 120 {
		w.st.release()
		w.st.pass(time.Second)
	}
	w.st.release()
	w.look()
	for _, k := range sortedPartitions(w.st.parts) {
		if p := w.st.parts[k]; len(p.open) > 0 {
			w.Fatalf("in %v transactions hang: %v", k, p.open)
		}
	}
	for name, parts := range w.wrote {
		told, known := w.told[name]
		for k := range parts {
			if got, ended := w.st.parts[k].outcome[name]; !ended || known && got != told {
				w.Fatalf("%s ended=%t committed=%t in %v, told %t (%t)", name, ended, got, k, told, known)
			}
		}
	}
	live := w.values()
	w.st.failover()
	if after := w.values(); !reflect.DeepEqual(live, after) {
		w.Fatalf("the log says %+v, the coordinator knew %+v", after, live)
	}
}

// values is what the coordinator knows, without what is not stored.
func (w *world) values() map[string]value {
	out := map[string]value{}
	w.st.s.rt.Do(0, func(sh *Shard, _ *coord.Turn) {
		for id, tx := range sh.txns {
			v := tx.value
			v.lastEpoch = 0
			out[id] = v
			if v.state.decided() {
				w.Errorf("%s is still %v", id, v.state)
			}
		}
	}, func(err error) { w.Fatal(errors.Join(err, kerr.NotCoordinator)) })
	return out
}
