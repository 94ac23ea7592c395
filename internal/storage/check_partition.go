package storage

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// partitionCheck goes through one partition, segment by segment.
type partitionCheck struct {
	*dirChecker
	tp   TopicPartition
	dir  string
	have map[string]fs.FileInfo

	bases     []int64 // of the segments, rising
	snapshots []int64 // offsets of the producer snapshots, rising

	end        int64 // where the next batch may begin
	gaps       bool  // offsets are missing
	gapsWithin bool  // also within segments
	torn       bool  // what came last could not be read: offsets that are not there next are those of that
	broken     bool  // bytes could not be read as batches: what is derived from them is not known to be wrong
	swapping   bool  // the cleaner was replacing a segment: log and indexes of it may be those of before and after
	lastEpoch  int32
	found      []epochEntry // leader epochs as the batches tell them
	foundEnds  []int64      // where the last batch of each ends: the cleaner may have taken the first of the next
	epochs     []epochEntry // as the file does; nil when it is damaged or missing
	ps         producers    // as the batches tell
	wholePs    bool         // ps knows all producers: the replay began at offset 0 or with a good snapshot
	nextSnap   int          // the first of snapshots that has not been compared
	aborted    []AbortedTxn // of the segment that is being read
	// wrote are the producers of whose open transaction records have been met, and needed those of aborted that have records: the
	// cleaner takes a transaction whose records are all gone off the index.
	wrote  map[int64]bool
	needed []AbortedTxn
}

func (c *dirChecker) partition(tp TopicPartition) error {
	p := &partitionCheck{dirChecker: c, tp: tp, dir: path.Join(c.Dir, tp.String()), have: map[string]fs.FileInfo{}, wrote: map[int64]bool{}, lastEpoch: -1}
	entries, err := c.FS.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", p.dir, err)
	}
	for _, e := range entries {
		info, err := infoOf(c.FS, e, path.Join(p.dir, e.Name()))
		if errors.Is(err, errDeadLink) {
			p.damage(path.Join(p.dir, e.Name()), -1, "%v", errDeadLink)
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot look at %s in %s: %w", e.Name(), p.dir, err)
		}
		p.have[e.Name()] = info
		p.classify(e.Name())
	}
	slices.Sort(p.bases)
	slices.Sort(p.snapshots)
	p.topicID()
	p.passedLosses()
	p.loadEpochs()
	p.lostHead()
	if len(p.bases) > 0 {
		p.end = p.bases[0]
	}
	p.ps.reset(p.end)
	p.wholePs = p.end == 0
	for i := range p.bases {
		if err := p.segment(i); err != nil {
			return err
		}
	}
	p.compareSnapshots(math.MaxInt64)
	p.compareEpochs()
	p.compareCheckpoints()
	return nil
}

// unsynced says that what lies at an offset was not known to be on the disk when the process ended: recovery
// looks at it, and cuts the log at the first batch that is not whole.
func (p *partitionCheck) unsynced(offset int64) bool { return !p.clean && offset >= p.points[p.tp] }

// bad tells of bytes that are no batch, or not one that can lie here.
func (p *partitionCheck) bad(name string, pos int64, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if p.unsynced(p.end) {
		p.report(Finding{File: name, Position: pos, Problem: problem + "; the directory was not closed in order, and a node that starts cuts the log here"})
	} else {
		p.damage(name, pos, "%s", problem)
	}
	p.broken = true
}

// classify sorts a file into what it is.
func (p *partitionCheck) classify(name string) {
	full := path.Join(p.dir, name)
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	base, err := strconv.ParseInt(stem, 10, 64)
	named := err == nil && base >= 0 && segmentName(base) == stem
	isLeftover := slices.Contains([]string{deletedSuffix, cleanedSuffix, swapSuffix, ".tmp"}, ext)
	switch {
	case isLeftover && p.have[name].IsDir():
		p.note(full, "it is a directory, which no node looks into")
	case ext == logSuffix && named:
		p.bases = append(p.bases, base)
	case ext == snapshotSuffix && named:
		p.snapshots = append(p.snapshots, base)
	case ext == logSuffix:
		p.damage(full, -1, "a segment's name is its first offset in 20 digits, and this is not")
	case named && (ext == indexSuffix || ext == timeIndexSuffix || ext == txnIndexSuffix):
		if _, ok := p.statOf(segmentName(base) + logSuffix); !ok {
			p.note(full, "it belongs to no segment; a node that starts removes it")
		}
	case ext == swapSuffix:
		p.swapping = p.swapping || path.Ext(stem) == logSuffix
		p.note(full, "the cleaner was replacing segments; a node that starts puts it in their place")
	case isLeftover:
		p.note(full, "it is left over from a stop; a node that starts removes it")
	case ext == damagedSuffix:
		p.note(full, "recovery has kept here what it had to cut off the log; a person may look at it and remove it")
	}
}

