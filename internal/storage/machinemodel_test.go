package storage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
)

// The model of a log is the list of the batches that were appended to it, and what follows from the list by plain loops: nothing
// of it is kept up to date, all is computed anew when it is asked for. It shares no code with the log but the reading of a batch.

// toldBatch is a batch as it was appended.
type toldBatch struct {
	raw         record.Batch
	base, next  int64
	leaderEpoch int32
	pid         int64 // -1 for none
	epoch       int16
	seq         int32
	txn         bool
	marker      bool
	commit      bool
	coordinator int32 // epoch of the coordinator that sent the marker
	maxTs       int64
	atMs        int64 // when it was appended
	records     []toldRecord
}

type toldRecord struct {
	offset, ts int64
	key, value string
	keyless    bool
	tombstone  bool
}

// tell reads a batch that was appended.
func tell(b record.Batch, atMs int64) (toldBatch, error) {
	t := toldBatch{raw: slices.Clone(b), base: b.BaseOffset(), next: b.NextOffset(), leaderEpoch: b.PartitionLeaderEpoch(), pid: -1, maxTs: b.MaxTimestamp(), atMs: atMs, txn: b.IsTransactional()}
	if b.HasProducerID() {
		t.pid, t.epoch, t.seq = b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	}
	err := b.ForEach(func(r record.Record) error {
		t.records = append(t.records, toldRecord{offset: r.Offset, ts: r.TimestampMs, key: string(r.Key), value: string(r.Value), keyless: r.Key == nil, tombstone: r.Value == nil})
		if !b.IsControl() {
			return nil
		}
		c, err := record.ParseControl(r.Key, r.Value)
		if m, ok := c.(record.EndTxnMarker); ok {
			t.marker, t.commit, t.coordinator = true, m.Commit, m.CoordinatorEpoch
		}
		return err
	})
	return t, err
}

// told is the model.
type told struct {
	batches        []toldBatch // all since the log began, without those that were cut off; those below start too
	start, end, hw int64
	synced         int64 // what must outlast a cut of the power
	segmentBase    int64 // where the first segment begins; only looked at where the log is cut at its very beginning
	begun          []epochEntry
	cleaned        int64           // the cleaner may have been at work below
	decided        int64           // and went by what was decided up to here
	forgotten      map[int64]int64 // by producer: what it sent below an offset may be forgotten
	found          []record.Batch  // what a reader of everything was given last
	back           []toldBatch     // what a death within a cut has left cut in part, and the power may bring back
	backAt         int64           // where the log ended then
	moved          int64           // of what was cleaned, a move may have lost what is told by batches below alone, for offsets below
}

func newTold() *told { return &told{forgotten: map[int64]int64{}} }

func (m *told) clone() *told {
	c := *m
	c.batches, c.begun, c.forgotten = slices.Clone(m.batches), slices.Clone(m.begun), maps.Clone(m.forgotten)
	return &c
}

// append takes in a batch that was appended.
func (m *told) append(b toldBatch) {
	m.batches, m.end = append(m.batches, b), b.next
}

// cut takes away what a log that ends at an offset cannot hold.
func (m *told) cut(end int64) {
	for len(m.batches) > 0 && m.batches[len(m.batches)-1].next > end {
		m.batches = m.batches[:len(m.batches)-1]
	}
	m.end = end
	m.start, m.hw, m.synced = min(m.start, end), min(m.hw, end), min(m.synced, end)
	m.begun = slices.DeleteFunc(m.begun, func(e epochEntry) bool { return e.start >= end })
}

// anew takes everything away.
func (m *told) anew(at int64) {
	*m = told{start: at, end: at, hw: at, synced: at, segmentBase: at, forgotten: map[int64]int64{}}
}

// forgetProducers has no batch tell of producers any more.
func (m *told) forgetProducers() {
	m.batches = slices.Clone(m.batches)
	for i := range m.batches {
		b := &m.batches[i]
		b.pid, b.txn, b.marker = -1, false, false
	}
}

// held are the batches that a reader from the log's start on may be given.
func (m *told) held() []toldBatch {
	i, _ := slices.BinarySearchFunc(m.batches, m.start, func(b toldBatch, at int64) int {
		if b.next <= at {
			return -1
		}
		return 1
	})
	return m.batches[i:]
}

// toldTxn is a transaction in this log; last is its marker's offset, or -1.
type toldTxn struct {
	pid, first, last int64
	commit           bool
	stable           int64 // the last stable offset when its marker had come
}

// toldProducer is what the batches tell of a producer.
type toldProducer struct {
	epoch       int16
	coordinator int32
	lastTs      int64
	open        int64       // where its transaction began, or -1
	window      []sentBatch // up to five, oldest first
	last        int64       // offset after the last batch of it, markers too
}

