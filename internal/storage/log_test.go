package storage

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

func TestAppendReadReopen(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	want := map[int64]string{}
	for i := range 100 {
		v := string(rune('a' + i%26))
		info := mustAppend(t, l, values(epochStart.UnixMilli()+int64(i), v, v+v))
		if info.FirstOffset != int64(2*i) || info.LastOffset != int64(2*i+1) || info.NumRecords != 2 {
			t.Fatalf("%+v", info)
		}
		want[info.FirstOffset], want[info.LastOffset] = v, v+v
	}
	check := func(l *Log) {
		t.Helper()
		if l.NumSegments() < 5 || l.LogEndOffset() != 200 || l.LogStartOffset() != 0 {
			t.Fatalf("%d segments, [%d, %d)", l.NumSegments(), l.LogStartOffset(), l.LogEndOffset())
		}
		for _, at := range []int64{0, 1, 99, 100, 199, 200} {
			got := readFrom(t, l, at)
			for off, v := range want {
				if off >= at && got[off] != v {
					t.Fatalf("from %d: offset %d is %q, not %q", at, off, got[off], v)
				}
			}
		}
		for ts := range int64(100) {
			got, ok, err := l.OffsetForTimestamp(epochStart.UnixMilli() + ts)
			if err != nil || !ok || got.TimestampMs != epochStart.UnixMilli()+ts || got.Offset != max(0, 2*ts-1) || got.LeaderEpoch != 1 {
				t.Fatalf("timestamp +%d: %+v %v %v", ts, got, ok, err)
			}
		}
		if _, ok, err := l.OffsetForTimestamp(epochStart.UnixMilli() + 101); ok || err != nil {
			t.Fatal(ok, err)
		}
		if got, ok, err := l.MaxTimestampOffset(); err != nil || !ok || got.Offset != 199 || got.TimestampMs != epochStart.UnixMilli()+100 {
			t.Fatal(got, ok, err)
		}
		if got := l.EndOffsetForEpoch(1); got != (EpochEndOffset{1, 200}) {
			t.Fatal(got)
		}
	}
	check(l)
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	before := files(t, m, "/d/t-0")
	for _, fs := range []*vfs.Mem{m, m.CrashClone(), m.KillClone()} {
		l = testLog(t, fs, newTestClock(), smallConfig(), func(o *LogOptions) { o.Clean = true })
		check(l)
		if err := l.Close(true); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, files(t, fs, "/d/t-0")); diff != "" {
			t.Fatalf("a clean start and stop changed files: %s", diff)
		}
		l = testLog(t, fs, newTestClock(), smallConfig())
		check(l)
		if err := l.Close(true); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, files(t, fs, "/d/t-0")); diff != "" {
			t.Fatalf("recovery of a whole log changed files: %s", diff)
		}
	}
}

