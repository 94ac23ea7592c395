package coord

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// Bounds of a runtime, each of which a Config may change.
const (
	// DefaultCommitTimeoutMs is Kafka's default of offsets.commit.timeout.ms.
	DefaultCommitTimeoutMs = 5000
	// DefaultMaxBatchBytes is Kafka's default of max.message.bytes.
	DefaultMaxBatchBytes = 1048588
	// DefaultMaxQueued turns may wait for a shard: at some 10 us a turn they are a tenth of a second of work.
	DefaultMaxQueued = 10_000
	// DefaultMaxParked replies may wait for a shard's watermark: at some 200 bytes each, 20 MB.
	DefaultMaxParked = 100_000
	// DefaultMaxLoads partitions are read at once: enough to keep a disk busy, few enough to finish some soon.
	DefaultMaxLoads = 4
	// DefaultLoadRetryMs is the pause before a partition that could not be read is read anew.
	DefaultLoadRetryMs = 1000
)

// Config is what a Runtime needs. Zero numbers mean the defaults.
type Config[M Machine] struct {
	Name       string // for the log: "group", "transaction"
	Writer     Writer
	Loader     Loader
	Clock      clock.Clock
	Log        *slog.Logger // nil: silent
	NewMachine func(p int32) M

	CommitTimeoutMs int64
	MaxBatchBytes   int
	MaxQueued       int
	MaxParked       int
	MaxLoads        int
	LoadRetryMs     int64
}

// Runtime holds the shards of one coordinator topic that this node leads.
type Runtime[M Machine] struct {
	cfg    Config[M]
	born   time.Time          // where monoMs counts from
	loads  chan struct{}      // a place is taken for the length of a load
	ctx    context.Context    // ends at Close
	cancel context.CancelFunc //
	wg     sync.WaitGroup     // loads and drains that have their own goroutine

	mu     sync.RWMutex // guards what follows; never held while a shard runs
	shards map[int32]*shard[M]
	closed bool
	loaded []loadSample
}

// New returns a runtime that leads nothing yet.
func New[M Machine](cfg Config[M]) *Runtime[M] {
	defaultTo(&cfg.CommitTimeoutMs, DefaultCommitTimeoutMs)
	defaultTo(&cfg.MaxBatchBytes, DefaultMaxBatchBytes)
	defaultTo(&cfg.MaxQueued, DefaultMaxQueued)
	defaultTo(&cfg.MaxParked, DefaultMaxParked)
	defaultTo(&cfg.MaxLoads, DefaultMaxLoads)
	defaultTo(&cfg.LoadRetryMs, DefaultLoadRetryMs)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Runtime[M]{
		cfg:    cfg,
		born:   cfg.Clock.Now(),
		loads:  make(chan struct{}, cfg.MaxLoads),
		ctx:    ctx,
		cancel: cancel,
		shards: map[int32]*shard[M]{},
	}
}

func defaultTo[N int | int64](n *N, to N) {
	if *n == 0 {
		*n = to
	}
}

// Elect says that this node leads partition p since leaderEpoch. The partition is
// loaded in the background; until then requests are refused with ErrLoading. An
// epoch that is not newer than the known one is ignored, so news that come late
// or twice do no harm.
func (r *Runtime[M]) Elect(p, leaderEpoch int32) {
	r.mu.Lock()
	old := r.shards[p]
	if r.closed || (old != nil && old.epoch >= leaderEpoch) {
		r.mu.Unlock()
		return
	}
	s := newShard(r, p, leaderEpoch)
	r.shards[p] = s
	r.wg.Add(1)
	r.mu.Unlock()
	if old != nil {
		old.close(ErrNotCoordinator)
	}
	go func() {
		defer r.wg.Done()
		s.load()
	}()
}

// Resign says that this node no longer leads partition p. leaderEpoch is the epoch
// at which another leads, or -1 if the partition is gone: a shard elected at that
// epoch or later stays.
func (r *Runtime[M]) Resign(p, leaderEpoch int32) {
	r.mu.Lock()
	s := r.shards[p]
	if s == nil || (leaderEpoch >= 0 && s.epoch >= leaderEpoch) {
		r.mu.Unlock()
		return
	}
	delete(r.shards, p)
	r.mu.Unlock()
	s.close(ErrNotCoordinator)
}

// HighWatermark says how far partition p is committed. It may be called from
// anywhere, within Writer.Append too.
func (r *Runtime[M]) HighWatermark(p int32, hw int64) {
	if s := r.shard(p); s != nil {
		s.advance(hw)
	}
}

// Do runs op on the shard of partition p, now or after the turns that wait before it. If
// that cannot be, refuse is called instead. Either may run on another goroutine.
func (r *Runtime[M]) Do(p int32, op func(m M, t *Turn), refuse func(error)) {
	s := r.shard(p)
	if s == nil {
		refuse(ErrNotCoordinator)
		return
	}
	s.submit(event[M]{op: op, refuse: refuse})
}

// Partitions are the partitions led by this node, loading ones included, in order.
func (r *Runtime[M]) Partitions() []int32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]int32, 0, len(r.shards))
	for p := range r.shards {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Counts are the numbers of shards by what they are at.
type Counts struct{ Loading, Active, Failed int }

// Counts tells how many shards load, serve, or could not be loaded.
func (r *Runtime[M]) Counts() Counts {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var c Counts
	for _, s := range r.shards {
		switch s.currentState() {
		case stateLoading:
			c.Loading++
		case stateActive:
			c.Active++
		case stateFailed:
			c.Failed++
		}
	}
	return c
}

// Idle tells whether no turn runs or waits, and nothing is being loaded.
func (r *Runtime[M]) Idle() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.shards {
		if s.isBusy() {
			return false
		}
	}
	return true
}

// Close gives up every shard, answers all that is parked with ErrNotCoordinator and
// waits for loads and turns to end. It must not be called from within a turn.
func (r *Runtime[M]) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	shards := r.shards
	r.shards = map[int32]*shard[M]{}
	r.mu.Unlock()
	r.cancel()
	for _, s := range shards {
		s.close(ErrNotCoordinator)
	}
	for _, s := range shards {
		<-s.gone
	}
	r.wg.Wait()
}

func (r *Runtime[M]) shard(p int32) *shard[M] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.shards[p]
}

func (r *Runtime[M]) nowMs() int64 { return clock.Millis(r.cfg.Clock.Now()) }

// monoMs counts milliseconds since New on the monotonic clock.
func (r *Runtime[M]) monoMs() int64 { return r.cfg.Clock.Now().Sub(r.born).Milliseconds() }

// spawn runs fn on a goroutine that Close waits for.
func (r *Runtime[M]) spawn(fn func()) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return false
	}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		fn()
	}()
	return true
}

func (r *Runtime[M]) describe(p int32) string { return fmt.Sprintf("%s-%d", r.cfg.Name, p) }
