package storage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// forgetful is a file system whose syncs may find no space, and which then believes that everything was written, as a
// kernel does: a sync after that makes only durable what has been written since.
type forgetful struct {
	vfs.FS
	full atomic.Bool
	only string // the files that it happens to
	mem  *vfs.Mem
}

type forgetfulFile struct {
	vfs.File
	fs *forgetful
}

func (f *forgetful) OpenFile(name string, flag int, perm os.FileMode) (vfs.File, error) {
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &forgetfulFile{File: file, fs: f}, nil
}

func (f *forgetfulFile) Sync() error {
	if f.fs.full.Load() && strings.HasSuffix(f.Name(), f.fs.only) {
		if err := f.fs.mem.Forget(f.Name()); err != nil {
			return err
		}
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.File.Sync()
}

// syncIn waits for everything to be synced, in time that passes.
func syncIn(clk *clock.Fake, l *Log) error {
	done := make(chan error, 1)
	l.AwaitSync(l.LogEndOffset(), func(err error) { done <- err })
	for {
		select {
		case err := <-done:
			return err
		default:
			clk.Advance(payRetry / 4)
			runtime.Gosched()
		}
	}
}

// A sync finds no space. Nobody is told that anything is durable until everything has been written again and synced;
// then the log goes on, and a power cut costs nothing.
func TestASyncWithoutSpaceIsSurvived(t *testing.T) {
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix, partitionMetadataFile} {
		t.Run(suffix, func(t *testing.T) {
			m := vfs.NewMem()
			format(t, m, "/d")
			fsys := &forgetful{FS: m, mem: m, only: suffix}
			clk := newTestClock()
			mgr := openManager(t, fsys, clk, smallConfig())
			l := mustCreate(t, mgr, testTP, 0)
			n, seq := 0, int32(0)
			more := func(k int) {
				for range k {
					mustAppend(t, l, inTxn(1, 0, seq, fmt.Sprintf("value %d that takes room", n)))
					mustCoordinate(t, l, marker(1, 0, false))
					n, seq = n+2, seq+1
				}
			}
			fsys.full.Store(true)
			more(20)
			wantErr(t, syncIn(clk, l), ErrStorage, ErrDiskFull)
			if l.Err() != nil || mgr.Dirs()[0].Err != nil {
				t.Fatal("a full disk is no broken one", l.Err(), mgr.Dirs()[0].Err)
			}
			if l.FlushedOffset() == l.LogEndOffset() {
				t.Fatal("it counts as synced")
			}
			wantErr(t, syncIn(clk, l), ErrDiskFull) // the next try
			more(3)
			if got := readFrom(t, l, 0); len(got) != n/2 {
				t.Fatal(len(got), n/2)
			}
			fsys.full.Store(false)
			for end := l.LogEndOffset(); l.FlushedOffset() < end; {
				if err := syncIn(clk, l); err != nil {
					wantErr(t, err, ErrDiskFull)
				}
			}
			more(1)
			if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
				t.Fatal(err)
			}
			for name, image := range map[string]*vfs.Mem{"a power cut": m.CrashClone(), "a kill": m.KillClone()} {
				again := openManager(t, image, newTestClock(), smallConfig())
				got := again.Log(testTP)
				txns, err := got.AbortedTxns(0, int64(n))
				if end := got.LogEndOffset(); end != int64(n) || len(readFrom(t, got, 0)) != n/2 || len(txns) != n/2 || err != nil || got.TopicID() != testID {
					t.Fatal(name, end, n, len(txns), err)
				}
				_ = again.Close(false)
			}
			if err := mgr.Close(true); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What the kernel has dropped cannot be written again: then nothing is acknowledged, and the log ends.
func TestASyncWithoutSpaceThatLosesRecordsEndsTheLog(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	fsys := &forgetful{FS: m, mem: m, only: logSuffix}
	clk := newTestClock()
	mgr := openManager(t, fsys, clk, smallConfig())
	defer func() { _ = mgr.Close(false) }()
	l := mustCreate(t, mgr, testTP, 0)
	mustAppend(t, l, values(1, "synced"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	fsys.full.Store(true)
	pos := int(l.Size())
	mustAppend(t, l, values(1, "dropped"))
	wantErr(t, l.Flush(), ErrDiskFull)
	if err := m.Overwrite(l.active().path(kindLog), pos, make([]byte, int(l.Size())-pos)); err != nil {
		t.Fatal(err)
	}
	fsys.full.Store(false)
	done := make(chan error, 1)
	l.AwaitSync(2, func(err error) { done <- err })
	clk.Advance(payRetry)
	wantErr(t, <-done, ErrStorage, errNotReadBack)
	wantErr(t, l.Err(), ErrStorage)
	if l.FlushedOffset() != 1 {
		t.Fatal(l.FlushedOffset())
	}
}

// A stop while there is no space is not one in order; one with space again is.
func TestAStopAfterASyncWithoutSpace(t *testing.T) {
	for _, full := range []bool{true, false} {
		m := vfs.NewMem()
		format(t, m, "/d")
		fsys := &forgetful{FS: m, mem: m, only: logSuffix}
		mgr := openManager(t, fsys, newTestClock(), smallConfig())
		l := mustCreate(t, mgr, testTP, 0)
		fsys.full.Store(true)
		mustAppend(t, l, values(1, "one"))
		wantErr(t, l.Flush(), ErrDiskFull)
		fsys.full.Store(full)
		if err := mgr.Close(true); (err != nil) != full {
			t.Fatal(full, err)
		}
		if clean, _ := vfs.Exists(m, "/d/"+cleanShutdownFile); clean == full {
			t.Fatal(full, clean)
		}
		image := m.CrashClone()
		if full {
			image = m.KillClone()
		}
		mgr = openManager(t, image, newTestClock(), smallConfig())
		if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 1 {
			t.Fatal(full, got)
		}
		_ = mgr.Close(true)
	}
}