func TestReadKeepsItsLimits(t *testing.T) {
	l := testLog(t, vfs.NewMem(), newTestClock(), DefaultLogConfig())
	var sizes []int64
	for range 20 {
		sizes = append(sizes, int64(mustAppend(t, l, values(1000, "aaa", "bbb", "ccc")).SizeInBytes))
	}
	one := sizes[0]
	for _, c := range []struct {
		from     int64
		maxBytes int
		upTo     int64
		minOne   bool
		wantLen  int64
		wantNext int64
	}{
		{0, 1 << 20, 60, true, 20 * one, 60},
		{0, 1 << 20, 60, false, 20 * one, 60},
		{0, int(one), 60, false, one, 3},
		{1, int(one), 60, false, one, 3},
		{0, int(one) - 1, 60, false, 0, 0},
		{0, int(one) - 1, 60, true, one, 3},
		{0, 0, 60, true, one, 3},
		{0, int(3*one + 5), 60, true, 3 * one, 9},
		{6, 1 << 20, 12, true, 2 * one, 12},
		{6, 1 << 20, 13, true, 2 * one, 13},
		{6, 1 << 20, 8, true, 0, 6},
		{6, 1 << 20, 6, true, 0, 6},
		{9, 1 << 20, 5, true, 0, 9},
		{60, 1 << 20, 100, true, 0, 60},
		{57, 1 << 20, math.MaxInt64, true, one, 60},
	} {
		s, err := l.Read(c.from, c.maxBytes, c.upTo, c.minOne)
		if err != nil || s.Len != c.wantLen || s.NextOffset != c.wantNext || s.FirstOffset != c.from {
			t.Errorf("%+v: %+v %v", c, s, err)
		}
		s.Release()
		s.Release()
	}
	for _, at := range []int64{-1, 61} {
		if _, err := l.Read(at, 100, 60, true); !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	cfg := smallConfig()
	cfg.MaxMessageBytes = 300
	compact := cfg
	compact.Compact, compact.Delete = true, false
	before := cfg
	before.TimestampBeforeMaxMs = 1000
	now := epochStart.UnixMilli()
	edit := func(b record.Batch, fn func(record.Batch)) record.Batch {
		b = bytes.Clone(b)
		fn(b)
		b.UpdateCRC()
		return b
	}
	keyless := record.NewBuilder(record.BuilderOptions{Codec: record.LZ4})
	keyless.Append(now, []byte("k"), nil, nil)
	keyless.Append(now, nil, []byte("v"), nil)
	late := record.NewBuilder(record.BuilderOptions{})
	late.Append(now, nil, nil, nil)
	late.Append(now+3600_001, nil, nil, nil)
	old := record.NewBuilder(record.BuilderOptions{Codec: record.Zstd})
	old.Append(now, nil, nil, nil)
	old.Append(-1, nil, nil, nil)
	old.Append(now-1001, nil, nil, nil)
	broken := values(now, "x")
	broken[len(broken)-1] ^= 1
	logAppend := batchOf(record.BuilderOptions{TimestampType: record.LogAppendTime, LogAppendTimeMs: now}, now, "x")
	for name, c := range map[string]struct {
		cfg     LogConfig
		batch   []byte
		reason  error
		indexes []int
	}{
		"nothing":             {cfg, nil, ErrInvalidRecord, nil},
		"garbage":             {cfg, make([]byte, 100), ErrCorruptRecord, nil},
		"bad checksum":        {cfg, broken, ErrCorruptRecord, nil},
		"cut short":           {cfg, values(now, "x")[:69], ErrCorruptRecord, nil},
		"old format":          {cfg, edit(values(now, "x"), func(b record.Batch) { b[16] = 1 }), ErrInvalidRecord, nil},
		"two batches":         {cfg, append(values(now, "x"), values(now, "y")...), ErrInvalidRecord, nil},
		"base offset":         {cfg, edit(values(now, "x"), func(b record.Batch) { b.SetBaseOffset(1) }), ErrInvalidRecord, nil},
		"too large":           {cfg, values(now, string(make([]byte, 300))), ErrRecordTooLarge, nil},
		"count":               {cfg, edit(values(now, "x"), func(b record.Batch) { b[60] = 2 }), ErrInvalidRecord, nil},
		"no records":          {cfg, record.NewBuilder(record.BuilderOptions{}).Build(), ErrInvalidRecord, nil},
		"codec":               {cfg, edit(values(now, "x"), func(b record.Batch) { b[22] |= 7 }), ErrUnsupportedCompression, nil},
		"control":             {cfg, marker(1, 0, true), ErrInvalidRecord, nil},
		"sequence":            {cfg, from(1, 0, -1, "x"), ErrInvalidRecord, nil},
		"transaction of none": {cfg, edit(values(now, "x"), func(b record.Batch) { b[22] |= 0x10 }), ErrInvalidRecord, nil},
		"delete horizon":      {cfg, batchOf(record.BuilderOptions{DeleteHorizonMs: 5}, now, "x"), ErrInvalidRecord, nil},
		"timestamp type":      {cfg, logAppend, ErrInvalidTimestamp, nil},
		"keyless":             {compact, keyless.Build(), ErrInvalidRecord, []int{1}},
		"from the future":     {cfg, late.Build(), ErrInvalidTimestamp, []int{1}},
		"from the past":       {before, old.Build(), ErrInvalidTimestamp, []int{2}},
	} {
		l := testLog(t, vfs.NewMem(), newTestClock(), c.cfg)
		_, err := l.AppendAsLeader(c.batch, 1, FromClient)
		var refusal *InvalidRecordError
		if !errors.Is(err, c.reason) || !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var indexes []int
		for _, r := range refusal.RecordErrors {
			indexes = append(indexes, r.BatchIndex)
		}
		if diff := cmp.Diff(c.indexes, indexes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if l.LogEndOffset() != 0 || l.Err() != nil {
			t.Errorf("%s: the refusal moved the log to %d, %v", name, l.LogEndOffset(), l.Err())
		}
	}
}

// Records pass through as the client packed them, unless a strict broker looks into each.
func TestStrictRecordsAreLookedInto(t *testing.T) {
	now := epochStart.UnixMilli()
	plain := values(now, "x", "y")
	plain[22] |= byte(record.Gzip) // says gzip, but is not
	plain.UpdateCRC()
	for _, strict := range []bool{false, true} {
		cfg := smallConfig()
		cfg.StrictRecords = strict
		l := testLog(t, vfs.NewMem(), newTestClock(), cfg)
		if _, err := l.AppendAsLeader(batchOf(record.BuilderOptions{Codec: record.Gzip}, now, "x", "y"), 1, FromClient); err != nil {
			t.Fatal(err)
		}
		_, err := l.AppendAsLeader(bytes.Clone(plain), 1, FromClient)
		if strict != errors.Is(err, ErrCorruptRecord) || !strict && err != nil {
			t.Errorf("strict %t: %v", strict, err)
		}
		if want := map[bool]int64{false: 4, true: 2}[strict]; l.LogEndOffset() != want {
			t.Errorf("strict %t: the log ends at %d, not %d", strict, l.LogEndOffset(), want)
		}
	}
}

func TestLogAppendTimeAndRecompression(t *testing.T) {
	clk := newTestClock()
	cfg := smallConfig()
	cfg.TimestampType, cfg.CompressionType = record.LogAppendTime, record.Zstd
	l := testLog(t, vfs.NewMem(), clk, cfg)
	info := mustAppend(t, l, batchOf(record.BuilderOptions{Codec: record.Gzip, HasProducer: true, ProducerID: 5, BaseSequence: 0}, 17, "x", "y"))
	if info.LogAppendTimeMs != epochStart.UnixMilli() || info.MaxTimestampMs != info.LogAppendTimeMs {
		t.Fatalf("%+v", info)
	}
	s, err := l.Read(0, 1000, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	b, _ := s.Bytes()
	batch := record.Batch(b)
	if batch.Codec() != record.Zstd || batch.TimestampType() != record.LogAppendTime || batch.ProducerID() != 5 || batch.Validate() != nil {
		t.Fatalf("%v %v %v", batch.Codec(), batch.TimestampType(), batch.ProducerID())
	}
	if got := readFrom(t, l, 0); !maps.Equal(got, map[int64]string{0: "x", 1: "y"}) {
		t.Fatal(got)
	}
}

func TestFollowerTakesWhatTheLeaderAssigned(t *testing.T) {
	l := testLog(t, vfs.NewMem(), newTestClock(), smallConfig())
	assigned := func(base int64, epoch int32, vs ...string) record.Batch {
		b := values(1, vs...)
		b.SetBaseOffset(base)
		b.SetPartitionLeaderEpoch(epoch)
		return b
	}
	joined := append(assigned(0, 1, "a", "b"), assigned(5, 2, "c")...) // a gap, as compaction leaves
	joined = append(joined, assigned(6, 3, "d")...)
	info, err := l.AppendAsFollower(joined[:len(joined)-1], 3)
	if err != nil || info.FirstOffset != 0 || info.LastOffset != 5 || info.NumRecords != 3 {
		t.Fatalf("%+v %v", info, err)
	}
	if info, err = l.AppendAsFollower(assigned(6, 3, "d"), 2); err != nil || info.SizeInBytes != 0 || l.LogEndOffset() != 6 {
		t.Fatalf("a batch of a newer epoch was taken: %+v %v", info, err)
	}
	if _, err = l.AppendAsFollower(assigned(5, 2, "again"), 2); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	if got := readFrom(t, l, 0); !maps.Equal(got, map[int64]string{0: "a", 1: "b", 5: "c"}) {
		t.Fatal(got)
	}
	if got := readFrom(t, l, 3); !maps.Equal(got, map[int64]string{5: "c"}) {
		t.Fatal(got)
	}
	if got := l.EndOffsetForEpoch(1); got != (EpochEndOffset{1, 5}) {
		t.Fatal(got)
	}
	// An offset too far from the segment's base begins a new one.
	if _, err = l.AppendAsFollower(assigned(1<<40, 3, "far"), 3); err != nil || l.NumSegments() != 2 {
		t.Fatal(err, l.NumSegments())
	}
	if got := readFrom(t, l, 100); !maps.Equal(got, map[int64]string{1 << 40: "far"}) {
		t.Fatal(got)
	}
}

// toldClock tells when it is looked at.
type toldClock struct {
	*clock.Fake
	looked chan struct{}
}

func (c toldClock) Now() time.Time {
	now := c.Fake.Now()
	select {
	case c.looked <- struct{}{}:
	default:
	}
	return now
}

// An append waits for another one to end. The time it stamps is that of its turn, else
// its records would be older than those before them.
func TestLogAppendTimeIsThatOfTheAppendsTurn(t *testing.T) {
	clk := toldClock{newTestClock(), make(chan struct{}, 1)}
	cfg := DefaultLogConfig()
	cfg.TimestampType = record.LogAppendTime
	l := testLog(t, vfs.NewMem(), clk, cfg)
	l.appendMu.Lock()
	select { // opening the log has looked too
	case <-clk.looked:
	default:
	}
	got := make(chan AppendInfo, 1)
	go func() {
		info, _ := l.AppendAsLeader(values(1, "x"), 1, FromClient)
		got <- info
	}()
	<-clk.looked // to check the batch; now it waits, or soon will
	clk.Advance(time.Second)
	l.appendMu.Unlock()
	if info, want := <-got, clk.Fake.Now().UnixMilli(); info.LogAppendTimeMs != want {
		t.Fatalf("stamped %d ms before its turn", want-info.LogAppendTimeMs)
	}
}
