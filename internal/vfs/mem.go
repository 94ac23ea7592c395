package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a file system in memory that remembers what would survive a power cut:
// for each file the contents at its last Sync, for each directory the names at
// its last SyncDir. Nothing else survives, which is the worst that POSIX allows.
type Mem struct {
	mu    sync.Mutex // guards all nodes
	root  *node
	locks map[string]bool
	quota int64 // bytes that all files may hold; 0 for no bound
	mount uint64
}

// node is a file or a directory.
type node struct {
	dir  bool
	mod  time.Time
	perm fs.FileMode
	// number tells a file from others, also from those that had its name; 0 until somebody asks.
	number uint64

	// file
	data   []byte
	synced []byte // contents at the last Sync
	lo, hi int    // data[lo:hi] may differ from synced, besides the length

	// directory
	names   map[string]*node
	durable map[string]*node // names at the last SyncDir
	pending []nameOp         // what has happened to names since, in order
}

// nameOp is a change of a directory's names: to is what a name stands for afterwards, nil for nothing. Of a rename, both
// ends are one change.
type nameOp struct {
	name, other string
	to, otherTo *node
	both        bool
}

func (op nameOp) apply(names map[string]*node) {
	set := func(name string, to *node) {
		if to == nil {
			delete(names, name)
		} else {
			names[name] = to
		}
	}
	set(op.name, op.to)
	if op.both {
		set(op.other, op.otherTo)
	}
}

// change makes a change of a directory's names, of which a power cut may leave nothing.
func (n *node) change(op nameOp) {
	op.apply(n.names)
	n.pending = append(n.pending, op)
}

// syncNames makes a directory's names durable.
func (n *node) syncNames() { n.durable, n.pending = maps.Clone(n.names), nil }

func newDir() *node {
	return &node{dir: true, perm: 0o755, mod: time.Now(), names: map[string]*node{}, durable: map[string]*node{}}
}

// NewMem returns an empty file system with only a root directory.
func NewMem() *Mem { return &Mem{root: newDir(), locks: map[string]bool{}, mount: rand.Uint64()} }

// CrashClone is the file system that a power cut now would leave. The locks are gone.
func (m *Mem) CrashClone() *Mem {
	return m.clone(func(n *node) (map[string]*node, []byte) { return n.durable, n.synced })
}

// KillClone is the file system that the death of all processes now would leave: everything but the locks. What was not
// synced still is not.
func (m *Mem) KillClone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[*node]*node{}
	var cp func(*node) *node
	names := func(in map[string]*node) map[string]*node {
		out := make(map[string]*node, len(in))
		for k, n := range in {
			out[k] = cp(n)
		}
		return out
	}
	cp = func(n *node) *node {
		if n == nil {
			return nil
		}
		if c := seen[n]; c != nil {
			return c
		}
		c := &node{dir: n.dir, mod: n.mod, perm: n.perm, number: n.number}
		seen[n] = c
		if !n.dir {
			c.data, c.synced, c.lo, c.hi = slices.Clone(n.data), slices.Clone(n.synced), n.lo, n.hi
			return c
		}
		c.names, c.durable = names(n.names), names(n.durable)
		for _, op := range n.pending {
			c.pending = append(c.pending, nameOp{name: op.name, other: op.other, to: cp(op.to), otherTo: cp(op.otherTo), both: op.both})
		}
		return c
	}
	return &Mem{root: cp(m.root), locks: map[string]bool{}, mount: m.mount}
}

// RefusePages is what becomes of a file whose pages the disk refuses while nobody waits for a sync: the kernel drops them, tells
// nobody, and shows zeros where they were.
func (m *Mem) RefusePages(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil || n.dir {
		return // no pages
	}
	kept := make([]byte, len(n.data))
	copy(kept, n.synced)
	n.data, n.synced, n.lo, n.hi = kept, slices.Clone(kept), 0, 0
}

// MixedClone is the file system that a power cut leaves when names were written early and data was not, or the other way round: data
// reaches the disk by writeback, names by the journal, and neither waits for the other.
func (m *Mem) MixedClone(names, data bool) *Mem {
	return m.clone(func(n *node) (map[string]*node, []byte) {
		in, bytes := n.durable, n.synced
		if names {
			in = n.names
		}
		if data {
			bytes = n.data
		}
		return in, bytes
	})
}

// TornClone is what a power cut might leave on a disk that had begun to write by itself. Of a file that was not synced:
// some prefix of the new bytes, perhaps followed by zeros, or new bytes up to a place and the old ones behind it, or the
// new length with old bytes. Of names that were not synced: those of the first few changes, as journals keep them, or
// some of the new names without the others.
func (m *Mem) TornClone(r *rand.Rand) *Mem {
	return m.clone(func(n *node) (map[string]*node, []byte) {
		if n.dir {
			return n.tornNames(r), nil
		}
		return nil, n.tornBytes(r)
	})
}

