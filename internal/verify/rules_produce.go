package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceRequest is one batch for partition 0.
func (x *exam) produceRequest(t *topic, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, requestTimeoutMs
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: t.name, TopicID: t.id, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return req
}

// produceTo sends a request to the leader and returns the answer for its only partition.
func (x *exam) produceTo(t *topic, req *kmsg.ProduceRequest, about ...int16) kmsg.ProduceResponseTopicPartition {
	resp := askLeader[*kmsg.ProduceResponse](x, t, req, about...)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0]
}

// produce sends a batch with acks=all.
func (x *exam) produce(t *topic, b *batch) kmsg.ProduceResponseTopicPartition {
	return x.produceTo(t, x.produceRequest(t, -1, b.bytes()))
}

// produced sends a batch that must be taken, and returns its first offset.
func (x *exam) produced(t *topic, b *batch) int64 {
	p := x.produce(t, b)
	x.ok("the batch", p.ErrorCode)
	return p.BaseOffset
}

func produceRules() []rule {
	return []rule{
		{name: "produce/offsets", key: kmsg.Produce, says: "Acknowledged batches get offsets one after the other, from the log's end, and are there when they are acknowledged with acks=all.", cites: "Kafka documentation, replication",
			run: func(x *exam) {
				t := x.topic(1)
				for _, n := range []int{1, 3, 2} {
					want := x.end(t, 0)
					p := x.produce(t, newBatch(n))
					x.ok("the batch", p.ErrorCode)
					equal(x, "base offset", p.BaseOffset, want)
					equal(x, "append time under CreateTime", p.LogAppendTime, -1)
					if x.version >= 5 {
						equal(x, "log start offset", p.LogStartOffset, 0)
					}
					equal(x, "end", x.end(t, 0), want+int64(n))
				}
			}},
		{name: "produce/acks-leader", key: kmsg.Produce, says: "acks=1 is acknowledged by the leader.", cites: "Kafka documentation, acks",
			run: func(x *exam) {
				t := x.topic(1)
				p := x.produceTo(t, x.produceRequest(t, 1, newBatch(2).bytes()))
				x.ok("the batch", p.ErrorCode)
				equal(x, "base offset", p.BaseOffset, 0)
				x.eventually("the records can be read", func() bool { return x.end(t, 0) == 2 })
			}},
		{name: "produce/acks-none", key: kmsg.Produce, says: "acks=0 gets no answer; the next request on the connection does.", cites: "Kafka documentation, acks",
			run: func(x *exam) {
				t := x.topic(1)
				c := x.fresh(x.leader(t, 0))
				req := x.produceRequest(t, 0, newBatch(1).bytes())
				req.Version = x.version
				x.request = describe(req)
				frame, _ := c.frame(req)
				x.must(c.send(frame) == nil, "the connection stays", "it was closed")
				_, err := c.ask(x.ctx, kmsg.NewPtrApiVersionsRequest())
				x.that(err == nil, "the next answer is to the next request", "%v", err)
				x.eventually("the record can be read", func() bool { return x.end(t, 0) == 1 })
			}},
		{name: "produce/acks-none-error", key: kmsg.Produce, says: "An error with acks=0 closes the connection, since it cannot be told.", cites: "Kafka documentation, acks",
			run: func(x *exam) {
				c := x.fresh(x.leader(x.main, 0))
				req := x.produceRequest(x.main, 0, newBatch(1).bytes())
				req.Version, req.Topics[0].Partitions[0].Partition = x.version, 44
				x.request = describe(req)
				frame, _ := c.frame(req)
				x.must(c.send(frame) == nil, "the request can be sent", "the connection was closed")
				_, err := c.receive(x.ctx)
				x.that(errors.Is(err, errDisconnected), "the connection is closed", "%v", err)
			}},
		{name: "produce/acks-invalid", key: kmsg.Produce, says: "acks other than -1, 0 and 1 is INVALID_REQUIRED_ACKS.", cites: protocolGuide + ", Produce",
			run: func(x *exam) {
				p := x.produceTo(x.main, x.produceRequest(x.main, 2, newBatch(1).bytes()))
				x.code("the batch", p.ErrorCode, codeInvalidAcks)
			}},
		{name: "produce/unknown", key: kmsg.Produce, says: "A topic or partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION, or by id UNKNOWN_TOPIC_ID, and what else is in the request is written.", cites: protocolGuide + ", KIP-516",
			run: func(x *exam) {
				t := x.topic(1)
				req := x.produceRequest(t, -1, newBatch(1).bytes())
				req.Topics = append(req.Topics, x.produceRequest(&topic{name: x.prefix + "never", id: noTopicID}, -1, newBatch(1).bytes()).Topics...)
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 44, Records: newBatch(1).bytes()})
				resp := askLeader[*kmsg.ProduceResponse](x, t, req)
				for _, a := range resp.Topics {
					for _, p := range a.Partitions {
						switch {
						case a.Topic == t.name || a.TopicID == t.id && x.version >= 13:
							want := codeUnknownTopic
							if p.Partition == 0 {
								want = 0
							}
							x.code(fmt.Sprintf("partition %d", p.Partition), p.ErrorCode, want)
						case x.version >= 13:
							x.code("the unknown topic", p.ErrorCode, codeUnknownTopicID)
						default:
							x.code("the unknown topic", p.ErrorCode, codeUnknownTopic)
						}
					}
				}
				equal(x, "end", x.end(t, 0), 1)
			}},
		{name: "produce/not-leader", key: kmsg.Produce, nodes: 2, says: "A broker that does not lead the partition says NOT_LEADER_OR_FOLLOWER, and from version 10 who does.", cites: "KIP-951",
			run: func(x *exam) {
				t := x.topic(1)
				leader := x.leader(t, 0)
				r := once[*kmsg.ProduceResponse](x, x.other(leader), x.produceRequest(t, -1, newBatch(1).bytes()))
				x.must(len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1, "one partition", "%+v", r.Topics)
				p := r.Topics[0].Partitions[0]
				x.code("the batch", p.ErrorCode, codeNotLeader)
				if x.version >= 10 {
					equal(x, "the leader is", p.CurrentLeader.LeaderID, leader)
					x.that(slices.ContainsFunc(r.Brokers, func(b kmsg.ProduceResponseBroker) bool { return b.NodeID == leader }), "the leader's address", "%+v", r.Brokers)
				}
			}},
	}
}

