package replica

import "github.com/moldau-stream/moldau/internal/storage"

// released is who may go on because something was appended or committed.
type released struct {
	hw    int64
	epoch int32
	moved bool // the high watermark has risen to hw
	acked []*ackWait
	woken []*ParkedFetch
}

// fire calls them; no lock may be held.
func (r *released) fire(p *Partition) {
	for _, w := range r.acked {
		w.settle(nil)
	}
	resumeAll(r.woken)
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
		r.woken = p.readers.credit(logEndReader, int64(info.SizeInBytes), r.woken)
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
	end, ok := p.inSyncEnd()
	if !ok || len(p.isr) < p.effectiveMinISR() {
		return
	}
	hw := p.log.HighWatermark()
	if end > hw {
		p.log.SetHighWatermark(end)
		hw = end
		r.hw, r.epoch, r.moved = hw, p.leaderEpoch, true
		r.acked = p.acks.popReached(hw, r.acked)
	}
	// An append may find that another one, which came after it, has moved the watermark over
	// both: then its bytes are committed, though it moves nothing itself.
	bytes, exact := p.backlog.take(hw)
	switch {
	case !exact:
		r.woken = p.readers.wake(watermarkReader, r.woken)
	case r.moved || bytes > 0:
		r.woken = p.readers.credit(watermarkReader, max(bytes, 1), r.woken)
	}
}

// inSyncEnd is the offset below which every in-sync replica holds everything. A replica on
// another broker vouches for what it has fetched; here that is nothing, and nothing is committed
// that it ought to hold. lead or mu must be held.
func (p *Partition) inSyncEnd() (int64, bool) {
	for _, id := range p.isr {
		if id != p.m.nodeID {
			return 0, false
		}
	}
	if p.m.flushAcks {
		return p.log.FlushedOffset(), true
	}
	return p.log.LogEndOffset(), true
}
