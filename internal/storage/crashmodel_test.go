package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// cutBatch is a batch as it was appended; bytes and all.
type cutBatch struct {
	record.Batch
	gone int // the promise number from which on it may not be there any more; 0 for never
}

// cutLog is what a partition's log may and must hold.
type cutLog struct {
	model   *cutModel // whose lock guards what follows
	tp      TopicPartition
	id      [16]byte
	compact bool
	written []*cutBatch // all that was ever appended to this topic
	current []*cutBatch // what the log holds, oldest first; what retention takes included
	acked   int64       // everything below was synced
	// committed is where the high watermark was raised to, or what a cut has left of that: what is appended after the cut is not committed.
	committed int64
	begins    int64 // the log was begun there, and this was said to be on the disk
	deleted   int64 // DeleteRecords was acknowledged up to here
	made      bool  // CreateLog has returned
	removed   int   // the promise number from which on the topic is deleted; 0 for never
}

// everWritten is a copy of written. Cuts are checked while the workload goes on.
func (l *cutLog) everWritten() []cutBatch {
	l.model.mu.Lock()
	defer l.model.mu.Unlock()
	out := make([]cutBatch, len(l.written))
	for i, b := range l.written {
		out[i] = *b
	}
	return out
}

// deletedBy says that the topic was deleted when so many promises had been made.
func (l *cutLog) deletedBy(number int) bool {
	l.model.mu.Lock()
	defer l.model.mu.Unlock()
	return l.removed > 0 && l.removed <= number
}

// cutModel is what was promised of all logs. The workload changes it, and the file system's hook looks at it.
type cutModel struct {
	mu        sync.Mutex
	number    int // of promises
	formatted int // log directories
	boot      string
	logs      []*cutLog
}

// cutPromise is one log's part of what was promised at a moment.
type cutPromise struct {
	*cutLog
	current        []*cutBatch // those below acked
	acked, deleted int64
	committed      int64
	begins         int64
	made           bool
}

// promises is a copy of what holds now.
type promises struct {
	number    int
	formatted int
	boot      string
	logs      []cutPromise
	now       time.Time
}

func (m *cutModel) look(now time.Time) promises {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := promises{number: m.number, formatted: m.formatted, boot: m.boot, now: now}
	for _, l := range m.logs {
		if l.removed > 0 && l.removed <= m.number {
			p.logs = append(p.logs, cutPromise{cutLog: l})
			continue
		}
		c := cutPromise{cutLog: l, acked: l.acked, deleted: l.deleted, committed: l.committed, begins: l.begins, made: l.made}
		for _, b := range l.current {
			if b.LastOffset() < l.acked {
				c.current = append(c.current, b)
			}
		}
		p.logs = append(p.logs, c)
	}
	return p
}

// do changes the model.
func (m *cutModel) do(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
	m.number++
}

func (m *cutModel) newLog(tp TopicPartition, id byte) *cutLog {
	l := &cutLog{model: m, tp: tp, id: [16]byte{0xC0, id}}
	m.do(func() { m.logs = append(m.logs, l) })
	return l
}

// append notes a batch before it is appended, with the offset and the epoch that it will get.
func (m *cutModel) append(l *cutLog, b record.Batch, offset int64, epoch int32) record.Batch {
	raw := record.Batch(bytes.Clone(b))
	raw.SetBaseOffset(offset)
	raw.SetPartitionLeaderEpoch(epoch)
	m.do(func() {
		c := &cutBatch{Batch: raw}
		l.written, l.current = append(l.written, c), append(l.current, c)
	})
	return record.Batch(bytes.Clone(raw))
}

// cutting withdraws the promise of what is about to be cut.
func (m *cutModel) cutting(l *cutLog, offset int64) {
	m.do(func() { l.acked = min(l.acked, offset) })
}

// cut says that what lies above the log's end, or all of it, may not come back.
func (m *cutModel) cut(l *cutLog, end int64) {
	m.do(func() {
		keep := l.current[:0:0]
		for _, b := range l.current {
			if b.NextOffset() <= end {
				keep = append(keep, b)
			} else {
				b.gone = m.number + 1
			}
		}
		l.current = keep
		l.committed = min(l.committed, end)
	})
}

// cutDirs are the log directories of the workload.
var cutDirs = [...]string{"/d", "/e"}

