package vfs

import (
	"os"
	"time"
)

// Times is implemented by a file system that can set when a file was modified.
type Times interface {
	// SetModTime sets a file's time of modification; the next write changes it again.
	SetModTime(name string, t time.Time) error
}

// SetModTime sets a file's time of modification.
func (OS) SetModTime(name string, t time.Time) error { return os.Chtimes(name, t, t) }

// SetModTime sets a file's time of modification.
func (m *Mem) SetModTime(name string, t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil {
		return pathErr("chtimes", name, err)
	}
	n.mod = t
	return nil
}

// SetModTime passes on; where the file system beneath cannot, nothing is done.
func (f *Fault) SetModTime(name string, t time.Time) error {
	if under, ok := f.under.(Times); ok {
		return under.SetModTime(name, t)
	}
	return nil
}
