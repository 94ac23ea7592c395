package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// remoteParser reads the records of __remote_log_metadata, which Kafka prints as its
// classes print themselves and not as JSON.
type remoteParser struct{ family *storedFamily }

func (p *remoteParser) parse(r *dumpedRecord) (contents, error) {
	out, err := p.record(r.value)
	if err != nil {
		out = fmt.Sprintf("Error at offset %d, skipping. %v", r.offset, err)
	}
	return contents{value: &out}, nil
}

// errNoValue is Java's report that it has followed a null.
var errNoValue = errors.New(`Cannot invoke "java.nio.ByteBuffer.remaining()" because the return value of "org.apache.kafka.common.record.internal.Record.value()" is null`)

func (p *remoteParser) record(value []byte) (out string, err error) {
	if value == nil {
		return "", errNoValue
	}
	f, err := readFrame(value)
	if err != nil {
		return "", err
	}
	in := &remoteReader{storedReader: &f.rest}
	var meaning func() (string, error)
	err = f.read(p.family, func(r *storedRecord, _ *storedType) error {
		if in.flat { // every record has structures inside
			return errors.New("a later version")
		}
		switch r.name {
		case "RemoteLogSegmentMetadataRecord":
			meaning = in.segment()
		case "RemoteLogSegmentMetadataSnapshotRecord":
			meaning = in.segmentSnapshot()
		case "RemoteLogSegmentMetadataUpdateRecord":
			meaning = in.update()
		default:
			meaning = in.deletion()
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return meaning()
}

// remoteReader reads the parts of the records.
type remoteReader struct{ *storedReader }

var (
	remoteText   = &storedType{base: "STRING", compact: true}
	remoteBytes  = &storedType{base: "BYTES", compact: true, nullable: true}
	remoteStruct = &storedType{base: "struct", flexible: true}
)

func (in *remoteReader) int64() int64 { return int64(binary.BigEndian.Uint64(in.fixed(8))) }
func (in *remoteReader) uuid() string { return uuidString([16]byte(in.fixed(16))) }
func (in *remoteReader) end()         { in.tags(remoteStruct, nil) }
func (in *remoteReader) string() string {
	n := in.length(remoteText)
	if in.isNull("name", remoteText, n) {
		return ""
	}
	return javaString(in.bytes(n))
}

func (in *remoteReader) topicPartition() string {
	name, id, partition := in.string(), in.uuid(), in.int32()
	in.end()
	return fmt.Sprintf("%s:%s-%d", id, name, partition)
}

func (in *remoteReader) segmentID() string {
	tp, id := in.topicPartition(), in.uuid()
	in.end()
	return fmt.Sprintf("RemoteLogSegmentId{topicIdPartition=%s, id=%s}", tp, id)
}

// epochs is a sorted map; of an epoch that comes twice the last counts.
func (in *remoteReader) epochs() (string, int) {
	n := int(in.uvarint()) - 1
	if in.err == nil && n > len(in.b) {
		in.fail("Tried to allocate a collection of size %d, but there are only %d bytes remaining.", n, len(in.b))
	}
	if n < 0 {
		in.fail("non-nullable field segmentLeaderEpochs was serialized as null")
	}
	starts := map[int32]int64{}
	for i := 0; i < n && in.err == nil; i++ {
		epoch := in.int32()
		starts[epoch] = in.int64()
		in.end()
	}
	var keys []int32
	for e := range starts {
		keys = append(keys, e)
	}
	slices.Sort(keys)
	var parts []string
	for _, e := range keys {
		parts = append(parts, fmt.Sprintf("%d=%d", e, starts[e]))
	}
	return "{" + strings.Join(parts, ", ") + "}", len(keys)
}

func (in *remoteReader) custom() string {
	n := in.length(remoteBytes)
	if n < 0 {
		return "Optional.empty"
	}
	in.bytes(n)
	return fmt.Sprintf("Optional[CustomMetadata{%d bytes}]", n)
}

// txnIndexEmpty is the one tagged field there is.
func (in *remoteReader) txnIndexEmpty() bool {
	t := &storedType{base: "struct", flexible: true, fields: []storedField{{name: "txnIndexEmpty", tagged: true, def: "false", typ: &storedType{base: "BOOLEAN"}}}}
	values := make([][]byte, 1)
	in.tags(t, values)
	return string(values[0]) == "true"
}

// stateName names one of an enumeration's values; Java trips over others.
func stateName(state int8, names ...string) (string, error) {
	if state < 0 || int(state) >= len(names) {
		return "", fmt.Errorf("state %d is not known", state)
	}
	return names[state], nil
}

func segmentState(state int8) (string, error) {
	return stateName(state, "COPY_SEGMENT_STARTED", "COPY_SEGMENT_FINISHED", "DELETE_SEGMENT_STARTED", "DELETE_SEGMENT_FINISHED")
}

var errNoEpochs = errors.New("segmentLeaderEpochs can not be null or empty")

func (in *remoteReader) segment() func() (string, error) {
	id, start, end, broker, maxTs, eventTs := in.segmentID(), in.int64(), in.int64(), in.int32(), in.int64(), in.int64()
	epochs, n := in.epochs()
	size, custom, state := in.int32(), in.custom(), int8(in.fixed(1)[0])
	empty := in.txnIndexEmpty()
	return func() (string, error) {
		if n == 0 {
			return "", errNoEpochs
		}
		name, err := segmentState(state)
		return fmt.Sprintf("RemoteLogSegmentMetadata{remoteLogSegmentId=%s, startOffset=%d, endOffset=%d, brokerId=%d, maxTimestampMs=%d, eventTimestampMs=%d, segmentLeaderEpochs=%s, segmentSizeInBytes=%d, customMetadata=%s, state=%s, txnIdxEmpty=%t}",
			id, start, end, broker, maxTs, eventTs, epochs, size, custom, name, empty), err
	}
}

func (in *remoteReader) segmentSnapshot() func() (string, error) {
	id, start, end := in.uuid(), in.int64(), in.int64()
	in.int32() // the broker, which is not shown
	maxTs := in.int64()
	in.int64() // the time of the event, likewise
	epochs, n := in.epochs()
	size, custom, state := in.int32(), in.custom(), int8(in.fixed(1)[0])
	empty := in.txnIndexEmpty()
	return func() (string, error) {
		if n == 0 {
			return "", errNoEpochs
		}
		name, err := segmentState(state)
		return fmt.Sprintf("RemoteLogSegmentMetadataSnapshot{segmentId=%s, startOffset=%d, endOffset=%d, maxTimestampMs=%d, segmentLeaderEpochs=%s, segmentSizeInBytes=%d, customMetadata=%s, state=%s, txnIdxEmpty=%t}",
			id, start, end, maxTs, epochs, size, custom, name, empty), err
	}
}

func (in *remoteReader) update() func() (string, error) {
	id, broker, eventTs, custom, state := in.segmentID(), in.int32(), in.int64(), in.custom(), int8(in.fixed(1)[0])
	in.end()
	return func() (string, error) {
		name, err := segmentState(state)
		return fmt.Sprintf("RemoteLogSegmentMetadataUpdate{remoteLogSegmentId=%s, customMetadata=%s, state=%s, eventTimestampMs=%d, brokerId=%d}", id, custom, name, eventTs, broker), err
	}
}

func (in *remoteReader) deletion() func() (string, error) {
	tp, broker, eventTs, state := in.topicPartition(), in.int32(), in.int64(), int8(in.fixed(1)[0])
	in.end()
	return func() (string, error) {
		name, err := stateName(state, "DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED")
		return fmt.Sprintf("RemotePartitionDeleteMetadata{topicPartition=%s, state=%s, eventTimestampMs=%d, brokerId=%d}", tp, name, eventTs, broker), err
	}
}
