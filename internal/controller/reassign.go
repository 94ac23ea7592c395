package controller

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A reassignment (KIP-455) moves a partition in two steps. First the replicas are the wanted ones and those that are
// to go, so that nothing is lost while the new ones copy; once every added one is in sync, changer.complete drops the others.

// alterReassignments begins, changes or cancels the moves of partitions.
func (b *batch) alterReassignments(req *kmsg.AlterPartitionAssignmentsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange || req.Version < 1
	for _, t := range req.Topics {
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = t.Topic
		for i := range t.Partitions {
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition = t.Partitions[i].Partition
			p.ErrorCode, p.ErrorMessage = b.reassign(t.Topic, &t.Partitions[i], resp.AllowReplicationFactorChange).outcome()
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (b *batch) reassign(topic string, ask *kmsg.AlterPartitionAssignmentsRequestTopicPartition, mayResize bool) *Error {
	t := b.img.Topic(topic)
	if t == nil {
		return refuse(kerr.UnknownTopicOrPartition, "Unable to find a topic named %s.", topic)
	}
	if ask.Partition < 0 || int(ask.Partition) >= len(t.Partitions) {
		return refuse(kerr.UnknownTopicOrPartition, "Unable to find partition %s:%d.", topic, ask.Partition)
	}
	if len(b.records) >= MaxPartitionsPerRequest {
		return refuse(kerr.PolicyViolation, "More than %d partitions are moved by one request; ask for the others in another.", MaxPartitionsPerRequest)
	}
	c := b.changer(t, ask.Partition)
	var err *Error
	if ask.Replicas == nil {
		err = b.revert(c, topic)
	} else {
		err = b.aim(c, ask, mayResize)
	}
	if err != nil {
		return err
	}
	if r := c.record(); r != nil {
		b.add(r)
	}
	return nil
}

// aim makes the given replicas the wanted ones.
func (b *batch) aim(c *changer, ask *kmsg.AlterPartitionAssignmentsRequestTopicPartition, mayResize bool) *Error {
	if err := b.checkReplicas(ask.Replicas); err != nil {
		return err
	}
	now := without(c.p.Replicas, -1)
	for _, id := range c.p.Adding { // what was to be until now is neither here nor there
		now = without(now, id)
	}
	if was := len(now); !mayResize && len(ask.Replicas) != was {
		return refuse(kerr.InvalidReplicationFactor, "The replication factor is changed from %d to %d", was, len(ask.Replicas))
	}
	c.replicas, c.adding, c.removing = slices.Clone(ask.Replicas), nil, nil
	for _, id := range ask.Replicas {
		if !slices.Contains(c.p.Replicas, id) {
			c.adding = append(c.adding, id)
		}
	}
	for _, id := range c.p.Replicas {
		if !slices.Contains(ask.Replicas, id) {
			c.removing = append(c.removing, id)
			c.replicas = append(c.replicas, id)
		}
	}
	for _, id := range c.p.Adding { // still on its way
		if slices.Contains(ask.Replicas, id) && !slices.Contains(c.p.ISR, id) {
			c.adding = append(c.adding, id)
		}
	}
	slices.Sort(c.adding)
	slices.Sort(c.removing)
	return nil
}

// checkReplicas checks the replicas that a user wants; brokers that are fenced may be among them.
func (b *batch) checkReplicas(replicas []int32) *Error {
	bad := func(format string, args ...any) *Error { return refuse(kerr.InvalidReplicaAssignment, format, args...) }
	if len(replicas) == 0 {
		return bad("The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		switch {
		case id < 0:
			return bad("The manual partition assignment includes an invalid broker id %d.", id)
		case i > 0 && sorted[i-1] == id:
			return bad("The manual partition assignment includes the broker %d more than once.", id)
		case b.img.Broker(id) == nil:
			return bad("The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
	}
	return nil
}

// revert goes back to the replicas of before the reassignment.
func (b *batch) revert(c *changer, topic string) *Error {
	if len(c.p.Adding) == 0 && len(c.p.Removing) == 0 {
		return refusePlain(kerr.NoReassignmentInProgress)
	}
	c.adding, c.removing = nil, nil
	for _, id := range c.p.Adding {
		c.replicas, c.isr = without(c.replicas, id), without(c.isr, id)
	}
	if len(c.isr) == 0 && len(c.p.ISR) > 0 { // only new replicas are in sync
		if !c.unclean {
			return refuse(kerr.InvalidReplicaAssignment, "Can't revert partition %s-%d because it would require unclean leader election.", topic, c.partition)
		}
		c.isr = c.replicas[:1]
	}
	return nil
}

// complete ends a reassignment when every added replica is in sync: those that were to go are gone.
func (c *changer) complete() {
	if len(c.adding) == 0 && len(c.removing) == 0 {
		return
	}
	replicas, isr := c.replicas, c.isr
	for _, id := range c.removing {
		replicas, isr = without(replicas, id), without(isr, id)
	}
	if len(isr) == 0 {
		return
	}
	for _, id := range c.adding {
		if !slices.Contains(isr, id) {
			return
		}
	}
	c.replicas, c.isr, c.adding, c.removing = replicas, isr, nil, nil
}

// place notes in a record where the partition's replicas are, and which come and go.
func (c *changer) place(r *meta.PartitionChangeRecord) {
	if !slices.Equal(c.adding, c.p.Adding) {
		r.AddingReplicas = nonNil(c.adding)
	}
	if !slices.Equal(c.removing, c.p.Removing) {
		r.RemovingReplicas = nonNil(c.removing)
	}
	if slices.Equal(c.replicas, c.p.Replicas) {
		return
	}
	r.Replicas = slices.Clone(c.replicas)
	if c.directory != nil {
		for _, id := range c.replicas {
			r.Directories = append(r.Directories, c.directory(id))
		}
	}
	if r.Leader != meta.LeaderNoChange {
		return
	}
	for _, id := range c.p.Replicas {
		if !slices.Contains(c.replicas, id) { // the leader must not hear from it any more: a new epoch says so
			r.Leader = c.p.Leader
			return
		}
	}
}

// listReassignments shows the partitions that are being moved.
func (b *batch) listReassignments(req *kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	add := func(t *meta.Topic, wanted func(int32) bool) {
		out := kmsg.NewListPartitionReassignmentsResponseTopic()
		out.Topic = t.Name
		for i, p := range t.Partitions {
			if len(p.Adding) == 0 && len(p.Removing) == 0 || !wanted(int32(i)) {
				continue
			}
			o := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			o.Partition, o.Replicas, o.AddingReplicas, o.RemovingReplicas = int32(i), p.Replicas, p.Adding, p.Removing
			out.Partitions = append(out.Partitions, o)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	if req.Topics == nil {
		b.img.Topics(func(t *meta.Topic) bool {
			add(t, func(int32) bool { return true })
			return true
		})
	}
	for _, want := range req.Topics {
		if t := b.img.Topic(want.Topic); t != nil {
			add(t, func(i int32) bool { return slices.Contains(want.Partitions, i) })
		}
	}
	return resp
}
