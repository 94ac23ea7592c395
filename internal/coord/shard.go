package coord

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/invariant"
)

type shardState uint8

const (
	stateLoading shardState = iota
	stateActive
	stateFailed // the last load failed, or the machine has panicked; a load is coming
	stateClosed
)

// maxInlineTurns is how many turns of others a goroutine runs before it hands the
// rest to a new one: a connection's goroutine that brought one request must not be kept
// for long by a busy shard.
const maxInlineTurns = 32

// event is a turn that waits for its shard. Requests have op and refuse; the
// runtime's own have run.
type event[M Machine] struct {
	op     func(M, *Turn)
	refuse func(error)
	run    func()
}

// shard is one partition's machine and everything around it.
type shard[M Machine] struct {
	rt        *Runtime[M]
	partition int32
	epoch     int32
	ctx       context.Context // ends when the shard is closed; stops its load
	cancel    context.CancelFunc
	gone      chan struct{} // closed when no turn will run any more

	mu        sync.Mutex // guards what follows, down to the blank line
	state     shardState
	queue     []event[M] // turns that wait
	running   bool       // somebody is draining the queue and owns the machine
	highWater int64
	parked    parkedQueue
	parkTimer clock.Timer // set when the first parked reply is to expire
	parkArmed bool

	// Owned by the running turn; by the load before the shard is active.
	machine    M
	endOffset  int64 // everything the machine knows lies below
	timers     timerQueue
	wake       clock.Timer // fires at wakeMs or earlier
	wakeMs     int64
	wakeArmed  bool
	firingMs   int64 // up to when timers are fired just now; what a firing sets is later, so that there is an end to it
	unloadDone bool
	open       []*Turn // turns that are not over; more than one where a turn has others follow it
	dismissed  bool    // the machine has had its last turn
}

func newShard[M Machine](r *Runtime[M], p, epoch int32) *shard[M] {
	s := &shard[M]{rt: r, partition: p, epoch: epoch, gone: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(r.ctx)
	return s
}

func (s *shard[M]) currentState() shardState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *shard[M]) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running || s.state == stateLoading
}

// submit brings a request.
func (s *shard[M]) submit(e event[M]) {
	s.mu.Lock()
	if err := s.refusalLocked(); err != nil {
		s.mu.Unlock()
		e.refuse(err)
		return
	}
	s.enqueueLocked(e)
}

func (s *shard[M]) refusalLocked() error {
	switch {
	case s.state == stateLoading:
		return ErrLoading
	case s.state != stateActive:
		return ErrNotCoordinator
	case len(s.queue) >= s.rt.cfg.MaxQueued || s.parked.len() >= s.rt.cfg.MaxParked:
		return ErrOverloaded
	}
	return nil
}

// enqueueLocked adds e and unlocks. If nobody is draining, the queue is empty: the caller runs e
// itself, and then what has come meanwhile.
func (s *shard[M]) enqueueLocked(e event[M]) {
	if s.running {
		s.queue = append(s.queue, e)
		s.mu.Unlock()
		return
	}
	s.running = true
	closed := s.state == stateClosed
	s.mu.Unlock()
	s.perform(e, closed)
	s.drain(maxInlineTurns)
}

// perform runs one event; the caller owns the machine.
func (s *shard[M]) perform(e event[M], closed bool) {
	asked := false // the machine has taken the request: its reply is in a turn, or with the machine
	defer func() {
		cause := recover()
		if broken, ok := cause.(invariant.Broken); ok {
			panic(broken) // locks of the log may be held: the process ends
		}
		if cause != nil {
			s.condemn(cause)
			if e.refuse != nil && !asked {
				s.guard(func() { e.refuse(ErrNotCoordinator) })
			}
		}
	}()
	switch {
	case e.run != nil:
		e.run()
	case closed:
		s.guard(func() { e.refuse(ErrNotCoordinator) })
	default:
		s.turn(func(t *Turn) {
			e.op(s.machine, t)
			asked = true
		})
		s.rearm()
	}
}

// drain runs waiting turns until none is left. The caller has set running.
func (s *shard[M]) drain(budget int) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.queue = nil // a burst's array is not kept
			s.running = false
			s.mu.Unlock()
			return
		}
		if budget == 0 {
			budget = maxInlineTurns
			s.mu.Unlock()
			if s.rt.spawn(func() { s.drain(maxInlineTurns) }) {
				return
			}
			continue // closing: finish here
		}
		budget--
		e := s.queue[0]
		s.queue[0] = event[M]{}
		s.queue = s.queue[1:]
		closed := s.state == stateClosed
		s.mu.Unlock()
		s.perform(e, closed)
	}
}

