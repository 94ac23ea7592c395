package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/record"
)

// The log reader of Kafka, which its dump tool uses, stops quietly where a batch is not
// whole, and fails where a length cannot be one.
const (
	upToMagicBytes    = 17
	oldOverheadBytes  = 14 // the smallest record of the oldest format
	batchHeaderLength = record.HeaderBytes - record.LengthPrefixBytes
	checksumFrom      = 21 // what the checksum covers begins with the attributes
)

func (d *dumper) logFile(name, base string) error {
	switch {
	case strings.HasSuffix(base, ".log"):
		offset, err := baseOffset(base)
		if err != nil {
			return err
		}
		d.printf("Log starting offset: %d\n", offset)
	case base == "bootstrap.checkpoint":
		d.println("KRaft bootstrap snapshot")
	default:
		offset, epoch, ok := snapshotName(base)
		if !ok {
			return fmt.Errorf("%s is not the name of a snapshot, which is OFFSET-EPOCH.checkpoint", base)
		}
		d.printf("Snapshot end offset: %d, epoch: %d\n", offset, epoch)
	}
	in, done, err := openInput(name)
	if err != nil {
		return err
	}
	defer done()
	return d.batches(in)
}

// snapshotName reads OFFSET-EPOCH.checkpoint.
func snapshotName(base string) (offset int64, epoch int32, ok bool) {
	stem, ok := strings.CutSuffix(base, ".checkpoint")
	if !ok || len(stem) < 31 || stem[20] != '-' {
		return 0, 0, false
	}
	offset, err1 := strconv.ParseInt(stem[:20], 10, 64)
	e, err2 := strconv.ParseInt(stem[21:31], 10, 32)
	return offset, int32(e), err1 == nil && err2 == nil
}

// batches prints what a log holds.
func (d *dumper) batches(in *input) error {
	if d.maxBytes < 0 {
		return fmt.Errorf("Invalid size: %d in read from FileRecords(size=%d, file=%s, start=0, end=%d)", d.maxBytes, in.size, in.name, math.MaxInt32)
	}
	end := min(in.size, d.maxBytes)
	w := batchWalker{in: in, end: end}
	last := int64(-1)
	for {
		pos, header, size, err := w.next()
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		batch, err := d.batchLine(in, pos, header, size)
		if err != nil {
			return err
		}
		if d.deep {
			if err := d.records(in.name, batch, &last); err != nil {
				return err
			}
		}
	}
	if trailing := in.size - w.pos; trailing > 0 && d.maxBytes == math.MaxInt32 {
		d.printf("Found %d invalid bytes at the end of %s\n", trailing, in.name[strings.LastIndexByte(in.name, '/')+1:])
	}
	return nil
}

// batchWalker goes from batch to batch as Kafka's FileLogInputStream does.
type batchWalker struct {
	in       *input
	pos, end int64
	buf      [record.HeaderBytes]byte
}

// next reads the header of the next batch; size 0 is the end. The header is valid until the next call.
func (w *batchWalker) next() (pos int64, header []byte, size int64, err error) {
	pos = w.pos
	if pos+upToMagicBytes >= w.end {
		return pos, nil, 0, nil
	}
	n := min(int64(len(w.buf)), w.in.size-pos)
	if _, err := w.in.ReadAt(w.buf[:n], pos); err != nil && !errors.Is(err, io.EOF) {
		return pos, nil, 0, err
	}
	length := int64(int32(binary.BigEndian.Uint32(w.buf[8:])))
	if length < oldOverheadBytes {
		return pos, nil, 0, fmt.Errorf("Found record size %d smaller than minimum record overhead (%d) in file %s.", length, oldOverheadBytes, w.in.name)
	}
	size = length + record.LengthPrefixBytes
	if pos+size > w.end {
		return pos, nil, 0, nil
	}
	if magic := int8(w.buf[16]); magic < record.Magic {
		return pos, nil, 0, fmt.Errorf("the batch at position %d of %s is of message format %d; only 2 is known, which every Kafka since 0.11 writes", pos, w.in.name, magic)
	}
	if length < batchHeaderLength {
		return pos, nil, 0, fmt.Errorf("Failed to load record batch at position %d from %s", pos, w.in.name)
	}
	w.pos = pos + size
	return pos, w.buf[:], size, nil
}

