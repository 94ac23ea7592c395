package node

import (
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Image is the metadata as this node has it, nil while it has none. A simulation compares nodes by it.
func (n *Node) Image() *meta.Image {
	if n.metadata == nil {
		return nil
	}
	return n.metadata.Image()
}

// ActiveController is who leads the quorum as far as this node knows, -1 when it does not, and since which epoch.
func (n *Node) ActiveController() (id, epoch int32) {
	if n.cluster == nil || n.cluster.leader == nil {
		return -1, -1
	}
	return n.cluster.leader.Leader()
}

// Replica is the state of a partition on this node; false when it has none.
func (n *Node) Replica(tp storage.TopicPartition) (replica.State, bool) {
	if n.replicas == nil {
		return replica.State{}, false
	}
	p, err := n.replicas.Partition(tp)
	if err != nil {
		return replica.State{}, false
	}
	return p.State(), true
}