// fold goes through the batches up to an offset.
func (m *told) fold(upTo int64) (map[int64]*toldProducer, []toldTxn) {
	ps, txns := map[int64]*toldProducer{}, []toldTxn(nil)
	for _, b := range m.batches {
		if b.next > upTo {
			break
		}
		if b.pid < 0 {
			continue
		}
		p := ps[b.pid]
		if p == nil {
			p = &toldProducer{epoch: b.epoch, coordinator: -1, open: -1}
			ps[b.pid] = p
		}
		if p.epoch != b.epoch {
			p.epoch, p.window = b.epoch, nil
		}
		p.lastTs, p.last = b.maxTs, b.next
		switch {
		case b.marker:
			p.coordinator = b.coordinator
			if p.open >= 0 {
				stable := b.next
				for _, other := range ps {
					if other != p && other.open >= 0 {
						stable = min(stable, other.open)
					}
				}
				txns = append(txns, toldTxn{b.pid, p.open, b.base, b.commit, stable})
				p.open = -1
			}
		default:
			delta := int32(b.next - 1 - b.base)
			p.window = append(p.window, sentBatch{lastSeq: record.AddSequence(b.seq, delta), offsetDelta: delta, lastOffset: b.next - 1, timestampMs: b.maxTs})
			if len(p.window) > 5 {
				p.window = p.window[1:]
			}
			if b.txn && p.open < 0 {
				p.open = b.base
			}
		}
	}
	for pid, p := range ps {
		if p.open >= 0 {
			txns = append(txns, toldTxn{pid, p.open, -1, false, 0})
		}
	}
	return ps, txns
}

// lastStable is where readers of committed records end.
func (m *told) lastStable() int64 {
	_, txns := m.fold(m.end)
	unstable := int64(math.MaxInt64)
	for _, t := range txns {
		if t.last < 0 || t.last >= m.hw {
			unstable = min(unstable, t.first)
		}
	}
	return min(m.hw, max(m.start, unstable))
}

// txnOf is the transaction that a batch belongs to.
func txnOf(txns []toldTxn, b toldBatch) (toldTxn, bool) {
	for _, t := range txns {
		if t.pid == b.pid && t.first <= b.base && (t.last < 0 || b.next <= t.last) {
			return t, true
		}
	}
	return toldTxn{}, false
}

// isCommitted says that readers of committed records may see a batch.
func isCommitted(txns []toldTxn, b toldBatch) bool {
	if b.marker || !b.txn {
		return !b.marker
	}
	t, ok := txnOf(txns, b)
	return ok && t.last >= 0 && t.commit
}

// epochs is where each leader epoch begins.
func (m *told) epochs() (out []epochEntry) {
	begins := []epochEntry{}
	for _, b := range m.batches {
		begins = append(begins, epochEntry{b.leaderEpoch, b.base})
	}
	begins = append(begins, m.begun...)
	slices.SortStableFunc(begins, func(a, b epochEntry) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.epoch, b.epoch)) })
	for i, e := range begins {
		if i > 0 && begins[i-1].epoch == e.epoch {
			continue
		}
		for len(out) > 0 && out[len(out)-1].start >= e.start {
			out = out[:len(out)-1]
		}
		if len(out) == 0 || out[len(out)-1].epoch < e.epoch {
			out = append(out, e)
		}
	}
	for len(out) > 1 && out[1].start <= m.start {
		out = out[1:]
	}
	if len(out) > 0 {
		out[0].start = max(out[0].start, m.start)
	}
	return out
}

// nextRecord is the first offset from one on that a reader may be given, or the log's end. Where a leader or the cleaner has left a gap,
// an epoch may begin before it or behind.
func (m *told) nextRecord(at int64) int64 {
	for _, b := range m.found {
		if b.NextOffset() > at {
			return max(b.BaseOffset(), m.start, at)
		}
	}
	return max(at, m.end)
}

func (m *told) toRecords(entries []epochEntry) []epochEntry {
	out := slices.Clone(entries)
	for i := range out {
		out[i].start = m.nextRecord(out[i].start)
	}
	for i := 0; i+1 < len(out); { // of an epoch that has no records, a start need not know
		if out[i].start == out[i+1].start {
			out = slices.Delete(out, i, i+1)
		} else {
			i++
		}
	}
	return out
}

