package controller

import (
	"cmp"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
)

// placer gives the replicas of one topic's partitions to brokers. It keeps what Kafka's striped placer keeps:
//
//   - leaders (first replicas) go round the racks, and in each rack round the brokers;
//   - the replicas of a partition stand in as many racks as there are, and never twice on a broker;
//   - a fenced broker gets a replica only when there are too few others, and never the first.
//
// After each round of a rack its brokers are shuffled anew, so that the followers of one leader are not always the same.
type placer struct {
	racks    []*rack
	nextRack int
	total    int // brokers that can take replicas
	active   int
	random   Random
}

type rack struct {
	name           string
	active, fenced []int32
	next           int // index in active of the next leader
}

// newPlacer looks at the brokers of an image. A broker with all its log directories cordoned takes no new replicas.
func newPlacer(img *meta.Image, random Random) *placer {
	p := &placer{random: random}
	byName := map[string]*rack{}
	for _, b := range img.Brokers() {
		if cordoned(b) {
			continue
		}
		name := ""
		if b.Rack != nil {
			name = *b.Rack
		}
		r := byName[name]
		if r == nil {
			r = &rack{name: name}
			byName[name] = r
			p.racks = append(p.racks, r)
		}
		p.total++
		if b.Active() {
			p.active++
			r.active = append(r.active, b.ID)
		} else {
			r.fenced = append(r.fenced, b.ID)
		}
	}
	slices.SortFunc(p.racks, func(a, b *rack) int { return cmp.Compare(a.name, b.name) })
	for _, r := range p.racks {
		p.shuffle(r)
	}
	if len(p.racks) > 0 {
		p.nextRack = random.IntN(len(p.racks))
	}
	return p
}

// cordoned says that every log directory of the broker is closed to new replicas.
func cordoned(b *meta.Broker) bool {
	if len(b.CordonedLogDirs) == 0 || len(b.LogDirs) == 0 {
		return false
	}
	for _, d := range b.LogDirs {
		if !slices.Contains(b.CordonedLogDirs, d) {
			return false
		}
	}
	return true
}

func (p *placer) shuffle(r *rack) {
	for i := len(r.active) - 1; i > 0; i-- {
		j := p.random.IntN(i + 1)
		r.active[i], r.active[j] = r.active[j], r.active[i]
	}
}

// check refuses what no placement can reach.
func (p *placer) check(replicationFactor int16) *Error {
	switch {
	case p.total == 0 || p.active == 0:
		return refuse(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): All brokers are currently fenced, in controlled shutdown, or have all their log directories cordoned.", replicationFactor)
	case int(replicationFactor) > p.total:
		return refuse(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.",
			replicationFactor, replicationFactor, p.total)
	}
	return nil
}

// place gives the replicas of the next partition, leader first. check must have passed.
func (p *placer) place(replicationFactor int16) []int32 {
	start := p.leaderRack()
	out := make([]int32, 0, replicationFactor)
	// Round by round each rack gives one active broker, from its next leader on; then the fenced ones in the same way.
	for round := 0; len(out) < int(replicationFactor) && round < p.total; round++ {
		for i := range p.racks {
			r := p.racks[(start+i)%len(p.racks)]
			if round < len(r.active) && len(out) < int(replicationFactor) {
				out = append(out, r.active[(r.next+round)%len(r.active)])
			}
		}
	}
	for round := 0; len(out) < int(replicationFactor) && round < p.total; round++ {
		for i := range p.racks {
			r := p.racks[(start+i)%len(p.racks)]
			if round < len(r.fenced) && len(out) < int(replicationFactor) {
				out = append(out, r.fenced[round])
			}
		}
	}
	r := p.racks[start]
	if r.next++; r.next == len(r.active) {
		r.next = 0
		p.shuffle(r)
	}
	p.nextRack = (start + 1) % len(p.racks)
	return out
}

// leaderRack is the next rack that has an active broker.
func (p *placer) leaderRack() int {
	for i := range p.racks {
		if k := (p.nextRack + i) % len(p.racks); len(p.racks[k].active) > 0 {
			return k
		}
	}
	return 0
}

// startingDirectory is the directory of a replica that a broker is about to get: the only one it has, else one of its own choice.
func startingDirectory(img *meta.Image, broker int32) meta.UUID {
	b := img.Broker(broker)
	if b == nil || len(b.LogDirs) == 0 {
		return meta.UUID{} // from before directories were told
	}
	if len(b.LogDirs) == 1 {
		return b.LogDirs[0]
	}
	return meta.UnassignedDir()
}
