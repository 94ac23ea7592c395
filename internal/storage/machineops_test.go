package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The steps of a machine.

func (x *machine) nowMs() int64 { return x.clk.Now().UnixMilli() }

// batch makes a batch with some records.
func (x *machine) batch(o record.BuilderOptions) record.Batch {
	o.Codec = []record.Codec{record.None, record.None, record.None, record.LZ4, record.Zstd, record.Snappy, record.Gzip}[x.upTo(6)]
	ts := x.nowMs() - int64(x.upTo(3000))
	if x.oneIn(12) {
		ts += int64(x.upTo(40_000)) // early: what comes next is older
	}
	b := record.NewBuilder(o)
	n := 1 + x.upTo(3)
	if x.oneIn(10) {
		n += x.upTo(12)
	}
	for range n {
		x.value++
		key, value := []byte(fmt.Sprint("k", x.upTo(7))), fmt.Appendf(nil, "%d%s", x.value, strings.Repeat("x", x.upTo(60)))
		switch x.upTo(9) {
		case 0:
			if !x.cfg.Compact {
				key = nil
			}
		case 1, 2:
			value = nil
		}
		var headers []record.Header
		if x.oneIn(5) {
			headers = []record.Header{{Key: "h", Value: []byte("v")}}
		}
		b.Append(ts, key, value, headers)
		ts += int64(x.upTo(200)) - 40
	}
	return b.Build()
}

// producer draws a producer, and what its next batch has to be.
func (x *machine) producer() (o record.BuilderOptions) {
	if x.oneIn(3) {
		return o
	}
	pid := int64(1 + x.upTo(3))
	o.HasProducer, o.ProducerID, o.Transactional = true, pid, x.oneIn(2)
	p := x.l.producers.byID[pid]
	if p == nil {
		if ps, _ := x.model.fold(x.model.end); ps[pid] != nil {
			o.ProducerEpoch = ps[pid].epoch // forgotten, and there again; it goes on, or a start would take it for what it has sent before
			if n := len(ps[pid].window); n > 0 {
				o.BaseSequence = record.AddSequence(ps[pid].window[n-1].lastSeq, 1)
			}
		} else if pid == 3 {
			o.BaseSequence = math.MaxInt32 - int32(x.upTo(6))
		}
		if x.model.end == 0 {
			o.BaseSequence = 0
		}
		return o
	}
	o.ProducerEpoch = p.epoch
	switch {
	case p.txnFirstOffset >= 0:
		o.Transactional = true
	case x.oneIn(12):
		o.ProducerEpoch++
		return o
	}
	if p.n > 0 {
		o.BaseSequence = record.AddSequence(p.lastSeq(), 1)
	}
	return o
}

// lead appends batches as leader, and tells the model of them.
func (x *machine) lead(origin Origin, batches ...record.Batch) {
	sent := slices.Concat(toBytes(batches)...)
	at, n := x.model.end, x.model.end
	for _, b := range batches { // before: the power may be cut while they are appended
		n += int64(b.LastOffsetDelta()) + 1
	}
	info, err := x.l.AppendAsLeader(sent, x.epoch, origin)
	if err != nil || info.FirstOffset != at || info.LastOffset != n-1 || info.Duplicate {
		x.failf("an append of [%d, %d) says %+v, %v", at, n, info, err)
	}
	for i, rest := 0, sent; len(rest) > 0; i++ {
		var b record.Batch
		b, rest, err = record.Next(rest)
		x.must(err)
		if b.PartitionLeaderEpoch() != x.epoch || b.BaseOffset() != x.model.end || !bytes.Equal(b.RecordsBytes(), batches[i].RecordsBytes()) {
			x.failf("a batch was to be [%d, ... of epoch %d, and is [%d, ... of epoch %d", x.model.end, x.epoch, b.BaseOffset(), b.PartitionLeaderEpoch())
		}
		if x.cfg.TimestampType == record.LogAppendTime && (b.MaxTimestamp() != x.nowMs() || b.TimestampType() != record.LogAppendTime) {
			x.failf("a batch at %d was appended at %d, it says %d", b.BaseOffset(), x.nowMs(), b.MaxTimestamp())
		}
		x.tell(b)
	}
}

func toBytes(batches []record.Batch) (out [][]byte) {
	for _, b := range batches {
		out = append(out, b)
	}
	return out
}

