package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// cleanWriter writes the segment that takes the place of some others, beside them under other names. Its files stay open
// until they have their own names.
type cleanWriter struct {
	seg     *segment
	cfg     *LogConfig
	out     []byte // waits to be written
	flush   int    // so much may wait
	written int64  // is in the file
	aborted []AbortedTxn
	took    func(bytes int) error // as cleanReader's
}

// newCleanWriter creates the files. A log that is closed meanwhile gets none: its
// directory may by now be that of a successor.
func newCleanWriter(l *Log, cfg *LogConfig, base int64, buf []byte, took func(int) error) (*cleanWriter, error) {
	s := newSegment(l, base)
	s.cleaned.Store(true)
	s.inMemory, s.abortedLoaded, s.maxTsKnown = true, true, true
	s.abortedProven.Store(true)
	w := &cleanWriter{seg: s, cfg: cfg, out: buf[:0], flush: cap(buf), took: took}
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	if err := l.Err(); err != nil {
		return nil, err
	}
	for k := range numKinds {
		if err := w.create(k); err != nil {
			w.discard(k)
			return nil, fmt.Errorf("%w: cannot create %s: %w", errCleanWrite, s.path(k), err)
		}
	}
	return w, nil
}

// errCleanWrite says that the cleaner could not write: unlike what it cannot read, that is not the matter of one log.
var errCleanWrite = errors.New("a cleaned segment cannot be written")

func (w *cleanWriter) create(k fileKind) error {
	f, err := w.seg.log.env.fs.OpenFile(w.seg.path(k), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = w.seg.acquire(k)
	return err
}

// discard removes what has been written; acquired is how many of the files are held.
func (w *cleanWriter) discard(acquired fileKind) {
	s := w.seg
	for k := range acquired {
		s.release(k)
	}
	s.forget()
	if s.log.closed.Load() {
		return // the directory is no longer ours; what lies there goes with it
	}
	for k := range numKinds {
		if err := s.log.env.fs.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.env.logger.Warn("cannot remove what a cleaning has left, the next start will", "file", s.path(k), "err", err)
		}
	}
}

func (w *cleanWriter) size() int64 { return w.written + int64(len(w.out)) }

// room makes sure that n bytes can be appended to out.
func (w *cleanWriter) room(n int) error {
	if len(w.out) > 0 && len(w.out)+n > w.flush {
		return w.drain()
	}
	return nil
}

func (w *cleanWriter) drain() error {
	if len(w.out) == 0 {
		return nil
	}
	err := w.seg.with(kindLog, func(f vfs.File) error {
		_, err := f.WriteAt(w.out, w.written)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: cannot write %s: %w", errCleanWrite, w.seg.path(kindLog), err)
	}
	n := len(w.out)
	w.written += int64(n)
	w.out = w.out[:0]
	return w.took(n)
}

// keep appends a batch as it is.
func (w *cleanWriter) keep(b record.Batch) error {
	if err := w.room(len(b)); err != nil {
		return err
	}
	w.out = append(w.out, b...)
	w.index(b)
	return nil
}

// index notes the batch that has been appended last.
func (w *cleanWriter) index(b record.Batch) {
	w.seg.indexBatch(b, int64(len(b)), w.size()-int64(len(b)), w.cfg)
}

// finish completes the files and makes their contents durable.
func (w *cleanWriter) finish(modified time.Time) error {
	if err := w.drain(); err != nil {
		return err
	}
	s := w.seg
	s.size, s.aborted = w.written, w.aborted
	s.noteMaxTimestamp()
	if err := s.writeIndexes(); err != nil {
		return fmt.Errorf("%w: %w", errCleanWrite, err)
	}
	if len(w.aborted) > 0 {
		var b []byte
		for _, t := range w.aborted {
			b = appendAbortedTxn(b, t)
		}
		if err := s.writeIndex(kindTxnIndex, b, 0); err != nil {
			return fmt.Errorf("%w: %w", errCleanWrite, err)
		}
	}
	s.inMemory, s.offsets, s.times = false, nil, nil
	if times, ok := s.log.env.fs.(vfs.Times); ok && !modified.IsZero() {
		// Retention goes by it where records have no timestamps.
		if err := times.SetModTime(s.path(kindLog), modified); err != nil {
			return fmt.Errorf("cannot set the time of %s: %w", s.path(kindLog), err)
		}
	}
	for k := range numKinds {
		if err := s.with(k, vfs.File.Sync); err != nil {
			return fmt.Errorf("%w: cannot sync %s: %w", errCleanWrite, s.path(k), err)
		}
	}
	return nil
}

// named is called when the files have their own names.
func (w *cleanWriter) named() {
	s := w.seg
	s.cleaned.Store(false)
	for k := range numKinds {
		s.release(k)
		s.log.env.files.closeIdle(&s.files[k])
	}
}

// fileOf is a file of the log's directory by its segment, kind and further suffix.
func (l *Log) fileOf(base int64, k fileKind, suffix string) string {
	return path.Join(l.dir, segmentName(base)+k.suffix()+suffix)
}
