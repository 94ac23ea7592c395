package quorum

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A checkpoint file is a run of record batches: a control batch with the snapshot's header (and, from kraft.version 1 on,
// the version and the voters), batches of metadata records, and a control batch with the footer. Offsets count from 0 in
// the file. Its name says what it holds: everything below an offset, the last of it written in an epoch.
const (
	logDirName       = "__cluster_metadata-0"
	checkpointSuffix = ".checkpoint"
	partSuffix       = ".checkpoint.part"
	// BootstrapName is what format leaves for the first leader, in the metadata directory.
	BootstrapName = "bootstrap.checkpoint"
	// checkpointBatchBytes is where a batch of a checkpoint is ended: small enough for every reader's buffer.
	checkpointBatchBytes = 1 << 20
)

// SnapshotID names a snapshot: it holds everything below EndOffset; Epoch is the leader epoch of the last record.
type SnapshotID struct {
	EndOffset int64
	Epoch     int32
}

func (id SnapshotID) name() string {
	return fmt.Sprintf("%020d-%010d%s", id.EndOffset, id.Epoch, checkpointSuffix)
}

func parseSnapshotName(name string) (SnapshotID, bool) {
	stem, ok := strings.CutSuffix(name, checkpointSuffix)
	if !ok || len(stem) != 31 || stem[20] != '-' {
		return SnapshotID{}, false
	}
	end, err1 := strconv.ParseInt(stem[:20], 10, 64)
	epoch, err2 := strconv.ParseInt(stem[21:], 10, 32)
	return SnapshotID{end, int32(epoch)}, err1 == nil && err2 == nil
}

// listSnapshots is the snapshots of a directory, oldest first.
func listSnapshots(fsys vfs.FS, dir string) ([]SnapshotID, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the metadata snapshots: %w", err)
	}
	var out []SnapshotID
	for _, e := range entries {
		if id, ok := parseSnapshotName(e.Name()); ok {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].EndOffset < out[j].EndOffset })
	return out, nil
}

// removeParts takes away snapshots that were not finished.
func removeParts(fsys vfs.FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot list the metadata directory: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partSuffix) {
			if err := fsys.Remove(path.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("cannot remove an unfinished snapshot: %w", err)
			}
		}
	}
	return nil
}

// kraftState is what the control records say of the quorum itself.
type kraftState struct {
	version int16
	voters  []record.Voter
}

// take looks at one control record.
func (k *kraftState) take(c record.Control) {
	switch c := c.(type) {
	case record.KRaftVersion:
		k.version = c.KRaftVersion
	case record.Voters:
		k.voters = c.Voters
	}
}

// encodeCheckpoint is a whole checkpoint file.
func encodeCheckpoint(records iter.Seq[meta.Record], level int16, epoch int32, k kraftState, nowMs, lastTimestampMs int64) []byte {
	opts := record.BuilderOptions{PartitionLeaderEpoch: epoch}
	head := []record.Control{record.SnapshotHeader{LastContainedTimestampMs: lastTimestampMs}}
	if k.version > 0 {
		head = append(head, record.KRaftVersion{KRaftVersion: k.version}, record.Voters{Voters: k.voters})
	}
	out := []byte(record.ControlBatch(opts, nowMs, head...))
	opts.BaseOffset = int64(len(head))
	b := record.NewBuilder(opts)
	flush := func() {
		if n := b.NumRecords(); n > 0 {
			out = append(out, b.Build()...)
			opts.BaseOffset += int64(n)
			b.Reset(opts)
		}
	}
	for r := range records {
		b.Append(nowMs, nil, meta.AppendAt(nil, r, level), nil)
		if b.SizeInBytes() >= checkpointBatchBytes {
			flush()
		}
	}
	flush()
	return append(out, record.ControlBatch(opts, nowMs, record.SnapshotFooter{})...)
}