func openCut(fsys vfs.FS, clk clock.Clock, boot string) (*Manager, error) {
	o := ManagerOptions{FS: fsys, Clock: clk, Dirs: cutDirs[:], ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig(), BootID: boot,
		tornTailBytes: 64, ConfigFor: cutConfig, BrokerEpoch: func() int64 { return 7 }, DirCheckIntervalMs: -1}
	o.Cleaner = DefaultCleanerConfig()
	o.Cleaner.DedupeBufferBytes, o.Cleaner.IOBufferBytes = 1<<16, 1
	return OpenManager(o)
}

func cutConfig(topic string) LogConfig {
	c := smallConfig()
	if strings.HasPrefix(topic, "compact") {
		c = compactConfig()
		c.SegmentBytes = 600
	}
	return c
}

// cutCheck holds what a start finds against what was promised before the power went.
type cutCheck struct {
	fsys *vfs.Mem
	boot string
	dead bool // the process has died, and the power has not been cut
	p    promises
}

// opened is what a start has found, to be compared with the next.
func (c *cutCheck) opened(use func(*Manager) error) (found string, err error) {
	m, err := openCut(c.fsys, clock.NewFake(c.p.now), c.boot)
	if c.p.formatted < len(cutDirs) && err != nil {
		return "not formatted yet", c.formatAnew(err)
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Close(false)) }()
	for _, d := range m.Dirs() {
		if d.Err != nil {
			return "", d.Err
		}
	}
	var b strings.Builder
	for _, p := range c.p.logs {
		told, err := c.log(m, p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.tp, err)
		}
		fmt.Fprintf(&b, "%s %s\n", p.tp, told)
	}
	if use != nil {
		err = use(m)
	}
	return b.String(), err
}

// formatAnew says that a directory that was about to be formatted can be, and is of no harm until then.
func (c *cutCheck) formatAnew(cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) {
		return cause
	}
	for i, d := range cutDirs {
		if _, err := ReadMetaProperties(c.fsys, d); i < c.p.formatted && err != nil {
			return fmt.Errorf("%s was formatted: %w", d, err)
		}
		if err := errors.Join(c.fsys.MkdirAll(d, 0o755), WriteMetaProperties(c.fsys, d, MetaProperties{ClusterID: "c", NodeID: 1, DirectoryID: [16]byte{byte(i + 1)}})); err != nil {
			return err
		}
	}
	c.p.formatted = len(cutDirs)
	return nil
}

func (c *cutCheck) log(m *Manager, p cutPromise) (string, error) {
	l := m.Log(p.tp)
	if p.deletedBy(c.p.number) {
		if l != nil && l.TopicID() == p.id {
			return "", errors.New("a topic that was deleted is there again")
		}
		return "deleted", nil
	}
	if l == nil || l.TopicID() != p.id && l.TopicID() != ([16]byte{}) {
		if p.acked > 0 && len(p.current) > 0 {
			return "", errors.New("the log is gone")
		}
		return "no log", nil
	}
	if err := l.Wake(); err != nil {
		return "", err
	}
	start, end := l.LogStartOffset(), l.LogEndOffset()
	switch {
	case end < p.acked || start < p.deleted:
		return "", fmt.Errorf("the log has [%d, %d), synced was %d, deleted %d", start, end, p.acked, p.deleted)
	case p.acked > p.deleted && l.TopicID() != p.id:
		return "", errors.New("the topic's id is gone")
	}
	if hw := l.HighWatermark(); hw > max(p.committed, start) {
		return "", fmt.Errorf("the high watermark is %d, and no more than [%d, %d) was committed", hw, start, p.committed)
	}
	if p.begins > 0 && start != p.begins {
		return "", fmt.Errorf("the log begins at offset %d, and was begun at %d", start, p.begins)
	}
	var batches []record.Batch
	var err error
	if batches, err = c.batches(l, p); err != nil {
		return "", err
	}
	l.SetHighWatermark(end)
	var before []record.Batch // what retention has taken
	for _, b := range p.current {
		if len(batches) > 0 && b.NextOffset() <= batches[0].BaseOffset() && !p.compact {
			before = append(before, b.Batch)
		}
	}
	if err := agree(l, before, batches, p.compact); err != nil {
		return "", err
	}
	return fmt.Sprint(start, end, l.epochs.entries, l.NumSegments(), len(batches), sortedProducersOf(l)), nil
}

