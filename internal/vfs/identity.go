package vfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Identifier is implemented by a file system that can tell one mounting of a volume from the next.
type Identifier interface {
	// Identity names a file and the mounting that it lies on: as long as it answers the same, the file is the same and its file
	// system has not been taken away and brought back, so that what was written, synced or not, is in the kernel's memory
	// or on the disk. errors.ErrUnsupported where nobody knows.
	Identity(name string) (string, error)
}

// Identity is that of the file system beneath.
func (f *Fault) Identity(name string) (string, error) {
	if i, ok := f.under.(Identifier); ok {
		return i.Identity(name)
	}
	return "", errors.ErrUnsupported
}

// Identity changes with each clone that stands for a cut of the power, as with each mounting of a disk.
func (m *Mem) Identity(name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil {
		return "", pathErr("statx", name, err)
	}
	for n.number == 0 {
		n.number = rand.Uint64()
	}
	return fmt.Sprintf("%x:%x", m.mount, n.number), nil
}
