package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/moldau-stream/moldau/internal/clock"
)

// CleanerConfig is what the log cleaner heeds, under Kafka's names. Begin with DefaultCleanerConfig.
type CleanerConfig struct {
	Enable              bool    // log.cleaner.enable
	Threads             int     // log.cleaner.threads
	DedupeBufferBytes   int64   // log.cleaner.dedupe.buffer.size, for all threads together
	IOBufferBytes       int     // log.cleaner.io.buffer.size, for all threads together
	IOBufferLoadFactor  float64 // log.cleaner.io.buffer.load.factor
	IOMaxBytesPerSecond float64 // log.cleaner.io.max.bytes.per.second, for all threads together
	BackoffMs           int64   // log.cleaner.backoff.ms
}

// DefaultCleanerConfig is Kafka's.
func DefaultCleanerConfig() CleanerConfig {
	return CleanerConfig{Enable: true, Threads: 1, DedupeBufferBytes: 128 << 20, IOBufferBytes: 512 << 10, IOBufferLoadFactor: 0.9,
		IOMaxBytesPerSecond: math.MaxFloat64, BackoffMs: 15_000}
}

// cleaner cleans the compacted logs of a manager. Each of its threads is a task of the scheduler: it
// cleans the dirtiest log, and the next, until none is worth it, and rests for the backoff.
type cleaner struct {
	m        *Manager
	throttle throttle
	stopped  chan struct{} // closed when the manager stops
	stopOnce sync.Once

	pickMu sync.Mutex // one thread looks for work at a time; held over a look at each log

	mu          sync.Mutex
	cfg         CleanerConfig
	started     bool
	running     map[int]bool   // threads that are at work or wait for their backoff
	busy        map[*Log]bool  // each log is cleaned by one thread at a time
	freed       sync.Cond      // one of them is busy no more
	uncleanable map[*Log]error // until the next start
	lastStats   map[int]cleaningStats
	lastRunMs   int64
	// What the last look over all logs has found.
	maxDirtyRatio float64
	maxDelayMs    int64
}

func newCleaner(m *Manager, cfg CleanerConfig) *cleaner {
	if cfg == (CleanerConfig{}) {
		cfg = DefaultCleanerConfig()
	}
	c := &cleaner{m: m, throttle: throttle{clock: m.opts.Clock}, stopped: make(chan struct{}), cfg: cfg, running: map[int]bool{}, busy: map[*Log]bool{},
		uncleanable: map[*Log]error{}, lastStats: map[int]cleaningStats{}}
	c.freed.L = &c.mu
	c.throttle.setRate(cfg.IOMaxBytesPerSecond)
	return c
}

func (c *cleaner) nowMs() int64 { return clock.Millis(c.m.opts.Clock.Now()) }

// SetCleanerConfig changes what the log cleaner heeds; it counts from the next log on, the speed at once.
// Whether there is a cleaner is decided when the manager opens.
func (m *Manager) SetCleanerConfig(cfg CleanerConfig) {
	c := m.cleaner
	c.mu.Lock()
	cfg.Enable = c.cfg.Enable
	faster := cfg.IOMaxBytesPerSecond != c.cfg.IOMaxBytesPerSecond
	c.cfg = cfg
	c.mu.Unlock()
	if faster {
		c.throttle.setRate(cfg.IOMaxBytesPerSecond)
	}
	c.start()
}

// StartCleaner lets the log cleaner and retention begin. It is called when the logs have the configuration of their topics: one that was
// opened under the node's defaults may look like a compacted one and not be.
func (m *Manager) StartCleaner() {
	m.cleaner.mu.Lock()
	m.cleaner.started = true
	m.cleaner.mu.Unlock()
	m.cleaner.start()
}

func (c *cleaner) hasStarted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

// start begins the threads that are wanted and not there.
func (c *cleaner) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cfg.Enable || !c.started {
		return
	}
	for id := range c.cfg.Threads {
		if !c.running[id] {
			c.running[id] = true
			c.rest(id)
		}
	}
}

// rest calls a thread again after the backoff.
func (c *cleaner) rest(id int) {
	c.m.scheduler.after(millis(max(1, c.cfg.BackoffMs)), func() { c.work(id) })
}

