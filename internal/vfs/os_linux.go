package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const errIsDir = unix.EISDIR

// lockFile takes an open-file-description lock on the whole file. It conflicts
// with the record locks that Java takes, so that Kafka itself and Moldau cannot
// run on one directory, and unlike those it conflicts within one process too.
func lockFile(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	if err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

// dataSync makes contents and length durable, without the times.
func dataSync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// Usage asks the kernel how full the volume is.
func (OS) Usage(name string) (totalBytes, usableBytes int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(name, &s); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}

// SyncAll is syncfs. Before Linux 5.8 it did not tell of errors, and is of no use.
func (OS) SyncAll(dir string) error {
	if !syncfsTells() {
		return errors.ErrUnsupported
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err = unix.Syncfs(int(d.Fd())); err != nil {
		err = &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func syncfsTells() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); n < 2 {
		return false
	}
	return major > 5 || major == 5 && minor >= 8
}

// Preallocate is fallocate without a change of the length: what is reserved can never be read.
func (f osFile) Preallocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.File.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
}
