package storage

import (
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// failingSync has the first sync of a log file fail as disks do: the kernel reports it once, and calls the pages written that
// it could not write.
func failingSync(base *vfs.Mem, errno syscall.Errno) (fsys vfs.FS, failed *atomic.Bool) {
	failed = &atomic.Bool{}
	return vfs.NewFault(base, func(op vfs.Op) error {
		if op.Kind != vfs.OpSync || !strings.HasSuffix(op.Name, logSuffix) || !failed.CompareAndSwap(false, true) {
			return nil
		}
		if err := base.Forget(op.Name); err != nil {
			return err
		}
		return errno
	}), failed
}

// The operator does what the error says, and starts the node again. The kernel still shows the records, and a sync of them
// succeeds, but nothing was written: what is acknowledged then must be written anew first.
func TestNoAcknowledgementRestsOnPagesOfAFailedSyncAfterARestart(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		t.Run(errno.Error(), func(t *testing.T) {
			base, cfg := vfs.NewMem(), smallConfig()
			cfg.SegmentBytes = 1 << 20 // no sync but the one that fails
			format(t, base, "/d")
			m := openManager(t, base, newTestClock(), cfg)
			l, err := m.CreateLog(testTP, testID, cfg, [16]byte{})
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, from(1, 0, 0, "synced"))
			if err := m.Close(true); err != nil {
				t.Fatal(err)
			}
			fsys, failed := failingSync(base, errno)
			m = openManager(t, fsys, newTestClock(), cfg)
			l = m.Log(testTP)
			for i := range 20 {
				mustAppend(t, l, from(1, 0, int32(2*i+1), "not synced yet", strings.Repeat("x", 50)))
			}
			if err := l.Flush(); err == nil || !failed.Load() {
				t.Fatal(err)
			}
			_ = m.Close(false)

			again := base.KillClone()
			m = openManager(t, again, newTestClock(), cfg)
			l = m.Log(testTP)
			end := l.LogEndOffset()
			if err := l.Flush(); err != nil || l.FlushedOffset() != end || end != 41 {
				t.Fatal(l.FlushedOffset(), end, err)
			}
			cut := again.CrashClone()
			_ = m.Close(false)
			m = openManager(t, cut, newTestClock(), cfg)
			if got := readFrom(t, m.Log(testTP), 0); len(got) != 41 {
				t.Fatalf("41 records were synced, %d are there", len(got))
			}
			_ = m.Close(true)
		})
	}
}

// A start after a power cut is killed before it has checked the logs. The kernel has not stopped since, but what it found is as
// doubtful as before.
func TestAKillWhileAPowerCutIsCheckedLeavesTheDoubt(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	m := openManager(t, base, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, values(1, "synced"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(2, "torn", strings.Repeat("x", 40)))
	mustAppend(t, l, values(3, "after it", strings.Repeat("x", 40)))
	pos := l.active().size
	cut := base.MixedClone(true, true)
	_ = m.Close(false)
	if err := cut.FlipBit(l.active().path(kindLog), int(pos/2), 1); err != nil { // one page of the batch was not written
		t.Fatal(err)
	}
	reading, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys := vfs.NewFault(cut, func(op vfs.Op) error {
		if strings.HasSuffix(op.Name, logSuffix) && op.Kind == vfs.OpRead {
			once.Do(func() { close(reading) })
			<-goOn
		}
		return nil
	})
	m = openManager(t, fsys, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.BackgroundRecovery = true })
	<-reading
	killed := cut.KillClone()
	close(goOn)
	_ = m.Close(false)
	m = openManager(t, killed, newTestClock(), smallConfig())
	defer func() { _ = m.Close(true) }()
	if got := readFrom(t, m.Log(testTP), 0); len(got) != 1 {
		t.Fatalf("a batch that does not match its checksum was taken into the log: %v", got)
	}
}

// The list of logs that an orderly stop has left and nobody has changed since is believed only in the mounting in which it was
// written, and each line is on the disk before the log changes.
func TestALogIsNotedBeforeItChanges(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	m := openManager(t, base, newTestClock(), smallConfig())
	mustAppend(t, mustCreate(t, m, testTP, 0), values(1, "one"))
	for range 2 { // the file's name is durable from the second orderly stop on; without it every log is checked
		if err := m.Close(true); err != nil {
			t.Fatal(err)
		}
		m = openManager(t, base, newTestClock(), smallConfig())
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	var changes, syncs atomic.Int64
	fsys := vfs.NewFault(base, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, touchedFile) {
			syncs.Add(1)
		}
		if op.Kind == vfs.OpWrite && strings.HasPrefix(op.Name, "/d/t-0/") {
			changes.Add(1)
			b, err := vfs.ReadFile(base.CrashClone(), "/d/"+touchedFile)
			if err != nil || !strings.HasSuffix(string(b), "\nt 0\n") {
				t.Errorf("%s is written to, and the disk does not know of a change: %q %v", op.Name, b, err)
			}
		}
		return nil
	})
	m = openManager(t, fsys, newTestClock(), smallConfig())
	mustAppend(t, m.Log(testTP), values(2, "two"))
	mustAppend(t, m.Log(testTP), values(3, "three"))
	before := syncs.Load()
	mustAppend(t, mustCreate(t, m, TopicPartition{"new", 0}, 0), values(1, "a new log costs none"))
	if changes.Load() == 0 || before != 1 || syncs.Load() != 1 {
		t.Fatal(changes.Load(), before, syncs.Load())
	}
	// The disk comes back with what was synced; the kernel is the same.
	cut := base.CrashClone()
	_ = m.Close(false)
	var out logTo
	m = openManager(t, cut, newTestClock(), smallConfig(), out.option)
	if got := readFrom(t, m.Log(testTP), 0); len(got) != 1 || !strings.Contains(out.String(), "sameBoot=false") {
		t.Fatal(got, out.String())
	}
	_ = m.Close(true)
}

// When the disk refuses the note itself, every log is checked after a kill, and the log goes on if only space was missing.
func TestANoteThatCannotBeSynced(t *testing.T) {
	for _, c := range []struct {
		errno syscall.Errno
		taken bool
	}{{syscall.ENOSPC, true}, {syscall.EIO, false}} {
		base := vfs.NewMem()
		format(t, base, "/d")
		m := openManager(t, base, newTestClock(), smallConfig())
		for i := range 3 {
			mustAppend(t, mustCreate(t, m, TopicPartition{"t", int32(i)}, 0), values(1, "one"))
		}
		if err := m.Close(true); err != nil {
			t.Fatal(err)
		}
		fsys := vfs.NewFault(base, func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, touchedFile) {
				return c.errno
			}
			return nil
		})
		m = openManager(t, fsys, newTestClock(), smallConfig())
		_, err := m.Log(testTP).AppendAsLeader(values(2, "two"), 1, FromClient)
		if (err == nil) != c.taken {
			t.Fatal(c.errno, err)
		}
		killed := base.KillClone()
		_ = m.Close(false)
		var out logTo
		m = openManager(t, killed, newTestClock(), smallConfig(), out.option)
		if !strings.Contains(out.String(), "recovering 3 logs") {
			t.Fatal(out.String())
		}
		_ = m.Close(true)
	}
}
