package storage

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// The small files of a log directory and of a partition's directory, by Kafka's names.
const (
	metaPropertiesFile    = "meta.properties"
	lockFile              = ".lock"
	cleanShutdownFile     = ".kafka_cleanshutdown"
	recoveryPointFile     = "recovery-point-offset-checkpoint"
	logStartFile          = "log-start-offset-checkpoint"
	highWatermarkFile     = "replication-offset-checkpoint"
	leaderEpochFile       = "leader-epoch-checkpoint"
	partitionMetadataFile = "partition.metadata"
)

// checkpointLines reads the frame that Kafka's checkpoint files share: a version,
// the number of entries, and a line each.
func checkpointLines(data []byte) ([]string, error) {
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(lines) < 2 {
		return nil, errors.New("the file is cut short")
	}
	if strings.TrimSpace(lines[0]) != "0" {
		return nil, fmt.Errorf("version %q is not known, only 0 is", lines[0])
	}
	n, err := strconv.Atoi(strings.TrimSpace(lines[1]))
	if err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("it announces %q entries and has %d", lines[1], len(lines)-2)
	}
	return lines[2:], nil
}

// ReadOffsetCheckpoint reads one of Kafka's per-directory offset files; a file that
// does not exist is empty.
func ReadOffsetCheckpoint(fsys vfs.FS, name string) (map[TopicPartition]int64, error) {
	data, err := readSmallFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return map[TopicPartition]int64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	offsets, err := parseOffsets(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return offsets, nil
}

// maxOffset is what no log reaches: a file that says more is damaged. To go on there would leave no offset for what comes.
const maxOffset = 1 << 62

// parseOffsets reads a file that says an offset for each partition. Kafka makes such files empty with a log directory, before it
// has anything to say in them; it replaces them whole.
func parseOffsets(data []byte) (map[TopicPartition]int64, error) {
	if len(data) == 0 {
		return map[TopicPartition]int64{}, nil
	}
	lines, err := checkpointLines(data)
	if err != nil {
		return nil, err
	}
	offsets := make(map[TopicPartition]int64, len(lines))
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("line %q is not a topic, a partition and an offset", line)
		}
		p, err1 := strconv.ParseInt(f[1], 10, 32)
		off, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil || p < 0 || off < 0 || off > maxOffset {
			return nil, fmt.Errorf("line %q is not a topic, a partition and an offset", line)
		}
		offsets[TopicPartition{f[0], int32(p)}] = off
	}
	return offsets, nil
}

// WriteOffsetCheckpoint replaces one of Kafka's per-directory offset files.
func WriteOffsetCheckpoint(fsys vfs.FS, name string, offsets map[TopicPartition]int64) error {
	return vfs.WriteFileAtomic(fsys, name, encodeOffsets(offsets))
}

func encodeOffsets(offsets map[TopicPartition]int64) []byte {
	tps := slices.SortedFunc(maps.Keys(offsets), func(a, b TopicPartition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	buf := make([]byte, 0, 16+40*len(tps))
	buf = append(buf, "0\n"...)
	buf = strconv.AppendInt(buf, int64(len(tps)), 10)
	buf = append(buf, '\n')
	for _, tp := range tps {
		buf = append(buf, tp.Topic...)
		buf = append(buf, ' ')
		buf = strconv.AppendInt(buf, int64(tp.Partition), 10)
		buf = append(buf, ' ')
		buf = strconv.AppendInt(buf, offsets[tp], 10)
		buf = append(buf, '\n')
	}
	return buf
}

// encodeUUID writes an id as Kafka does: base64 for URLs, without padding.
func encodeUUID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseUUID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not an id of 22 base64 characters", s)
	}
	return [16]byte(b), nil
}

// MetaProperties says which node of which cluster a log directory belongs to.
type MetaProperties struct {
	Version     int // 1; Kafka's version 0 files are read too
	ClusterID   string
	NodeID      int32
	DirectoryID [16]byte // zero in files that have none
}

// ErrMetaProperties is that of a meta.properties that is there and says nothing that can be understood.
var ErrMetaProperties = errors.New("cannot understand meta.properties")

// ReadMetaProperties reads meta.properties of a log directory; fs.ErrNotExist when it was never formatted.
func ReadMetaProperties(fsys vfs.FS, dir string) (MetaProperties, error) {
	name := path.Join(dir, metaPropertiesFile)
	data, err := readSmallFile(fsys, name)
	if err != nil {
		return MetaProperties{}, fmt.Errorf("cannot read %s: %w", name, err)
	}
	p, err := parseMetaProperties(data)
	if err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrMetaProperties, name, err)
	}
	return p, nil
}

