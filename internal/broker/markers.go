package broker

import (
	"errors"
	"sync"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Peers carries requests to other brokers.
type Peers interface {
	// Do sends req to the inter-broker listener of a broker and calls done once, with the answer or with
	// why there is none; not before Do returns, and no later than after the request's time.
	Do(broker int32, req kmsg.Request, done func(kmsg.Response, error))
}

// errNoPeers is the answer of a broker that knows no other.
var errNoPeers = errors.New("this broker has no way to other brokers")

// SendMarkers brings a transaction's marker to the leaders of its partitions; see txn.MarkerSender.
func (b *Broker) SendMarkers(m txn.Marker, done func([]txn.MarkerResult)) {
	img := b.Image()
	var all []txn.MarkerResult
	byLeader := map[int32][]txn.TopicPartition{}
	for _, tp := range m.Partitions {
		p := img.Partition(tp.Topic, tp.Partition)
		switch {
		case p == nil: // its topic was deleted, and the records with it
			all = append(all, txn.MarkerResult{Partition: tp})
		case p.Leader < 0:
			all = append(all, txn.MarkerResult{Partition: tp, Code: kerr.LeaderNotAvailable.Code})
		default:
			byLeader[p.Leader] = append(byLeader[p.Leader], tp)
		}
	}
	gather := coord.NewGather(len(byLeader)+1, func() { done(all) })
	for leader, tps := range byLeader {
		part := m
		part.Partitions = tps
		put := func(rs []txn.MarkerResult) { gather.Done(func() { all = append(all, rs...) }) }
		if leader == b.nodeID {
			go b.writeMarker(part, put) // who calls has moved a high watermark, and others wait for that too
			continue
		}
		b.markers.send(leader, part, put)
	}
	gather.Done(func() {})
}

// writeMarker writes a marker to partitions that this broker should lead.
func (b *Broker) writeMarker(m txn.Marker, done func([]txn.MarkerResult)) {
	results := repeatMarker(m.Partitions, 0)
	var parts []replica.Append
	var of []int // the results of parts
	gather := coord.NewGather(2+len(m.Partitions), func() { done(results) })
	nowMs := clock.Millis(b.clock.Now())
	for i, tp := range m.Partitions {
		if tp.Topic == offsetsTopic {
			b.endGroupTransaction(tp.Partition, m, func(code int16) { gather.Done(func() { results[i].Code = code }) })
			continue
		}
		batch := record.EndTxnBatch(m.ProducerID, m.ProducerEpoch, nowMs, record.EndTxnMarker{Commit: m.Commit, CoordinatorEpoch: m.CoordinatorEpoch})
		parts = append(parts, replica.Append{
			TP: storage.TopicPartition{Topic: tp.Topic, Partition: tp.Partition}, Batches: batch, Origin: storage.FromCoordinator,
			Txn: storage.AppendOptions{TransactionVersion: m.TransactionVersion},
		})
		of = append(of, i)
		gather.Done(func() {})
	}
	b.replicas.Produce(parts, -1, b.conf().Duration(config.RequestTimeoutMs), func() {
		gather.Done(func() {
			for n := range parts {
				results[of[n]].Code = code(parts[n].Err)
			}
		})
	})
	gather.Done(func() {})
}

// endGroupTransaction writes a marker to a partition of the offsets topic, through the coordinator that holds what the
// transaction has committed there.
func (b *Broker) endGroupTransaction(partition int32, m txn.Marker, done func(code int16)) {
	if b.Image().Partition(offsetsTopic, partition) == nil {
		done(kerr.UnknownTopicOrPartition.Code)
		return
	}
	marker := coord.Marker{
		ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch,
		Commit: m.Commit, TransactionVersion: m.TransactionVersion,
	}
	b.groups.EndTransaction(partition, marker, func(err error) { done(markerCode(err)) })
}

// markerCode is how a transaction coordinator, which knows partitions and their leaders, hears of a group coordinator's trouble.
func markerCode(err error) int16 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, coord.ErrProducerFenced):
		return kerr.InvalidProducerEpoch.Code
	case errors.Is(err, coord.ErrCoordinatorFenced):
		return kerr.TransactionCoordinatorFenced.Code
	case errors.Is(err, coord.ErrTimedOut):
		return kerr.RequestTimedOut.Code
	case errors.Is(err, coord.ErrNotEnoughReplicas):
		return kerr.NotEnoughReplicas.Code
	case errors.Is(err, coord.ErrStorage):
		return kerr.KafkaStorageError.Code
	}
	return kerr.NotLeaderForPartition.Code
}

