package coord

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// register is the least machine that is of use: named values, a transaction's value that
// counts when its marker comes, a timer, and requests that it parks itself.
type register struct {
	values   map[string]string
	open     map[int64]map[string]string
	fired    []TimerKey
	parked   []Reply
	loaded   bool
	onFire   func(*Turn)
	onUnload func()
}

func newRegister(int32) *register {
	return &register{values: map[string]string{}, open: map[int64]map[string]string{}}
}

func (r *register) Verify(rec Record) error {
	if string(rec.Key) == "poison" {
		return errors.New("poison")
	}
	return nil
}

func (r *register) Replay(from Source, rec Record) error {
	switch string(rec.Key) {
	case "poison":
		return errors.New("poison")
	case "panic":
		panic("cannot bear it")
	case "odd":
		return fmt.Errorf("%w: odd", ErrSetAside)
	}
	into := r.values
	if from.ProducerID != NoProducerID {
		if r.open[from.ProducerID] == nil {
			r.open[from.ProducerID] = map[string]string{}
		}
		into = r.open[from.ProducerID]
	}
	if rec.Value == nil {
		delete(into, string(rec.Key))
	} else {
		into[string(rec.Key)] = string(rec.Value)
	}
	return nil
}

func (r *register) EndTxn(id int64, _ int16, commit bool) {
	if commit {
		for k, v := range r.open[id] {
			r.values[k] = v
		}
	}
	delete(r.open, id)
}

func (r *register) Loaded(*Turn) { r.loaded = true }

func (r *register) Fire(t *Turn, k TimerKey) {
	if r.onFire != nil {
		r.onFire(t)
	}
	r.fired = append(r.fired, k)
}

func (r *register) Unloaded(t *Turn) {
	for _, p := range r.parked {
		t.Reply(p)
	}
	if r.onUnload != nil {
		r.onUnload()
	}
}

// world is a runtime of registers over a log in memory, with a clock that stands still.
type world struct {
	t   *testing.T
	clk *clock.Fake
	log *MemLog
	rt  *Runtime[*register]
}

func newWorld(t *testing.T, tune ...func(*Config[*register])) *world {
	w := &world{t: t, clk: clock.NewFake(time.UnixMilli(1_700_000_000_000)), log: NewMemLog(nil)}
	cfg := Config[*register]{Name: "register", Writer: w.log, Loader: w.log, Clock: w.clk, NewMachine: newRegister}
	for _, f := range tune {
		f(&cfg)
	}
	w.rt = New(cfg)
	w.log.OnCommit(w.rt.HighWatermark)
	t.Cleanup(w.rt.Close)
	return w
}

func (w *world) elect(p, epoch int32) {
	w.log.SetEpoch(p, epoch)
	w.rt.Elect(p, epoch)
}

func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	for i := 0; i < 10_000; i++ {
		if ok() {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
	w.t.Fatalf("never came: %s", what)
}

func (w *world) lead(p, epoch int32) {
	w.t.Helper()
	w.elect(p, epoch)
	w.await("active shard", w.active)
}

// active: the one shard of most tests serves, and its first turn is over.
func (w *world) active() bool { return w.rt.Counts().Active == len(w.rt.Partitions()) && w.rt.Idle() }

// outcome collects what a request was answered with.
type outcome struct {
	mu  sync.Mutex
	got string
}

func (o *outcome) set(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.got != "" {
		s = o.got + " and again " + s
	}
	o.got = s
}

func (o *outcome) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got
}

func (o *outcome) reply(v string) Reply {
	return Reply{Send: func() { o.set(v) }, Fail: func(err error) { o.set("failed: " + err.Error()) }}
}

func (w *world) put(p int32, k, v string) *outcome {
	o := &outcome{}
	w.rt.Do(p, func(m *register, t *Turn) {
		t.Append(Record{Key: []byte(k), Value: []byte(v)})
		t.Reply(o.reply("ok"))
	}, func(err error) { o.set("refused: " + err.Error()) })
	return o
}

func (w *world) get(p int32, k string) *outcome {
	o := &outcome{}
	w.rt.Do(p, func(m *register, t *Turn) { t.Reply(o.reply("=" + m.values[k])) }, func(err error) { o.set("refused: " + err.Error()) })
	return o
}

func (w *world) want(o *outcome, want string) {
	w.t.Helper()
	if o.String() != want {
		w.t.Fatalf("answered %q, want %q", o.String(), want)
	}
}

func TestAReplyWaitsForTheWatermark(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.log.HoldCommits(true)
	first, second := w.put(0, "a", "1"), w.put(0, "a", "2")
	read := w.get(0, "a")
	w.want(first, "")
	w.want(read, "")
	w.log.Commit(0, 1)
	w.want(first, "ok")
	w.want(second, "")
	w.want(read, "") // it has seen the second write
	w.log.CommitAll(0)
	w.want(second, "ok")
	w.want(read, "=2")
	w.want(w.get(0, "a"), "=2")
}

func TestAFailedAppendChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.want(w.put(0, "a", "1"), "ok")
	w.log.FailAppends(fmt.Errorf("disk on fire: %w", ErrStorage))
	var after outcome
	w.rt.Do(0, func(m *register, t *Turn) {
		t.Append(Record{Key: []byte("a"), Value: []byte("2")})
		t.Then(func(*Turn) { after.set("then") })
		t.OnFailure(func(t *Turn, err error) { t.Reply(after.reply("failure handled")) })
	}, nil)
	w.want(&after, "failure handled")
	w.want(w.put(0, "a", "3"), "failed: disk on fire: "+ErrStorage.Error())
	w.log.FailAppends(nil)
	w.want(w.get(0, "a"), "=1")
}

func TestThenRunsBeforeAnyoneElse(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	var order []string
	w.rt.Do(0, func(m *register, t *Turn) {
		w.rt.Do(0, func(m *register, t *Turn) { order = append(order, "other") }, nil)
		t.Append(Record{Key: []byte("a"), Value: []byte("1")})
		t.Then(func(t *Turn) { order = append(order, "then "+m.values["a"]) })
	}, nil)
	if got := strings.Join(order, ","); got != "then 1,other" {
		t.Fatalf("order %s", got)
	}
}

func TestLoadingRefusesAndThenServes(t *testing.T) {
	w := newWorld(t)
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("a"), Value: []byte("1")}}, {Record: Record{Key: []byte("b"), Value: []byte("1")}}}})
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("b")}}}})
	w.log.AppendStored(0, StoredBatch{ProducerID: 7, Records: []StoredRecord{{Record: Record{Key: []byte("c"), Value: []byte("kept")}}}})
	w.log.AppendStored(0, StoredBatch{ProducerID: 7, EndTxn: &EndTxn{Commit: true}})
	w.log.AppendStored(0, StoredBatch{ProducerID: 8, Records: []StoredRecord{{Record: Record{Key: []byte("c"), Value: []byte("aborted")}}}})
	w.log.AppendStored(0, StoredBatch{ProducerID: 8, EndTxn: &EndTxn{}})
	w.want(w.get(0, "a"), "refused: "+ErrNotCoordinator.Error())
	release := w.log.HoldLoads()
	w.elect(0, 1)
	w.want(w.get(0, "a"), "refused: "+ErrLoading.Error())
	release()
	w.await("load", w.active)
	w.want(w.get(0, "a"), "=1")
	w.want(w.get(0, "b"), "=")
	w.want(w.get(0, "c"), "=kept")
}

func TestWhatIsLoadedButNotCommittedIsNotShown(t *testing.T) {
	w := newWorld(t)
	w.log.HoldCommits(true)
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("a"), Value: []byte("1")}}}})
	w.lead(0, 1)
	o := w.get(0, "a")
	w.want(o, "")
	w.log.CommitAll(0)
	w.want(o, "=1")
}

func TestResignationFailsAllThatWaits(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.log.HoldCommits(true)
	write := w.put(0, "a", "1")
	var own outcome
	w.rt.Do(0, func(m *register, t *Turn) { m.parked = append(m.parked, own.reply("machine answers")) }, nil)
	w.rt.Resign(0, 1) // the epoch that it was elected at: old news
	w.want(write, "")
	w.rt.Resign(0, 2)
	w.want(write, "failed: "+ErrNotCoordinator.Error())
	w.want(&own, "machine answers")
	w.want(w.get(0, "a"), "refused: "+ErrNotCoordinator.Error())
	w.log.CommitAll(0)
	w.rt.Resign(0, -1)
}

func TestADeposedLeaderCannotWrite(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.log.SetEpoch(0, 2)
	w.want(w.put(0, "a", "1"), "failed: "+ErrNotLeader.Error())
}

func TestAStaleLoadCannotWin(t *testing.T) {
	w := newWorld(t)
	release := w.log.HoldLoads()
	w.elect(0, 3)
	w.rt.Elect(0, 2) // comes late
	w.rt.Elect(0, 3) // comes twice
	w.elect(0, 4)
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("a"), Value: []byte("new")}}}})
	release()
	w.await("load", w.active)
	w.want(w.get(0, "a"), "=new")
	w.want(w.put(0, "a", "newer"), "ok")
	w.rt.Resign(0, 4)
	w.want(w.get(0, "a"), "=newer")
}

func TestAFailedLoadIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.log.FailLoads(errors.New("cannot read"))
	w.elect(0, 1)
	w.await("failure", func() bool { return w.rt.Counts().Failed == 1 })
	w.want(w.get(0, "a"), "refused: "+ErrNotCoordinator.Error())
	w.log.FailLoads(nil)
	w.await("retry", func() bool { w.clk.Advance(time.Second); return w.active() })
	w.want(w.put(0, "a", "1"), "ok")
}

func TestAPoisonedPartitionIsNotServed(t *testing.T) {
	w := newWorld(t)
	w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte("poison"), Value: []byte{}}}}})
	w.elect(0, 1)
	w.await("failure", func() bool { return w.rt.Counts().Failed == 1 })
	w.rt.Resign(0, -1)
}

func TestARecordThatIsSetAsideDoesNotStopTheLoad(t *testing.T) {
	var lines bytes.Buffer
	w := newWorld(t, func(c *Config[*register]) { c.Log = slog.New(slog.NewTextHandler(&lines, nil)) })
	for _, k := range []string{"a", "odd", "b"} {
		w.log.AppendStored(0, StoredBatch{ProducerID: NoProducerID, Records: []StoredRecord{{Record: Record{Key: []byte(k), Value: []byte("1")}}}})
	}
	w.lead(0, 1)
	w.want(w.get(0, "a"), "=1")
	w.want(w.get(0, "b"), "=1")
	if !strings.Contains(lines.String(), "level=ERROR") || !strings.Contains(lines.String(), "shard=register-0 offset=1 cause=") {
		t.Fatal(lines.String())
	}
}

func TestWhatCannotBeReadBackIsNotWritten(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.want(w.put(0, "a", "1"), "ok")
	o := w.put(0, "poison", "1")
	if !strings.HasPrefix(o.String(), "failed: "+ErrUnreadable.Error()) {
		t.Fatal(o)
	}
	if end := w.log.End(0); end != 1 {
		t.Fatalf("log end offset %d", end)
	}
	w.want(w.put(0, "b", "1"), "ok")
	w.rt.Resign(0, -1)
	w.lead(0, 2)
	w.want(w.get(0, "b"), "=1")
}

func TestWritesThatAreNotCommittedInTimeFail(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	w.log.HoldCommits(true)
	first := w.put(0, "a", "1")
	w.clk.Advance(3 * time.Second)
	second := w.put(0, "a", "2")
	w.clk.Advance(2 * time.Second)
	w.want(first, "failed: "+ErrTimedOut.Error())
	w.want(second, "")
	w.log.CommitAll(0)
	w.want(second, "ok")
	w.want(w.get(0, "a"), "=2") // committed late is committed all the same
}

func TestBounds(t *testing.T) {
	w := newWorld(t, func(c *Config[*register]) { c.MaxParked = 2; c.MaxQueued = 3 })
	w.lead(0, 1)
	w.log.HoldCommits(true)
	a, b, c := w.put(0, "a", "1"), w.put(0, "a", "2"), w.put(0, "a", "3")
	w.want(c, "refused: "+ErrOverloaded.Error())
	w.log.CommitAll(0)
	w.want(a, "ok")
	w.want(b, "ok")
	var results []*outcome
	w.rt.Do(0, func(*register, *Turn) {
		for i := 0; i < 4; i++ {
			results = append(results, w.get(0, "a"))
		}
	}, nil)
	w.want(results[2], "=2")
	w.want(results[3], "refused: "+ErrOverloaded.Error())
}

func TestOneBatchIsAllOrNothing(t *testing.T) {
	w := newWorld(t, func(c *Config[*register]) { c.MaxBatchBytes = 61 + 3*(recordOverheadBytes+2) })
	w.lead(0, 1)
	many := func(split bool) *outcome {
		o := &outcome{}
		w.rt.Do(0, func(m *register, t *Turn) {
			for i := 0; i < 7; i++ {
				t.Append(Record{Key: []byte{byte('a' + i)}, Value: []byte("1")})
			}
			if split {
				t.AllowSplit()
			}
			t.Reply(o.reply("ok"))
		}, nil)
		return o
	}
	w.want(many(false), "failed: "+ErrTooLarge.Error())
	if n := w.log.End(0); n != 0 {
		t.Fatalf("%d records of a refused batch were written", n)
	}
	w.want(many(true), "ok")
	if n := len(w.log.Batches(0)); n != 3 {
		t.Fatalf("%d batches, want 3", n)
	}
	w.want(w.put(0, "a", strings.Repeat("x", 1000)), "failed: "+ErrTooLarge.Error())
}

