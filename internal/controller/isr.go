package controller

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartition takes a leader's word for who is in sync.
func (b *batch) alterPartition(req *kmsg.AlterPartitionRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if _, err := b.brokerAt(req.BrokerID, req.BrokerEpoch); err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	for _, t := range req.Topics {
		outTopic := kmsg.NewAlterPartitionResponseTopic()
		outTopic.Topic, outTopic.TopidID = t.Topic, t.TopicID
		topic := b.img.TopicByID(t.TopicID)
		unknown := kerr.UnknownTopicID
		if req.Version < 2 {
			topic, unknown = b.img.Topic(t.Topic), kerr.UnknownTopicOrPartition
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			out := kmsg.NewAlterPartitionResponseTopicPartition()
			out.Partition = p.Partition
			var err *Error
			if topic == nil {
				err = refusePlain(unknown)
			} else {
				err = b.alterISR(req, topic.ID, p, &out)
			}
			if err != nil {
				out.ErrorCode = err.Code
			}
			outTopic.Partitions = append(outTopic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, outTopic)
	}
	return resp
}

func (b *batch) alterISR(req *kmsg.AlterPartitionRequest, id meta.UUID, ask *kmsg.AlterPartitionRequestTopicPartition, out *kmsg.AlterPartitionResponseTopicPartition) *Error {
	t := b.img.TopicByID(id) // as earlier partitions of this request have made it
	if ask.Partition < 0 || int(ask.Partition) >= len(t.Partitions) {
		return refusePlain(kerr.UnknownTopicOrPartition)
	}
	p := t.Partitions[ask.Partition]
	isr, err := b.checkAlterPartition(req, p, ask)
	if err != nil {
		return err
	}
	c := b.changer(t, ask.Partition)
	c.isr = isr
	c.recovered = ask.LeaderRecoveryState == meta.RecoveryStateRecovered
	if r := c.record(); r != nil {
		b.add(r)
	}
	now := b.img.TopicByID(id).Partitions[ask.Partition]
	out.LeaderID, out.LeaderEpoch, out.ISR = now.Leader, now.LeaderEpoch, now.ISR
	out.LeaderRecoveryState, out.PartitionEpoch = now.RecoveryState, now.PartitionEpoch
	if now.Leader != p.Leader {
		return refusePlain(kerr.NewLeaderElected)
	}
	return nil
}

// checkAlterPartition compares what the leader believes with what is, and returns the ISR that it asks for.
func (b *batch) checkAlterPartition(req *kmsg.AlterPartitionRequest, p *meta.Partition, ask *kmsg.AlterPartitionRequestTopicPartition) ([]int32, *Error) {
	switch {
	case ask.LeaderEpoch > p.LeaderEpoch || ask.PartitionEpoch > p.PartitionEpoch:
		return nil, refusePlain(kerr.NotController) // it has seen more than we have: another controller leads
	case ask.LeaderEpoch < p.LeaderEpoch:
		return nil, refusePlain(kerr.FencedLeaderEpoch)
	case req.BrokerID != p.Leader:
		return nil, refusePlain(kerr.InvalidRequest)
	case ask.PartitionEpoch < p.PartitionEpoch:
		return nil, refusePlain(kerr.InvalidUpdateVersion)
	}
	isr := slices.Clone(ask.NewISR)
	for _, r := range ask.NewEpochISR {
		isr = append(isr, r.BrokerID)
	}
	sorted := slices.Sorted(slices.Values(isr))
	for i, id := range sorted {
		if i > 0 && sorted[i-1] == id || !slices.Contains(p.Replicas, id) {
			return nil, refusePlain(kerr.InvalidRequest)
		}
	}
	if !slices.Contains(isr, p.Leader) {
		return nil, refusePlain(kerr.InvalidRequest)
	}
	if ask.LeaderRecoveryState != meta.RecoveryStateRecovered &&
		(ask.LeaderRecoveryState != meta.RecoveryStateRecovering || len(isr) > 1 || p.RecoveryState == meta.RecoveryStateRecovered) {
		return nil, refusePlain(kerr.InvalidRequest)
	}
	return isr, b.checkEligible(req, p, ask, isr)
}

// checkEligible refuses members that are not fit to be counted on: fenced, leaving, or restarted since the leader saw them.
func (b *batch) checkEligible(req *kmsg.AlterPartitionRequest, p *meta.Partition, ask *kmsg.AlterPartitionRequestTopicPartition, isr []int32) *Error {
	ineligible := kerr.IneligibleReplica
	if req.Version < 2 {
		ineligible = kerr.OperationNotAttempted
	}
	for _, id := range isr {
		if br := b.img.Broker(id); br == nil || !br.Active() || !hasDirectory(br, p.Directory(id)) {
			return refusePlain(ineligible)
		}
	}
	for _, r := range ask.NewEpochISR {
		if r.BrokerEpoch != -1 && b.img.Broker(r.BrokerID).Epoch != r.BrokerEpoch {
			return refusePlain(ineligible)
		}
	}
	return nil
}
