package storage

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The file of leader epochs has no checksum: a flipped digit in it sends a follower to a wrong place, where it cuts off what was
// committed. But each batch says its epoch, and both rise. So where a log opens, each entry is held against the batches on both
// sides of where it begins: if these are as it says, so are all between. That is some headers an entry, found by the
// indexes, and not a walk over the log. Only where something does not fit are all headers read.

// epochMark is what a batch says of epochs; ok is false for none.
type epochMark struct {
	epoch int32
	base  int64
	last  int64
	ok    bool
}

func markOf(b record.Batch) epochMark {
	return epochMark{epoch: b.PartitionLeaderEpoch(), base: b.BaseOffset(), last: b.LastOffset(), ok: true}
}

// confirmEpochs holds the leader epochs that the log opens with against its batches, and takes from those what does not fit.
func (o *opener) confirmEpochs(start, end int64) error {
	fits, err := o.epochsFit(start, end)
	if err != nil {
		return err
	}
	if fits {
		if o.epochsGone { // or each start would go over the whole log again, for as long as nothing is appended
			return o.saveMended()
		}
		return nil
	}
	entries, ok, err := o.epochsOfBatches(start)
	if err != nil {
		return err
	}
	if !ok {
		o.env.logger.Warn("leader epochs fall from one batch to a later one: what the leader-epoch checkpoint says is kept, though the batches say otherwise",
			"partition", o.tp.String(), "dir", o.dir)
		return nil
	}
	was := epochCache{entries: o.epochs.entries}
	o.epochs.entries, o.epochs.dirty = entries, true
	o.env.logger.Warn("the leader-epoch checkpoint does not say what the batches say, taking theirs", "partition", o.tp.String(), "dir", o.dir,
		"said", string(was.encode()), "is", string(o.epochs.encode()))
	return o.saveMended()
}

// saveMended is saveEpochs for what is found again at the next start, should there be no room now.
func (o *opener) saveMended() error {
	if err := o.saveEpochs(); err != nil && !isDiskFull(err) && !isShortage(err) {
		return err
	}
	return nil
}

// epochsFit looks at both sides of each entry. What cannot be read contradicts nothing: it is told where it is read.
func (o *opener) epochsFit(start, end int64) (bool, error) {
	if end <= start {
		return true, nil
	}
	views := o.views()
	places := []int64{start, end}
	for _, e := range o.epochs.entries {
		if e.start > start && e.start < end {
			places = append(places, e.start)
		}
	}
	for _, at := range places {
		if err := o.givenUp(); err != nil {
			return false, err
		}
		before, behind, err := o.epochsAround(views, at)
		switch {
		case errors.Is(err, ErrCorruptRecord):
			continue
		case passes(err):
			return false, err
		case err != nil: // a bad sector of an old segment must not keep the log from opening
			o.env.suspect()
			continue
		}
		for _, m := range []epochMark{before, behind} {
			if m.ok && m.epoch >= 0 && m.last >= start && (!o.epochs.says(m.epoch, max(m.base, start)) || !o.epochs.says(m.epoch, m.last)) {
				return false, nil
			}
		}
	}
	return true, nil
}

// says tells whether the record at an offset was written in an epoch.
func (c *epochCache) says(epoch int32, offset int64) bool {
	said, ok := c.epochFor(offset)
	return ok && said == epoch
}

// epochsAround finds the last batch below an offset and the first that reaches to it.
func (o *opener) epochsAround(views []view, offset int64) (before, behind epochMark, err error) {
	i := len(views) - 1
	for i > 0 && views[i].seg.base >= offset {
		i--
	}
	for j := i; j >= 0 && !before.ok; j-- { // one without batches is passed over
		found, next, err := o.epochsIn(views[j], offset)
		if err != nil {
			return before, behind, err
		}
		if before = found; j == i {
			behind = next
		}
	}
	for j := i + 1; j < len(views) && !behind.ok; j++ {
		if _, behind, err = o.epochsIn(views[j], offset); err != nil {
			return before, behind, err
		}
	}
	return before, behind, nil
}

// epochsIn is epochsAround within one segment.
func (o *opener) epochsIn(v view, offset int64) (before, behind epochMark, err error) {
	e, found, err := v.seg.floor(func(e offsetEntry) bool { return v.seg.base+int64(e.rel) < offset })
	if err != nil {
		return before, behind, err
	}
	err = v.seg.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, v.size)
		defer h.close()
		pos := int64(0)
		if found {
			pos = v.seg.startAt(&h, e)
		}
		for pos < v.size {
			b, size, err := h.at(pos)
			if err != nil {
				return err
			}
			if b.LastOffset() >= offset {
				behind = markOf(b)
				return nil
			}
			before = markOf(b)
			pos += size
		}
		return nil
	})
	return before, behind, err
}

// epochsOfBatches reads the headers of all batches. Entries that begin where no batch is left, as the cleaner leaves it, are kept where
// they lie between those that are told; ok is false where epochs fall, since then a header is damaged, which has no checksum either.
func (o *opener) epochsOfBatches(start int64) (entries []epochEntry, ok bool, err error) {
	known := o.epochs.entries
	last, end, ok := int32(-1), start, true
	for _, v := range o.views() {
		if v.end <= start {
			continue
		}
		err := v.seg.with(kindLog, func(f vfs.File) error {
			return o.eachHeader(v, f, max(start, v.seg.base), func(b record.Batch, _, _ int64) error {
				epoch, base := b.PartitionLeaderEpoch(), max(b.BaseOffset(), start)
				if epoch >= 0 && epoch != last {
					ok = ok && epoch > last
					entries = append(entries, beginning(known, last, epoch, end, base)...)
					last = epoch
				}
				end = b.NextOffset()
				return nil
			})
		})
		if err != nil {
			return nil, false, err
		}
	}
	return entries, ok, nil
}

// beginning is where an epoch begins whose first batch lies at base: there, or at what is known of it, and of others of which no batch is
// left, between the batches before and that one.
func beginning(known []epochEntry, after, epoch int32, from, base int64) (out []epochEntry) {
	for _, e := range known {
		if e.epoch > after && e.epoch <= epoch && e.start >= from && (e.start < base || e.start == base && e.epoch == epoch) {
			out = append(out, e)
		}
	}
	if n := len(out); n == 0 || out[n-1].epoch != epoch {
		out = append(out, epochEntry{epoch, base})
	}
	return out
}