func TestTimers(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	var m *register
	do := func(fn func(t *Turn)) {
		w.rt.Do(0, func(r *register, t *Turn) { m = r; fn(t) }, nil)
	}
	k := func(name string) TimerKey { return TimerKey{Group: name} }
	do(func(t *Turn) {
		t.SetTimer(k("late"), 500)
		t.SetTimer(k("soon"), 100)
		t.SetTimer(k("stopped"), 100)
		t.SetTimer(k("moved later"), 50)
		t.SetTimer(k("moved sooner"), 900)
	})
	do(func(t *Turn) {
		t.StopTimer(k("stopped"))
		t.StopTimer(k("unknown"))
		t.SetTimer(k("moved later"), 700)
		t.SetTimer(k("moved sooner"), 20)
	})
	want := func(names ...string) {
		t.Helper()
		var got []string
		for _, f := range m.fired {
			got = append(got, f.Group)
		}
		if strings.Join(got, ",") != strings.Join(names, ",") {
			t.Fatalf("fired %v, want %v", got, names)
		}
	}
	w.clk.Advance(19 * time.Millisecond)
	want()
	w.clk.Advance(time.Millisecond)
	want("moved sooner")
	w.clk.Advance(90 * time.Millisecond)
	want("moved sooner", "soon")
	w.clk.Advance(time.Second)
	want("moved sooner", "soon", "late", "moved later")
	do(func(t *Turn) { t.SetTimer(k("after resignation"), 10) })
	w.rt.Resign(0, -1)
	w.clk.Advance(time.Second)
	want("moved sooner", "soon", "late", "moved later")
	if n := w.clk.Pending(); n != 0 {
		t.Fatalf("%d timers left", n)
	}
}

// Many goroutines, leadership that comes and goes, commits that lag: each request is answered once,
// and what was acknowledged is there under the next leader.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.log.HoldCommits(true)
	w.lead(0, 1)
	stop := make(chan struct{})
	var background sync.WaitGroup
	background.Add(2)
	go func() {
		defer background.Done()
		for {
			select {
			case <-stop:
				return
			default:
				w.log.CommitAll(0)
			}
		}
	}()
	go func() {
		defer background.Done()
		for epoch := int32(2); ; epoch++ {
			select {
			case <-stop:
				return
			default:
				w.elect(0, epoch)
				time.Sleep(2 * time.Millisecond)
			}
		}
	}()
	const writers, each = 8, 300
	outs := make([][]*outcome, writers)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < each; j++ {
				outs[i] = append(outs[i], w.put(0, fmt.Sprintf("%d-%d", i, j), "x"))
			}
		}()
	}
	wg.Wait()
	close(stop)
	background.Wait()
	w.await("active", w.active) // what was queued has been appended
	w.log.CommitAll(0)
	acked := 0
	for i := range outs {
		for j, o := range outs[i] {
			w.await("answer", func() bool { return o.String() != "" })
			if o.String() == "ok" {
				acked++
				w.want(w.get(0, fmt.Sprintf("%d-%d", i, j)), "=x")
			} else if strings.Contains(o.String(), "again") {
				t.Fatalf("answered twice: %s", o)
			}
		}
	}
	t.Logf("%d of %d acknowledged", acked, writers*each)
}

func TestGather(t *testing.T) {
	n := 0
	NewGather(0, func() { n++ })
	g := NewGather(2, func() { n += 10 })
	g.Done(func() {})
	if n != 1 {
		t.Fatal("done too early")
	}
	g.Done(func() {})
	if n != 11 {
		t.Fatal("not done")
	}
}

// A goroutine that brings one request to a shard must not be kept by the requests of all others.
func TestABusyShardLetsItsCallerGo(t *testing.T) {
	w := newWorld(t)
	w.lead(0, 1)
	const more = 10 * maxInlineTurns
	var last outcome
	w.rt.Do(0, func(m *register, t *Turn) {
		for i := 0; i < more; i++ {
			w.rt.Do(0, func(m *register, t *Turn) {
				t.Append(Record{Key: fmt.Appendf(nil, "%d", i), Value: []byte("x")})
				if i == more-1 {
					t.Reply(last.reply("ok"))
				}
			}, nil)
		}
	}, nil)
	w.await("the last turn", func() bool { return last.String() == "ok" })
	for i, b := range w.log.Batches(0) {
		if got := string(b.Records[0].Key); got != fmt.Sprint(i) {
			t.Fatalf("turn %s ran in the place of %d", got, i)
		}
	}
}

func TestIdleShardsCostNoGoroutines(t *testing.T) {
	w := newWorld(t)
	for p := int32(0); p < 2000; p++ {
		w.rt.Elect(p, 1)
	}
	w.await("all", w.active)
	before := runtime.NumGoroutine()
	if before > 50 {
		t.Fatalf("%d goroutines for 2000 idle shards", before)
	}
	w.want(w.put(1999, "a", "1"), "ok")
}
