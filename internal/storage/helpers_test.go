package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

var testTP = TopicPartition{"t", 0}

// smallConfig rolls and indexes often.
func smallConfig() LogConfig {
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.IndexBytes = 700, 100, 200
	c.RetentionMs = -1
	return c
}

// epochStart is when tests begin; records are stamped around it.
var epochStart = time.UnixMilli(1_700_000_000_000)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testLog opens a log of its own on fsys.
func testLog(t tb, fsys vfs.FS, clk clock.Clock, cfg LogConfig, change ...func(*LogOptions)) *Log {
	t.Helper()
	o := LogOptions{FS: fsys, Clock: clk, Dir: "/d/t-0", TopicPartition: testTP, Config: cfg, HighWatermark: 1 << 60}
	for _, f := range change {
		f(&o)
	}
	// The log directory itself is durable before any log is in it.
	if o.Dir == "/d/t-0" {
		if err := errors.Join(fsys.MkdirAll("/d", 0o755), fsys.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
	}
	l, err := OpenLog(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// values makes a batch of these values, stamped ts, ts+1...
func values(ts int64, vs ...string) record.Batch {
	return batchOf(record.BuilderOptions{}, ts, vs...)
}

func batchOf(o record.BuilderOptions, ts int64, vs ...string) record.Batch {
	b := record.NewBuilder(o)
	for i, v := range vs {
		b.Append(ts+int64(i), []byte("k"), []byte(v), nil)
	}
	return b.Build()
}

// from makes a batch of an idempotent producer.
func from(pid int64, epoch int16, seq int32, vs ...string) record.Batch {
	return batchOf(record.BuilderOptions{HasProducer: true, ProducerID: pid, ProducerEpoch: epoch, BaseSequence: seq}, epochStart.UnixMilli(), vs...)
}

func inTxn(pid int64, epoch int16, seq int32, vs ...string) record.Batch {
	return batchOf(record.BuilderOptions{HasProducer: true, ProducerID: pid, ProducerEpoch: epoch, BaseSequence: seq, Transactional: true}, epochStart.UnixMilli(), vs...)
}

func marker(pid int64, epoch int16, commit bool) record.Batch {
	return record.EndTxnBatch(pid, epoch, epochStart.UnixMilli(), record.EndTxnMarker{Commit: commit})
}

func mustAppend(t tb, l *Log, b record.Batch) AppendInfo {
	t.Helper()
	info, err := l.AppendAsLeader(bytes.Clone(b), 1, FromClient)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustCoordinate(t tb, l *Log, b record.Batch) AppendInfo {
	t.Helper()
	info, err := l.AppendAsLeader(bytes.Clone(b), 1, FromCoordinator)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// readAll reads the values of all data records from an offset on, by reads of a few bytes.
func readFrom(t tb, l *Log, at int64) map[int64]string {
	t.Helper()
	got := map[int64]string{}
	for {
		s, err := l.Read(at, 150, l.LogEndOffset(), true)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len == 0 {
			s.Release()
			return got
		}
		b, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if s.NextOffset <= at {
			t.Fatalf("a read at %d goes on at %d", at, s.NextOffset)
		}
		at = s.NextOffset
		s.Release()
		eachBatch(t, b, func(batch record.Batch) {
			if batch.IsControl() {
				return
			}
			err := batch.ForEach(func(r record.Record) error { got[r.Offset] = string(r.Value); return nil })
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func eachBatch(t tb, b []byte, fn func(record.Batch)) {
	t.Helper()
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err == nil {
			err = batch.Validate()
		}
		if err != nil {
			t.Fatal(err)
		}
		fn(batch)
		b = rest
	}
}

func files(t tb, fsys vfs.FS, dir string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, e := range entries {
		info, _ := e.Info()
		fmt.Fprintf(&b, "%s %d\n", e.Name(), info.Size())
	}
	return b.String()
}

func newTestClock() *clock.Fake { return clock.NewFake(epochStart) }

// format makes a log directory on an empty file system.
func format(t tb, fsys vfs.FS, dirs ...string) {
	t.Helper()
	for i, d := range dirs {
		if err := fsys.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := WriteMetaProperties(fsys, d, MetaProperties{ClusterID: "c", NodeID: 1, DirectoryID: [16]byte{byte(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func openManager(t tb, fsys vfs.FS, clk clock.Clock, cfg LogConfig, change ...func(*ManagerOptions)) *Manager {
	t.Helper()
	o := ManagerOptions{FS: fsys, Clock: clk, Logger: quiet(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: cfg,
		BootID: "boot", tornTailBytes: 64} // kills and power cuts within one boot, unless a test says otherwise
	for _, f := range change {
		f(&o)
	}
	m, err := OpenManager(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var testID = [16]byte{0xAB, 1}

func sortedProducers(l *Log) []ProducerState {
	return slices.SortedFunc(slices.Values(l.ActiveProducers()), func(a, b ProducerState) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
}
