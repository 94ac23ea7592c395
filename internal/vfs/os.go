package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// OS is the machine's file system.
type OS struct{}

// errIsNoFile is for pipes, sockets and devices.
var errIsNoFile = errors.New("it is no file, but a pipe, a socket or a device")

// OpenFile opens name as os.OpenFile does, but refuses what is no file. It looks before it opens: to open a pipe that nobody
// writes to would wait for ever.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		err = errIsNoFile
		if info.IsDir() {
			err = errIsDir
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// MkdirAll creates a directory and its parents.
func (OS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }

// Remove removes a file or an empty directory.
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll removes a tree; one that does not exist is no error.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// Rename moves a name over another.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Stat describes a name.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// ReadDir lists a directory, sorted by name.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// SyncDir makes the names in a directory durable.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Lock takes an exclusive lock that dies with the process.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close() // nothing was written to it
		return nil, err
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) { return sizeOf(f.File) }

func (f osFile) Sync() error { return dataSync(f.File) }

func (f osFile) Fd() (uintptr, bool) { return f.File.Fd(), true }