// turn lets fn fill a Turn and does what it says.
func (s *shard[M]) turn(fn func(*Turn)) {
	t := &Turn{NowMs: s.rt.nowMs(), LeaderEpoch: s.epoch}
	s.open = append(s.open, t)
	fn(t)
	s.settle(t)
	s.open = s.open[:len(s.open)-1]
}

func (s *shard[M]) settle(t *Turn) {
	err := s.append(t)
	monoMs := s.rt.monoMs()
	for _, op := range t.timers {
		if op.stop {
			s.timers.stop(op.key)
		} else {
			s.timers.set(op.key, max(monoMs+op.afterMs, s.firingMs+1))
		}
	}
	s.tell(t.notes)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, ErrUnreadable) {
			level = slog.LevelError // not the world's fault but ours
		}
		s.rt.cfg.Log.Log(s.ctx, level, "cannot append to the coordinator's log", "shard", s.rt.describe(s.partition), "records", len(t.records), "cause", err)
		s.fail(t.takeReplies(), err)
		for _, f := range t.failed {
			s.turn(func(t *Turn) { f(t, err) })
		}
		return
	}
	s.park(t.takeReplies())
	for _, f := range t.then {
		s.turn(f)
	}
}

func (s *shard[M]) tell(notes []Note) {
	for _, n := range notes {
		if n.Warn {
			s.rt.cfg.Log.Warn(n.Text, n.Args...)
		} else {
			s.rt.cfg.Log.Info(n.Text, n.Args...)
		}
	}
}

