package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// upgrade makes a classic group at work a consumer group whose members go on by the classic protocol until their
// clients are restarted with the new one. Everybody keeps what it has.
func (s *Shard) upgrade(t *coord.Turn, c *group) *refusal {
	refused := refuse(codeGroupIDNotFound, "Group %s is not a consumer group.", c.id)
	if !s.cfg.Consumer.Upgrade || !c.isConsumer() || len(c.members) > s.cfg.Consumer.MaxSize || len(c.members) == 0 {
		return refused
	}
	meta := s.metadata()
	g := s.newConsumerGroup(c.id)
	g.held = new(int64) // a draft; what is kept comes from its records
	for _, m := range c.sorted() {
		x, err := s.upgraded(c, m, meta)
		if err != nil {
			t.Note("classic group cannot become a consumer group", "group", c.id, "member", m.id, "cause", err)
			return refused
		}
		g.put(x)
		g.target[x.id] = x.assigned.assignment()
	}
	t.Append(groupTombstone(c.id))
	for _, m := range g.sortedMembers() {
		t.Append(m.metadataRecord(c.id))
	}
	t.Append(g.epochRecord(c.generation, 0))
	for _, m := range g.sortedMembers() {
		t.Append(g.targetRecord(m.id, g.target[m.id]))
	}
	t.Append(g.targetEpochRecord(c.generation, 0))
	for _, m := range g.sortedMembers() {
		t.Append(m.assignmentRecord(c.id))
	}
	t.Note("classic group becomes a consumer group", "group", c.id, "generation", c.generation, "members", len(c.members))
	t.Then(func(t *coord.Turn) {
		t.StopTimer(joinKey(c))
		t.StopTimer(syncKey(c))
		for _, m := range c.sorted() {
			s.failJoin(t, c, m, codeRebalanceInProgress)
			s.failSync(t, m, codeRebalanceInProgress)
			t.StopTimer(sessionKey(c, m.id))
		}
		for id := range c.pendingJoin {
			t.StopTimer(sessionKey(c, id))
		}
		if g := s.consumers[c.id]; g != nil {
			for _, m := range g.sortedMembers() {
				s.beginSession(t, g, m)
			}
		}
	})
	return nil
}

// upgraded is a classic member as one of a consumer group.
func (s *Shard) upgraded(c *group, m *member, meta Metadata) (*consumerMember, error) {
	metadata := m.protocols[0].metadata
	if c.protocolName != nil {
		metadata = m.metadata(*c.protocolName)
	}
	said, err := parseSubscription(metadata)
	if err != nil {
		return nil, err
	}
	has, err := parseClassicAssignment(m.assignment)
	if err != nil {
		return nil, err
	}
	x := &consumerMember{
		id: m.id, instanceID: m.instanceID, rackID: said.rack, clientID: m.clientID, clientHost: m.clientHost, topics: said.topics,
		rebalanceTimeoutMs: m.rebalanceTimeoutMs, classic: &classicMetadata{sessionTimeoutMs: m.sessionTimeoutMs, protocols: m.protocols},
		epoch: c.generation, previousEpoch: c.generation, state: memberStable, assigned: holding{},
	}
	for topic, partitions := range byID(has, meta) {
		for _, p := range partitions {
			x.assigned.give(topic, p, c.generation)
		}
	}
	return x, nil
}

// mayDowngrade tells whether, without the members that go, the group is one of classic members that can go on as a classic one.
func (s *Shard) mayDowngrade(g *consumerGroup, gone []string) bool {
	rest := 0
	for id := range g.members {
		if !contains(gone, id) {
			rest++
		}
	}
	return s.cfg.Consumer.Downgrade && rest > 0 && rest <= s.cfg.MaxSize && g.allClassic(gone...)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// downgrade makes a consumer group a classic one, with the members that stay. They rebalance at once.
func (s *Shard) downgrade(t *coord.Turn, g *consumerGroup, gone []string) {
	meta := s.metadata()
	c := s.newGroup(g.id, t.NowMs)
	c.held = new(int64) // a draft; what is kept comes from its record
	c.protocolType, c.generation = consumerProtocolType, g.epoch
	protocols := map[string][]protocol{}
	for _, m := range g.sortedMembers() {
		s.stopTimers(t, g, m.id)
		if contains(gone, m.id) {
			continue
		}
		said, err := parseSubscription(m.classic.protocols[0].metadata)
		if err != nil {
			said.version = 0
		}
		c.add(&member{
			id: m.id, instanceID: m.instanceID, clientID: m.clientID, clientHost: m.clientHost,
			rebalanceTimeoutMs: m.rebalanceTimeoutMs, sessionTimeoutMs: m.classic.sessionTimeoutMs, protocols: m.classic.protocols,
			assignment: classicAssignment(m.assigned, said.version, meta),
		})
		protocols[m.id] = m.classic.protocols
	}
	if c.protocolName = c.selectProtocol(); c.protocolName == nil {
		c.protocolName = &c.sorted()[0].protocols[0].name // they have no way in common: the rebalance will tell them
	}
	t.Append(g.tombstones()...)
	t.Append(c.value(c.generation, t.NowMs, func(m *member) []byte { return m.assignment }).record(g.id))
	t.Note("consumer group becomes a classic group", "group", g.id, "generation", c.generation, "members", len(c.members))
	t.Then(func(t *coord.Turn) {
		live := s.groups[g.id]
		for _, m := range live.sorted() {
			live.setProtocols(m, protocols[m.id])
			s.restartSession(t, live, m)
		}
		s.prepareRebalance(t, live, "the group was a consumer group before")
	})
	t.OnFailure(func(t *coord.Turn, _ error) {
		for _, m := range g.sortedMembers() {
			s.beginSession(t, g, m)
		}
	})
}
