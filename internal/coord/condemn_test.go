package coord

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is a log that a test reads while others write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (w *world) reload() {
	w.t.Helper()
	w.await("reload", func() bool { w.clk.Advance(time.Second); return w.active() })
}

const refused = "refused: this node is not the coordinator of the partition"
const failed = "failed: this node is not the coordinator of the partition"

func TestAPanicCondemnsTheShardAndNobodyElse(t *testing.T) {
	var log lines
	w := newWorld(t, func(c *Config[*register]) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	w.lead(0, 1)
	w.lead(1, 1)
	w.log.HoldCommits(true)
	parked := w.put(0, "a", "1") // waits for the watermark
	var kept, queued, own outcome
	w.rt.Do(0, func(m *register, t *Turn) { m.parked = append(m.parked, kept.reply("machine answers")) }, nil)
	w.rt.Do(0, func(m *register, t *Turn) {
		// Meanwhile another request comes.
		w.rt.Do(0, func(*register, *Turn) { queued.set("served") }, func(err error) { queued.set("refused: " + err.Error()) })
		t.SetTimer(TimerKey{Group: "lost"}, 10)
		m.values["half"] = "done"
		panic("a bug")
	}, func(err error) { own.set("refused: " + err.Error()) })
	w.want(parked, failed)
	w.want(&kept, "machine answers")
	w.want(&queued, refused)
	w.want(&own, refused)
	w.want(w.get(0, "a"), refused)
	if c := w.rt.Counts(); c.Failed != 1 || c.Active != 1 {
		t.Fatalf("%+v", c)
	}
	if got := log.String(); !strings.Contains(got, "a bug") || !strings.Contains(got, "condemn_test.go") || !strings.Contains(got, "shard=register-0") {
		t.Fatal(got)
	}
	w.log.HoldCommits(false)
	w.log.CommitAll(0)
	w.reload()
	w.want(w.get(0, "a"), "=1")
	w.want(w.get(0, "half"), "=")
	w.want(w.put(0, "a", "2"), "ok")
}

// A request is answered once, wherever in its turn the panic comes.
func TestEachRequestOfAPanickingTurnIsAnsweredOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		want string
		op   func(t *Turn, r Reply)
	}{
		"before its reply": {refused, func(t *Turn, r Reply) { panic("bug") }},
		"after its append": {failed, func(t *Turn, r Reply) {
			t.Append(Record{Key: []byte("a"), Value: []byte("1")})
			t.Then(func(*Turn) { panic("bug") })
			t.Reply(r)
		}},
		"after its failure": {"failed: " + ErrTooLarge.Error(), func(t *Turn, r Reply) {
			t.Append(Record{Key: make([]byte, 2*DefaultMaxBatchBytes)})
			t.OnFailure(func(*Turn, error) { panic("bug") })
			t.Reply(r)
		}},
		"with a reply that follows": {failed, func(t *Turn, r Reply) {
			t.Then(func(t *Turn) {
				t.Reply(r)
				panic("bug")
			})
		}},
		"with its own way": {"own way", func(t *Turn, r Reply) {
			t.OnPanic(func(error) { r.Send() })
			t.Then(func(*Turn) { panic("bug") })
		}},
		"in its reply": {"", func(t *Turn, r Reply) { t.Reply(Reply{Send: func() { panic("bug") }}) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lead(0, 1)
			w.log.HoldCommits(true)
			var o outcome
			r := o.reply("own way")
			w.rt.Do(0, func(_ *register, t *Turn) { tc.op(t, r) }, func(err error) { o.set("refused: " + err.Error()) })
			w.want(&o, tc.want)
			w.log.HoldCommits(false)
			w.log.CommitAll(0)
			w.reload()
			w.want(w.put(0, "b", "1"), "ok")
		})
	}
}

func TestATimerThatPanics(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.rt.Do(0, func(m *register, t *Turn) {
		m.onFire = func(*Turn) { panic("bug") }
		t.SetTimer(TimerKey{}, 10)
		t.SetTimer(TimerKey{Group: "later"}, 5000)
	}, nil)
	w.clk.Advance(10 * time.Millisecond)
	w.want(w.get(0, "a"), refused)
	w.reload()
	w.want(w.get(0, "a"), "=")
	w.clk.Advance(time.Minute)
	w.want(w.get(0, "a"), "=")
}

// Whoever closes does not wait for a shard that has panicked, nor for one that does so at last.
func TestCloseAfterAPanic(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"while it waits to be loaded": func(w *world) { w.rt.Do(0, func(*register, *Turn) { panic("bug") }, func(error) {}) },
		"in the last turn": func(w *world) {
			w.rt.Do(0, func(m *register, _ *Turn) { m.onUnload = func() { panic("bug") } }, nil)
		},
		"with the resignation already queued": func(w *world) {
			w.rt.Do(0, func(*register, *Turn) {
				w.rt.Resign(0, -1)
				panic("bug")
			}, func(error) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lead(0, 1)
			var o outcome
			w.rt.Do(0, func(m *register, _ *Turn) { m.parked = append(m.parked, o.reply("machine answers")) }, nil)
			prepare(w)
			w.rt.Close()
			w.want(&o, "machine answers")
		})
	}
}

func TestALoadThatPanicsIsAFailedLoad(t *testing.T) {
	w := newWorld(t)
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("panic"), Value: []byte{}}}}})
	w.elect(0, 1)
	w.await("failure", func() bool { return w.rt.Counts().Failed == 1 })
}

func TestAPartThatPanicsCanStillBeRefused(t *testing.T) {
	n := 0
	g := NewGather(1, func() { n++ })
	func() {
		defer func() { _ = recover() }()
		g.Done(func() { panic("bug") })
	}()
	g.Done(func() {})
	if n != 1 {
		t.Fatal(n)
	}
}
