package storage

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Records leave by sendfile, or are read and sent, unseen. So that bytes which a disk has changed do not leave with them, the records of a
// segment that this process has found, not written, are checked once before they are first given out: a part of the
// file at a time, and never again while the log is open. What this process appends was checked as it came.

// verifyChunkBytes is the part of a file that is checked at once. A consumer that reads on has all of it checked
// anyway; one that jumps about pays for a part that is read in some tenths of a millisecond.
const verifyChunkBytes = 1 << 20

// verified is how far a segment's file has been checked.
type verified struct {
	mu sync.Mutex
	// until is the size that the file had when it was found: from there on this process has written.
	until int64
	done  []uint64   // a bit for each part below until; nil while none has been checked
	bad   []badRange // rising, and none touches another
	told  int        // how often damage was told
	what  string     // the last that was told of what could not be read
}

// badRange is a batch that does not match its checksum, or what cannot be told from one.
type badRange struct {
	from, to int64
	why      error
}

// CorruptError says where a log is damaged. It is an ErrCorruptRecord.
type CorruptError struct {
	File     string
	Position int64
	Cause    error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt record: %s is damaged at position %d: %v", e.File, e.Position, e.Cause)
}

// Unwrap is ErrCorruptRecord and the cause.
func (e *CorruptError) Unwrap() []error { return []error{ErrCorruptRecord, e.Cause} }

// found notes that a segment's file has that many bytes which this process has not written.
func (v *verified) found(size int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.until, v.done, v.bad = size, nil, nil
}

// again has what was found to be damaged checked anew.
func (v *verified) again() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.bad) > 0 {
		v.done, v.bad = nil, nil
	}
}

// cut notes that the file ends at size now; what comes behind it will be this process's.
func (v *verified) cut(size int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.until = min(v.until, size)
	v.bad = slices.DeleteFunc(v.bad, func(b badRange) bool { return b.from >= size })
	if n := len(v.bad); n > 0 {
		v.bad[n-1].to = min(v.bad[n-1].to, size)
	}
}

func (v *verified) has(chunk int64) bool {
	return v.done != nil && v.done[chunk/64]&(1<<(chunk%64)) != 0
}

// missing lists the parts of [from, to) that have not been checked.
func (v *verified) missing(from, to int64) (chunks []int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	to = min(to, v.until)
	for c := from / verifyChunkBytes; c*verifyChunkBytes < to; c++ {
		if !v.has(c) {
			chunks = append(chunks, c)
		}
	}
	return chunks
}

// set notes that a part has been checked, and returns what of its damage is news.
func (v *verified) set(chunk int64, bad []badRange) (news []badRange) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done == nil {
		v.done = make([]uint64, v.until/verifyChunkBytes/64+1)
	}
	if int(chunk/64) < len(v.done) {
		v.done[chunk/64] |= 1 << (chunk % 64)
	}
	for _, b := range bad {
		if v.addLocked(b) {
			news = append(news, b)
		}
	}
	return news
}

// maxBadRanges bounds what is remembered of a segment's damage. In one that has more of it, what is good between two
// damaged places counts as damaged too.
const maxBadRanges = 4096

// addLocked takes a range in, joined with those that it touches. false: all of it was known.
func (v *verified) addLocked(b badRange) bool {
	i := v.searchLocked(b.from)
	if i < len(v.bad) && v.bad[i].from <= b.from && v.bad[i].to >= b.to {
		return false
	}
	if i > 0 && (v.bad[i-1].to == b.from || len(v.bad) >= maxBadRanges) {
		i--
	}
	j := i
	for ; j < len(v.bad) && v.bad[j].from <= b.to; j++ {
		if v.bad[j].from <= b.from {
			b.from, b.why = v.bad[j].from, v.bad[j].why
		}
		b.to = max(b.to, v.bad[j].to)
	}
	v.bad = slices.Replace(v.bad, i, j, b)
	return true
}

// searchLocked is the index of the first range that ends above a position.
func (v *verified) searchLocked(pos int64) int {
	return sort.Search(len(v.bad), func(i int) bool { return v.bad[i].to > pos })
}

