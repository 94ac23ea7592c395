package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionVersionTwo is the level of the feature transaction.version at which partitions are added by the broker and each
// transaction has an epoch of its own (KIP-890).
const transactionVersionTwo = 2

// Versions from which a request belongs to that protocol.
const (
	produceTwo = 12
	endTwo     = 5
	offsetsTwo = 5
)

// transactional is a transactional producer.
type transactional struct {
	x  *exam
	id string
	p  producer
}

// newTransactional gets a producer for a transactional id of the exam's own, whose open transaction is aborted at the end.
func (x *exam) newTransactional() *transactional {
	t := &transactional{x: x, id: x.name("txn")}
	t.init()
	x.onEnd(func() {
		req := t.initRequest(-1)
		req.Version = min(4, x.cluster.highest(req.Key()))
		x.try(x.lastCoordinator(t.id), req)
	})
	return t
}

// lastCoordinator is the coordinator of a transactional id, found without checks.
func (x *exam) lastCoordinator(id string) int32 {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey, req.CoordinatorType = min(2, x.cluster.highest(req.Key())), id, coordinatorTxn
	if resp, err := x.try(x.any(), req); err == nil && resp.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
		return resp.(*kmsg.FindCoordinatorResponse).NodeID
	}
	return x.any()
}

// txnTimeoutMs is long enough for every rule and short enough for what a dead one leaves open.
const txnTimeoutMs = 60_000

func (t *transactional) initRequest(epoch int16) *kmsg.InitProducerIDRequest {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &t.id, txnTimeoutMs, -1, epoch
	return req
}

// init gets the producer anew, which fences whoever had it.
func (t *transactional) init() {
	var resp *kmsg.InitProducerIDResponse
	t.ended(func() int16 {
		resp = askTxn[*kmsg.InitProducerIDResponse](t.x, t.id, t.initRequest(-1))
		return resp.ErrorCode
	}, "the producer id", 0)
	t.p = producer{resp.ProducerID, resp.ProducerEpoch}
}

// ended repeats a step while the transaction before it is still being ended, and checks its code.
func (t *transactional) ended(step func() int16, what string, right ...int16) {
	until := time.Now().Add(t.x.options.Patience)
	for {
		c := step()
		if passes := c == codeConcurrentTransactions || c == codeNotEnoughReplicas; passes && time.Now().Before(until) && pause(t.x.ctx, retryPause) == nil {
			continue
		}
		if !t.x.code(what, c, right...) {
			panic(stop{})
		}
		return
	}
}

// oldVersion is the version at which a request belongs to the protocol before KIP-890: that under examination or the highest.
func (x *exam) oldVersion(key kmsg.Key, highest int16) int16 {
	if x.rule.key == key {
		return x.version
	}
	return min(highest, x.cluster.highest(int16(key)))
}

// add puts partition 0 into the transaction and returns its code.
func (t *transactional) add(to *topic) int16 {
	var code int16
	t.ended(func() int16 {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.Version = t.x.oldVersion(kmsg.AddPartitionsToTxn, 3)
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = t.id, t.p.id, t.p.epoch
		req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: to.name, Partitions: []int32{0}}}
		resp := askTxn[*kmsg.AddPartitionsToTxnResponse](t.x, t.id, req)
		t.x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
		code = resp.Topics[0].Partitions[0].ErrorCode
		return code
	}, "the partition", 0, codeUnknownTopic, codeOperationNotAttempted, codeProducerFenced, codeInvalidProducerEpoch, codeInvalidPidMapping)
	return code
}

// send writes records of the transaction and checks the code. version 0 is that under examination, or the highest old one.
func (t *transactional) send(to *topic, sequence int32, n int, version int16, right ...int16) {
	t.ended(func() int16 {
		req := t.x.produceRequest(to, -1, newBatch(n).from(t.p, sequence).with(bitTransactional).bytes())
		req.Version, req.TransactionID = version, &t.id
		return t.x.produceTo(to, req).ErrorCode
	}, "the batch", right...)
}

// end ends the transaction and returns the answer, whose code is checked.
func (t *transactional) end(commit bool, version int16, as producer, right ...int16) *kmsg.EndTxnResponse {
	var resp *kmsg.EndTxnResponse
	t.ended(func() int16 {
		req := kmsg.NewPtrEndTxnRequest()
		req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = version, t.id, as.id, as.epoch, commit
		resp = askTxn[*kmsg.EndTxnResponse](t.x, t.id, req)
		return resp.ErrorCode
	}, "the end", right...)
	return resp
}

