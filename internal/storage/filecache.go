package storage

import (
	"errors"
	"sync"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// DefaultMaxOpenFiles bounds the descriptors that logs hold. Descriptor limits of
// 20,000 are common, and connections need their share.
const DefaultMaxOpenFiles = 8192

// errGone says that a file was deleted while a reader was on its way to it.
var errGone = errors.New("the segment is gone")

// fileCache keeps the files in use open, and of the idle ones those used last.
// The bound is soft: files in use are never closed.
type fileCache struct {
	limit int

	mu     sync.Mutex
	opened sync.Cond // an open has ended, well or not
	open   int
	idle   cachedFile // head of a ring of open files without users, latest first
}

func newFileCache(limit int) *fileCache {
	if limit <= 0 {
		limit = DefaultMaxOpenFiles
	}
	c := &fileCache{limit: limit}
	c.opened.L = &c.mu
	c.idle.prev, c.idle.next = &c.idle, &c.idle
	return c
}

// cachedFile is a file that is opened when somebody needs it. All fields but
// the last two are guarded by the cache's mu.
type cachedFile struct {
	f          vfs.File
	refs       int
	opening    bool
	gone       bool // deleted or closed for good
	prev, next *cachedFile

	seg  *segment
	kind fileKind
}

func (cf *cachedFile) unlink() {
	cf.prev.next, cf.next.prev = cf.next, cf.prev
	cf.prev, cf.next = nil, nil
}

// acquire opens the file if need be and holds it open until release.
func (c *fileCache) acquire(cf *cachedFile) (vfs.File, error) {
	c.mu.Lock()
	for cf.opening {
		c.opened.Wait()
	}
	if cf.gone {
		c.mu.Unlock()
		return nil, errGone
	}
	if cf.f != nil {
		if cf.refs == 0 {
			cf.unlink()
		}
		cf.refs++
		f := cf.f
		c.mu.Unlock()
		return f, nil
	}
	cf.opening = true
	c.open++
	victims := c.evictLocked()
	c.mu.Unlock()

	for _, v := range victims {
		_ = v.Close() // whoever wrote to it syncs it by another descriptor
	}
	f, err := cf.seg.open(cf.kind)

	c.mu.Lock()
	defer c.mu.Unlock()
	cf.opening = false
	c.opened.Broadcast()
	if err != nil {
		c.open--
		return nil, err
	}
	cf.f, cf.refs = f, 1
	return f, nil
}

func (c *fileCache) evictLocked() []vfs.File {
	var victims []vfs.File
	for c.open > c.limit && c.idle.prev != &c.idle {
		cf := c.idle.prev
		cf.unlink()
		victims = append(victims, cf.f)
		cf.f = nil
		c.open--
	}
	return victims
}

// release gives back what acquire gave.
func (c *fileCache) release(cf *cachedFile) {
	c.mu.Lock()
	cf.refs--
	if cf.refs > 0 {
		c.mu.Unlock()
		return
	}
	if !cf.gone {
		cf.prev, cf.next = &c.idle, c.idle.next
		cf.prev.next, cf.next.prev = cf, cf
		c.mu.Unlock()
		return
	}
	f := c.dropLocked(cf)
	c.mu.Unlock()
	_ = f.Close() // deleted: nothing in it matters any more
}

func (c *fileCache) dropLocked(cf *cachedFile) vfs.File {
	f := cf.f
	cf.f = nil
	c.open--
	return f
}

// forget closes the file, at once or when its last user has released it, and refuses new users.
func (c *fileCache) forget(cf *cachedFile) {
	c.mu.Lock()
	for cf.opening {
		c.opened.Wait()
	}
	cf.gone = true
	if cf.f == nil || cf.refs > 0 {
		c.mu.Unlock()
		return
	}
	cf.unlink()
	f := c.dropLocked(cf)
	c.mu.Unlock()
	_ = f.Close() // closed for good after a sync, or deleted
}

// closeIdle closes the file if nobody uses it; the next user opens it anew, by the name that it has then.
func (c *fileCache) closeIdle(cf *cachedFile) {
	c.mu.Lock()
	if cf.f == nil || cf.refs > 0 {
		c.mu.Unlock()
		return
	}
	cf.unlink()
	f := c.dropLocked(cf)
	c.mu.Unlock()
	_ = f.Close() // what was written to it has been synced
}

func (c *fileCache) isGone(cf *cachedFile) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cf.gone
}
