package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// A Produce response is written here and not by kmsg, which looks at each partition's optional
// field by reflection: for one-record requests that is a tenth of the work outside the kernel.

func appendProduceResponse(dst []byte, resp *kmsg.ProduceResponse) []byte {
	e := produceEncoder{encoder: encoder{dst: dst, flexible: resp.IsFlexible()}, version: resp.Version}
	e.arrayLen(len(resp.Topics))
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if e.version >= 13 {
			e.dst = append(e.dst, t.TopicID[:]...)
		} else {
			e.string(t.Topic)
		}
		e.arrayLen(len(t.Partitions))
		for j := range t.Partitions {
			e.partition(&t.Partitions[j])
		}
		e.tags(&t.UnknownTags)
	}
	if e.version >= 1 {
		e.int32(resp.ThrottleMillis)
	}
	if e.flexible {
		appendBrokers(&e.encoder, resp.Brokers, &resp.UnknownTags)
	}
	return e.dst
}

type produceEncoder struct {
	encoder
	version int16
}

func (e *produceEncoder) partition(p *kmsg.ProduceResponseTopicPartition) {
	e.int32(p.Partition)
	e.int16(p.ErrorCode)
	e.int64(p.BaseOffset)
	if e.version >= 2 {
		e.int64(p.LogAppendTime)
	}
	if e.version >= 5 {
		e.int64(p.LogStartOffset)
	}
	if e.version >= 8 {
		e.arrayLen(len(p.ErrorRecords))
		for i := range p.ErrorRecords {
			e.int32(p.ErrorRecords[i].RelativeOffset)
			e.nullableString(p.ErrorRecords[i].ErrorMessage)
			e.tags(&p.ErrorRecords[i].UnknownTags)
		}
		e.nullableString(p.ErrorMessage)
	}
	if !e.flexible {
		return
	}
	if p.CurrentLeader.LeaderID == -1 && p.CurrentLeader.LeaderEpoch == -1 {
		e.tags(&p.UnknownTags)
		return
	}
	e.uvarint(uint32(1 + p.UnknownTags.Len()))
	e.tag(0, 4+4+1)
	e.int32(p.CurrentLeader.LeaderID)
	e.int32(p.CurrentLeader.LeaderEpoch)
	e.noTags()
	e.dst = p.UnknownTags.AppendEach(e.dst)
}
