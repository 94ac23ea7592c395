package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/moldau-stream/moldau/internal/record"
)

// Entries of the indexes: offset int32 less the segment's base and position int32; timestamp int64 and offset.
const (
	offsetIndexEntryBytes = 8
	timeIndexEntryBytes   = 12
)

// offsetIndex is an offset index in memory.
type offsetIndex struct {
	b    []byte
	base int64
}

func (x offsetIndex) entries() int { return len(x.b) / offsetIndexEntryBytes }

func (x offsetIndex) entry(i int) (offset, position int64) {
	e := x.b[i*offsetIndexEntryBytes:]
	return x.base + int64(int32(binary.BigEndian.Uint32(e))), int64(int32(binary.BigEndian.Uint32(e[4:])))
}

// lookup is the position from where the log holds an offset, as far as the index knows.
func (x offsetIndex) lookup(offset int64) int64 {
	i := sort.Search(x.entries(), func(i int) bool { o, _ := x.entry(i); return o > offset })
	if i == 0 {
		return 0
	}
	_, position := x.entry(i - 1)
	return position
}

// openLogOf opens the log that an index belongs to, and tells its base offset.
func openLogOf(name, base string) (start int64, log *input, done func(), err error) {
	if start, err = baseOffset(base); err != nil {
		return 0, nil, nil, err
	}
	log, done, err = openInput(sibling(name, base, ".log"))
	return start, log, done, err
}

// indexFile prints an offset index, or holds it against its log.
func (d *dumper) indexFile(name, base string) error {
	start, log, done, err := openLogOf(name, base)
	if err != nil {
		return err
	}
	defer done()
	b, err := readSmall(name)
	if err != nil {
		return err
	}
	x := offsetIndex{b, start}
	if x.entries() == 0 {
		d.println(name + " is empty.")
		return nil
	}
	if d.sanityOnly {
		return d.checkOffsetIndex(name, x)
	}
	for i := range x.entries() {
		offset, position := x.entry(i)
		if offset == start && i > 0 {
			return nil // what follows was reserved and not written
		}
		_, last, err := d.batchAt(log, position)
		if err != nil {
			return err
		}
		if last != offset {
			d.mismatches.put(absolute(name), offset, last)
		}
		if !d.verifyOnly {
			d.printf("offset: %d position: %d\n", offset, position)
		}
	}
	return nil
}

// batchAt is the last offset of the batch at a position that an index names.
func (d *dumper) batchAt(log *input, position int64) (size, last int64, err error) {
	if err := checkSlice(log, position); err != nil {
		return 0, 0, err
	}
	w := batchWalker{in: log, pos: position, end: min(log.size, position+d.maxMessageSize)}
	_, header, size, err := w.next()
	if err == nil && size == 0 {
		err = fmt.Errorf("no whole batch of at most %d bytes begins at position %d of %s", d.maxMessageSize, position, log.name)
	}
	if err != nil {
		return 0, 0, err
	}
	return size, record.Batch(header).LastOffset(), nil
}

func checkSlice(log *input, position int64) error {
	if position < 0 {
		return fmt.Errorf("Invalid position: %d in read from FileRecords(size=%d, file=%s, start=0, end=2147483647)", position, log.size, log.name)
	}
	if position > log.size {
		return fmt.Errorf("Slice from position %d exceeds end position of FileRecords(size=%d, file=%s, start=0, end=2147483647)", position, log.size, log.name)
	}
	return nil
}

// checkOffsetIndex is what a broker looks at when it starts.
func (d *dumper) checkOffsetIndex(name string, x offsetIndex) error {
	last, _ := x.entry(x.entries() - 1)
	if last < x.base {
		return fmt.Errorf("Corrupt index found, index file %s has non-zero size but the last offset is %d which is less than the base offset %d", absolute(name), last, x.base)
	}
	if len(x.b)%offsetIndexEntryBytes != 0 {
		return fmt.Errorf("Index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d", absolute(name), len(x.b), offsetIndexEntryBytes)
	}
	d.println(name + " passed sanity check.")
	return nil
}

