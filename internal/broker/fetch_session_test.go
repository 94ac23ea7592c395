package broker

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reader plays a consumer that uses sessions.
type reader struct {
	t  *testing.T
	s  *fetchSessions
	id int32
}

func (r *reader) request(epoch int32, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	req.SessionID, req.SessionEpoch = r.id, epoch
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	for _, p := range partitions {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset = p, int64(p)*100
		topic.Partitions = append(topic.Partitions, part)
	}
	if len(partitions) > 0 {
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// poll begins a fetch and answers it: has says which partitions have records, hw is everybody's high watermark.
func (r *reader) poll(req *kmsg.FetchRequest, hw int64, has ...int32) (read, told []int32, refused *kerr.Error) {
	r.t.Helper()
	var ctx fetchContext
	if refused := r.s.begin(req, &ctx); refused != nil {
		return nil, nil, refused
	}
	r.id = ctx.sessionID()
	parts := make([]replica.FetchPart, len(ctx.keys))
	for i, k := range ctx.keys {
		read = append(read, k.partition)
		parts[i] = replica.FetchPart{HighWatermark: hw}
		for _, p := range has {
			if p == k.partition {
				parts[i].Slice = &storage.Slice{Len: 1}
			}
		}
	}
	ctx.answers(parts)
	for i, in := range ctx.include {
		if in {
			told = append(told, read[i])
		}
	}
	return read, told, nil
}

func same(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestSessionTellsOnlyWhatIsNew(t *testing.T) {
	r := &reader{t: t, s: newFetchSessions(clock.NewFake(time.Unix(0, 0)), 10)}
	read, told, _ := r.poll(r.request(0, 1, 2, 3), 5)
	if !same(read, []int32{1, 2, 3}) || !same(told, read) || r.id == 0 {
		t.Fatalf("full fetch: read %v told %v session %d", read, told, r.id)
	}
	if read, told, _ = r.poll(r.request(1), 5); len(read) != 3 || len(told) != 0 {
		t.Fatalf("nothing new: read %v told %v", read, told)
	}
	if _, told, _ = r.poll(r.request(2), 5, 1); !same(told, []int32{1}) {
		t.Fatalf("records in 1: told %v", told)
	}
	// What had data goes to the end of the line, so that it cannot starve the others.
	if read, told, _ = r.poll(r.request(3), 6); !same(read, []int32{2, 3, 1}) || len(told) != 3 {
		t.Fatalf("new watermark: read %v told %v", read, told)
	}
	req := r.request(4, 9)
	forgotten := kmsg.NewFetchRequestForgottenTopic()
	forgotten.Topic, forgotten.Partitions = "t", []int32{3}
	req.ForgottenTopics = append(req.ForgottenTopics, forgotten)
	if read, _, _ = r.poll(req, 6); !same(read, []int32{2, 1, 9}) {
		t.Fatalf("one forgotten, one added: read %v", read)
	}
}

func TestSessionRefusals(t *testing.T) {
	r := &reader{t: t, s: newFetchSessions(clock.NewFake(time.Unix(0, 0)), 10)}
	if _, _, _ = r.poll(r.request(0, 1), 5); r.id == 0 {
		t.Fatal("no session")
	}
	id := r.id
	if _, _, e := r.poll(r.request(7), 5); e != kerr.InvalidFetchSessionEpoch {
		t.Fatalf("wrong epoch: %v", e)
	}
	byID := r.request(1)
	byID.SetVersion(13)
	if _, _, e := r.poll(byID, 5); e != kerr.FetchSessionTopicIDError {
		t.Fatalf("names and ids mixed: %v", e)
	}
	r.id = id + 1
	if _, _, e := r.poll(r.request(1), 5); e != kerr.FetchSessionIDNotFound {
		t.Fatalf("wrong id: %v", e)
	}
	r.id = id
	if read, _, _ := r.poll(r.request(-1, 4), 5); !same(read, []int32{4}) || r.id != 0 {
		t.Fatalf("final fetch: read %v, session %d", read, r.id)
	}
	r.id = id
	if _, _, e := r.poll(r.request(2), 5); e != kerr.FetchSessionIDNotFound {
		t.Fatalf("after the end: %v", e)
	}
}

func TestSessionSlotsAreBoundedAndIdleOnesMakeRoom(t *testing.T) {
	c := clock.NewFake(time.Unix(0, 0))
	s := newFetchSessions(c, 2)
	for range 2 {
		r := &reader{t: t, s: s}
		if _, _, _ = r.poll(r.request(0, 1), 5); r.id == 0 {
			t.Fatal("a free slot was not given")
		}
	}
	late := &reader{t: t, s: s}
	if _, _, _ = late.poll(late.request(0, 1), 5); late.id != 0 {
		t.Fatal("a third session in two slots")
	}
	c.Advance(sessionEvictionAge)
	if _, _, _ = late.poll(late.request(0, 1), 5); late.id == 0 {
		t.Fatal("idle sessions were not evicted")
	}
	if n, partitions := s.count(); n != 2 || partitions != 2 {
		t.Fatalf("%d sessions with %d partitions", n, partitions)
	}
}

func TestSessionsNameABoundedNumberOfPartitions(t *testing.T) {
	s := newFetchSessions(clock.NewFake(time.Unix(0, 0)), 10)
	r := &reader{t: t, s: s}
	if _, _, _ = r.poll(r.request(0, 1, 2), 5); r.id == 0 || s.named != 2 {
		t.Fatalf("session %d, %d partitions counted", r.id, s.named)
	}
	s.named = maxSessionPartitions // as if others had taken the rest
	other := &reader{t: t, s: s}
	if _, _, _ = other.poll(other.request(0, 1), 5); other.id != 0 {
		t.Fatal("a session beyond the bound")
	}
	if _, _, e := r.poll(r.request(1, 3), 5); e != kerr.FetchSessionIDNotFound {
		t.Fatalf("a session that grows beyond the bound: %v", e)
	}
	if len(s.byID) != 0 || s.named != maxSessionPartitions-2 {
		t.Fatalf("%d sessions, %d partitions counted", len(s.byID), s.named)
	}
}

// Followers come before consumers: a session of theirs names thousands of partitions.
func TestAFollowerTakesAConsumersSlot(t *testing.T) {
	s := newFetchSessions(clock.NewFake(time.Unix(0, 0)), 1)
	consumer := &reader{t: t, s: s}
	if _, _, _ = consumer.poll(consumer.request(0, 1), 5); consumer.id == 0 {
		t.Fatal("a free slot was not given")
	}
	follower := &reader{t: t, s: s}
	req := follower.request(0, 1)
	req.ReplicaID = 3
	if _, _, _ = follower.poll(req, 5); follower.id == 0 {
		t.Fatal("a follower without a session")
	}
	other := &reader{t: t, s: s}
	req = other.request(0, 1)
	req.ReplicaID = 4
	if _, _, _ = other.poll(req, 5); other.id != 0 {
		t.Fatal("a follower took a follower's slot")
	}
}

// A fetch waits while the reader forgets one of its partitions: the session takes nothing of what that fetch is told for known.
func TestAPartitionIsForgottenWhileAFetchWaits(t *testing.T) {
	r := &reader{t: t, s: newFetchSessions(clock.NewFake(time.Unix(0, 0)), 10)}
	_, _, _ = r.poll(r.request(0, 1, 2), 5)
	var waiting fetchContext
	if refused := r.s.begin(r.request(1), &waiting); refused != nil {
		t.Fatal(refused)
	}
	forget, again := r.request(2), r.request(3, 1)
	topic := kmsg.NewFetchRequestForgottenTopic()
	topic.Topic, topic.Partitions = "t", []int32{1}
	forget.ForgottenTopics = append(forget.ForgottenTopics, topic)
	for _, req := range []*kmsg.FetchRequest{forget, again} {
		if refused := r.s.begin(req, &fetchContext{}); refused != nil {
			t.Fatal(refused)
		}
	}
	waiting.answers([]replica.FetchPart{{HighWatermark: 5, Slice: &storage.Slice{Len: 1}}, {HighWatermark: 5}})
	if !waiting.include[0] || waiting.include[1] {
		t.Fatalf("told: %v", waiting.include)
	}
	if read, told, _ := r.poll(r.request(4), 5); !same(read, []int32{2, 1}) || !same(told, []int32{1}) {
		t.Fatalf("the partition that was named anew: read %v, told %v", read, told)
	}
}

// What is used again has nothing in it of the fetch before, neither in what it shows nor behind it.
func TestTheMemoryOfAFetchIsEmptyWhenItIsUsedAgain(t *testing.T) {
	var pool fetchPool
	f := pool.get()
	f.b = &Broker{}
	f.parts = append(f.parts, replica.FetchPart{Slice: &storage.Slice{Len: 1}})
	f.ctx.keys, f.ctx.incremental, f.answered = append(f.ctx.keys, fetchKey{topic: "t"}), true, true
	f.reply.slices = append(f.reply.slices, f.parts[0].Slice)
	parts, names, slices := f.parts, f.ctx.keys, f.reply.slices
	f.letGo()
	if parts[0].Slice == nil {
		t.Fatal("taken back while the answer is on its way")
	}
	pool.put(f)
	if parts[0].Slice != nil || names[0].topic != "" || slices[0] != nil {
		t.Fatal("what was read is kept alive")
	}
	if next := pool.get(); len(next.parts)+len(next.ctx.keys)+len(next.reply.slices) != 0 || next.answered || next.ctx.incremental || next.holders.Load() != holdersOfAFetch {
		t.Fatalf("%+v", next)
	}
}

// The session of a follower that nobody knows of, since its first answer was lost, is not kept until its slot is wanted.
func TestALostSessionOfAFollowerIsDropped(t *testing.T) {
	c := clock.NewFake(time.Unix(0, 0))
	s := newFetchSessions(c, 10)
	follower := func() {
		r := &reader{t: t, s: s}
		req := r.request(0, 1)
		req.ReplicaID = 2
		if r.poll(req, 5); r.id == 0 {
			t.Fatal("no session")
		}
	}
	follower()
	consumer := &reader{t: t, s: s}
	consumer.poll(consumer.request(0, 1), 5)
	c.Advance(sessionEvictionAge)
	follower()
	if n, _ := s.count(); n != 2 {
		t.Fatalf("%d sessions: of the consumer, of the follower, and of nobody", n)
	}
}
