package storage

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

var (
	allCuts = flag.Bool("cuts.all", false, "cut the power after every operation, not only after some")
	oneCut  = flag.Int("cuts.only", -1, "cut the power around this operation only")
	tears   = flag.Int("cuts.torn", 2, "in how many ways to tear what was not synced")
)

// cutOutcome is what a cut of the power may leave of what was not synced. After killed and refused, only the process has died; from
// torn on, part of it is left.
type cutOutcome int

const (
	lost cutOutcome = iota
	kept
	killed
	refused   // as killed, but the disk has refused what was noted of changed logs
	namesLost // and the data kept
	dataLost  // and the names kept
	torn
)

func (o cutOutcome) String() string {
	if o >= torn {
		return fmt.Sprintf("torn (%d)", o-torn)
	}
	return [...]string{"lost", "kept", "kept, and the kernel runs on", "kept, but for the notes of changed logs", "names lost", "data lost"}[o]
}

// near is how far from an operation its number may move from run to run, as two directories are loaded side by side.
const near = 12

// cutWork does everything to logs that a node does to its, and tells the model of it.
type cutWork struct {
	t     tb
	fsys  vfs.FS
	clk   *clock.Fake
	m     *Manager
	model *cutModel
	seq   map[string]int32
	ts    int64
}

func (w *cutWork) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *cutWork) start(boot string) {
	w.model.do(func() { w.model.boot = boot })
	m, err := openCut(w.fsys, w.clk, boot)
	w.check(err)
	w.m = m
}

// settle waits for the syncs in the background, so that the operations have one order.
func (w *cutWork) settle() {
	for _, d := range w.m.dirs {
		s := d.env.syncer
		s.mu.Lock()
		for s.workers > 0 {
			s.idle.Wait()
		}
		s.mu.Unlock()
	}
}

func (w *cutWork) create(p *cutLog, dir byte) *Log {
	l, err := w.m.CreateLog(p.tp, p.id, cutConfig(p.tp.Topic), [16]byte{dir})
	w.check(err)
	w.model.do(func() { p.made = true })
	return l
}

func (w *cutWork) log(p *cutLog) *Log {
	l := w.m.Log(p.tp)
	w.check(l.Wake())
	return l
}

// put appends a batch as leader.
func (w *cutWork) put(p *cutLog, epoch int32, o record.BuilderOptions, values ...string) {
	l := w.log(p)
	w.ts += 10
	b := record.NewBuilder(o)
	for i, v := range values {
		k, _, _ := strings.Cut(v, "=")
		b.Append(w.ts+int64(i), []byte(k), []byte(v), nil)
	}
	w.putBatch(l, p, epoch, b.Build())
}

func (w *cutWork) putBatch(l *Log, p *cutLog, epoch int32, b record.Batch) {
	end := l.LogEndOffset()
	w.model.append(p, b, end, epoch)
	info, err := l.AppendAsLeader(b, epoch, FromCoordinator)
	if err != nil || info.FirstOffset != end {
		w.t.Fatalf("%s: %+v %v", p.tp, info, err)
	}
	w.commit(p)
	w.settle()
}

// next is the options of an idempotent producer's next batch.
func (w *cutWork) next(p *cutLog, pid int64, n int, txn bool) record.BuilderOptions {
	key := fmt.Sprint(p.tp, pid, p.id)
	o := record.BuilderOptions{HasProducer: true, ProducerID: pid, BaseSequence: w.seq[key], Transactional: txn}
	w.seq[key] += int32(n)
	return o
}

func (w *cutWork) end(p *cutLog, pid int64, commit bool) {
	w.ts += 10
	w.putBatch(w.log(p), p, 1, record.EndTxnBatch(pid, 0, w.ts, record.EndTxnMarker{Commit: commit}))
}

// follow appends batches as a follower of an epoch, all of them committed.
func (w *cutWork) follow(p *cutLog, epoch int32, n int) {
	w.followUncommitted(p, epoch, n)
	w.commit(p)
	w.settle()
}

// commit raises the high watermark to the log's end.
func (w *cutWork) commit(p *cutLog) {
	l := w.log(p)
	w.model.do(func() { p.committed = l.LogEndOffset() })
	l.SetHighWatermark(l.LogEndOffset())
}

func (w *cutWork) followUncommitted(p *cutLog, epoch int32, n int) {
	l := w.log(p)
	var all []byte
	for i := range n {
		w.ts += 10
		b := batchOf(record.BuilderOptions{}, w.ts, fmt.Sprintf("f%d of epoch %d", i, epoch), strings.Repeat("f", 30))
		all = append(all, w.model.append(p, b, l.LogEndOffset()+2*int64(i), epoch)...)
	}
	_, err := l.AppendAsFollower(all, epoch)
	w.check(err)
	w.settle()
}

