package group

import "github.com/moldau-stream/moldau/internal/coord"

// CommittedOffset is how far a group has come in a partition, by its commits.
type CommittedOffset struct {
	Group, Topic string
	Partition    int32
	Offset       int64
}

// Overview is what the groups of this broker have committed.
type Overview struct {
	Offsets []CommittedOffset
	Members map[string]int // by group, classic and consumer groups
	LeftOut int            // offsets there was no room for
}

// Committed looks at all groups that this broker coordinates, and returns no more offsets than limit. Those of
// partitions that load are missing; what is seen may not be committed yet.
func (s *Service) Committed(limit int) Overview {
	o := Overview{Members: map[string]int{}}
	partitions := s.rt.Partitions()
	done := make(chan struct{})
	g := coord.NewGather(len(partitions), func() { close(done) })
	for _, p := range partitions {
		s.rt.Do(p, func(sh *Shard, _ *coord.Turn) {
			g.Done(func() { sh.overview(&o, limit) })
		}, func(error) { g.Done(func() {}) })
	}
	<-done
	return o
}

func (s *Shard) overview(o *Overview, limit int) {
	for id, g := range s.groups {
		o.Members[id] = len(g.members)
	}
	for id, g := range s.consumers {
		o.Members[id] = len(g.members)
	}
	for id, topics := range s.offsets.byGroup {
		for topic, parts := range topics {
			for p, c := range parts {
				if len(o.Offsets) >= limit {
					o.LeftOut++
					continue
				}
				o.Offsets = append(o.Offsets, CommittedOffset{id, topic, p, c.offset})
			}
		}
	}
}
