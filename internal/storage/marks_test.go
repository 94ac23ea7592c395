package storage

import (
	"io/fs"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// afterRead is a file system that calls a hook after each read.
type afterRead struct {
	vfs.FS
	hook func()
}

func (a afterRead) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := a.FS.OpenFile(name, flag, perm)
	return afterReadFile{f, a.hook}, err
}

type afterReadFile struct {
	vfs.File
	hook func()
}

func (f afterReadFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.hook()
	return n, err
}

// A read has looked at the batches when the log is cut and goes on with others of
// other sizes. Where that read would go on is no place of a batch any more.
func TestAReadFromBeforeACutLeavesNoMark(t *testing.T) {
	var armed atomic.Bool
	looked, goOn := make(chan struct{}), make(chan struct{})
	m := afterRead{vfs.NewMem(), func() {
		if armed.CompareAndSwap(true, false) {
			close(looked)
			<-goOn
		}
	}}
	l := testLog(t, m, newTestClock(), DefaultLogConfig())
	for range 4 {
		mustAppend(t, l, values(1, "small"))
	}
	size := int(l.Size() / 4)
	armed.Store(true)
	done := make(chan error, 1)
	go func() {
		s, err := l.Read(0, 2*size, 4, true)
		if err == nil {
			s.Release()
		}
		done <- err
	}()
	<-looked
	if err := l.TruncateTo(1); err != nil {
		t.Fatal(err)
	}
	// In one append, so that only its beginning is marked.
	three := slices.Concat(values(1, "of another size"), values(1, "of another size"), values(1, "of another size"))
	if _, err := l.AppendAsLeader(three, 1, FromCoordinator); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := readFrom(t, l, 2); len(got) != 2 || got[2] != "of another size" {
		t.Fatal(got)
	}
}