// agreeEpochs compares the leader epochs. One that begins at the log's end is no record's, and a start need not know it any more.
func (m *told) agreeEpochs(l *Log) error {
	want, got := m.toRecords(m.epochs()), m.toRecords(l.epochs.entries)
	if n := len(want); n > 0 && want[n-1].start >= m.end && len(got) == n-1 {
		want = want[:n-1]
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("the leader epochs begin at %v, in the log at %v", want, got)
	}
	for i, e := range want {
		end := m.end
		if i+1 < len(want) {
			end = want[i+1].start
		}
		if got := l.EndOffsetForEpoch(e.epoch); got.Epoch != e.epoch || m.nextRecord(got.EndOffset) != end {
			return fmt.Errorf("epoch %d ends at offset %d, the log says %+v", e.epoch, end, got)
		}
		for _, off := range []int64{e.start, end - 1} {
			if got, ok := l.EpochForOffset(off); off >= e.start && off < end && m.nextRecord(off) == off && (!ok || got != e.epoch) {
				return fmt.Errorf("offset %d is of epoch %d, the log says %d (%v)", off, e.epoch, got, ok)
			}
		}
		between := func(k epochEntry) bool { return k.epoch > want[i-1].epoch && k.epoch < e.epoch }
		if i > 0 && want[i-1].epoch < e.epoch-1 && !slices.ContainsFunc(l.epochs.entries, between) { // one between two is answered with the one below
			if got := l.EndOffsetForEpoch(e.epoch - 1); got.Epoch != want[i-1].epoch || m.nextRecord(got.EndOffset) != e.start {
				return fmt.Errorf("epoch %d, which has no records, is said to end at %+v", e.epoch-1, got)
			}
		}
	}
	if n := len(want); n > 0 {
		if got := l.EndOffsetForEpoch(want[n-1].epoch + 1); got != (EpochEndOffset{-1, -1}) {
			return fmt.Errorf("an epoch that has not come yet is said to end at %+v", got)
		}
	}
	return nil
}

// mayBeForgotten says that the log need not remember a producer.
func (m *told) mayBeForgotten(pid int64, p *toldProducer) bool {
	return p.last <= m.forgotten[pid]
}

// agreeProducers compares what is remembered of producers at an offset, by the log or by a snapshot.
func (m *told) agreeProducers(at int64, got map[int64]*producer) error {
	want, _ := m.fold(at)
	for pid := range got {
		if want[pid] == nil {
			return fmt.Errorf("producer %d is remembered, which has sent nothing", pid)
		}
	}
	for pid, w := range want {
		g := got[pid]
		if g == nil && m.mayBeForgotten(pid, w) {
			continue
		}
		if g == nil {
			return fmt.Errorf("producer %d is forgotten: %+v", pid, *w)
		}
		if err := m.agreeProducer(pid, w, g); err != nil {
			return fmt.Errorf("producer %d at offset %d is %+v, what it has sent tells %+v: %w", pid, at, *g, *w, err)
		}
	}
	return nil
}

func (m *told) agreeProducer(pid int64, w *toldProducer, g *producer) error {
	partly := m.forgotten[pid] > 0 // some of it may be forgotten
	switch {
	case g.epoch != w.epoch:
		return errors.New("the epoch differs")
	case g.lastTimestampMs != w.lastTs:
		return errors.New("the time of the last batch differs")
	case g.coordinatorEpoch != w.coordinator && !(partly && g.coordinatorEpoch == -1):
		return errors.New("the coordinator's epoch differs")
	case g.txnFirstOffset != w.open:
		return errors.New("the open transaction differs")
	}
	window := g.batches[:g.n]
	if len(window) > len(w.window) || len(window) == 0 && len(w.window) > 0 && !partly {
		return errors.New("the batches differ in number")
	}
	if len(window) < len(w.window) && !partly && m.cleaned == 0 {
		return errors.New("batches are forgotten")
	}
	// Their timestamps are not compared: a snapshot has one for the last batch and for a marker behind it, as Kafka's has.
	if !slices.EqualFunc(window, w.window[len(w.window)-len(window):], func(a, b sentBatch) bool {
		return a.lastSeq == b.lastSeq && a.offsetDelta == b.offsetDelta && a.lastOffset == b.lastOffset
	}) {
		return errors.New("the batches differ")
	}
	return nil
}

// agreeContent compares what a reader of everything has found, from the log's start on.
func (m *told) agreeContent(found []record.Batch) error {
	held := m.held()
	if m.cleaned == 0 && len(found) != len(held) {
		return fmt.Errorf("%d batches are there, %d should be", len(found), len(held))
	}
	i := 0
	for _, b := range found {
		for i < len(held) && held[i].base < b.BaseOffset() {
			if held[i].next > m.cleaned {
				return fmt.Errorf("the batch at offset %d is gone", held[i].base)
			}
			i++
		}
		if i == len(held) || held[i].base != b.BaseOffset() {
			return fmt.Errorf("nothing was appended at offset %d", b.BaseOffset())
		}
		if err := m.sameBatch(held[i], b); err != nil {
			return fmt.Errorf("the batch at offset %d: %w", held[i].base, err)
		}
		i++
	}
	for _, b := range held[i:] {
		if b.next > m.cleaned {
			return fmt.Errorf("the batch at offset %d is gone", b.base)
		}
	}
	return nil
}

