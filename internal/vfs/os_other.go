//go:build !unix

package vfs

import (
	"errors"
	"io/fs"
	"os"
)

var errIsDir = errors.New("is a directory")

// lockFile refuses: without a lock two nodes could ruin one directory unnoticed.
func lockFile(f *os.File) error {
	return &fs.PathError{Op: "lock", Path: f.Name(), Err: errors.ErrUnsupported}
}

func dataSync(f *os.File) error { return f.Sync() }

func sizeOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
