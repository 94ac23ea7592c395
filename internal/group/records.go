package group

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Types of keys in __consumer_offsets. Those from 3 on belong to the newer group
// protocols; their first field is the group id too.
const (
	keyLegacyOffset  int16 = 0
	keyOffset        int16 = 1
	keyGroup         int16 = 2
	keyConsumerGroup int16 = 3

	keyConsumerMetadata    int16 = 4 // what its topics looked like; written before 4.1
	keyConsumerMember      int16 = 5
	keyConsumerTargetEpoch int16 = 6
	keyConsumerTarget      int16 = 7
	keyConsumerAssignment  int16 = 8

	keyShareMember   int16 = 10
	keyShareGroup    int16 = 11
	keyRegex         int16 = 16 // a consumer group's regular expression
	keyStreamsGroup  int16 = 17
	keyStreamsMember int16 = 19
	keyLast          int16 = 23
)

// Versions that are written: what Kafka 4.3 writes.
const (
	groupValueVersion         int16 = 3
	offsetValueVersion        int16 = 4
	offsetValueExpiresVersion int16 = 1 // with an expiry of its own, which only version 1 can carry
)

// recordKey is a decoded key.
type recordKey struct {
	kind      int16
	group     string
	topic     string // offsets
	partition int32  // offsets
	member    string // consumer groups; the regular expression in the key of one
}

func parseKey(b []byte) (recordKey, error) {
	r := &reader{b: b}
	k := recordKey{kind: r.int16()}
	if r.err == nil && (k.kind < 0 || k.kind > keyLast) {
		return k, nil // a later Kafka's: nothing more is known of it
	}
	k.group = r.string(false)
	if k.kind == keyLegacyOffset || k.kind == keyOffset {
		k.topic = r.string(false)
		k.partition = r.int32()
	}
	switch k.kind {
	case keyConsumerMember, keyConsumerTarget, keyConsumerAssignment, keyRegex:
		k.member = r.string(false)
	}
	return k, r.finish("the key of a group record")
}

func offsetKey(group, topic string, partition int32) []byte {
	b := make([]byte, 0, 2+2+len(group)+2+len(topic)+4)
	b = appendInt16(b, keyOffset)
	b = appendString(b, group)
	b = appendString(b, topic)
	return appendInt32(b, partition)
}

func groupKey(group string) []byte {
	return appendString(appendInt16(make([]byte, 0, 4+len(group)), keyGroup), group)
}

func offsetTombstone(group, topic string, partition int32) coord.Record {
	return coord.Record{Key: offsetKey(group, topic, partition)}
}

func groupTombstone(group string) coord.Record { return coord.Record{Key: groupKey(group)} }

// committedOffset is a position of a group in a partition.
type committedOffset struct {
	offset       int64
	leaderEpoch  int32 // -1 if the client gave none
	metadata     string
	commitMs     int64
	expireMs     int64 // -1: the broker's retention decides
	topicID      [16]byte
	recordOffset int64 // where its record lies: of two, the later one counts
	unreadable   bool  // there is one, but its record cannot be read: only recordOffset is known
}

func parseOffset(b []byte) (committedOffset, error) {
	r := &reader{b: b}
	o := committedOffset{leaderEpoch: -1, expireMs: -1}
	version := r.int16()
	if r.err == nil && (version < 0 || version > offsetValueVersion) {
		return o, fmt.Errorf("cannot read a committed offset: version %d is not known", version)
	}
	o.offset = r.int64()
	if version >= 3 {
		o.leaderEpoch = r.int32()
	}
	o.metadata = r.string(version >= 4)
	o.commitMs = r.int64()
	if version == 1 {
		o.expireMs = r.int64()
	}
	if version >= 4 {
		r.tags(func(tag int, v *reader) {
			if tag == 0 {
				copy(o.topicID[:], v.take(len(o.topicID)))
			}
		})
	}
	return o, r.finish("a committed offset")
}