// timeIndex is a time index in memory.
type timeIndex struct {
	b    []byte
	base int64
}

func (x timeIndex) entries() int { return len(x.b) / timeIndexEntryBytes }

func (x timeIndex) entry(i int) (timestamp, offset int64) {
	e := x.b[i*timeIndexEntryBytes:]
	return int64(binary.BigEndian.Uint64(e)), x.base + int64(int32(binary.BigEndian.Uint32(e[8:])))
}

// timeIndexFile prints a time index, or holds it against its log.
func (d *dumper) timeIndexFile(name, base string) error {
	start, log, done, err := openLogOf(name, base)
	if err != nil {
		return err
	}
	defer done()
	ob, err := readSmall(sibling(name, base, ".index"))
	if err != nil {
		return err
	}
	tb, err := readSmall(name)
	if err != nil {
		return err
	}
	offsets, times := offsetIndex{ob, start}, timeIndex{tb, start}
	if d.sanityOnly {
		return d.checkTimeIndex(name, times)
	}
	previous := int64(record.NoTimestamp)
	for i := range times.entries() {
		timestamp, offset := times.entry(i)
		if offset == start && i > 0 {
			return nil // what follows was reserved and not written
		}
		if err := d.timeEntry(log, absolute(name), offsets.lookup(offset), timestamp, offset, previous); err != nil {
			return err
		}
		if !d.verifyOnly {
			d.printf("timestamp: %d offset: %d\n", timestamp, offset)
		}
		previous = timestamp
	}
	return nil
}

// timeEntry holds one entry against the batch that it speaks of.
func (d *dumper) timeEntry(log *input, name string, position, timestamp, offset, previous int64) error {
	if err := checkSlice(log, position); err != nil {
		return err
	}
	w := batchWalker{in: log, pos: position, end: log.size}
	for {
		pos, header, size, err := w.next()
		if err != nil {
			return err
		}
		if size == 0 {
			d.notFound.add(name, offset, -1)
			return nil
		}
		last := record.Batch(header).LastOffset()
		if last < offset {
			continue
		}
		if last != offset {
			d.notFound.add(name, offset, last)
			return nil
		}
		largest, err := largestTimestamp(log, pos, size)
		if err != nil {
			return err
		}
		if largest != timestamp {
			d.timeMismatches.add(name, timestamp, largest)
		}
		if previous >= timestamp {
			d.outOfOrder.add(name, timestamp, previous)
		}
		return nil
	}
}

func largestTimestamp(log *input, pos, size int64) (int64, error) {
	b := make(record.Batch, size) // not more than there is of the file
	if _, err := log.ReadAt(b, pos); err != nil {
		return 0, fmt.Errorf("cannot read %s at %d: %w", log.name, pos, err)
	}
	largest := record.NoTimestamp
	err := eachRecord(b, func(r *dumpedRecord) error {
		largest = max(largest, r.timestamp)
		return nil
	})
	return largest, err
}

// checkTimeIndex is what a broker looks at when it starts.
func (d *dumper) checkTimeIndex(name string, x timeIndex) error {
	if n := x.entries(); n > 0 {
		firstTime, _ := x.entry(0)
		lastTime, lastOffset := x.entry(n - 1)
		if lastTime < firstTime {
			return fmt.Errorf("Corrupt time index found, time index file (%s) has non-zero size but the last timestamp is %d which is less than the first timestamp %d", absolute(name), lastTime, firstTime)
		}
		if lastOffset < x.base {
			return fmt.Errorf("Corrupt time index found, time index file (%s) has non-zero size but the last offset is %d which is less than the first offset %d", absolute(name), lastOffset, x.base)
		}
	}
	if len(x.b)%timeIndexEntryBytes != 0 {
		return fmt.Errorf("Time index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d", absolute(name), len(x.b), timeIndexEntryBytes)
	}
	d.println(name + " passed sanity check.")
	return nil
}

// Producer snapshots: version int16, CRC-32C of what follows, a count and so many entries.
const (
	producerSnapshotVersion     = 1
	producerSnapshotHeaderBytes = 10
	producerEntryBytes          = 46
)

