package verify

import (
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchBytes is more than any fetch of a rule brings.
const fetchBytes = 8 << 20

// fetchRequest is a fetch of partition 0 without a session, that does not wait.
func (x *exam) fetchRequest(t *topic, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, fetchBytes, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, fetchBytes
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.TopicID = t.name, t.id
	ft.Partitions = append(ft.Partitions, p)
	req.Topics = append(req.Topics, ft)
	return req
}

// fetch asks the leader for partition 0.
func (x *exam) fetch(t *topic, req *kmsg.FetchRequest, about ...int16) kmsg.FetchResponseTopicPartition {
	resp := askLeader[*kmsg.FetchResponse](x, t, req, about...)
	x.ok("the fetch", resp.ErrorCode)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%d topics", len(resp.Topics))
	return resp.Topics[0].Partitions[0]
}

// records reads partition 0 from an offset to its end, as the isolation shows it.
func (x *exam) records(t *topic, from int64, isolation int8) []record.Record {
	var out []record.Record
	end := x.end(t, isolation)
	for at := from; at < end; {
		req := x.fetchRequest(t, at)
		req.IsolationLevel, req.MaxWaitMillis, req.MinBytes = isolation, 100, 1
		p := x.fetch(t, req)
		x.ok("the fetch", p.ErrorCode)
		rs, next, err := readBatches(p, at, isolation)
		x.must(err == nil, "batches that can be read", "%v", err)
		x.must(next > at, fmt.Sprintf("records from offset %d, the end is %d", at, end), "none")
		out, at = append(out, rs...), next
	}
	return out
}

// readBatches reads the batches of a partition's answer as a client does: from an offset on, without control records and,
// with isolation 1, without the records of aborted transactions.
func readBatches(p kmsg.FetchResponseTopicPartition, from int64, isolation int8) (out []record.Record, next int64, err error) {
	next = from
	aborted := newAborted(p.AbortedTransactions, isolation)
	for b := p.RecordBatches; len(b) > 0; {
		batch, rest, err := record.Next(b)
		if err != nil {
			if next > from {
				return out, next, nil // a batch that was cut at the end; a client leaves it
			}
			return nil, from, fmt.Errorf("cannot read the batch at %d: %w", next, err)
		}
		if err := batch.Validate(); err != nil {
			return nil, from, fmt.Errorf("cannot read the batch at %d: %w", batch.BaseOffset(), err)
		}
		b, next = rest, max(next, batch.NextOffset())
		if aborted.hides(batch) || batch.IsControl() {
			continue
		}
		err = batch.ForEach(func(r record.Record) error {
			if r.Offset >= from {
				out = append(out, r.Clone())
			}
			return nil
		})
		if err != nil {
			return nil, from, fmt.Errorf("cannot read the records at %d: %w", batch.BaseOffset(), err)
		}
	}
	return out, next, nil
}

// aborted is what a reader of committed records leaves out: the broker lists producers and where their aborted
// transactions begin, and the transactions' markers tell where they end.
type aborted struct {
	list   []kmsg.FetchResponseTopicPartitionAbortedTransaction
	active map[int64]bool
}

func newAborted(list []kmsg.FetchResponseTopicPartitionAbortedTransaction, isolation int8) *aborted {
	if isolation == 0 {
		list = nil
	}
	return &aborted{list, map[int64]bool{}}
}

func (a *aborted) hides(b record.Batch) bool {
	for i := 0; i < len(a.list); {
		if a.list[i].FirstOffset > b.LastOffset() {
			i++
			continue
		}
		a.active[a.list[i].ProducerID] = true
		a.list = append(a.list[:i:i], a.list[i+1:]...)
	}
	if b.IsControl() && a.active[b.ProducerID()] {
		delete(a.active, b.ProducerID())
		return true
	}
	return b.IsTransactional() && a.active[b.ProducerID()]
}

func fetchRules() []rule {
	return []rule{
		{name: "fetch/from-start", key: kmsg.Fetch, says: "A fetch returns whole batches from the offset on, with the high watermark and the log's start.", cites: protocolGuide + ", Fetch",
			run: func(x *exam) {
				p := x.fetch(x.main, x.fetchRequest(x.main, 0))
				x.ok("the partition", p.ErrorCode)
				equal(x, "high watermark", p.HighWatermark, mainRecords)
				equal(x, "last stable offset", p.LastStableOffset, mainRecords)
				if x.version >= 5 {
					equal(x, "log start offset", p.LogStartOffset, 0)
				}
				rs, next, err := readBatches(p, 0, 0)
				x.must(err == nil, "batches that can be read", "%v", err)
				equal(x, "records", len(rs), mainRecords)
				equal(x, "next offset", next, mainRecords)
				for i, r := range rs {
					x.that(r.Offset == int64(i) && r.TimestampMs == mainTime+int64(i), fmt.Sprintf("offset %d at time %d", i, mainTime+i), "offset %d at time %d", r.Offset, r.TimestampMs)
				}
			}},
		{name: "fetch/middle", key: kmsg.Fetch, says: "A fetch from the middle of a batch returns the whole batch.", cites: "Kafka documentation, message format",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(4))
				rs, next, err := readBatches(x.fetch(t, x.fetchRequest(t, 2)), 2, 0)
				x.must(err == nil, "a batch", "%v", err)
				equal(x, "records from 2 on", len(rs), 2)
				equal(x, "next offset", next, 4)
			}},
		{name: "fetch/empty", key: kmsg.Fetch, says: "At the log's end a fetch returns no records and no error.", cites: protocolGuide + ", Fetch",
			run: func(x *exam) {
				p := x.fetch(x.main, x.fetchRequest(x.main, mainRecords))
				x.ok("the partition", p.ErrorCode)
				equal(x, "bytes", len(p.RecordBatches), 0)
				equal(x, "high watermark", p.HighWatermark, mainRecords)
			}},
		{name: "fetch/out-of-range", key: kmsg.Fetch, says: "An offset before the log's start or past its end is OFFSET_OUT_OF_RANGE.", cites: protocolGuide + ", error codes",
			run: func(x *exam) {
				for _, at := range []int64{99, -5} {
					x.code(fmt.Sprintf("offset %d", at), x.fetch(x.main, x.fetchRequest(x.main, at)).ErrorCode, codeOffsetOutOfRange)
				}
			}},
		{name: "fetch/unknown", key: kmsg.Fetch, says: "A topic or partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION, or by id UNKNOWN_TOPIC_ID.", cites: protocolGuide + ", KIP-516",
			run: func(x *exam) {
				want := codeUnknownTopic
				if x.version >= 13 {
					want = codeUnknownTopicID
				}
				req := x.fetchRequest(&topic{name: x.prefix + "never", id: noTopicID}, 0)
				resp := ask[*kmsg.FetchResponse](x, req)
				x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%d topics", len(resp.Topics))
				x.code("the topic", resp.Topics[0].Partitions[0].ErrorCode, want)
				req = x.fetchRequest(x.main, 0)
				req.Topics[0].Partitions[0].Partition = 44
				x.code("partition 44", x.fetch(x.main, req).ErrorCode, codeUnknownTopic)
			}},
	}
}

