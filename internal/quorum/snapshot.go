package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// maybeSnapshot begins a snapshot when enough was written, or anything long ago. It is encoded and written beside
// the loop; the image that it holds does not change.
func (l *loop) maybeSnapshot() {
	now := l.now()
	due := l.snapshotWanted || l.sinceSnapshotBytes >= l.cfg.SnapshotBytes ||
		l.cfg.SnapshotInterval > 0 && l.sinceSnapshotBytes > 0 && now.Sub(l.lastSnapshot) >= l.cfg.SnapshotInterval
	if !due || l.snapshotRunning || l.disk.replay.InTransaction() || l.disk.applied.index == 0 {
		return
	}
	at, img, k, conf := l.disk.applied, l.disk.replay.Image(), l.disk.kraft, l.disk.conf
	if l.disk.snapshot != nil && l.disk.snapshot.EndOffset >= at.endOffset {
		if l.snapshotWanted { // the file is there; only the entries behind it, changes of the members, are not in it yet
			l.snapshotWanted = false
			if err := l.compactWAL(at, conf); err != nil {
				l.cfg.Logger.Error("the Raft log could not be begun anew; it is tried again later", "error", err)
			}
		}
		return
	}
	l.snapshotRunning, l.snapshotWanted = true, false
	l.lastSnapshot, l.sinceSnapshotBytes = now, 0
	l.snapshotDone = make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		id := SnapshotID{at.endOffset, at.epoch}
		err := l.disk.cutSnapshot(l.cfg, id, img, k, now, at.timestampMs)
		// A closed node needs no more: the snapshot is there, and the next start makes use of it.
		_ = l.n.put(op{fn: func(l *loop) { l.snapshotWritten(id, at, conf, err) }})
	}(l.snapshotDone)
}

// cutSnapshot syncs the metadata log before the file appears: who starts from the file finds the log reaching it.
func (d *disk) cutSnapshot(cfg *Config, id SnapshotID, img *meta.Image, k kraftState, now time.Time, lastMs int64) error {
	data := encodeCheckpoint(img.Records(), img.MetadataVersion(), id.Epoch, k, now.UnixMilli(), lastMs)
	if err := d.log.Roll(); err != nil {
		return fmt.Errorf("cannot roll the metadata log: %w", err)
	}
	if err := d.log.Sync(); err != nil {
		return fmt.Errorf("cannot sync the metadata log: %w", err)
	}
	return writeSnapshotFile(cfg.FS, d.dir, id, data)
}

// snapshotWritten lets go of what the snapshot stands for: entries of the WAL, then old snapshots and the log before them.
func (l *loop) snapshotWritten(id SnapshotID, at position, conf *raftpb.ConfState, err error) {
	l.snapshotRunning = false
	if err == nil {
		if l.disk.snapshot == nil || l.disk.snapshot.EndOffset < id.EndOffset { // the leader's may have come meanwhile
			l.disk.snapshot = &id
		}
		l.cfg.Logger.Info("metadata snapshot written", "endOffset", id.EndOffset, "epoch", id.Epoch)
		err = l.compactWAL(at, conf)
	}
	if err == nil {
		err = l.disk.clean(l.cfg)
	}
	if err != nil {
		l.cfg.Logger.Error("a metadata snapshot could not be finished; it is tried again later", "error", err)
	}
}

// compactWAL begins the WAL anew behind a position that a snapshot holds.
func (l *loop) compactWAL(at position, conf *raftpb.ConfState) error {
	d := l.disk
	first, err := d.mem.FirstIndex()
	if err != nil || at.index < first {
		return err // it begins there or later already
	}
	last, err := d.mem.LastIndex()
	if err != nil {
		return fmt.Errorf("cannot compact the Raft log: %w", err)
	}
	st := walState{base: base{at.index, at.term, at.endOffset, conf.GetVoters(), conf.GetLearners()}, hard: l.hard}
	st.hard.commit = max(st.hard.commit, at.index)
	if last > at.index {
		st.entries, err = d.mem.Entries(at.index+1, last+1, 1<<62)
	}
	if err != nil {
		return fmt.Errorf("cannot compact the Raft log: %w", err)
	}
	if err := l.replaceWAL(st); err != nil {
		return err
	}
	if _, err := d.mem.CreateSnapshot(at.index, conf, nil); err != nil && !errors.Is(err, raft.ErrSnapOutOfDate) {
		return fmt.Errorf("cannot compact the Raft log: %w", err)
	}
	if err := d.mem.Compact(at.index); err != nil {
		return fmt.Errorf("cannot compact the Raft log: %w", err)
	}
	return nil
}

func (l *loop) replaceWAL(st walState) error {
	w, touched, err := writeWAL(l.cfg.FS, l.cfg.Dir, st)
	if err != nil {
		if touched { // whether the old file or the new one is under the name is not known: nothing may be added to either
			l.disk.wal.broken = err
		}
		return err
	}
	old := l.disk.wal
	l.disk.wal, l.disk.baseEnd = w, st.base.endOffset
	l.disk.baseConf = &raftpb.ConfState{Voters: st.base.voters, Learners: st.base.learners}
	if err := old.close(); err != nil {
		l.cfg.Logger.Warn("the old Raft log could not be closed", "error", err)
	}
	return nil
}

