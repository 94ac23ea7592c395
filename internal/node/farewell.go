package node

import (
	"context"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/peer"
	"github.com/moldau-stream/moldau/internal/server"
)

// A broker whose leaderships have moved serves on for a moment, so that its clients hear from it where they have gone. Else they find
// a closed connection, and it may be the only one they had: librdkafka connects to the brokers that it needs, and calls it an error
// that all others, which were restarted before, are not connected.

const (
	// farewellQuiet is how long a client may pause before it looks for a leader anew: more than 100 ms (Java), 250 ms
	// (librdkafka, sarama) or 300 ms (kafkajs).
	farewellQuiet = 400 * time.Millisecond
	// farewellLately is within what time somebody has asked who may soon ask again.
	farewellLately = 5 * time.Second
	// farewellMost bounds it, since partitions without another replica stay away, however often their clients ask; an Apache Kafka
	// broker stays for as long, which is its heartbeats' interval.
	farewellMost = 2 * time.Second
	// farewellLook is the pause between two looks.
	farewellLook = 20 * time.Millisecond
)

// farewell waits until the clients have gone elsewhere. If there is nowhere to go, it does not wait.
func (n *Node) farewell(ctx context.Context) {
	if !othersServe(n.broker.Image(), n.id) {
		return
	}
	linger(ctx, n.o.Clock, func(moved time.Duration) bool {
		left := false
		n.server.EachSilence(func(c *server.Conn, silent time.Duration) bool {
			left = isClient(c) && comesAgain(silent, moved)
			return !left
		})
		return left
	})
}

// comesAgain says that a client that has been silent for so long, when the leaderships moved so long ago, is to be waited for: it is
// about to find its leaders, or it has asked lately and not since they moved, so that it knows nothing yet.
func comesAgain(silent, moved time.Duration) bool {
	return silent < farewellQuiet || silent > moved && silent < moved+farewellLately
}

// linger waits as long as there is somebody to wait for, within the bound.
func linger(ctx context.Context, clk clock.Clock, anybody func(moved time.Duration) bool) {
	began := clk.Now()
	for moved := time.Duration(0); moved < farewellMost && anybody(moved); moved = clk.Now().Sub(began) {
		looked := make(chan struct{})
		t := clk.AfterFunc(farewellLook, func() { close(looked) })
		select {
		case <-looked:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// othersServe says that another broker than this one may have taken over what it led.
func othersServe(img *meta.Image, id int32) bool {
	for _, b := range img.Brokers() {
		if b.ID != id && b.Active() {
			return true
		}
	}
	return false
}

// isClient tells programs from other nodes, which know from the metadata where leaders are, and from tools, which can wait.
func isClient(c *server.Conn) bool {
	name, _ := c.Software()
	return name != peer.SoftwareName
}