// batches reads the log: what was promised is there, and nothing else than what was appended.
func (c *cutCheck) batches(l *Log, p cutPromise) ([]record.Batch, error) {
	found, err := readBatches(l)
	if err != nil {
		return nil, err
	}
	next, written := l.LogStartOffset(), p.everWritten()
	for i, b := range found {
		if p.compact {
			continue
		}
		if b.BaseOffset() != next && (i > 0 || b.BaseOffset() > next || b.NextOffset() <= next) {
			return nil, fmt.Errorf("a batch begins at offset %d, %d is next", b.BaseOffset(), next)
		}
		next = b.NextOffset()
		if !slices.ContainsFunc(written, func(w cutBatch) bool {
			return (w.gone == 0 || w.gone > c.p.number) && bytes.Equal(w.Batch, b)
		}) {
			return nil, fmt.Errorf("the batch at offset %d was cut off before, or never appended", b.BaseOffset())
		}
	}
	if p.compact {
		return found, compactedAgree(p, found, l.LogStartOffset())
	}
	if next != l.LogEndOffset() && len(found) > 0 {
		return nil, fmt.Errorf("the last batch ends at offset %d, the log at %d", next, l.LogEndOffset())
	}
	for _, want := range p.current {
		if want.NextOffset() <= l.LogStartOffset() {
			continue
		}
		if !slices.ContainsFunc(found, func(b record.Batch) bool { return bytes.Equal(b, want.Batch) }) {
			return nil, fmt.Errorf("the batch at offset %d was synced, and is not there", want.BaseOffset())
		}
	}
	return found, nil
}

func readBatches(l *Log) (out []record.Batch, err error) {
	for at := l.LogStartOffset(); at < l.LogEndOffset(); {
		s, err := l.Read(at, 1<<20, l.LogEndOffset(), true)
		if err != nil {
			return nil, err
		}
		b, err := s.Bytes()
		next := s.NextOffset
		s.Release()
		if err != nil {
			return nil, err
		}
		if next <= at {
			return nil, fmt.Errorf("a read at %d goes on at %d", at, next)
		}
		at = next
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err == nil {
				err = batch.Validate()
			}
			if err != nil {
				return nil, err
			}
			out, b = append(out, batch), rest
		}
	}
	return out, nil
}

// compactedAgree says that of each key the last synced value, or a later one, is there, and nothing that was not appended.
func compactedAgree(p cutPromise, found []record.Batch, start int64) error {
	var current, written []record.Batch
	for _, b := range p.current {
		current = append(current, b.Batch)
	}
	for _, b := range p.everWritten() {
		written = append(written, b.Batch)
	}
	name := func(r record.Record) string { return fmt.Sprint(r.Offset, string(r.Key), "=", string(r.Value)) }
	last, was, is := map[string]int64{}, map[string]bool{}, map[string]int64{}
	err := errors.Join(
		eachCommitted(current, current, func(r record.Record) error { last[string(r.Key)] = r.Offset; return nil }),
		eachCommitted(written, nil, func(r record.Record) error { was[name(r)] = true; return nil }),
		eachCommitted(found, nil, func(r record.Record) error {
			if !was[name(r)] {
				return fmt.Errorf("offset %d was never appended", r.Offset)
			}
			return nil
		}),
		eachCommitted(found, written, func(r record.Record) error { is[string(r.Key)] = r.Offset; return nil }))
	for key, offset := range last {
		if at, ok := is[key]; err == nil && offset >= start && (!ok || at < offset) {
			err = fmt.Errorf("the value of %s at offset %d was synced, the last that is there is at %d", key, offset, at)
		}
	}
	return err
}

// eachCommitted calls fn for the records of batches that are in no transaction, or in one that was committed by the markers among
// others; with no others, for all.
func eachCommitted(batches, others []record.Batch, fn func(record.Record) error) error {
	for _, b := range batches {
		if b.IsControl() || others != nil && b.IsTransactional() && !committedIn(others, b) {
			continue
		}
		if err := b.ForEach(fn); err != nil {
			return err
		}
	}
	return nil
}

func committedIn(batches []record.Batch, b record.Batch) bool {
	for _, m := range batches {
		if m.IsControl() && m.ProducerID() == b.ProducerID() && m.BaseOffset() > b.LastOffset() {
			marker, ok, err := endTxnMarker(m)
			return ok && err == nil && marker.Commit
		}
	}
	return false
}