// stop makes running cleanings end soon.
func (c *cleaner) stop() { c.stopOnce.Do(func() { close(c.stopped) }) }

func (c *cleaner) isStopped() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

// work is one round of a thread.
func (c *cleaner) work(id int) {
	for !c.isStopped() && c.wanted(id) && c.cleanFilthiest(id) {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id >= c.cfg.Threads {
		delete(c.running, id)
		delete(c.lastStats, id)
		return
	}
	c.rest(id)
}

func (c *cleaner) wanted(id int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return id < c.cfg.Threads
}

// cleanFilthiest cleans the log that needs it most; false when none does.
func (c *cleaner) cleanFilthiest(id int) bool {
	d, ok := c.filthiest()
	if !ok {
		return false
	}
	cleaned := c.cleanLog(id, d)
	c.mu.Lock()
	delete(c.busy, d.l)
	c.mu.Unlock()
	c.freed.Broadcast()
	return cleaned
}

// awaitIdle returns when no pass over the log is under way; one ends soon when the log is being copied.
func (c *cleaner) awaitIdle(l *Log) {
	c.throttle.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.busy[l] {
		c.freed.Wait()
	}
}

// cleanLog does a pass over a log. A log whose pass fails is left alone from then on: the reason lies in its files, and the
// next pass would find it there again. What passes is no reason: a stop, a cut, a full disk.
func (c *cleaner) cleanLog(id int, d dirtyLog) (cleaned bool) {
	l := d.l
	p := c.newCleaning(d)
	err := c.m.dirOf(l).secure(l, d.upper, d.decided, d.cuts)
	end := d.first
	if err == nil {
		end, err = p.run(c.shares())
	}
	if err == nil {
		err = c.m.dirOf(l).noteCleaned(l, end, d.cuts)
	}
	switch {
	case err == nil:
		c.tell(l, d.first, end, &p.stats)
		c.mu.Lock()
		c.lastStats[id] = p.stats
		c.mu.Unlock()
		return true
	case isDiskFull(err):
		c.m.opts.Logger.Warn("cannot clean a log: the disk is full. It will be tried again", "partition", l.tp.String(), "err", err)
	case passes(err):
	case errors.Is(err, errCleanWrite) && isIOError(err):
		_ = l.fail(err) // as any other write that fails: it is told, and the directory goes out of use
	case isLasting(l, err):
		if isIOError(err) {
			l.env.suspect()
		}
		c.condemn(l, err)
	}
	return false
}

// isLasting says whether an error would be met again: it is not the log's end, a change under the cleaner, or want of
// something that may be there later.
func isLasting(l *Log, err error) bool {
	return !errors.Is(err, errCleaningAborted) && !errors.Is(err, errGone) && !passes(err) && l.Err() == nil
}

func (c *cleaner) condemn(l *Log, err error) {
	c.mu.Lock()
	gone := c.m.Log(l.tp) != l // forget has been or will be
	if !gone {
		c.uncleanable[l] = err
	}
	c.mu.Unlock()
	if gone {
		return
	}
	c.m.opts.Logger.Error("cannot clean a log, which will not be tried again before the next start: it only grows", "partition", l.tp.String(), "dir", l.dir, "err", err)
}

// shares is what one thread may use of the key map's memory.
func (c *cleaner) shares() (memoryBytes int64, loadFactor float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.DedupeBufferBytes / int64(max(1, c.cfg.Threads)), c.cfg.IOBufferLoadFactor
}

func (c *cleaner) newCleaning(d dirtyLog) *cleaning {
	c.mu.Lock()
	buffer := max(c.cfg.IOBufferBytes/max(1, c.cfg.Threads)/2, minCleanBufferBytes)
	c.mu.Unlock()
	cfg := d.l.Config()
	p := &cleaning{l: d.l, cfg: &cfg, first: d.first, upper: d.upper, cuts: d.cuts, nowMs: c.nowMs(), now: c.m.opts.Clock.Now, out: make([]byte, 0, buffer)}
	p.reader = cleanReader{buf: make([]byte, buffer), limit: max(int64(cfg.MaxMessageBytes), maxCleanBatchBytes), took: func(n int) error {
		c.throttle.took(n, c.stopped, func() bool { return p.checkDone() != nil })
		if c.isStopped() {
			return fmt.Errorf("%w: the node stops", errCleaningAborted)
		}
		return p.checkDone()
	}}
	return p
}

// tell logs what a pass has done.
func (c *cleaner) tell(l *Log, first, end int64, s *cleaningStats) {
	share := func(part, whole int64) float64 {
		if whole == 0 {
			return 0
		}
		return math.Round(1000*float64(part)/float64(whole)) / 10
	}
	c.m.opts.Logger.Info("cleaned log", "partition", l.tp.String(), "dirtyFrom", first, "dirtyTo", end,
		"seconds", s.elapsed().Seconds(), "indexSeconds", s.indexed.Sub(s.began).Seconds(), "indexedBytes", s.indexBytes, "indexedMessages", s.indexMessages,
		"bytesBefore", s.readBytes, "bytesAfter", s.writtenBytes, "reductionPercent", 100-share(s.writtenBytes, s.readBytes),
		"messagesBefore", s.readMessages, "messagesAfter", s.writtenMessages, "fewerMessagesPercent", 100-share(s.writtenMessages, s.readMessages),
		"segmentsBefore", s.segmentsBefore, "segmentsAfter", s.segmentsAfter, "bufferPercent", math.Round(1000*s.bufferUtilization)/10)
	if s.invalidMessages > 0 {
		c.m.opts.Logger.Warn("removed messages without a key from a compacted topic", "partition", l.tp.String(), "messages", s.invalidMessages)
	}
}

// forget drops what is remembered of a log that is gone.
func (c *cleaner) forget(l *Log) {
	c.throttle.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.uncleanable, l)
}

