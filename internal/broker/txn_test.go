package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// actor is a transactional producer that sends single requests.
type actor struct {
	*caller
	id    string
	pid   int64
	epoch int16
}

// txnRig is a rig with the topics of both coordinators and a topic t of two partitions.
func txnRig(t *testing.T, overrides ...string) *rig {
	t.Helper()
	r := newRig(t, overrides...)
	r.create(offsetsTopic, 1)
	r.create(transactionsTopic, 1)
	r.create("t", 2)
	return r
}

func (r *rig) actor(id string) *actor {
	r.t.Helper()
	a := &actor{caller: r.dial(), id: id}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
	resp := a.retry(4, req, func(resp kmsg.Response) int16 { return resp.(*kmsg.InitProducerIDResponse).ErrorCode }).(*kmsg.InitProducerIDResponse)
	if resp.ErrorCode != 0 {
		r.t.Fatal(word(resp.ErrorCode))
	}
	a.pid, a.epoch = resp.ProducerID, resp.ProducerEpoch
	return a
}

// retry sends a request until the coordinator has loaded and the transaction before is over.
func (a *actor) retry(version int16, req kmsg.Request, code func(kmsg.Response) int16) kmsg.Response {
	a.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		resp := a.call(version, req)
		busy := slices.Contains([]int16{kerr.CoordinatorLoadInProgress.Code, kerr.ConcurrentTransactions.Code}, code(resp))
		if !busy || time.Now().After(deadline) {
			return resp
		}
	}
}

func (a *actor) produce(version int16, sequence int32) string {
	a.t.Helper()
	batch := batchOf(record.BuilderOptions{HasProducer: true, Transactional: true, ProducerID: a.pid, ProducerEpoch: a.epoch, BaseSequence: sequence}, "x")
	req := produceRequest(-1, produceTo("t", 0, batch))
	req.TransactionID = &a.id
	return tell(a.call(version, req))
}

func (a *actor) add(version int16, partitions ...int32) string {
	a.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = a.id, a.pid, a.epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: partitions}}
	var out []string
	for _, t := range a.call(version, req).(*kmsg.AddPartitionsToTxnResponse).Topics {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s/%d=%s", t.Topic, p.Partition, word(p.ErrorCode)))
		}
	}
	return strings.Join(out, " ")
}

func (a *actor) end(version int16, commit bool) string {
	a.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = a.id, a.pid, a.epoch, commit
	return word(a.call(version, req).(*kmsg.EndTxnResponse).ErrorCode)
}