func (x *machine) tell(b record.Batch) {
	t, err := tell(b, x.nowMs())
	x.must(err)
	x.model.append(t)
}

func (x *machine) append() {
	b := x.batch(x.producer())
	if len(b) > x.cfg.SegmentBytes {
		if _, err := x.l.AppendAsLeader(b, x.epoch, FromClient); !errors.Is(err, ErrRecordListTooLarge) {
			x.failf("%d bytes go into a segment of %d: %v", len(b), x.cfg.SegmentBytes, err)
		}
		return
	}
	x.lead(FromClient, b)
}

// appendSeveral appends batches with one call, as coordinators do.
func (x *machine) appendSeveral() {
	var batches []record.Batch
	used := map[int64]bool{}
	for range 2 + x.upTo(3) {
		o := x.producer()
		if o.HasProducer && (used[o.ProducerID] || x.model.end == 0) {
			o = record.BuilderOptions{}
		}
		used[o.ProducerID] = true
		batches = append(batches, x.batch(o))
	}
	x.lead(FromCoordinator, batches...)
}

// follow appends what a leader has sent: of several epochs, with gaps where the cleaner was there before, the last batch cut short.
func (x *machine) follow() {
	at, epoch := x.model.end, x.epoch
	var sent []byte
	n := 0
	if n := len(x.model.batches); x.model.start == x.model.end && x.l.Size() == 0 && at > 3 && x.oneIn(2) {
		at -= int64(1 + x.upTo(1)) // the log begins within a batch; not within one that it has held
		if n > 0 {
			at = max(at, x.model.batches[n-1].next)
		}
	}
	for i := range 1 + x.upTo(3) {
		b := x.batch(record.BuilderOptions{})
		if len(sent)+len(b) > x.cfg.SegmentBytes {
			break
		}
		if i == 0 && at < x.model.end && at+int64(b.LastOffsetDelta()) < x.model.end {
			at = x.model.end
		}
		if at > 0 && x.oneIn(8) && at >= x.model.end && len(x.model.begun) == 0 {
			at += int64(1 + x.upTo(2))
		}
		b.SetBaseOffset(at)
		b.SetPartitionLeaderEpoch(epoch)
		if at = b.NextOffset(); x.oneIn(5) {
			epoch += int32(1 + x.upTo(1))
		}
		sent, n = append(sent, b...), n+1
	}
	fetched := bytes.Clone(sent)
	if n > 0 && x.oneIn(3) {
		fetched = append(fetched, x.batch(record.BuilderOptions{})[:30+x.upTo(20)]...)
	}
	info, err := x.l.AppendAsFollower(fetched, epoch)
	x.must(err)
	if len(sent) != info.SizeInBytes {
		x.failf("of %d bytes %d were appended", len(sent), info.SizeInBytes)
	}
	for rest := sent; len(rest) > 0; {
		var b record.Batch
		b, rest, err = record.Next(rest)
		x.must(err)
		x.model.synced = min(x.model.synced, b.BaseOffset())
		x.tell(b)
	}
	x.epoch = epoch
}

// endTxn ends a transaction, or sends a marker that ends none.
func (x *machine) endTxn() {
	pid := int64(1 + x.upTo(3))
	isOpen := func(pid int64) bool {
		p := x.l.producers.byID[pid]
		return p != nil && p.txnFirstOffset >= 0
	}
	for n := 0; n < 4 && !isOpen(pid); n++ {
		pid = pid%4 + 1
	}
	if p := x.l.producers.byID[pid]; p == nil || p.txnFirstOffset < 0 && !x.oneIn(6) {
		return
	}
	p := x.l.producers.byID[pid]
	m := record.EndTxnMarker{Commit: x.oneIn(2), CoordinatorEpoch: max(p.coordinatorEpoch, 0) + int32(x.upTo(1))}
	x.lead(FromCoordinator, record.EndTxnBatch(pid, p.epoch+int16(x.upTo(4)/4), x.nowMs(), m))
}