// decodeCheckpoint reads a whole checkpoint file, and hands its records out one by one.
func decodeCheckpoint(data []byte, fn func(meta.Record) error) (k kraftState, lastTimestampMs int64, err error) {
	var header, footer bool
	for rest := data; len(rest) > 0; {
		at := len(data) - len(rest)
		var b record.Batch
		if b, rest, err = record.Next(rest); err == nil {
			err = b.Validate()
		}
		if err == nil && footer {
			err = errors.New("a batch follows the footer")
		}
		if err == nil {
			err = b.ForEach(func(r record.Record) error {
				if !b.IsControl() {
					if !header {
						return errors.New("records come before the header")
					}
					m, err := meta.Parse(r.Value)
					if err != nil {
						return err
					}
					return fn(m)
				}
				c, err := record.ParseControl(r.Key, r.Value)
				if err != nil {
					return err
				}
				switch c := c.(type) {
				case record.SnapshotHeader:
					header, lastTimestampMs = true, c.LastContainedTimestampMs
				case record.SnapshotFooter:
					footer = true
				default:
					k.take(c)
				}
				return nil
			})
		}
		if err != nil {
			return k, 0, fmt.Errorf("the batch at position %d: %w", at, err)
		}
	}
	if !header || !footer {
		return k, 0, errors.New("it has no header or no footer: it was not written to its end")
	}
	return k, lastTimestampMs, nil
}

// loadSnapshot builds the image of a checkpoint file's bytes.
func loadSnapshot(data []byte, id SnapshotID) (*meta.Image, kraftState, error) {
	loader := meta.NewLoader(meta.NewImage())
	k, ts, err := decodeCheckpoint(data, loader.Add)
	if err != nil {
		return nil, k, err
	}
	img, _, err := loader.Finish(id.EndOffset-1, id.Epoch, ts)
	return img, k, err
}

// writeSnapshotFile puts a checkpoint in its place: it is there whole, or not at all.
func writeSnapshotFile(fsys vfs.FS, dir string, id SnapshotID, data []byte) error {
	final := path.Join(dir, id.name())
	part := strings.TrimSuffix(final, checkpointSuffix) + partSuffix
	err := writeSynced(fsys, part, data)
	if err == nil {
		err = fsys.Rename(part, final)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot write the metadata snapshot %s: %w", final, err)
	}
	return nil
}

// WriteBootstrap writes what format decided for the first leader, in the form of kafka-storage format. nowMs stamps the file.
func WriteBootstrap(fsys vfs.FS, dir string, nowMs int64, records []meta.Record) error {
	level := meta.LatestMetadataVersion
	data := encodeCheckpoint(func(yield func(meta.Record) bool) {
		for _, r := range records {
			if !yield(r) {
				return
			}
		}
	}, level, 0, kraftState{}, nowMs, 0)
	if err := vfs.WriteFileAtomic(fsys, path.Join(dir, BootstrapName), data); err != nil {
		return fmt.Errorf("cannot write the bootstrap metadata: %w", err)
	}
	return nil
}

// WriteVoters writes the first snapshot of a metadata log in the log directory dir, before there is a log: it
// names the voters of a dynamic quorum (KIP-853), as kafka-storage format does.
func WriteVoters(fsys vfs.FS, dir string, nowMs int64, kraftVersion int16, voters []record.Voter) error {
	logDir := path.Join(dir, logDirName)
	if err := fsys.MkdirAll(logDir, 0o755); err != nil {
		return fmt.Errorf("cannot make the metadata log directory: %w", err)
	}
	none := func(func(meta.Record) bool) {}
	data := encodeCheckpoint(none, meta.LatestMetadataVersion, 0, kraftState{kraftVersion, voters}, nowMs, 0)
	return writeSnapshotFile(fsys, logDir, SnapshotID{}, data)
}

// ReadBootstrap reads bootstrap.checkpoint; without the file it returns no records and no error.
func ReadBootstrap(fsys vfs.FS, dir string) ([]meta.Record, error) {
	name := path.Join(dir, BootstrapName)
	data, err := readSmallFile(fsys, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []meta.Record
	if err == nil {
		_, _, err = decodeCheckpoint(data, func(r meta.Record) error {
			out = append(out, r)
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the bootstrap metadata %s: %w", name, err)
	}
	return out, nil
}
