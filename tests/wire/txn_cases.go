package wire

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnTopic is where the stories of transactions write.
const txnTopic = "wire-txn-topic"

// txnStory is one producer's story: each step is sent on its own and told in a word. Offsets are told from where
// the story began, epochs from the first that the producer was given.
type txnStory struct {
	l     *lab
	id    string
	pid   int64
	epoch int16
	born  int16
	known map[int64]string // producer ids by the order in which they came
	base  int64
	said  []string
}

// txnWait bounds how long a step is retried that may only work when markers are written.
const txnWait = 10 * time.Second

func txnWord(code int16) string {
	if code == 0 {
		return "ok"
	}
	if e := kerr.ErrorForCode(code); e != nil {
		return e.(*kerr.Error).Message
	}
	return fmt.Sprint(code)
}

func (s *txnStory) say(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

func (s *txnStory) ask(req kmsg.Request, version int16) kmsg.Response {
	req.SetVersion(version)
	resp, err := ask(s.l.addr, req)
	if err != nil {
		s.say("%s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
		return req.ResponseKind()
	}
	return resp
}

func (s *txnStory) name(pid int64) string {
	if pid < 0 {
		return "no id"
	}
	if s.known[pid] == "" {
		s.known[pid] = fmt.Sprintf("id%d", len(s.known)+1)
	}
	return s.known[pid]
}

func (s *txnStory) rel(epoch int16) string {
	if epoch < 0 {
		return "none"
	}
	return fmt.Sprintf("%+d", epoch-s.born)
}

// init asks for the producer; with expect it names what it has. CONCURRENT_TRANSACTIONS is retried.
func (s *txnStory) init(version int16, expect bool) {
	first := ""
	deadline := time.Now().Add(txnWait)
	for {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &s.id, 60_000, -1, -1
		if expect {
			req.ProducerID, req.ProducerEpoch = s.pid, s.epoch
		}
		resp := s.ask(req, version).(*kmsg.InitProducerIDResponse)
		switch {
		case resp.ErrorCode == kerr.ConcurrentTransactions.Code && time.Now().Before(deadline):
			first = "after CONCURRENT_TRANSACTIONS "
			time.Sleep(20 * time.Millisecond)
			continue
		case (resp.ErrorCode == kerr.CoordinatorLoadInProgress.Code || resp.ErrorCode == kerr.NotCoordinator.Code) && time.Now().Before(deadline):
			time.Sleep(20 * time.Millisecond)
			continue
		case resp.ErrorCode != 0:
			s.say("init v%d %s%s", version, first, txnWord(resp.ErrorCode))
			return
		}
		if len(s.known) == 0 {
			s.born = resp.ProducerEpoch
		}
		s.pid, s.epoch = resp.ProducerID, resp.ProducerEpoch
		s.say("init v%d %s%s %s", version, first, s.name(s.pid), s.rel(s.epoch))
		return
	}
}

// initWith asks with a timeout.
func (s *txnStory) initWith(timeoutMs int32) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &s.id, timeoutMs, -1, -1
	s.say("init %d ms %s", timeoutMs, txnWord(s.ask(req, 4).(*kmsg.InitProducerIDResponse).ErrorCode))
}

func (s *txnStory) add(version int16, topics ...string) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = s.id, s.pid, s.epoch
	for _, t := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t, Partitions: []int32{0}})
	}
	var words []string
	for _, t := range s.ask(req, version).(*kmsg.AddPartitionsToTxnResponse).Topics {
		for _, p := range t.Partitions {
			words = append(words, t.Topic+"="+txnWord(p.ErrorCode))
		}
	}
	slices.Sort(words)
	s.say("add v%d %s", version, strings.Join(words, " "))
}

// peerAdd is AddPartitionsToTxn as brokers send it.
func (s *txnStory) peerAdd(version int16, verifyOnly bool, topics ...string) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = s.id, s.pid, s.epoch, verifyOnly
	for _, name := range topics {
		t.Topics = append(t.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: name, Partitions: []int32{0}})
	}
	req.Transactions = append(req.Transactions, t)
	resp := s.ask(req, version).(*kmsg.AddPartitionsToTxnResponse)
	var words []string
	for _, t := range resp.Transactions {
		for _, topic := range t.Topics {
			for _, p := range topic.Partitions {
				words = append(words, topic.Topic+"="+txnWord(p.ErrorCode))
			}
		}
	}
	slices.Sort(words)
	s.say("peer add v%d verify %t: %s %s", version, verifyOnly, txnWord(resp.ErrorCode), strings.Join(words, " "))
}

