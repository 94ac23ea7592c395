package sim

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/twmb/franz-go/pkg/kadm"
)

var (
	seeds   = flag.Int("sim.seeds", 1, "how many seeds each kind of cluster runs")
	oneSeed = flag.Uint64("sim.seed", 0, "run this seed alone")
)

// acts is how many things happen in a run.
const acts = 40

// run hurts one cluster, and returns what was broken.
func (w *world) run() {
	for _, h := range w.hosts {
		w.begin(h)
	}
	for w.size > int32(w.upNow()) {
		time.Sleep(step)
		w.arrivals()
	}
	adm := w.client("admin")
	defer adm.Close()
	resp, err := kadm.NewClient(adm).CreateTopic(context.Background(), partitions, copies, nil, topicName)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		w.broke("cannot create a topic in a cluster that is well: %v", err)
		return
	}
	w.ledger.write()
	if w.hasApps() {
		w.apps.begin(kadm.NewClient(adm), resp.ID)
	}
	for range acts {
		w.act(adm)
		for range 1 + w.rnd.IntN(40) {
			time.Sleep(step)
			w.arrivals()
			w.look()
		}
		if w.broken() != "" {
			return
		}
	}
	w.heal()
	for _, h := range w.hosts {
		w.begin(h)
	}
	if !w.untilWhole() {
		return
	}
	w.ledger.close()
	if !w.untilWhole() {
		return
	}
	w.verify()
	if w.hasApps() && w.broken() == "" {
		w.apps.verify(adm)
	}
}

// hasApps: where one seed is run, the applications in transactions are in the clusters of three alone, since five nodes with them take
// most of a minute on a busy machine.
func (w *world) hasApps() bool {
	return !w.flaws.ofRecords() && (w.size == 3 || *seeds > 1 || *oneSeed != 0)
}

func (w *world) upNow() (n int) {
	w.each(func(*host, *node.Node) { n++ })
	return n
}

// end stops everything that runs; where nothing was broken, the replicas are compared then.
func (w *world) end() {
	var img *meta.Image
	w.each(func(_ *host, n *node.Node) { img = n.Image() })
	select {
	case <-w.ledger.stop:
	default:
		w.ledger.close()
	}
	w.apps.close()
	if w.broken() != "" {
		for _, h := range w.hosts {
			w.crash(h, loseNothing)
		}
		w.ended.Wait()
		return
	}
	for _, h := range w.hosts {
		w.stop(h)
	}
	w.ended.Wait()
	if w.broken() == "" {
		w.compareReplicas(img)
	}
}

// afterwards is for what waits for an answer with a deadline of its own: the bubble's time ends with its test.
const afterwards = 5 * time.Minute

// simulate runs one seed.
func simulate(t *testing.T, seed uint64, size int32, synced bool, f flaws) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed, size, synced, f)
		w.run()
		w.end()
		time.Sleep(afterwards)
	})
	return w
}

func TestSimulation(t *testing.T) {
	for _, kind := range []struct {
		size   int32
		synced bool
	}{{3, false}, {3, true}, {5, false}, {5, true}} {
		t.Run(fmt.Sprintf("%d nodes synced %t", kind.size, kind.synced), func(t *testing.T) {
			acked, produced := 0, 0
			from, to := uint64(1), uint64(*seeds)
			if *oneSeed != 0 {
				from, to = *oneSeed, *oneSeed
			}
			for seed := from; seed <= to; seed++ {
				w := simulate(t, seed, kind.size, kind.synced, flaws{})
				if found := w.broken(); found != "" {
					t.Fatalf("seed %d: %s\n%s", seed, found, strings.Join(w.history, "\n"))
				}
				acked += len(w.ledger.acked)
				produced += w.ledger.produced
			}
			t.Logf("%d of %d records acknowledged", acked, produced)
			if acked < produced/10 {
				t.Error("hardly anything was acknowledged: the simulation shows nothing")
			}
		})
	}
}

// Mistakes at the edges of a node, which its clients or its disk make for it, must show themselves. Those inside of it are
// planted in packages replica (acknowledging early, epochs, watermarks, stale leaders) and quorum.
func TestTheSimulationCatchesPlantedBugs(t *testing.T) {
	for name, c := range map[string]struct {
		flaws  flaws
		synced bool
	}{
		"syncs are forgotten":               {flaws{forgetSync: true}, true},
		"acknowledged by the leader's word": {flaws{ackBeforeCopying: true}, false},
		"a marker before its decision":      {flaws{markerFirst: true}, false},
		"open transactions are read":        {flaws{readsOpen: true}, false},
		"replaced producers are not fenced": {flaws{epochLost: true}, false},
		"replaced members are not fenced":   {flaws{nobodysOffsets: true}, false},
		"offsets before their transaction":  {flaws{offsetsFirst: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if underRace && !c.flaws.ofRecords() {
				t.Skip("the same worlds run without a flaw; that flaws are caught is shown without the race detector")
			}
			for seed := uint64(1); seed <= seedsForABug; seed++ {
				if found := simulate(t, seed, 3, c.synced, c.flaws).broken(); found != "" {
					t.Logf("seed %d: %s", seed, found)
					return
				}
			}
			t.Errorf("not caught by %d seeds", seedsForABug)
		})
	}
}

// seedsForABug is how many seeds a planted bug has to show itself.
const seedsForABug = 60
