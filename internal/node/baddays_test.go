package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// refuses starts a node that must not start, and looks at what it says.
func (c *crew) refuses(id int32, parts ...string) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, err := Start(ctx, c.options(id))
	if err == nil {
		c.nodes[id] = n
	}
	wantError(c.t, err, parts...)
}

func TestABrokerOfAnotherCluster(t *testing.T) {
	c := apart(t, 1)
	c.startAll(101, 102, 103)
	o := c.options(1)
	o.ClusterID = "BBBBBBBBBBBBBBBBBBBBBB"
	o.Settings = settings(t, append(c.opts[1], "initial.broker.registration.timeout.ms=1500")...)
	_, err := Start(context.Background(), o)
	wantError(t, err, "cannot read the cluster's metadata", "the controllers belong to another cluster than this node")
}

// The copy of another cluster's metadata is not taken for this one's.
func TestABrokerWithAnotherClustersMetadata(t *testing.T) {
	c := apart(t, 1)
	c.startAll()
	c.create("colours", 1, 1)
	c.until("the broker to know it", c.know("colours"))
	for i := range 30 {
		c.create(fmt.Sprintf("t%d", i), 1, 1)
	}
	for id := range c.opts {
		c.stop(id)
	}
	for id := int32(101); id <= 103; id++ {
		c.disks[id] = vfs.NewMem() // all controllers begin anew, under the old cluster id
	}
	c.startAll(101, 102, 103)
	o := c.options(1)
	o.Settings = settings(t, append(c.opts[1], "initial.broker.registration.timeout.ms=3000")...)
	n, err := Start(context.Background(), o)
	if err == nil {
		c.nodes[1] = n
		t.Fatal("it serves what the controllers do not know")
	}
	if _, err := c.disks[1].Stat("moldau-data/colours-0"); err != nil {
		t.Errorf("its data is gone: %v", err)
	}
}

func TestTwoBrokersOfOneID(t *testing.T) {
	c := apart(t, 1)
	c.startAll()
	c.disks[7] = vfs.NewMem()
	c.opts[7] = append(append([]string{}, c.opts[1]...), "listeners=PLAINTEXT://n7:9092", "initial.broker.registration.timeout.ms=2500")
	c.refuses(7, "another process serves as broker 1", "node.id")
	delete(c.opts, 7)
	c.create("colours", 1, 1) // the first one serves on
}

// Nobody speaks to a controller whose id another process has: it says for whom it waits, and why that may be in vain.
func TestASecondControllerOfOneIDSaysForWhomItWaits(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.disks[7] = vfs.NewMem()
	c.opts[7] = append(append([]string{}, c.opts[1]...), "listeners=PLAINTEXT://n7:9092,CONTROLLER://n7:9093", "initial.broker.registration.timeout.ms=6000")
	var said bytes.Buffer
	o := c.options(7)
	o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	_, err := Start(context.Background(), o)
	wantError(t, err, "has not heard from a majority", "1@n1:9093,2@n2:9093,3@n3:9093", "no other process may have the id of this node, 1")
	if !strings.Contains(said.String(), "waiting for a majority of the controllers") {
		t.Error(said.String())
	}
	delete(c.opts, 7)
	c.create("colours", 1, 3) // the others serve on
}

func TestAnotherSetOfVoters(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.create("colours", 1, 1)
	c.stop(2)
	c.opts[2] = append(c.opts[2], "controller.quorum.voters=1@n1:9093,2@n2:9093,4@n4:9093")
	c.refuses(2, "has been one of the voters [1 2 3]", "names the voters [1 2 4]", "controller.quorum.voters")
}

// The cluster was formatted by a newer build, with levels that this one does not know. Its broker is refused and says what to do,
// alone or together with its controller.
func TestLevelsOfANewerBuild(t *testing.T) {
	for _, feature := range []string{meta.FeatureMetadataVersion, "group.version"} {
		records := slices.DeleteFunc(meta.BootstrapRecords(), func(r meta.Record) bool {
			level, ok := r.(*meta.FeatureLevelRecord)
			return ok && level.Name == feature
		})
		records = append(records, &meta.FeatureLevelRecord{Name: feature, FeatureLevel: 99})
		format := func(c *crew, id int32) {
			fs, dir := c.disks[id], settings(t, c.opts[id]...).MetadataDir()
			err := errors.Join(fs.MkdirAll(dir, 0o755), quorum.WriteBootstrap(fs, dir, 1, records),
				storage.WriteMetaProperties(fs, dir, storage.MetaProperties{ClusterID: crewCluster, NodeID: id, DirectoryID: newUUID()}))
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Run(feature, func(t *testing.T) {
			c := apart(t, 1)
			for id := int32(101); id <= 103; id++ {
				format(c, id)
			}
			c.startAll(101, 102, 103)
			c.refuses(1, "finalized a feature at a level that this build does not know", "kafka-features")
			one := combined(t, 1)
			format(one, 1)
			one.refuses(1, "finalized a feature at a level that this build does not know", "kafka-features")
		})
	}
}

func TestMoreReplicasThanBrokers(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.until("three brokers", func() bool { return len(c.image(1).Brokers()) == 3 })
	resp, err := kadm.NewClient(c.client()).CreateTopic(context.Background(), 1, 4, nil, "colours")
	if err == nil {
		err = resp.Err
	}
	if !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Fatal(err)
	}
	if !strings.Contains(resp.ErrMessage, "replication factor of 4 cannot be reached because only 3 broker(s) are registered") {
		t.Error(resp.ErrMessage)
	}
}

// One of several nodes cannot think up the id of the cluster: each would have another.
func TestOneOfSeveralFormatsItselfOnlyWithAnID(t *testing.T) {
	c := combined(t, 3)
	o := c.options(1)
	o.ClusterID = ""
	_, err := Start(context.Background(), o)
	wantError(t, err, "cannot make a cluster id by itself", "--cluster-id")
}

// Three controllers that were formatted with --initial-controllers begin together, and know each other's directories.
func TestInitialControllers(t *testing.T) {
	c := growing(t, 3)
	var voters []record.Voter
	for id := int32(1); id <= 3; id++ {
		voters = append(voters, record.Voter{
			ReplicaKey: record.ReplicaKey{ID: id, DirectoryID: newUUID()}, MaxKRaftVersion: 1,
			Endpoints: []record.VoterEndpoint{{Name: "CONTROLLER", Host: fmt.Sprintf("n%d", id), Port: 9093}},
		})
	}
	for i, v := range voters {
		fs, dir := c.disks[v.ID], settings(t, c.opts[v.ID]...).MetadataDir()
		err := errors.Join(fs.MkdirAll(dir, 0o755), quorum.WriteBootstrap(fs, dir, 1, meta.BootstrapRecords()), quorum.WriteVoters(fs, dir, 1, 1, voters),
			storage.WriteMetaProperties(fs, dir, storage.MetaProperties{ClusterID: crewCluster, NodeID: v.ID, DirectoryID: voters[i].DirectoryID}))
		if err != nil {
			t.Fatal(err)
		}
	}
	c.startAll()
	c.create("colours", 1, 3)
	c.until("all to know the topic", c.know("colours"))
	if v, o := c.quorumState(); v != "1,2,3" || o != "" {
		t.Errorf("voters %s observers %s", v, o)
	}
	old := c.activeController()
	c.powerCut(old)
	c.until("another controller", func() bool { a := c.activeController(); return a > 0 && a != old })
	c.startAll(old)
	c.until("it to know the topic", c.know("colours"))
	c.sameImages()
}
