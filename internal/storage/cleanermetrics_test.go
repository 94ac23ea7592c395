package storage

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// What the cleaner tells of itself is what it has done: of bytes read and written, of how full its map of keys was, of how dirty the dirtiest
// log is, of how long it took and since when it rests. The line in the log says the same.
func TestTheCleanersMetricsAreWhatItHasDone(t *testing.T) {
	var told logTo
	cfg := compactConfig()
	cfg.SegmentBytes = 1 << 20
	var slow switchable
	x := newCompacted(t, cfg, told.option, func(o *ManagerOptions) { o.FS = vfs.NewFault(o.FS, slow.ask) })
	c := DefaultCleanerConfig()
	c.Threads, c.BackoffMs, c.DedupeBufferBytes, c.IOBufferLoadFactor = 1, 1000, 24*100, 1
	x.m.SetCleanerConfig(c)
	if m := x.m.CleanerMetrics(); m.RecopyPercent != 0 || m.MaxBufferUtilizationPercent != 0 || m.MaxDirtyPercent != 0 || m.TimeSinceLastRunMs != 0 {
		t.Fatalf("before anything was done: %+v", m)
	}
	for i := range 40 {
		x.put(fmt.Sprintf("k%d=%d", i%20, i))
	}
	x.roll()
	before := x.l.views()[0].size
	x.m.StartCleaner()
	x.clk.Advance(1100 * time.Millisecond)
	for range 1000 {
		if strings.Contains(told.String(), "cleaned log") && x.m.CleanerMetrics().MaxDirtyPercent == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	after := x.l.views()[0].size
	m := x.m.CleanerMetrics()
	if want := 100 * float64(after) / float64(before); math.Abs(m.RecopyPercent-want) > 1e-9 || after >= before {
		t.Errorf("%v percent are said to be written again, of %d bytes %d are left, which is %v", m.RecopyPercent, before, after, want)
	}
	if keys := x.l.LogEndOffset() / 2; keys != 20 || math.Abs(m.MaxBufferUtilizationPercent-20) > 1e-9 {
		t.Errorf("a map for 100 keys that held %d is said to be full by %v percent", keys, m.MaxBufferUtilizationPercent)
	}
	if m.MaxDirtyPercent != 0 {
		t.Errorf("%v percent of a clean log are said to be dirty", m.MaxDirtyPercent)
	}
	for _, want := range []string{"dirtyFrom=0 dirtyTo=40", fmt.Sprintf("bytesBefore=%d bytesAfter=%d", before, after), "messagesBefore=40 messagesAfter=20",
		"indexedMessages=40", "segmentsBefore=1 segmentsAfter=1", "bufferPercent=20", "fewerMessagesPercent=50"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the log does not say %s: %s", want, told.String())
		}
	}
	x.clk.Advance(300 * time.Millisecond)
	if got := x.m.CleanerMetrics().TimeSinceLastRunMs; got != 300+100 && got != 300 {
		t.Errorf("it has looked for work %d ms ago", got)
	}
	// As much again, which is dirty until the next pass; and it is not worth one.
	cfg.MinCleanableDirtyRatio = 0.9
	x.l.SetConfig(cfg)
	for i := range 10 {
		x.put(fmt.Sprintf("k%d=%d", i, 40+i))
	}
	clean := x.l.views()[0].size
	x.roll()
	views := x.l.views()
	dirty := views[len(views)-2].size
	if _, ok := x.m.cleaner.filthiest(); ok {
		t.Fatal("it is cleaned")
	}
	if got, want := x.m.CleanerMetrics().MaxDirtyPercent, 100*float64(dirty)/float64(clean+dirty); math.Abs(got-want) > 1e-9 {
		t.Errorf("%v percent are said to be dirty, %d bytes of %d are", got, dirty, clean+dirty)
	}
	// A pass that takes its time.
	x.m.cleaner.stop()
	slow.set(func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, logSuffix+cleanedSuffix) {
			slow.set(func(vfs.Op) error { return nil })
			x.clk.Advance(2500 * time.Millisecond)
		}
		return nil
	})
	x.m.cleaner.stopped = make(chan struct{})
	if !cleanNow(t, x.m, x.l) {
		t.Fatal("it is not cleaned")
	}
	if got := x.m.CleanerMetrics().MaxCleanTimeSecs; got != 2.5 {
		t.Errorf("a pass of 2.5 s is said to have taken %v", got)
	}
}