// producerSnapshotFile prints the producers of a snapshot. One that is damaged is told of, and does not stop the tool.
func (d *dumper) producerSnapshotFile(name string) error {
	b, err := readSmall(name)
	if err != nil {
		return err
	}
	entries, err := producerEntries(b)
	if err != nil {
		d.errorln(err.Error())
		return nil
	}
	for ; len(entries) > 0; entries = entries[producerEntryBytes:] {
		d.producerEntry(entries[:producerEntryBytes])
	}
	return nil
}

// producerEntries is the entries of a snapshot, which is checked as Kafka does: first
// that it can be read, then its checksum.
func producerEntries(b []byte) ([]byte, error) {
	be := binary.BigEndian
	schema := func(cause error) error { return fmt.Errorf("Snapshot failed schema validation: %w", cause) }
	if len(b) < 2 {
		return nil, schema(errUnderflow)
	}
	if v := int16(be.Uint16(b)); v != producerSnapshotVersion {
		return nil, schema(fmt.Errorf("Snapshot contained an unknown file version %d", v))
	}
	if len(b) < producerSnapshotHeaderBytes {
		return nil, schema(errUnderflow)
	}
	n := int64(int32(be.Uint32(b[6:])))
	entries := b[producerSnapshotHeaderBytes:]
	switch {
	case n < 0:
		return nil, schema(errors.New("non-nullable field producerEntries was serialized as null"))
	case n > int64(len(entries)):
		return nil, schema(fmt.Errorf("Tried to allocate a collection of size %d, but there are only %d bytes remaining.", n, len(entries)))
	case n*producerEntryBytes > int64(len(entries)):
		return nil, schema(errUnderflow)
	}
	if stored, crc := be.Uint32(b[2:]), crcOf(b[6:]); stored != crc {
		return nil, fmt.Errorf("Snapshot is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d", stored, crc)
	}
	return entries[:n*producerEntryBytes], nil
}

func (d *dumper) producerEntry(e []byte) {
	be := binary.BigEndian
	txn := "OptionalLong.empty"
	if first := int64(be.Uint64(e[38:])); first >= 0 {
		txn = fmt.Sprintf("OptionalLong[%d]", first)
	}
	timestamp := int64(be.Uint64(e[26:]))
	d.printf("producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d",
		int64(be.Uint64(e)), int16(be.Uint16(e[8:])), int32(be.Uint32(e[34:])), txn, timestamp)
	if lastOffset := int64(be.Uint64(e[14:])); lastOffset >= 0 {
		last, delta := int32(be.Uint32(e[10:])), int32(be.Uint32(e[22:]))
		d.printf(" firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d", sequenceBefore(last, delta), last, lastOffset, delta, timestamp)
	}
	d.println("")
}

// sequenceBefore takes from a sequence number, which wraps from 0 to 2^31-1.
func sequenceBefore(sequence, delta int32) int32 {
	if sequence < delta {
		return math.MaxInt32 - (delta - sequence) + 1
	}
	return sequence - delta
}

// An entry of the transaction index: version int16, producer id, first, last and last stable offset, each int64.
const txnIndexEntryBytes = 34

func (d *dumper) txnIndexFile(name, base string) error {
	if _, err := baseOffset(base); err != nil {
		return err
	}
	b, err := readSmall(name)
	if err != nil {
		return nil // Kafka prints nothing of one that is not there
	}
	be := binary.BigEndian
	for ; len(b) >= txnIndexEntryBytes; b = b[txnIndexEntryBytes:] {
		version := int16(be.Uint16(b))
		if version > 0 {
			return fmt.Errorf("Unexpected aborted transaction version %d in transaction index %s, current version is 0", version, absolute(name))
		}
		d.printf("version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n",
			version, int64(be.Uint64(b[2:])), int64(be.Uint64(b[10:])), int64(be.Uint64(b[18:])), int64(be.Uint64(b[26:])))
	}
	return nil
}
