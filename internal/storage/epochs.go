package storage

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// epochEntry says that a leader epoch begins at an offset.
type epochEntry struct {
	epoch int32
	start int64
}

// epochCache is where each leader epoch begins; both fields rise from entry to entry.
// It is guarded as the fields of Log are.
type epochCache struct {
	entries []epochEntry
	dirty   bool // the checkpoint file is behind
}

// assign notes that epoch begins at start. Entries that contradict it, which can
// only come from a tail that was cut or lost, make way. An epoch that is not
// newer than the last, at an offset that is not below it, says nothing new.
func (c *epochCache) assign(epoch int32, start int64) {
	if epoch < 0 || start < 0 {
		return
	}
	if n := len(c.entries); n > 0 && c.entries[n-1].epoch == epoch && c.entries[n-1].start <= start {
		return
	}
	keep := len(c.entries)
	for keep > 0 && (c.entries[keep-1].epoch >= epoch || c.entries[keep-1].start >= start) {
		keep--
	}
	c.entries = append(c.entries[:keep:keep], epochEntry{epoch, start})
	c.dirty = true
}

func (c *epochCache) latest() (int32, bool) {
	if n := len(c.entries); n > 0 {
		return c.entries[n-1].epoch, true
	}
	return -1, false
}

// endOffset is where an epoch ends, given the log's end: where the next one begins.
func (c *epochCache) endOffset(epoch int32, logEnd int64) EpochEndOffset {
	latest, ok := c.latest()
	switch {
	case !ok || epoch < 0 || epoch > latest:
		return EpochEndOffset{-1, -1}
	case epoch == latest:
		return EpochEndOffset{epoch, logEnd}
	}
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].epoch > epoch })
	if i == 0 { // older than all that is known: the largest epoch not above it is itself
		return EpochEndOffset{epoch, c.entries[0].start}
	}
	return EpochEndOffset{c.entries[i-1].epoch, c.entries[i].start}
}

// epochFor is the epoch that the record at offset was written in.
func (c *epochCache) epochFor(offset int64) (int32, bool) {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].start > offset })
	if i == 0 {
		return -1, false
	}
	return c.entries[i-1].epoch, true
}

// truncateFromEnd forgets epochs that begin at or after end.
func (c *epochCache) truncateFromEnd(end int64) {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].start >= end })
	if i < len(c.entries) {
		c.entries = c.entries[:i:i]
		c.dirty = true
	}
}

// truncateFromStart forgets epochs that end at or before start; the one that start is in begins there.
func (c *epochCache) truncateFromStart(start int64) {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].start > start })
	if i == 0 || i == 1 && c.entries[0].start == start {
		return
	}
	c.entries = append([]epochEntry{{c.entries[i-1].epoch, start}}, c.entries[i:]...)
	c.dirty = true
}

func (c *epochCache) clear() {
	if len(c.entries) > 0 {
		c.entries, c.dirty = nil, true
	}
}

func (c *epochCache) encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(c.entries))
	for _, e := range c.entries {
		fmt.Fprintf(&b, "%d %d\n", e.epoch, e.start)
	}
	return []byte(b.String())
}

func parseEpochs(data []byte) ([]epochEntry, error) {
	lines, err := checkpointLines(data)
	if err != nil {
		return nil, err
	}
	var entries []epochEntry
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 2 {
			return nil, fmt.Errorf("line %q is not an epoch and an offset", line)
		}
		epoch, err1 := strconv.ParseInt(f[0], 10, 32)
		start, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 != nil || err2 != nil || epoch < 0 || start < 0 {
			return nil, fmt.Errorf("line %q is not an epoch and an offset", line)
		}
		entries = append(entries, epochEntry{int32(epoch), start})
	}
	for i := 1; i < len(entries); i++ {
		if entries[i].epoch <= entries[i-1].epoch || entries[i].start < entries[i-1].start {
			return nil, fmt.Errorf("epoch %d at %d does not follow epoch %d at %d",
				entries[i].epoch, entries[i].start, entries[i-1].epoch, entries[i-1].start)
		}
	}
	return entries, nil
}
