package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Fetch response is framed here and not by kmsg, because its records do not pass
// through the process: the caller sends them from the log's files, in the gaps that the
// frame leaves. It also spares kmsg's comparisons of each optional field by reflection.

// Gap is a place in a framed Fetch response where the records of a partition go.
type Gap struct {
	At        int // in the framed bytes
	Topic     int // index in the response's topics
	Partition int // index in that topic's partitions
	Bytes     int
}

// AppendFetchResponse appends the body of resp at its version. recordBytes says, for a topic's and a
// partition's index, how many bytes of records are to follow there from elsewhere; where it says 0 the
// partition's own RecordBatches are written, null or not. The gaps are in order.
func AppendFetchResponse(dst []byte, resp *kmsg.FetchResponse, recordBytes func(topic, partition int) int) ([]byte, []Gap) {
	e := fetchEncoder{encoder: encoder{dst: dst, flexible: resp.IsFlexible()}, version: resp.Version}
	e.int32(resp.ThrottleMillis)
	if e.version >= 7 {
		e.int16(resp.ErrorCode)
		e.int32(resp.SessionID)
	}
	e.arrayLen(len(resp.Topics))
	for t := range resp.Topics {
		e.topic(t, &resp.Topics[t], recordBytes)
	}
	if e.flexible {
		appendBrokers(&e.encoder, resp.Brokers, &resp.UnknownTags)
	}
	return e.dst, e.gaps
}

type fetchEncoder struct {
	encoder
	version int16
	gaps    []Gap
}

func (e *fetchEncoder) topic(t int, topic *kmsg.FetchResponseTopic, recordBytes func(topic, partition int) int) {
	if e.version >= 13 {
		e.dst = append(e.dst, topic.TopicID[:]...)
	} else {
		e.string(topic.Topic)
	}
	e.arrayLen(len(topic.Partitions))
	for p := range topic.Partitions {
		part := &topic.Partitions[p]
		e.partition(part)
		if n := recordBytes(t, p); n > 0 {
			e.bytesLen(n)
			e.gaps = append(e.gaps, Gap{At: len(e.dst), Topic: t, Partition: p, Bytes: n})
		} else {
			e.nullableBytes(part.RecordBatches)
		}
		if e.flexible {
			e.partitionTags(part)
		}
	}
	e.tags(&topic.UnknownTags)
}

func (e *fetchEncoder) partition(p *kmsg.FetchResponseTopicPartition) {
	e.int32(p.Partition)
	e.int16(p.ErrorCode)
	e.int64(p.HighWatermark)
	e.int64(p.LastStableOffset)
	if e.version >= 5 {
		e.int64(p.LogStartOffset)
	}
	if p.AbortedTransactions == nil {
		e.nullArray()
	} else {
		e.arrayLen(len(p.AbortedTransactions))
	}
	for i := range p.AbortedTransactions {
		e.int64(p.AbortedTransactions[i].ProducerID)
		e.int64(p.AbortedTransactions[i].FirstOffset)
		e.tags(&p.AbortedTransactions[i].UnknownTags)
	}
	if e.version >= 11 {
		e.int32(p.PreferredReadReplica)
	}
}

// partitionTags writes those of the three optional structs that say something.
func (e *fetchEncoder) partitionTags(p *kmsg.FetchResponseTopicPartition) {
	diverging := p.DivergingEpoch.Epoch != -1 || p.DivergingEpoch.EndOffset != -1
	leader := p.CurrentLeader.LeaderID != -1 || p.CurrentLeader.LeaderEpoch != -1
	snapshot := p.SnapshotID.EndOffset != -1 || p.SnapshotID.Epoch != -1
	e.uvarint(uint32(count(diverging, leader, snapshot) + p.UnknownTags.Len()))
	if diverging {
		e.tag(0, 4+8+1)
		e.int32(p.DivergingEpoch.Epoch)
		e.int64(p.DivergingEpoch.EndOffset)
		e.noTags()
	}
	if leader {
		e.tag(1, 4+4+1)
		e.int32(p.CurrentLeader.LeaderID)
		e.int32(p.CurrentLeader.LeaderEpoch)
		e.noTags()
	}
	if snapshot {
		e.tag(2, 8+4+1)
		e.int64(p.SnapshotID.EndOffset)
		e.int32(p.SnapshotID.Epoch)
		e.noTags()
	}
	if p.UnknownTags.Len() > 0 {
		e.dst = p.UnknownTags.AppendEach(e.dst)
	}
}

func count(flags ...bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}
