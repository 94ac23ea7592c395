package group

import (
	"slices"
)

// assignUniform spreads partitions evenly and leaves with each member as much of what it has as that allows.
func assignUniform(s *assignSpec) map[string]assignment {
	if len(s.members) == 0 {
		return map[string]assignment{}
	}
	u := &uniform{spec: s, load: make([]int, len(s.members)), owner: map[topicID][]int{}}
	u.keep()
	if s.isHomogeneous() {
		u.spreadEvenly()
	} else {
		u.spreadByReader()
	}
	return u.result()
}

// noOwner marks a partition that nobody has yet.
const noOwner = -1

type uniform struct {
	spec  *assignSpec
	load  []int             // partitions by member
	owner map[topicID][]int // member by partition
}

// keep starts from what the members have of what they still subscribe to.
func (u *uniform) keep() {
	for topic, n := range u.spec.topics {
		u.owner[topic] = slices.Repeat([]int{noOwner}, int(n))
	}
	for i := range u.spec.members {
		m := &u.spec.members[i]
		for _, topic := range m.topics {
			for _, p := range m.has[topic] {
				if owners := u.owner[topic]; int(p) < len(owners) && p >= 0 && owners[p] == noOwner {
					owners[p] = i
					u.load[i]++
				}
			}
		}
	}
}

// spreadEvenly is for members that all read the same topics: each gets its quota, or one more.
func (u *uniform) spreadEvenly() {
	total := 0
	for _, n := range u.spec.topics {
		total += int(n)
	}
	quota, extras := total/len(u.load), total%len(u.load)
	allowed := make([]int, len(u.load))
	for i, load := range u.load { // those who have more than the quota keep the extra ones
		if allowed[i] = quota; load > quota && extras > 0 {
			allowed[i]++
			extras--
		}
	}
	for i := range allowed {
		if extras > 0 && allowed[i] == quota {
			allowed[i]++
			extras--
		}
	}
	topics := sortedTopicIDs(u.owner)
	for _, topic := range slices.Backward(topics) {
		owners := u.owner[topic]
		for p := len(owners) - 1; p >= 0; p-- {
			if i := owners[p]; i != noOwner && u.load[i] > allowed[i] {
				owners[p] = noOwner
				u.load[i]--
			}
		}
	}
	// Members take turns, so that the partitions of a topic are spread too.
	next := 0
	for _, topic := range topics {
		owners := u.owner[topic]
		for p := range owners {
			if owners[p] != noOwner {
				continue
			}
			for u.load[next] >= allowed[next] {
				next = (next + 1) % len(u.load)
			}
			owners[p] = next
			u.load[next]++
			next = (next + 1) % len(u.load)
		}
	}
}

// spreadByReader is for members that read different topics: what is free goes to the reader with the least, topics with
// few readers first; then partitions move from readers with more to such with at least two fewer, until none can.
func (u *uniform) spreadByReader() {
	readers := map[topicID][]int{}
	for i := range u.spec.members {
		for _, topic := range u.spec.members[i].topics {
			readers[topic] = append(readers[topic], i)
		}
	}
	topics := sortedTopicIDs(readers)
	slices.SortStableFunc(topics, func(a, b topicID) int { return len(readers[a]) - len(readers[b]) })
	for _, topic := range topics {
		owners := u.owner[topic]
		for p := range owners {
			if owners[p] == noOwner {
				i := u.least(readers[topic])
				owners[p] = i
				u.load[i]++
			}
		}
	}
	for moved := true; moved; {
		moved = false
		for _, topic := range topics {
			owners := u.owner[topic]
			for p, i := range owners {
				if j := u.least(readers[topic]); u.load[j]+1 < u.load[i] {
					owners[p] = j
					u.load[i]--
					u.load[j]++
					moved = true
				}
			}
		}
	}
}

// least is the reader with the fewest partitions. Every move lowers the sum of the squares of the loads, so moving ends.
func (u *uniform) least(readers []int) int {
	best := readers[0]
	for _, i := range readers[1:] {
		if u.load[i] < u.load[best] {
			best = i
		}
	}
	return best
}

func (u *uniform) result() map[string]assignment {
	out := make(map[string]assignment, len(u.spec.members))
	for i := range u.spec.members {
		out[u.spec.members[i].id] = assignment{}
	}
	for topic, owners := range u.owner {
		for p, i := range owners {
			if i != noOwner {
				a := out[u.spec.members[i].id]
				a[topic] = append(a[topic], int32(p))
			}
		}
	}
	return out
}
