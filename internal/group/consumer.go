package group

import (
	"cmp"
	"maps"
	"slices"
)

// topicID names a topic in the records and requests of the consumer protocol.
type topicID = [16]byte

// assignment is what somebody shall have: sorted partitions by topic. One that is in a group is never changed.
type assignment map[topicID][]int32

// holding is what a member has: partitions by topic, each with the epoch at which it was given.
type holding map[topicID]map[int32]int32

func (h holding) has(topic topicID, partition int32) bool {
	_, ok := h[topic][partition]
	return ok
}

func (h holding) give(topic topicID, partition, epoch int32) {
	if h[topic] == nil {
		h[topic] = map[int32]int32{}
	}
	h[topic][partition] = epoch
}

// assignment is h without its epochs.
func (h holding) assignment() assignment {
	out := make(assignment, len(h))
	for topic, partitions := range h {
		out[topic] = sortedKeys(partitions)
	}
	return out
}

func (h holding) equal(o holding) bool {
	return maps.EqualFunc(h, o, func(a, b map[int32]int32) bool { return maps.Equal(a, b) })
}

// holdsAll tells whether everything in a is in h.
func (h holding) holdsAll(a assignment) bool {
	for topic, partitions := range a {
		for _, p := range partitions {
			if !h.has(topic, p) {
				return false
			}
		}
	}
	return true
}

func (a assignment) equal(o assignment) bool {
	return maps.EqualFunc(a, o, func(x, y []int32) bool { return slices.Equal(x, y) })
}

// sortedTopicIDs is the topics in an order that does not depend on chance.
func sortedTopicIDs[V any](m map[topicID]V) []topicID {
	return slices.SortedFunc(maps.Keys(m), func(a, b topicID) int { return slices.Compare(a[:], b[:]) })
}

// memberState is where a member of a consumer group is on its way to its target.
type memberState uint8

// As the records number them.
const (
	memberStable     memberState = 0 // it has what it shall have at its epoch
	memberUnrevoked  memberState = 1 // it has to give up partitions first
	memberUnreleased memberState = 2 // it waits for partitions that others still hold
	memberUnknown    memberState = 127
)

// leaveEpoch is the epoch with which a member leaves for good.
const leaveEpoch int32 = -1

// staticAwayEpoch is the epoch of a static member that has left for a while.
const staticAwayEpoch int32 = -2

// classicMetadata is kept of a member that speaks the classic protocol to a consumer group.
type classicMetadata struct {
	sessionTimeoutMs int32
	protocols        []protocol
}

// consumerMember is one member of a consumer group. Those in a group are never changed: a change replaces them.
type consumerMember struct {
	id                 string
	instanceID         *string
	rackID             *string
	clientID           string
	clientHost         string
	topics             []string // sorted, without repetition
	regex              *string  // nil or empty: none
	rebalanceTimeoutMs int32
	assignor           *string
	classic            *classicMetadata // nil: it speaks the consumer protocol

	epoch         int32
	previousEpoch int32
	state         memberState
	assigned      holding
	revoking      holding // told to give up, not yet confirmed
}

// holds is what the member has, with what it has yet to give up.
func (m *consumerMember) holds() holding {
	if len(m.revoking) == 0 {
		return m.assigned
	}
	out := holding{}
	for _, h := range []holding{m.assigned, m.revoking} {
		for topic, partitions := range h {
			for p, given := range partitions {
				out.give(topic, p, given)
			}
		}
	}
	return out
}

// regexText is the pattern that the member subscribes to, "" if none.
func (m *consumerMember) regexText() string {
	if m.regex == nil {
		return ""
	}
	return *m.regex
}

// isReconciledTo tells whether the member has all of its target of an epoch.
func (m *consumerMember) isReconciledTo(epoch int32) bool {
	return m.state == memberStable && m.epoch == epoch
}

// sameMetadata tells whether two say the same of themselves.
func (m *consumerMember) sameMetadata(o *consumerMember) bool {
	return equalPtr(m.instanceID, o.instanceID) && equalPtr(m.rackID, o.rackID) && m.clientID == o.clientID &&
		m.clientHost == o.clientHost && slices.Equal(m.topics, o.topics) && m.regexText() == o.regexText() &&
		m.rebalanceTimeoutMs == o.rebalanceTimeoutMs && equalPtr(m.assignor, o.assignor) && m.classic.equal(o.classic)
}

func (c *classicMetadata) equal(o *classicMetadata) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.sessionTimeoutMs == o.sessionTimeoutMs && slices.EqualFunc(c.protocols, o.protocols, func(a, b protocol) bool {
		return a.name == b.name && string(a.metadata) == string(b.metadata)
	})
}