// agree holds epochs, producer state, aborted transactions and timestamps against the batches that are there.
func agree(l *Log, before, batches []record.Batch, compacted bool) error {
	start, end := l.LogStartOffset(), l.LogEndOffset()
	var ps producers
	ps.reset(start)
	for _, b := range before {
		if _, _, err := ps.apply(b); err != nil {
			return err
		}
	}
	var aborted []AbortedTxn
	for i, b := range batches {
		if e, ok := l.EpochForOffset(max(b.BaseOffset(), start)); !ok || e != b.PartitionLeaderEpoch() {
			return fmt.Errorf("the batch at offset %d is of epoch %d, the cache says %d", b.BaseOffset(), b.PartitionLeaderEpoch(), e)
		}
		if i > 0 && b.PartitionLeaderEpoch() < batches[i-1].PartitionLeaderEpoch() {
			return fmt.Errorf("epoch %d follows epoch %d at offset %d", b.PartitionLeaderEpoch(), batches[i-1].PartitionLeaderEpoch(), b.BaseOffset())
		}
		done, abort, err := ps.apply(b)
		if err != nil {
			return err
		}
		if done != nil && abort {
			aborted = append(aborted, AbortedTxn{ProducerID: done.producerID, FirstOffset: done.first, LastOffset: done.last})
		}
	}
	if e := l.epochs.entries; len(e) > 0 && e[len(e)-1].start > end {
		return fmt.Errorf("epoch %d begins at offset %d, the log ends at %d", e[len(e)-1].epoch, e[len(e)-1].start, end)
	}
	for id, want := range ps.byID {
		got := l.producers.byID[id]
		if got == nil || got.epoch != want.epoch || want.n > 0 && got.lastSeq() != want.lastSeq() {
			return fmt.Errorf("producer %d is %+v, its batches tell %+v", id, got, want)
		}
		if want.txnFirstOffset != got.txnFirstOffset && (len(before) > 0 || got.txnFirstOffset < 0 || got.txnFirstOffset >= start) {
			return fmt.Errorf("producer %d has its transaction open from offset %d, its batches tell %d", id, got.txnFirstOffset, want.txnFirstOffset)
		}
	}
	if compacted {
		return nil
	}
	txns, err := l.AbortedTxns(start, end)
	if err != nil {
		return err
	}
	for _, want := range aborted {
		if !slices.ContainsFunc(txns, func(t AbortedTxn) bool {
			return t.ProducerID == want.ProducerID && t.LastOffset == want.LastOffset && (t.FirstOffset == want.FirstOffset || t.FirstOffset < start)
		}) {
			return fmt.Errorf("the aborted transaction %+v is not in the index: %+v", want, txns)
		}
	}
	for _, t := range txns {
		if t.FirstOffset >= start && !slices.ContainsFunc(aborted, func(want AbortedTxn) bool { return t.ProducerID == want.ProducerID && t.LastOffset == want.LastOffset }) {
			return fmt.Errorf("the index tells of an aborted transaction %+v, the batches do not", t)
		}
	}
	return agreeOnTime(l, batches)
}

func agreeOnTime(l *Log, batches []record.Batch) error {
	if len(batches) > 0 && l.LogStartOffset() == l.segments[0].base {
		largest := slices.MaxFunc(batches, func(a, b record.Batch) int { return cmp.Compare(a.MaxTimestamp(), b.MaxTimestamp()) }).MaxTimestamp()
		if found, ok, err := l.MaxTimestampOffset(); err != nil || !ok || found.TimestampMs != largest {
			return fmt.Errorf("the largest timestamp is said to be %+v (%v, %w), it is %d", found, ok, err, largest)
		}
	}
	for i := range batches {
		ts := batches[i].MaxTimestamp()
		want := int64(-1)
		for _, b := range batches {
			if want >= 0 {
				break
			}
			if b.MaxTimestamp() < ts {
				continue
			}
			if err := b.ForEach(func(r record.Record) error {
				if want < 0 && r.TimestampMs >= ts && r.Offset >= l.LogStartOffset() {
					want = r.Offset
				}
				return nil
			}); err != nil {
				return err
			}
		}
		got, ok, err := l.OffsetForTimestamp(ts)
		if err != nil || ok != (want >= 0) || ok && got.Offset != want {
			return fmt.Errorf("timestamp %d is found at %+v (%v, %w), it is at %d", ts, got, ok, err, want)
		}
	}
	return nil
}

func sortedProducersOf(l *Log) []ProducerState { return sortedProducers(l) }

