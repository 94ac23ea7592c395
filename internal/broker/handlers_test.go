package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func askFor(autoCreate bool, topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = autoCreate
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return req
}

func (r *rig) asked() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.called, ", ")
	r.called = nil
	return s
}

// A topic is created by asking for it when the broker, the client and the authorizer all agree.
func TestTopicsAreCreatedByAskingForThem(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	for _, s := range []struct {
		name    string
		version int16
		req     *kmsg.MetadataRequest
		deny    []string
		want    string
		called  string
	}{
		{"the client does not want it", 9, askFor(false, "a"), nil, "a(0)=UNKNOWN_TOPIC_OR_PARTITION", ""},
		{"the client wants it", 9, askFor(true, "a"), nil, "a(1)=ok", "CreateTopics a"},
		{"it is there already", 9, askFor(true, "a"), nil, "a(1)=ok", ""},
		{"an old client cannot say", 3, askFor(false, "b"), nil, "b(1)=ok", "CreateTopics b"},
		{"named twice", 9, askFor(true, "c", "c"), nil, "c(1)=ok", "CreateTopics c"},
		{"it cannot be named so", 9, askFor(true, "d/d"), nil, "d/d(0)=INVALID_TOPIC_EXCEPTION", ""},
		{"nobody may create", 9, askFor(true, "e"), []string{"CREATE CLUSTER *", "CREATE TOPIC *"}, "e(0)=TOPIC_AUTHORIZATION_FAILED", ""},
		{"nobody may create, nor is asked to", 9, askFor(false, "e"), []string{"CREATE CLUSTER *", "CREATE TOPIC *"}, "e(0)=UNKNOWN_TOPIC_OR_PARTITION", ""},
		{"may create topics, not on the cluster", 9, askFor(true, "f"), []string{"CREATE CLUSTER *"}, "f(1)=ok", "CreateTopics f"},
		{"may create, not see", 9, askFor(true, "g"), []string{"DESCRIBE TOPIC *"}, "g(0)=TOPIC_AUTHORIZATION_FAILED", ""},
		{"all topics", 9, askFor(true), nil, "a(1)=ok b(1)=ok c(1)=ok f(1)=ok", ""},
	} {
		r.rules.deny(s.deny...)
		if got, called := tell(c.call(s.version, s.req)), r.asked(); got != s.want || called != s.called {
			t.Errorf("%s: %s by %q, want %s by %q", s.name, got, called, s.want, s.called)
		}
	}
}

func TestNoTopicIsCreatedWhereTheBrokerForbidsIt(t *testing.T) {
	r := newRig(t, "auto.create.topics.enable=false")
	if got := tell(r.dial().call(9, askFor(true, "a"))); got != "a(0)=UNKNOWN_TOPIC_OR_PARTITION" || r.asked() != "" {
		t.Fatal(got)
	}
}

// The first who looks for a coordinator has the offsets topic made, and is answered when it serves.
func TestFindCoordinatorMakesItsTopic(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g", "h"}
	r.rules.deny("DESCRIBE GROUP *")
	if got := tell(c.call(4, find)); got != "g=GROUP_AUTHORIZATION_FAILED h=GROUP_AUTHORIZATION_FAILED" || r.asked() != "" {
		t.Fatal(got)
	}
	r.rules.deny("DESCRIBE GROUP h")
	if got := tell(c.call(4, find)); got != "g=ok h=GROUP_AUTHORIZATION_FAILED" || r.asked() != "CreateTopics "+offsetsTopic {
		t.Fatal(got)
	}
	find.CoordinatorType = transactionCoordinator
	r.rules.deny("DESCRIBE TRANSACTIONAL_ID *")
	if got := tell(c.call(4, find)); got != "g=TRANSACTIONAL_ID_AUTHORIZATION_FAILED h=TRANSACTIONAL_ID_AUTHORIZATION_FAILED" || r.asked() != "" {
		t.Fatal(got)
	}
	r.rules.deny("DESCRIBE TRANSACTIONAL_ID h")
	if got := tell(c.call(4, find)); got != "g=ok h=TRANSACTIONAL_ID_AUTHORIZATION_FAILED" || r.asked() != "CreateTopics "+transactionsTopic {
		t.Fatal(got)
	}
	find.CoordinatorType = 9
	if got := tell(c.call(4, find)); got != "g=INVALID_REQUEST h=INVALID_REQUEST" {
		t.Fatal(got)
	}
}