func (w *cutWork) sync(p *cutLog) {
	l := w.log(p)
	w.check(l.Flush())
	w.settle()
	w.model.do(func() { p.acked = l.FlushedOffset() })
}

func (w *cutWork) cut(p *cutLog, at int64) {
	l := w.log(p)
	w.model.cutting(p, at)
	w.check(l.TruncateTo(at))
	w.model.cut(p, l.LogEndOffset())
	w.settle()
}

func (w *cutWork) deleteRecords(p *cutLog, at int64) {
	w.check(w.log(p).AdvanceLogStartOffset(at))
	w.model.do(func() { p.deleted = at })
	w.settle()
}

func (w *cutWork) retain(p *cutLog, bytes int64) {
	cfg := cutConfig(p.tp.Topic)
	cfg.RetentionBytes = bytes
	l := w.log(p)
	l.SetConfig(cfg)
	_, err := l.DeleteOldSegments()
	w.check(err)
	l.SetConfig(cutConfig(p.tp.Topic))
	w.model.do(func() { p.deleted = max(p.deleted, l.LogStartOffset()) })
	w.settle()
}

func (w *cutWork) clean(p *cutLog) {
	l := w.log(p)
	d := w.m.dirOf(l)
	to, known := d.cleanedTo(l.tp)
	dirty, err := l.inspect(to, known, w.m.cleaner.nowMs())
	w.check(err)
	if !w.m.cleaner.cleanLog(0, dirty) {
		w.t.Fatalf("cleaning failed: %v", w.m.cleaner.uncleanable[l])
	}
	w.settle()
}

func (w *cutWork) time(d time.Duration) {
	w.clk.Advance(d)
	w.settle()
}

func (w *cutWork) stop(clean bool) { w.check(w.m.Close(clean)) }

// run is the workload.
func (w *cutWork) run() {
	for i, d := range cutDirs {
		w.check(w.fsys.MkdirAll(d, 0o755))
		w.check(WriteMetaProperties(w.fsys, d, MetaProperties{ClusterID: "c", NodeID: 1, DirectoryID: [16]byte{byte(i + 1)}}))
		w.model.do(func() { w.model.formatted = i + 1 })
	}
	w.start("boot 1")
	leader := w.model.newLog(TopicPartition{"lead", 0}, 1)
	w.create(leader, 1)
	for i := range 8 {
		w.put(leader, 1, w.next(leader, cutProducer, 2, false), fmt.Sprint("a", i), strings.Repeat("v", 60))
		if i%3 == 2 {
			w.sync(leader)
		}
	}
	_, err := w.log(leader).BeginEpoch(2)
	w.check(err)
	w.put(leader, 2, record.BuilderOptions{Codec: record.LZ4}, "b=1", "b=2", "b=3")
	w.sync(leader)
	w.time(time.Minute) // checkpoints

	txn := w.model.newLog(TopicPartition{"txn", 0}, 2)
	w.create(txn, 1)
	for i := range 5 {
		w.put(txn, 1, w.next(txn, 20, 1, true), fmt.Sprint("t", i))
		w.put(txn, 1, w.next(txn, 21, 2, true), fmt.Sprint("u", i), strings.Repeat("u", 50))
		w.put(txn, 1, w.next(txn, cutProducer, 1, false), "plain")
		w.end(txn, 20, i%2 == 0)
		if i%2 == 1 {
			w.end(txn, 21, false)
		}
		if i == 2 {
			w.sync(txn)
		}
	}
	w.sync(txn)
	w.time(time.Minute)
	w.cut(txn, 17)
	w.put(txn, 2, record.BuilderOptions{}, "after the cut")
	w.sync(txn)

	follower := w.model.newLog(TopicPartition{"follow", 0}, 3)
	w.create(follower, 2)
	w.follow(follower, 1, 6)
	w.sync(follower)
	w.follow(follower, 3, 5)
	w.time(time.Minute)
	w.cut(follower, 14)
	w.follow(follower, 4, 8)
	w.cut(follower, 26)
	w.follow(follower, 5, 1)
	w.sync(follower)
	w.retain(follower, 700)
	w.deleteRecords(follower, w.log(follower).LogEndOffset()-3)
	{
		l := w.log(follower)
		w.model.cutting(follower, 0)
		w.model.do(func() { follower.deleted = 0 })
		w.check(l.TruncateFullyAndStartAt(100))
		w.model.cut(follower, 0)
		w.settle()
	}
	w.model.do(func() { follower.deleted = 0 })
	w.follow(follower, 6, 2)
	w.sync(follower)

	compact := w.model.newLog(TopicPartition{"compact", 0}, 4)
	compact.compact = true
	w.create(compact, 1)
	for round := range 3 {
		for i := range 6 {
			w.put(compact, 1, w.next(compact, int64(30+i%2), 1, i%2 == 0), fmt.Sprintf("k%d=%d %s", i%4, round, strings.Repeat("c", 40)))
		}
		w.end(compact, 30, round != 1)
		w.check(w.log(compact).Roll())
		w.sync(compact)
		if round != 1 {
			w.time(40 * time.Second) // checkpoints
		}
		w.clean(compact)
	}
	w.cutBack()
	w.uncommitted()
	w.anew()
	w.late()
	w.stop(true)

	w.start("boot 1")
	w.put(leader, 2, w.next(leader, cutProducer, 2, false), "the first after an orderly stop", strings.Repeat("v", 90))
	w.deleteRecords(leader, 5)
	w.put(leader, 2, w.next(leader, cutProducer, 1, false), "after an orderly stop")
	w.retain(leader, 500)
	w.sync(leader)
	w.move(leader, txn)
	old := w.model.newLog(TopicPartition{"gone", 0}, 5)
	w.create(old, 1)
	for i := range 4 {
		w.put(old, 1, w.next(old, cutProducer, 1, false), fmt.Sprint("gone", i))
	}
	w.sync(old)
	w.time(time.Minute)
	w.model.cutting(old, 0)
	w.check(w.m.DeleteLog(old.tp))
	w.model.do(func() { old.removed = w.model.number + 1 })
	again := w.model.newLog(old.tp, 6)
	w.create(again, 1)
	w.put(again, 1, w.next(again, cutProducer, 1, false), "another topic of the name")
	w.sync(again)
	w.time(2 * time.Minute) // the directories of deleted logs and the files of deleted segments go
	w.put(leader, 3, w.next(leader, cutProducer, 1, false), "not synced")
	w.forgetful()
	w.put(txn, 3, w.next(txn, cutProducer, 1, false), "after a power cut")
	w.sync(txn)
	w.stop(true)
}