// firstBad is the first damage that touches [from, to).
func (v *verified) firstBad(from, to int64) (badRange, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := v.searchLocked(from); i < len(v.bad) && v.bad[i].from < to {
		return v.bad[i], true
	}
	return badRange{}, false
}

// tell says whether damage of the segment is still to be told, and whether it is the last time.
func (v *verified) tell() (do, last bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.told++
	return v.told <= maxTold, v.told == maxTold
}

// tellNew is tell for what readers meet again and again: only what is not what was told last is still to be told.
func (v *verified) tellNew(what string) bool {
	v.mu.Lock()
	same := v.what == what
	v.what = what
	v.mu.Unlock()
	if same {
		return false
	}
	do, _ := v.tell()
	return do
}

// maxTold is how often damage of one segment is told: in one that is damaged from end to end nobody needs each place.
const maxTold = 16

// verify checks the records of [from, to) of a segment, where not done yet, and returns up to where they are good:
// less than to where the damage is not at the beginning; where it is, the error. offset is what was asked for.
func (l *Log) verify(v view, f vfs.File, offset, from, to int64) (int64, error) {
	if !l.env.verify {
		return to, nil
	}
	s := v.seg
	for _, c := range s.verified.missing(from, to) {
		if err := l.verifyChunk(v, f, c); err != nil {
			return 0, err
		}
	}
	if bad, ok := s.verified.firstBad(from-1, from); ok && bad.to == from {
		// The damage may be what was asked for, and have been passed over for its offsets.
		h := walkHeaders(f, v.size)
		defer h.close()
		if b, _, err := h.at(from); err == nil && b.BaseOffset() > offset {
			return 0, &CorruptError{File: f.Name(), Position: bad.from, Cause: bad.why}
		}
	}
	bad, ok := s.verified.firstBad(from, to)
	if !ok {
		return to, nil
	}
	if bad.from <= from {
		return 0, &CorruptError{File: f.Name(), Position: bad.from, Cause: bad.why}
	}
	return bad.from, nil
}

// verifyChunk checks the batches that begin in one part of a segment.
func (l *Log) verifyChunk(v view, f vfs.File, chunk int64) error {
	begin, end := chunk*verifyChunkBytes, min((chunk+1)*verifyChunkBytes, v.size)
	e, ok, err := v.seg.floor(func(e offsetEntry) bool { return int64(e.pos) <= begin })
	if err != nil {
		return err
	}
	c := checker{v: v, f: f, offset: v.seg.base}
	if ok {
		h := walkHeaders(f, v.size)
		c.pos = v.seg.startAt(&h, e)
		h.close()
	}
	c.buf = verifyBuffers.Get().(*[]byte)
	defer verifyBuffers.Put(c.buf)
	if err := c.run(begin, end); err != nil {
		return err
	}
	l.tellDamage(v.seg, f.Name(), v.seg.verified.set(chunk, c.bad))
	return nil
}

// tellDamage tells of damaged places that were found together.
func (l *Log) tellDamage(s *segment, file string, news []badRange) {
	if len(news) == 0 {
		return
	}
	l.env.damaged.Add(int64(len(news)))
	do, last := s.verified.tell()
	if !do {
		return
	}
	bytes := int64(0)
	for _, b := range news {
		bytes += b.to - b.from
	}
	more := ""
	if last {
		more = ". More of this segment is told no more"
	}
	l.env.logger.Error("a segment is damaged: the records there are not given out, readers of them get an error. Restore the file from a backup or a replica, or have the readers skip the offsets"+more,
		"partition", l.tp.String(), "file", file, "position", news[0].from, "places", len(news), "bytes", bytes, "why", news[0].why)
}

// verifyBuffers only saves allocations.
var verifyBuffers = sync.Pool{New: func() any { b := make([]byte, verifyChunkBytes); return &b }}

// checker walks over batches and notes the bad ones.
type checker struct {
	v      view
	f      vfs.File
	pos    int64
	offset int64 // no batch from here on begins below
	bad    []badRange
	each   func(b record.Batch, pos int64) error // is given what is good; nil for nobody

	buf  *[]byte
	have []byte // bytes of the file from at on
	at   int64
}