func (t *transactional) addOffsets(group string) {
	t.ended(func() int16 {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = t.id, t.p.id, t.p.epoch, group
		return askTxn[*kmsg.AddOffsetsToTxnResponse](t.x, t.id, req).ErrorCode
	}, "the group", 0)
}

func (t *transactional) commitOffset(group string, to *topic, offset int64, version int16, right ...int16) {
	t.ended(func() int16 {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = version, t.id, group, t.p.id, t.p.epoch, -1
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = offset
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: to.name, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
		resp := askGroup[*kmsg.TxnOffsetCommitResponse](t.x, group, req)
		t.x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
		return resp.Topics[0].Partitions[0].ErrorCode
	}, "the offset", right...)
}

// shows waits until readers of committed records see so many, and checks what all others see.
func (t *transactional) shows(to *topic, committed, all int) {
	x := t.x
	x.eventually("the transaction's markers are written", func() bool { return x.end(to, 1) == x.end(to, 0) })
	equal(x, "records that a reader of committed ones sees", len(x.records(to, 0, 1)), committed)
	equal(x, "records that every other reader sees", len(x.records(to, 0, 0)), all)
}

// hides checks that an open transaction is not shown.
func (t *transactional) hides(to *topic, stable int64) {
	equal(t.x, "last stable offset while the transaction is open", t.x.end(to, 1), stable)
}

// onlyTwo ends an exam on clusters whose transactions are of the older protocol.
func (x *exam) onlyTwo() {
	if x.cluster.feature("transaction.version") < transactionVersionTwo {
		x.skip("transaction.version is below 2")
	}
}

// decidesOffsets commits offsets in a transaction that is committed and in one that is aborted; add makes the group part of it.
func (t *transactional) decidesOffsets(to *topic, g string, add func(), commitVersion, endVersion int16) {
	x := t.x
	add()
	t.commitOffset(g, to, 3, commitVersion, 0)
	x.code("the offset that is not decided, to a reader that wants only decided ones,", x.committed(g, to, true).code, codeUnstableOffsetCommit)
	equal(x, "the offset to every other reader", x.committed(g, to, false).offset, -1)
	resp := t.end(true, endVersion, t.p, 0)
	if endVersion >= endTwo {
		t.p = producer{resp.ProducerID, resp.ProducerEpoch}
	}
	x.eventually("the committed offset is 3", func() bool { o := x.committed(g, to, true); return o.code == 0 && o.offset == 3 })
	add()
	t.commitOffset(g, to, 4, commitVersion, 0)
	t.end(false, endVersion, t.p, 0)
	x.eventually("the offset is decided", func() bool { return x.committed(g, to, true).code == 0 })
	equal(x, "the offset after an abort", x.committed(g, to, true).offset, 3)
}

func txnRules() []rule {
	old := func(name string, key kmsg.Key, maxVersion int16, says string, run func(x *exam, t *transactional, to *topic)) rule {
		return rule{name: "txn/" + name, key: key, max: maxVersion, more: []kmsg.Key{kmsg.InitProducerID, kmsg.EndTxn, kmsg.AddPartitionsToTxn}, says: says, cites: "KIP-98", run: func(x *exam) {
			run(x, x.newTransactional(), x.topic(1))
		}}
	}
	life := func(x *exam, t *transactional, to *topic) {
		produce, end := x.oldVersion(kmsg.Produce, 11), x.oldVersion(kmsg.EndTxn, 4)
		x.ok("the partition", t.add(to))
		t.send(to, 0, 2, produce, 0)
		t.hides(to, 0)
		t.end(true, end, t.p, 0)
		t.shows(to, 2, 2)
		x.ok("the partition", t.add(to))
		t.send(to, 2, 3, produce, 0)
		t.hides(to, 3)
		t.end(false, end, t.p, 0)
		t.shows(to, 2, 5)
	}
	const lifeSays = "Records of an open transaction are hidden from readers of committed records; a commit shows them, and an abort never does."
	return []rule{
		old("life-init", kmsg.InitProducerID, 0, lifeSays, life),
		old("life-add", kmsg.AddPartitionsToTxn, 3, lifeSays, life),
		old("life-produce", kmsg.Produce, 11, lifeSays, life),
		old("life-end", kmsg.EndTxn, 4, lifeSays, life),
		old("fenced", kmsg.InitProducerID, 0, "A second producer of a transactional id aborts the first one's transaction and fences it: its records are INVALID_PRODUCER_EPOCH, its end PRODUCER_FENCED.", func(x *exam, t *transactional, to *topic) {
			x.ok("the partition", t.add(to))
			t.send(to, 0, 1, min(11, x.cluster.highest(0)), 0)
			first := *t
			t.init()
			x.that(t.p.id != first.p.id || t.p.epoch > first.p.epoch, "a later epoch", "%d after %d", t.p.epoch, first.p.epoch)
			first.send(to, 1, 1, min(11, x.cluster.highest(0)), codeInvalidProducerEpoch)
			first.end(true, min(4, x.cluster.highest(int16(kmsg.EndTxn))), first.p, codeProducerFenced, codeInvalidProducerEpoch)
			t.shows(to, 0, 1)
		}),
		old("offsets-commit", kmsg.TxnOffsetCommit, 4, "Offsets that a transaction commits count when it is committed, and never when it is aborted; meanwhile they are UNSTABLE_OFFSET_COMMIT to who asks for stable ones.", func(x *exam, t *transactional, to *topic) {
			g := x.name("g")
			t.decidesOffsets(to, g, func() { t.addOffsets(g) }, x.version, min(4, x.cluster.highest(int16(kmsg.EndTxn))))
		}),
		old("offsets-add", kmsg.AddOffsetsToTxn, 0, "AddOffsetsToTxn makes a group part of the transaction.", func(x *exam, t *transactional, to *topic) {
			g := x.name("g")
			t.decidesOffsets(to, g, func() { t.addOffsets(g) }, min(4, x.cluster.highest(int16(kmsg.TxnOffsetCommit))), min(4, x.cluster.highest(int16(kmsg.EndTxn))))
		}),
	}
}