func (p *partitionCheck) statOf(name string) (fs.FileInfo, bool) {
	if info, ok := p.have[name]; ok {
		return info, true
	}
	info, err := p.FS.Stat(path.Join(p.dir, name))
	return info, err == nil
}

func (p *partitionCheck) topicID() {
	name := path.Join(p.dir, partitionMetadataFile)
	data, ok := p.readSmall(name)
	if !ok {
		return // a log of an older Kafka, or one that was not synced yet
	}
	id, err := parsePartitionMetadata(data)
	switch {
	case err != nil && !p.clean:
		p.note(name, "it was not written to its end when the power went (%v); a node notes the topic's id anew", err)
		return
	case err != nil:
		listed, known := p.listed[p.tp]
		if !known {
			p.damage(name, -1, "it does not say which topic this is: %v", err)
			return
		}
		p.derived(false, name, -1, func() error { return vfs.WriteFileAtomic(p.FS, name, encodePartitionMetadata(listed)) }, "it does not say which topic this is: %v", err)
		return
	}
	if listed, ok := p.listed[p.tp]; ok && listed != id {
		p.damage(name, -1, "it names topic id %s, and the node that stopped here last had topic id %s: the directory was exchanged, or this file was changed", encodeUUID(id), encodeUUID(listed))
		return
	}
	p.sameTopicID(p.tp.Topic, id, name)
	p.isTopic(p.tp, id, name)
}