func parseMetaProperties(data []byte) (p MetaProperties, err error) {
	props := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		i := strings.IndexAny(line, "=:")
		if i < 0 {
			return p, fmt.Errorf("line %q is not key=value", line)
		}
		props[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+1:])
	}
	version, err := strconv.Atoi(props["version"])
	if err != nil || version < 0 || version > 1 {
		return p, fmt.Errorf("version %q is not known, only 0 and 1 are", props["version"])
	}
	p.Version, p.ClusterID, p.NodeID = version, props["cluster.id"], -1
	id, ok := props["node.id"]
	if !ok {
		id, ok = props["broker.id"]
	}
	if ok {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return p, fmt.Errorf("node.id %q is not a number of 0 or more", id)
		}
		p.NodeID = int32(n)
	}
	if version == 1 && (p.ClusterID == "" || p.NodeID < 0) {
		return p, errors.New("cluster.id or node.id is missing")
	}
	if s, ok := props["directory.id"]; ok {
		if p.DirectoryID, err = parseUUID(s); err != nil {
			return p, fmt.Errorf("directory.id: %w", err)
		}
	}
	return p, nil
}

// WriteMetaProperties formats a log directory.
func WriteMetaProperties(fsys vfs.FS, dir string, p MetaProperties) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#\ncluster.id=%s\n", p.ClusterID)
	if p.DirectoryID != ([16]byte{}) {
		fmt.Fprintf(&b, "directory.id=%s\n", encodeUUID(p.DirectoryID))
	}
	fmt.Fprintf(&b, "node.id=%d\nversion=1\n", p.NodeID)
	if err := vfs.WriteFileAtomic(fsys, path.Join(dir, metaPropertiesFile), b.Bytes()); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(path.Clean(dir))) // the directory may be as new as the file
}

// errTorn says that a small file was not written to its end.
var errTorn = errors.New("the file is torn")

// readPartitionMetadata reads the topic id of a partition's directory; ok is false
// when the file is missing or empty, and errTorn tells one that is not whole: both
// are what a power cut before the log's first sync leaves.
func readPartitionMetadata(fsys vfs.FS, dir string) (id [16]byte, ok bool, err error) {
	name := path.Join(dir, partitionMetadataFile)
	data, err := readSmallFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.Trim(data, "\x00")) == 0 {
		return id, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("cannot read %s: %w", name, err)
	}
	id, err = parsePartitionMetadata(data)
	if err != nil {
		return id, false, fmt.Errorf("cannot read %s: %w: %w", name, errTorn, err)
	}
	return id, true, nil
}

func parsePartitionMetadata(data []byte) (id [16]byte, err error) {
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 2 || strings.TrimSpace(lines[0]) != "version: 0" {
		return id, fmt.Errorf("%q is not a version and a topic_id", data)
	}
	s, ok := strings.CutPrefix(strings.TrimSpace(lines[1]), "topic_id: ")
	if !ok {
		return id, fmt.Errorf("%q is not a version and a topic_id", data)
	}
	return parseUUID(s)
}

func encodePartitionMetadata(id [16]byte) []byte {
	return []byte("version: 0\ntopic_id: " + encodeUUID(id) + "\n")
}

// cleanShutdown is what .kafka_cleanshutdown says.
type cleanShutdown struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

// noBrokerEpoch says that the broker epoch of the last run is not known.
const noBrokerEpoch = -1

// readCleanShutdown says whether the directory was left in order, and by which broker epoch.
func readCleanShutdown(fsys vfs.FS, dir string) (clean bool, brokerEpoch int64, marker []byte, err error) {
	data, err := readSmallFile(fsys, path.Join(dir, cleanShutdownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, noBrokerEpoch, nil, nil
	}
	if err != nil {
		return false, noBrokerEpoch, nil, err
	}
	c := cleanShutdown{BrokerEpoch: noBrokerEpoch}
	if json.Unmarshal(data, &c) != nil {
		c.BrokerEpoch = noBrokerEpoch // older Kafka leaves the file empty
	}
	return true, c.BrokerEpoch, data, nil
}

// writeCleanShutdown leaves the marker, and before it the list that belongs to it.
func (d *logDir) writeCleanShutdown(brokerEpoch int64) error {
	data, err := json.Marshal(cleanShutdown{BrokerEpoch: brokerEpoch})
	if err != nil {
		return err
	}
	if err := d.writeCleanState(data); err != nil {
		d.env.logger.Warn("cannot list the logs for the next start, which will look for itself", "dir", d.path, "err", err)
	}
	d.noteMarker(data)
	return vfs.WriteFileAtomic(d.env.fs, path.Join(d.path, cleanShutdownFile), data)
}
