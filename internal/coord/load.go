package coord

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// load reads the partition until that works or the shard is closed. Each attempt
// fills a fresh machine, so a half-read partition is never served.
func (s *shard[M]) load() {
	for {
		err := s.tryLoad()
		if err == nil || s.ctx.Err() != nil {
			return
		}
		s.setFailed()
		s.rt.cfg.Log.Error("cannot load the coordinator's partition; trying again", "shard", s.rt.describe(s.partition), "epoch", s.epoch, "after_ms", s.rt.cfg.LoadRetryMs, "cause", err)
		if !s.pause() {
			return
		}
	}
}

// pause waits until the next load is to begin. False: the shard is closed.
func (s *shard[M]) pause() bool {
	again := make(chan struct{})
	t := s.rt.cfg.Clock.AfterFunc(time.Duration(s.rt.cfg.LoadRetryMs)*time.Millisecond, func() { close(again) })
	select {
	case <-again:
		return true
	case <-s.ctx.Done():
		t.Stop()
		return false
	}
}

func (s *shard[M]) setFailed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateLoading {
		s.state = stateFailed
	}
}

func (s *shard[M]) tryLoad() error {
	select {
	case s.rt.loads <- struct{}{}:
		defer func() { <-s.rt.loads }()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	start := s.rt.cfg.Clock.Now()
	m := s.rt.cfg.NewMachine(s.partition)
	records, aside := 0, 0
	setAside := func(offset int64, cause error) {
		if aside++; aside <= maxSetAsideLines {
			s.rt.cfg.Log.Error("cannot read a record of the coordinator's partition; what it is about is set aside", "shard", s.rt.describe(s.partition), "offset", offset, "cause", cause)
		}
	}
	extent, err := s.read(func(b StoredBatch) error {
		records += len(b.Records)
		return replayBatch(m, b, setAside)
	})
	if err != nil {
		return err
	}
	if aside > 0 {
		s.rt.cfg.Log.Error("the coordinator's partition holds records that cannot be read", "shard", s.rt.describe(s.partition), "records", aside)
	}
	level := slog.LevelInfo
	if records == 0 {
		level = slog.LevelDebug // a new topic has dozens of empty partitions
	}
	s.rt.cfg.Log.Log(s.rt.ctx, level, "coordinator loaded", "shard", s.rt.describe(s.partition), "epoch", s.epoch,
		"records", records, "ms", s.rt.cfg.Clock.Now().Sub(start).Milliseconds())
	s.rt.noteLoad(s.rt.cfg.Clock.Now().Sub(start))
	s.activate(m, extent)
	return nil
}

// read runs the Loader. A machine that panics over what it reads fails the load, not the process.
func (s *shard[M]) read(fn func(StoredBatch) error) (extent Extent, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return s.rt.cfg.Loader.Load(s.ctx, s.partition, fn)
}

// maxSetAsideLines is how many unreadable records of one load are logged each: enough to see what
// is wrong with them, without a line for every record of a partition that a newer version has written.
const maxSetAsideLines = 20

func replayBatch[M Machine](m M, b StoredBatch, setAside func(offset int64, cause error)) error {
	if b.EndTxn != nil {
		m.EndTxn(b.ProducerID, b.ProducerEpoch, b.EndTxn.Commit)
		return nil
	}
	for _, r := range b.Records {
		from := Source{Offset: r.Offset, ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch}
		err := m.Replay(from, r.Record)
		switch {
		case errors.Is(err, ErrSetAside):
			setAside(r.Offset, err)
		case err != nil:
			return fmt.Errorf("cannot replay the record at offset %d: %w", r.Offset, err)
		}
	}
	return nil
}

// activate puts the loaded machine into service. A shard that was closed meanwhile,
// because a newer epoch has come, drops it.
func (s *shard[M]) activate(m M, extent Extent) {
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	s.machine, s.endOffset, s.dismissed = m, extent.EndOffset, false
	s.highWater = max(s.highWater, extent.HighWatermark)
	s.state = stateActive
	s.enqueueLocked(event[M]{run: func() {
		s.turn(s.machine.Loaded)
		s.rearm()
	}})
}
