package replica

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

var (
	simSeeds = flag.Int("sim.seeds", 15, "how many seeds the simulation runs, of each kind")
	simSeed  = flag.Uint64("sim.seed", 0, "run this seed alone")
)

// simulate runs one seed: records are produced while nodes die, lose power, stop, are cut off and take over from each other.
func simulate(t *testing.T, seed uint64, brokers int, change func(*cluster)) *cluster {
	c := newCluster(t, seed, brokers, func(c *cluster) {
		c.partitions, c.jitter = 2, 3*time.Millisecond
		change(c)
	})
	var replicas []int32
	for _, n := range c.nodes {
		replicas = append(replicas, n.id)
	}
	c.create(replicas...)
	for i := range 150 {
		c.act()
		c.run(time.Duration(1+c.rng.Int64N(40)) * time.Millisecond)
		c.check(i%10 == 9)
		if c.broken != "" {
			c.broken = fmt.Sprintf("step %d: %s", i, c.broken)
			return c
		}
	}
	c.settle()
	return c
}

// act does one thing to the cluster, by chance.
func (c *cluster) act() {
	for range c.rng.IntN(4) {
		partition := c.rng.Int32N(c.partitions)
		to := c.ctl.img.Partition(simName, partition).Leader
		if to < 0 || c.rng.IntN(5) == 0 { // clients are sometimes behind
			to = c.any().id
		}
		c.produce(to, partition)
	}
	n := c.any()
	switch c.rng.IntN(24) {
	case 0:
		c.lose(n, func() { n.kill() })
	case 1:
		if c.mayLose(n) {
			torn := c.rng.IntN(2) == 0
			c.lose(n, func() { n.cutPower(torn) })
		}
	case 2, 3, 4:
		if !n.up {
			n.start(n.lost && !c.flush)
		}
	case 5:
		o := c.any()
		c.cut[[2]int32{n.id, o.id}], c.cut[[2]int32{o.id, n.id}] = true, true
	case 6:
		c.cut[[2]int32{n.id, c.any().id}] = true
	case 7:
		c.cut[[2]int32{n.id, 0}], c.cut[[2]int32{0, n.id}] = true, true
		c.fenceLater(n)
	case 8:
		c.slow[n.id] = time.Duration(c.rng.Int64N(int64(200 * time.Millisecond)))
	case 9, 10, 11:
		clear(c.cut)
		clear(c.slow)
	case 12:
		if n.up && !n.paused {
			n.paused = true
			c.fenceLater(n)
		}
	case 13, 14:
		if n.up && n.paused {
			n.resume()
		}
	case 15, 16, 17:
		c.ctl.move(c.rng.Int32N(c.partitions), n.id)
	case 18:
		if n.up {
			must(c.t, n.logs.CheckpointAll())
		}
	case 19:
		c.fake.Advance(time.Duration(c.rng.Int64N(int64(3 * time.Second))))
	case 20: // the metadata reaches some late, and what they say still gets through
		for range len(c.nodes) / 2 {
			c.cut[[2]int32{0, c.any().id}] = true
		}
	}
}

func (c *cluster) any() *node { return c.nodes[c.rng.IntN(len(c.nodes))] }

// lose takes a node down; the controller notices after a while.
func (c *cluster) lose(n *node, how func()) {
	if n.up {
		how()
		c.fenceLater(n)
	}
}

func (c *cluster) fenceLater(n *node) {
	inc := n.inc
	c.fake.AfterFunc(time.Duration(50+c.rng.Int64N(500))*time.Millisecond, func() {
		if n.inc == inc && (!n.up || n.paused || c.cut[[2]int32{n.id, 0}]) {
			c.ctl.fence(n.id)
		}
	})
}

// mayLose says that the promise covers a loss of what the node has not synced: where acknowledgements rest on the disk
// always, where they rest on replication if every partition has another replica that lives and is in sync or eligible to lead.
func (c *cluster) mayLose(n *node) bool {
	if c.flush {
		return true
	}
	for _, o := range c.nodes {
		if o != n && !o.up && o.lost {
			return false // one at a time: a second one may be what the first relied on
		}
	}
	for i := range c.partitions {
		p := c.ctl.img.Partition(simName, i)
		eligible := append(slices.Clone(p.ISR), p.ELR...)
		if slices.Contains(eligible, n.id) && !slices.ContainsFunc(eligible, func(id int32) bool { return id != n.id && c.node(id).up }) {
			return false
		}
	}
	return true
}

func seeds() (out []uint64) {
	if *simSeed != 0 {
		return []uint64{*simSeed}
	}
	for i := range *simSeeds {
		out = append(out, uint64(i+1))
	}
	return out
}

func TestSimulation(t *testing.T) {
	for _, kind := range []struct {
		name    string
		brokers int
		flush   bool
	}{{"3 replicated", 3, false}, {"3 synced", 3, true}, {"5 replicated", 5, false}, {"5 synced", 5, true}} {
		t.Run(kind.name, func(t *testing.T) {
			acked, produced := 0, 0
			for _, seed := range seeds() {
				c := simulate(t, seed, kind.brokers, func(c *cluster) { c.flush = kind.flush })
				if c.broken != "" {
					t.Fatalf("seed %d: %s", seed, c.broken)
				}
				acked += c.nAcked
				produced += c.produced
			}
			t.Logf("%d of %d records acknowledged", acked, produced)
			if acked < produced/10 {
				t.Fatal("hardly anything was acknowledged: the simulation tests nothing")
			}
		})
	}
}

// Each of these mistakes must show itself, or the simulation proves nothing.
func TestTheSimulationCatchesPlantedBugs(t *testing.T) {
	for _, bug := range []struct {
		name    string
		brokers int
		flush   bool
		plant   func(*flaws)
	}{
		{"acknowledges before replication", 3, false, func(f *flaws) { f.ackBeforeReplication = true }},
		{"skips the epoch check", 3, false, func(f *flaws) { f.skipEpochCheck = true }},
		{"truncates to the watermark", 3, false, func(f *flaws) { f.truncateToWatermark = true }},
		{"keeps a stale leader", 5, false, func(f *flaws) { f.keepStaleLeader = true }},
		{"forgets to sync", 3, true, func(f *flaws) { f.forgetSync = true }},
	} {
		t.Run(bug.name, func(t *testing.T) {
			for seed := uint64(1); seed <= seedsForABug; seed++ {
				c := simulate(t, seed, bug.brokers, func(c *cluster) {
					c.flush = bug.flush
					bug.plant(&c.flaws)
				})
				if c.broken != "" {
					t.Logf("seed %d: %s", seed, c.broken)
					return
				}
			}
			t.Fatalf("not caught by %d seeds", seedsForABug)
		})
	}
}

// seedsForABug is how many seeds a planted bug has to show itself.
const seedsForABug = 400

// A cluster without trouble: the plain path, by itself.
func TestThreeReplicasAgree(t *testing.T) {
	c := newCluster(t, 1, 3, nil)
	c.create(1, 2, 3)
	for range 20 {
		c.produce(1, 0)
		c.run(5 * time.Millisecond)
	}
	c.settle()
	if c.broken != "" || c.nAcked != 20 {
		t.Fatalf("%d acknowledged; %s", c.nAcked, c.broken)
	}
	for _, n := range c.nodes {
		if s := c.state(n.id); s.HW != 20 || len(s.ISR) != 3 {
			t.Fatalf("node %d: %+v", n.id, s)
		}
	}
}
