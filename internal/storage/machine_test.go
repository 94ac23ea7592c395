package storage

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

var (
	machineSeed = flag.Uint64("machine.seed", 0, "the seed of the first run against the model; alone, that run only, told step by step")
	machineRuns = flag.Int("machine.runs", 0, "how many runs against the model")
)

const (
	// defaultMachineRuns are a few seconds.
	defaultMachineRuns = 120
	// Of the runs that fail, so many are made short, which takes time, and so many told.
	toldShort, toldAtAll = 3, 200
)

// machine does to a log whatever can happen to one, beside a model of it, and compares the two after each step. All of a run
// follows from its seed: the configuration, the steps, and what each does. A step has a seed of its own, so that a run
// that fails still means something when steps that have no part in it are left out.
type machine struct {
	fs    *vfs.Mem
	clk   *clock.Fake
	boot  int
	cfg   LogConfig
	open  ManagerOptions // but for what a start has of its own
	m     *Manager
	l     *Log
	move  *Future
	id    byte
	model *told
	epoch int32 // of the leader
	value int
	r     *rand.Rand // of the step
	trace []string

	hookMu sync.Mutex
	hooked bool
	hook   func() // called before each operation that changes the file system, while it is set
}

// step is one thing that is done.
type step struct {
	name string
	seed uint64
}

type machineStep struct {
	name   string
	weight int
	do     func(*machine)
}

// machineSteps are what a run draws from, each as often as it says.
func machineSteps() []machineStep {
	return []machineStep{
		{"append", 30, (*machine).append},
		{"append several", 4, (*machine).appendSeveral},
		{"follow", 8, (*machine).follow},
		{"end a transaction", 14, (*machine).endTxn},
		{"send again", 4, (*machine).sendAgain},
		{"send what is refused", 4, (*machine).sendRefused},
		{"commit", 14, (*machine).commit},
		{"begin an epoch", 3, (*machine).beginEpoch},
		{"flush", 8, (*machine).flush},
		{"roll", 5, (*machine).roll},
		{"time", 6, (*machine).time},
		{"truncate", 4, (*machine).truncate},
		{"begin anew", 1, (*machine).beginAnew},
		{"delete records", 4, (*machine).deleteRecords},
		{"retention", 4, (*machine).retention},
		{"clean", 6, (*machine).clean},
		{"expire producers", 2, (*machine).expire},
		{"another configuration", 1, (*machine).reconfigure},
		{"another topic", 1, (*machine).anotherTopic},
		{"begin a move", 2, (*machine).beginMove},
		{"copy", 5, (*machine).copy},
		{"end a move", 3, (*machine).endMove},
		{"give a move up", 1, (*machine).giveMoveUp},
		{"stop and start", 4, (*machine).restart},
		{"kill", 4, (*machine).kill},
		{"power cut", 4, (*machine).powerCut},
		{"die within", 8, (*machine).dieWithin},
	}
}

// machineFailure is thrown by a step or a comparison.
type machineFailure struct{ error }

func (x *machine) failf(format string, args ...any) {
	panic(machineFailure{fmt.Errorf(format, args...)})
}

func (x *machine) must(err error) {
	if err != nil {
		panic(machineFailure{err})
	}
}

// machineTB lets helpers of tests fail a run.
type machineTB struct{}

func (machineTB) Helper()           {}
func (machineTB) Fatal(args ...any) { panic(machineFailure{errors.New(fmt.Sprint(args...))}) }
func (machineTB) Fatalf(format string, args ...any) {
	panic(machineFailure{fmt.Errorf(format, args...)})
}

func (x *machine) upTo(n int) int           { return x.r.IntN(n + 1) }
func (x *machine) between(a, b int64) int64 { return a + x.r.Int64N(b-a+1) }
func (x *machine) oneIn(n int) bool         { return x.r.IntN(n) == 0 }

// drawSteps is the run of a seed.
func drawSteps(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	total := 0
	for _, s := range machineSteps() {
		total += s.weight
	}
	var steps []step
	for range 20 + r.IntN(80) {
		at := r.IntN(total)
		for _, s := range machineSteps() {
			if at -= s.weight; at < 0 {
				steps = append(steps, step{s.name, r.Uint64()})
				break
			}
		}
	}
	return steps
}