// sendAgain sends a batch of a producer that is in the log already.
func (x *machine) sendAgain() {
	for pid := range int64(5) {
		p := x.l.producers.byID[pid]
		if p == nil || p.n == 0 {
			continue
		}
		want := p.batches[x.upTo(p.n-1)]
		for _, b := range p.batches[:p.n] { // it may have been forgotten, and have begun with the same sequence again
			if b.lastSeq == want.lastSeq && b.offsetDelta == want.offsetDelta {
				want = b
			}
		}
		i := slices.IndexFunc(x.model.batches, func(b toldBatch) bool { return b.next-1 == want.lastOffset && b.pid == pid })
		if i < 0 {
			x.failf("producer %d is said to have sent a batch up to offset %d", pid, want.lastOffset)
		}
		again := bytes.Clone(x.model.batches[i].raw)
		if keyless := func(r toldRecord) bool { return r.keyless }; len(again) > x.cfg.SegmentBytes || x.cfg.Compact && slices.ContainsFunc(x.model.batches[i].records, keyless) {
			continue // the configuration was another when it was taken
		}
		record.Batch(again).SetBaseOffset(0)
		info, err := x.l.AppendAsLeader(again, x.epoch, FromClient)
		if err != nil || !info.Duplicate || info.FirstOffset != x.model.batches[i].base || info.LastOffset != want.lastOffset {
			x.failf("the batch [%d, %d) of producer %d was sent again: %+v %v", x.model.batches[i].base, x.model.batches[i].next, pid, info, err)
		}
	}
}

// sendRefused sends what must not be taken.
func (x *machine) sendRefused() {
	for pid := range int64(5) {
		p := x.l.producers.byID[pid]
		if p == nil {
			continue
		}
		o := record.BuilderOptions{HasProducer: true, ProducerID: pid, ProducerEpoch: p.epoch, Transactional: p.txnFirstOffset >= 0, BaseSequence: record.AddSequence(max(p.lastSeq(), 0), int32(2+x.upTo(3)))}
		want, origin := ErrOutOfOrderSequence, FromClient
		var b record.Batch
		switch x.upTo(4) {
		case 0:
			if p.epoch == 0 {
				continue
			}
			o.ProducerEpoch--
			want = ErrInvalidProducerEpoch
		case 1:
			if p.txnFirstOffset < 0 {
				continue
			}
			o.Transactional, want = false, ErrInvalidTxnState
		case 2:
			o.ProducerEpoch, o.BaseSequence = o.ProducerEpoch+1, 1
		case 3:
			if p.coordinatorEpoch <= 0 {
				continue
			}
			b, want, origin = record.EndTxnBatch(pid, p.epoch, x.nowMs(), record.EndTxnMarker{CoordinatorEpoch: p.coordinatorEpoch - 1}), ErrCoordinatorFenced, FromCoordinator
		}
		if b == nil {
			b = x.batch(o)
		}
		if len(b) > x.cfg.SegmentBytes {
			continue // refused for that, before the producer is looked at
		}
		if _, err := x.l.AppendAsLeader(b, x.epoch, origin); !errors.Is(err, want) {
			x.failf("producer %d, which is %+v, sends %+v: %v", pid, *p, o, err)
		}
	}
}

func (x *machine) commit() {
	x.model.hw = x.between(x.model.hw, x.model.end)
	if x.oneIn(2) {
		x.model.hw = x.model.end
	}
	x.l.SetHighWatermark(x.model.hw)
}

func (x *machine) beginEpoch() {
	x.epoch += int32(1 + x.upTo(2))
	at, err := x.l.BeginEpoch(x.epoch)
	if err != nil || at != x.model.end {
		x.failf("an epoch begins at %d, %v", at, err)
	}
	x.model.begun = append(x.model.begun, epochEntry{x.epoch, at})
	if e, ok := x.l.LatestEpoch(); !ok || e != x.epoch {
		x.failf("the latest epoch is %d (%v)", e, ok)
	}
}

func (x *machine) flush() {
	x.must(x.l.Flush())
	if got := x.l.FlushedOffset(); got != x.model.end {
		x.failf("after a sync everything below %d is on the disk, the log ends at %d", got, x.model.end)
	}
}

func (x *machine) roll() {
	n, size := x.l.NumSegments(), x.l.segments[len(x.l.segments)-1].size
	x.must(x.l.Roll())
	if got := x.l.NumSegments(); size > 0 && got != n+1 || size == 0 && got != n {
		x.failf("there were %d segments, the last of %d bytes, and there are %d", n, size, got)
	}
}

func (x *machine) time() {
	x.clk.Advance(time.Duration(x.upTo(90_000)) * time.Millisecond)
}

// truncate cuts the log's end off, where another leader's records are to come.
func (x *machine) truncate() {
	from := max(x.model.start, x.model.decided) // no leader asks for what was committed when the cleaner went by it
	at := x.between(from, max(x.model.end, from))
	if x.oneIn(3) {
		at = max(x.model.hw, from)
	}
	x.truncateTo(at)
}

