package group

import (
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of groups that are served, in Kafka's answers.
const (
	classicType  = "classic"
	consumerType = "consumer"
)

// list is the groups that fit the filters; an empty filter fits all.
func (s *Shard) list(states, types []string) []kmsg.ListGroupsResponseGroup {
	var out []kmsg.ListGroupsResponseGroup
	add := func(id, protocolType, state, groupType string) {
		if !matchesStates(state, states) || !matchesTypes(groupType, types) {
			return
		}
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.ProtocolType, g.GroupState, g.GroupType = id, protocolType, state, groupType
		out = append(out, g)
	}
	for _, id := range sortedKeys(s.groups) {
		g := s.groups[id]
		add(id, g.protocolType, g.state.String(), classicType)
	}
	for _, id := range sortedKeys(s.consumers) {
		if s.groups[id] == nil {
			add(id, consumerProtocolType, s.consumers[id].state(), consumerType)
		}
	}
	for _, id := range sortedKeys(s.foreign) {
		if f := s.foreign[id]; s.groups[id] == nil {
			add(id, f.typeName(), f.state(), f.typeName())
		}
	}
	return out
}

func matchesTypes(groupType string, filter []string) bool {
	for _, f := range filter {
		if strings.EqualFold(f, groupType) {
			return true
		}
	}
	return len(filter) == 0
}

// errorMessageVersion is the first version of DescribeGroups that tells a missing group from a dead one.
const errorMessageVersion = 6

// describe is one group as DescribeGroups shows it. Metadata and assignments are shown when the group is stable.
func (s *Shard) describe(id string, version int16) kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group = id
	g := s.groups[id]
	if g == nil {
		d.State = deadState
		if version >= errorMessageVersion {
			text := fmt.Sprintf("Group %s not found.", id)
			if s.exists(id) {
				text = fmt.Sprintf("Group %s is not a classic group.", id)
			}
			d.ErrorCode, d.ErrorMessage = codeGroupIDNotFound, &text
		}
		return d
	}
	d.State, d.ProtocolType = g.state.String(), g.protocolType
	stable := g.state == Stable && g.protocolName != nil
	if stable {
		d.Protocol = *g.protocolName
	}
	for _, m := range g.sorted() {
		dm := kmsg.NewDescribeGroupsResponseGroupMember()
		dm.MemberID, dm.InstanceID, dm.ClientID, dm.ClientHost = m.id, m.instanceID, m.clientID, m.clientHost
		if stable {
			dm.ProtocolMetadata = m.metadata(*g.protocolName)
		}
		dm.MemberAssignment = m.assignment
		d.Members = append(d.Members, dm)
	}
	return d
}

// delete removes a group without members, and its offsets.
func (s *Shard) delete(t *coord.Turn, id string) int16 {
	g, c, f := s.groups[id], s.consumers[id], s.foreign[id]
	switch {
	case g == nil && c == nil && f == nil:
		return codeGroupIDNotFound
	case g != nil && g.state != Empty, c != nil && len(c.members) > 0, f != nil && f.live > 0:
		return codeNonEmptyGroup
	}
	for _, tp := range s.offsets.partitions(id) {
		t.Append(offsetTombstone(id, tp.topic, tp.partition))
	}
	if f != nil {
		t.Append(f.tombstones()...)
	}
	if c != nil {
		t.Append(c.tombstones()...)
	}
	if g != nil {
		t.Append(groupTombstone(id))
	}
	t.Note("group is deleted", "group", id)
	return codeNone
}

// deleteItem is one partition of an OffsetDelete request; code is the answer.
type deleteItem struct {
	topic     string
	partition int32
	code      int16
}

// deleteOffsets forgets offsets of topics that the group does not read.
func (s *Shard) deleteOffsets(t *coord.Turn, id string, items []deleteItem) int16 {
	g, c, f := s.groups[id], s.consumers[id], s.foreign[id]
	switch {
	case g == nil && c == nil && f == nil:
		return codeGroupIDNotFound
	case g != nil && g.state != Empty && !g.isConsumer(), f != nil && f.live > 0:
		return codeNonEmptyGroup
	}
	n := 0
	for i := range items {
		it := &items[i]
		if g != nil && g.isSubscribedTo(it.topic) || c != nil && c.isSubscribedTo(it.topic) {
			it.code = codeGroupSubscribedToTopic
			continue
		}
		_, has := s.offsets.byGroup[id].get(it.topic, it.partition)
		if has || s.offsets.isPending(id, it.topic, it.partition) {
			t.Append(offsetTombstone(id, it.topic, it.partition))
			n++
		}
	}
	t.Then(func(*coord.Turn) { s.counts.OffsetDeletions.Add(n) })
	return codeNone
}

// partitionsDeleted forgets offsets for partitions that no longer exist.
func (s *Shard) partitionsDeleted(t *coord.Turn, gone map[topicPartition]struct{}) {
	t.AllowSplit()
	seen := map[string]struct{}{}
	forget := func(id string) {
		if _, done := seen[id]; done {
			return
		}
		seen[id] = struct{}{}
		for _, tp := range s.offsets.partitions(id) {
			if _, ok := gone[tp]; ok {
				t.Append(offsetTombstone(id, tp.topic, tp.partition))
			}
		}
	}
	for _, id := range sortedKeys(s.offsets.byGroup) {
		forget(id)
	}
	for _, producerID := range sortedKeys(s.offsets.pending) {
		for _, id := range sortedKeys(s.offsets.pending[producerID]) {
			forget(id)
		}
	}
}