// newMachine draws the configuration of a seed.
func newMachine(seed uint64) *machine {
	r := rand.New(rand.NewPCG(seed, 2))
	x := &machine{fs: vfs.NewMem(), clk: newTestClock(), model: newTold(), epoch: 1, id: 1}
	x.cfg = smallConfig()
	x.cfg.SegmentBytes = 300 + r.IntN(1500)
	x.cfg.IndexIntervalBytes = []int{0, 50, 100, 400}[r.IntN(4)]
	x.cfg.IndexBytes = []int{24, 60, 200, 2000}[r.IntN(4)]
	x.cfg.SegmentMs = []int64{5_000, 60_000, 7 * 24 * 3_600_000}[r.IntN(3)]
	x.cfg.SegmentJitterMs = []int64{0, 3_000}[r.IntN(2)]
	x.cfg.DeleteRetentionMs = 60_000
	x.cfg.MinCleanableDirtyRatio = 0
	x.cfg.Compact = r.IntN(3) == 0
	x.cfg.Delete = !x.cfg.Compact || r.IntN(2) == 0
	x.cfg.Preallocate = r.IntN(6) == 0
	if r.IntN(6) == 0 {
		x.cfg.FlushMessages = int64(1 + r.IntN(8))
	}
	if r.IntN(6) == 0 {
		x.cfg.TimestampType = 1
	}
	x.open = ManagerOptions{Logger: quiet(), Dirs: cutDirs[:], ClusterID: "c", NodeID: 1, DirCheckIntervalMs: -1, VerifyReads: r.IntN(2) == 0,
		RetentionCheckIntervalMs: 1 << 40, BrokerEpoch: func() int64 { return 7 }, MaxOpenFiles: []int{0, 3}[r.IntN(2)]}
	x.open.tornTailBytes = 64
	x.open.Cleaner = DefaultCleanerConfig()
	x.open.Cleaner.DedupeBufferBytes, x.open.Cleaner.IOBufferBytes = []int64{24 * keySlotBytes, 1 << 16}[r.IntN(2)], 1
	return x
}

// run does the steps; the error says which failed and why.
func (x *machine) run(steps []step) (err error) {
	at := "the first start"
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(machineFailure)
			if !ok {
				buf := make([]byte, 8<<10)
				f = machineFailure{fmt.Errorf("panic: %v\n%s", p, buf[:runtime.Stack(buf, false)])}
			}
			err = fmt.Errorf("%s: %w", at, f.error)
		}
		func() {
			defer func() { _ = recover() }() // of a log that has failed already
			if x.m != nil {
				_ = x.m.Close(false)
			}
		}()
	}()
	format(machineTB{}, x.fs, cutDirs[:]...)
	x.must(x.fs.SyncDir("/"))
	x.start()
	x.check()
	for i, s := range steps {
		at = fmt.Sprintf("step %d, %s", i, s.name)
		x.do(s)
		x.settle()
		x.trace = append(x.trace, fmt.Sprintf("%d %s: %s", i, s.name, x.state()))
		x.check()
	}
	return nil
}

func (x *machine) do(s step) {
	x.r = rand.New(rand.NewPCG(s.seed, 3))
	for _, m := range machineSteps() {
		if m.name == s.name {
			m.do(x)
		}
	}
}

func (x *machine) state() string {
	return fmt.Sprintf("[%d, %d) synced %d, high watermark %d, cleaned %d, epochs %v, in %s at +%v", x.l.LogStartOffset(), x.l.LogEndOffset(), x.l.FlushedOffset(), x.l.HighWatermark(), x.model.cleaned,
		x.l.epochs.entries, x.l.dir, x.clk.Now().Sub(epochStart))
}

// settle waits for what runs in the background, so that the run is the same each time.
func (x *machine) settle() {
	for _, d := range x.m.dirs {
		s := d.env.syncer
		s.mu.Lock()
		for s.workers > 0 {
			s.idle.Wait()
		}
		s.mu.Unlock()
	}
}

// start opens the directories as they are.
func (x *machine) start() {
	x.clk.Advance(time.Millisecond) // names of deleted directories are made of the time
	o := x.open
	o.FS, o.Clock, o.BootID, o.DefaultConfig = x.watched(), x.clk, fmt.Sprint("boot ", x.boot), x.cfg
	var err error
	x.m, err = OpenManager(o)
	x.must(err)
	for _, d := range x.m.Dirs() {
		x.must(d.Err)
	}
	x.take()
	x.move = nil
	for _, f := range x.m.ResumeMoves() {
		x.move = f
	}
}