// Without the right to the transactional id nothing is told and nothing is done; without the right to a
// topic, nothing of the request is.
func TestTransactionsNeedRights(t *testing.T) {
	r := txnRig(t)
	a := r.actor("x")
	r.rules.deny("WRITE TRANSACTIONAL_ID x", "DESCRIBE TRANSACTIONAL_ID x", "CLUSTER_ACTION CLUSTER kafka-cluster", "ALTER CLUSTER kafka-cluster")
	offsets := kmsg.NewPtrAddOffsetsToTxnRequest()
	offsets.TransactionalID, offsets.Group = "x", "g"
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.Group = "x", "g"
	commit.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{}}}}
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"x"}
	markers := kmsg.NewPtrWriteTxnMarkersRequest()
	markers.Markers = []kmsg.WriteTxnMarkersRequestMarker{{Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{0}}}}}
	peer := kmsg.NewPtrAddPartitionsToTxnRequest()
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID = &a.id
	denied := word(kerr.TransactionalIDAuthorizationFailed.Code)
	for what, got := range map[string]string{
		"add":         strings.TrimPrefix(a.add(3, 0), "t/0="),
		"end":         a.end(4, true),
		"produce":     strings.TrimPrefix(a.produce(9, 0), "t/0="),
		"init":        word(a.call(4, init).(*kmsg.InitProducerIDResponse).ErrorCode),
		"add offsets": word(a.call(3, offsets).(*kmsg.AddOffsetsToTxnResponse).ErrorCode),
		"commit":      word(a.call(3, commit).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode),
		"describe":    word(a.call(0, describe).(*kmsg.DescribeTransactionsResponse).TransactionStates[0].ErrorCode),
	} {
		if got != denied {
			t.Errorf("%s: %s", what, got)
		}
	}
	if n := len(a.call(0, kmsg.NewPtrListTransactionsRequest()).(*kmsg.ListTransactionsResponse).TransactionStates); n != 0 {
		t.Errorf("%d transactions are shown", n)
	}
	if got := word(a.call(1, markers).(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode); got != "CLUSTER_AUTHORIZATION_FAILED" {
		t.Errorf("markers: %s", got)
	}
	if got := word(a.call(4, peer).(*kmsg.AddPartitionsToTxnResponse).ErrorCode); got != "CLUSTER_AUTHORIZATION_FAILED" {
		t.Errorf("a peer's add: %s", got)
	}
	r.rules.deny("WRITE TOPIC t", "READ GROUP g", "DESCRIBE TOPIC t")
	if got := a.add(3, 0); got != "t/0=TOPIC_AUTHORIZATION_FAILED" {
		t.Error(got)
	}
	if got := word(a.call(3, offsets).(*kmsg.AddOffsetsToTxnResponse).ErrorCode); got != "GROUP_AUTHORIZATION_FAILED" {
		t.Error(got)
	}
	if got := word(a.call(3, commit).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); got != "GROUP_AUTHORIZATION_FAILED" {
		t.Error(got)
	}
	r.rules.deny("READ TOPIC t")
	if got := word(a.call(3, commit).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); got != "TOPIC_AUTHORIZATION_FAILED" {
		t.Error(got)
	}
	r.rules.deny()
	if got := a.add(3, 0, 7); got != "t/0=OPERATION_NOT_ATTEMPTED t/7=UNKNOWN_TOPIC_OR_PARTITION" {
		t.Error(got)
	}
	if got := a.add(3, 0); got != "t/0=ok" {
		t.Error(got)
	}
	r.rules.deny("DESCRIBE TOPIC t")
	if got := a.call(0, describe).(*kmsg.DescribeTransactionsResponse).TransactionStates[0]; got.State != "Ongoing" || len(got.Topics) != 0 {
		t.Errorf("%+v", got)
	}
}

// Records in the connection's buffer are overwritten by the next request while the coordinator is asked about
// the first: what is appended must be what was sent.
func TestRecordsThatWaitForTheirCoordinatorAreKept(t *testing.T) {
	r := txnRig(t)
	a := r.actor("x")
	for i := range int32(20) {
		batch := batchOf(record.BuilderOptions{HasProducer: true, Transactional: true, ProducerID: a.pid, ProducerEpoch: a.epoch, BaseSequence: i}, fmt.Sprintf("value %d", i))
		req := produceRequest(-1, produceTo("t", 0, batch))
		req.TransactionID = &a.id
		a.send(12, req)
	}
	appended := 0
	for range 20 {
		resp, err := a.receive(kmsgVersioned(produceRequest(-1), 12))
		if err != nil {
			t.Fatal(err)
		}
		switch got := tell(resp); {
		case strings.Contains(got, "=ok"):
			appended++
		case !strings.Contains(got, "OUT_OF_ORDER"): // overtaken: its client sends it again
			t.Fatal(got)
		}
	}
	if appended == 0 {
		t.Fatal("nothing was appended")
	}
	values := 0
	_, _, err := r.replicas.ReadAll(storage.TopicPartition{Topic: "t"}, func(b []byte) error {
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err == nil {
				err = batch.Validate()
			}
			if err != nil {
				return err
			}
			b = rest
			values++
		}
		return nil
	})
	if err != nil || values != appended {
		t.Fatalf("%d batches in the log, %d acknowledged: %v", values, appended, err)
	}
}

func kmsgVersioned(req kmsg.Request, version int16) kmsg.Request {
	req.SetVersion(version)
	return req
}

// peersTwin is another broker that answers as it is told.
type peersTwin struct {
	requests []kmsg.Request
	answer   func(kmsg.Request) (kmsg.Response, error)
}

func (p *peersTwin) Do(_ int32, req kmsg.Request, done func(kmsg.Response, error)) {
	p.requests = append(p.requests, req)
	go func() { done(p.answer(req)) }()
}