// txnRefusalRules are about requests that a coordinator or a leader refuses.
func txnRefusalRules() []rule {
	return []rule{
		{name: "txn/not-added", key: kmsg.Produce, max: 11, more: []kmsg.Key{kmsg.InitProducerID}, says: "Records for a partition that is not of the transaction are refused, unless transaction.partition.verification.enable is off: INVALID_TXN_STATE or, from version 11 on, TRANSACTION_ABORTABLE.", cites: "KIP-890",
			run: func(x *exam) {
				t, to := x.newTransactional(), x.topic(1)
				// Apache Kafka asks a coordinator for several producers at once, and answers all of them as the first one's version wants.
				t.send(to, 0, 1, x.version, codeInvalidTxnState, codeTransactionAbortable)
				equal(x, "end", x.end(to, 0), 0)
			}},
		{name: "txn/unknown-partition", key: kmsg.AddPartitionsToTxn, max: 3, more: []kmsg.Key{kmsg.InitProducerID}, says: "A transaction is not begun with a partition that does not exist: it is UNKNOWN_TOPIC_OR_PARTITION and the others OPERATION_NOT_ATTEMPTED.", cites: "KIP-98",
			run: func(x *exam) {
				t := x.newTransactional()
				x.code("the partition", t.add(&topic{name: x.prefix + "never"}), codeUnknownTopic)
			}},
		{name: "txn/verify-only", key: kmsg.AddPartitionsToTxn, min: 4, more: []kmsg.Key{kmsg.InitProducerID}, says: "A broker may ask whether a partition is of a transaction without adding it: if not, it is TRANSACTION_ABORTABLE.", cites: "KIP-890",
			run: func(x *exam) {
				t, to := x.newTransactional(), x.topic(1)
				for _, c := range []struct {
					verify bool
					want   int16
				}{{true, codeTransactionAbortable}, {false, 0}, {true, 0}} {
					req := kmsg.NewPtrAddPartitionsToTxnRequest()
					r := kmsg.NewAddPartitionsToTxnRequestTransaction()
					r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.VerifyOnly = t.id, t.p.id, t.p.epoch, c.verify
					r.Topics = []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: to.name, Partitions: []int32{0}}}
					req.Transactions = append(req.Transactions, r)
					resp := askTxn[*kmsg.AddPartitionsToTxnResponse](x, t.id, req)
					if resp.ErrorCode == codeClusterAuthorization {
						x.skip("it is for brokers, and we may not do what they may")
					}
					x.must(len(resp.Transactions) == 1 && len(resp.Transactions[0].Topics) == 1, "one partition in the answer", "%+v", resp.Transactions)
					want := c.want
					if c.verify && want != 0 && x.version < 5 {
						// Older brokers are told in a code that they know.
						x.code("the partition", resp.Transactions[0].Topics[0].Partitions[0].ErrorCode, want, codeInvalidTxnState)
						continue
					}
					x.code("the partition", resp.Transactions[0].Topics[0].Partitions[0].ErrorCode, want)
				}
			}},
		{name: "txn/nothing-to-end", key: kmsg.EndTxn, max: 4, more: []kmsg.Key{kmsg.InitProducerID}, says: "A transaction that has not begun cannot be ended: INVALID_TXN_STATE; nor one of another producer id: INVALID_PRODUCER_ID_MAPPING.", cites: "KIP-98",
			run: func(x *exam) {
				t := x.newTransactional()
				t.end(true, x.version, t.p, codeInvalidTxnState)
				t.end(true, x.version, producer{t.p.id + 1_000_000, t.p.epoch}, codeInvalidPidMapping)
			}},
		{name: "txn/timeout", key: kmsg.InitProducerID, says: "A transaction timeout of 0 or above transaction.max.timeout.ms is INVALID_TRANSACTION_TIMEOUT, an empty transactional id INVALID_REQUEST.", cites: "KIP-98",
			run: func(x *exam) {
				t := &transactional{x: x, id: x.name("txn")}
				for _, ms := range []int32{0, 2147483647} {
					req := t.initRequest(-1)
					req.TransactionTimeoutMillis = ms
					x.code(fmt.Sprintf("%d ms", ms), askTxn[*kmsg.InitProducerIDResponse](x, t.id, req).ErrorCode, codeInvalidTxnTimeout)
				}
				req := t.initRequest(-1)
				req.TransactionalID = ptr("")
				x.code("an empty id", askTxn[*kmsg.InitProducerIDResponse](x, t.id, req).ErrorCode, codeInvalidRequest)
			}},
	}
}

