package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

func consumerSessionKey(g *consumerGroup, member string) coord.TimerKey {
	return coord.TimerKey{Kind: timerConsumerSession, Group: g.id, Member: member}
}

func revocationKey(g *consumerGroup, member string) coord.TimerKey {
	return coord.TimerKey{Kind: timerRevocation, Group: g.id, Member: member}
}

func rejoinKey(g *consumerGroup, member string) coord.TimerKey {
	return coord.TimerKey{Kind: timerRejoin, Group: g.id, Member: member}
}

func resyncKey(g *consumerGroup, member string) coord.TimerKey {
	return coord.TimerKey{Kind: timerResync, Group: g.id, Member: member}
}

// beginSession gives a member its whole session time-out from now.
func (s *Shard) beginSession(t *coord.Turn, g *consumerGroup, m *consumerMember) {
	timeoutMs := s.settings(g.id).SessionTimeoutMs
	if m.classic != nil {
		timeoutMs = int64(m.classic.sessionTimeoutMs)
	}
	t.SetTimer(consumerSessionKey(g, m.id), timeoutMs)
}

// beginTimers gives a member, if it is there, the time in which it must show up and give up what it shall.
func (s *Shard) beginTimers(t *coord.Turn, group, member string) {
	g := s.consumers[group]
	if g == nil || g.members[member] == nil {
		return
	}
	m := g.members[member]
	s.beginSession(t, g, m)
	if m.state == memberUnrevoked && m.classic == nil {
		t.SetTimer(revocationKey(g, m.id), int64(m.rebalanceTimeoutMs))
	}
}

func (s *Shard) stopTimers(t *coord.Turn, g *consumerGroup, member string) {
	for _, key := range []coord.TimerKey{consumerSessionKey(g, member), revocationKey(g, member), rejoinKey(g, member), resyncKey(g, member)} {
		t.StopTimer(key)
	}
	delete(g.joinTimer, member)
}

// consumerLeave takes the member out, or notes that a static one is away.
func (s *Shard) consumerLeave(t *coord.Turn, r *heartbeatRequest) {
	g, m, why := s.leaverOf(r)
	if why != nil {
		s.answerHeartbeat(t, r, heartbeatAnswer{refused: why})
		return
	}
	if r.epoch == staticAwayEpoch {
		away := *m
		away.epoch, away.revoking = staticAwayEpoch, nil
		t.Append(away.assignmentRecord(g.id))
		t.StopTimer(revocationKey(g, m.id))
		t.Note("static member of a consumer group is away", "group", g.id, "member", m.id, "instance", *r.instanceID)
	} else {
		t.Note("member has left the consumer group", "group", g.id, "member", m.id)
		s.fence(t, g, m.id)
	}
	s.answerHeartbeat(t, r, heartbeatAnswer{epoch: r.epoch})
}

func (s *Shard) leaverOf(r *heartbeatRequest) (*consumerGroup, *consumerMember, *refusal) {
	g := s.consumers[r.group]
	if g == nil {
		if s.groups[r.group] != nil || s.foreign[r.group] != nil {
			return nil, nil, refuse(codeGroupIDNotFound, "Group %s is not a consumer group.", r.group)
		}
		return nil, nil, refuse(codeGroupIDNotFound, "Group %s not found.", r.group)
	}
	if r.instanceID == nil {
		if m := g.members[r.memberID]; m != nil {
			return g, m, nil
		}
		return nil, nil, refuse(codeUnknownMemberID, "Member %s is not a member of group %s.", r.memberID, g.id)
	}
	m := g.byInstance(*r.instanceID)
	switch {
	case m == nil:
		return nil, nil, refuse(codeUnknownMemberID, "Instance id %s is unknown.", *r.instanceID)
	case m.id != r.memberID:
		return nil, nil, refuse(codeFencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", r.memberID, *r.instanceID, m.id)
	}
	return g, m, nil
}

// fence takes members out of a group and lets the rest share anew. If the rest speaks the classic protocol, the group
// becomes a classic one.
func (s *Shard) fence(t *coord.Turn, g *consumerGroup, ids ...string) {
	if s.mayDowngrade(g, ids) {
		s.downgrade(t, g, ids)
		return
	}
	d := s.draftOf(t, g)
	d.gone = map[string]struct{}{}
	for _, id := range ids {
		s.appendRemoval(t, g, g.members[id])
		d.gone[id] = struct{}{}
	}
	d.refreshRegexes(nil)
	d.bump(d.hash())
}

// fireConsumer is Fire's for consumer groups.
func (s *Shard) fireConsumer(t *coord.Turn, g *consumerGroup, key coord.TimerKey) {
	m := g.members[key.Member]
	if m == nil {
		return
	}
	why := ""
	switch key.Kind {
	case timerConsumerSession:
		why = "its session has expired"
	case timerRevocation:
		if m.state == memberUnrevoked {
			why = "it did not give up its partitions in time"
		}
	case timerRejoin:
		why = "it did not join again in time"
	case timerResync:
		why = "it did not fetch its assignment in time"
	}
	if why == "" {
		return
	}
	t.Note("member is put out of the consumer group", "group", g.id, "member", m.id, "reason", why)
	s.fence(t, g, m.id)
	retryMs := int64(expiryRetryMs)
	t.OnFailure(func(t *coord.Turn, _ error) { t.SetTimer(key, retryMs) })
}
