package storage

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/record"
)

// DeleteRecords may set a log's start into the middle of a batch. Who copies such a log from its start on is given the
// whole batch, which begins below. A log without records takes it: the segment begins where the batch does, and the log's
// start stays.

// holdsStart says that a batch is the one in which a log without records begins. appendMu is held.
func (l *Log) holdsStart(b record.Batch) bool {
	start, end := l.logStart.Load(), l.leo.Load()
	return start == end && len(l.segments) == 1 && l.segments[0].size == 0 && b.BaseOffset() < end && end <= b.LastOffset()
}

// beginBelow makes the segment of a log without records begin at an offset below the log's start. appendMu is held.
func (l *Log) beginBelow(base int64) error {
	old := l.segments[0]
	if old.base == base {
		return nil // an append that failed has come so far
	}
	if err := l.touch(); err != nil {
		return err
	}
	if err := l.lowerPoint(base); err != nil {
		return fmt.Errorf("%w: cannot begin %s at offset %d: %w", ErrStorage, l.tp, base, err)
	}
	if err := l.moveBaseState(old.base, base); err != nil {
		return l.failUnlessFull(fmt.Errorf("cannot begin %s at offset %d: %w", l.tp, base, err))
	}
	// The start is noted while the old segment still tells it.
	unmade := newSegment(l, base)
	unmade.abortedProven.Store(true)
	unmade.inMemory, unmade.abortedLoaded, unmade.maxTsKnown = true, true, true // readers need no file of it
	l.publishOnly(unmade, base)
	err := l.env.startMoved(l)
	if err == nil {
		var s *segment
		if s, err = createSegment(l, base); err == nil {
			l.publishOnly(s, base)
			if err = l.removeSegment(old); err != nil {
				return l.fail(fmt.Errorf("cannot remove an empty segment: %w", err))
			}
			return nil
		}
		if rerr := l.removeSegment(unmade); rerr != nil {
			return l.fail(fmt.Errorf("%w, and what there is of it cannot be removed: %w", err, rerr))
		}
	}
	l.publishOnly(old, base)
	return l.failUnlessFull(fmt.Errorf("cannot begin %s at offset %d: %w", l.tp, base, err))
}

// publishOnly makes s the only segment of a log without records. appendMu is held.
func (l *Log) publishOnly(s *segment, synced int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.truncations++ // who syncs the segment before begins anew
	l.noteCutLocked(s.base)
	l.segments = []*segment{s}
	l.synced.Store(min(l.synced.Load(), synced))
	l.foundTo.Store(min(l.foundTo.Load(), s.base))
	l.marks.clear()
}