func (x *machine) truncateTo(at int64) {
	x.model.segmentBase = x.l.segments[0].base
	bases := []int64{}
	for _, s := range x.l.segments {
		bases = append(bases, s.base)
	}
	x.must(x.l.TruncateTo(at))
	x.epoch++
	m := x.model
	if at >= m.end {
		m.begun = nil
		return
	}
	if at <= m.segmentBase {
		m.anew(max(at, 0))
		return
	}
	end := m.segmentBase
	for _, b := range bases { // where no batch before it is left, the segment that holds the offset says where the log ends
		if b < at {
			end = b
		}
	}
	for _, b := range m.batches {
		if b.next <= at {
			end = max(end, b.next)
		}
	}
	m.cut(end)
	m.back = nil
}

func (x *machine) beginAnew() {
	at := x.model.end + int64(x.upTo(50))
	if x.oneIn(2) {
		at = int64(x.upTo(int(x.model.end) + 1))
	}
	x.must(x.l.TruncateFullyAndStartAt(at))
	x.epoch++
	x.model.anew(at)
}

func (x *machine) deleteRecords() {
	at := x.between(x.model.start, max(x.model.start, x.model.hw))
	if x.oneIn(2) {
		at = min(at, x.model.start+int64(x.upTo(10)))
	}
	x.must(x.l.AdvanceLogStartOffset(at))
	x.model.start = at
	if err := x.l.AdvanceLogStartOffset(x.model.hw + 1); !errors.Is(err, ErrOffsetOutOfRange) {
		x.failf("records are deleted up to %d, the high watermark is %d: %v", x.model.hw+1, x.model.hw, err)
	}
}

// retention deletes by size, by age or by the log's start, as the segments that are there and their records tell.
func (x *machine) retention() {
	cfg := x.cfg
	switch x.upTo(2) {
	case 0:
		cfg.RetentionBytes = int64(x.upTo(4000))
	case 1:
		cfg.RetentionMs = int64(x.upTo(120_000))
	}
	gone, start, size := 0, x.model.start, x.l.Size()
	for i, s := range x.l.segments {
		end := x.model.end
		if i+1 < len(x.l.segments) {
			end = x.l.segments[i+1].base
		}
		last := i+1 == len(x.l.segments)
		if end > x.model.hw || last && s.size == 0 {
			break
		}
		old := end <= x.model.start && !last || cfg.Delete && cfg.RetentionBytes >= 0 && size-s.size >= cfg.RetentionBytes ||
			cfg.Delete && cfg.RetentionMs >= 0 && x.nowMs()-x.newestIn(s) > cfg.RetentionMs
		if !old {
			break
		}
		gone, start, size = gone+1, max(start, end), size-s.size
	}
	x.l.SetConfig(cfg)
	n, err := x.l.DeleteOldSegments()
	x.l.SetConfig(x.cfg)
	if err != nil || n != gone || x.l.LogStartOffset() != start {
		x.failf("retention (%d bytes, %d ms) takes %d segments and %v, the log begins at %d; %d should go, up to %d", cfg.RetentionBytes, cfg.RetentionMs, n, err, x.l.LogStartOffset(), gone, start)
	}
	x.model.start = start
}

// newestIn is the largest timestamp in a segment, by its batches.
func (x *machine) newestIn(s *segment) int64 {
	b, err := vfs.ReadFile(x.fs, s.path(kindLog))
	x.must(err)
	newest := record.NoTimestamp
	for b = b[:s.size]; len(b) > 0; {
		batch, rest, err := record.Next(b)
		x.must(err)
		newest, b = max(newest, batch.MaxTimestamp()), rest
	}
	if newest < 0 { // the cleaner has left nothing, and the file's own time counts
		newest, err = s.retentionTimestamp()
		x.must(err)
	}
	return newest
}