func (s *txnStory) addOffsets(version int16, group string) {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.id, s.pid, s.epoch, group
	s.say("add offsets v%d %s", version, txnWord(s.ask(req, version).(*kmsg.AddOffsetsToTxnResponse).ErrorCode))
}

func (s *txnStory) commitOffset(version int16, group string, offset int64) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = s.id, group, s.pid, s.epoch, -1
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: offset, LeaderEpoch: -1}}}}
	for _, t := range s.ask(req, version).(*kmsg.TxnOffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			s.say("commit offset %d v%d %s", offset, version, txnWord(p.ErrorCode))
		}
	}
}

// offset tells what a group has committed, to a reader that wants only what is decided and to one that does not care.
func (s *txnStory) offset(group string) {
	for _, stable := range []bool{true, false} {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group, req.RequireStable = group, stable
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}
		for _, t := range s.ask(req, 7).(*kmsg.OffsetFetchResponse).Topics {
			for _, p := range t.Partitions {
				s.say("offset stable=%t %d %s", stable, p.Offset, txnWord(p.ErrorCode))
			}
		}
	}
}

// produce sends one transactional record. Kafka verifies behind the scenes, and asks older clients to come again.
func (s *txnStory) produce(version int16, sequence int32) {
	s.send(version, newBatch().from(s.pid, s.epoch, sequence), true, &s.id)
}

func (s *txnStory) send(version int16, b *batch, transactional bool, id *string) {
	if transactional {
		b.Attributes |= 0x10
	}
	deadline := time.Now().Add(txnWait)
	for {
		req := s.l.produceRequest(txnTopic, version, -1, b.bytes())
		req.TransactionID = id
		resp := s.ask(req, version).(*kmsg.ProduceResponse)
		if len(resp.Topics) == 0 {
			return
		}
		p := resp.Topics[0].Partitions[0]
		switch {
		case (p.ErrorCode == kerr.NotEnoughReplicas.Code || p.ErrorCode == kerr.ConcurrentTransactions.Code) && time.Now().Before(deadline):
			time.Sleep(20 * time.Millisecond)
		case p.ErrorCode != 0:
			s.say("produce v%d %s", version, txnWord(p.ErrorCode))
			return
		default:
			s.say("produce v%d at +%d", version, p.BaseOffset-s.base)
			return
		}
	}
}

// end ends the transaction, and takes over the epoch that the answer brings.
func (s *txnStory) end(version int16, commit bool) {
	before := s.epoch
	resp := s.endAs(version, commit, s.pid, s.epoch)
	if resp.ErrorCode == 0 && version >= 5 {
		s.pid, s.epoch = resp.ProducerID, resp.ProducerEpoch
	}
	_ = before
}

func (s *txnStory) endAs(version int16, commit bool, pid int64, epoch int16) *kmsg.EndTxnResponse {
	word := map[bool]string{true: "commit", false: "abort"}[commit]
	deadline := time.Now().Add(txnWait)
	for {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = s.id, pid, epoch, commit
		resp := s.ask(req, version).(*kmsg.EndTxnResponse)
		if resp.ErrorCode == kerr.ConcurrentTransactions.Code && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if version >= 5 {
			s.say("%s v%d %s %s %s", word, version, txnWord(resp.ErrorCode), s.name(resp.ProducerID), s.rel(resp.ProducerEpoch))
		} else {
			s.say("%s v%d %s", word, version, txnWord(resp.ErrorCode))
		}
		return resp
	}
}

