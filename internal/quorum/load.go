package quorum

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// disk is what a node finds, put in order: the metadata log and the WAL agree when load returns.
type disk struct {
	dir     string // of the metadata log
	log     Log
	wal     *wal
	mem     *raft.MemoryStorage
	replay  *meta.Replay
	kraft   kraftState
	applied position
	conf    *raftpb.ConfState // the members as of applied
	// baseConf is the members as of the beginning of the WAL.
	baseConf *raftpb.ConfState
	// snapshot is the newest one, nil when there is none.
	snapshot *SnapshotID
	hard     hardState
	// baseEnd is the end offset of what the WAL no longer holds.
	baseEnd int64
	// behindBytes is what the log holds behind the snapshot.
	behindBytes int64
}

// position is a place in both logs: Raft counts entries, Kafka counts records.
type position struct {
	index, term uint64
	endOffset   int64
	epoch       int32
	timestampMs int64
}

// load reads snapshot, log and WAL.
func load(cfg *Config) (d *disk, err error) {
	d = &disk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := d.open(cfg); err != nil {
		return d, err
	}
	st, err := d.loadWAL(cfg)
	if errors.Is(err, errHalfInstalled) {
		if err := d.undoInstall(cfg, st.base.endOffset); err != nil {
			return d, err
		}
		return load(cfg)
	}
	if err != nil {
		return d, err
	}
	return d, d.startStorage(st)
}

// errHalfInstalled says that the process ended while it took over a snapshot of the leader: the snapshot is there, and the
// metadata log begins behind it, but Raft's log does not know of it yet.
var errHalfInstalled = errors.New("a snapshot of the leader was taken over by half")

// undoInstall goes back to before the snapshot came: Raft's log holds everything from its beginning on, and an older
// snapshot, if any is needed, what was before. The leader sends the snapshot again.
func (d *disk) undoInstall(cfg *Config, beginning int64) error {
	name := path.Join(d.dir, d.snapshot.name())
	cfg.Logger.Warn("a snapshot of the leader was taken over by half when this node ended; going back to before it", "snapshot", name)
	err := cfg.FS.Remove(name)
	if err == nil {
		err = cfg.FS.SyncDir(d.dir)
	}
	if err == nil {
		err = d.log.Reset(beginning)
	}
	if err = errors.Join(err, d.close()); err != nil {
		return fmt.Errorf("cannot undo a snapshot that was taken over by half: %w", err)
	}
	return nil
}

// open makes the log's directory where it is missing, and reads snapshot and log.
func (d *disk) open(cfg *Config) error {
	d.dir = path.Join(cfg.Dir, logDirName)
	if err := cfg.FS.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the metadata directory: %w", err)
	}
	if err := cfg.FS.SyncDir(cfg.Dir); err != nil {
		return fmt.Errorf("cannot make the metadata directory durable: %w", err)
	}
	if err := removeParts(cfg.FS, d.dir); err != nil {
		return err
	}
	return d.loadImage(cfg)
}

func (d *disk) close() error {
	var err error
	if d.wal != nil {
		err = d.wal.close()
	}
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	return err
}

// loadImage takes the newest whole snapshot, and replays the log from there.
func (d *disk) loadImage(cfg *Config) error {
	img, err := d.newestSnapshot(cfg)
	if err != nil {
		return err
	}
	if d.log, err = cfg.OpenLog(d.dir, img.Offset()+1); err != nil {
		return fmt.Errorf("cannot open the metadata log: %w", err)
	}
	start := img.Offset() + 1
	if d.snapshot != nil && d.log.EndOffset() < start {
		cfg.Logger.Warn("the metadata log ends before the newest snapshot and begins anew after it", "logEndOffset", d.log.EndOffset(), "snapshotEndOffset", start)
		if err := d.log.Reset(start); err != nil {
			return fmt.Errorf("cannot begin the metadata log anew at offset %d: %w", start, err)
		}
	}
	if d.log.StartOffset() > start {
		return fmt.Errorf("cannot load the metadata: the log in %s begins at offset %d, and there is no whole snapshot that reaches so far", d.dir, d.log.StartOffset())
	}
	d.replay = meta.NewReplay(img)
	d.applied.endOffset, d.applied.epoch, d.applied.timestampMs = start, max(img.Epoch(), 0), img.TimestampMs()
	err = d.log.Read(start, func(b record.Batch) error {
		if b.LastOffset() < start {
			return nil
		}
		return d.takeBatch(b)
	})
	if err != nil {
		return fmt.Errorf("cannot replay the metadata log in %s: %w", d.dir, err)
	}
	return nil
}