func (p *partitionCheck) loadEpochs() {
	name := path.Join(p.dir, leaderEpochFile)
	data, err := readSmallFile(p.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var entries []epochEntry
	if err == nil {
		entries, err = parseEpochs(data)
	}
	if err != nil {
		// What it ought to say is known when the batches have been read.
		p.epochs = nil
		return
	}
	p.epochs = entries
	if entries == nil {
		p.epochs = []epochEntry{}
	}
}

// rewriteEpochs makes the file of leader epochs from the batches.
func (p *partitionCheck) rewriteEpochs() error {
	if p.broken {
		return fmt.Errorf("some batches cannot be read, so that their epochs are not known")
	}
	c := epochCache{entries: p.found}
	return vfs.WriteFileAtomic(p.FS, path.Join(p.dir, leaderEpochFile), c.encode())
}

func (p *partitionCheck) compareEpochs() {
	name := path.Join(p.dir, leaderEpochFile)
	if p.epochs == nil {
		data, err := readSmallFile(p.FS, name)
		if err == nil {
			_, err = parseEpochs(data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.derived(!p.clean, name, -1, p.rewriteEpochs, "it cannot be understood: %v", err)
		} else if err != nil && len(p.found) > 0 && p.clean {
			p.derived(!p.clean, name, -1, p.rewriteEpochs, "it is missing, and the log has records of %d leader epochs", len(p.found))
		}
		return
	}
	if n := len(p.epochs); n > 0 && p.epochs[n-1].start > p.end && !p.broken {
		p.derived(!p.clean, name, -1, p.rewriteEpochs, "epoch %d begins at offset %d, and the log ends at %d", p.epochs[n-1].epoch, p.epochs[n-1].start, p.end)
		return
	}
	cache := epochCache{entries: p.epochs}
	point := p.points[p.tp]
	start := p.starts[p.tp] // what lies below it nobody asks for
	for i, e := range p.found {
		at := max(e.start, start)
		if at >= p.foundEnds[i] || !p.clean && at >= point { // recovery reads the latter in the batches
			continue
		}
		if got, ok := cache.epochFor(at); !ok || got != e.epoch {
			// Also after a stop that was not in order: below the recovery point a node goes by this file.
			p.derived(false, name, -1, p.rewriteEpochs, "the record at offset %d is of leader epoch %d, and by this file of %d", at, e.epoch, got)
			return
		}
	}
}

// compareCheckpoints holds what the directory's checkpoints say of the log against it.
func (p *partitionCheck) compareCheckpoints() {
	at := func(name string) string { return path.Join(p.Dir, name) }
	if point := p.points[p.tp]; point > p.end && !p.broken {
		p.damage(at(recoveryPointFile), -1, "%s was on the disk up to offset %d, and ends at %d: records are lost", p.tp, point, p.end)
	}
	if start := p.starts[p.tp]; start > p.end && !p.broken {
		if p.clean {
			p.damage(at(logStartFile), -1, "%s starts at offset %d by this file, and ends at %d", p.tp, start, p.end)
		} else {
			p.note(at(logStartFile), "%s starts at offset %d by this file, and ends at %d: what was deleted had not been synced, and the log begins anew there", p.tp, start, p.end)
		}
	}
	if hw := p.hws[p.tp]; hw > p.end && !p.broken {
		if point, known := p.points[p.tp]; p.clean && known && point == p.end {
			p.damage(at(highWatermarkFile), -1, "%s was committed up to offset %d by this file, and was left in order at %d: the file is damaged, and a node that starts goes by the log's end", p.tp, hw, p.end)
		} else if p.clean || p.sameBoot {
			p.damage(at(highWatermarkFile), -1, "%s was committed up to offset %d, and ends at %d: records are lost", p.tp, hw, p.end)
		} else {
			p.note(at(highWatermarkFile), "%s was committed up to offset %d, and ends at %d: what was not synced went with the power, or the log was cut", p.tp, hw, p.end)
		}
	}
}

// compareSnapshots holds the producer snapshots up to an offset against what the batches tell.
func (p *partitionCheck) compareSnapshots(upTo int64) {
	for ; p.nextSnap < len(p.snapshots) && p.snapshots[p.nextSnap] <= upTo; p.nextSnap++ {
		p.compareSnapshot(p.snapshots[p.nextSnap], upTo)
	}
}

func (p *partitionCheck) compareSnapshot(offset, upTo int64) {
	name := path.Join(p.dir, segmentName(offset)+snapshotSuffix)
	data, rerr := readSmallFile(p.FS, name)
	if errors.Is(rerr, fs.ErrNotExist) {
		return
	}
	// The state that the batches tell is that of this snapshot only where the replay stands right at it.
	exact := !p.broken && p.ps.end == offset
	repair := func() error {
		if exact && p.wholePs && !p.mayLack() {
			return vfs.WriteFileAtomic(p.FS, name, p.ps.encodeSnapshot())
		}
		return removeIfThere(p.FS, name) // a node finds the state in an older one, or in the batches
	}
	var snap producers
	err := rerr
	if err == nil {
		snap, err = parseSnapshot(data, offset)
	}
	if err != nil {
		p.derived(!p.clean, name, -1, repair, "%v", err)
		return
	}
	for _, id := range sortedIDs(snap.byID) {
		if last := snap.byID[id]; last.n > 0 && last.batches[last.n-1].lastOffset >= offset {
			p.derived(!p.clean, name, -1, repair, "producer %d has its last batch at offset %d, above the snapshot's own", id, last.batches[last.n-1].lastOffset)
			return
		}
	}
	if exact {
		if why := p.contradiction(&snap); why != "" {
			p.derived(!p.clean, name, -1, repair, "%s", why)
			return
		}
		if p.wholePs && !p.mayLack() {
			return
		}
	}
	if offset >= p.ps.end && upTo != math.MaxInt64 || exact {
		// What the log no longer holds of the producers, this snapshot knows.
		end := p.ps.end
		p.ps, p.wholePs = snap, true
		p.ps.end = max(end, offset)
	}
}

// contradiction says how a snapshot contradicts the batches, or "". Producers that only one of the two
// knows are none: they were forgotten after a time, or their batches went with retention.
func (p *partitionCheck) contradiction(snap *producers) string {
	for _, id := range sortedIDs(snap.byID) {
		s, r := snap.byID[id], p.ps.byID[id]
		if r == nil || r.n == 0 || s.n == 0 {
			continue
		}
		a, b := s.batches[s.n-1], r.batches[r.n-1]
		switch {
		case s.epoch != r.epoch && a.lastOffset == b.lastOffset:
			return fmt.Sprintf("producer %d is in epoch %d by the snapshot, and %d by the batches", id, s.epoch, r.epoch)
		case s.epoch == r.epoch && a.lastOffset > b.lastOffset && p.mayLack():
			// The cleaner has taken the batches away: one that replaces them lies above the snapshot.
		case s.epoch == r.epoch && (a.lastOffset != b.lastOffset || a.lastSeq != b.lastSeq):
			return fmt.Sprintf("producer %d has sequence %d at offset %d by the snapshot, and %d at %d by the batches", id, a.lastSeq, a.lastOffset, b.lastSeq, b.lastOffset)
		case s.epoch == r.epoch && s.txnFirstOffset != r.txnFirstOffset && !p.gaps && !(p.mayLack() && s.txnFirstOffset >= 0 && s.txnFirstOffset < r.txnFirstOffset):
			return fmt.Sprintf("producer %d has its transaction open from offset %d by the snapshot, and %d by the batches", id, s.txnFirstOffset, r.txnFirstOffset)
		}
	}
	return ""
}

// mayLack says that batches may be missing which were there.
func (p *partitionCheck) mayLack() bool {
	_, compacted := p.cleaned[p.tp]
	return compacted || p.gaps
}

func sortedIDs(m map[int64]*producer) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare[int64])
	return ids
}
