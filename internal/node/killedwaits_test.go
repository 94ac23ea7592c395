package node

import (
	"context"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that waits for a controller, because the quorum has no leader, waits no longer than its process lives. A request for
// producer ids once outlived a node that had lost its power by half a minute.
func TestNobodyWaitsForAControllerInAKilledNode(t *testing.T) {
	c := combined(t, 2)
	c.startAll()
	c.nodes[2].Kill()
	delete(c.nodes, 2)
	one := c.nodes[1]
	c.until("a node without a majority leads no more", func() bool {
		id, _ := one.cluster.leader.Leader()
		return id != 1
	})
	ended := make(chan error, 1)
	go func() {
		_, err := controllerLink{one}.Call(context.Background(), security.Principal{}, kmsg.NewPtrAllocateProducerIDsRequest())
		ended <- err
	}()
	delete(c.nodes, 1)
	one.Kill()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a cluster without a majority has answered")
		}
	case <-time.After(30 * time.Second):
		t.Error("the request outlives its node")
	}
}