// batchLine prints the line of a batch and returns the batch, whole where that is needed.
func (d *dumper) batchLine(in *input, pos int64, header []byte, size int64) (record.Batch, error) {
	b := record.Batch(header)
	horizon := "OptionalLong.empty"
	if ms, ok := b.DeleteHorizonMs(); ok {
		horizon = fmt.Sprintf("OptionalLong[%d]", ms)
	}
	d.printf("baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s",
		b.BaseOffset(), b.LastOffset(), b.NumRecords(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(), b.PartitionLeaderEpoch(), b.IsTransactional(), b.IsControl(), horizon)
	if !b.Codec().Known() {
		return nil, fmt.Errorf("Unknown compression type id: %d", int8(b.Codec()))
	}
	whole, crc, err := d.load(in, pos, size)
	if err != nil {
		return nil, err
	}
	d.printf(" position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n", pos, b.TimestampType(), b.MaxTimestamp(), size, b.Magic(), b.Codec(), b.CRC(), crc == b.CRC())
	return whole, nil
}

// crcChunkBytes is read at once of a batch that is only checked.
const crcChunkBytes = 256 << 10

// load computes a batch's checksum, and keeps its bytes if its records are asked for.
func (d *dumper) load(in *input, pos, size int64) (record.Batch, uint32, error) {
	read := func(b []byte, at int64) error {
		_, err := in.ReadAt(b, at)
		if err != nil {
			return fmt.Errorf("cannot read %s at %d: %w", in.name, at, err)
		}
		return nil
	}
	if d.deep {
		b := make(record.Batch, size) // not more than there is of the file
		if err := read(b, pos); err != nil {
			return nil, 0, err
		}
		return b, b.ComputeCRC(), nil
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	buf := make([]byte, min(size, crcChunkBytes))
	for at := pos + checksumFrom; at < pos+size; {
		n := min(int64(len(buf)), pos+size-at)
		if err := read(buf[:n], at); err != nil {
			return nil, 0, err
		}
		_, _ = sum.Write(buf[:n]) // a hash cannot fail to be written
		at += n
	}
	return nil, sum.Sum32(), nil
}

// records prints the records of a batch. last is the offset of the record before.
func (d *dumper) records(name string, b record.Batch, last *int64) error {
	return eachRecord(b, func(r *dumpedRecord) error {
		if r.offset != *last+1 {
			d.nonConsecutive.put(absolute(name), *last, r.offset)
		}
		*last = r.offset
		if !d.skipMetadata {
			if err := d.recordMetadata(b, r); err != nil {
				return err
			}
		}
		if d.printData && !b.IsControl() {
			if err := d.recordContents(r); err != nil {
				return err
			}
		}
		d.println("")
		return nil
	})
}

func (d *dumper) recordMetadata(b record.Batch, r *dumpedRecord) error {
	sequence := record.NoSequence
	if base := b.BaseSequence(); base >= 0 {
		sequence = record.AddSequence(base, r.offsetDelta)
	}
	d.printf("| offset: %d %s: %d keySize: %d valueSize: %d", r.offset, b.TimestampType(), r.timestamp, sizeOrNull(r.key), sizeOrNull(r.value))
	d.printf(" sequence: %d headerKeys: [%s]", sequence, strings.Join(r.headerKeys, ","))
	if !b.IsControl() {
		return nil
	}
	return d.controlRecord(r)
}

func sizeOrNull(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

func (d *dumper) recordContents(r *dumpedRecord) error {
	prefix := " "
	if d.skipMetadata {
		prefix = "| "
	}
	c, err := d.parser.parse(r)
	if err != nil {
		return err
	}
	if c.key != nil {
		d.printf("%skey: %s", prefix, *c.key)
		prefix = " "
	}
	if c.value != nil {
		d.printf("%spayload: %s", prefix, *c.value)
	}
	return nil
}

// controlRecord prints what a control record says.
func (d *dumper) controlRecord(r *dumpedRecord) error {
	if len(r.key) < 4 {
		return fmt.Errorf("Invalid value size found for control record key. Must have at least 4 bytes, but found only %d", len(r.key))
	}
	if v := int16(binary.BigEndian.Uint16(r.key)); v < 0 {
		return fmt.Errorf("Invalid version found for control record: %d. May indicate data corruption", v)
	}
	typ := int16(binary.BigEndian.Uint16(r.key[2:]))
	switch record.ControlType(typ) {
	case record.ControlAbort, record.ControlCommit:
		return d.endTxnMarker(typ, r.value)
	case record.ControlLeaderChange:
		return d.controlJSON(" LeaderChange: ", "LeaderChangeMessage", r.value)
	case record.ControlSnapshotHeader:
		return d.controlJSON(" SnapshotHeader ", "SnapshotHeaderRecord", r.value)
	case record.ControlSnapshotFooter:
		return d.controlJSON(" SnapshotFooter ", "SnapshotFooterRecord", r.value)
	case record.ControlKRaftVersion:
		return d.controlJSON(" KRaftVersion ", "KRaftVersionRecord", r.value)
	case record.ControlVoters:
		return d.controlJSON(" KRaftVoters ", "VotersRecord", r.value)
	}
	d.printf(" controlType: UNKNOWN(%d)", typ)
	return nil
}

func (d *dumper) endTxnMarker(typ int16, value []byte) error {
	in := storedReader{b: value}
	if version := in.int16(); version < 0 && in.err == nil {
		return fmt.Errorf("Invalid version found for end transaction marker: %d. May indicate data corruption", version)
	}
	epoch := in.int32()
	if in.err != nil {
		return in.err
	}
	name := "ABORT"
	if record.ControlType(typ) == record.ControlCommit {
		name = "COMMIT"
	}
	d.printf(" endTxnMarker: %s coordinatorEpoch: %d", name, epoch)
	return nil
}

// controlJSON prints a control record by its schema. The version is its first field;
// one that is not known yet is read as the newest that is.
func (d *dumper) controlJSON(title, name string, value []byte) error {
	schema := d.control.byName[name]
	version := int16(0)
	if len(value) >= 2 {
		version = int16(binary.BigEndian.Uint16(value))
	}
	t := schema.at(version)
	if t == nil {
		t = schema.versions[len(schema.versions)-1]
	}
	in := storedReader{b: value}
	json := in.structure(nil, t)
	if in.err != nil {
		return in.err
	}
	d.printf("%s%s", title, json)
	return nil
}
