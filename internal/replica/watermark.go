package replica

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/storage"
)

// released is who may go on because something was appended or committed.
type released struct {
	hw    int64
	epoch int32
	moved bool // the high watermark has risen to hw
	acked []*ackWait
	woken []*ParkedFetch
	low   []*lowWait
}

// fire calls them; no lock may be held. The latest append is settled first: a connection sends its answers in their order, so that
// all of one connection leave in one write when its first is there.
func (r *released) fire(p *Partition) {
	for _, w := range slices.Backward(r.acked) {
		w.settle(nil)
	}
	p.m.resumeAll(r.woken)
	for _, w := range r.low {
		w.end()
	}
	if f := p.m.onHighWatermark; f != nil && r.moved {
		f(p.tp, r.epoch, r.hw)
	}
}

// appended counts what an append has added and moves the high watermark as far as it may go.
// lead must be held.
func (p *Partition) appended(info storage.AppendInfo) released {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r released
	if !info.Duplicate {
		p.leaveBehindLocked(info.FirstOffset)
		r.woken = p.readers.credit(logEndReader, int64(info.SizeInBytes), r.woken)
		r.woken = p.tellWatchesLocked(int64(info.SizeInBytes), false, r.woken)
		p.backlog.add(info.LastOffset+1, int64(info.SizeInBytes))
	}
	p.advanceLocked(&r)
	return r
}

// tryAdvance moves the high watermark as far as it may go and lets those go who waited for it.
func (p *Partition) tryAdvance() {
	var r released
	p.mu.Lock()
	p.advanceLocked(&r)
	p.mu.Unlock()
	r.fire(p)
}

// advanceLocked raises the high watermark to what all in-sync replicas hold and adds those
// whom that releases to r. It does not move while the in-sync replicas are fewer than
// min.insync.replicas (KIP-966).
func (p *Partition) advanceLocked(r *released) {
	if p.role != Leader || p.unusable() != nil {
		return
	}
	if len(p.isr) < p.effectiveMinISR() {
		return
	}
	end, hw := p.inSyncEnd(), p.log.HighWatermark()
	if end > hw {
		p.log.SetHighWatermark(end)
		hw = end
		r.hw, r.epoch, r.moved = hw, p.leaderEpoch, true
		r.acked = p.acks.popReached(hw, r.acked)
		r.woken = p.tellWatchesLocked(0, false, r.woken)
	}
	p.wakeReadersLocked(r, hw, r.moved)
}

// wakeReadersLocked tells the readers of what is committed now. An append may find that another one, which came after it,
// has moved the watermark over both: then its bytes are committed, though it moves nothing itself.
func (p *Partition) wakeReadersLocked(r *released, hw int64, moved bool) {
	bytes, exact := p.backlog.take(hw)
	switch {
	case !exact:
		r.woken = p.readers.wake(watermarkReader, r.woken)
	case moved || bytes > 0:
		r.woken = p.readers.credit(watermarkReader, max(bytes, 1), r.woken)
	}
}

// inSyncEnd is the offset below which every replica holds everything that may be in sync, or has caught up and is
// about to be: else the watermark would run away from who joins. A replica on another broker vouches
// for what it has fetched. mu must be held.
func (p *Partition) inSyncEnd() int64 {
	leaderEnd := p.log.LogEndOffset()
	end := leaderEnd
	if p.m.flushAcks {
		end = p.log.FlushedOffset()
	}
	if p.m.flaws.ackBeforeReplication || len(p.followers) == 0 {
		return end
	}
	now, maxLag, isr := p.m.clock.Now(), p.m.conf().LagTimeMax, p.maximalISR()
	for i := range p.followers {
		f := &p.followers[i]
		if f.end >= end {
			continue
		}
		if slices.Contains(isr, f.id) || f.isCaughtUp(leaderEnd, now, maxLag) && p.mayJoin(f) {
			end = f.end
		}
	}
	return end
}

// followed counts what a follower has copied, and raises its high watermark to the leader's as far as its log
// reaches. lead must be held.
func (p *Partition) followed(info storage.AppendInfo, leaderHW int64) released {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r released
	if info.SizeInBytes > 0 {
		p.backlog.add(info.LastOffset+1, int64(info.SizeInBytes))
	}
	hw := p.log.HighWatermark()
	moved := false
	if to := min(leaderHW, p.log.LogEndOffset()); to > hw { // a new leader may know less than its predecessor: committed stays committed
		p.log.SetHighWatermark(to)
		hw, moved = to, true
	}
	p.wakeReadersLocked(&r, hw, moved)
	return r
}