// clean removes the oldest snapshots, and the log before the next, while there is too much or they are too old.
func (d *disk) clean(cfg *Config) error {
	ids, err := listSnapshots(cfg.FS, d.dir)
	if err != nil {
		return err
	}
	sizes := make([]int64, len(ids))
	total := d.log.SizeInBytes()
	for i, id := range ids {
		info, err := cfg.FS.Stat(path.Join(d.dir, id.name()))
		if err != nil {
			return fmt.Errorf("cannot look at a metadata snapshot: %w", err)
		}
		sizes[i] = info.Size()
		total += sizes[i]
	}
	for i := 0; i+1 < len(ids); i++ {
		tooMuch := cfg.RetentionBytes >= 0 && total > cfg.RetentionBytes
		if !tooMuch && (cfg.Retention < 0 || !d.olderThan(cfg, ids[i], cfg.Retention)) {
			return nil
		}
		before := d.log.SizeInBytes()
		if err := d.log.TruncatePrefix(ids[i+1].EndOffset); err != nil {
			return fmt.Errorf("cannot cut the metadata log before offset %d: %w", ids[i+1].EndOffset, err)
		}
		if err := cfg.FS.Remove(path.Join(d.dir, ids[i].name())); err != nil {
			return fmt.Errorf("cannot remove an old metadata snapshot: %w", err)
		}
		total -= sizes[i] + before - d.log.SizeInBytes()
	}
	return nil
}

// olderThan reads the age of a snapshot's last record from its header. What cannot be read counts as young.
func (d *disk) olderThan(cfg *Config, id SnapshotID, age time.Duration) bool {
	f, err := cfg.FS.OpenFile(path.Join(d.dir, id.name()), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	head := make([]byte, 256) // the header's batch is 83 bytes
	n, _ := f.ReadAt(head, 0)
	if f.Close() != nil {
		return false
	}
	b, _, err := record.Next(head[:n])
	if err != nil || b.Validate() != nil {
		return false
	}
	last := int64(-1)
	err = b.ForEach(func(r record.Record) error {
		c, err := record.ParseControl(r.Key, r.Value)
		if h, ok := c.(record.SnapshotHeader); ok {
			last = h.LastContainedTimestampMs
		}
		return err
	})
	return err == nil && last >= 0 && cfg.Clock.Now().UnixMilli()-last > age.Milliseconds()
}

// raftStorage is Raft's view of the disk: entries lie in memory as well, snapshots do not.
type raftStorage struct {
	*raft.MemoryStorage
	loop *loop
}

// Snapshot is the one that stands for everything before the WAL, for a voter that is too far behind for entries:
// end offset, epoch, then the checkpoint file.
func (s *raftStorage) Snapshot() (*raftpb.Snapshot, error) {
	snap, err := s.MemoryStorage.Snapshot()
	if err != nil {
		return nil, err
	}
	if snap.GetMetadata().GetIndex() == 0 { // there is none, and Raft ends the process that shows it an empty one
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	d := s.loop.disk
	first, err := s.FirstIndex()
	if err != nil || d.snapshot == nil || d.snapshot.EndOffset != d.baseEnd || first != snap.GetMetadata().GetIndex()+1 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	for _, id := range slices.Concat(d.conf.GetVoters(), d.conf.GetLearners()) {
		if !slices.Contains(d.baseConf.GetVoters(), id) && !slices.Contains(d.baseConf.GetLearners(), id) {
			// Whom it is for would not find itself in it: one that knows all members is cut first.
			s.loop.snapshotWanted = true
			return nil, raft.ErrSnapshotTemporarilyUnavailable
		}
	}
	data, err := vfs.ReadFile(s.loop.cfg.FS, path.Join(d.dir, d.snapshot.name()))
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(d.snapshot.EndOffset))
	head = binary.BigEndian.AppendUint32(head, uint32(d.snapshot.Epoch))
	snap.Data = append(head, data...)
	snap.Metadata.ConfState = d.baseConf
	return snap, nil
}

// install puts the leader's snapshot in the place of everything that this node has.
func (l *loop) install(snap *raftpb.Snapshot) error {
	fail := func(err error) error { return fmt.Errorf("cannot take over a snapshot of the leader: %w", err) }
	data := snap.GetData()
	if len(data) < 12 {
		return fail(errors.New("it is cut short"))
	}
	id := SnapshotID{int64(binary.BigEndian.Uint64(data)), int32(binary.BigEndian.Uint32(data[8:]))}
	data = data[12:]
	img, k, err := loadSnapshot(data, id)
	if err != nil {
		return fail(err)
	}
	d := l.disk
	if err := writeSnapshotFile(l.cfg.FS, d.dir, id, data); err != nil {
		return fail(err)
	}
	if err := d.log.Reset(id.EndOffset); err != nil {
		return fail(err)
	}
	at := position{snap.GetMetadata().GetIndex(), snap.GetMetadata().GetTerm(), id.EndOffset, id.Epoch, img.TimestampMs()}
	conf := snap.GetMetadata().GetConfState()
	st := walState{base: base{at.index, at.term, at.endOffset, conf.GetVoters(), conf.GetLearners()}, hard: l.hard}
	st.hard.commit = max(st.hard.commit, at.index)
	if err := l.replaceWAL(st); err != nil {
		return fail(err)
	}
	bare := &raftpb.Snapshot{Metadata: snap.GetMetadata()} // the data is on the disk
	if err := d.mem.ApplySnapshot(bare); err != nil {
		return fail(err)
	}
	before := d.replay.Image()
	d.replay, d.kraft, d.applied, d.snapshot, d.conf = meta.NewReplay(img), k, at, &id, conf
	l.state.Advance(img)
	l.sinceSnapshotBytes, l.lastSnapshot = 0, l.now()
	d.log.SetHighWatermark(id.EndOffset)
	l.n.committed.advance(id.EndOffset)
	l.publishMembers()
	return l.publish(img, meta.Diff(before, img), nil)
}
