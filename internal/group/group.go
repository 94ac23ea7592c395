package group

import (
	"slices"
	"strings"
)

// State is a classic group's. A dead group is one that is not in the map.
type State uint8

const (
	// Empty: no members; offsets may remain.
	Empty State = iota
	// PreparingRebalance: waiting for all members to (re)join.
	PreparingRebalance
	// CompletingRebalance: a generation is formed; waiting for the leader's assignment.
	CompletingRebalance
	// Stable: members have their assignments.
	Stable
	numStates
)

// String is the state's name in Kafka's answers.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

const (
	deadState            = "Dead"
	consumerProtocolType = "consumer" // the protocol type of consumers, whose metadata the coordinator may read
)

// group is one classic group.
type group struct {
	id            string
	state         State
	stateSinceMs  int64 // -1: not known, from an old record
	protocolType  string
	protocolName  *string // nil until a generation has chosen
	generation    int32
	leader        string             // "" if none
	members       map[string]*member // by member id
	static        map[string]string  // member id by instance id
	subscribed    map[string]struct{}
	subscribedSet bool // whether subscribed is known
	lastSeq       int64
	held          *int64 // the shard's count of what members take
	aside         bool   // its last record could not be read: nothing of it expires before there is another

	// Soft state.
	supported   map[string]int      // how many members support a protocol; no member names one twice
	awaiting    int                 // members whose join is parked
	pendingJoin map[string]struct{} // ids handed out, not yet used
	pendingSync map[string]struct{} // members of this generation that have not asked for their assignment
	fresh       int                 // members that have been in no generation
	initial     *initialDelay       // set while the first rebalance waits for more members
}

// initialDelay is the patience of a group's first rebalance: it is extended by
// another delay whenever a member came during the last one, up to the rebalance time-out.
type initialDelay struct {
	delayMs     int64
	remainingMs int64
	memberAdded bool
}

func (s *Shard) newGroup(id string, nowMs int64) *group {
	return &group{
		held:         &s.held,
		id:           id,
		stateSinceMs: nowMs,
		members:      map[string]*member{},
		static:       map[string]string{},
		supported:    map[string]int{},
		pendingJoin:  map[string]struct{}{},
		pendingSync:  map[string]struct{}{},
	}
}

func (g *group) transition(to State, nowMs int64) {
	g.state, g.stateSinceMs = to, nowMs
}

// sorted is the members in order of arrival.
func (g *group) sorted() []*member {
	out := make([]*member, 0, len(g.members))
	for _, m := range g.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *member) int { return int(a.seq - b.seq) })
	return out
}

