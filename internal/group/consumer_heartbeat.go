package group

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// refusal is why a request is not served, as the client is told.
type refusal struct {
	code int16
	text string
}

func refuse(code int16, format string, args ...any) *refusal {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

// heartbeatRequest is a ConsumerGroupHeartbeat request whose slices are ours.
type heartbeatRequest struct {
	group              string
	memberID           string
	epoch              int32
	instanceID         *string
	rackID             *string
	rebalanceTimeoutMs int32 // -1: as before
	topics             []string
	topicsKnown        bool
	regex              *string
	assignor           *string
	owned              assignment
	ownedKnown         bool
	clientID           string
	clientHost         string
	mayDescribe        func(topic string) bool // whether the client may know of a topic that its pattern matches
	answer             func(heartbeatAnswer)
}

// heartbeatAnswer is what the member is told.
type heartbeatAnswer struct {
	refused    *refusal
	epoch      int32
	intervalMs int32
	assigned   assignment // nil: as before
}

func (s *Shard) answerHeartbeat(t *coord.Turn, r *heartbeatRequest, a heartbeatAnswer) {
	t.Reply(coord.Reply{
		Send: func() { r.answer(a) },
		Fail: func(err error) { r.answer(heartbeatAnswer{refused: &refusal{code: codeOf(err)}}) },
	})
}

// consumerHeartbeat is how a member joins, stays in, moves on in and leaves a consumer group.
func (s *Shard) consumerHeartbeat(t *coord.Turn, r *heartbeatRequest) {
	refusedBy := func(why *refusal) { s.answerHeartbeat(t, r, heartbeatAnswer{refused: why}) }
	if r.epoch < 0 {
		s.consumerLeave(t, r)
		return
	}
	if c := s.groups[r.group]; c != nil && r.epoch == 0 {
		// A classic group makes way, or is taken over with its members. Then the member joins.
		if c.state == Empty && len(c.pendingJoin) == 0 {
			if c.protocolType == "" && c.generation == 0 {
				s.beat(t, r, s.newConsumerGroup(r.group))
				return
			}
			t.Append(groupTombstone(r.group))
		} else if why := s.upgrade(t, c); why != nil {
			refusedBy(why)
			return
		}
		t.Then(func(t *coord.Turn) {
			g := s.consumers[r.group]
			if g == nil {
				g = s.newConsumerGroup(r.group)
			}
			s.beat(t, r, g)
		})
		t.OnFailure(func(_ *coord.Turn, err error) { r.answer(heartbeatAnswer{refused: &refusal{code: codeOf(err)}}) })
		return
	}
	g := s.consumers[r.group]
	switch {
	case g != nil:
	case s.groups[r.group] != nil || s.foreign[r.group] != nil:
		refusedBy(refuse(codeGroupIDNotFound, "Group %s is not a consumer group.", r.group))
		return
	case r.epoch > 0:
		refusedBy(refuse(codeGroupIDNotFound, "Consumer group %s not found.", r.group))
		return
	case s.full():
		refusedBy(&refusal{code: codeCoordinatorNotAvailable})
		return
	default:
		g = s.newConsumerGroup(r.group) // kept when its first records are applied
	}
	s.beat(t, r, g)
}

// beat serves a heartbeat to a consumer group, which may be new.
func (s *Shard) beat(t *coord.Turn, r *heartbeatRequest, g *consumerGroup) {
	m, replaces, why := s.memberOf(g, r)
	if why == nil && r.regex != nil && *r.regex != "" {
		why = checkRegex(g, *r.regex)
	}
	if why != nil {
		s.answerHeartbeat(t, r, heartbeatAnswer{refused: why})
		return
	}
	if replaces != "" {
		s.replaceConsumerStatic(t, g, g.members[replaces], m)
		t.Then(func(t *coord.Turn) { s.progress(t, r, g, g.members[m.id]) })
		t.OnFailure(func(_ *coord.Turn, err error) { r.answer(heartbeatAnswer{refused: &refusal{code: codeOf(err)}}) })
		return
	}
	s.progress(t, r, g, m)
}

// memberOf finds the member that a heartbeat is from, or makes it. replaces names the static member whose place it takes.
func (s *Shard) memberOf(g *consumerGroup, r *heartbeatRequest) (m *consumerMember, replaces string, why *refusal) {
	joins := r.epoch == 0
	m = g.members[r.memberID]
	if r.instanceID != nil {
		m = g.byInstance(*r.instanceID)
		switch {
		case m == nil && !joins:
			return nil, "", refuse(codeUnknownMemberID, "Instance id %s is unknown.", *r.instanceID)
		case m != nil && joins && m.epoch != staticAwayEpoch && m.classic == nil && m.id != r.memberID:
			return nil, "", refuse(codeUnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", r.memberID, *r.instanceID, m.id)
		case m != nil && !joins && m.id != r.memberID:
			return nil, "", refuse(codeFencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", r.memberID, *r.instanceID, m.id)
		case m != nil && joins && (m.epoch == staticAwayEpoch || m.id != r.memberID):
			if g.members[r.memberID] != nil && m.id != r.memberID {
				return nil, "", refuse(codeUnreleasedInstanceID, "Member %s is in the group under another instance id.", r.memberID)
			}
			return m.reborn(r.memberID), m.id, nil
		}
	}
	if m == nil && !joins {
		return nil, "", refuse(codeUnknownMemberID, "Member %s is not a member of group %s.", r.memberID, g.id)
	}
	if m == nil {
		if len(g.members) >= s.cfg.Consumer.MaxSize {
			return nil, "", refuse(codeGroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", s.cfg.Consumer.MaxSize)
		}
		return &consumerMember{id: r.memberID, instanceID: r.instanceID, rebalanceTimeoutMs: -1}, "", nil
	}
	if joins {
		return m, "", nil // it may always begin anew
	}
	return m, "", checkEpoch(m, r)
}

// checkEpoch fences a member that does not know where it is. The epoch before is good as long as the member can only
// have missed the last answer.
func checkEpoch(m *consumerMember, r *heartbeatRequest) *refusal {
	const advice = "The member must abandon all its partitions and rejoin."
	switch {
	case r.epoch > m.epoch:
		return refuse(codeFencedMemberEpoch, "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). "+advice, r.epoch, m.epoch)
	case r.epoch < m.epoch && (r.epoch != m.previousEpoch || !r.ownedKnown || !m.assigned.holdsAll(r.owned)):
		return refuse(codeFencedMemberEpoch, "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). "+advice, r.epoch, m.epoch)
	}
	return nil
}

func checkRegex(g *consumerGroup, text string) *refusal {
	if _, known := g.regexes[text]; known {
		return nil
	}
	if _, err := regexp.Compile(text); err != nil {
		why := err.Error()
		var parsing *syntax.Error
		if errors.As(err, &parsing) {
			why = parsing.Code.String()
		}
		return refuse(codeInvalidRegex, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", text, why)
	}
	return nil
}

// reborn is a static member under the id of its next incarnation: it keeps what it has, and begins at epoch 0.
func (m *consumerMember) reborn(id string) *consumerMember {
	out := *m
	out.id, out.epoch, out.previousEpoch = id, 0, 0
	return &out
}

// replaceConsumerStatic records that the place of old is now m's.
func (s *Shard) replaceConsumerStatic(t *coord.Turn, g *consumerGroup, old, m *consumerMember) {
	t.Note("static member of a consumer group is back", "group", g.id, "instance", *old.instanceID, "old_member", old.id, "new_member", m.id)
	if old.id != m.id {
		s.appendRemoval(t, g, old)
	}
	t.Append(m.metadataRecord(g.id), g.targetRecord(m.id, g.target[old.id]), m.assignmentRecord(g.id))
}

// appendRemoval takes a member out of the log.
func (s *Shard) appendRemoval(t *coord.Turn, g *consumerGroup, m *consumerMember) {
	t.Append(consumerTombstone(keyConsumerAssignment, g.id, m.id), consumerTombstone(keyConsumerTarget, g.id, m.id), consumerTombstone(keyConsumerMember, g.id, m.id))
	s.stopTimers(t, g, m.id)
	// It is still there then: without its timers a member that will not come again would keep its partitions for good.
	t.OnFailure(func(t *coord.Turn, _ error) { s.beginTimers(t, g.id, m.id) })
}

// progress notes what the member says of itself, moves the group's epoch and target if that or the cluster's topics
// ask for it, and takes the member a step towards its target. All of it is one batch of records.
func (s *Shard) progress(t *coord.Turn, r *heartbeatRequest, g *consumerGroup, m *consumerMember) {
	said := m.saying(r)
	if said.weight() > m.weight() && s.held+said.weight()-g.weights[m.id] > s.maxHeld {
		t.Warn("member is not let in since the shard holds as much of members as it may", "group", g.id, "client", r.clientID, "held_bytes", s.held)
		s.answerHeartbeat(t, r, heartbeatAnswer{refused: &refusal{code: codeCoordinatorNotAvailable}})
		return
	}
	if m.classic != nil {
		s.stopTimers(t, g, m.id) // those of its joins and syncs
	}
	after, epoch, targetEpoch := s.advance(t, g, m, said, r)
	s.beginSession(t, g, after)
	settings := s.settings(g.id)
	a := heartbeatAnswer{epoch: after.epoch, intervalMs: settings.HeartbeatIntervalMs}
	if after.state != memberStable || epoch > targetEpoch {
		a.intervalMs = min(a.intervalMs, movingHeartbeatMs(len(g.members)))
	}
	full := r.rebalanceTimeoutMs != -1 && (r.topicsKnown || r.regex != nil) && r.ownedKnown
	if r.epoch == 0 || full || !after.assigned.assignment().equal(m.assigned.assignment()) {
		a.assigned = after.assigned.assignment()
	}
	s.answerHeartbeat(t, r, a)
}

// saying is m with what r changes about it.
func (m *consumerMember) saying(r *heartbeatRequest) *consumerMember {
	out := *m
	if r.instanceID != nil {
		out.instanceID = r.instanceID
	}
	if r.rackID != nil {
		out.rackID = r.rackID
	}
	if r.rebalanceTimeoutMs != -1 {
		out.rebalanceTimeoutMs = r.rebalanceTimeoutMs
	}
	if r.assignor != nil {
		out.assignor = r.assignor
	}
	if r.topicsKnown {
		out.topics = r.topics
	}
	if r.regex != nil {
		out.regex = r.regex
	}
	out.clientID, out.clientHost, out.classic = r.clientID, r.clientHost, nil
	return &out
}

// advance is the common way of members of both protocols. It gives the member as it will be, the group's epoch, and the
// epoch of the target.
func (s *Shard) advance(t *coord.Turn, g *consumerGroup, was, said *consumerMember, r *heartbeatRequest) (after *consumerMember, epoch, targetEpoch int32) {
	d := s.draftOf(t, g)
	d.changed = said
	isNew := g.members[said.id] == nil
	if isNew || !was.sameMetadata(said) {
		t.Append(said.metadataRecord(g.id))
	}
	resubscribed := !slices.Equal(was.topics, said.topics) || was.regexText() != said.regexText()
	changed := d.refreshRegexes(r.mayDescribe)
	if d.epoch == 0 {
		d.epoch = 1 // a new group's epoch, which what its first member reads moves on
	}
	d.refresh(resubscribed || changed)
	if g.epoch == 0 && d.epoch == 1 {
		t.Append(g.epochRecord(d.epoch, 0))
	}
	target, targetEpoch := g.target[said.id], g.targetEpoch
	if d.epoch > g.targetEpoch && (said.classic != nil || s.targetIsDue(t, g)) {
		target, targetEpoch = d.retarget()[said.id], d.epoch
	}
	step := reconcile{
		group: g, member: said, target: d.subscribedOf(said, target), targetEpoch: targetEpoch,
		owned: r.owned, ownedKnown: r.ownedKnown, resubscribed: resubscribed,
	}
	after = step.next()
	if after != said || isNew {
		t.Append(after.assignmentRecord(g.id))
		s.watchRevocation(t, g, after)
	}
	return after, d.epoch, targetEpoch
}

// refresh begins a new epoch if the topics look different, or if something else asks for it.
func (d *draft) refresh(bump bool) {
	version := d.meta.Version()
	if !bump && d.g.seen == version {
		return
	}
	hash := d.hash()
	if bump || hash != d.g.metadataHash {
		d.bump(hash)
	}
	d.g.seen = version
}

// targetIsDue holds the group to its assignment interval.
func (s *Shard) targetIsDue(t *coord.Turn, g *consumerGroup) bool {
	since := t.NowMs - g.targetMs
	return g.targetEpoch == 0 || since < 0 || since >= s.settings(g.id).AssignmentIntervalMs
}

// subscribedOf is what of a target is of topics that the member reads: a target may be older than its subscription.
func (d *draft) subscribedOf(m *consumerMember, target assignment) assignment {
	out := make(assignment, len(target))
	for _, name := range d.g.subscribedTopics(m, d.regexes) {
		if info, ok := d.meta.Topic(name); ok && len(target[info.ID]) > 0 {
			out[info.ID] = target[info.ID]
		}
	}
	return out
}

// watchRevocation gives a member its rebalance time-out to give up partitions.
func (s *Shard) watchRevocation(t *coord.Turn, g *consumerGroup, m *consumerMember) {
	if m.classic != nil {
		return // its joins and syncs are watched
	}
	if m.state == memberUnrevoked {
		t.SetTimer(revocationKey(g, m.id), int64(m.rebalanceTimeoutMs))
		return
	}
	t.StopTimer(revocationKey(g, m.id))
}
