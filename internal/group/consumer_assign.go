package group

import (
	"hash/fnv"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// The assignors that a broker offers.
const (
	uniformAssignor = "uniform"
	rangeAssignor   = "range"
)

// knownAssignor tells whether there is an assignor of that name.
func knownAssignor(name string) bool { return name == uniformAssignor || name == rangeAssignor }

// subscribedTopics is what a member subscribes to, the topics of its pattern included.
func (g *consumerGroup) subscribedTopics(m *consumerMember, regexes map[string]resolvedRegex) []string {
	text := m.regexText()
	if text == "" {
		return m.topics
	}
	return sortedOnce(slices.Concat(m.topics, regexes[text].topics))
}

// draft is a group as it will be when the turn's records are applied.
type draft struct {
	s       *Shard
	t       *coord.Turn
	g       *consumerGroup
	meta    Metadata
	changed *consumerMember // in place of the member of its id, or new
	gone    map[string]struct{}
	regexes map[string]resolvedRegex
	epoch   int32
}

func (s *Shard) draftOf(t *coord.Turn, g *consumerGroup) *draft {
	return &draft{s: s, t: t, g: g, meta: s.metadata(), regexes: g.regexes, epoch: g.epoch}
}

// members is the draft's members by id, in order.
func (d *draft) members() []*consumerMember {
	out := make([]*consumerMember, 0, len(d.g.members)+1)
	for id, m := range d.g.members {
		if _, gone := d.gone[id]; !gone && (d.changed == nil || id != d.changed.id) {
			out = append(out, m)
		}
	}
	if d.changed != nil {
		out = append(out, d.changed)
	}
	slices.SortFunc(out, func(a, b *consumerMember) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return out
}

// hash is what the topics that the draft subscribes to look like now; 0 without any.
func (d *draft) hash() int64 {
	topics := map[string]struct{}{}
	for _, m := range d.members() {
		for _, name := range d.g.subscribedTopics(m, d.regexes) {
			topics[name] = struct{}{}
		}
	}
	h := fnv.New64a()
	some := false
	for _, name := range sortedKeys(topics) {
		if _, ok := d.meta.Topic(name); !ok {
			continue
		}
		some = true
		h.Write([]byte(name))
		h.Write(appendInt64([]byte{0}, int64(d.meta.TopicHash(name))))
	}
	if !some {
		return 0
	}
	return int64(h.Sum64() | 1)
}

// bump begins a new epoch of the group.
func (d *draft) bump(hash int64) {
	d.epoch++
	d.t.Append(d.g.epochRecord(d.epoch, hash))
	if d.g.oldMetadata {
		d.t.Append(consumerTombstone(keyConsumerMetadata, d.g.id))
	}
	d.s.counts.ConsumerRebalances.Add(1)
}

// assignorName is what most members want; of equals the one that the broker names first, and the broker's first if nobody
// has a wish.
func (d *draft) assignorName() string {
	votes := map[string]int{}
	for _, m := range d.members() {
		if m.assignor != nil {
			votes[*m.assignor]++
		}
	}
	offered := d.s.cfg.Consumer.Assignors
	best := offered[0]
	for _, name := range offered[1:] {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// retarget computes who shall have what and records what differs from before.
func (d *draft) retarget() map[string]assignment {
	members := d.members()
	spec := &assignSpec{topics: map[topicID]int32{}}
	for _, m := range members {
		a := assignMember{id: m.id, instanceID: m.instanceID, has: d.g.target[m.id]}
		for _, name := range d.g.subscribedTopics(m, d.regexes) {
			if info, ok := d.meta.Topic(name); ok {
				a.topics = append(a.topics, info.ID)
				spec.topics[info.ID] = info.Partitions
			}
		}
		slices.SortFunc(a.topics, func(x, y topicID) int { return slices.Compare(x[:], y[:]) })
		spec.members = append(spec.members, a)
	}
	name := d.assignorName()
	target := assignUniform
	if name == rangeAssignor {
		target = assignRange
	}
	result := target(spec)
	for _, id := range sortedKeys(result) {
		if old, had := d.g.target[id]; !had || !old.equal(result[id]) {
			d.t.Append(d.g.targetRecord(id, result[id]))
		}
	}
	for _, id := range sortedKeys(d.g.target) {
		if _, stays := result[id]; !stays && d.g.members[id] == nil {
			d.t.Append(consumerTombstone(keyConsumerTarget, d.g.id, id)) // of somebody who is no member
		}
	}
	d.t.Append(d.g.targetEpochRecord(d.epoch, d.t.NowMs))
	d.t.Note("consumer group has a new target", "group", d.g.id, "epoch", d.epoch, "members", len(members), "assignor", name)
	return result
}

// assignSpec is what an assignor works from.
type assignSpec struct {
	topics  map[topicID]int32 // how many partitions
	members []assignMember    // sorted by id
}

type assignMember struct {
	id         string
	instanceID *string
	topics     []topicID // sorted
	has        assignment
}

// isHomogeneous tells whether all members subscribe to the same.
func (s *assignSpec) isHomogeneous() bool {
	for i := range s.members {
		if !slices.Equal(s.members[i].topics, s.members[0].topics) {
			return false
		}
	}
	return true
}

// assignRange gives every member a contiguous range of each of its topics, so that the same member has the same
// partitions of topics that are partitioned alike. Static members come first, by instance id.
func assignRange(s *assignSpec) map[string]assignment {
	order := slices.Clone(s.members)
	slices.SortFunc(order, func(a, b assignMember) int {
		switch {
		case a.instanceID != nil && b.instanceID != nil:
			return compareStrings(*a.instanceID, *b.instanceID)
		case a.instanceID != nil:
			return -1
		case b.instanceID != nil:
			return 1
		}
		return compareStrings(a.id, b.id)
	})
	out := make(map[string]assignment, len(order))
	readers := map[topicID][]string{}
	for _, m := range order {
		out[m.id] = assignment{}
		for _, topic := range m.topics {
			readers[topic] = append(readers[topic], m.id)
		}
	}
	for topic, ids := range readers {
		n, members := s.topics[topic], int32(len(ids))
		next := int32(0)
		for i, id := range ids {
			quota := n / members
			if int32(i) < n%members {
				quota++
			}
			for p := next; p < next+quota; p++ {
				out[id][topic] = append(out[id][topic], p)
			}
			next += quota
		}
	}
	return out
}

func compareStrings(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// Assignors is the assignors that a configured list names, by their short names or by those of Kafka's classes. What is
// neither is left out; of none, both of Kafka's are left.
func Assignors(configured []string) []string {
	var out []string
	for _, name := range configured {
		switch name {
		case uniformAssignorClass:
			name = uniformAssignor
		case rangeAssignorClass:
			name = rangeAssignor
		}
		if knownAssignor(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return []string{uniformAssignor, rangeAssignor}
	}
	return out
}

// The same by the names that Kafka's configuration takes too.
const (
	uniformAssignorClass = "org.apache.kafka.coordinator.group.assignor.UniformAssignor"
	rangeAssignorClass   = "org.apache.kafka.coordinator.group.assignor.RangeAssignor"
)