func (g *group) add(m *member) {
	if m.seq == 0 {
		g.lastSeq++
		m.seq = g.lastSeq
	}
	if m.instanceID != nil {
		g.static[*m.instanceID] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members[m.id] = m
	g.count(m.protocols, 1)
	if m.join != nil {
		g.awaiting++
	}
	if m.isNew {
		g.fresh++
	}
	m.weighed = 0
	g.weigh(m)
	g.dropPending(m.id)
}

// remove forgets a member, or an id that was only handed out.
func (g *group) remove(id string) {
	if m := g.members[id]; m != nil {
		delete(g.members, id)
		g.count(m.protocols, -1)
		if m.join != nil {
			g.awaiting--
		}
		if m.isNew {
			g.fresh--
		}
		g.unweigh(m)
		if m.instanceID != nil && g.static[*m.instanceID] == id {
			delete(g.static, *m.instanceID)
		}
	}
	if g.leader == id {
		g.leader = ""
		if rest := g.sorted(); len(rest) > 0 {
			g.leader = rest[0].id
		}
	}
	g.dropPending(id)
	delete(g.pendingSync, id)
}

// park puts w in the place of m's parked join, and returns what was there.
func (g *group) park(m *member, w *joinWaiter) (displaced *joinWaiter) {
	displaced = m.join
	if displaced == nil && w != nil {
		g.awaiting++
	} else if displaced != nil && w == nil {
		g.awaiting--
	}
	m.join = w
	return displaced
}

// setProtocols replaces what m supports.
func (g *group) setProtocols(m *member, protocols []protocol) {
	g.count(m.protocols, -1)
	m.protocols = protocols
	g.count(m.protocols, 1)
	g.weigh(m)
}

func (g *group) count(protocols []protocol, by int) {
	for _, p := range protocols {
		if g.supported[p.name] += by; g.supported[p.name] == 0 {
			delete(g.supported, p.name)
		}
	}
}

// supports tells whether a member with these protocols fits into the group.
func (g *group) supports(protocolType string, protocols []protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	if g.protocolType != protocolType {
		return false
	}
	return slices.ContainsFunc(protocols, func(p protocol) bool { return g.supported[p.name] == len(g.members) })
}

// selectProtocol lets each member vote for the first of its protocols that all
// support. Of equals the one wins that the older member prefers.
func (g *group) selectProtocol() *string {
	votes := map[string]int{}
	var order []string
	for _, m := range g.sorted() {
		for _, p := range m.protocols {
			if g.supported[p.name] != len(g.members) {
				continue
			}
			if votes[p.name]++; votes[p.name] == 1 {
				order = append(order, p.name)
			}
			break
		}
	}
	var best *string
	for i := range order {
		if best == nil || votes[order[i]] > votes[*best] {
			best = &order[i]
		}
	}
	return best
}

// electJoinedLeader sees to it that the leader is a member that has joined. False: nobody has.
func (g *group) electJoinedLeader() bool {
	if l := g.members[g.leader]; l != nil && l.join != nil {
		return true
	}
	for _, m := range g.sorted() {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

func (g *group) allJoined() bool {
	return len(g.members) == g.awaiting && len(g.pendingJoin) == 0
}

func (g *group) canRebalance() bool { return g.state != PreparingRebalance }

// rebalanceTimeoutMs is the longest of the members'.
func (g *group) rebalanceTimeoutMs() int64 {
	var most int32
	for _, m := range g.members {
		most = max(most, m.rebalanceTimeoutMs)
	}
	return int64(most)
}

func (g *group) isConsumer() bool { return g.protocolType == consumerProtocolType }

// isSubscribedTo tells whether the group's members read topic. Where it cannot be
// known of a group of consumers, they are taken to read everything.
func (g *group) isSubscribedTo(topic string) bool {
	if !g.subscribedSet {
		return g.isConsumer()
	}
	_, ok := g.subscribed[topic]
	return ok
}

// learnSubscriptions reads the members' metadata for what they subscribe to.
func (g *group) learnSubscriptions() {
	g.subscribed, g.subscribedSet = nil, false
	if !g.isConsumer() {
		return
	}
	if len(g.members) > 0 && g.protocolName == nil {
		return
	}
	topics := map[string]struct{}{}
	for _, m := range g.members {
		if err := subscribedTopics(m.metadata(*g.protocolName), topics); err != nil {
			return
		}
	}
	g.subscribed, g.subscribedSet = topics, true
}

// checkMember is the code for a request in a member's name: 0 if it is that member's.
func (g *group) checkMember(id string, instanceID *string) int16 {
	if instanceID != nil {
		known, ok := g.static[*instanceID]
		if !ok {
			return codeUnknownMemberID
		}
		if known != id {
			return codeFencedInstanceID
		}
	}
	if g.members[id] == nil {
		return codeUnknownMemberID
	}
	return codeNone
}

// value is the group as its record says it, with the members' assignments from assign.
func (g *group) value(generation int32, nowMs int64, assign func(*member) []byte) groupValue {
	v := groupValue{protocolType: g.protocolType, generation: generation, stateSinceMs: nowMs}
	if len(g.members) == 0 {
		return v
	}
	v.protocol, v.leader = g.protocolName, &g.leader
	for _, m := range g.sorted() {
		mv := m.value(*g.protocolName)
		mv.assignment = assign(m)
		v.members = append(v.members, mv)
	}
	return v
}

// adopt makes v the group's durable state. Members that are there already keep what is
// soft about them, so this serves the live group as well as an empty one at load.
func (g *group) adopt(v groupValue) {
	g.protocolType, g.generation, g.protocolName = v.protocolType, v.generation, v.protocol
	g.aside = false
	named := make(map[string]struct{}, len(v.members))
	for _, mv := range v.members {
		named[mv.id] = struct{}{}
	}
	for id := range g.members {
		if _, ok := named[id]; !ok {
			g.remove(id)
		}
	}
	for _, mv := range v.members {
		if m := g.members[mv.id]; m != nil {
			m.assignment = mv.assignment
			g.weigh(m)
			continue
		}
		m := &member{
			id: mv.id, instanceID: mv.instanceID, clientID: mv.clientID, clientHost: mv.clientHost,
			rebalanceTimeoutMs: mv.rebalanceTimeoutMs, sessionTimeoutMs: mv.sessionTimeoutMs,
			assignment: mv.assignment,
		}
		if v.protocol != nil {
			m.protocols = []protocol{{name: *v.protocol, metadata: mv.subscription}}
		}
		g.add(m)
	}
	g.leader = ""
	if v.leader != nil && g.members[*v.leader] != nil {
		g.leader = *v.leader
	} else if rest := g.sorted(); len(rest) > 0 {
		g.leader = rest[0].id
	}
	g.initial = nil
	state := Stable
	if len(g.members) == 0 {
		state = Empty
		clear(g.pendingSync)
	}
	g.transition(state, v.stateSinceMs)
	g.learnSubscriptions()
}

// matchesStates tells whether the group's state is among those asked for, in any case.
func matchesStates(state string, filter []string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool {
		return strings.EqualFold(strings.TrimSpace(f), state)
	})
}