// Markers for another broker's partitions go there in one request at a time, and what it does not
// confirm is reported as not written.
func TestMarkersForAnotherBroker(t *testing.T) {
	started, release := make(chan struct{}, 9), make(chan struct{})
	peers := &peersTwin{answer: func(req kmsg.Request) (kmsg.Response, error) {
		started <- struct{}{}
		<-release
		resp := kmsg.NewPtrWriteTxnMarkersResponse()
		for _, m := range req.(*kmsg.WriteTxnMarkersRequest).Markers {
			out := kmsg.NewWriteTxnMarkersResponseMarker()
			out.ProducerID = m.ProducerID
			out.Topics = []kmsg.WriteTxnMarkersResponseMarkerTopic{{Topic: "t", Partitions: []kmsg.WriteTxnMarkersResponseMarkerTopicPartition{{Partition: 0}}}}
			resp.Markers = append(resp.Markers, out)
		}
		return resp, nil
	}}
	q := &markerQueues{peers: peers}
	results := make(chan string, 9)
	send := func(pid int64) {
		q.send(2, txn.Marker{ProducerID: pid, Partitions: []txn.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}}}, func(rs []txn.MarkerResult) {
			results <- fmt.Sprint(pid, " ", word(rs[0].Code), " ", word(rs[1].Code))
		})
	}
	send(1)
	<-started
	send(2)
	send(3)
	close(release)
	var got []string
	for range 3 {
		got = append(got, <-results)
	}
	slices.Sort(got)
	if want := []string{"1 ok NETWORK_EXCEPTION", "2 ok NETWORK_EXCEPTION", "3 ok NETWORK_EXCEPTION"}; !slices.Equal(got, want) {
		t.Fatal(got)
	}
	if n := len(peers.requests); n != 2 {
		t.Fatalf("%d requests", n)
	}
}

// A coordinator's answer about partitions, as a produce hears it.
func TestWhatAPeerSaysOfPartitions(t *testing.T) {
	tps := []txn.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}}
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	resp.Transactions = []kmsg.AddPartitionsToTxnResponseTransaction{{Topics: addResults(tps[:1], []int16{kerr.ProducerFenced.Code})}}
	for _, c := range []struct {
		resp kmsg.Response
		err  error
		code int16
		want string
	}{
		{resp, nil, 0, "PRODUCER_FENCED NETWORK_EXCEPTION"},
		{nil, errNoPeers, 0, "NETWORK_EXCEPTION NETWORK_EXCEPTION"},
		{resp, nil, kerr.ClusterAuthorizationFailed.Code, "INVALID_TXN_STATE INVALID_TXN_STATE"},
		{resp, nil, kerr.CoordinatorLoadInProgress.Code, "COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_LOAD_IN_PROGRESS"},
	} {
		resp.ErrorCode = c.code
		codes := peerCodes(tps, c.resp, c.err)
		if got := word(codes[0]) + " " + word(codes[1]); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// What the coordinator says of a partition is told in the words that a producer of each version knows.
func TestRefusalsOfUnverifiedRecords(t *testing.T) {
	for _, c := range []struct {
		adds, abortable bool
		code            *kerr.Error
		want            *kerr.Error
	}{
		{false, false, kerr.TransactionAbortable, kerr.InvalidTxnState},
		{false, true, kerr.TransactionAbortable, kerr.TransactionAbortable},
		{false, true, kerr.ConcurrentTransactions, kerr.NotEnoughReplicas},
		{true, true, kerr.ConcurrentTransactions, kerr.ConcurrentTransactions},
		{true, true, kerr.NotCoordinator, kerr.NotEnoughReplicas},
		{true, true, kerr.NetworkException, kerr.NotEnoughReplicas},
		{true, true, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
		{true, true, kerr.InvalidProducerIDMapping, kerr.InvalidProducerIDMapping},
	} {
		v := &verifying{adds: c.adds, abortable: c.abortable}
		p := &verifyPart{code: v.understood(c.code.Code)}
		if got := code(v.refusal(p)); got != c.want.Code {
			t.Errorf("%s with adds %t: %s, want %s", c.code.Message, c.adds, word(got), c.want.Message)
		}
	}
}
