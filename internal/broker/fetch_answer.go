package broker

import (
	"errors"
	"slices"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchAnswer builds a Fetch response around ranges of log files: the records go
// from the page cache to the socket and never pass through this process, but for small ranges, which were read when they were found.
type fetchAnswer struct {
	f    *fetching
	resp *kmsg.FetchResponse
	// All partitions of resp in one array, of which each topic has a stretch, and beside them their
	// records, nil where there are none.
	partitions []kmsg.FetchResponseTopicPartition
	slices     []*storage.Slice
	first      []int // by topic: where its stretch begins
}

// newAnswer begins the answer, with room for n partitions.
func (f *fetching) newAnswer(n int) *fetchAnswer {
	a := &f.reply
	a.f, a.resp = f, f.req.ResponseKind().(*kmsg.FetchResponse)
	a.partitions, a.slices = slices.Grow(a.partitions, n), slices.Grow(a.slices, n)
	a.resp.SessionID = f.ctx.sessionID()
	return a
}

// add appends the answer of part i, under its topic's head if that was the last one.
func (a *fetchAnswer) add(i int) {
	k, p := a.f.ctx.keys[i], &a.f.parts[i]
	last := len(a.resp.Topics) - 1
	if last < 0 || a.resp.Topics[last].Topic != k.topic || a.resp.Topics[last].TopicID != k.id {
		t := kmsg.NewFetchResponseTopic()
		t.Topic, t.TopicID = k.topic, k.id
		a.resp.Topics, a.first = append(a.resp.Topics, t), append(a.first, len(a.slices))
		last++
	}
	a.partitions, a.slices = append(a.partitions, kmsg.FetchResponseTopicPartition{}), append(a.slices, p.Slice)
	a.partition(&a.partitions[len(a.partitions)-1], p)
	a.resp.Topics[last].Partitions = a.partitions[a.first[last]:]
}

func (a *fetchAnswer) partition(out *kmsg.FetchResponseTopicPartition, p *replica.FetchPart) {
	out.Default()
	out.Partition, out.ErrorCode = p.TP.Partition, codeAt(p.Err, a.f.r.Version, firstStorageErrorFetch)
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = p.HighWatermark, p.LastStableOffset, p.LogStartOffset
	out.PreferredReadReplica, out.RecordBatches = p.ReadElsewhere(), []byte{}
	if neverRead(p.Err) || a.f.req.IsolationLevel == 1 && p.Err == nil && p.Diverging == nil {
		out.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, 0, len(p.Aborted))
		for _, t := range p.Aborted {
			o := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			o.ProducerID, o.FirstOffset = t.ProducerID, t.FirstOffset
			out.AbortedTransactions = append(out.AbortedTransactions, o)
		}
	}
	if p.Diverging != nil {
		out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = p.Diverging.Epoch, p.Diverging.EndOffset
	}
	if out.ErrorCode == kerr.NotLeaderForPartition.Code || out.ErrorCode == kerr.FencedLeaderEpoch.Code {
		a.hint(out, p)
	}
}

// neverRead tells the errors of a partition that is not looked up in a log at all: only there does
// Kafka say "no aborted transactions" in place of null.
func neverRead(err error) bool {
	return errors.Is(err, replica.ErrUnknownTopicOrPartition) || errors.Is(err, replica.ErrUnknownTopicID) || errors.Is(err, kerr.TopicAuthorizationFailed)
}

// hint names the present leader and, once, its address (KIP-951); the version decides what of it is written.
func (a *fetchAnswer) hint(out *kmsg.FetchResponseTopicPartition, p *replica.FetchPart) {
	leader := a.f.b.leaderHint(a.f.r, p.TP)
	if leader == nil {
		return
	}
	out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = leader.id, leader.epoch
	for _, known := range a.resp.Brokers {
		if known.NodeID == leader.id {
			return
		}
	}
	if leader.reachable {
		n := kmsg.NewFetchResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = leader.id, leader.at.host, leader.at.port, leader.at.rack
		a.resp.Brokers = append(a.resp.Brokers, n)
	}
}

// What the frame of an answer takes for the most part, so that it need not grow.
const (
	answerHeadBytes      = 64
	answerPartitionBytes = 64
)

// parts is the framed body: bytes, and between them the ranges of files.
func (a *fetchAnswer) parts() []server.Part {
	frame := make([]byte, 0, answerHeadBytes+len(a.slices)*answerPartitionBytes)
	frame, gaps := wire.AppendFetchResponse(frame, a.resp, func(topic, partition int) int {
		if s := a.slices[a.first[topic]+partition]; s != nil {
			return int(s.Len)
		}
		return 0
	})
	parts := make([]server.Part, 0, 2*len(gaps)+1)
	from := 0
	for _, g := range gaps {
		s := a.slices[a.first[g.Topic]+g.Partition]
		parts = append(parts, server.Part{Bytes: frame[from:g.At]}, records(s))
		from = g.At
	}
	return append(parts, server.Part{Bytes: frame[from:]})
}

// records is a slice as a part of an answer: its bytes where they were read already.
func records(s *storage.Slice) server.Part {
	if data := s.Data(); data != nil {
		return server.Part{Bytes: data}
	}
	return server.Part{File: s.File, Pos: s.Pos, Len: s.Len, Source: s}
}

// release lets go of the log files; the server calls it when the response has left or never will.
func (a *fetchAnswer) release() {
	for _, s := range a.slices {
		if s != nil {
			s.Release()
		}
	}
	a.f.letGo()
}
