package controller

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of election that a user can ask for.
const (
	electPreferred int8 = 0
	electUnclean   int8 = 1
)

func (b *batch) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	if req.ElectionType != electPreferred && req.ElectionType != electUnclean {
		resp.ErrorCode = kerr.InvalidRequest.Code // the partitions are told as well
	}
	if req.Topics == nil && resp.ErrorCode == 0 {
		b.electAll(req.ElectionType, resp)
		return resp
	}
	for _, t := range req.Topics {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			out.Partitions = append(out.Partitions, electionResult(p, b.electOne(t.Topic, p, req.ElectionType)))
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// electAll asks every partition, and answers for those only that had something to decide.
func (b *batch) electAll(kind int8, resp *kmsg.ElectLeadersResponse) {
	var names []string
	b.img.Topics(func(t *meta.Topic) bool {
		names = append(names, t.Name)
		return true
	})
	for _, name := range names {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = name
		for i := range b.img.Topic(name).Partitions {
			if len(b.records) >= MaxPartitionsPerRequest {
				break
			}
			err := b.electOne(name, int32(i), kind)
			if err == nil || err.Code != kerr.ElectionNotNeeded.Code {
				out.Partitions = append(out.Partitions, electionResult(int32(i), err))
			}
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
}

func electionResult(partition int32, err *Error) kmsg.ElectLeadersResponseTopicPartition {
	out := kmsg.NewElectLeadersResponseTopicPartition()
	out.Partition = partition
	out.ErrorCode, out.ErrorMessage = err.outcome()
	return out
}

func (b *batch) electOne(topic string, partition int32, kind int8) *Error {
	t := b.img.Topic(topic)
	if t == nil {
		return refuse(kerr.UnknownTopicOrPartition, "No such topic as %s", topic)
	}
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return refuse(kerr.UnknownTopicOrPartition, "No such partition as %s-%d", topic, partition)
	}
	p := t.Partitions[partition]
	c := b.changer(t, partition)
	missed := kerr.EligibleLeadersNotAvailable
	switch kind {
	case electPreferred:
		if p.Leader == p.Replicas[0] {
			return refusePlain(kerr.ElectionNotNeeded)
		}
		c.preferred, c.unclean, missed = true, false, kerr.PreferredLeaderNotAvailable
	case electUnclean:
		if p.Leader != meta.NoLeader {
			return refusePlain(kerr.ElectionNotNeeded)
		}
		c.unclean = true
	default:
		return refuse(kerr.InvalidRequest, "Unknown election type %d", kind)
	}
	won := c.elect()
	if won.leader == meta.NoLeader || kind == electPreferred && won.leader != p.Replicas[0] {
		return refusePlain(missed)
	}
	if r := c.record(); r != nil {
		b.add(r)
	}
	return nil
}

// rebalance moves leaders back to the preferred replicas that can lead again.
func (b *batch) rebalance() {
	var changes []*meta.PartitionChangeRecord
	b.eachPartition(func(t *meta.Topic, partition int32, p *meta.Partition) bool {
		home := p.Replicas[0]
		if p.Leader == home || p.Leader == meta.NoLeader || !slices.Contains(p.ISR, home) || !b.mayLead(p, home) {
			return true
		}
		c := b.changer(t, partition)
		c.preferred, c.unclean = true, false
		if r := c.record(); r != nil {
			changes = append(changes, r)
		}
		return len(changes) < maxElectionsPerTick
	})
	b.addChanges(changes)
}

// electLeaderless gives a leader to partitions without one, where their topics allow an unclean one.
func (b *batch) electLeaderless() {
	var changes []*meta.PartitionChangeRecord
	b.eachPartition(func(t *meta.Topic, partition int32, p *meta.Partition) bool {
		if p.Leader == meta.NoLeader && b.uncleanAllowed(t.Name) {
			if r := b.changer(t, partition).record(); r != nil && r.Leader >= 0 {
				changes = append(changes, r)
			}
		}
		return len(changes) < maxElectionsPerTick
	})
	b.addChanges(changes)
}