func (n *node) tornNames(r *rand.Rand) map[string]*node {
	names := maps.Clone(n.durable)
	if len(n.pending) == 0 {
		return names
	}
	if r.IntN(2) == 0 {
		for _, op := range n.pending[:r.IntN(len(n.pending)+1)] {
			op.apply(names)
		}
		return names
	}
	for _, k := range slices.Sorted(maps.Keys(n.names)) {
		if r.IntN(2) == 0 {
			names[k] = n.names[k]
		}
	}
	return names
}

func (n *node) tornBytes(r *rand.Rand) []byte {
	switch {
	case r.IntN(3) == 0:
		return n.synced
	case len(n.data) > len(n.synced) && r.IntN(2) == 0:
		// The length may have grown further than the bytes were written.
		size := len(n.synced) + r.IntN(len(n.data)-len(n.synced)+1)
		written := len(n.synced) + r.IntN(size-len(n.synced)+1)
		out := make([]byte, size)
		copy(out, n.synced)
		copy(out[len(n.synced):written], n.data[len(n.synced):written])
		return out
	}
	// New bytes up to somewhere, old ones behind, and either length.
	out := slices.Clone(n.synced)
	if len(n.data) < len(out) && r.IntN(2) == 0 {
		out = out[:len(n.data)]
	}
	upTo := r.IntN(len(n.data) + 1)
	if upTo > len(out) {
		out = append(out, make([]byte, upTo-len(out))...)
	}
	copy(out, n.data[:upTo])
	return out
}

func (m *Mem) clone(pick func(*node) (map[string]*node, []byte)) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[*node]*node{}
	var cp func(*node) *node
	cp = func(n *node) *node {
		if c := seen[n]; c != nil {
			return c
		}
		names, data := pick(n)
		c := &node{dir: n.dir, mod: n.mod, perm: n.perm, number: n.number}
		seen[n] = c
		if !n.dir {
			c.data, c.synced = slices.Clone(data), slices.Clone(data)
			return c
		}
		c.names = map[string]*node{}
		for _, k := range slices.Sorted(maps.Keys(names)) {
			c.names[k] = cp(names[k])
		}
		c.durable = maps.Clone(c.names)
		return c
	}
	return &Mem{root: cp(m.root), locks: map[string]bool{}, mount: rand.Uint64()}
}

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

func (m *Mem) findLocked(name string) (*node, error) {
	n := m.root
	for _, part := range split(name) {
		if !n.dir {
			return nil, fs.ErrNotExist
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parentLocked finds the directory that name lies in and its last part.
func (m *Mem) parentLocked(name string) (*node, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", fs.ErrInvalid
	}
	n, err := m.findLocked(strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return nil, "", err
	}
	if !n.dir {
		return nil, "", fs.ErrNotExist
	}
	return n, parts[len(parts)-1], nil
}

// OpenFile opens or creates a file.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, base, err := m.parentLocked(name)
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	n := parent.names[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathErr("open", name, fs.ErrNotExist)
	case n == nil:
		n = &node{perm: perm, mod: time.Now()}
		parent.change(nameOp{name: base, to: n})
	case n.dir:
		return nil, pathErr("open", name, errIsDir)
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathErr("open", name, fs.ErrExist)
	}
	if flag&os.O_TRUNC != 0 {
		n.truncate(0)
	}
	return &memFile{m: m, n: n, name: name, writable: flag&(os.O_WRONLY|os.O_RDWR) != 0}, nil
}

// MkdirAll creates a directory and its parents.
func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, part := range split(name) {
		next := n.names[part]
		if next == nil {
			next = newDir()
			n.change(nameOp{name: part, to: next})
		}
		if !next.dir {
			return pathErr("mkdir", name, errors.New("not a directory"))
		}
		n = next
	}
	return nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, base, err := m.parentLocked(name)
	if err != nil {
		return pathErr("remove", name, err)
	}
	n := parent.names[base]
	if n == nil {
		return pathErr("remove", name, fs.ErrNotExist)
	}
	if n.dir && len(n.names) > 0 {
		return pathErr("remove", name, errors.New("directory not empty"))
	}
	parent.change(nameOp{name: base})
	return nil
}

// RemoveAll removes a tree.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, base, err := m.parentLocked(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return pathErr("removeall", name, err)
	}
	parent.change(nameOp{name: base})
	return nil
}

