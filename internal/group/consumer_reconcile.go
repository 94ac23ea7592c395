package group

// reconcile takes a member as far towards its target as is safe now: a partition that it shall give up it must have
// given up before anything new is given to it, and a partition is new to it only when nobody else has it.
type reconcile struct {
	group        *consumerGroup
	member       *consumerMember
	target       assignment
	targetEpoch  int32
	owned        assignment // what the client says it has; nil if it does not say
	ownedKnown   bool
	resubscribed bool // the member's subscription changes in this very request
}

// next is the member after the step; the same pointer if nothing has changed.
func (r *reconcile) next() *consumerMember {
	m := r.member
	var out *consumerMember
	switch m.state {
	case memberStable:
		if m.epoch == r.targetEpoch && !r.resubscribed {
			return m
		}
		out = r.step(m.epoch)
	case memberUnrevoked:
		if r.stillOwns(m.revoking) {
			return m
		}
		out = r.step(m.epoch + 1)
	default:
		out = r.step(m.epoch)
	}
	if out.epoch == m.epoch && out.state == m.state && out.assigned.equal(m.assigned) && out.revoking.equal(m.revoking) {
		return m // it would only forget the epoch before, which a client that missed an answer still has
	}
	return out
}

// stillOwns tells whether the client may still be at work on any of h.
func (r *reconcile) stillOwns(h holding) bool {
	if !r.ownedKnown {
		return true
	}
	for topic, partitions := range r.owned {
		for _, p := range partitions {
			if h.has(topic, p) {
				return true
			}
		}
	}
	return false
}

func (r *reconcile) step(epoch int32) *consumerMember {
	kept, revoking, pending := holding{}, holding{}, holding{}
	wanted := holding{}
	unreleased := false
	for topic, partitions := range r.target {
		for _, p := range partitions {
			wanted.give(topic, p, 0)
			switch {
			case r.member.assigned.has(topic, p):
				kept.give(topic, p, r.member.assigned[topic][p])
			case r.group.isFree(topic, p):
				pending.give(topic, p, r.targetEpoch)
			default:
				unreleased = true
			}
		}
	}
	for topic, partitions := range r.member.assigned {
		for p, given := range partitions {
			if !wanted.has(topic, p) {
				revoking.give(topic, p, given)
			}
		}
	}
	out := *r.member
	out.previousEpoch = r.member.epoch
	if len(revoking) > 0 && r.stillOwns(revoking) {
		out.state, out.epoch, out.assigned, out.revoking = memberUnrevoked, epoch, kept, revoking
		return &out
	}
	for topic, partitions := range pending {
		for p, given := range partitions {
			kept.give(topic, p, given)
		}
	}
	out.state, out.epoch, out.assigned, out.revoking = memberStable, r.targetEpoch, kept, nil
	if unreleased {
		out.state = memberUnreleased
	}
	return &out
}
