package node

import (
	"testing"
)

// patient makes silent brokers keep their sessions for longer than any test waits: whoever comes back at once does so
// because the controller knows better.
func patient(c *crew) *crew {
	for id := range c.opts {
		c.opts[id] = append(c.opts[id], "broker.session.timeout.ms=600000")
	}
	return c
}

// serving says that each partition of a topic has a leader and all its replicas in sync, as every node sees it.
func (c *crew) serving(topic string) func() bool {
	return func() bool {
		for _, n := range c.nodes {
			t := n.metadata.Image().Topic(topic)
			if t == nil {
				return false
			}
			for _, p := range t.Partitions {
				if p.Leader < 0 || len(p.ISR) != len(p.Replicas) {
					return false
				}
			}
		}
		return true
	}
}

// All nodes die in one moment. The controller that is elected then has not heard of any broker's former process, whose
// sessions have yet to run out; they are let in again all the same.
func TestAllNodesAreKilledAndComeBack(t *testing.T) {
	c := patient(combined(t, 3))
	c.startAll()
	c.create("colours", 6, 3)
	for _, loss := range []func(int32){c.kill, c.powerCut} {
		for id := range c.opts {
			loss(id)
		}
		c.startAll()
		c.until("each partition to be led, all replicas in sync", c.serving("colours"))
		c.sameImages()
	}
}

// Two of three die, the active controller among them, and come back while the third has waited without a quorum.
func TestTwoOfThreeNodesAreKilledAndComeBack(t *testing.T) {
	c := patient(combined(t, 3))
	c.startAll()
	c.create("colours", 6, 3)
	for range 2 {
		c.until("one active controller", func() bool { return c.activeController() > 0 })
		first := c.activeController()
		second := first%3 + 1
		c.kill(first)
		c.kill(second)
		c.startAll(second)
		c.until("the two that are there to lead what the third led", func() bool {
			for _, n := range c.nodes {
				for _, p := range n.metadata.Image().Topic("colours").Partitions {
					if p.Leader < 0 || p.Leader == first {
						return false
					}
				}
			}
			return true
		})
		c.startAll(first)
		c.until("each partition to be led, all replicas in sync", c.serving("colours"))
	}
}

// The last of three cannot ask anybody for leave. It goes all the same, in order: nothing is left to be checked.
func TestANodeWithoutAQuorumStopsInOrder(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.create("colours", 3, 3)
	c.until("all to know the topic", c.know("colours"))
	c.kill(2)
	c.kill(3)
	n := c.nodes[1]
	delete(c.nodes, 1)
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := c.disks[1].Stat(settings(t, c.opts[1]...).MetadataDir() + "/.kafka_cleanshutdown"); err != nil {
		t.Errorf("the logs are not marked as whole: %v", err)
	}
}