// verify opens the directories twice, goes on with appends, and opens them again.
func (c *cutCheck) verify() error {
	if err := soundDirs(c.fsys); err != nil && c.p.formatted == len(cutDirs) {
		return fmt.Errorf("before the first start: %w", err)
	}
	var left *vfs.Mem
	synced := map[TopicPartition]int64{}
	first, err := c.opened(func(m *Manager) error {
		left = c.fsys.CrashClone()
		for _, p := range c.p.logs {
			if l := m.Log(p.tp); l != nil {
				synced[p.tp] = l.FlushedOffset()
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the first start: %w\n%s", err, c.list())
	}
	if err := c.keeps(left, synced); err != nil {
		return fmt.Errorf("the power is cut after the first start: %w\n%s", err, c.list())
	}
	second, err := c.opened(c.goOn)
	if err != nil {
		return fmt.Errorf("the second start: %w\n%s", err, c.list())
	}
	if first != second && first != "not formatted yet" {
		return fmt.Errorf("the first start finds\n%s\nthe second\n%s", first, second)
	}
	if err := soundDirs(c.fsys); err != nil {
		return fmt.Errorf("after a stop in order: %w", err)
	}
	return nil
}

// keeps says that what a start has called synced is there after a cut of the power.
func (c *cutCheck) keeps(left *vfs.Mem, synced map[TopicPartition]int64) error {
	if !c.dead || left == nil || c.p.formatted < len(cutDirs) {
		return nil // the power has been cut before, and has left what is on the disk; or nothing was formatted yet
	}
	m, err := openCut(left, clock.NewFake(c.p.now), "boot 4")
	if err != nil {
		return err
	}
	for tp, upTo := range synced {
		l := m.Log(tp)
		if l == nil {
			if upTo > 0 {
				err = errors.Join(err, fmt.Errorf("the log of %s is gone, which was called synced to %d", tp, upTo))
			}
			continue
		}
		if werr := l.Wake(); werr != nil {
			err = errors.Join(err, werr)
		} else if l.LogEndOffset() < upTo {
			err = errors.Join(err, fmt.Errorf("the log of %s was called synced to %d, and ends at %d", tp, upTo, l.LogEndOffset()))
		}
	}
	return errors.Join(err, m.Close(false))
}

func (c *cutCheck) list() string {
	var b strings.Builder
	for _, d := range cutDirs {
		entries, _ := c.fsys.ReadDir(d)
		for _, e := range entries {
			if !e.IsDir() {
				data, _ := vfs.ReadFile(c.fsys, d+"/"+e.Name())
				fmt.Fprintf(&b, "%s/%s: %q\n", d, e.Name(), data)
				continue
			}
			inside, _ := c.fsys.ReadDir(d + "/" + e.Name())
			for _, f := range inside {
				info, _ := f.Info()
				fmt.Fprintf(&b, "%s/%s/%s %d\n", d, e.Name(), f.Name(), info.Size())
			}
		}
	}
	return b.String()
}

// goOn appends to each log, and stops in order.
func (c *cutCheck) goOn(m *Manager) error {
	for _, p := range c.p.logs {
		l := m.Log(p.tp)
		if l == nil || p.deletedBy(c.p.number) {
			continue
		}
		// As the node does when the image names the topic; a topic id that went with the power is noted again.
		if _, err := m.CreateLog(p.tp, p.id, cutConfig(p.tp.Topic), [16]byte{}); err != nil {
			return err
		}
		end := l.LogEndOffset()
		seq := int32(0)
		for _, s := range l.ActiveProducers() {
			if s.ProducerID == cutProducer {
				seq = record.AddSequence(s.LastSequence, 1)
			}
		}
		b := batchOf(record.BuilderOptions{HasProducer: true, ProducerID: cutProducer, BaseSequence: seq}, c.p.now.UnixMilli(), "after")
		info, err := l.AppendAsLeader(b, 99, FromClient)
		if err != nil || info.FirstOffset != end || info.Duplicate {
			return fmt.Errorf("%s: the next append gives %+v, %w", p.tp, info, err)
		}
		if err := l.Flush(); err != nil || l.FlushedOffset() != end+1 {
			return fmt.Errorf("%s: the next sync comes to %d of %d, %w", p.tp, l.FlushedOffset(), end+1, err)
		}
	}
	return m.Close(true)
}

// cutProducer is the idempotent producer that goes on after each cut.
const cutProducer = 1

// soundDirs is mustBeSound for the directories of the workload.
func soundDirs(fsys vfs.FS) (err error) {
	for _, d := range cutDirs {
		_, cerr := CheckDir(CheckOptions{FS: fsys, Dir: d, Found: func(f Finding) {
			if f.Damage {
				err = errors.Join(err, fmt.Errorf("the check finds damage where there is none: %v", f))
			}
		}})
		err = errors.Join(err, cerr)
	}
	return err
}