// watched is the file system as the logs see it.
func (x *machine) watched() vfs.FS {
	return vfs.NewFault(x.fs, func(op vfs.Op) error {
		x.hookMu.Lock()
		defer x.hookMu.Unlock()
		if x.hooked && op.Kind.Mutates() {
			x.hook()
		}
		return nil
	})
}

func (x *machine) setHook(on bool) {
	x.hookMu.Lock()
	defer x.hookMu.Unlock()
	x.hooked = on
}

func (x *machine) topicID() [16]byte { return [16]byte{0xAC, x.id} }

// take makes the log, or takes the one that is there, as the node does when it is told of the topic.
func (x *machine) take() {
	var err error
	x.l, err = x.m.CreateLog(testTP, x.topicID(), x.cfg, [16]byte{})
	x.must(err)
	x.l.SetConfig(x.cfg)
	x.must(x.l.Wake())
}

// tellMachine is a failure with all that led to it.
func tellMachine(seed uint64, steps []step, x *machine, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nagain: go test ./internal/storage -run TestALogAgainstItsModel -v -args -machine.seed %d\nwith %d steps:\n", seed, err, seed, len(steps))
	fmt.Fprintf(&b, "%+v\n", x.cfg)
	for _, t := range x.trace {
		b.WriteString(t + "\n")
	}
	func() {
		defer func() { _ = recover() }()
		for _, d := range cutDirs {
			for _, e := range must(x.fs.ReadDir(d)) {
				b.WriteString(d + "/" + e.Name() + "\n")
			}
		}
		b.WriteString(files(machineTB{}, x.fs, x.l.dir))
		for _, s := range x.l.segments {
			fmt.Fprintf(&b, "segment %d: %d bytes, in memory %v\n", s.base, s.size, s.inMemory)
		}
		for _, t := range x.model.batches {
			fmt.Fprintf(&b, "[%d, %d) epoch %d producer %d/%d sequence %d transactional %v marker %v commit %v\n", t.base, t.next, t.leaderEpoch, t.pid, t.epoch, t.seq, t.txn, t.marker, t.commit)
		}
	}()
	return b.String()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// runMachine is one run; what fails is made short, if that is wanted.
func runMachine(seed uint64, short func() bool) string {
	steps := drawSteps(seed)
	err := newMachine(seed).run(steps)
	if err == nil {
		return ""
	}
	if !short() {
		return fmt.Sprintf("seed %d: %v", seed, err)
	}
	first := err
	for n := len(steps) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(steps); {
			fewer := slices.Concat(steps[:i], steps[i+n:])
			if newMachine(seed).run(fewer) != nil {
				steps = fewer
			} else {
				i += n
			}
		}
	}
	x := newMachine(seed)
	if err = x.run(steps); err == nil {
		return fmt.Sprintf("seed %d: %v\nit does not fail each time", seed, first)
	}
	return tellMachine(seed, steps, x, err)
}

// A log and all that can happen to one, in any order: after each step it is what the model says, whoever asks. See machine.
func TestALogAgainstItsModel(t *testing.T) {
	runs, from := *machineRuns, *machineSeed
	switch {
	case runs > 0:
	case from > 0:
		runs = 1
	default:
		runs = defaultMachineRuns
	}
	began := time.Now()
	seeds := make(chan uint64)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards what is counted
	failed, steps, done := 0, 0, 0
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range seeds {
				told := runMachine(seed, func() bool {
					mu.Lock()
					defer mu.Unlock()
					failed++
					return failed <= toldShort
				})
				mu.Lock()
				done++
				steps += len(drawSteps(seed))
				if told != "" && failed <= toldAtAll {
					t.Error(told)
				}
				if runs > defaultMachineRuns && done%500 == 0 {
					fmt.Fprintf(os.Stderr, "%d runs, %d failed, %s\n", done, failed, time.Since(began).Round(time.Second))
				}
				mu.Unlock()
			}
		})
	}
	for i := range uint64(runs) {
		seeds <- from + i
	}
	close(seeds)
	wg.Wait()
	t.Logf("%d runs with %d steps, seeds %d to %d, %d failed", runs, steps, from, from+uint64(runs)-1, failed)
}