// fetchTermRules are about leader epochs, and about when a fetch is answered with how much.
func fetchTermRules() []rule {
	return []rule{
		{name: "fetch/leader-epoch", key: kmsg.Fetch, min: 9, says: "A leader epoch that is ahead of the leader's is UNKNOWN_LEADER_EPOCH.", cites: "KIP-320",
			run: func(x *exam) {
				req := x.fetchRequest(x.main, 0)
				req.Topics[0].Partitions[0].CurrentLeaderEpoch = 9999
				x.code("the partition", x.fetch(x.main, req).ErrorCode, codeUnknownLeaderEpoch)
			}},
		{name: "fetch/diverging-epoch", key: kmsg.Fetch, min: 12, says: "A fetch whose last epoch ended earlier on the leader gets the place where the logs part, and no records.", cites: "KIP-595",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(2))
				req := x.fetchRequest(t, 9)
				req.Topics[0].Partitions[0].LastFetchedEpoch = 0
				p := x.fetch(t, req)
				x.ok("the partition", p.ErrorCode)
				equal(x, "diverging epoch", p.DivergingEpoch.Epoch, 0)
				equal(x, "its end", p.DivergingEpoch.EndOffset, 2)
				equal(x, "bytes", len(p.RecordBatches), 0)
			}},
		{name: "fetch/one-batch-at-least", key: kmsg.Fetch, says: "The first partition with records gives a whole batch, however small the limits are.", cites: "KIP-74",
			run: func(x *exam) {
				req := x.fetchRequest(x.main, 0)
				req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1
				rs, _, err := readBatches(x.fetch(x.main, req), 0, 0)
				x.that(err == nil && len(rs) >= 1, "a batch", "%d records, %v", len(rs), err)
			}},
		{name: "fetch/waits", key: kmsg.Fetch, says: "With fewer bytes than min.bytes a fetch waits for max.wait.ms, and records that come end the wait.", cites: protocolGuide + ", Fetch",
			run: func(x *exam) {
				t := x.topic(1)
				req := x.fetchRequest(t, 0)
				req.MaxWaitMillis, req.MinBytes = 400, 1
				began := time.Now()
				p := x.fetch(t, req)
				x.ok("the partition", p.ErrorCode)
				x.that(time.Since(began) >= 300*time.Millisecond, "an answer after some 400 ms", "one after %d ms", time.Since(began).Milliseconds())
				x.wakes(t)
			}},
	}
}

