package group

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/coord"
)

// verifyConsumer tells whether replayConsumer could read a value.
func verifyConsumer(k recordKey, value []byte) error {
	var err error
	switch k.kind {
	case keyConsumerGroup:
		_, _, err = parseGroupEpoch(value)
	case keyConsumerMember:
		_, err = parseMemberMetadata(k.member, value)
	case keyConsumerTargetEpoch:
		_, _, err = parseTargetEpoch(value)
	case keyConsumerTarget:
		_, err = parseTarget(value)
	case keyConsumerAssignment:
		err = parseAssignment(&consumerMember{}, value)
	case keyRegex:
		_, err = parseRegex(value)
	}
	return err
}

// isConsumerKind tells whether records of a kind make a consumer group.
func isConsumerKind(kind int16) bool {
	return kind >= keyConsumerGroup && kind <= keyConsumerAssignment || kind == keyRegex
}

// replayConsumer applies a record of a consumer group.
func (s *Shard) replayConsumer(k recordKey, r coord.Record) error {
	g := s.consumers[k.group]
	if r.Value == nil {
		if g != nil {
			s.replayConsumerTombstone(g, k)
		}
		return nil
	}
	if g == nil {
		g = s.newConsumerGroup(k.group)
		s.consumers[k.group] = g
		if c := s.groups[k.group]; c != nil && c.protocolType == "" && len(c.members) == 0 {
			c.unweighAll()
			delete(s.groups, k.group) // it was made up for offsets whose group comes only now
		}
	}
	if err := replayConsumerValue(g, k, r.Value); err != nil {
		g.unreadable = append(g.unreadable, string(r.Key))
		return setAside(err)
	}
	return nil
}

func replayConsumerValue(g *consumerGroup, k recordKey, value []byte) (err error) {
	switch k.kind {
	case keyConsumerGroup:
		epoch, hash, err := parseGroupEpoch(value)
		if err == nil {
			g.epoch, g.metadataHash = epoch, hash
		}
		return err
	case keyConsumerMetadata:
		g.oldMetadata = true
	case keyConsumerMember:
		m, err := parseMemberMetadata(k.member, value)
		if err != nil {
			return err
		}
		if old := g.members[k.member]; old != nil {
			m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = old.epoch, old.previousEpoch, old.state, old.assigned, old.revoking
		}
		g.put(m)
	case keyConsumerTargetEpoch:
		epoch, atMs, err := parseTargetEpoch(value)
		if err == nil {
			g.targetEpoch, g.targetMs = epoch, atMs
		}
		return err
	case keyConsumerTarget:
		a, err := parseTarget(value)
		if err == nil {
			g.target[k.member] = a
		}
		return err
	case keyConsumerAssignment:
		m := &consumerMember{id: k.member}
		if old := g.members[k.member]; old != nil {
			*m = *old
		}
		if err := parseAssignment(m, value); err != nil {
			return err
		}
		g.put(m)
	case keyRegex:
		x, err := parseRegex(value)
		if err == nil {
			g.regexes[k.member] = x
		}
		return err
	default:
		return fmt.Errorf("a record of kind %d is no consumer group's", k.kind)
	}
	return nil
}

func (s *Shard) replayConsumerTombstone(g *consumerGroup, k recordKey) {
	switch k.kind {
	case keyConsumerGroup:
		g.forget()
		delete(s.consumers, k.group)
		if len(s.offsets.byGroup[k.group]) > 0 && s.groups[k.group] == nil {
			s.groups[k.group] = s.newGroup(k.group, -1)
		}
	case keyConsumerMetadata:
		g.oldMetadata = false
	case keyConsumerMember:
		g.drop(k.member)
	case keyConsumerTargetEpoch:
		g.targetEpoch, g.targetMs = 0, 0
	case keyConsumerTarget:
		delete(g.target, k.member)
	case keyConsumerAssignment:
		if old := g.members[k.member]; old != nil {
			m := *old
			m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = leaveEpoch, 0, memberStable, nil, nil
			g.put(&m)
		}
	case keyRegex:
		delete(g.regexes, k.member)
	}
}

// tombstones unmakes the group. The epoch's comes last: it is what ends the group when they are read again.
func (g *consumerGroup) tombstones() []coord.Record {
	var out []coord.Record
	for _, key := range g.unreadable {
		out = append(out, coord.Record{Key: []byte(key)})
	}
	for _, m := range g.sortedMembers() {
		out = append(out, consumerTombstone(keyConsumerAssignment, g.id, m.id))
	}
	for _, id := range sortedKeys(g.target) {
		out = append(out, consumerTombstone(keyConsumerTarget, g.id, id))
	}
	out = append(out, consumerTombstone(keyConsumerTargetEpoch, g.id))
	for _, m := range g.sortedMembers() {
		out = append(out, consumerTombstone(keyConsumerMember, g.id, m.id))
	}
	for _, text := range sortedKeys(g.regexes) {
		out = append(out, consumerTombstone(keyRegex, g.id, text))
	}
	if g.oldMetadata {
		out = append(out, consumerTombstone(keyConsumerMetadata, g.id))
	}
	return append(out, consumerTombstone(keyConsumerGroup, g.id))
}

// loadedConsumers gives every member a session's time to show up. A group of which a record could not be read begins
// anew: its members find that they are not known, give up what they have, and join again.
func (s *Shard) loadedConsumers(t *coord.Turn) {
	for _, id := range sortedKeys(s.consumers) {
		g := s.consumers[id]
		if len(g.unreadable) > 0 {
			t.AllowSplit()
			t.Warn("consumer group begins anew since a record of it cannot be read", "group", id)
			t.Append(g.tombstones()...)
			t.Append(g.epochRecord(g.epoch+1, 0))
			continue
		}
		for _, m := range g.sortedMembers() {
			s.beginTimers(t, g.id, m.id)
		}
	}
}