// run walks to end, and checks what begins at begin or behind it.
func (c *checker) run(begin, end int64) error {
	for c.pos < end {
		b, err := c.batch()
		if err != nil && !errors.Is(err, ErrCorruptRecord) {
			return err
		}
		if err == nil {
			err = c.check(b, c.pos >= begin)
		}
		if err == nil {
			if c.each != nil && c.pos >= begin {
				if err := c.each(b, c.pos); err != nil {
					return err
				}
			}
			c.pos, c.offset = c.pos+int64(len(b)), b.NextOffset()
			continue
		}
		next, serr := c.v.seg.nextIndexed(c.f, c.pos, c.v.size)
		if serr != nil {
			return serr
		}
		if after := c.pos + int64(len(b)); len(b) > 0 && c.isBatch(after) {
			next = after // only the records are damaged
		}
		if c.pos >= begin {
			c.bad = append(c.bad, badRange{from: c.pos, to: next, why: err})
		}
		c.pos = next
	}
	return nil
}

func (c *checker) check(b record.Batch, whole bool) error {
	if whole {
		if err := b.Validate(); err != nil {
			return err
		}
	}
	if b.LastOffset() >= c.v.end && b.LastOffsetDelta() >= 0 && !c.v.last {
		return fmt.Errorf("%w: a batch of offsets %d to %d lies where offsets below %d belong, with which the next segment begins: one of the two files is not from the same time, or was put there from elsewhere",
			ErrCorruptRecord, b.BaseOffset(), b.LastOffset(), c.v.end)
	}
	if b.BaseOffset() < c.offset || b.LastOffset() >= c.v.end || b.LastOffsetDelta() < 0 {
		return fmt.Errorf("%w: a batch of offsets %d to %d lies where offsets from %d to %d belong", ErrCorruptRecord, b.BaseOffset(), b.LastOffset(), c.offset, c.v.end-1)
	}
	return nil
}

// batch reads the batch at pos.
func (c *checker) batch() (record.Batch, error) {
	if c.pos < c.at || c.pos+record.HeaderBytes > c.at+int64(len(c.have)) {
		if err := c.fill(c.pos); err != nil {
			return nil, err
		}
	}
	_, size, err := record.Peek(c.have[c.pos-c.at:])
	if err != nil || c.pos+size > c.v.size || size > maxBatchBytes {
		return nil, fmt.Errorf("%w: no batch begins there", ErrCorruptRecord)
	}
	if c.pos+size > c.at+int64(len(c.have)) {
		if size > int64(len(*c.buf)) {
			return readBatch(c.f, c.pos, size)
		}
		if err := c.fill(c.pos); err != nil {
			return nil, err
		}
	}
	return record.Batch(c.have[c.pos-c.at:][:size]), nil
}

func (c *checker) fill(pos int64) error {
	n := min(int64(len(*c.buf)), c.v.size-pos)
	if n < record.HeaderBytes {
		return fmt.Errorf("%w: no batch begins there", ErrCorruptRecord)
	}
	if err := readWhole(c.f, (*c.buf)[:n], pos); err != nil {
		return err
	}
	c.have, c.at = (*c.buf)[:n], pos
	return nil
}

// isBatch says whether a batch seems to begin at pos, or the segment ends there.
func (c *checker) isBatch(pos int64) bool {
	if pos == c.v.size {
		return true
	}
	h := walkHeaders(c.f, c.v.size)
	defer h.close()
	b, _, err := h.at(pos)
	return err == nil && b.BaseOffset() >= c.offset && b.LastOffset() < c.v.end
}

// nextIndexed is the position of the first indexed batch behind pos, or end.
func (s *segment) nextIndexed(f vfs.File, pos, end int64) (int64, error) {
	var next offsetEntry
	_, _, err := s.floor(func(e offsetEntry) bool {
		if int64(e.pos) <= pos {
			return true
		}
		next = e // the search ends at the first one
		return false
	})
	if err != nil || next.pos == 0 {
		return end, err
	}
	h := walkHeaders(f, end)
	defer h.close()
	if at := s.startAt(&h, next); at > pos {
		return at, nil
	}
	return end, nil
}
