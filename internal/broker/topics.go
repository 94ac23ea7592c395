package broker

import (
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
)

// The topics that belong to the cluster itself.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
	shareTopic        = "__share_group_state"
)

func isInternal(topic string) bool {
	return topic == offsetsTopic || topic == transactionsTopic || topic == shareTopic
}

// partitionOf finds a partition in an image; nil when it is not there.
func partitionOf(img *meta.Image, tp storage.TopicPartition) *meta.Partition {
	return img.Partition(tp.Topic, tp.Partition)
}

// endpoint is where clients of a listener reach a broker.
type endpoint struct {
	host string
	port int32
	rack *string
}

// endpoint finds the address of a live broker on a listener.
func (b *Broker) endpoint(id int32, listener string) (endpoint, bool) {
	n := b.Image().Broker(id)
	if n == nil || n.Fenced {
		return endpoint{}, false
	}
	return endpointOf(n, listener)
}

func endpointOf(n *meta.Broker, listener string) (endpoint, bool) {
	e, ok := n.Listener(listener)
	return endpoint{host: e.Host, port: int32(e.Port), rack: n.Rack}, ok
}

// offlineReplicas are the replicas of a partition whose broker is fenced or unknown.
func offlineReplicas(img *meta.Image, p *meta.Partition) []int32 {
	offline := []int32{}
	for _, id := range p.Replicas {
		if n := img.Broker(id); n == nil || n.Fenced {
			offline = append(offline, id)
		}
	}
	return offline
}

// hintedLeader is the leader that a client should have asked.
type hintedLeader struct {
	id, epoch int32
	at        endpoint
	reachable bool // at is known for the client's listener
}

// leaderHint is the leader of tp as this broker knows it; nil when there is none.
func (b *Broker) leaderHint(r *server.Request, tp storage.TopicPartition) *hintedLeader {
	p := partitionOf(b.Image(), tp)
	if p == nil || p.Leader < 0 {
		return nil
	}
	h := &hintedLeader{id: p.Leader, epoch: p.LeaderEpoch}
	h.at, h.reachable = b.endpoint(p.Leader, r.Conn.Listener())
	return h
}
