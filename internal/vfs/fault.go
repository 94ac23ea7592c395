package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

// OpKind names what is done to the file system.
type OpKind string

// The operations that a Fault's hook sees.
const (
	OpOpen     OpKind = "open"
	OpCreate   OpKind = "create" // open with O_CREATE
	OpMkdir    OpKind = "mkdir"
	OpRemove   OpKind = "remove"
	OpRename   OpKind = "rename"
	OpStat     OpKind = "stat"
	OpReadDir  OpKind = "readdir"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpReserve  OpKind = "reserve"
)

// Mutates says whether the operation changes what is on disk.
func (k OpKind) Mutates() bool {
	switch k {
	case OpCreate, OpMkdir, OpRemove, OpRename, OpSyncDir, OpWrite, OpTruncate, OpSync:
		return true
	}
	return false
}

// Op is one operation on its way.
type Op struct {
	Kind OpKind
	Name string
	Len  int // bytes of a read or write
}

// ErrLeftOut is what a hook says to have a sync reported as done that is not: a disk that lies, or a program that forgets.
var ErrLeftOut = errors.New("left out without a word")

// unlessLeftOut does a sync that the hook has nothing against.
func unlessLeftOut(asked error, do func() error) error {
	if errors.Is(asked, ErrLeftOut) {
		return nil
	}
	if asked != nil {
		return asked
	}
	return do()
}

// Fault passes operations on to another file system unless its hook says no.
type Fault struct {
	under FS
	hook  func(Op) error
}

// NewFault wraps under. hook is called before each operation, from any goroutine;
// an error of it becomes the operation's, which then does nothing. Except that of a
// failing write the first half is written, since disks fill up in the middle.
func NewFault(under FS, hook func(Op) error) *Fault { return &Fault{under: under, hook: hook} }

// FailNth is a hook that fails the nth operation (from 1) of a kind with err, and,
// when forever is set, each later one of that kind.
func FailNth(kind OpKind, nth int, forever bool, err error) func(Op) error {
	var mu sync.Mutex
	seen := 0
	return func(op Op) error {
		if op.Kind != kind {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		seen++
		if seen == nth || forever && seen > nth {
			return err
		}
		return nil
	}
}

func (f *Fault) ask(kind OpKind, name string) error {
	if err := f.hook(Op{Kind: kind, Name: name}); err != nil {
		return &fs.PathError{Op: string(kind), Path: name, Err: err}
	}
	return nil
}

// OpenFile is OpOpen or OpCreate.
func (f *Fault) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	kind := OpOpen
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		kind = OpCreate
	}
	if err := f.ask(kind, name); err != nil {
		return nil, err
	}
	file, err := f.under.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, f: f}, nil
}

// MkdirAll is OpMkdir.
func (f *Fault) MkdirAll(name string, perm fs.FileMode) error {
	if err := f.ask(OpMkdir, name); err != nil {
		return err
	}
	return f.under.MkdirAll(name, perm)
}

// Remove is OpRemove.
func (f *Fault) Remove(name string) error {
	if err := f.ask(OpRemove, name); err != nil {
		return err
	}
	return f.under.Remove(name)
}

// RemoveAll is OpRemove.
func (f *Fault) RemoveAll(name string) error {
	if err := f.ask(OpRemove, name); err != nil {
		return err
	}
	return f.under.RemoveAll(name)
}

// Rename is OpRename.
func (f *Fault) Rename(from, to string) error {
	if err := f.ask(OpRename, from); err != nil {
		return err
	}
	return f.under.Rename(from, to)
}

// Stat is OpStat.
func (f *Fault) Stat(name string) (fs.FileInfo, error) {
	if err := f.ask(OpStat, name); err != nil {
		return nil, err
	}
	return f.under.Stat(name)
}

// ReadDir is OpReadDir.
func (f *Fault) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.ask(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.under.ReadDir(name)
}

// SyncDir is OpSyncDir.
func (f *Fault) SyncDir(name string) error {
	return unlessLeftOut(f.ask(OpSyncDir, name), func() error { return f.under.SyncDir(name) })
}

// Lock is OpLock.
func (f *Fault) Lock(name string) (io.Closer, error) {
	if err := f.ask(OpLock, name); err != nil {
		return nil, err
	}
	return f.under.Lock(name)
}

// Usage is that of the file system below.
func (f *Fault) Usage(name string) (totalBytes, usableBytes int64, err error) {
	if u, ok := f.under.(Usage); ok {
		return u.Usage(name)
	}
	return 0, 0, errors.ErrUnsupported
}

// SyncAll is OpSync of the directory.
func (f *Fault) SyncAll(dir string) error {
	a, ok := f.under.(AllSyncer)
	if !ok {
		return errors.ErrUnsupported
	}
	return unlessLeftOut(f.ask(OpSync, dir), func() error { return a.SyncAll(dir) })
}

type faultFile struct {
	File
	f *Fault
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.f.hook(Op{Kind: OpRead, Name: f.Name(), Len: len(p)}); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.f.hook(Op{Kind: OpWrite, Name: f.Name(), Len: len(p)}); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off) // the injected error is the one to tell
		return n, &fs.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.f.ask(OpTruncate, f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Sync() error {
	return unlessLeftOut(f.f.ask(OpSync, f.Name()), f.File.Sync)
}

// Preallocate is OpReserve.
func (f *faultFile) Preallocate(size int64) error {
	if err := f.f.ask(OpReserve, f.Name()); err != nil {
		return err
	}
	if p, ok := f.File.(Preallocator); ok {
		return p.Preallocate(size)
	}
	return errors.ErrUnsupported
}

func (f *faultFile) Fd() (uintptr, bool) { return 0, false }
