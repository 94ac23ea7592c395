package group

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// The records of consumer groups, each in its only version.

func checkVersion(r *reader, what string) {
	if v := r.int16(); r.err == nil && v != 0 {
		r.err = fmt.Errorf("version %d of %s is not known", v, what)
	}
}

func consumerKey(kind int16, ids ...string) []byte {
	b := appendInt16(nil, kind)
	for _, id := range ids {
		b = appendString(b, id)
	}
	return b
}

func consumerTombstone(kind int16, ids ...string) coord.Record {
	return coord.Record{Key: consumerKey(kind, ids...)}
}

func appendCompactNullable(b []byte, s *string) []byte {
	if s == nil {
		return append(b, 0)
	}
	return appendCompactString(b, *s)
}

func appendCompactLen(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)+1) }

func appendCompactBytes(b, v []byte) []byte {
	return append(appendCompactLen(b, len(v)), v...)
}

// appendTag adds the only tagged field of a struct.
func appendTag(b []byte, tag byte, value []byte) []byte {
	b = append(b, 1, tag)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// epochRecord is the group's epoch and what its topics looked like.
func (g *consumerGroup) epochRecord(epoch int32, hash int64) coord.Record {
	b := appendInt32(appendInt16(nil, 0), epoch)
	if hash == 0 {
		b = append(b, 0)
	} else {
		b = appendTag(b, 0, appendInt64(nil, hash))
	}
	return coord.Record{Key: consumerKey(keyConsumerGroup, g.id), Value: b}
}

func parseGroupEpoch(b []byte) (epoch int32, hash int64, err error) {
	r := &reader{b: b}
	checkVersion(r, "a consumer group's epoch")
	epoch = r.int32()
	r.tags(func(tag int, v *reader) {
		if tag == 0 {
			hash = v.int64()
		}
	})
	return epoch, hash, r.finish("a consumer group's epoch")
}

// metadataRecord is what the member says of itself.
func (m *consumerMember) metadataRecord(group string) coord.Record {
	b := appendInt16(nil, 0)
	b = appendCompactNullable(b, m.instanceID)
	b = appendCompactNullable(b, m.rackID)
	b = appendCompactString(b, m.clientID)
	b = appendCompactString(b, m.clientHost)
	b = appendCompactLen(b, len(m.topics))
	for _, t := range m.topics {
		b = appendCompactString(b, t)
	}
	b = appendCompactString(b, m.regexText())
	b = appendInt32(b, m.rebalanceTimeoutMs)
	b = appendCompactNullable(b, m.assignor)
	if m.classic == nil {
		b = appendTag(b, 0, []byte{0})
	} else {
		v := appendInt32([]byte{1}, m.classic.sessionTimeoutMs)
		v = appendCompactLen(v, len(m.classic.protocols))
		for _, p := range m.classic.protocols {
			v = appendCompactString(v, p.name)
			v = appendCompactBytes(v, p.metadata)
			v = append(v, 0)
		}
		v = append(v, 0)
		b = appendTag(b, 0, v)
	}
	return coord.Record{Key: consumerKey(keyConsumerMember, group, m.id), Value: b}
}

// parseMemberMetadata reads a member without its assignment.
func parseMemberMetadata(id string, b []byte) (*consumerMember, error) {
	r := &reader{b: b}
	checkVersion(r, "a consumer group's member")
	m := &consumerMember{id: id}
	m.instanceID = r.nullableString(true)
	m.rackID = r.nullableString(true)
	m.clientID = r.string(true)
	m.clientHost = r.string(true)
	for n := r.arrayLen(true, 1); n > 0 && r.err == nil; n-- {
		m.topics = append(m.topics, r.string(true))
	}
	m.topics = sortedOnce(m.topics)
	m.regex = r.nullableString(true)
	m.rebalanceTimeoutMs = r.int32()
	m.assignor = r.nullableString(true)
	r.tags(func(tag int, v *reader) {
		if present := v.take(1); tag != 0 || present == nil || present[0] == 0 {
			return
		}
		m.classic = &classicMetadata{sessionTimeoutMs: v.int32()}
		for n := v.arrayLen(true, 3); n > 0 && v.err == nil; n-- {
			m.classic.protocols = append(m.classic.protocols, protocol{name: v.string(true), metadata: v.bytes(true)})
			v.tags(nil)
		}
		v.tags(nil)
	})
	return m, r.finish("a consumer group's member")
}

func sortedOnce(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// targetEpochRecord says up to which epoch of the group the target was computed, and when.
func (g *consumerGroup) targetEpochRecord(epoch int32, atMs int64) coord.Record {
	b := appendInt32(appendInt16(nil, 0), epoch)
	if atMs == 0 {
		b = append(b, 0)
	} else {
		b = appendTag(b, 0, appendInt64(nil, atMs))
	}
	return coord.Record{Key: consumerKey(keyConsumerTargetEpoch, g.id), Value: b}
}

func parseTargetEpoch(b []byte) (epoch int32, atMs int64, err error) {
	r := &reader{b: b}
	checkVersion(r, "a target's epoch")
	epoch = r.int32()
	r.tags(func(tag int, v *reader) {
		if tag == 0 {
			atMs = v.int64()
		}
	})
	return epoch, atMs, r.finish("a target's epoch")
}

func (g *consumerGroup) targetRecord(member string, a assignment) coord.Record {
	b := appendCompactLen(appendInt16(nil, 0), len(a))
	for _, topic := range sortedTopicIDs(a) {
		b = append(b, topic[:]...)
		b = appendPartitions(b, a[topic])
		b = append(b, 0)
	}
	return coord.Record{Key: consumerKey(keyConsumerTarget, g.id, member), Value: append(b, 0)}
}

func appendPartitions(b []byte, partitions []int32) []byte {
	b = appendCompactLen(b, len(partitions))
	for _, p := range partitions {
		b = appendInt32(b, p)
	}
	return b
}

func parseTarget(b []byte) (assignment, error) {
	r := &reader{b: b}
	checkVersion(r, "a target")
	out := assignment{}
	for n := r.arrayLen(true, 18); n > 0 && r.err == nil; n-- {
		topic := r.topicID()
		partitions := r.partitions()
		slices.Sort(partitions)
		if len(partitions) > 0 {
			out[topic] = partitions
		}
		r.tags(nil)
	}
	r.tags(nil)
	return out, r.finish("a target")
}

func (r *reader) topicID() (id topicID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) partitions() []int32 {
	n := r.arrayLen(true, 4)
	out := make([]int32, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		out = append(out, r.int32())
	}
	return out
}

// assignmentRecord is where the member is on its way.
func (m *consumerMember) assignmentRecord(group string) coord.Record {
	b := appendInt16(nil, 0)
	b = appendInt32(b, m.epoch)
	b = appendInt32(b, m.previousEpoch)
	b = append(b, byte(m.state))
	b = appendHolding(b, m.assigned)
	b = appendHolding(b, m.revoking)
	return coord.Record{Key: consumerKey(keyConsumerAssignment, group, m.id), Value: append(b, 0)}
}

func appendHolding(b []byte, h holding) []byte {
	b = appendCompactLen(b, len(h))
	for _, topic := range sortedTopicIDs(h) {
		partitions := sortedKeys(h[topic])
		b = append(b, topic[:]...)
		b = appendPartitions(b, partitions)
		epochs := appendCompactLen(nil, len(partitions))
		for _, p := range partitions {
			epochs = appendInt32(epochs, h[topic][p])
		}
		b = appendTag(b, 0, epochs)
	}
	return b
}

// parseAssignment reads into m, which is the member's own.
func parseAssignment(m *consumerMember, b []byte) error {
	r := &reader{b: b}
	checkVersion(r, "a member's assignment")
	m.epoch = r.int32()
	m.previousEpoch = r.int32()
	if state := r.take(1); state != nil {
		m.state = memberState(state[0])
		if m.state > memberUnreleased {
			m.state = memberUnknown
		}
	}
	m.assigned = r.holding(m.epoch)
	m.revoking = r.holding(m.epoch)
	r.tags(nil)
	return r.finish("a member's assignment")
}

// holding reads partitions; those of brokers before 4.3 come without epochs, and count as given at the member's.
func (r *reader) holding(epoch int32) holding {
	out := holding{}
	for n := r.arrayLen(true, 18); n > 0 && r.err == nil; n-- {
		topic := r.topicID()
		partitions := r.partitions()
		var epochs []int32
		r.tags(func(tag int, v *reader) {
			if tag == 0 {
				epochs = v.partitions()
			}
		})
		for i, p := range partitions {
			given := epoch
			if i < len(epochs) {
				given = epochs[i]
			}
			out.give(topic, p, given)
		}
	}
	return out
}

func (g *consumerGroup) regexRecord(text string, x resolvedRegex) coord.Record {
	b := appendCompactLen(appendInt16(nil, 0), len(x.topics))
	for _, t := range x.topics {
		b = appendCompactString(b, t)
	}
	b = appendInt64(b, x.version)
	b = appendInt64(b, x.atMs)
	return coord.Record{Key: consumerKey(keyRegex, g.id, text), Value: append(b, 0)}
}

func parseRegex(b []byte) (resolvedRegex, error) {
	r := &reader{b: b}
	checkVersion(r, "a resolved regular expression")
	var x resolvedRegex
	for n := r.arrayLen(true, 1); n > 0 && r.err == nil; n-- {
		x.topics = append(x.topics, r.string(true))
	}
	slices.Sort(x.topics)
	x.version = r.int64()
	x.atMs = r.int64()
	r.tags(nil)
	return x, r.finish("a resolved regular expression")
}