func (d *disk) takeBatch(b record.Batch) error {
	d.applied.endOffset, d.applied.epoch, d.applied.timestampMs = b.NextOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp()
	d.behindBytes += int64(len(b))
	if b.IsControl() {
		return readControls(b, &d.kraft)
	}
	records, err := readRecords(b)
	if err != nil {
		return err
	}
	_, _, err = d.replay.Batch(records, b.LastOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp())
	return err
}

// readRecords is the metadata records of a batch.
func readRecords(b record.Batch) ([]meta.Record, error) {
	out := make([]meta.Record, 0, max(0, min(int(b.NumRecords()), len(b)))) // a damaged header may tell of any number, a negative one too
	err := b.ForEach(func(r record.Record) error {
		m, err := meta.Parse(r.Value)
		if err != nil {
			return fmt.Errorf("offset %d: %w", r.Offset, err)
		}
		out = append(out, m)
		return nil
	})
	return out, err
}

func readControls(b record.Batch, k *kraftState) error {
	return b.ForEach(func(r record.Record) error {
		c, err := record.ParseControl(r.Key, r.Value)
		if err == nil {
			k.take(c)
		}
		return err
	})
}

// newestSnapshot loads the newest snapshot that is whole; a damaged one is passed over while an older one is there.
func (d *disk) newestSnapshot(cfg *Config) (*meta.Image, error) {
	ids, err := listSnapshots(cfg.FS, d.dir)
	if err != nil {
		return nil, err
	}
	var damage error
	for i := len(ids) - 1; i >= 0; i-- {
		name := path.Join(d.dir, ids[i].name())
		data, err := vfs.ReadFile(cfg.FS, name)
		if err == nil {
			var img *meta.Image
			if img, d.kraft, err = loadSnapshot(data, ids[i]); err == nil {
				d.snapshot = &ids[i]
				return img, nil
			}
		}
		damage = errors.Join(damage, fmt.Errorf("cannot read the metadata snapshot %s: %w", name, err))
		cfg.Logger.Error("a metadata snapshot is damaged; trying an older one", "file", name, "error", err)
	}
	d.kraft = kraftState{}
	if damage != nil {
		cfg.Logger.Error("no metadata snapshot is whole; replaying the log from its beginning", "error", damage)
	}
	return meta.NewImage(), nil
}

// loadWAL reads Raft's log and makes it agree with the metadata log.
func (d *disk) loadWAL(cfg *Config) (walState, error) {
	w, st, found, err := readWAL(cfg.FS, cfg.Dir)
	if err != nil {
		return st, err
	}
	d.wal = w
	voters := firstMembers(cfg, &d.kraft)
	if found {
		if err := agree(cfg, &d.kraft, &st); err != nil {
			return st, err
		}
		err := d.match(&st)
		if err == nil {
			return st, nil
		}
		if len(voters) != 1 || voters[0] != ownID(cfg, &d.kraft) || len(st.base.voters) > 1 {
			return st, fmt.Errorf("the Raft log %s and the metadata log beside it do not belong together, one of them was cut or is from another time (%w): %s",
				path.Join(cfg.Dir, WALName), err, d.wayOut(cfg, "put both back from the same backup"))
		}
		cfg.Logger.Warn("the metadata log went on without this node's Raft log; as the only voter it follows the metadata log", "reason", err)
	}
	if own := ownID(cfg, &d.kraft); !found && len(voters) > 1 && slices.Contains(voters, own) && (d.log.EndOffset() > 0 || d.snapshot != nil && d.snapshot.EndOffset > 0) {
		return st, d.walIsLost(cfg)
	}
	return d.adopt(cfg, st, voters)
}

