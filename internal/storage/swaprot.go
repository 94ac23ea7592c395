package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A cleaned segment may rot between its writing and the start that is to put it in its place. As long as those that it was made from
// are whole, it is dropped, and cleaned again another time. Otherwise it takes its place, and what is rotten of it costs itself.

// reach finds where the batches of a segment end that begins at an offset, as far as they can be read: bad is why not all can.
// They end before limit. A batch's offset is not under its checksum; where the next one does not follow it, that one counts.
func (o *opener) reach(f vfs.File, from, limit int64) (end int64, bad, err error) {
	size, err := f.Size()
	if err != nil {
		return 0, nil, err
	}
	h := walkHeaders(f, size)
	defer h.close()
	end = from
	for pos := int64(0); pos < size; {
		stopped, why, err := scanBatches(f, pos, size, func(b record.Batch, _ int64) error {
			if first := b.BaseOffset(); first < end || b.LastOffset() < first || b.LastOffset() >= limit {
				bad = fmt.Errorf("%w: offsets [%d, %d] where %d is next, and %d is the end", errStop, first, b.LastOffset(), end, limit)
			}
			end = min(b.NextOffset(), limit)
			return o.givenUp()
		})
		if why == nil || err != nil {
			return end, bad, err
		}
		if bad == nil {
			bad = why
		}
		_, n, err := h.at(stopped)
		if errors.Is(err, ErrCorruptRecord) {
			return end, bad, nil // no way over it
		}
		if err != nil {
			return end, bad, err
		}
		pos = stopped + n
	}
	return end, bad, nil
}

// dropRotten drops a cleaned segment of which a batch cannot be read, if all that it was made from is still there.
func (o *opener) dropRotten(name string, swaps []string, entries []fs.DirEntry, from, end int64, bad error) (dropped bool, err error) {
	whole, err := o.sourcesAreWhole(entries, from, end)
	if err != nil {
		return false, err
	}
	if !whole {
		o.env.logger.Error("a cleaned segment is damaged, and what it was made from is gone: it takes its place, with its bytes kept", "partition", o.tp.String(), "file", name+swapSuffix, "why", bad)
		return false, nil
	}
	o.env.logger.Warn("dropping a cleaned segment that is damaged, since what it was made from is still there", "partition", o.tp.String(), "file", name+swapSuffix, "why", bad)
	// Its log file goes first: the others are leftovers without it.
	if err := errors.Join(o.env.fs.Remove(name+swapSuffix), o.env.fs.SyncDir(o.dir)); err != nil {
		return false, err
	}
	for _, k := range derivedKinds {
		// One without its .swap may be the cleaned segment's already: it is made anew from the batches.
		gone := o.fileOf(from, k, "")
		if slices.Contains(swaps, gone) {
			gone += swapSuffix
		}
		if err := removeIfThere(o.env.fs, gone); err != nil {
			return false, err
		}
	}
	return true, nil
}

// sourcesAreWhole says that the segments which a cleaned one replaces are all there, each batch of them: the file with the name of the
// cleaned one is the last that goes.
func (o *opener) sourcesAreWhole(entries []fs.DirEntry, from, end int64) (bool, error) {
	next := int64(-1) // where the segment before ends
	for _, base := range basesIn(entries) {
		if base < from {
			continue
		}
		if next >= 0 && base != next || next < 0 && base != from {
			return false, nil
		}
		if base >= end {
			return true, nil
		}
		var err error
		if next, err = o.endOfWhole(base); err != nil || next < 0 {
			return false, err
		}
	}
	return false, nil
}

// basesIn lists the segments of a directory, lowest first.
func basesIn(entries []fs.DirEntry) (bases []int64) {
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), logSuffix)
		if base, err := strconv.ParseInt(stem, 10, 64); ok && err == nil && segmentName(base) == stem {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases
}

// endOfWhole is where a segment ends of which every batch is good, -1 for another one.
func (o *opener) endOfWhole(base int64) (end int64, err error) {
	f, err := o.env.fs.OpenFile(path.Join(o.dir, segmentName(base)+logSuffix), os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	end, bad, err := o.reach(f, base, math.MaxInt64)
	if bad != nil {
		end = -1
	}
	return end, err
}
