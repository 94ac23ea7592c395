package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// ErrLocked says that another process, or another owner in this one, holds the lock.
var ErrLocked = errors.New("the lock is held by another")

// File is an open file. ReadAt and WriteAt may be called from several goroutines.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Name is the path the file was opened by.
	Name() string
	// Size is the present length in bytes.
	Size() (int64, error)
	// Truncate sets the length.
	Truncate(size int64) error
	// Sync makes the contents and the length durable (fdatasync where there is one).
	Sync() error
	// Fd is the descriptor for sendfile; ok is false where there is none (memory, faults).
	Fd() (fd uintptr, ok bool)
}

// FS is a file system. Paths are slash-separated and are given to the operating system as they are.
type FS interface {
	// OpenFile opens name with os.O_* flags; a directory cannot be opened.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	MkdirAll(name string, perm fs.FileMode) error
	Remove(name string) error
	RemoveAll(name string) error
	Rename(from, to string) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock on a file, which it creates; it fails with ErrLocked at once when another holds it.
	Lock(name string) (io.Closer, error)
}

// Usage is implemented by a file system that knows how full it is.
type Usage interface {
	// Usage tells the size of the volume that name lies on and how much of it can still be written.
	Usage(name string) (totalBytes, usableBytes int64, err error)
}

// AllSyncer is implemented by a file system that can make everything on a volume durable at once.
type AllSyncer interface {
	// SyncAll makes all files and names on the volume that dir lies on durable; errors.ErrUnsupported where it cannot
	// say whether it did.
	SyncAll(dir string) error
}

// Preallocator is implemented by a file that can have room reserved for it.
type Preallocator interface {
	// Preallocate reserves room up to a length that the file does not have yet. The length stays as it is; Truncate to
	// it gives back what was not used.
	Preallocate(size int64) error
}