// Rename moves a file or a directory; a file in the way is replaced.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fp, fb, err := m.parentLocked(from)
	if err != nil {
		return pathErr("rename", from, err)
	}
	tp, tb, err := m.parentLocked(to)
	if err != nil {
		return pathErr("rename", to, err)
	}
	n := fp.names[fb]
	if n == nil {
		return pathErr("rename", from, fs.ErrNotExist)
	}
	if old := tp.names[tb]; old != nil && old != n && (old.dir && len(old.names) > 0 || old.dir != n.dir) {
		return pathErr("rename", to, fs.ErrExist)
	}
	switch {
	case fp != tp:
		fp.change(nameOp{name: fb})
		tp.change(nameOp{name: tb, to: n})
	case fb != tb:
		fp.change(nameOp{name: fb, other: tb, otherTo: n, both: true})
	}
	return nil
}

// Stat describes a name.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err != nil {
		return nil, pathErr("stat", name, err)
	}
	return n.info(path.Base(name)), nil
}

// ReadDir lists a directory, sorted by name.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err == nil && !n.dir {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, pathErr("readdir", name, err)
	}
	var entries []fs.DirEntry
	for _, k := range slices.Sorted(maps.Keys(n.names)) {
		entries = append(entries, fs.FileInfoToDirEntry(n.names[k].info(k)))
	}
	return entries, nil
}

// SyncDir makes the names in a directory durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err == nil && !n.dir {
		err = errors.New("not a directory")
	}
	if err != nil {
		return pathErr("syncdir", name, err)
	}
	n.syncNames()
	return nil
}

// Lock takes a lock, and creates its file as OS does.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	_ = f.Close() // memory
	m.mu.Lock()
	defer m.mu.Unlock()
	key := path.Clean("/" + name)
	if m.locks[key] {
		return nil, pathErr("lock", name, ErrLocked)
	}
	m.locks[key] = true
	return &memLock{m: m, key: key}, nil
}

type memLock struct {
	m    *Mem
	key  string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.locks, l.key)
	})
	return nil
}

func (n *node) touch(lo, hi int) {
	n.mod = time.Now()
	if n.lo == n.hi {
		n.lo, n.hi = lo, hi
		return
	}
	n.lo, n.hi = min(n.lo, lo), max(n.hi, hi)
}

func (n *node) truncate(size int) {
	old := len(n.data)
	if size <= old {
		clear(n.data[size:])
		n.data = n.data[:size]
		n.touch(size, max(size, min(old, len(n.synced))))
		return
	}
	n.data = append(n.data, make([]byte, size-old)...)
	n.touch(old, size)
}

// sync brings synced up to data; only what changed is copied.
func (n *node) sync() {
	if len(n.synced) > len(n.data) {
		n.synced = n.synced[:len(n.data)]
	}
	if grow := len(n.data) - len(n.synced); grow > 0 {
		n.lo = min(n.lo, len(n.synced))
		n.hi = len(n.data)
		n.synced = append(n.synced, n.data[len(n.synced):]...)
	}
	hi := min(n.hi, len(n.data))
	if n.lo < hi {
		copy(n.synced[n.lo:hi], n.data[n.lo:hi])
	}
	n.lo, n.hi = 0, 0
}

func (n *node) info(name string) memInfo {
	return memInfo{name: name, size: int64(len(n.data)), mod: n.mod, dir: n.dir, perm: n.perm}
}

type memInfo struct {
	name string
	size int64
	mod  time.Time
	dir  bool
	perm fs.FileMode
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.mod }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | i.perm
	}
	return i.perm
}

type memFile struct {
	m        *Mem
	n        *node
	name     string
	writable bool
	closed   bool // guarded by m.mu
}

func (f *memFile) checkLocked(op string, write bool) error {
	if f.closed {
		return pathErr(op, f.name, fs.ErrClosed)
	}
	if write && !f.writable {
		return pathErr(op, f.name, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathErr("read", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("write", true); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathErr("write", f.name, fs.ErrInvalid)
	}
	n, full := f.m.roomLocked(len(f.n.data), int(off), int(off)+len(p))
	if full != nil {
		p = p[:n]
	}
	end := int(off) + len(p)
	if end > len(f.n.data) {
		f.n.data = append(f.n.data, make([]byte, end-len(f.n.data))...)
	}
	copy(f.n.data[off:], p)
	f.n.touch(int(off), end)
	if full != nil {
		return len(p), pathErr("write", f.name, full)
	}
	return len(p), nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), f.checkLocked("stat", false)
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("truncate", true); err != nil {
		return err
	}
	if size < 0 {
		return pathErr("truncate", f.name, fs.ErrInvalid)
	}
	f.n.truncate(int(size))
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("sync", false); err != nil {
		return err
	}
	f.n.sync()
	return nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.checkLocked("close", false); err != nil {
		return err
	}
	f.closed = true
	return nil
}

func (f *memFile) Fd() (uintptr, bool) { return 0, false }
