package txn

import (
	"maps"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// maxAbortsPerTurn bounds what one turn decides, so that requests are served between.
const maxAbortsPerTurn = 500

// soonMs is when a sweep that could not do all goes on.
const soonMs = 100

// abortTimedOut aborts transactions that have been open for longer than their producers asked for.
// Their producers are fenced: whatever they still send is refused.
func (s *Shard) abortTimedOut(t *coord.Turn) {
	t.AllowSplit()
	next := s.cfg.AbortIntervalMs
	var aborted []string
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		tx := s.txns[id]
		if tx.aside || tx.state != Ongoing || tx.timeoutMs == noTimeout || tx.startMs+int64(tx.timeoutMs) >= t.NowMs {
			continue
		}
		if len(aborted) == maxAbortsPerTurn || !s.fence(t, tx) {
			next = min(next, soonMs)
			break
		}
		aborted = append(aborted, id)
		t.Note("a transaction has run out of time and is aborted", "transactionalId", id, "producerId", tx.producerID, "epoch", tx.epoch,
			"timeoutMs", tx.timeoutMs, "openMs", t.NowMs-tx.startMs)
	}
	t.SetTimer(coord.TimerKey{Kind: timerTimeouts}, next)
	t.OnFailure(func(t *coord.Turn, _ error) {
		for _, id := range aborted { // of several batches the first may have been written
			s.deliver(t, id)
		}
	})
}

// expire forgets ids that nobody has used for long.
func (s *Shard) expire(t *coord.Turn) {
	t.AllowSplit()
	n := 0
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		tx := s.txns[id]
		if !tx.aside && tx.state.idle() && tx.updateMs <= t.NowMs-s.cfg.ExpirationMs {
			t.Append(coord.Record{Key: key(id)})
			n++
		}
	}
	if n > 0 {
		t.Note("transactional ids that were not used for long are forgotten", "ids", n)
	}
	t.SetTimer(coord.TimerKey{Kind: timerExpiry}, s.cfg.CleanupIntervalMs)
}
