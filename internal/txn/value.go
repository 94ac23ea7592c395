package txn

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// What stands for "none" in producer ids and epochs.
const (
	noProducerID    int64 = -1
	noProducerEpoch int16 = -1
)

// TopicPartition is a partition that takes part in a transaction.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func comparePartitions(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// union is the sorted union of a, which is sorted, and b.
func union(a, b []TopicPartition) []TopicPartition {
	out := append(slices.Clone(a), b...)
	slices.SortFunc(out, comparePartitions)
	return slices.Compact(out)
}

// value is what is stored of a transactional id. Its slices are never changed.
//
// The value of a record, version 1: producer id int64, epoch int16, timeout int32, state int8,
// partitions (null in Empty) as topic and indexes, time of the last change int64, time of the
// beginning int64, tags 0 previous producer id, 1 next producer id, 2 the client's transaction version.
// Version 0 has the same fields without compact lengths and without tags.
type value struct {
	producerID     int64
	prevProducerID int64 // that of the record before
	nextProducerID int64 // which takes over when the transaction completes, since the epochs of this one are used up
	epoch          int16
	timeoutMs      int32
	state          State
	partitions     []TopicPartition // sorted, each once
	updateMs       int64
	startMs        int64 // of the transaction; -1 when none has begun since the producer came
	clientVersion  int16 // transaction version of whoever brought it into this state

	// lastEpoch is the epoch before this one if the producer itself asked for the new one, so that it may
	// ask again. Kafka does not store it: it is -1 after a failover.
	lastEpoch int16
}

// epochExhausted says that no more epochs may be given to clients: the last one is kept for fencing.
func epochExhausted(epoch int16) bool { return epoch >= maxEpoch-1 }

const maxEpoch = 1<<15 - 1

const (
	keyVersion       int16 = 0
	lastValueVersion int16 = 1
)

// maxStringBytes is what a string may take in a record.
const maxStringBytes = 1<<15 - 1

func key(id string) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(id)), uint16(keyVersion))
	b = binary.BigEndian.AppendUint16(b, uint16(len(id)))
	return append(b, id...)
}

// errUnknownKey is a key of another kind: nothing of it is known.
var errUnknownKey = errors.New("the key of a transaction record is of an unknown version")

func parseKey(b []byte) (string, error) {
	r := &reader{b: b}
	version := r.int16()
	if r.err == nil && version != keyVersion {
		return "", fmt.Errorf("%w: %d", errUnknownKey, version)
	}
	id := r.string(false)
	return id, r.finish("the key of a transaction record")
}

// record is the value as it is stored at a version.
func (v value) record(id string, version int16) coord.Record {
	be := binary.BigEndian
	compact := version >= 1
	b := be.AppendUint16(nil, uint16(version))
	b = be.AppendUint64(b, uint64(v.producerID))
	b = be.AppendUint16(b, uint16(v.epoch))
	b = be.AppendUint32(b, uint32(v.timeoutMs))
	b = append(b, byte(v.state))
	b = v.appendPartitions(b, compact)
	b = be.AppendUint64(b, uint64(v.updateMs))
	b = be.AppendUint64(b, uint64(v.startMs))
	if compact {
		b = v.appendTags(b)
	}
	return coord.Record{Key: key(id), Value: b}
}

func (v value) appendPartitions(b []byte, compact bool) []byte {
	if v.state == Empty {
		if compact {
			return append(b, 0)
		}
		return binary.BigEndian.AppendUint32(b, 0xffffffff)
	}
	topics := 0
	for i := range v.partitions {
		if i == 0 || v.partitions[i].Topic != v.partitions[i-1].Topic {
			topics++
		}
	}
	b = appendLength(b, topics, compact)
	for i := 0; i < len(v.partitions); {
		topic, end := v.partitions[i].Topic, i
		for end < len(v.partitions) && v.partitions[end].Topic == topic {
			end++
		}
		if compact {
			b = binary.AppendUvarint(b, uint64(len(topic))+1)
		} else {
			b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
		}
		b = append(b, topic...)
		b = appendLength(b, end-i, compact)
		for ; i < end; i++ {
			b = binary.BigEndian.AppendUint32(b, uint32(v.partitions[i].Partition))
		}
		if compact {
			b = append(b, 0)
		}
	}
	return b
}

