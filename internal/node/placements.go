package node

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxPlacements is how many replicas one request to the controller places, as in Kafka.
const maxPlacements = 2250

// replicaOf names a replica of this broker.
type replicaOf struct {
	topicID   [16]byte
	partition int32
}

// placements are the replicas of which the controller has yet to hear in which log directory they lie.
type placements struct {
	wake chan struct{} // holds one while there is something to tell

	mu      sync.Mutex
	pending map[replicaOf][16]byte // directory id
}

func newPlacements() *placements {
	return &placements{wake: make(chan struct{}, 1), pending: make(map[replicaOf][16]byte)}
}

// note takes one up; it does not block.
func (p *placements) note(topicID [16]byte, partition int32, dir [16]byte) {
	p.mu.Lock()
	p.pending[replicaOf{topicID, partition}] = dir
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take moves some of what is pending out.
func (p *placements) take() map[replicaOf][16]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[replicaOf][16]byte, min(len(p.pending), maxPlacements))
	for r, dir := range p.pending {
		if len(out) == maxPlacements {
			break
		}
		out[r] = dir
		delete(p.pending, r)
	}
	return out
}

// putBack is for what could not be told; what is newer stays.
func (p *placements) putBack(all map[replicaOf][16]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, dir := range all {
		if _, newer := p.pending[r]; !newer {
			p.pending[r] = dir
		}
	}
}

// placementRequest tells the controller of these.
func placementRequest(all map[replicaOf][16]byte) *kmsg.AssignReplicasToDirsRequest {
	byDir := make(map[[16]byte]map[[16]byte][]int32)
	for r, dir := range all {
		if byDir[dir] == nil {
			byDir[dir] = make(map[[16]byte][]int32)
		}
		byDir[dir][r.topicID] = append(byDir[dir][r.topicID], r.partition)
	}
	req := kmsg.NewPtrAssignReplicasToDirsRequest()
	for dir, topics := range byDir {
		d := kmsg.NewAssignReplicasToDirsRequestDirectory()
		d.ID = dir
		for id, partitions := range topics {
			t := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
			t.TopicID = id
			for _, i := range partitions {
				part := kmsg.NewAssignReplicasToDirsRequestDirectoryTopicPartition()
				part.Partition = i
				t.Partitions = append(t.Partitions, part)
			}
			d.Topics = append(d.Topics, t)
		}
		req.Directories = append(req.Directories, d)
	}
	return req
}

// place tells the controller of placements until the node stops. What it refuses for one partition, such as a topic
// that is gone, is not tried again: the next image asks anew where that is right.
func (m *membership) place() {
	defer m.done.Done()
	p := m.n.placements
	for {
		select {
		case <-m.stopped:
			return
		case <-p.wake:
		}
		for all := p.take(); len(all) > 0; all = p.take() {
			err := m.tellPlacements(all)
			if err == nil {
				continue
			}
			p.putBack(all)
			m.n.o.Logger.Warn("cannot tell the controller yet in which log directories replicas lie", "replicas", len(all), "cause", err)
			select {
			case <-m.stopped:
				return
			case <-m.after(registrationRetry):
			}
		}
	}
}

func (m *membership) tellPlacements(all map[replicaOf][16]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), m.interval)
	defer cancel()
	req := placementRequest(all)
	req.BrokerID, req.BrokerEpoch = m.n.id, m.brokerEpoch()
	resp, err := m.call(ctx, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.AssignReplicasToDirsResponse).ErrorCode)
}