func TestApiVersionsOfTheFuture(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "moldau-test", "1"
	resp := c.call(4, req).(*kmsg.ApiVersionsResponse)
	if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(apis) {
		t.Fatalf("%s, %d keys", word(resp.ErrorCode), len(resp.ApiKeys))
	}
	req.ClientSoftwareName = "white space"
	if got := c.call(3, req).(*kmsg.ApiVersionsResponse); got.ErrorCode != kerr.InvalidRequest.Code {
		t.Fatal(word(got.ErrorCode))
	}
	// The answer to a version that is not served has the form of version 0.
	c.send(4, req)
	if _, err := c.receive(req); err != nil {
		t.Fatal(err)
	}
	raw := kmsg.NewRequestFormatter(kmsg.FormatterClientID("x")).AppendRequest(nil, req, 9)
	raw[7] = 77 // the version's low byte
	if _, err := c.nc.Write(raw); err != nil {
		t.Fatal(err)
	}
	old := kmsg.NewPtrApiVersionsRequest()
	old.SetVersion(0)
	got, err := c.receive(old)
	if err != nil {
		t.Fatal(err)
	}
	if v := got.(*kmsg.ApiVersionsResponse); v.ErrorCode != kerr.UnsupportedVersion.Code || len(v.ApiKeys) == 0 {
		t.Fatalf("%+v", v)
	}
}

// acks 0 has no answer: a failure closes the connection, success lets the next request be answered.
func TestProduceWithoutAcks(t *testing.T) {
	r := newRig(t)
	r.create("t", 1)
	c := r.dial()
	good := batchOf(record.BuilderOptions{}, "x")
	c.send(9, produceRequest(0, produceTo("t", 0, good)))
	if got := tell(c.call(9, produceRequest(1, produceTo("t", 0, good)))); got != "t/0=ok@1" {
		t.Fatal(got)
	}
	bad := produceRequest(0, produceTo("nowhere", 0, good))
	c.send(9, bad)
	if _, err := c.receive(bad); !errors.Is(err, io.EOF) {
		t.Fatalf("the connection goes on: %v", err)
	}
}

func poll(topics ...kmsg.FetchRequestTopic) *kmsg.FetchRequest {
	req := fetchRequest(topics...)
	req.MaxWaitMillis = 600_000
	return req
}

// A fetch that waits is answered by a produce of another connection, by deletion, and goes with its own connection.
func TestLongPolls(t *testing.T) {
	r := newRig(t)
	id := r.create("t", 1)
	reader, writer := r.dial(), r.dial()
	req := poll(fetchFrom("t", 0, 0))
	reader.send(11, req)
	time.Sleep(5 * time.Millisecond)
	good := batchOf(record.BuilderOptions{}, "x")
	if got := tell(writer.call(9, produceRequest(-1, produceTo("t", 0, good)))); got != "t/0=ok@0" {
		t.Fatal(got)
	}
	resp, err := reader.receive(req)
	if err != nil || tell(resp) != "t/0=ok records" {
		t.Fatal(resp, err)
	}
	req = poll(fetchFrom("t", 0, 1), fetchFrom("unknown", 0, 0)) // what is unknown does not hurry the rest
	reader.send(11, req)
	time.Sleep(5 * time.Millisecond)
	r.apply(&meta.RemoveTopicRecord{TopicID: id})
	if resp, err = reader.receive(req); err != nil || tell(resp) != "t/0=UNKNOWN_TOPIC_OR_PARTITION hw -1 unknown/0=UNKNOWN_TOPIC_OR_PARTITION hw -1" {
		t.Fatal(resp, err)
	}
	r.create("u", 1)
	reader.send(11, poll(fetchFrom("u", 0, 0)))
	time.Sleep(5 * time.Millisecond)
	_ = reader.nc.Close() // nothing is left of it when the test ends: the leak test looks
}