// badBatchRules are about batches that are refused, after which nothing is written.
func badBatchRules() []rule {
	const format = "Kafka documentation, message format"
	refuses := func(name, says, cites string, b func() *batch, codes ...int16) rule {
		return rule{name: "produce/" + name, key: kmsg.Produce, says: says, cites: cites, run: func(x *exam) {
			t := x.topic(1)
			p := x.produce(t, b())
			x.code("the batch", p.ErrorCode, codes...)
			equal(x, "after it the log ends at", x.end(t, 0), 0)
		}}
	}
	const day = 24 * time.Hour
	return []rule{
		refuses("crc", "A batch whose CRC is wrong is CORRUPT_MESSAGE and is not written.", format, func() *batch { b := newBatch(1); b.badCRC = true; return b }, codeCorruptMessage),
		refuses("cut-batch", "A batch that ends before its length is refused.", format, func() *batch { b := newBatch(1); b.shortBy = 3; return b }, codeInvalidRecord, codeCorruptMessage),
		refuses("old-format", "Batches of a format older than 2 are INVALID_RECORD.", "KIP-896, KIP-724", func() *batch { b := newBatch(1); b.Magic = 1; return b }, codeInvalidRecord),
		refuses("count", "A batch whose count is not that of its records is INVALID_RECORD.", format, func() *batch { b := newBatch(1); b.claim = 5; return b }, codeInvalidRecord),
		refuses("offset-delta", "A batch whose last offset delta is not its count less one is INVALID_RECORD.", format, func() *batch { b := newBatch(1); b.delta = 7; return b }, codeInvalidRecord),
		refuses("control", "A client may not write control records.", "KIP-98", func() *batch { return newBatch(1).with(bitControl) }, codeInvalidRecord),
		refuses("future", "A timestamp more than message.timestamp.after.max.ms ahead, an hour by default, is INVALID_TIMESTAMP.", "KIP-937", func() *batch { return newBatch(1).at(time.Now().Add(2 * day).UnixMilli()) }, codeInvalidTimestamp),
		refuses("too-large", "A batch above max.message.bytes, 1 MiB by default, is MESSAGE_TOO_LARGE.", "Kafka documentation, max.message.bytes", func() *batch {
			b := newBatch(1)
			b.records[0].Value = bytes.Repeat([]byte("x"), 1<<20+100)
			return b
		}, codeMessageTooLarge),
	}
}