func (x *machine) clean() {
	if !x.cfg.Compact || x.move != nil {
		return
	}
	d := x.m.dirOf(x.l)
	to, known := d.cleanedTo(testTP)
	dirty, err := x.l.inspect(to, known, x.m.cleaner.nowMs())
	x.must(err)
	if dirty.dirtyBytes == 0 {
		return
	}
	if dirty.upper > x.model.lastStable() || dirty.upper > x.l.segments[len(x.l.segments)-1].base {
		x.failf("%d is not decided, or of the active segment", dirty.upper)
	}
	x.model.cleaned, x.model.decided = max(x.model.cleaned, dirty.upper), max(x.model.decided, x.model.hw)
	if !x.m.cleaner.cleanLog(0, dirty) {
		x.failf("cleaning failed: %v, %v", x.m.cleaner.uncleanable[x.l], x.l.Err())
	}
}

func (x *machine) expire() {
	before := x.nowMs() - 30_000
	if x.oneIn(3) {
		before = math.MaxInt64
	}
	ps, _ := x.model.fold(x.model.end)
	x.l.ExpireProducers(before)
	for pid, p := range ps {
		if got := x.l.producers.byID[pid]; got == nil {
			if !x.model.mayBeForgotten(pid, p) && (p.lastTs >= before || p.open >= 0) {
				x.failf("producer %d has expired, which is %+v", pid, *p)
			}
			x.model.forgotten[pid] = p.last
		} else if got.lastTimestampMs < before && got.txnFirstOffset < 0 {
			x.failf("producer %d has not expired, which is %+v", pid, *got)
		}
	}
}

func (x *machine) reconfigure() {
	x.cfg.SegmentBytes = 300 + x.upTo(1500)
	x.cfg.IndexIntervalBytes = []int{0, 50, 100, 400}[x.upTo(3)]
	x.cfg.Compact = x.oneIn(2)
	x.cfg.Delete = !x.cfg.Compact || x.oneIn(2)
	x.l.SetConfig(x.cfg)
}

func (x *machine) anotherTopic() {
	x.must(x.m.DeleteLog(testTP))
	x.id++
	x.move = nil
	*x.model = *newTold()
	x.epoch = 1
	x.take()
}

func (x *machine) beginMove() {
	if x.move != nil {
		return
	}
	to := cutDirs[0]
	if strings.HasPrefix(x.l.dir, to+"/") {
		to = cutDirs[1]
	}
	var err error
	x.move, err = x.m.BeginMove(testTP, to)
	x.must(err)
}

func (x *machine) copy() {
	if x.move != nil {
		_, err := x.move.Copy(1+x.upTo(600), false)
		x.must(err)
	}
}

func (x *machine) endMove() {
	if x.move == nil {
		return
	}
	l, err := x.move.Swap()
	x.must(err)
	x.l, x.move = l, nil
	x.model.back = nil
	x.model.moved = max(x.model.moved, x.model.cleaned)
	x.model.synced = x.model.end
}

func (x *machine) giveMoveUp() {
	if x.move != nil {
		x.move.GiveUp()
		x.move = nil
	}
}

// restart stops in order: all is as before, and the next start has nothing to look for.
func (x *machine) restart() {
	x.must(x.m.Close(true))
	x.must(soundDirs(x.fs))
	x.model.synced = x.model.end
	x.start()
	if x.l.HighWatermark() != x.model.hw {
		x.failf("the high watermark was %d and is %d after a stop in order", x.model.hw, x.l.HighWatermark())
	}
	x.reopened(x.model, x.model.end, x.model.start)
}

// kill ends the process: all that was written is there.
func (x *machine) kill() {
	x.model.synced = x.l.FlushedOffset()
	x.die(x.fs.KillClone(), false)
	x.reopened(x.model, x.model.end, x.model.start)
}

// powerCut loses what was not synced, or some of it.
func (x *machine) powerCut() {
	x.model.synced = x.l.FlushedOffset()
	x.die(x.afterPower(x.fs), true)
	x.reopened(x.model, x.model.synced, x.model.start)
}

// afterPower is what a cut of the power may leave.
func (x *machine) afterPower(fs *vfs.Mem) *vfs.Mem {
	switch x.upTo(5) {
	case 0:
		return fs.CrashClone()
	case 1:
		return fs.MixedClone(true, false)
	case 2:
		return fs.MixedClone(false, true)
	case 3:
		return fs.MixedClone(true, true)
	}
	return fs.TornClone(rand.New(rand.NewPCG(x.r.Uint64(), 4)))
}

// die goes on with what is left of the file system.
func (x *machine) die(fs *vfs.Mem, power bool) {
	_ = x.m.Close(false)
	x.fs = fs
	if power && x.oneIn(2) {
		x.boot++
	}
	x.must(soundDirs(x.fs))
	x.start()
}

