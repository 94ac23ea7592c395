package storage

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// check asks the log everything that can be asked, and compares it with the model.
func (x *machine) check() {
	m, l := x.model, x.l
	if start, end, hw, stable := l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark(), l.LastStableOffset(); start != m.start || end != m.end || hw != m.hw {
		x.failf("the log is [%d, %d) with its high watermark at %d, the model [%d, %d) and %d", start, end, hw, m.start, m.end, m.hw)
	} else if want := m.lastStable(); stable != want && (hw >= max(m.cleaned, m.decided) || stable < want) {
		// Below a high watermark that has fallen back with a kill, the cleaner may have removed where a transaction began.
		x.failf("the last stable offset is %d, not %d", stable, want)
	}
	if l.TopicID() != x.topicID() {
		x.failf("the topic's id is %x", l.TopicID())
	}
	if g := l.Glance(); g.LogStartOffset != m.start || g.LogEndOffset != m.end || g.HighWatermark != m.hw || g.SizeBytes != l.Size() || g.Segments != l.NumSegments() {
		x.failf("at a glance the log is %+v", g)
	}
	if synced := l.FlushedOffset(); synced > m.end || synced < m.synced {
		x.failf("the recovery point is %d; it must be %d at least", synced, m.synced)
	}
	if len(m.back) > 0 && l.FlushedOffset() > m.backAt {
		m.back = nil // what lies there now is on the disk
	}
	found := x.readAll()
	x.must(m.agreeContent(found))
	m.found = found
	x.readSome(found)
	x.readCommitted(found)
	x.must(m.agreeEpochs(l))
	x.must(m.agreeProducers(m.end, l.producers.byID))
	x.lookUp(found)
	x.checkSegments()
	x.checkFiles()
}

// readAll reads the log from its start to its end.
func (x *machine) readAll() (found []record.Batch) {
	size := 100 + x.serial()%700
	for at := x.model.start; at < x.model.end; {
		batches, next := x.read(at, size, x.model.end, true)
		found = append(found, batches...)
		if next <= at {
			break
		}
		at = next
	}
	return found
}

// serial is a number that differs from check to check.
func (x *machine) serial() int { return len(x.trace)*7919 + len(x.model.batches)*31 }

func (x *machine) read(from int64, maxBytes int, upTo int64, minOne bool) (found []record.Batch, next int64) {
	s, err := x.l.Read(from, maxBytes, upTo, minOne)
	if err != nil {
		x.failf("a read of %d bytes from offset %d: %w", maxBytes, from, err)
	}
	defer s.Release()
	b, err := s.Bytes()
	x.must(err)
	eachBatch(machineTB{}, b, func(b record.Batch) { found = append(found, b) })
	if size := len(b); size > maxBytes && (len(found) > 1 || !minOne) {
		x.failf("a read of %d bytes from offset %d has %d", maxBytes, from, size)
	}
	return found, s.NextOffset
}

// readSome reads once from anywhere, as much as it likes, up to anywhere: the batches are those that a reader of all has found, none
// is left out, and as many are there as fit.
func (x *machine) readSome(all []record.Batch) {
	m := x.model
	at := m.start + int64(x.serial())%(m.end-m.start+1)
	upTo := []int64{m.end, m.hw, m.lastStable(), m.start + int64(x.serial()/3)%(m.end-m.start+1)}[x.serial()%4]
	maxBytes, minOne := 1+x.serial()%2000, x.serial()%3 > 0
	found, next := x.read(at, maxBytes, upTo, minOne)
	var want []record.Batch
	size := 0
	for _, b := range all {
		if b.LastOffset() < at {
			continue
		}
		fits := size+len(b) <= maxBytes || size == 0 && minOne
		if b.NextOffset() > upTo || !fits || len(want) > 0 && x.l.baseOf(b.BaseOffset()) != x.l.baseOf(want[0].BaseOffset()) {
			break
		}
		want, size = append(want, b), size+len(b)
	}
	if len(found) != len(want) {
		x.failf("a read of %d bytes (%v) from offset %d up to %d has %d batches, not %d", maxBytes, minOne, at, upTo, len(found), len(want))
	}
	for i, b := range found {
		if string(b) != string(want[i]) {
			x.failf("a read from offset %d has other bytes at offset %d than before", at, b.BaseOffset())
		}
	}
	if n := len(found); n == 0 && next != at || n > 0 && (next < found[n-1].NextOffset() || next > m.end) {
		x.failf("a read of %d batches from offset %d up to %d goes on at %d", n, at, upTo, next)
	}
	for _, b := range all {
		if n := len(found); n > 0 && b.BaseOffset() >= found[n-1].NextOffset() && b.LastOffset() < next {
			x.failf("a read from offset %d goes on at %d, behind the batch at %d", at, next, b.BaseOffset())
		}
	}
	for _, off := range []int64{m.start - 1, m.end + 1} {
		if _, err := x.l.Read(off, 100, m.end, true); !errors.Is(err, ErrOffsetOutOfRange) {
			x.failf("a read at %d, outside of [%d, %d): %v", off, m.start, m.end, err)
		}
	}
}