func appendLength(b []byte, n int, compact bool) []byte {
	if compact {
		return binary.AppendUvarint(b, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// Tags of the value, and how many bytes each takes.
const (
	tagPrevProducerID = 0
	tagNextProducerID = 1
	tagClientVersion  = 2
)

func (v value) appendTags(b []byte) []byte {
	be := binary.BigEndian
	n := byte(0)
	var tags []byte
	if v.prevProducerID != noProducerID {
		n++
		tags = be.AppendUint64(append(tags, tagPrevProducerID, 8), uint64(v.prevProducerID))
	}
	if v.nextProducerID != noProducerID {
		n++
		tags = be.AppendUint64(append(tags, tagNextProducerID, 8), uint64(v.nextProducerID))
	}
	if v.clientVersion != 0 {
		n++
		tags = be.AppendUint16(append(tags, tagClientVersion, 2), uint16(v.clientVersion))
	}
	return append(append(b, n), tags...)
}

func parseValue(b []byte) (value, error) {
	r := &reader{b: b}
	v := value{prevProducerID: noProducerID, nextProducerID: noProducerID, lastEpoch: noProducerEpoch}
	version := r.int16()
	if r.err == nil && (version < 0 || version > lastValueVersion) {
		return v, fmt.Errorf("cannot read a transaction's state: version %d is not known", version)
	}
	compact := version >= 1
	v.producerID, v.epoch, v.timeoutMs, v.state = r.int64(), r.int16(), r.int32(), State(r.int8())
	if r.err == nil && (v.state < Empty || v.state >= numStates || v.state == PrepareEpochFence || v.state == Dead) {
		return v, fmt.Errorf("cannot read a transaction's state: %d is none that is stored", int8(v.state))
	}
	v.partitions = r.partitions(compact)
	v.updateMs, v.startMs = r.int64(), r.int64()
	if compact {
		r.tags(func(tag int, field *reader) {
			switch tag {
			case tagPrevProducerID:
				v.prevProducerID = field.int64()
			case tagNextProducerID:
				v.nextProducerID = field.int64()
			case tagClientVersion:
				v.clientVersion = field.int16()
			}
		})
	}
	return v, r.finish("a transaction's state")
}

// reader takes primitives of Kafka's serialisation off b. After the first error every read gives zero values.
type reader struct {
	b   []byte
	err error
}

var errShort = errors.New("the bytes end too early")

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		if r.err == nil {
			r.err = errShort
		}
		return make([]byte, 0, 8)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) number(bytes int) (n uint64) {
	for _, c := range r.take(bytes) {
		n = n<<8 | uint64(c)
	}
	return n
}

func (r *reader) int8() int8   { return int8(r.number(1)) }
func (r *reader) int16() int16 { return int16(r.number(2)) }
func (r *reader) int32() int32 { return int32(r.number(4)) }
func (r *reader) int64() int64 { return int64(r.number(8)) }

func (r *reader) uvarint() int {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		r.err = errShort
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) string(compact bool) string {
	if compact {
		return string(r.take(r.uvarint() - 1))
	}
	return string(r.take(int(r.int16())))
}

// length reads the length of an array whose elements take at least minBytes each; null reads as 0.
func (r *reader) length(compact bool, minBytes int) int {
	n := 0
	if compact {
		n = r.uvarint() - 1
	} else {
		n = int(r.int32())
	}
	if r.err != nil || n < 0 {
		return 0
	}
	if n*minBytes > len(r.b) {
		r.err = errShort
		return 0
	}
	return n
}

func (r *reader) partitions(compact bool) []TopicPartition {
	var out []TopicPartition
	for n := r.length(compact, 3); n > 0 && r.err == nil; n-- {
		topic := r.string(compact)
		for m := r.length(compact, 4); m > 0 && r.err == nil; m-- {
			out = append(out, TopicPartition{topic, r.int32()})
		}
		if compact {
			r.tags(nil)
		}
	}
	slices.SortFunc(out, comparePartitions)
	return slices.Compact(out)
}

func (r *reader) tags(fn func(tag int, field *reader)) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag := r.uvarint()
		field := &reader{b: r.take(r.uvarint())}
		if fn != nil && r.err == nil {
			if fn(tag, field); field.err != nil {
				r.err = field.err
			}
		}
	}
}

func (r *reader) finish(what string) error {
	if r.err != nil {
		return fmt.Errorf("cannot read %s: %w", what, r.err)
	}
	return nil
}