// Incremental fetches over the wire: only what is new is told.
func TestAFetchSession(t *testing.T) {
	r := newRig(t)
	r.create("t", 2)
	c := r.dial()
	req := fetchRequest(kmsg.FetchRequestTopic{Topic: "t", Partitions: append(fetchFrom("t", 0, 0).Partitions, fetchFrom("t", 1, 0).Partitions...)})
	req.SessionEpoch = 0
	first := c.call(12, req).(*kmsg.FetchResponse)
	if tell(first) != "t/0=ok t/1=ok" || first.SessionID == 0 {
		t.Fatal(tell(first), first.SessionID)
	}
	next := fetchRequest()
	next.SessionID, next.SessionEpoch = first.SessionID, 1
	if got := tell(c.call(12, next)); got != "" {
		t.Fatal(got)
	}
	good := batchOf(record.BuilderOptions{}, "x")
	c.call(9, produceRequest(-1, produceTo("t", 1, good)))
	next.SessionEpoch = 2
	if got := tell(c.call(12, next)); got != "t/1=ok records" {
		t.Fatal(got)
	}
	next.SessionEpoch = 2
	if got := tell(c.call(12, next)); got != "INVALID_FETCH_SESSION_EPOCH" {
		t.Fatal(got)
	}
	replica := fetchRequest(fetchFrom("t", 0, 0))
	replica.ReplicaID = 2
	if got := tell(c.call(12, replica)); got != "t/0=NOT_LEADER_FOR_PARTITION hw -1" { // no replica of the partition
		t.Fatal(got)
	}
	r.rules.deny(fmt.Sprintf("%v %v *", security.OperationClusterAction, security.ResourceCluster))
	if got := tell(c.call(12, replica)); got != "CLUSTER_AUTHORIZATION_FAILED" {
		t.Fatal(got)
	}
}

func TestRecordsOfACompactedTopicAreNotDeleted(t *testing.T) {
	r := newRig(t)
	policy := "compact"
	r.apply(&meta.ConfigRecord{ResourceType: meta.ResourceTopic, ResourceName: "t", Name: "cleanup.policy", Value: &policy})
	r.create("t", 1)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: -1}}}}
	if got := tell(r.dial().call(2, req)); got != "t/0=POLICY_VIOLATION@-1" {
		t.Fatal(got)
	}
}

// When the controller gives no answer, every topic of the request gets one.
func TestTheControllerIsNotThere(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	r.callErr = errors.New("no controller")
	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.TopicNames = []string{"a", "b"}
	if got := tell(c.call(5, drop)); got != "a=NOT_CONTROLLER b=NOT_CONTROLLER" {
		t.Fatal(got)
	}
	if got := tell(c.call(4, kmsg.NewPtrInitProducerIDRequest())); got != "COORDINATOR_LOAD_IN_PROGRESS" {
		t.Fatal(got)
	}
}

// Ids are never given twice, also when a block ends.
func TestProducerIDsAreFresh(t *testing.T) {
	var ids producerIDs
	blocks := int64(0)
	block := func() (int64, int32, error) {
		blocks++
		return blocks * 100, 3, nil
	}
	seen := map[int64]bool{}
	for range 10 {
		id, ok := ids.next()
		if !ok {
			var err error
			if id, err = ids.nextFrom(block); err != nil {
				t.Fatal(err)
			}
		}
		if seen[id] || id%100 >= 3 {
			t.Fatalf("id %d", id)
		}
		seen[id] = true
	}
	if blocks != 4 {
		t.Fatalf("%d blocks", blocks)
	}
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{fmt.Errorf("deep: %w", replica.ErrNotLeader), "NOT_LEADER_FOR_PARTITION"},
		{fmt.Errorf("%w: %w", replica.ErrOffline, storage.ErrStorage), "KAFKA_STORAGE_ERROR"},
		{&storage.InvalidRecordError{Reason: storage.ErrKeylessRecord}, "INVALID_RECORD"},
		{&storage.InvalidRecordError{Reason: storage.ErrInvalidTimestamp}, "INVALID_TIMESTAMP"},
		{fmt.Errorf("x: %w", kerr.TopicAuthorizationFailed), "TOPIC_AUTHORIZATION_FAILED"},
		{context.DeadlineExceeded, "REQUEST_TIMED_OUT"},
		{errors.New("nobody knows"), "UNKNOWN_SERVER_ERROR"},
	} {
		if got := word(code(c.err)); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
	seen := map[error]bool{}
	for _, c := range codes {
		if seen[c.err] {
			t.Errorf("%v stands twice in the list", c.err)
		}
		seen[c.err] = true
	}
	if got := codeAt(storage.ErrStorage, 3, firstStorageErrorProduce); got != kerr.NotLeaderForPartition.Code {
		t.Errorf("an old producer is told %s of a failing disk", word(got))
	}
	if got := codeAt(storage.ErrStorage, 4, firstStorageErrorProduce); got != kerr.KafkaStorageError.Code {
		t.Errorf("a producer is told %s of a failing disk", word(got))
	}
}
