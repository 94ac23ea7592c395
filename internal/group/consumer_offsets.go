package group

// memberEpochVersion is the first version of OffsetCommit in which a member of a consumer group may speak.
const memberEpochVersion = 9

// checkConsumerCommit decides who may commit to a consumer group: its members at their epochs, and anyone while it has none.
// An older epoch is good for partitions that the member has had since then.
func (g *consumerGroup) checkConsumerCommit(r *commitRequest) int16 {
	if r.generation < 0 && len(g.members) == 0 {
		return codeNone
	}
	if r.producer != nil && r.generation < 0 && r.memberID == "" && r.instanceID == nil {
		return codeNone
	}
	m := g.members[r.memberID]
	switch {
	case m == nil:
		return codeUnknownMemberID
	case m.classic == nil && r.producer == nil && r.version < memberEpochVersion:
		return codeUnsupportedVersion
	case r.generation == m.epoch:
		return codeNone
	case r.generation < m.epoch && m.hadSince(r):
		return codeNone
	case m.classic != nil || r.producer != nil:
		return codeIllegalGeneration
	}
	return codeStaleMemberEpoch
}

// hadSince tells whether the member has had all partitions of r since the epoch that it names.
func (m *consumerMember) hadSince(r *commitRequest) bool {
	for i := range r.items {
		it := &r.items[i]
		given, has := m.assigned[it.topicID][it.partition]
		if !has {
			given, has = m.revoking[it.topicID][it.partition]
		}
		if it.code == codeNone && (!has || r.generation < given) {
			return false
		}
	}
	return true
}

// checkFetch decides whether who asks for a group's offsets may have them: a member must be at its epoch.
func (s *Shard) checkFetch(fg *fetchGroup) int16 {
	g := s.consumers[fg.group]
	if g == nil || fg.memberID == nil {
		return codeNone // it is no member that asks
	}
	m := g.members[*fg.memberID]
	switch {
	case m == nil:
		return codeUnknownMemberID
	case fg.memberEpoch == m.epoch:
		return codeNone
	case m.classic != nil:
		return codeIllegalGeneration
	}
	return codeStaleMemberEpoch
}