func equalPtr[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// resolvedRegex is the topics that a pattern has matched.
type resolvedRegex struct {
	topics  []string
	version int64 // of the metadata
	atMs    int64
}

// consumerGroup is a group of the protocol of KIP-848. All but what is marked soft is durable.
type consumerGroup struct {
	id           string
	epoch        int32
	metadataHash int64
	members      map[string]*consumerMember
	static       map[string]string // member id by instance id
	target       map[string]assignment
	targetEpoch  int32
	targetMs     int64
	regexes      map[string]resolvedRegex
	oldMetadata  bool     // an older broker's record of the topics is there, and goes when the group's metadata is written next
	unreadable   []string // keys of records that could not be read

	// Soft state.
	owners    map[topicID]map[int32]int32 // how many members hold a partition, or have yet to confirm that they do not
	seen      int64                       // version of the metadata at which metadataHash was compared last; 0: must be
	weights   map[string]int64
	held      *int64
	joinTimer map[string]struct{} // classic members that were told to rejoin
}

func (s *Shard) newConsumerGroup(id string) *consumerGroup {
	return &consumerGroup{
		id: id, members: map[string]*consumerMember{}, static: map[string]string{}, target: map[string]assignment{},
		regexes: map[string]resolvedRegex{}, owners: map[topicID]map[int32]int32{}, weights: map[string]int64{}, held: &s.held,
		joinTimer: map[string]struct{}{},
	}
}

// Names of the states of a consumer group.
const (
	stateAssigning   = "Assigning"
	stateReconciling = "Reconciling"
)

// state is the group's in Kafka's answers.
func (g *consumerGroup) state() string {
	switch {
	case len(g.members) == 0:
		return Empty.String()
	case g.epoch > g.targetEpoch:
		return stateAssigning
	}
	for _, m := range g.members {
		if !m.isReconciledTo(g.targetEpoch) {
			return stateReconciling
		}
	}
	return Stable.String()
}

// put makes m a member, or what it is from now on.
func (g *consumerGroup) put(m *consumerMember) {
	if old := g.members[m.id]; old != nil {
		g.count(old, -1)
		if old.instanceID != nil && g.static[*old.instanceID] == old.id {
			delete(g.static, *old.instanceID)
		}
	}
	if m.instanceID != nil {
		g.static[*m.instanceID] = m.id
	}
	g.members[m.id] = m
	g.count(m, 1)
	w := m.weight()
	*g.held += w - g.weights[m.id]
	g.weights[m.id] = w
}

func (g *consumerGroup) drop(id string) {
	m := g.members[id]
	if m == nil {
		return
	}
	g.count(m, -1)
	if m.instanceID != nil && g.static[*m.instanceID] == id {
		delete(g.static, *m.instanceID)
	}
	delete(g.members, id)
	delete(g.joinTimer, id)
	*g.held -= g.weights[id]
	delete(g.weights, id)
}

// forget is for a group that is removed as a whole.
func (g *consumerGroup) forget() {
	for _, w := range g.weights {
		*g.held -= w
	}
	clear(g.weights)
}

// count keeps owners.
func (g *consumerGroup) count(m *consumerMember, by int32) {
	for _, h := range []holding{m.assigned, m.revoking} {
		for topic, partitions := range h {
			owned := g.owners[topic]
			if owned == nil {
				owned = map[int32]int32{}
				g.owners[topic] = owned
			}
			for p := range partitions {
				if owned[p] += by; owned[p] == 0 {
					delete(owned, p)
				}
			}
			if len(owned) == 0 {
				delete(g.owners, topic)
			}
		}
	}
}

// isFree tells whether no member holds a partition.
func (g *consumerGroup) isFree(topic topicID, partition int32) bool {
	return g.owners[topic][partition] == 0
}

// byInstance is the member with an instance id, nil if there is none.
func (g *consumerGroup) byInstance(instanceID string) *consumerMember {
	return g.members[g.static[instanceID]]
}

// allClassic tells whether every member but the named speaks the classic protocol.
func (g *consumerGroup) allClassic(but ...string) bool {
	for id, m := range g.members {
		if m.classic == nil && !slices.Contains(but, id) {
			return false
		}
	}
	return true
}

// isSubscribedTo tells whether a member reads topic.
func (g *consumerGroup) isSubscribedTo(topic string) bool {
	for _, m := range g.members {
		if slices.Contains(m.topics, topic) {
			return true
		}
		if text := m.regexText(); text != "" && slices.Contains(g.regexes[text].topics, topic) {
			return true
		}
	}
	return false
}

// weight is what a member takes of the shard's memory.
func (m *consumerMember) weight() int64 {
	n := memberOverheadBytes + len(m.id) + len(m.clientID) + len(m.clientHost) + len(m.regexText())
	for _, topic := range m.topics {
		n += len(topic) + topicOverheadBytes
	}
	for _, h := range []holding{m.assigned, m.revoking} {
		for _, partitions := range h {
			n += topicOverheadBytes + len(partitions)*partitionOverheadBytes
		}
	}
	if m.classic == nil {
		return int64(n)
	}
	return int64(n) + weightOf(m.classic.protocols)
}

const (
	// topicOverheadBytes is what a subscribed or assigned topic takes besides its name.
	topicOverheadBytes = 64
	// partitionOverheadBytes is what a partition takes in a member's assignment, its target and the count of owners.
	partitionOverheadBytes = 64
)

// sortedMembers is the members in the order of their ids.
func (g *consumerGroup) sortedMembers() []*consumerMember {
	return slices.SortedFunc(maps.Values(g.members), func(a, b *consumerMember) int { return cmp.Compare(a.id, b.id) })
}
