package verify

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// list asks for an offset at the version under examination.
func (x *exam) list(t *topic, timestamp int64, change func(*kmsg.ListOffsetsRequestTopicPartition)) kmsg.ListOffsetsResponseTopicPartition {
	req := kmsg.NewPtrListOffsetsRequest()
	req.TimeoutMillis = requestTimeoutMs
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	if change != nil {
		change(&p)
	}
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: t.name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	resp := askLeader[*kmsg.ListOffsetsResponse](x, t, req)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0]
}

func offsetRules() []rule {
	return []rule{
		{name: "list-offsets/ends", key: kmsg.ListOffsets, says: "-2 is the log's start and -1 its end.", cites: protocolGuide + ", ListOffsets",
			run: func(x *exam) {
				for _, c := range []struct{ at, want int64 }{{listEarliest, 0}, {listLatest, mainRecords}} {
					p := x.list(x.main, c.at, nil)
					x.ok("the partition", p.ErrorCode)
					equal(x, fmt.Sprintf("offset of %d", c.at), p.Offset, c.want)
				}
			}},
		{name: "list-offsets/by-time", key: kmsg.ListOffsets, says: "A time is answered with the first record at or after it, and with -1 and no error where there is none.", cites: "KIP-79",
			run: func(x *exam) {
				p := x.list(x.main, mainTime+2, nil)
				x.ok("the partition", p.ErrorCode)
				equal(x, "offset", p.Offset, 2)
				equal(x, "timestamp", p.Timestamp, mainTime+2)
				p = x.list(x.main, 99999999999999, nil)
				x.ok("the partition", p.ErrorCode)
				equal(x, "offset of a time to come", p.Offset, -1)
				equal(x, "timestamp", p.Timestamp, -1)
			}},
		{name: "list-offsets/max-timestamp", key: kmsg.ListOffsets, min: 7, says: "-3 is the record with the largest timestamp.", cites: "KIP-734",
			run: func(x *exam) {
				t := x.topic(1, "retention.ms=-1")
				for _, at := range []int64{1000, 3000, 2000} {
					x.produced(t, newBatch(1).at(at))
				}
				p := x.list(t, listMaxTime, nil)
				x.ok("the partition", p.ErrorCode)
				equal(x, "offset", p.Offset, 1)
				equal(x, "timestamp", p.Timestamp, 3000)
			}},
		{name: "list-offsets/unknown", key: kmsg.ListOffsets, says: "A partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION.", cites: protocolGuide + ", error codes",
			run: func(x *exam) {
				p := x.list(x.main, listLatest, func(p *kmsg.ListOffsetsRequestTopicPartition) { p.Partition = 44 })
				x.code("partition 44", p.ErrorCode, codeUnknownTopic)
			}},
		{name: "list-offsets/leader-epoch", key: kmsg.ListOffsets, min: 4, says: "A leader epoch that is ahead of the leader's is UNKNOWN_LEADER_EPOCH.", cites: "KIP-320",
			run: func(x *exam) {
				p := x.list(x.main, listLatest, func(p *kmsg.ListOffsetsRequestTopicPartition) { p.CurrentLeaderEpoch = 9999 })
				x.code("the partition", p.ErrorCode, codeUnknownLeaderEpoch)
			}},
		{name: "list-offsets/not-leader", key: kmsg.ListOffsets, nodes: 2, says: "Only the leader answers a consumer; others say NOT_LEADER_OR_FOLLOWER.", cites: protocolGuide + ", ListOffsets",
			run: func(x *exam) {
				t := x.topic(1)
				req := kmsg.NewPtrListOffsetsRequest()
				p := kmsg.NewListOffsetsRequestTopicPartition()
				p.Timestamp = listLatest
				req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: t.name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
				resp := once[*kmsg.ListOffsetsResponse](x, x.follower(t), req)
				x.code("the partition", resp.Topics[0].Partitions[0].ErrorCode, codeNotLeader)
			}},
		{name: "leader-epoch/end", key: kmsg.OffsetForLeaderEpoch, says: "The current leader epoch ends at the log's end; an epoch to come has no end, -1.", cites: "KIP-101, KIP-320",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(3))
				for _, c := range []struct {
					epoch int32
					end   int64
				}{{0, 3}, {9999, -1}} {
					p := x.epochEnd(t, c.epoch, -1)
					x.ok("the partition", p.ErrorCode)
					equal(x, fmt.Sprintf("end of epoch %d", c.epoch), p.EndOffset, c.end)
				}
				x.code("a leader epoch that is ahead", x.epochEnd(t, 0, 9999).ErrorCode, codeUnknownLeaderEpoch)
			}},
		{name: "delete-records/low-watermark", key: kmsg.DeleteRecords, says: "Records before an offset are deleted, -1 stands for all; reading before it is then OFFSET_OUT_OF_RANGE.", cites: "KIP-107",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(5))
				for _, c := range []struct{ to, low int64 }{{2, 2}, {1, 2}, {-1, 5}} {
					p := x.deleteRecords(t, 0, c.to)
					x.ok("the partition", p.ErrorCode)
					equal(x, "low watermark", p.LowWatermark, c.low)
				}
				x.code("a fetch from 0", x.fetch(t, x.fetchRequest(t, 0)).ErrorCode, codeOffsetOutOfRange)
				equal(x, "earliest offset", x.listOne(t, 0, listEarliest, 0).Offset, 5)
				x.code("an offset past the end", x.deleteRecords(t, 0, 99).ErrorCode, codeOffsetOutOfRange)
				x.code("a partition that does not exist", x.deleteRecords(t, 44, 0).ErrorCode, codeUnknownTopic)
			}},
		{name: "delete-records/compacted", key: kmsg.DeleteRecords, says: "Records of a topic that is only compacted cannot be deleted: POLICY_VIOLATION.", cites: "KIP-107",
			run: func(x *exam) {
				x.code("the partition", x.deleteRecords(x.compact, 0, 0).ErrorCode, codePolicyViolation)
			}},
	}
}

func (x *exam) epochEnd(t *topic, epoch, current int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.LeaderEpoch, p.CurrentLeaderEpoch = epoch, current
	req.ReplicaID = -1
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: t.name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
	resp := askLeader[*kmsg.OffsetForLeaderEpochResponse](x, t, req)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0]
}

func (x *exam) deleteRecords(t *topic, partition int32, before int64) kmsg.DeleteRecordsResponseTopicPartition {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = requestTimeoutMs
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: t.name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	resp := askLeader[*kmsg.DeleteRecordsResponse](x, t, req)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0]
}
