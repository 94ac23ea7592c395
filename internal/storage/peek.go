package storage

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Retention must not wake logs that it has nothing to do in: it would hold all of a node's logs open after a while.

// mayHaveOld looks from outside whether retention could find something in a dormant log. When in doubt it says yes.
func (l *Log) mayHaveOld() bool {
	if l.lazy.state.Load() == logUnrecovered {
		return false // retention comes again
	}
	l.lazy.mu.Lock()
	st := l.lazy.st
	l.lazy.mu.Unlock()
	if st == nil || l.failure.Load() != nil {
		return true
	}
	entries, err := l.env.fs.ReadDir(l.dir)
	if err != nil {
		return true
	}
	var first fs.FileInfo
	var base, size, segments int64
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), logSuffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(stem, 10, 64)
		info, ierr := e.Info()
		if err != nil || ierr != nil {
			return true
		}
		if segments++; first == nil {
			first, base = info, n // they are sorted, as the offsets are
		}
		size += info.Size()
	}
	if segments == 0 || segments > 1 && st.logStart > base {
		return true
	}
	return size > 0 && l.wouldGo(first, base, size)
}

// wouldGo is Log.countOld's question about the first segment alone.
func (l *Log) wouldGo(first fs.FileInfo, base, size int64) bool {
	cfg := l.config()
	if !cfg.Delete {
		return false
	}
	if cfg.RetentionBytes >= 0 && size-first.Size() >= cfg.RetentionBytes {
		return true
	}
	if cfg.RetentionMs < 0 {
		return false
	}
	ts, ok := lastTimestamp(l.env.fs, path.Join(l.dir, segmentName(base)+timeIndexSuffix))
	if !ok {
		ts = first.ModTime().UnixMilli()
	}
	// One that lies ahead of the clock may be damage, which only who opens the log can tell.
	return l.nowMs()-ts > cfg.RetentionMs || ts > l.nowMs()
}

// lastTimestamp reads the last entry of a time index that was closed in order.
func lastTimestamp(fsys vfs.FS, name string) (ts int64, ok bool) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }() // opened for reading only
	size, err := f.Size()
	var b [timeEntryBytes]byte
	if err != nil || size < timeEntryBytes {
		return 0, false
	}
	if _, err := f.ReadAt(b[:], size-size%timeEntryBytes-timeEntryBytes); err != nil {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[:])), true
}
