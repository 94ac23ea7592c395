package group

import (
	"slices"
)

// What classic consumers say of themselves and are told, in the bytes of protocol type "consumer".

// Versions of that format.
const (
	subscriptionOwnedVersion int16 = 1
	subscriptionRackVersion  int16 = 3
	generationVersion        int16 = 2
	assignmentMaxVersion     int16 = 3
)

// classicSubscription is what a classic consumer says of itself.
type classicSubscription struct {
	version int16
	topics  []string
	owned   map[string][]int32
	rack    *string
}

func parseSubscription(metadata []byte) (classicSubscription, error) {
	r := &reader{b: metadata}
	x := classicSubscription{version: r.int16(), owned: map[string][]int32{}}
	for n := r.arrayLen(false, 2); n > 0 && r.err == nil; n-- {
		x.topics = append(x.topics, r.string(false))
	}
	x.topics = sortedOnce(x.topics)
	r.bytes(false)
	if x.version >= subscriptionOwnedVersion && r.err == nil {
		x.owned = r.classicPartitions()
	}
	if x.version >= generationVersion && r.err == nil {
		r.int32()
	}
	if x.version >= subscriptionRackVersion && r.err == nil {
		x.rack = r.nullableString(false)
	}
	return x, r.finish("a consumer's subscription")
}

func (r *reader) classicPartitions() map[string][]int32 {
	out := map[string][]int32{}
	for n := r.arrayLen(false, 6); n > 0 && r.err == nil; n-- {
		topic := r.string(false)
		for k := r.arrayLen(false, 4); k > 0 && r.err == nil; k-- {
			out[topic] = append(out[topic], r.int32())
		}
	}
	return out
}

// parseClassicAssignment reads what a leader has assigned; nothing if nobody has yet.
func parseClassicAssignment(b []byte) (map[string][]int32, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := &reader{b: b}
	r.int16()
	out := r.classicPartitions()
	return out, r.finish("a consumer's assignment")
}

// classicAssignment is h in the bytes that a consumer understands whose subscription has a version.
func classicAssignment(h holding, version int16, meta Metadata) []byte {
	named := map[string][]int32{}
	for topic, partitions := range h {
		if info, ok := meta.TopicByID(topic); ok {
			named[info.Name] = sortedKeys(partitions)
		}
	}
	b := appendInt16(nil, max(0, min(version, assignmentMaxVersion)))
	b = appendInt32(b, int32(len(named)))
	for _, topic := range sortedKeys(named) {
		b = appendString(b, topic)
		b = appendInt32(b, int32(len(named[topic])))
		for _, p := range named[topic] {
			b = appendInt32(b, p)
		}
	}
	return appendInt32(b, -1) // no user data
}

// byID is partitions by topic id; of topics that are gone nothing is left.
func byID(named map[string][]int32, meta Metadata) assignment {
	out := assignment{}
	for topic, partitions := range named {
		if info, ok := meta.Topic(topic); ok && len(partitions) > 0 {
			sorted := slices.Clone(partitions)
			slices.Sort(sorted)
			out[info.ID] = slices.Compact(sorted)
		}
	}
	return out
}