// fetchSessionRules are about fetch sessions.
func fetchSessionRules() []rule {
	return []rule{
		{name: "fetch/session", key: kmsg.Fetch, min: 7, says: "A session is made by epoch 0; its next fetches name what has changed and are answered with what has news.", cites: "KIP-227",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(1))
				req := x.fetchRequest(t, 0)
				req.SessionEpoch = 0
				leader := x.leader(t, 0)
				first := askAt[*kmsg.FetchResponse](x, leader, req)
				x.ok("the session", first.ErrorCode)
				if first.SessionID == 0 {
					x.skip("the broker has no room for a session of ours")
				}
				equal(x, "topics in the first answer", len(first.Topics), 1)
				next := func(epoch int32) *kmsg.FetchResponse {
					req := kmsg.NewPtrFetchRequest()
					req.ReplicaID, req.MaxBytes, req.SessionID, req.SessionEpoch = -1, fetchBytes, first.SessionID, epoch
					return askAt[*kmsg.FetchResponse](x, leader, req, codeFetchSessionNotFound, codeInvalidFetchEpoch)
				}
				move := x.fetchRequest(t, 1)
				move.SessionID, move.SessionEpoch = first.SessionID, 1
				second := askAt[*kmsg.FetchResponse](x, leader, move)
				x.ok("the second fetch", second.ErrorCode)
				equal(x, "session", second.SessionID, first.SessionID)
				third := next(2)
				x.ok("the third fetch", third.ErrorCode)
				equal(x, "topics without news", len(third.Topics), 0)
				x.code("an epoch out of turn", next(7).ErrorCode, codeInvalidFetchEpoch)
			}},
		{name: "fetch/unknown-session", key: kmsg.Fetch, min: 7, says: "A session that the broker does not have is FETCH_SESSION_ID_NOT_FOUND.", cites: "KIP-227",
			run: func(x *exam) {
				req := kmsg.NewPtrFetchRequest()
				req.ReplicaID, req.MaxBytes, req.SessionID, req.SessionEpoch = -1, fetchBytes, 0x7ffffff1, 7
				x.code("the answer", ask[*kmsg.FetchResponse](x, req, codeFetchSessionNotFound).ErrorCode, codeFetchSessionNotFound)
			}},
	}
}

// fetchElsewhereRules are about fetches from other replicas, and of topics that were created again.
func fetchElsewhereRules() []rule {
	return []rule{
		{name: "fetch/not-leader", key: kmsg.Fetch, max: 10, nodes: 2, says: "Below version 11 only the leader answers a consumer; others say NOT_LEADER_OR_FOLLOWER.", cites: "KIP-392",
			run: func(x *exam) {
				t := x.topic(1)
				resp := once[*kmsg.FetchResponse](x, x.follower(t), x.fetchRequest(t, 0))
				x.code("the partition", resp.Topics[0].Partitions[0].ErrorCode, codeNotLeader)
			}},
		{name: "fetch/follower", key: kmsg.Fetch, min: 11, nodes: 2, says: "From version 11 a follower answers a consumer up to its high watermark.", cites: "KIP-392",
			run: func(x *exam) {
				t := x.topic(1)
				x.produced(t, newBatch(3))
				broker := x.follower(t)
				x.eventually("the follower shows the records", func() bool {
					req := x.fetchRequest(t, 0)
					req.MaxWaitMillis, req.MinBytes = 100, 1
					resp := askAt[*kmsg.FetchResponse](x, broker, req)
					rs, _, err := readBatches(resp.Topics[0].Partitions[0], 0, 0)
					return err == nil && len(rs) == 3
				})
			}},
		{name: "fetch/recreated-topic", key: kmsg.Fetch, min: 13, says: "A fetch by the id of a deleted topic never returns records of a topic that was created again under its name.", cites: "KIP-516",
			run: func(x *exam) {
				old := x.topic(1)
				x.removeTopics([]string{old.name})
				var again *topic
				x.eventually("the topic can be created again", func() bool { again = x.newTopic(old.name, 1); return again.id != old.id })
				x.produced(again, newBatch(1))
				resp := once[*kmsg.FetchResponse](x, x.leader(again, 0), x.fetchRequest(old, 0))
				p := resp.Topics[0].Partitions[0]
				x.code("the old topic", p.ErrorCode, codeUnknownTopicID, codeInconsistentTopicID)
				equal(x, "bytes", len(p.RecordBatches), 0)
			}},
	}
}

// wakes checks that a record that is written ends the wait of a fetch.
func (x *exam) wakes(t *topic) {
	leader := x.leader(t, 0)
	req := x.fetchRequest(t, 0)
	c := x.fresh(leader)
	// Longer than an answer is waited for: if one comes, the record has brought it.
	req.MaxWaitMillis, req.MinBytes = int32(2*c.wait.Milliseconds()), 1
	x.setVersion(req)
	x.request = describe(req)
	frame, id := c.frame(req)
	x.must(c.send(frame) == nil, "the connection stays", "it was closed")
	x.produced(t, newBatch(1))
	b, err := c.receive(x.ctx)
	x.must(err == nil, "an answer when the record came", "%v", err)
	resp, err := decode(b, id, req)
	x.must(err == nil, "a readable answer", "%v", err)
	rs, _, err := readBatches(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0], 0, 0)
	x.that(err == nil && len(rs) == 1, "the record", "%d records, %v", len(rs), err)
}