// walIsLost refuses a voter that has metadata and no Raft log: it has forgotten for whom it voted and what it promised to keep,
// and a second vote in one epoch could make two leaders, each with a majority.
func (d *disk) walIsLost(cfg *Config) error {
	return fmt.Errorf("the Raft log %s is missing, but the metadata log beside it holds what this node has decided with others: without it the node does not know for whom it voted, and two leaders could come of that: %s",
		path.Join(cfg.Dir, WALName), d.wayOut(cfg, "put the file back from a backup that is not older than the metadata log"))
}

// wayOut says how a voter whose files cannot be used comes back.
func (d *disk) wayOut(cfg *Config, backup string) string {
	if d.kraft.dynamic() {
		return backup + fmt.Sprintf(", or give this controller a new identity: remove it from the quorum (kafka-metadata-quorum remove-controller --controller-id %d), empty its metadata directory, format it with kafka-storage format --no-initial-controllers, start it, and run kafka-metadata-quorum add-controller", cfg.NodeID)
	}
	return backup + ", or, " + fixedWayOut
}

// fixedWayOut is how a fixed voter comes back that has lost its files. It cannot be removed; but a leader asks those anew what they
// have that it finds when it is elected, and so one that has lost everything is brought up to date.
const fixedWayOut = "while all other voters run and have everything, move this one's metadata directory away whole, format it again with the same cluster id, restart the controller that leads (kafka-metadata-quorum describe --status), which still counts on what was lost, and start this one when another leads: the others then bring it up to date"

// match finds how far the metadata log has what the WAL has. Committed batches alone are in the metadata log, and each
// was in the WAL before; so a metadata log that says otherwise was written by somebody else (Kafka itself, perhaps).
func (d *disk) match(st *walState) error {
	d.applied.index, d.applied.term = st.base.index, st.base.term
	end := d.log.EndOffset()
	if end < st.base.endOffset {
		return fmt.Errorf("the metadata log ends at offset %d, but the Raft log begins after offset %d", end, st.base.endOffset)
	}
	at := st.base.endOffset
	var last record.Batch
	for _, e := range st.entries {
		data, err := batchIn(e)
		if err != nil {
			return err
		}
		if len(data) > 0 {
			b, err := batchOf(e, data)
			if err != nil {
				return err
			}
			if b.BaseOffset() != at {
				return fmt.Errorf("entry %d of the Raft log begins at offset %d instead of %d", e.GetIndex(), b.BaseOffset(), at)
			}
			if b.NextOffset() > end {
				if b.BaseOffset() < end {
					return fmt.Errorf("the metadata log ends at offset %d, inside entry %d", end, e.GetIndex())
				}
				break
			}
			at, last = b.NextOffset(), b
		} else if e.GetIndex() > st.hard.commit {
			// Nothing in the metadata log tells whether an entry without a batch was committed, unless a batch behind it is there. One that
			// was not may still be replaced: to call it applied would be to acknowledge what this node may not have.
			continue
		}
		d.applied.index, d.applied.term = e.GetIndex(), e.GetTerm()
	}
	if at < end && d.snapshot != nil && d.snapshot.EndOffset == end && d.log.StartOffset() == end {
		return errHalfInstalled
	}
	if at < end {
		return fmt.Errorf("the metadata log ends at offset %d, the Raft log at %d", end, at)
	}
	if last == nil || last.BaseOffset() < d.log.StartOffset() {
		return nil
	}
	stop := errors.New("enough")
	err := d.log.Read(last.BaseOffset(), func(b record.Batch) error {
		if b.BaseOffset() != last.BaseOffset() || b.CRC() != last.CRC() || b.PartitionLeaderEpoch() != last.PartitionLeaderEpoch() {
			return fmt.Errorf("the batch at offset %d is another one in the metadata log than in the Raft log", last.BaseOffset())
		}
		return stop
	})
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// batchOf is the batch in an entry.
func batchOf(e *raftpb.Entry, data []byte) (record.Batch, error) {
	b, rest, err := record.Next(data)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes follow the batch")
	}
	if err == nil {
		err = b.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("entry %d of the Raft log holds no batch: %w", e.GetIndex(), err)
	}
	return b, nil
}