// batchRules are about what becomes of the records of a batch.
func batchRules() []rule {
	return []rule{
		{name: "produce/one-batch", key: kmsg.Produce, says: "A partition gets one batch a request; two are INVALID_RECORD.", cites: "Kafka documentation, message format",
			run: func(x *exam) {
				t := x.topic(1)
				p := x.produceTo(t, x.produceRequest(t, -1, append(newBatch(1).bytes(), newBatch(1).bytes()...)))
				x.code("the batches", p.ErrorCode, codeInvalidRecord)
				equal(x, "end", x.end(t, 0), 0)
			}},
		{name: "produce/old-timestamp", key: kmsg.Produce, says: "An old timestamp is kept as it is.", cites: "KIP-937",
			run: func(x *exam) {
				t := x.topic(1, "retention.ms=-1")
				x.produced(t, newBatch(1).at(mainTime))
				equal(x, "timestamp", x.listOne(t, 0, listMaxTime, 0).Timestamp, mainTime)
			}},
		{name: "produce/compacted-key", key: kmsg.Produce, says: "A record without a key is INVALID_RECORD in a compacted topic, and from version 8 the answer says which record.", cites: "KIP-467",
			run: func(x *exam) {
				b := newBatch(3)
				b.records[1].Key = nil
				p := x.produce(x.compact, b)
				x.code("the batch", p.ErrorCode, codeInvalidRecord)
				if x.version >= 8 {
					x.count("one record is named", len(p.ErrorRecords), 1)
					equal(x, "record", p.ErrorRecords[0].RelativeOffset, 1)
					x.message("the refusal", p.ErrorMessage)
				}
			}},
		{name: "produce/gzip", key: kmsg.Produce, says: "A compressed batch is taken, and read back as it was sent.", cites: "Kafka documentation, compression.type",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(5).with(codecGzip))
				x.readsBack(t, 5)
			}},
		{name: "produce/zstd", key: kmsg.Produce, says: "zstd is for clients that speak version 7 or later; older ones get UNSUPPORTED_COMPRESSION_TYPE.", cites: "KIP-110",
			run: func(x *exam) {
				t := x.topic(1)
				p := x.produce(t, newBatch(5).with(codecZstd))
				if x.version < 7 {
					x.code("the batch", p.ErrorCode, codeUnsupportedCompression)
					return
				}
				x.ok("the batch", p.ErrorCode)
				x.readsBack(t, 5)
			}},
		{name: "produce/append-time", key: kmsg.Produce, says: "Under message.timestamp.type=LogAppendTime the broker's time is in the answer and on the records.", cites: "KIP-32",
			run: func(x *exam) {
				t := x.topic(1, "message.timestamp.type=LogAppendTime")
				p := x.produce(t, newBatch(1).at(mainTime))
				x.ok("the batch", p.ErrorCode)
				x.that(p.LogAppendTime > mainTime, "the time of the append", "%d", p.LogAppendTime)
				equal(x, "timestamp", x.listOne(t, 0, listMaxTime, 0).Timestamp, p.LogAppendTime)
			}},
		{name: "produce/recreated-topic", key: kmsg.Produce, min: 13, says: "Records for a topic by its id never go to a topic that was created again under its name.", cites: "KIP-516, KIP-1251",
			run: func(x *exam) {
				old := x.topic(1)
				x.removeTopics([]string{old.name})
				var again *topic
				x.eventually("the topic can be created again", func() bool { again = x.newTopic(old.name, 1); return again.id != old.id })
				resp := once[*kmsg.ProduceResponse](x, x.leader(again, 0), x.produceRequest(old, -1, newBatch(1).bytes()))
				x.code("the batch", resp.Topics[0].Partitions[0].ErrorCode, codeUnknownTopicID)
				equal(x, "end", x.end(again, 0), 0)
			}},
	}
}

// readsBack checks that partition 0 holds n records as newBatch makes them.
func (x *exam) readsBack(t *topic, n int) {
	rs := x.records(t, 0, 0)
	equal(x, "records", len(rs), n)
	for i, r := range rs {
		x.that(r.Offset == int64(i) && string(r.Key) == "k" && string(r.Value) == "v", fmt.Sprintf("record %d as it was sent", i), "offset %d, %q = %q", r.Offset, r.Key, r.Value)
	}
}

// producer is an idempotent producer's identity.
type producer struct {
	id    int64
	epoch int16
}

// newProducer asks for an identity without a transactional id.
func (x *exam) newProducer() producer {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = min(4, x.cluster.highest(req.Key()))
	req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = requestTimeoutMs, -1, -1
	resp := ask[*kmsg.InitProducerIDResponse](x, req)
	x.ok("the producer id", resp.ErrorCode)
	return producer{resp.ProducerID, resp.ProducerEpoch}
}