// txnTwoRules are about the newer protocol.
func txnTwoRules() []rule {
	return []rule{
		{name: "txn/two-end", key: kmsg.EndTxn, min: endTwo, more: []kmsg.Key{kmsg.InitProducerID}, says: "In the newer protocol each transaction ends with a new epoch, and an end that is repeated with the old one is answered as the first was.", cites: "KIP-890",
			run: func(x *exam) {
				x.onlyTwo()
				t, to := x.newTransactional(), x.topic(1)
				v := x.cluster.highest(0)
				t.send(to, 0, 2, v, 0)
				t.hides(to, 0)
				before := t.p
				r := t.end(true, x.version, before, 0)
				t.p = producer{r.ProducerID, r.ProducerEpoch}
				x.that(t.p.id != before.id || t.p.epoch == before.epoch+1, "the next epoch", "%d after %d", t.p.epoch, before.epoch)
				t.shows(to, 2, 2)
				again := t.end(true, x.version, before, 0)
				equal(x, "the epoch of the repeated end", again.ProducerEpoch, t.p.epoch)
				t.end(false, x.version, before, codeInvalidTxnState)
				t.send(to, 0, 3, v, 0)
				before = t.p
				r = t.end(false, x.version, before, 0)
				t.p = producer{r.ProducerID, r.ProducerEpoch}
				t.shows(to, 2, 5)
				t.end(true, x.version, t.p, codeInvalidTxnState)
				before = t.p
				r = t.end(false, x.version, before, 0)
				x.that(r.ProducerEpoch == before.epoch+1 || r.ProducerID != before.id, "an abort of nothing gives the next epoch too", "%d after %d", r.ProducerEpoch, before.epoch)
				t.p = producer{r.ProducerID, r.ProducerEpoch}
			}},
		{name: "txn/two-produce", key: kmsg.Produce, min: produceTwo, more: []kmsg.Key{kmsg.InitProducerID}, says: "In the newer protocol writing to a partition makes it part of the transaction, and each epoch begins with sequence 0.", cites: "KIP-890",
			run: func(x *exam) {
				x.onlyTwo()
				t, to := x.newTransactional(), x.topic(1)
				t.send(to, 5, 1, x.version, codeOutOfOrderSequence)
				t.send(to, 0, 1, x.version, 0)
				t.send(to, 1, 1, x.version, 0)
				t.hides(to, 0)
				s := t.state()
				equal(x, "state", s.State, "Ongoing")
				before := t.p
				r := t.end(true, min(endTwo, x.cluster.highest(int16(kmsg.EndTxn))), t.p, 0)
				t.p = producer{r.ProducerID, r.ProducerEpoch}
				t.shows(to, 2, 2)
				old := transactional{x, t.id, before}
				old.send(to, 2, 1, x.version, codeInvalidProducerEpoch, codeInvalidTxnState)
			}},
		{name: "txn/two-offsets", key: kmsg.TxnOffsetCommit, min: offsetsTwo, more: []kmsg.Key{kmsg.InitProducerID}, says: "In the newer protocol committing offsets makes the group part of the transaction.", cites: "KIP-890",
			run: func(x *exam) {
				x.onlyTwo()
				g := x.name("g")
				x.newTransactional().decidesOffsets(x.topic(1), g, func() {}, x.version, min(endTwo, x.cluster.highest(int16(kmsg.EndTxn))))
			}},
	}
}