// adopt begins a new WAL behind a metadata log that is there: of a new directory, or of one that Kafka has written.
func (d *disk) adopt(cfg *Config, old walState, voters []uint64) (walState, error) {
	epoch, err := readQuorumEpoch(cfg.FS, d.dir)
	if err != nil {
		return walState{}, err
	}
	var st walState
	st.base.voters = voters
	st.base.endOffset = d.log.EndOffset()
	if st.base.endOffset > 0 || epoch > 0 || old.hard.term > 0 {
		st.base.index = old.base.index + uint64(len(old.entries)) + 1
		st.base.term = max(uint64(max(epoch, d.applied.epoch, 0)), old.hard.term)
		st.hard = hardState{term: st.base.term, commit: st.base.index}
		cfg.Logger.Info("taking over a metadata log", slog.Int64("logEndOffset", st.base.endOffset), slog.Uint64("epoch", st.base.term))
	} else if d.kraft.dynamic() {
		// The first voters stand in the first snapshot and in no entry. Entries that begin behind it make the leader send it
		// to whoever joins; all first voters begin in the same way.
		st.base.index, st.base.term = 1, 1
		st.hard = hardState{term: 1, commit: 1}
	}
	if d.wal != nil {
		if err := d.wal.close(); err != nil {
			return st, fmt.Errorf("cannot close the old Raft log: %w", err)
		}
		d.wal = nil
	}
	if d.wal, _, err = writeWAL(cfg.FS, cfg.Dir, st); err != nil {
		return st, err
	}
	d.applied.index, d.applied.term = st.base.index, st.base.term
	return st, nil
}

// startStorage hands the WAL's contents to Raft.
func (d *disk) startStorage(st walState) error {
	d.mem = raft.NewMemoryStorage()
	// Raft wants the members of now, as of the last applied entry.
	d.baseConf = &raftpb.ConfState{Voters: st.base.voters, Learners: st.base.learners}
	d.conf = d.baseConf
	for _, e := range st.entries {
		if e.GetIndex() > d.applied.index || e.GetType() == raftpb.EntryNormal {
			continue
		}
		cc, err := changeIn(e)
		if err != nil {
			return err
		}
		d.conf = confAfter(d.conf, cc)
	}
	err := d.mem.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: d.conf, Index: new(st.base.index), Term: new(st.base.term),
	}})
	if err == nil {
		err = d.mem.Append(st.entries)
	}
	if err != nil {
		return fmt.Errorf("cannot load the Raft log: %w", err)
	}
	last := st.base.index + uint64(len(st.entries))
	d.baseEnd = st.base.endOffset
	d.hard = st.hard
	d.hard.commit = min(max(d.hard.commit, d.applied.index), last)
	if len(st.entries) > 0 {
		d.hard.term = max(d.hard.term, st.entries[len(st.entries)-1].GetTerm())
	}
	if d.hard != (hardState{}) {
		err = d.mem.SetHardState(&raftpb.HardState{Term: new(d.hard.term), Vote: new(d.hard.vote), Commit: new(d.hard.commit)})
	}
	return err
}