// reopened takes over what a start has found, where that is not certain: how far the log reaches, if at least to an offset, and the
// high watermark, which is noted now and then.
func (x *machine) reopened(m *told, atLeast, startFrom int64) {
	start, end, hw := x.l.LogStartOffset(), x.l.LogEndOffset(), x.l.HighWatermark()
	x.comeBack(m, end)
	if end < atLeast {
		x.failf("the log was [%d, %d), and must reach to %d; it ends at %d", m.start, m.end, atLeast, end)
	}
	if start < startFrom || start > m.start {
		x.failf("the log began at %d, and begins at %d", m.start, start)
	}
	if hw > m.hw && hw > start {
		x.failf("the high watermark was %d, and is %d", m.hw, hw)
	}
	if start == end && len(x.l.producers.byID) == 0 && (end < m.end || m.synced < end) {
		m.forgetProducers() // it has begun anew, since what was left lay below the offset up to which records had been deleted
	}
	if m.start = start; end < m.end {
		x.epoch++
		if i := slices.IndexFunc(m.batches, func(b toldBatch) bool { return b.base < end && b.next > end && b.base >= start }); i >= 0 {
			x.failf("the log ends at %d, within a batch", end)
		}
		m.cut(end)
	}
	m.hw = hw
	m.begun = slices.DeleteFunc(m.begun, func(e epochEntry) bool { return !slices.Contains(x.l.epochs.entries, e) })
	m.synced = x.l.FlushedOffset()
	x.model = m
}

// comeBack takes over what of a cut the power has brought back.
func (x *machine) comeBack(m *told, end int64) {
	if len(m.back) == 0 || m.back[0].base >= end {
		return
	}
	found, _ := x.read(m.back[0].base, 1, end, true)
	if len(found) == 0 || !bytes.Equal(found[0], m.back[0].raw) {
		return
	}
	m.batches = slices.Concat(slices.DeleteFunc(slices.Clone(m.batches), func(b toldBatch) bool { return b.base >= m.backAt }), m.back)
	m.end, m.back = m.batches[len(m.batches)-1].next, nil
}

// diesWithin are the steps in which the power may go, or the process die.
var diesWithin = []string{"append", "append several", "follow", "end a transaction", "begin an epoch", "flush", "roll", "time", "truncate", "delete records", "retention", "clean",
	"begin a move", "copy", "end a move", "give a move up", "stop and start"}

// dieWithin is another step, within which the process dies or the power is cut: what the step was to do is done, or not, or partly.
func (x *machine) dieWithin() {
	s := step{diesWithin[x.upTo(len(diesWithin)-1)], x.r.Uint64()}
	r, power, at := rand.New(rand.NewPCG(x.r.Uint64(), 5)), x.oneIn(2), 1+x.upTo(6)
	if x.oneIn(3) {
		at += x.upTo(40)
	}
	x.model.synced = x.l.FlushedOffset()
	before := x.model.clone()
	var left *vfs.Mem
	x.hook = func() {
		if at--; at != 0 {
			return
		}
		left = x.fs.KillClone()
		if power {
			y := machine{r: r}
			left = y.afterPower(x.fs)
		}
	}
	x.setHook(true)
	x.do(s)
	x.settle()
	x.setHook(false)
	x.trace = append(x.trace, fmt.Sprintf("  within %s (power %v): %s", s.name, power, x.state()))
	after := x.model
	if left == nil || len(after.batches) < len(before.batches) && after.end <= after.segmentBase {
		return
	}
	atLeast := before.end
	if power {
		atLeast = before.synced
	}
	if after.end < before.end { // a truncation
		atLeast = min(atLeast, after.end)
		after.batches, after.end, after.start = before.batches, before.end, before.start
	}
	after.hw = max(after.hw, before.hw)
	after.begun = append(after.begun, before.begun...)
	whole := slices.Clone(before.batches)
	after.back = before.back
	x.die(left, power)
	x.reopened(after, atLeast, min(before.start, after.start))
	if s.name == "clean" && x.model.end < before.hw {
		x.model.cleaned, x.model.decided = before.cleaned, before.decided // it syncs what it goes by before it begins
	}
	if s.name == "truncate" && !power {
		if i := slices.IndexFunc(whole, func(b toldBatch) bool { return b.base >= x.model.end }); i >= 0 {
			x.model.back, x.model.backAt = whole[i:], x.model.end
		}
	}
}
