package broker

import (
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// writeTxnMarkers ends transactions in partitions that this broker leads, for their coordinator or
// for an operator who has found one hanging. v1-2.
func (b *Broker) writeTxnMarkers(r *server.Request) {
	req := r.Body.(*kmsg.WriteTxnMarkersRequest)
	allowed := b.allowedQuietly(r, security.OperationAlter, security.ResourceCluster, security.ClusterName) ||
		b.allowedCluster(r, security.OperationClusterAction)
	results := make([][]txn.MarkerResult, len(req.Markers))
	gather := coord.NewGather(len(req.Markers), func() { r.Reply(markersResponse(req, results)) })
	for i := range req.Markers {
		m := markerOf(&req.Markers[i])
		if !allowed {
			gather.Done(func() { results[i] = repeatMarker(m.Partitions, kerr.ClusterAuthorizationFailed.Code) })
			continue
		}
		b.writeMarker(m, func(rs []txn.MarkerResult) { gather.Done(func() { results[i] = rs }) })
	}
}

func markerOf(in *kmsg.WriteTxnMarkersRequestMarker) txn.Marker {
	m := txn.Marker{
		ProducerID: in.ProducerID, ProducerEpoch: in.ProducerEpoch, CoordinatorEpoch: in.CoordinatorEpoch,
		Commit: in.Committed, TransactionVersion: in.TransactionVersion,
	}
	for _, t := range in.Topics {
		for _, p := range t.Partitions {
			m.Partitions = append(m.Partitions, txn.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return m
}

func repeatMarker(tps []txn.TopicPartition, code int16) []txn.MarkerResult {
	out := make([]txn.MarkerResult, 0, len(tps))
	for _, tp := range tps {
		out = append(out, txn.MarkerResult{Partition: tp, Code: code})
	}
	return out
}

// markersResponse joins what came of the markers, by producer as Kafka does.
func markersResponse(req *kmsg.WriteTxnMarkersRequest, results [][]txn.MarkerResult) *kmsg.WriteTxnMarkersResponse {
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	at := map[int64]int{}
	for i := range req.Markers {
		id := req.Markers[i].ProducerID
		n, ok := at[id]
		if !ok {
			n = len(resp.Markers)
			at[id] = n
			m := kmsg.NewWriteTxnMarkersResponseMarker()
			m.ProducerID = id
			resp.Markers = append(resp.Markers, m)
		}
		for _, r := range results[i] {
			addMarkerResult(&resp.Markers[n], r)
		}
	}
	return resp
}

func addMarkerResult(m *kmsg.WriteTxnMarkersResponseMarker, r txn.MarkerResult) {
	p := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
	p.Partition, p.ErrorCode = r.Partition.Partition, r.Code
	for i := range m.Topics {
		if m.Topics[i].Topic == r.Partition.Topic {
			m.Topics[i].Partitions = append(m.Topics[i].Partitions, p)
			return
		}
	}
	t := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
	t.Topic = r.Partition.Topic
	t.Partitions = append(t.Partitions, p)
	m.Topics = append(m.Topics, t)
}
