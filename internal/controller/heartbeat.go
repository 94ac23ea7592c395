package controller

import (
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker's life, moved by its heartbeats and by their absence:
//
//	registered, fenced --has read its own registration--> active --wants to stop--> controlled shutdown
//	      ^                                                  |                             |
//	      +------------- silent, or wants it ----------------+    no leadership left, and all others know: may stop, fenced
//
// A cluster's only broker is fenced at once and keeps its leaderships: see alone.
func (b *batch) heartbeat(req *kmsg.BrokerHeartbeatRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	resp.IsFenced = true
	br, err := b.brokerAt(req.BrokerID, req.BrokerEpoch)
	if err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	c := b.contactOf(br.ID, b.Now)
	c.last, c.lost, c.heard = b.Now, time.Time{}, true
	c.metadataOffset = req.CurrentMetadataOffset
	resp.IsCaughtUp = req.CurrentMetadataOffset >= br.Epoch
	b.directories(br, req)
	switch {
	case br.Fenced && req.WantShutdown:
		resp.ShouldShutdown = true
	case br.Fenced:
		if !req.WantFence && resp.IsCaughtUp {
			b.unfence(br)
		}
	case req.WantShutdown && b.alone(br.ID):
		b.noteFenced(br)
		resp.ShouldShutdown = true
	case req.WantShutdown && !br.InControlledShutdown && b.leads(br.ID):
		b.startShutdown(br, c)
	case req.WantShutdown && (!br.InControlledShutdown || !b.leads(br.ID) && c.shutdownOffset <= b.lowestOffset()):
		b.fence(br)
		resp.ShouldShutdown = true
	case req.WantFence && !req.WantShutdown:
		b.fence(br)
	}
	now := b.img.Broker(br.ID)
	resp.IsFenced = now.Fenced
	return resp
}

func (b *batch) brokerAt(id int32, epoch int64) (*meta.Broker, *Error) {
	br := b.img.Broker(id)
	if br == nil {
		return nil, refuse(kerr.BrokerIDNotRegistered, "Broker ID %d is not currently registered", id)
	}
	if br.Epoch != epoch {
		return nil, refuse(kerr.StaleBrokerEpoch, "Expected broker epoch %d, but got %d", br.Epoch, epoch)
	}
	return br, nil
}

func (b *batch) unfence(br *meta.Broker) {
	b.add(&meta.BrokerRegistrationChangeRecord{BrokerID: br.ID, BrokerEpoch: br.Epoch, Fenced: -1})
	b.brokerBack(br.ID)
}

func (b *batch) fence(br *meta.Broker) {
	b.brokerGone(br.ID, false)
	b.noteFenced(br)
}

func (b *batch) noteFenced(br *meta.Broker) {
	b.add(&meta.BrokerRegistrationChangeRecord{BrokerID: br.ID, BrokerEpoch: br.Epoch, Fenced: 1})
}

// startShutdown moves the broker's leaderships away while it still serves.
func (b *batch) startShutdown(br *meta.Broker, c *contact) {
	b.add(&meta.BrokerRegistrationChangeRecord{BrokerID: br.ID, BrokerEpoch: br.Epoch, InControlledShutdown: 1})
	b.brokerGone(br.ID, false)
	c.shutdownOffset = b.nextOffset() - 1
}

// lowestOffset is up to where every active broker has read the metadata: before a broker that shuts down has said
// goodbye to all of them, clients would be sent to it.
func (b *batch) lowestOffset() int64 {
	low := int64(1<<63 - 1)
	for _, br := range b.img.Brokers() {
		if br.Active() {
			low = min(low, b.contactOf(br.ID, b.Now).metadataOffset)
		}
	}
	return low
}

// directories takes what a heartbeat tells of log directories: those that failed, and those closed to new replicas.
func (b *batch) directories(br *meta.Broker, req *kmsg.BrokerHeartbeatRequest) {
	r := &meta.BrokerRegistrationChangeRecord{BrokerID: br.ID, BrokerEpoch: br.Epoch}
	if len(req.OfflineLogDirs) > 0 {
		online := slices.DeleteFunc(slices.Clone(br.LogDirs), func(d meta.UUID) bool { return slices.Contains(req.OfflineLogDirs, d) })
		if len(online) < len(br.LogDirs) && len(online) > 0 {
			r.LogDirs = online
		}
	}
	if req.CordonedLogDirs != nil && (br.CordonedLogDirs == nil || !slices.Equal(req.CordonedLogDirs, br.CordonedLogDirs)) && b.img.MetadataVersion() >= levelCordoned {
		r.CordonedLogDirs = slices.Clone(req.CordonedLogDirs)
	}
	if r.LogDirs == nil && r.CordonedLogDirs == nil {
		return
	}
	b.add(r)
	if r.LogDirs == nil {
		return
	}
	var changes []*meta.PartitionChangeRecord
	b.eachPartition(func(t *meta.Topic, partition int32, p *meta.Partition) bool {
		lost := slices.Contains(req.OfflineLogDirs, p.Directory(br.ID))
		if !lost || !slices.Contains(p.ISR, br.ID) && p.Leader != br.ID {
			return true
		}
		c := b.changer(t, partition)
		c.isr = without(c.isr, br.ID)
		if r := c.record(); r != nil {
			changes = append(changes, r)
		}
		return true
	})
	b.addChanges(changes)
}

// levelCordoned is 4.3-IV0, which brought log directories that take no new replicas.
const levelCordoned int16 = 30

// assignReplicasToDirs takes a broker's word for where its replicas lie.
func (b *batch) assignReplicasToDirs(req *kmsg.AssignReplicasToDirsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AssignReplicasToDirsResponse)
	br, err := b.brokerAt(req.BrokerID, req.BrokerEpoch)
	if err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	for _, d := range req.Directories {
		outDir := kmsg.NewAssignReplicasToDirsResponseDirectory()
		outDir.ID = d.ID
		for _, t := range d.Topics {
			outTopic := kmsg.NewAssignReplicasToDirsResponseDirectoryTopic()
			outTopic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				outPart := kmsg.NewAssignReplicasToDirsResponseDirectoryTopicPartition()
				outPart.Partition = p.Partition
				if err := b.assignDirectory(br, d.ID, t.TopicID, p.Partition); err != nil {
					outPart.ErrorCode = err.Code
				}
				outTopic.Partitions = append(outTopic.Partitions, outPart)
			}
			outDir.Topics = append(outDir.Topics, outTopic)
		}
		resp.Directories = append(resp.Directories, outDir)
	}
	return resp
}

func (b *batch) assignDirectory(br *meta.Broker, dir, topicID meta.UUID, partition int32) *Error {
	t := b.img.TopicByID(topicID)
	if t == nil {
		return refusePlain(kerr.UnknownTopicID)
	}
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return refusePlain(kerr.UnknownTopicOrPartition)
	}
	p := t.Partitions[partition]
	i := slices.Index(p.Replicas, br.ID)
	if i < 0 {
		return refusePlain(kerr.NotLeaderForPartition)
	}
	if p.Directory(br.ID) != dir {
		r := meta.NewPartitionChange(t.ID, partition)
		r.Directories = make([]meta.UUID, len(p.Replicas)) // records from before directories were told have none
		for j, replica := range p.Replicas {
			r.Directories[j] = p.Directory(replica)
		}
		r.Directories[i] = dir
		b.add(r)
	}
	if dir == meta.LostDir() || !hasDirectory(br, dir) {
		c := b.changer(t, partition)
		c.p = b.img.TopicByID(topicID).Partitions[partition]
		c.isr = without(c.isr, br.ID)
		may := c.acceptable
		c.acceptable = func(other int32) bool { return other != br.ID && may(other) }
		if r := c.record(); r != nil {
			b.add(r)
		}
	}
	return nil
}