// settled waits until no marker is under way, and tells the state.
func (s *txnStory) settled() {
	deadline := time.Now().Add(txnWait)
	for {
		st := s.state()
		if !strings.HasPrefix(st.State, "Prepare") || time.Now().After(deadline) {
			var topics []string
			for _, t := range st.Topics {
				topics = append(topics, fmt.Sprintf("%s%v", t.Topic, t.Partitions))
			}
			slices.Sort(topics)
			s.say("state %s %s %s %s started=%t %v", txnWord(st.ErrorCode), st.State, s.name(st.ProducerID), s.rel(st.ProducerEpoch), st.StartTimestamp > 0, topics)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *txnStory) state() kmsg.DescribeTransactionsResponseTransactionState {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{s.id}
	resp := s.ask(req, 0).(*kmsg.DescribeTransactionsResponse)
	if len(resp.TransactionStates) == 0 {
		return kmsg.NewDescribeTransactionsResponseTransactionState()
	}
	return resp.TransactionStates[0]
}

// ends tells the log's end, as everybody and as readers of committed records see it.
func (s *txnStory) ends() {
	out := make([]int64, 2)
	for iso := range out {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.IsolationLevel = -1, int8(iso)
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: txnTopic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
		out[iso] = s.ask(req, 5).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset - s.base
	}
	s.say("end +%d stable +%d", out[0], out[1])
}

// aborted tells which transactions a reader of committed records is told to leave out.
func (s *txnStory) aborted() {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.IsolationLevel, req.SessionEpoch = 1<<20, 0, 1, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LogStartOffset = s.base, 1<<20, -1, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: txnTopic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	for _, t := range s.ask(req, 11).(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			var list []string
			for _, a := range p.AbortedTransactions {
				list = append(list, fmt.Sprintf("%s from +%d", s.name(a.ProducerID), a.FirstOffset-s.base))
			}
			s.say("aborted %s %v stable +%d records %t", txnWord(p.ErrorCode), list, p.LastStableOffset-s.base, len(p.RecordBatches) > 0)
		}
	}
}

// producers tells what the partition remembers of this producer.
func (s *txnStory) producers() (coordinatorEpoch int32) {
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: txnTopic, Partitions: []int32{0}}}
	found := false
	for _, p := range s.ask(req, 0).(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0].ActiveProducers {
		if p.ProducerID != s.pid {
			continue
		}
		found = true
		coordinatorEpoch = p.CoordinatorEpoch
		open := "none"
		if p.CurrentTxnStartOffset >= 0 {
			open = fmt.Sprintf("+%d", p.CurrentTxnStartOffset-s.base)
		}
		s.say("producer epoch %s sequence %d coordinator known=%t open %s", s.rel(int16(p.ProducerEpoch)), p.LastSequence, p.CoordinatorEpoch >= 0, open)
	}
	if !found {
		s.say("producer unknown")
	}
	return coordinatorEpoch
}

func (s *txnStory) mark(version int16, epoch int16, coordinatorEpoch int32, txnVersion int8, commit bool, topics ...string) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.TransactionVersion, m.Committed = s.pid, epoch, coordinatorEpoch, txnVersion, commit
	for _, t := range topics {
		m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: t, Partitions: []int32{0}})
	}
	req.Markers = append(req.Markers, m)
	var words []string
	for _, m := range s.ask(req, version).(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				words = append(words, t.Topic+"="+txnWord(p.ErrorCode))
			}
		}
	}
	slices.Sort(words)
	s.say("mark v%d tv%d %s", version, txnVersion, strings.Join(words, " "))
}

func (s *txnStory) list(version int16, edit func(*kmsg.ListTransactionsRequest)) {
	req := kmsg.NewPtrListTransactionsRequest()
	edit(req)
	resp := s.ask(req, version).(*kmsg.ListTransactionsResponse)
	var mine []string
	for _, t := range resp.TransactionStates {
		if t.TransactionalID == s.id {
			mine = append(mine, s.name(t.ProducerID)+" "+t.TransactionState)
		}
	}
	s.say("list v%d %s %v unknown %v", version, txnWord(resp.ErrorCode), mine, resp.UnknownStateFilters)
}

func (s *txnStory) deleteRecords() {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: txnTopic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: -1}}}}
	p := s.ask(req, 2).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
	s.say("delete records %s low watermark +%d", txnWord(p.ErrorCode), p.LowWatermark-s.base)
}

// stable ends what the story has left open, or every later reader of the topic would wait for it.
func (s *txnStory) tidy() {
	said := s.said
	s.init(4, false)
	s.said = said
}