func (o committedOffset) record(group, topic string, partition int32) coord.Record {
	b := make([]byte, 0, 48+len(o.metadata))
	if o.expireMs >= 0 {
		b = appendInt16(b, offsetValueExpiresVersion)
		b = appendInt64(b, o.offset)
		b = appendString(b, o.metadata)
		b = appendInt64(b, o.commitMs)
		b = appendInt64(b, o.expireMs)
	} else {
		b = appendInt16(b, offsetValueVersion)
		b = appendInt64(b, o.offset)
		b = appendInt32(b, o.leaderEpoch)
		b = appendCompactString(b, o.metadata)
		b = appendInt64(b, o.commitMs)
		if o.topicID == ([16]byte{}) {
			b = append(b, 0)
		} else {
			b = append(b, 1, 0, byte(len(o.topicID)))
			b = append(b, o.topicID[:]...)
		}
	}
	return coord.Record{Key: offsetKey(group, topic, partition), Value: b}
}

// groupValue is a classic group's durable state.
type groupValue struct {
	protocolType string
	generation   int32
	protocol     *string
	leader       *string
	stateSinceMs int64 // -1 in records of versions before 2
	members      []memberValue
}

type memberValue struct {
	id                 string
	instanceID         *string
	clientID           string
	clientHost         string
	rebalanceTimeoutMs int32 // that of the session in version 0
	sessionTimeoutMs   int32
	subscription       []byte
	assignment         []byte
}

// minMemberBytes is what the smallest encoded member takes, of any version.
const minMemberBytes = 10

func parseGroup(b []byte) (groupValue, error) {
	r := &reader{b: b}
	version := r.int16()
	if r.err == nil && (version < 0 || version > 4) {
		return groupValue{}, fmt.Errorf("cannot read a group's metadata: version %d is not known", version)
	}
	compact := version >= 4
	v := groupValue{stateSinceMs: -1}
	v.protocolType = r.string(compact)
	v.generation = r.int32()
	v.protocol = r.nullableString(compact)
	v.leader = r.nullableString(compact)
	if version >= 2 {
		v.stateSinceMs = r.int64()
	}
	n := r.arrayLen(compact, minMemberBytes)
	for i := 0; i < n && r.err == nil; i++ {
		var m memberValue
		m.id = r.string(compact)
		if version >= 3 {
			m.instanceID = r.nullableString(compact)
		}
		m.clientID = r.string(compact)
		m.clientHost = r.string(compact)
		if version >= 1 {
			m.rebalanceTimeoutMs = r.int32()
		}
		m.sessionTimeoutMs = r.int32()
		if version == 0 || m.rebalanceTimeoutMs == -1 {
			m.rebalanceTimeoutMs = m.sessionTimeoutMs
		}
		m.subscription = r.bytes(compact)
		m.assignment = r.bytes(compact)
		if compact {
			r.tags(nil)
		}
		v.members = append(v.members, m)
	}
	if compact {
		r.tags(nil)
	}
	return v, r.finish("a group's metadata")
}

func (v groupValue) record(group string) coord.Record {
	b := appendInt16(nil, groupValueVersion)
	b = appendString(b, v.protocolType)
	b = appendInt32(b, v.generation)
	b = appendNullableString(b, v.protocol)
	b = appendNullableString(b, v.leader)
	b = appendInt64(b, v.stateSinceMs)
	b = appendInt32(b, int32(len(v.members)))
	for _, m := range v.members {
		b = appendString(b, m.id)
		b = appendNullableString(b, m.instanceID)
		b = appendString(b, m.clientID)
		b = appendString(b, m.clientHost)
		b = appendInt32(b, m.rebalanceTimeoutMs)
		b = appendInt32(b, m.sessionTimeoutMs)
		b = appendBytes(b, m.subscription)
		b = appendBytes(b, m.assignment)
	}
	return coord.Record{Key: groupKey(group), Value: b}
}

// subscribedTopics reads the topics out of what a member of protocol type "consumer" says of
// itself. Every version of that format begins as version 0 does.
func subscribedTopics(metadata []byte, into map[string]struct{}) error {
	r := &reader{b: metadata}
	r.int16()
	n := r.arrayLen(false, 2)
	for i := 0; i < n && r.err == nil; i++ {
		into[r.string(false)] = struct{}{}
	}
	r.bytes(false)
	return r.finish("a consumer's subscription")
}