// markerQueues gathers markers for other brokers: one request at a time goes to each, with all that has come meanwhile.
type markerQueues struct {
	peers Peers
	mu    sync.Mutex
	to    map[int32]*markerQueue
}

// markerQueue is what one broker is to be sent, guarded by the mutex of markerQueues.
type markerQueue struct {
	waiting []sentMarker
	busy    bool
}

type sentMarker struct {
	marker txn.Marker
	done   func([]txn.MarkerResult)
}

func (q *markerQueues) send(broker int32, m txn.Marker, done func([]txn.MarkerResult)) {
	q.mu.Lock()
	if q.to == nil {
		q.to = map[int32]*markerQueue{}
	}
	dest := q.to[broker]
	if dest == nil {
		dest = &markerQueue{}
		q.to[broker] = dest
	}
	dest.waiting = append(dest.waiting, sentMarker{m, done})
	busy := dest.busy
	dest.busy = true
	q.mu.Unlock()
	if !busy {
		go q.flush(broker, dest)
	}
}

// maxMarkersPerRequest keeps a request well below every limit on its size.
const maxMarkersPerRequest = 2000

// flush sends what waits; the broker's answer calls it again while there is more.
func (q *markerQueues) flush(broker int32, dest *markerQueue) {
	q.mu.Lock()
	batch := dest.waiting
	if len(batch) > maxMarkersPerRequest {
		batch = batch[:maxMarkersPerRequest:maxMarkersPerRequest]
	}
	dest.waiting = dest.waiting[len(batch):]
	if len(batch) == 0 {
		dest.busy, dest.waiting = false, nil
		q.mu.Unlock()
		return
	}
	q.mu.Unlock()
	answered := func(resp kmsg.Response, err error) {
		settleMarkers(batch, resp, err)
		q.flush(broker, dest)
	}
	if q.peers == nil {
		answered(nil, errNoPeers)
		return
	}
	q.peers.Do(broker, markersRequest(batch), answered)
}

func markersRequest(batch []sentMarker) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, s := range batch {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch = s.marker.ProducerID, s.marker.ProducerEpoch, s.marker.CoordinatorEpoch
		m.Committed, m.TransactionVersion = s.marker.Commit, s.marker.TransactionVersion
		for _, tp := range s.marker.Partitions {
			if n := len(m.Topics); n == 0 || m.Topics[n-1].Topic != tp.Topic {
				t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
				t.Topic = tp.Topic
				m.Topics = append(m.Topics, t)
			}
			last := &m.Topics[len(m.Topics)-1]
			last.Partitions = append(last.Partitions, tp.Partition)
		}
		req.Markers = append(req.Markers, m)
	}
	return req
}

// settleMarkers tells each of batch what came of it; what the answer does not mention is tried again.
func settleMarkers(batch []sentMarker, resp kmsg.Response, err error) {
	type place struct {
		producerID int64
		tp         txn.TopicPartition
	}
	codes := map[place]int16{}
	if r, ok := resp.(*kmsg.WriteTxnMarkersResponse); ok && err == nil {
		for _, m := range r.Markers {
			for _, t := range m.Topics {
				for _, p := range t.Partitions {
					codes[place{m.ProducerID, txn.TopicPartition{Topic: t.Topic, Partition: p.Partition}}] = p.ErrorCode
				}
			}
		}
	}
	for _, s := range batch {
		out := repeatMarker(s.marker.Partitions, kerr.NetworkException.Code)
		for i := range out {
			if code, told := codes[place{s.marker.ProducerID, out[i].Partition}]; told {
				out[i].Code = code
			}
		}
		s.done(out)
	}
}
