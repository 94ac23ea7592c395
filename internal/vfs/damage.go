package vfs

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// What disks do to files besides stopping, for tests.

// Overwrite changes bytes of a file as a failing disk would: what was durable changes with what is there, and nobody is told.
func (m *Mem) Overwrite(name string, off int, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil {
		return pathErr("overwrite", name, err)
	}
	if n.dir || off < 0 || off+len(b) > len(n.data) {
		return pathErr("overwrite", name, fs.ErrInvalid)
	}
	copy(n.data[off:], b)
	if off < len(n.synced) {
		copy(n.synced[off:], b)
	}
	return nil
}

// FlipBit turns one bit of a file over.
func (m *Mem) FlipBit(name string, off int, bit uint) error {
	b, err := ReadFile(m, name)
	if err != nil {
		return err
	}
	if off < 0 || off >= len(b) {
		return pathErr("flip", name, fs.ErrInvalid)
	}
	return m.Overwrite(name, off, []byte{b[off] ^ 1<<(bit%8)})
}

// Forget has a file's contents count as written that are not: what kernels do after a sync that failed. A later Sync
// makes durable only what is written after this; where the file had grown there are zeros.
func (m *Mem) Forget(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil || n.dir {
		return pathErr("forget", name, errors.Join(err, fs.ErrInvalid))
	}
	n.synced = slices.Clone(n.synced[:min(len(n.synced), len(n.data))])
	n.synced = append(n.synced, make([]byte, len(n.data)-len(n.synced))...)
	n.lo, n.hi = 0, 0
	return nil
}

// SetQuota bounds what all files together may hold; writes beyond fail with ENOSPC in their middle. 0 is no bound.
func (m *Mem) SetQuota(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quota = bytes
}

// Usage is that of the quota; without one it is unknown.
func (m *Mem) Usage(string) (totalBytes, usableBytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.quota <= 0 {
		return 0, 0, syscall.ENOTSUP
	}
	return m.quota, max(m.quota-m.root.bytes(), 0), nil
}

// bytes is what a file, or all files below a directory, hold.
func (n *node) bytes() int64 {
	if !n.dir {
		return int64(len(n.data))
	}
	var sum int64
	for _, c := range n.names {
		sum += c.bytes()
	}
	return sum
}

// roomLocked is how much of a write of n bytes that lets a file grow from have to end has room.
func (m *Mem) roomLocked(have, off, end int) (n int, err error) {
	if m.quota <= 0 || end <= have {
		return end - off, nil
	}
	free := int(m.quota - m.root.bytes())
	if grow := end - have; grow > free {
		return max(end-off-(grow-max(free, 0)), 0), syscall.ENOSPC
	}
	return end - off, nil
}

// Vanished is a hook under which nothing is left of a directory: a disk that was pulled.
func Vanished(dir string) func(Op) error {
	return func(op Op) error {
		if within(op.Name, dir) {
			return syscall.ENOENT
		}
		return nil
	}
}

// ReadOnly is a hook under which a directory can only be read: what file systems do after an error of the disk.
func ReadOnly(dir string) func(Op) error {
	return func(op Op) error {
		if within(op.Name, dir) && op.Kind.Mutates() {
			return syscall.EROFS
		}
		return nil
	}
}

func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// SyncAll makes everything durable.
func (m *Mem) SyncAll(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.root.syncAll()
	return nil
}

func (n *node) syncAll() {
	if !n.dir {
		n.sync()
		return
	}
	n.syncNames()
	for _, c := range n.names {
		c.syncAll()
	}
}