func idempotenceRules() []rule {
	const kip = "KIP-98"
	story := func(name, says string, run func(x *exam, t *topic, p producer)) rule {
		return rule{name: "idempotence/" + name, key: kmsg.Produce, more: []kmsg.Key{kmsg.InitProducerID}, says: says, cites: kip, run: func(x *exam) {
			run(x, x.topic(1), x.newProducer())
		}}
	}
	return []rule{
		{name: "idempotence/new-id", key: kmsg.InitProducerID, says: "Without a transactional id each InitProducerId gives another producer id, with epoch 0.", cites: kip,
			run: func(x *exam) {
				seen := map[int64]bool{}
				for range 3 {
					req := kmsg.NewPtrInitProducerIDRequest()
					req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = requestTimeoutMs, -1, -1
					resp := ask[*kmsg.InitProducerIDResponse](x, req)
					x.ok("the producer id", resp.ErrorCode)
					x.that(resp.ProducerID >= 0 && !seen[resp.ProducerID], "a new id", "%d", resp.ProducerID)
					equal(x, "epoch", resp.ProducerEpoch, 0)
					seen[resp.ProducerID] = true
				}
			}},
		story("repeated-batch", "Each of the last five batches of a producer, sent again, is acknowledged with its first offset and not written twice.", func(x *exam, t *topic, p producer) {
			for i := range int32(5) {
				equal(x, "base offset", x.produced(t, newBatch(1).from(p, i)), int64(i))
			}
			for _, i := range []int32{4, 2, 0} {
				equal(x, "base offset of the repeated batch", x.produced(t, newBatch(1).from(p, i)), int64(i))
			}
			equal(x, "end", x.end(t, 0), 5)
		}),
		story("forgotten-batch", "An older batch than the last five is OUT_OF_ORDER_SEQUENCE_NUMBER or DUPLICATE_SEQUENCE_NUMBER, and is not written.", func(x *exam, t *topic, p producer) {
			for i := range int32(6) {
				x.produced(t, newBatch(1).from(p, i))
			}
			x.code("the batch", x.produce(t, newBatch(1).from(p, 0)).ErrorCode, codeOutOfOrderSequence, codeDuplicateSequence)
			equal(x, "end", x.end(t, 0), 6)
		}),
		story("gap", "A sequence that leaves a gap is OUT_OF_ORDER_SEQUENCE_NUMBER; the right one is then taken.", func(x *exam, t *topic, p producer) {
			x.produced(t, newBatch(3).from(p, 0))
			x.code("the batch", x.produce(t, newBatch(1).from(p, 5)).ErrorCode, codeOutOfOrderSequence)
			equal(x, "base offset", x.produced(t, newBatch(1).from(p, 3)), 3)
			equal(x, "end", x.end(t, 0), 4)
		}),
		story("overlap", "A batch that repeats a part of an older one is refused.", func(x *exam, t *topic, p producer) {
			x.produced(t, newBatch(3).from(p, 0))
			x.code("the batch", x.produce(t, newBatch(3).from(p, 1)).ErrorCode, codeOutOfOrderSequence, codeDuplicateSequence)
			equal(x, "end", x.end(t, 0), 3)
		}),
		story("newer-epoch", "A newer epoch begins with sequence 0; after it the older one is INVALID_PRODUCER_EPOCH.", func(x *exam, t *topic, p producer) {
			newer := producer{p.id, p.epoch + 1}
			x.produced(t, newBatch(1).from(p, 0))
			x.code("the newer epoch not from 0", x.produce(t, newBatch(1).from(newer, 1)).ErrorCode, codeOutOfOrderSequence)
			equal(x, "base offset of the newer epoch", x.produced(t, newBatch(1).from(newer, 0)), 1)
			x.code("the older epoch", x.produce(t, newBatch(1).from(p, 1)).ErrorCode, codeInvalidProducerEpoch)
			equal(x, "end", x.end(t, 0), 2)
		}),
		{name: "idempotence/described", key: kmsg.DescribeProducers, says: "DescribeProducers tells each producer's epoch and last sequence.", cites: "KIP-664",
			run: func(x *exam) {
				t := x.topic(1)
				p := x.newProducer()
				x.produced(t, newBatch(3).from(p, 0))
				req := kmsg.NewPtrDescribeProducersRequest()
				req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: t.name, Partitions: []int32{0, 9}}}
				resp := askLeader[*kmsg.DescribeProducersResponse](x, t, req)
				for _, a := range resp.Topics {
					for _, part := range a.Partitions {
						if part.Partition != 0 {
							x.code("partition 9", part.ErrorCode, codeUnknownTopic)
							continue
						}
						x.ok("partition 0", part.ErrorCode)
						x.count("one producer", len(part.ActiveProducers), 1)
						a := part.ActiveProducers[0]
						equal(x, "producer", a.ProducerID, p.id)
						equal(x, "last sequence", a.LastSequence, 2)
						equal(x, "open transaction", a.CurrentTxnStartOffset, -1)
					}
				}
			}},
	}
}