// CleanerMetrics is how the log cleaner fares.
type CleanerMetrics struct {
	MaxCleanTimeSecs            float64 // of each thread's last pass the longest
	RecopyPercent               float64 // bytes written of those read
	MaxBufferUtilizationPercent float64
	MaxCompactionDelaySecs      float64
	MaxDirtyPercent             float64
	TimeSinceLastRunMs          int64
	Uncleanable                 map[string]Uncleanable // by log directory
}

// Uncleanable is what the cleaner has given up on in a log directory.
type Uncleanable struct {
	Partitions int
	Bytes      int64 // that are waiting to be cleaned
}

// CleanerMetrics tells how the log cleaner fares.
func (m *Manager) CleanerMetrics() CleanerMetrics {
	c := m.cleaner
	out := CleanerMetrics{Uncleanable: map[string]Uncleanable{}}
	for _, d := range m.usableDirs() {
		out.Uncleanable[d.path] = Uncleanable{}
	}
	c.mu.Lock()
	var read, written int64
	for _, s := range c.lastStats {
		out.MaxCleanTimeSecs = max(out.MaxCleanTimeSecs, s.elapsed().Seconds())
		out.MaxBufferUtilizationPercent = max(out.MaxBufferUtilizationPercent, 100*s.bufferUtilization)
		read, written = read+s.readBytes, written+s.writtenBytes
	}
	out.RecopyPercent = 100 * float64(written) / float64(max(read, 1))
	out.MaxCompactionDelaySecs = float64(c.maxDelayMs) / 1000
	out.MaxDirtyPercent = 100 * c.maxDirtyRatio
	if c.lastRunMs > 0 {
		out.TimeSinceLastRunMs = c.nowMs() - c.lastRunMs
	}
	uncleanable := slices.Collect(maps.Keys(c.uncleanable))
	c.mu.Unlock()
	for _, l := range uncleanable { // each is looked into, which the cleaner's threads need not wait for
		dir := m.dirOf(l)
		u := out.Uncleanable[dir.path]
		u.Partitions++
		to, known := dir.cleanedTo(l.tp)
		if d, err := l.inspect(to, known, c.nowMs()); err == nil {
			u.Bytes += d.dirtyBytes
		}
		out.Uncleanable[dir.path] = u
	}
	return out
}