func (m *told) sameBatch(want toldBatch, b record.Batch) error {
	if slices.Equal(want.raw, b) {
		return nil
	}
	if want.next > m.cleaned {
		return errors.New("its bytes are not those that were appended")
	}
	got, err := tell(b, want.atMs)
	if err != nil {
		return err
	}
	if got.next != want.next || got.leaderEpoch != want.leaderEpoch || got.pid != want.pid || got.epoch != want.epoch || !want.marker && got.seq != want.seq || got.txn != want.txn || b.IsControl() != want.marker {
		return fmt.Errorf("it is %+v, and was %+v", got, want)
	}
	i := 0
	for _, r := range got.records {
		for i < len(want.records) && want.records[i].offset < r.offset {
			i++
		}
		if i == len(want.records) || want.records[i] != r {
			return fmt.Errorf("offset %d is %+v, which was not appended", r.offset, r)
		}
	}
	return nil
}

// agreeCommitted compares what a reader of committed records has been shown from an offset on.
func (m *told) agreeCommitted(from, upTo int64, shown []toldRecord, nowMs, deleteRetentionMs int64) error {
	_, txns := m.fold(m.end)
	var want []toldRecord
	latest := map[string]toldRecord{} // what the cleaner keeps of each key
	at := map[string]int64{}          // when that was appended
	for _, b := range m.held() {
		if !isCommitted(txns, b) || b.next > upTo {
			continue
		}
		for _, r := range b.records {
			if r.offset >= from {
				want = append(want, r)
			}
			if !r.keyless {
				latest[r.key], at[r.key] = r, b.atMs
			}
		}
	}
	if m.cleaned == 0 {
		if !slices.Equal(want, shown) {
			return fmt.Errorf("of committed records from %d to %d are shown\n%v\nwant\n%v", from, upTo, shown, want)
		}
		return nil
	}
	last := map[string]toldRecord{}
	i := 0
	for _, r := range shown {
		for i < len(want) && want[i].offset < r.offset {
			if want[i].offset >= m.cleaned {
				return fmt.Errorf("offset %d is not shown", want[i].offset)
			}
			i++
		}
		if i == len(want) || want[i] != r {
			return fmt.Errorf("offset %d is shown, and is not committed", r.offset)
		}
		i++
		last[r.key] = r
	}
	for key, r := range latest {
		if r.offset < from || last[key] == r && !r.keyless {
			continue
		}
		if _, older := last[key]; !r.tombstone || older || nowMs < at[key]+deleteRetentionMs {
			return fmt.Errorf("the last value of %q, at offset %d, is not shown, but %+v", key, r.offset, last[key])
		}
	}
	return nil
}

// agreeAborted compares a list of aborted transactions between two offsets: all with batches there are in it, as far as those have
// been found, and no others.
func (m *told) agreeAborted(from, to int64, got []AbortedTxn, found []record.Batch) error {
	_, txns := m.fold(m.end)
	for _, a := range got {
		i := slices.IndexFunc(txns, func(t toldTxn) bool { return t.pid == a.ProducerID && t.last == a.LastOffset })
		if i < 0 || txns[i].commit {
			return fmt.Errorf("the transaction %+v was not aborted", a)
		}
		t := txns[i]
		if a.FirstOffset != t.first && (a.FirstOffset < t.first || t.first >= m.moved) {
			return fmt.Errorf("the aborted transaction %+v is listed as %+v", t, a)
		}
		if a.FirstOffset >= to || a.LastOffset < from {
			return fmt.Errorf("the aborted transaction %+v is none of [%d, %d)", a, from, to)
		}
		if a.LastStableOffset != t.stable && a.LastOffset >= max(m.moved, m.cleaned) { // a start may have found it in what is left
			return fmt.Errorf("the last stable offset after the aborted transaction %+v was %d", a, t.stable)
		}
	}
	for i := range got {
		if i > 0 && got[i-1].LastOffset >= got[i].LastOffset {
			return fmt.Errorf("aborted transactions are listed in no order: %+v", got)
		}
	}
	for _, b := range found {
		if !b.IsTransactional() || b.IsControl() || b.LastOffset() < from || b.NextOffset() > to || b.NumRecords() == 0 {
			continue
		}
		t, ok := txnOf(txns, toldBatch{pid: b.ProducerID(), base: b.BaseOffset(), next: b.NextOffset()})
		if ok && t.last >= 0 && !t.commit && !slices.ContainsFunc(got, func(a AbortedTxn) bool {
			return a.ProducerID == t.pid && a.LastOffset == t.last && a.FirstOffset <= b.BaseOffset()
		}) {
			return fmt.Errorf("the aborted transaction %+v with a batch at %d is not listed: %+v", t, b.BaseOffset(), got)
		}
	}
	return nil
}
