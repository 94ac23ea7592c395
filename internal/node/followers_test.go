package node

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/kraft"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that is far behind loads a snapshot of the controllers, in as many pieces as it takes. The leader is cut off while it
// is at it, and it begins anew with the next.
func TestABrokerThatIsFarBehindLoadsASnapshotInPieces(t *testing.T) {
	c := apart(t, 2)
	for id := int32(101); id <= 103; id++ {
		c.opts[id] = append(c.opts[id], "controller.quorum.fetch.snapshot.max.bytes=100", "metadata.log.max.record.bytes.between.snapshots=3000")
	}
	c.startAll(101, 102, 103, 1)
	for i := range 60 {
		c.create(fmt.Sprintf("t%d", i), 1, 1)
	}
	c.until("a snapshot", func() bool {
		chunk, err := c.nodes[101].quorum.Fetch(0, 0, 1<<20)
		return err == nil && chunk.Snapshot != nil
	})
	chunk, err := c.nodes[101].quorum.Fetch(0, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	source := c.source(2)
	var whole []byte
	pieces := 0
	for size := int64(1); int64(len(whole)) < size; pieces++ {
		var piece []byte
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		piece, size, err = source.SnapshotPiece(ctx, *chunk.Snapshot, int64(len(whole)))
		cancel()
		if err != nil || len(piece) == 0 || len(piece) > 100 {
			t.Fatalf("piece %d has %d bytes: %v", pieces, len(piece), err)
		}
		whole = append(whole, piece...)
	}
	if pieces < 5 {
		t.Errorf("%d pieces: the test shows nothing", pieces)
	}
	if all, size, err := c.nodes[101].quorum.SnapshotPiece(*chunk.Snapshot, 0, 1<<20); err != nil || int64(len(all)) != size || !bytes.Equal(all, whole) {
		t.Errorf("the pieces are not the whole of %d bytes: %v", size, err)
	}

	c.net.SetDelay("n2", fmt.Sprintf("n%d", c.activeController()), 5*time.Millisecond)
	go func(leader string) {
		time.Sleep(100 * time.Millisecond)
		c.net.Reset("n2", leader)
	}(fmt.Sprintf("n%d", c.activeController()))
	c.startAll(2)
	c.until("the late one to know all", c.know("t59"))
	c.sameImages()
}

// source is how a broker asks the controllers.
func (c *crew) source(id int32) *kraft.Source {
	fixed := map[int32]string{101: "n101:9093", 102: "n102:9093", 103: "n103:9093"}
	o := c.options(id)
	d := kraft.NewDirectory(kraft.Options{ClusterID: crewCluster, NodeID: id, Network: c.net.Host("asker"), Clock: o.Clock, Logger: o.Logger, Fixed: fixed, RequestTimeout: time.Second})
	c.t.Cleanup(d.Close)
	s := kraft.NewSource(d, [16]byte{1}, time.Second)
	c.until("the leader to be known", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _ = s.Fetch(ctx, 0, -1, 0) // whoever is asked says who leads
		id, _ := s.Leader()
		return id > 0
	})
	return s
}

// A second process with the id of a controller has another directory: it is no voter, and the first one serves on.
func TestTwoControllersOfOneID(t *testing.T) {
	c := growing(t, 3)
	c.startAll(1)
	c.create("colours", 1, 1)
	c.startAll(2, 3)
	for id := int32(2); id <= 3; id++ {
		c.until("a vote", func() bool { return c.addVoter(id) == nil })
	}
	c.disks[7] = vfs.NewMem()
	c.opts[7] = []string{
		"process.roles=broker,controller", "node.id=3", "controller.quorum.bootstrap.servers=n1:9093,n2:9093",
		"listeners=PLAINTEXT://n7:9092,CONTROLLER://n7:9093", "controller.listener.names=CONTROLLER", "controller.quorum.election.timeout.ms=300",
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := Start(ctx, c.options(7))
	wantError(t, err, "cannot read the cluster's metadata") // nobody answers the second: the id is the first one's
	delete(c.opts, 7)
	c.create("shapes", 1, 3)
	if v, _ := c.quorumState(); v != "1,2,3" {
		t.Errorf("voters %s", v)
	}
}

// Words for a kraft.version that is asked for and cannot be.
func TestKRaftVersionGoesNotBack(t *testing.T) {
	c := growing(t, 1)
	c.startAll(1)
	c.create("colours", 1, 1)
	req := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = "kraft.version", 0, 2
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	resp, err := req.RequestWith(context.Background(), c.client())
	if err != nil {
		t.Fatal(err)
	}
	if resp.ErrorCode != kerr.InvalidUpdateVersion.Code || resp.ErrorMessage == nil ||
		!strings.Contains(*resp.ErrorMessage, "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.") {
		t.Errorf("%d %v", resp.ErrorCode, resp.ErrorMessage)
	}
}