// txnAdminRules are about transactions as tools and brokers see them.
func txnAdminRules() []rule {
	return []rule{
		{name: "txn/described", key: kmsg.DescribeTransactions, more: []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn}, says: "DescribeTransactions tells a transaction's state, producer and partitions; an id that nobody used is TRANSACTIONAL_ID_NOT_FOUND.", cites: "KIP-664",
			run: func(x *exam) {
				t, to := x.newTransactional(), x.topic(1)
				equal(x, "state", t.state().State, "Empty")
				x.ok("the partition", t.add(to))
				s := t.state()
				equal(x, "state", s.State, "Ongoing")
				equal(x, "producer", s.ProducerID, t.p.id)
				x.that(len(s.Topics) == 1 && s.Topics[0].Topic == to.name, "its partition", "%+v", s.Topics)
				t.end(false, min(4, x.cluster.highest(int16(kmsg.EndTxn))), t.p, 0)
				x.eventually("the state is CompleteAbort", func() bool { return t.state().State == "CompleteAbort" })
				never := transactional{x: x, id: x.name("txn")}
				x.code("an id that nobody used", never.state().ErrorCode, codeTransactionalIDNotFound)
			}},
		{name: "txn/listed", key: kmsg.ListTransactions, more: []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn}, says: "ListTransactions lists by state and producer id, and names the states that it does not know.", cites: "KIP-664, KIP-994",
			run: func(x *exam) {
				t, to := x.newTransactional(), x.topic(1)
				x.ok("the partition", t.add(to))
				for _, c := range []struct {
					states []string
					ids    []int64
					want   bool
				}{{nil, nil, true}, {[]string{"Ongoing"}, nil, true}, {[]string{"Empty", "Nonsense"}, nil, false}, {nil, []int64{t.p.id}, true}, {nil, []int64{t.p.id + 1_000_000}, false}} {
					req := kmsg.NewPtrListTransactionsRequest()
					req.StateFilters, req.ProducerIDFilters = c.states, c.ids
					resp := askTxn[*kmsg.ListTransactionsResponse](x, t.id, req)
					x.ok("the answer", resp.ErrorCode)
					has := slices.ContainsFunc(resp.TransactionStates, func(s kmsg.ListTransactionsResponseTransactionState) bool {
						return s.TransactionalID == t.id && s.ProducerID == t.p.id
					})
					equal(x, fmt.Sprintf("with states %v and ids %v it is listed:", c.states, c.ids), has, c.want)
					equal(x, "states that are unknown", len(resp.UnknownStateFilters), len(slices.DeleteFunc(slices.Clone(c.states), func(s string) bool { return s != "Nonsense" })))
				}
			}},
		{name: "txn/markers", key: kmsg.WriteTxnMarkers, more: []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.DescribeProducers}, says: "A marker ends a producer's transaction in a partition; for a partition that does not exist it is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-98, KIP-664",
			run: func(x *exam) {
				t, to := x.newTransactional(), x.topic(1)
				x.ok("the partition", t.add(to))
				t.send(to, 0, 1, min(11, x.cluster.highest(0)), 0)
				t.hides(to, 0)
				x.code("a marker for an unknown topic", t.mark(&topic{name: x.prefix + "never"}, x.leader(to, 0)), codeUnknownTopic)
				x.code("the marker", t.mark(to, x.leader(to, 0)), 0)
				t.shows(to, 0, 1)
			}},
	}
}

// state is what the coordinator tells of the transaction.
func (t *transactional) state() kmsg.DescribeTransactionsResponseTransactionState {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{t.id}
	resp := askTxn[*kmsg.DescribeTransactionsResponse](t.x, t.id, req)
	t.x.count("one transaction in the answer", len(resp.TransactionStates), 1)
	return resp.TransactionStates[0]
}

// mark writes an abort marker for the producer, as an operator does to a hanging transaction.
func (t *transactional) mark(to *topic, leader int32) int16 {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed = t.p.id, t.p.epoch, -1, false
	m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: to.name, Partitions: []int32{0}}}
	req.Markers = append(req.Markers, m)
	resp := askAt[*kmsg.WriteTxnMarkersResponse](t.x, leader, req)
	t.x.must(len(resp.Markers) == 1 && len(resp.Markers[0].Topics) == 1 && len(resp.Markers[0].Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Markers)
	code := resp.Markers[0].Topics[0].Partitions[0].ErrorCode
	if code == codeClusterAuthorization {
		t.x.skip("it is for brokers, and we may not do what they may")
	}
	return code
}
