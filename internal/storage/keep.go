package storage

// keepSynced goes over the closed segments of a log of which something was found damaged, without touching their records: all of
// them were on the disk once, so that what cannot be read of them has rotted since. It costs itself. To cut there, or to set aside
// what follows, would give up good records, maybe all but the beginning of a large log, for a sector. The indexes are made anew, and
// with epochs the leader epochs are found again. What lies behind these segments is checked as after a crash: first is the first
// segment of that kind, and point the offset up to which nothing is in doubt.
func (o *opener) keepSynced() (first int, point int64, err error) {
	for o.wasSynced(first) {
		if err := o.keepSegment(first, o.epochsGone); err != nil {
			return 0, 0, err
		}
		first++
	}
	return first, o.segments[first].base, nil
}

// wasSynced says that segment number i is closed, and that all of its records were on the disk.
func (o *opener) wasSynced(i int) bool {
	return i < len(o.segments)-1 && o.segments[i+1].base <= o.st.syncedTo
}

func (o *opener) keepSegment(i int, epochs bool) error {
	s := o.segments[i]
	if n := o.st.segmentsLeft; n != nil {
		n.Store(int64(len(o.segments) - i))
	}
	if err := o.indexSegment(s, o.segments[i+1].base, epochs); err != nil {
		return err
	}
	if err := s.seal(); err != nil {
		return err
	}
	delete(o.missing, s.base)
	return o.syncIndexes(s)
}