// cutBack cuts a segment off, and appends up to where it began.
func (w *cutWork) cutBack() {
	p := w.model.newLog(TopicPartition{"back", 0}, 7)
	w.create(p, 2)
	for range 3 {
		w.follow(p, 1, 2)
		w.check(w.log(p).Roll())
	}
	w.sync(p)
	w.time(time.Minute)
	w.cut(p, 6)
	w.follow(p, 9, 1)
	w.follow(p, 9, 1)
	w.sync(p)
}

// uncommitted cuts off what was committed, as a leader that was elected uncleanly has it, above what was synced. What takes its place is
// not committed.
func (w *cutWork) uncommitted() {
	p := w.model.newLog(TopicPartition{"uncommitted", 0}, 10)
	w.create(p, 2)
	w.follow(p, 1, 2)
	w.sync(p)
	w.follow(p, 1, 2)
	w.time(time.Minute) // the high watermark is noted, and of the recovery point the lower place
	w.cut(p, 6)
	w.followUncommitted(p, 2, 3)
	w.sync(p)
	w.followUncommitted(p, 2, 1)
}

// anew begins a log that has nothing yet where its leader's begins.
func (w *cutWork) anew() {
	p := w.model.newLog(TopicPartition{"anew", 0}, 11)
	w.create(p, 2)
	w.check(w.log(p).TruncateFullyAndStartAt(41))
	w.model.do(func() { p.acked, p.begins = 41, 41 })
	w.settle()
	w.follow(p, 3, 1)
	w.sync(p)
}

// late has the largest timestamp first, so that the time index alone knows of it.
func (w *cutWork) late() {
	p := w.model.newLog(TopicPartition{"late", 0}, 8)
	w.create(p, 2)
	w.ts += 1_000_000
	w.put(p, 1, record.BuilderOptions{}, "early", strings.Repeat("e", 9))
	w.put(p, 1, record.BuilderOptions{}, "early too", strings.Repeat("e", 9))
	w.ts -= 1_000_000
	for range 2 {
		w.put(p, 1, record.BuilderOptions{}, "late", strings.Repeat("l", 9))
	}
	w.sync(p)
	w.time(time.Minute)
	w.put(p, 1, record.BuilderOptions{}, "later")
}

// forgetful ends a run without an orderly stop, and deletes the batches of a producer in the next one.
func (w *cutWork) forgetful() {
	p := w.model.newLog(TopicPartition{"forget", 0}, 9)
	w.create(p, 2)
	w.put(p, 1, w.next(p, 50, 1, true), "begun")
	w.stop(true)
	w.start("boot 1")
	w.put(p, 1, w.next(p, 51, 1, false), strings.Repeat("f", 300))
	w.end(p, 50, true)
	for range 4 {
		w.put(p, 1, w.next(p, cutProducer, 1, false), strings.Repeat("f", 300))
	}
	w.stop(false)
	w.start("boot 2")
	w.sync(p)
	w.retain(p, 1) // all but the active segment, the snapshot at the beginning of which nobody has synced
	w.put(p, 1, w.next(p, cutProducer, 1, false), "after retention")
	w.sync(p)
}

