package storage

// The first segment of a log goes with retention, or with its file: nothing that is left names it. The leader epochs do. Whoever moves
// the log's start makes the first of them begin there, and an orderly stop writes them down: where they begin before the log does, its head was
// taken from outside.

// lostHead is from where on the records before the first segment are missing from a log that was left in order.
func lostHead(epochs []epochEntry, firstSegment int64) (from int64, lost bool) {
	if len(epochs) == 0 || epochs[0].start >= firstSegment {
		return 0, false
	}
	return epochs[0].start, true
}

// tellLostHead says aloud that the log begins later than it did when it was left in order. That goes for stops of this program
// only, which list what they leave: Kafka writes its leader epochs a little later than it deletes.
func (o *opener) tellLostHead(listed bool) {
	if !o.st.endKnown || !o.st.clean || !listed {
		return
	}
	first := o.segments[0].base
	if from, lost := lostHead(o.epochs.entries, first); lost {
		o.env.damaged.Add(1)
		o.env.logger.Error("records are lost: the first segments of the log are gone, though it was closed in order; its files were removed from outside. If there is a backup, stop the node and restore them",
			"partition", o.tp.String(), "dir", o.dir, "from", from, "to", first)
	}
}

// lostHead tells of first segments that are gone.
func (p *partitionCheck) lostHead() {
	if _, listed := p.listed[p.tp]; !p.clean || !listed || len(p.bases) == 0 {
		return
	}
	if from, lost := lostHead(p.epochs, p.bases[0]); lost {
		p.damage(p.dir, -1, "the log was closed in order and had records from offset %d on, and its first segment begins at offset %d: segments are lost", from, p.bases[0])
	}
}