func txnCases() []errorCase {
	var cs []errorCase
	tell := func(name string, steps func(*txnStory)) {
		cs = append(cs, errorCase{"transaction: " + name, func(l *lab) string {
			id := "wire-" + strings.ReplaceAll(name, " ", "-")
			find := kmsg.NewPtrFindCoordinatorRequest()
			find.Version, find.CoordinatorType, find.CoordinatorKey = 2, 1, id
			for range 100 {
				if r, err := ask(l.addr, find); err == nil && r.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			s := &txnStory{l: l, id: id, known: map[int64]string{}, pid: -1, epoch: -1, base: l.endOffset(txnTopic)}
			steps(s)
			s.tidy()
			return strings.Join(s.said, ", ")
		}})
	}
	for _, v := range []int16{0, 3} {
		tell(fmt.Sprintf("committed, old protocol v%d", v), func(s *txnStory) {
			s.init(v, false)
			s.settled()
			s.add(v, txnTopic)
			s.settled()
			s.produce(9, 0)
			s.produce(9, 1)
			s.ends()
			s.producers()
			s.end(v, true)
			s.settled()
			s.ends()
			s.producers()
			s.end(v, true)
			s.end(v, false)
			s.add(v, txnTopic)
			s.produce(9, 2)
			s.end(v, false)
			s.settled()
			s.aborted()
		})
	}
	tell("aborted, old protocol", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		s.produce(9, 0)
		s.aborted()
		s.end(4, false)
		s.settled()
		s.aborted()
		s.end(4, false)
		s.end(4, true)
	})
	tell("ended before it began, old protocol", func(s *txnStory) {
		s.init(4, false)
		s.end(4, true)
		s.end(4, false)
		s.end(1, false)
	})
	tell("not added, Produce v9", func(s *txnStory) { s.init(4, false); s.produce(9, 0) })
	tell("not added, Produce v11", func(s *txnStory) { s.init(4, false); s.produce(11, 0) })
	tell("added empty, then produced", func(s *txnStory) { s.init(4, false); s.add(3); s.settled(); s.produce(11, 0) })
	tell("fenced", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		s.produce(9, 0)
		old := *s
		s.init(4, false)
		s.settled()
		old.said = nil
		old.produce(9, 1)
		old.produce(12, 1)
		old.add(3, txnTopic)
		old.add(1, txnTopic)
		old.end(4, true)
		old.end(1, true)
		old.end(5, true)
		old.addOffsets(3, group)
		old.addOffsets(1, group)
		old.commitOffset(3, group, 1)
		old.commitOffset(5, group, 1)
		old.init(4, true)
		old.init(3, true)
		s.said = append(s.said, old.said...)
	})
	tell("new epoch for the same producer", func(s *txnStory) {
		s.init(4, false)
		first := *s
		s.init(4, true)
		first.said = nil
		first.init(4, true)
		s.said = append(s.said, first.said...)
		s.init(4, true)
		first.said = nil
		first.init(4, true)
		s.said = append(s.said, first.said...)
		s.init(4, false)
		s.settled()
	})
	tell("another's producer id", func(s *txnStory) {
		s.init(4, false)
		s.pid += 1_000_000
		s.add(3, txnTopic)
		s.end(4, true)
		s.end(5, true)
		s.addOffsets(3, group)
		s.produce(9, 0)
		s.produce(12, 0)
		s.commitOffset(4, group, 1)
		s.init(4, true)
	})
	tell("timeouts", func(s *txnStory) { s.initWith(0); s.initWith(-1); s.initWith(900_001); s.initWith(900_000) })
	tell("committed, new protocol", func(s *txnStory) {
		s.init(5, false)
		s.produce(12, 0)
		s.settled()
		s.produce(12, 1)
		s.ends()
		old := s.epoch
		s.end(5, true)
		s.settled()
		s.producers()
		s.endAs(5, true, s.pid, old)
		s.endAs(5, false, s.pid, old)
		s.ends()
		s.produce(12, 0)
		s.end(5, false)
		s.settled()
		s.aborted()
		s.endAs(5, false, s.pid, s.epoch-1)
		s.endAs(5, true, s.pid, s.epoch-1)
		s.endAs(5, true, s.pid, s.epoch-2)
	})
	tell("aborts of nothing, new protocol", func(s *txnStory) {
		s.init(5, false)
		s.end(5, true)
		s.end(5, false)
		s.settled()
		s.end(5, true)
		s.end(5, false)
		s.settled()
		s.produce(12, 0)
		s.end(5, true)
		s.settled()
		s.end(5, true)
		s.end(5, false)
		s.settled()
	})
	tell("sequences, new protocol", func(s *txnStory) {
		s.init(5, false)
		s.produce(12, 5)
		s.produce(12, 0)
		s.produce(12, 0)
		s.produce(12, 2)
		s.produce(12, 1)
		s.end(5, true)
		s.settled()
		s.produce(12, 2)
		s.produce(12, 0)
		s.epoch--
		s.produce(12, 0)
	})
	tell("mixed protocols", func(s *txnStory) {
		s.init(5, false)
		s.add(3, txnTopic)
		s.produce(12, 0)
		s.end(4, true)
		s.settled()
		s.produce(12, 1)
		s.end(5, true)
		s.settled()
	})
	tell("records outside of it", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		s.produce(9, 0)
		s.send(9, newBatch().from(s.pid, s.epoch, 1), false, nil)
		s.send(9, newBatch().from(s.pid, s.epoch, 1), true, nil)
	})
	tell("partitions that are not there", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic, unknown)
		s.add(3, unknown)
		s.add(3, "__consumer_offsets", txnTopic)
		s.settled()
	})
	tell("asked by a broker", func(s *txnStory) {
		s.init(4, false)
		s.peerAdd(4, true, txnTopic)
		s.peerAdd(4, false, txnTopic)
		s.peerAdd(5, true, txnTopic, topic)
		s.peerAdd(5, true, unknown, topic)
		s.settled()
		s.epoch++
		s.peerAdd(5, true, txnTopic)
		s.epoch--
		s.pid++
		s.peerAdd(5, true, txnTopic)
		s.pid--
	})
	tell("offsets, old protocol", func(s *txnStory) {
		g := s.id + "-group"
		s.init(4, false)
		s.commitOffset(3, g, 3)
		s.commitOffset(4, g, 3)
		s.addOffsets(3, g)
		s.commitOffset(3, g, 3)
		s.offset(g)
		s.end(4, true)
		s.settled()
		s.offset(g)
		s.addOffsets(3, g)
		s.commitOffset(3, g, 4)
		s.offset(g)
		s.end(4, false)
		s.settled()
		s.offset(g)
		s.commitOffset(2, g, 5)
	})
	tell("offsets, new protocol", func(s *txnStory) {
		g := s.id + "-group"
		s.init(5, false)
		s.commitOffset(5, g, 3)
		s.offset(g)
		s.settledBut(g)
		s.end(5, true)
		s.settled()
		s.offset(g)
		s.commitOffset(5, g, 4)
		s.end(5, false)
		s.settled()
		s.offset(g)
	})
	tell("listed", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		for v := range int16(3) {
			s.list(v, func(*kmsg.ListTransactionsRequest) {})
			s.list(v, func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing"} })
			s.list(v, func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Empty", "Nonsense"} })
			s.list(v, func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{s.pid} })
			s.list(v, func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{s.pid + 1_000_000} })
		}
		s.list(1, func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 600_000 })
		s.list(1, func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = -1 })
		for _, p := range []string{"wire-.*", "wire-", "listed", "nobody", "", "wire-(listed|x)", "["} {
			s.list(2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = &p })
		}
	})
	tell("hanging, ended by an operator", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		s.produce(9, 0)
		epoch := s.producers()
		s.mark(1, s.epoch, epoch, 0, false, txnTopic, unknown)
		s.producers()
		s.ends()
		s.aborted()
		s.settled()
		s.produce(9, 1)
		s.end(4, true)
		s.settled()
		s.ends()
	})
	tell("markers", func(s *txnStory) {
		s.init(5, false)
		s.produce(12, 0)
		s.mark(2, s.epoch, 0, 2, false, txnTopic)
		s.mark(2, s.epoch+1, 7, 2, false, txnTopic)
		s.ends()
		s.mark(2, s.epoch+1, 7, 2, false, txnTopic)
		s.mark(2, s.epoch+1, 6, 2, false, txnTopic)
		s.mark(2, s.epoch, 7, 0, false, txnTopic)
		s.mark(1, s.epoch+1, 8, 0, true, txnTopic)
		s.producers()
		s.ends()
	})
	tell("records deleted under it", func(s *txnStory) {
		s.init(4, false)
		s.add(3, txnTopic)
		s.produce(9, 0)
		s.produce(9, 1)
		s.deleteRecords()
		s.ends()
		s.producers()
		s.end(4, true)
		s.settled()
		s.ends()
	})
	return cs
}

// settledBut tells the state without the number of the partition that holds a group.
func (s *txnStory) settledBut(string) {
	st := s.state()
	var topics []string
	for _, t := range st.Topics {
		topics = append(topics, fmt.Sprintf("%s(%d)", t.Topic, len(t.Partitions)))
	}
	s.say("state %s %v", st.State, topics)
}
