package broker

import (
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch reads record batches. v4-18: sessions from 7 (KIP-227), inline divergence
// from 12 (KIP-595), topics by id from 13, leader hints from 16 (KIP-951).
// Readers are consumers: replicas of other brokers are refused until there are any.
func (b *Broker) fetch(r *server.Request) {
	req := r.Body.(*kmsg.FetchRequest)
	if fetchReplicaID(req) >= 0 {
		b.replyFetchError(r, req, kerr.ClusterAuthorizationFailed)
		return
	}
	ctx, refused := b.sessions.begin(req)
	if refused != nil {
		b.replyFetchError(r, req, refused)
		return
	}
	f := &fetching{b: b, r: r, req: req, ctx: ctx, parts: make([]replica.FetchPart, len(ctx.keys))}
	for i := range f.parts {
		f.prepare(i)
	}
	spec := replica.FetchSpec{
		MaxWait:  time.Duration(max(req.MaxWaitMillis, 0)) * time.Millisecond,
		MinBytes: int64(req.MinBytes),
		MaxBytes: int64(min(req.MaxBytes, int32(b.conf().Int(config.FetchMaxBytes)))),
	}
	if req.IsolationLevel == 1 {
		spec.Isolation = replica.ReadCommitted
	}
	if parked := b.replicas.Fetch(spec, f.parts, f.answer); parked != nil {
		parkedOf(r.Conn).add(f, parked)
	}
}

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
	ctx   *fetchContext
	parts []replica.FetchPart // as ctx.keys

	answered bool // guarded by the connection's parkedFetches, once that holds the fetch
}

// prepare fills part i from the request or the session.
func (f *fetching) prepare(i int) {
	k, want, p := f.ctx.keys[i], &f.ctx.wants[i], &f.parts[i]
	*p = replica.FetchPart{
		TP: storage.TopicPartition{Topic: k.topic, Partition: k.partition}, TopicID: k.id,
		Offset: want.FetchOffset, MaxBytes: int64(want.PartitionMaxBytes),
		LeaderEpoch: want.CurrentLeaderEpoch, LastFetchedEpoch: want.LastFetchedEpoch,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
	}
	if f.r.Version < 9 {
		p.LeaderEpoch = -1
	}
	if f.r.Version < 12 {
		p.LastFetchedEpoch = -1
	}
	if f.r.Version >= 13 {
		t := f.b.Image().TopicByID(k.id)
		if t == nil {
			p.Err = replica.ErrUnknownTopicID
			return
		}
		p.TP.Topic = t.Name
	}
	if !f.b.allowedTopic(f.r, security.OperationRead, p.TP.Topic) {
		p.Err = kerr.TopicAuthorizationFailed
	}
}

// answer runs when there is enough to read, or time is up.
func (f *fetching) answer() {
	parkedOf(f.r.Conn).remove(f)
	include := f.ctx.answers(f.parts)
	for i := range f.parts {
		p := &f.parts[i]
		f.b.metrics.fetched(p)
		f.b.tell("read", p.TP, p.Err, true)
		if !include[i] && p.Slice != nil {
			p.Slice.Release()
			p.Slice = nil
		}
	}
	a := fetchAnswer{f: f, resp: f.req.ResponseKind().(*kmsg.FetchResponse)}
	a.resp.SessionID = f.ctx.sessionID()
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