// baseOf is the segment that an offset lies in.
func (l *Log) baseOf(offset int64) (base int64) {
	for _, s := range l.segments {
		if s.base <= offset {
			base = s.base
		}
	}
	return base
}

// readCommitted reads as a consumer of committed records does: batches up to the last stable offset, without those in the list of
// aborted transactions.
func (x *machine) readCommitted(all []record.Batch) {
	m := x.model
	stable := max(m.lastStable(), min(m.cleaned, m.end)) // what was cleaned was decided when it was
	from := m.start
	if x.serial()%2 == 0 && m.cleaned == 0 {
		from += int64(x.serial()) % (stable - m.start + 1)
	}
	aborted, err := x.l.AbortedTxns(from, stable)
	x.must(err)
	x.must(m.agreeAborted(from, stable, aborted, all))
	var shown []toldRecord
	for _, b := range all {
		if b.NextOffset() > stable || b.LastOffset() < from || b.IsControl() || isAborted(aborted, b) {
			continue
		}
		t, err := tell(b, 0)
		x.must(err)
		for _, r := range t.records {
			if r.offset >= from {
				shown = append(shown, r)
			}
		}
	}
	x.must(m.agreeCommitted(from, stable, shown, x.nowMs(), x.cfg.DeleteRetentionMs))
}

func isAborted(txns []AbortedTxn, b record.Batch) bool {
	for _, t := range txns {
		if b.IsTransactional() && t.ProducerID == b.ProducerID() && t.FirstOffset <= b.BaseOffset() && b.LastOffset() < t.LastOffset {
			return true
		}
	}
	return false
}

// lookUp looks for timestamps: some that records have, one before and one after.
func (x *machine) lookUp(all []record.Batch) {
	var records []toldRecord
	for _, b := range all {
		t, err := tell(b, 0)
		x.must(err)
		for _, r := range t.records {
			if r.offset >= x.model.start {
				records = append(records, r)
			}
		}
	}
	newest := toldRecord{ts: record.NoTimestamp}
	for _, r := range records {
		if r.ts > newest.ts {
			newest = r
		}
	}
	stamps := []int64{0, newest.ts, newest.ts + 1}
	for i := range min(len(records), 4) {
		stamps = append(stamps, records[(x.serial()+i*37)%len(records)].ts+int64(i%2))
	}
	for _, ts := range stamps {
		want := int64(-1)
		for _, r := range records {
			if r.ts >= ts {
				want = r.offset
				break
			}
		}
		got, ok, err := x.l.OffsetForTimestamp(ts)
		if err != nil || ok != (want >= 0) || ok && got.Offset != want {
			x.failf("timestamp %d is at offset %d, looked up it is %+v (%v) %v", ts, want, got, ok, err)
		}
		if ok {
			if epoch, known := x.l.EpochForOffset(got.Offset); !known || epoch != got.LeaderEpoch {
				x.failf("offset %d is of epoch %d, its timestamp's lookup says %d", got.Offset, epoch, got.LeaderEpoch)
			}
		}
	}
	got, ok, err := x.l.MaxTimestampOffset()
	if err != nil || ok != (len(records) > 0) || ok && (got.Offset != newest.offset || got.TimestampMs != newest.ts) {
		x.failf("the largest timestamp is %d at offset %d of %d records, the log says %+v (%v) %v", newest.ts, newest.offset, len(records), got, ok, err)
	}
}

// checkSegments: they follow one another, none is larger than it may be, and the log's start lies in the first or behind it.
func (x *machine) checkSegments() {
	total := int64(0)
	for i, s := range x.l.segments {
		total += s.size
		if i > 0 && s.base <= x.l.segments[i-1].base || s.base > x.model.end || i == 0 && s.base > x.model.start {
			x.failf("segment %d begins at %d", i, s.base)
		}
	}
	if size := x.l.Size(); size != total {
		x.failf("the log's size is %d, that of its segments %d", size, total)
	}
}

// checkFiles looks at the producer snapshots: each tells what the batches below it tell.
func (x *machine) checkFiles() {
	entries, err := x.fs.ReadDir(x.l.dir)
	x.must(err)
	for _, e := range entries {
		stem, is := strings.CutSuffix(e.Name(), snapshotSuffix)
		if !is {
			continue
		}
		at, err := strconv.ParseInt(stem, 10, 64)
		x.must(err)
		b, err := vfs.ReadFile(x.fs, path.Join(x.l.dir, e.Name()))
		x.must(err)
		ps, err := parseSnapshot(b, at)
		if err != nil || at > x.model.end {
			x.failf("there is a producer snapshot of offset %d: %v", at, err)
		}
		if at < x.model.moved {
			continue // made of what the cleaner has left
		}
		if err := x.model.agreeProducers(at, ps.byID); err != nil {
			x.failf("snapshot %d: %w", at, err)
		}
	}
}