// append writes the turn's records and replays them. Without AllowSplit that is one batch.
func (s *shard[M]) append(t *Turn) error {
	if t.marker != nil {
		return s.appendMarker(t)
	}
	for _, r := range t.records {
		if err := s.machine.Verify(r); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	producer := Producer{ID: NoProducerID, Epoch: -1}
	if t.producer != nil {
		producer = *t.producer
	}
	rest := t.records
	for len(rest) > 0 {
		n := s.fit(rest)
		if n < len(rest) && !t.split || n == 0 {
			return ErrTooLarge
		}
		end, err := s.rt.cfg.Writer.Append(s.partition, Batch{
			Records:       rest[:n],
			TimestampMs:   t.NowMs,
			LeaderEpoch:   s.epoch,
			ProducerID:    producer.ID,
			ProducerEpoch: producer.Epoch,
			Guard:         producer.Guard,
		})
		if err != nil {
			return err
		}
		base := end - int64(n)
		s.endOffset = end
		for i, r := range rest[:n] {
			from := Source{Offset: base + int64(i), ProducerID: producer.ID, ProducerEpoch: producer.Epoch, Live: true}
			if err := s.machine.Replay(from, r); err != nil {
				// The machine cannot read what it has just written: its memory and its log
				// have parted, and every further answer could be wrong.
				panic("coord: " + s.rt.describe(s.partition) + " cannot replay its own record: " + err.Error())
			}
		}
		rest = rest[n:]
	}
	return nil
}

func (s *shard[M]) appendMarker(t *Turn) error {
	if len(t.records) > 0 {
		panic("coord: a turn of " + s.rt.describe(s.partition) + " ends a transaction and writes records as well") // condemns the shard
	}
	m := *t.marker
	m.TimestampMs, m.LeaderEpoch = t.NowMs, s.epoch
	end, err := s.rt.cfg.Writer.AppendMarker(s.partition, m)
	if err != nil {
		return err
	}
	s.endOffset = end
	s.machine.EndTxn(m.ProducerID, m.ProducerEpoch, m.Commit)
	return nil
}

// fit is how many of the records one batch can hold.
func (s *shard[M]) fit(records []Record) int {
	left := s.rt.cfg.MaxBatchBytes - batchOverheadBytes
	for i, r := range records {
		left -= sizeOf(r)
		if left < 0 {
			return i
		}
	}
	return len(records)
}

// park sends replies, at once if all is committed that the shard has written, else when it is.
func (s *shard[M]) park(replies []Reply) {
	if len(replies) == 0 {
		return
	}
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		s.fail(replies, ErrNotCoordinator)
		return
	}
	if s.endOffset > s.highWater {
		deadlineMs := s.rt.monoMs() + s.rt.cfg.CommitTimeoutMs
		for _, r := range replies {
			s.parked.push(parkedReply{offset: s.endOffset, deadlineMs: deadlineMs, reply: r})
		}
		s.armParkLocked()
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.send(replies)
}

func (s *shard[M]) send(replies []Reply) {
	for _, r := range replies {
		s.guard(r.Send)
	}
}

func (s *shard[M]) fail(replies []Reply, err error) {
	for _, r := range replies {
		s.guard(func() { r.Fail(err) })
	}
}

// advance moves the high watermark and sends what it releases.
func (s *shard[M]) advance(hw int64) {
	s.mu.Lock()
	if hw <= s.highWater || s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	s.highWater = hw
	ready := s.parked.committed(hw)
	s.mu.Unlock()
	s.send(ready)
}

func (s *shard[M]) armParkLocked() {
	first := s.parked.first()
	if s.parkArmed || first == nil {
		return
	}
	s.parkArmed = true
	d := time.Duration(first.deadlineMs-s.rt.monoMs()) * time.Millisecond
	if s.parkTimer == nil {
		s.parkTimer = s.rt.cfg.Clock.AfterFunc(d, s.expireParked)
	} else {
		s.parkTimer.Reset(d)
	}
}

func (s *shard[M]) expireParked() {
	s.mu.Lock()
	s.parkArmed = false
	late := s.parked.expired(s.rt.monoMs())
	if s.state != stateClosed {
		s.armParkLocked()
	}
	s.mu.Unlock()
	if len(late) > 0 {
		s.rt.cfg.Log.Warn("coordinator writes were not committed in time", "shard", s.rt.describe(s.partition), "replies", len(late), "after_ms", s.rt.cfg.CommitTimeoutMs)
	}
	s.fail(late, ErrTimedOut)
}

// rearm sees to it that fireDue is called when the next timer is due. A wake that is armed for a moment which has passed is no
// wake: the clock has jumped, and it may be hours off.
func (s *shard[M]) rearm() {
	next, ok := s.timers.next()
	monoMs := s.rt.monoMs()
	if !ok || s.unloadDone || s.wakeArmed && s.wakeMs <= next && s.wakeMs > monoMs {
		return
	}
	s.wakeArmed, s.wakeMs = true, next
	d := max(time.Duration(next-monoMs)*time.Millisecond, 0)
	if s.wake == nil {
		s.wake = s.rt.cfg.Clock.AfterFunc(d, s.onWake)
	} else {
		s.wake.Reset(d)
	}
}

func (s *shard[M]) onWake() {
	s.mu.Lock()
	if s.state != stateActive {
		s.mu.Unlock()
		return
	}
	s.enqueueLocked(event[M]{run: s.fireDue})
}

func (s *shard[M]) fireDue() {
	s.wakeArmed = false
	s.firingMs = s.rt.monoMs()
	defer func() { s.firingMs = 0 }()
	for !s.unloadDone {
		key, ok := s.timers.pop(s.firingMs)
		if !ok {
			break
		}
		s.turn(func(t *Turn) { s.machine.Fire(t, key) })
	}
	s.rearm()
}

// close takes the shard out of service: turns that wait are refused, replies that
// wait are failed with cause, and the machine answers what it has parked itself.
func (s *shard[M]) close(cause error) {
	s.cancel()
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	was := s.state
	s.state = stateClosed
	parked := s.parked.all()
	if s.parkTimer != nil {
		s.parkTimer.Stop()
	}
	if was == stateActive || s.running {
		s.enqueueLocked(event[M]{run: s.unload})
	} else {
		s.mu.Unlock()
		close(s.gone)
	}
	s.fail(parked, cause)
}

func (s *shard[M]) unload() {
	defer close(s.gone)
	s.unloadDone = true
	if s.wake != nil {
		s.wake.Stop()
	}
	s.dismiss()
}

// dismiss gives the machine its last turn, once.
func (s *shard[M]) dismiss() {
	if s.dismissed {
		return
	}
	s.dismissed = true
	t := &Turn{NowMs: s.rt.nowMs()}
	defer func() { s.send(t.takeReplies()) }()
	s.machine.Unloaded(t)
	s.tell(t.notes)
}
