package quorum

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/moldau-stream/moldau/internal/vfs"
)

const (
	// walReadBytes is read at once of a WAL.
	walReadBytes = 1 << 20
	// maxWALBytes bounds what is kept of a WAL in memory. A snapshot begins it anew after some tens of MiB; more than
	// this no node has written.
	maxWALBytes = 1 << 30
	// maxSmallFileBytes bounds the files that hold some lines, or what format has decided.
	maxSmallFileBytes = 64 << 20
)

// readWALFile reads a WAL, and says how long the file is. Zeros that the file ends with are left out, a piece at a time: no frame
// ends with so many, and a file that was grown from outside must not cost the memory that its size says.
func readWALFile(fsys vfs.FS, name string) (data []byte, size int64, err error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	if size, err = f.Size(); err != nil {
		return nil, 0, err
	}
	buf := make([]byte, min(size, walReadBytes))
	zeros := int64(0) // pieces of zeros that have been read, and are not in data
	for at := int64(0); at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 && errors.Is(err, io.EOF) {
			return data, at, nil // it has shrunk
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		at += int64(n)
		if n == walReadBytes && allZero(buf[:n]) {
			zeros += int64(n)
			continue
		}
		if int64(len(data))+zeros+int64(n) > maxWALBytes {
			return nil, 0, fmt.Errorf("%s has %d bytes, more than any Raft log", name, size)
		}
		data = append(append(data, make([]byte, zeros)...), buf[:n]...)
		zeros = 0
	}
	return data, size, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readSmallFile reads a file that is small when it is sound.
func readSmallFile(fsys vfs.FS, name string) ([]byte, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSmallFileBytes && !info.IsDir() {
		return nil, fmt.Errorf("it has %d bytes, more than such a file ever has", info.Size())
	}
	return vfs.ReadFile(fsys, name)
}
