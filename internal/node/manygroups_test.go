package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/group"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	manyGroups = 10_000
	// manyCommitters commit at once.
	manyCommitters = 64
	// manyAsked groups are asked for in one request.
	manyAsked = 500
)

// Ten thousand groups have committed. Their coordinator is killed, and the next one, which read their partition, knows each of
// them and its last offset, and goes on with all of them.
func TestTenThousandGroupsOutliveTheirCoordinator(t *testing.T) {
	c := coordinated(t)
	c.create("t", 1, 3)
	c.commitAll(1)
	c.commitAll(2)
	old := c.killLeader(group.Topic)
	var adm *kadm.Client
	c.until("the offsets of all groups at the next coordinator", func() bool {
		adm = kadm.NewClient(c.client(c.livingSeeds())) // requests for many groups keep to a dead broker of which they have heard
		return c.allCommitted(adm, 2)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if listed, err := adm.ListGroups(ctx); err != nil || len(listed) != manyGroups {
		t.Fatalf("%d groups are listed, want %d (%v)", len(listed), manyGroups, err)
	}
	c.commitAll(3)
	c.startAll(old)
	if !c.allCommitted(adm, 3) {
		t.Fatal("what was committed at the next coordinator is not there")
	}
}

// livingSeeds lets a client begin at the nodes that run.
func (c *crew) livingSeeds() kgo.Opt {
	var seeds []string
	for id := range c.nodes {
		seeds = append(seeds, fmt.Sprintf("n%d:9092", id))
	}
	return kgo.SeedBrokers(seeds...)
}

func manyName(i int) string { return fmt.Sprintf("many-%05d", i) }

// commitAll commits an offset for each of the groups.
func (c *crew) commitAll(offset int64) {
	c.t.Helper()
	adm := kadm.NewClient(c.client())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var work sync.WaitGroup
	for n := range manyCommitters {
		work.Go(func() {
			for i := n; i < manyGroups; i += manyCommitters {
				at := kadm.OffsetsFromRecords(kgo.Record{Topic: "t", Offset: offset - 1, LeaderEpoch: -1})
				for { // a broker may hear late of the topic, and of who coordinates
					err := adm.CommitAllOffsets(ctx, manyName(i), at)
					if err == nil {
						break
					}
					if ctx.Err() != nil {
						c.t.Errorf("cannot commit %d for %s: %v", offset, manyName(i), err)
						return
					}
				}
			}
		})
	}
	work.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// allCommitted says whether each group is answered for, with that offset; another is an error, since it was acknowledged.
func (c *crew) allCommitted(adm *kadm.Client, offset int64) bool {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for from := 0; from < manyGroups; from += manyAsked {
		var names []string
		for i := range manyAsked {
			names = append(names, manyName(from+i))
		}
		for name, resp := range adm.FetchManyOffsets(ctx, names...) {
			if resp.Err != nil {
				return false
			}
			o, ok := resp.Fetched.Lookup("t", 0)
			if o.Err != nil {
				return false
			}
			if !ok || o.At != offset {
				c.t.Fatalf("group %s has offset %d (%t), want %d", name, o.At, ok, offset)
			}
		}
	}
	return true
}
