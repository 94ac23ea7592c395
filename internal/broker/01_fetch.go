package broker

import (
	"slices"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch reads record batches. v4-18: sessions from 7 (KIP-227), inline divergence
// from 12 (KIP-595), topics by id from 13, leader hints from 16 (KIP-951). Replicas of other brokers read to the log's end, and what
// they ask for says what they hold; consumers may read from followers from 11 (KIP-392).
func (b *Broker) fetch(r *server.Request) {
	req := r.Body.(*kmsg.FetchRequest)
	id := fetchReplicaID(req)
	if id >= 0 && !b.allowed(r, security.OperationClusterAction, security.ResourceCluster, security.ClusterName) {
		b.replyFetchError(r, req, kerr.ClusterAuthorizationFailed)
		return
	}
	f := b.fetches.get()
	if refused := b.sessions.begin(req, &f.ctx); refused != nil {
		b.replyFetchError(r, req, refused)
		b.fetches.put(f)
		return
	}
	f.b, f.r, f.req, f.parked, f.img, f.fromReplica = b, r, req, parkedOf(r.Conn), b.Image(), id >= 0
	f.parts = slices.Grow(f.parts, len(f.ctx.keys))[:len(f.ctx.keys)]
	for i := range f.parts {
		f.prepare(i)
	}
	spec := b.fetchSpec(req, id)
	if spec.Session = f.ctx.watch(); spec.Session != nil {
		spec.More = f.more
	}
	if parked := b.replicas.Fetch(spec, f.parts, f.answer); parked != nil {
		f.parked.add(f, parked) // its memory is left to the collector: it was handed around
		return
	}
	f.letGo()
}

// fetchSpec is what a whole request of replica id, or of a consumer, asks for.
func (b *Broker) fetchSpec(req *kmsg.FetchRequest, id int32) replica.FetchSpec {
	maxBytes := int64(req.MaxBytes)
	if id < 0 {
		maxBytes = min(maxBytes, b.conf().Long(config.FetchMaxBytes))
	}
	spec := replica.FetchSpec{
		MaxWait:  millis(max(req.MaxWaitMillis, 0)),
		MinBytes: min(int64(req.MinBytes), maxBytes), // more could never be met
		MaxBytes: maxBytes, FromFollower: req.Version >= firstFromFollower,
	}
	switch {
	case id >= 0:
		spec.Isolation, spec.FromReplica, spec.Replica, spec.ReplicaEpoch = replica.ReadLogEnd, true, id, -1
		if req.Version >= 15 {
			spec.ReplicaEpoch = req.ReplicaState.Epoch
		}
		return spec
	case req.IsolationLevel == 1:
		spec.Isolation = replica.ReadCommitted
	}
	if b.replicas.RackAware() {
		spec.Rack = req.Rack
	}
	return spec
}

// firstFromFollower is the first version whose clients may read from a follower (KIP-392).
const firstFromFollower = 11

// fetchReplicaID is the broker that asks, -1 for a consumer.
func fetchReplicaID(req *kmsg.FetchRequest) int32 {
	if req.Version >= 15 {
		return req.ReplicaState.ID
	}
	return req.ReplicaID
}

// fetching is one fetch request under way.
type fetching struct {
	b     *Broker
	r     *server.Request
	req   *kmsg.FetchRequest
	ctx   fetchContext
	parts []replica.FetchPart // as ctx.keys
	reply fetchAnswer
	// holders are who still needs the memory: the request that is being read, and the answer until it has left.
	holders atomic.Int32

	fromReplica bool
	parked      *parkedFetches // of the connection
	answered    bool           // guarded by parked

	// The topic of the part that was prepared last: partitions of a topic come one after the other.
	img   *meta.Image
	key   fetchKey
	topic *meta.Topic // nil when there is none
	err   error       // why it may not be read
}

// prepare fills part i from the request or the session. What the client may not read, and what does not
// exist, is not handed down: it is answered with the rest, and does not hurry it.
func (f *fetching) prepare(i int) {
	k, want, p := f.ctx.keys[i], &f.ctx.wants[i], &f.parts[i]
	*p = replica.FetchPart{
		TP: storage.TopicPartition{Topic: k.topic, Partition: k.partition}, TopicID: k.id,
		Offset: want.FetchOffset, MaxBytes: int64(want.PartitionMaxBytes),
		LeaderEpoch: want.CurrentLeaderEpoch, LastFetchedEpoch: want.LastFetchedEpoch, ReplicaStart: want.LogStartOffset,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, Watch: f.ctx.watched(i),
	}
	if f.r.Version < 9 {
		p.LeaderEpoch = -1
	}
	if f.r.Version < 12 {
		p.LastFetchedEpoch = -1
	}
	if i == 0 || f.key.topic != k.topic || f.key.id != k.id {
		f.key = k
		f.topic, f.err = f.lookUp(k)
	}
	if f.topic != nil {
		p.TP.Topic = f.topic.Name
	}
	p.Err = f.err
	if p.Err == nil && (k.partition < 0 || int(k.partition) >= len(f.topic.Partitions)) {
		p.Err = replica.ErrUnknownTopicOrPartition
	}
}

// more adds what has become due in a follower's session while its fetch waited.
func (f *fetching) more(due []*replica.Watch) []replica.FetchPart {
	f.ctx.session.mu.Lock()
	f.ctx.readDue(due)
	f.ctx.session.mu.Unlock()
	n := len(f.parts)
	f.img, f.key = f.b.Image(), f.ctx.keys[n]
	f.topic, f.err = f.lookUp(f.key)
	for i := n; i < len(f.ctx.keys); i++ {
		f.parts = append(f.parts, replica.FetchPart{})
		f.prepare(i)
	}
	return f.parts
}

// lookUp finds the topic that k means, and why it may not be read: permission first, where the request gives its name.
func (f *fetching) lookUp(k fetchKey) (t *meta.Topic, err error) {
	name := k.topic
	if f.r.Version >= 13 {
		if t = f.img.TopicByID(k.id); t == nil {
			return nil, replica.ErrUnknownTopicID
		}
		name = t.Name
	} else {
		t = f.img.Topic(name)
	}
	switch {
	case !f.fromReplica && !f.b.allowedTopic(f.r, security.OperationRead, name):
		return t, kerr.TopicAuthorizationFailed
	case t == nil:
		return nil, replica.ErrUnknownTopicOrPartition
	}
	return t, nil
}

// answer runs when there is enough to read, or time is up.
func (f *fetching) answer() {
	f.parked.remove(f)
	f.ctx.answers(f.parts)
	include := f.ctx.include
	n := 0
	for i := range f.parts {
		p := &f.parts[i]
		if f.fromReplica {
			f.b.metrics.replicated(p)
		} else {
			f.b.metrics.fetched(p)
		}
		f.b.tell("read", p.TP, p.Err, true)
		if include[i] { // all that holds records is
			n++
		}
	}
	a := f.newAnswer(n)
	for i := range f.parts {
		if include[i] {
			a.add(i)
		}
	}
	f.r.ReplyParts(a.parts(), a.release)
}

// replyFetchError answers a request whose session is not as it thinks.
func (b *Broker) replyFetchError(r *server.Request, req *kmsg.FetchRequest, err *kerr.Error) {
	if req.Version < 7 { // there is no place for an error of the whole request
		r.CloseConn(err)
		return
	}
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode = err.Code
	r.Reply(resp)
}