// move moves a log to the other directory while another is written to.
func (w *cutWork) move(p, other *cutLog) {
	f, err := w.m.BeginMove(p.tp, "/e")
	w.check(err)
	copyAll(w.t, f)
	w.put(p, 2, w.next(p, cutProducer, 1, false), "between copy and swap")
	w.put(other, 2, w.next(other, cutProducer, 1, false), "elsewhere")
	w.settle()
	_, err = f.Swap()
	w.check(err)
	w.settle()
	w.put(p, 2, w.next(p, cutProducer, 1, false), "after the swap")
	w.sync(p)
}

// cut is a disk as the power left it, and what was promised.
type cutCase struct {
	op      int
	what    vfs.Op
	outcome cutOutcome
	check   cutCheck
}

func (c cutCase) name() string {
	return fmt.Sprintf("operation %d (%s %s), unsynced %s", c.op, c.what.Kind, c.what.Name, c.outcome)
}

// forEachCut runs the workload once, and calls try, in parallel, for each cut that is wanted; hook may leave syncs out.
func forEachCut(t tb, wanted func(op int, o cutOutcome) bool, hook func(vfs.Op) error, try func(cutCase)) (ops, cuts int) {
	base := vfs.NewMem()
	model := &cutModel{}
	clk := newTestClock()
	cases := make(chan cutCase, 64)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for c := range cases {
				try(c)
			}
		})
	}
	var mu sync.Mutex // guards what follows, and the order of cuts
	// Every other cut leaves the kernel as it is, as when a file system is shut down and mounted again.
	clone := func(op int, o cutOutcome) (*vfs.Mem, string) {
		boot := model.look(clk.Now()).boot
		if op%2 == 0 && o != killed && o != refused {
			boot = "boot 3"
		}
		switch o {
		case lost:
			return base.CrashClone(), boot
		case kept:
			return base.MixedClone(true, true), boot
		case killed:
			return base.KillClone(), boot
		case refused:
			fsys := base.KillClone()
			for _, d := range cutDirs {
				fsys.RefusePages(d + "/" + touchedFile)
			}
			return fsys, boot
		case namesLost:
			return base.MixedClone(false, true), boot
		case dataLost:
			return base.MixedClone(true, false), boot
		}
		return base.TornClone(rand.New(rand.NewPCG(uint64(op), uint64(o)))), boot
	}
	cut := func(op vfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		ops++
		for o := range torn + cutOutcome(*tears) {
			if !wanted(ops, o) {
				continue
			}
			cuts++
			fsys, boot := clone(ops, o)
			cases <- cutCase{op: ops, what: op, outcome: o, check: cutCheck{fsys: fsys, boot: boot, dead: o == killed || o == refused, p: model.look(clk.Now())}}
		}
	}
	w := &cutWork{t: t, clk: clk, model: model, seq: map[string]int32{}, ts: epochStart.UnixMilli()}
	w.fsys = vfs.NewFault(base, func(op vfs.Op) error {
		if !op.Kind.Mutates() {
			return nil
		}
		cut(op)
		if hook != nil {
			return hook(op)
		}
		return nil
	})
	func() {
		defer func() { close(cases); wg.Wait() }()
		w.run()
		cut(vfs.Op{Kind: "end"})
	}()
	return ops, cuts
}

// The power is cut before each write, sync, rename, truncate and remove, and at the end. What the disk has then is opened: what was
// synced is there, in order, nothing else is, epochs, producers and aborted transactions agree with the batches, a second start
// finds the same, and appends go on.
func TestThePowerIsCutAfterEachOperation(t *testing.T) {
	stride := 7
	if *allCuts {
		stride = 1
	}
	var mu sync.Mutex
	failed := 0
	ops, cuts := forEachCut(t, func(op int, o cutOutcome) bool {
		if *oneCut >= 0 {
			return op >= *oneCut-near && op <= *oneCut+near
		}
		return (op+int(o))%stride == 0
	}, nil, func(c cutCase) {
		err := c.check.verify()
		mu.Lock()
		defer mu.Unlock()
		if err != nil && failed < 10 {
			t.Errorf("%s: %v\nalone: go test ./internal/storage -run %s -v -args -cuts.only %d -cuts.torn 20", c.name(), err, t.Name(), c.op)
		}
		if err != nil {
			failed++
		}
	})
	t.Logf("%d cuts of the power at %d operations, %d failed", cuts, ops, failed)
	if *oneCut < 0 && cuts < 800 {
		t.Errorf("only %d cuts", cuts)
	}
}
