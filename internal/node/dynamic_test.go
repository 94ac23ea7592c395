package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// growing describes a node that stands alone at first, and others that look for it.
func growing(t *testing.T, n int32, more ...string) *crew {
	c := newCrew(t)
	for id := int32(1); id <= n; id++ {
		c.opts[id] = append([]string{
			"process.roles=broker,controller", fmt.Sprintf("node.id=%d", id), "controller.quorum.bootstrap.servers=n1:9093",
			fmt.Sprintf("listeners=PLAINTEXT://n%d:9092,CONTROLLER://n%d:9093", id, id), "controller.listener.names=CONTROLLER",
			"controller.quorum.election.timeout.ms=300",
		}, more...)
		c.disks[id] = vfs.NewMem()
	}
	return c
}

func (c *crew) quorumState() (voters, observers string) {
	for _, n := range c.nodes {
		s, _, err := controllerLink{n}.DescribeQuorum(context.Background())
		if err != nil {
			return "", ""
		}
		var v, o []string
		for _, x := range s.CurrentVoters {
			v = append(v, fmt.Sprint(x.ReplicaID))
		}
		for _, x := range s.Observers {
			o = append(o, fmt.Sprint(x.ReplicaID))
		}
		return strings.Join(v, ","), strings.Join(o, ",")
	}
	return "", ""
}

func (c *crew) addVoter(id int32) error {
	n := c.nodes[id]
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = id, n.directoryID(n.o.Settings.MetadataDir()), 10_000
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", fmt.Sprintf("n%d", id), 9093
	req.Listeners = append(req.Listeners, l)
	resp, err := req.RequestWith(context.Background(), c.client())
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// kraftVersion is the level that a node tells its clients, 0 for none.
func (c *crew) kraftVersion(id int32) int16 {
	c.t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
	resp, err := req.RequestWith(context.Background(), c.client(kgo.SeedBrokers(fmt.Sprintf("n%d:9092", id))))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == meta.FeatureKRaftVersion {
			return f.MaxVersionLevel
		}
	}
	return 0
}

func (c *crew) removeVoter(id int32, dir [16]byte) error {
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID = id, dir
	resp, err := req.RequestWith(context.Background(), c.client())
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

func TestAQuorumGrowsAndShrinks(t *testing.T) {
	c := growing(t, 3)
	c.startAll(1)
	c.create("colours", 1, 1)
	c.startAll(2, 3) // they follow without a vote, and serve as brokers
	c.until("two to follow", func() bool { v, o := c.quorumState(); return v == "1" && o == "2,3" })
	c.until("all to know the topic", c.know("colours"))
	for id := int32(2); id <= 3; id++ {
		if err := c.addVoter(id); err != nil {
			t.Fatalf("voter %d: %v", id, err)
		}
	}
	if v, o := c.quorumState(); v != "1,2,3" || o != "" {
		t.Fatalf("voters %s observers %s", v, o)
	}
	if err := c.addVoter(3); !errors.Is(err, kerr.DuplicateVoter) {
		t.Errorf("the same voter again: %v", err)
	}
	for id := range c.nodes {
		if level := c.kraftVersion(id); level != 1 {
			t.Errorf("node %d tells of kraft.version %d", id, level)
		}
	}

	// The first node, which began it all, may die now.
	c.kill(1)
	c.until("another controller", func() bool { return c.activeController() > 1 })
	c.create("shapes", 1, 2)
	c.startAll(1)
	c.until("the first to know it", c.know("shapes"))

	// The leader itself is removed: another leads, and it follows on.
	old := c.activeController()
	dir := c.nodes[old].directoryID(c.nodes[old].o.Settings.MetadataDir())
	if err := c.removeVoter(old, dir); err != nil {
		t.Fatal(err)
	}
	c.until("another to lead", func() bool { a := c.activeController(); return a > 0 && a != old })
	c.until("the removed one to follow", func() bool { _, o := c.quorumState(); return o == fmt.Sprint(old) })
	c.create("sizes", 1, 2)
	c.until("all to know the last topic", c.know("sizes"))
	if err := c.removeVoter(old, dir); err == nil || !strings.Contains(err.Error(), "VOTER_NOT_FOUND") {
		t.Errorf("removed twice: %v", err)
	}
	c.sameImages()
}

// A controller that has lost its disk is not the voter that it was: it could vote a second time.
func TestAControllerWithoutItsDiskIsNoVoter(t *testing.T) {
	c := growing(t, 3, "controller.quorum.auto.join.enable=true")
	c.startAll(1)
	c.startAll(2, 3)
	c.until("all to vote", func() bool { v, _ := c.quorumState(); return v == "1,2,3" })
	old := c.nodes[3].directoryID(c.nodes[3].o.Settings.MetadataDir())
	c.kill(3)
	c.disks[3] = vfs.NewMem()
	c.opts[3] = append(c.opts[3], "controller.quorum.auto.join.enable=false")
	told := &ear{words: "another directory votes with the id of this controller"}
	c.ears = map[int32]*ear{3: told}
	c.startAll(3)
	c.until("it to be told of its former self", told.heard.Load)
	c.until("it to follow beside its former self", func() bool { v, o := c.quorumState(); return v == "1,2,3" && o == "3" })
	if err := c.addVoter(3); err == nil || !strings.Contains(err.Error(), "DUPLICATE_VOTER") {
		t.Errorf("two voters of one id: %v", err)
	}
	if err := c.removeVoter(3, old); err != nil {
		t.Fatal(err)
	}
	if err := c.addVoter(3); err != nil {
		t.Fatal(err)
	}
	c.create("colours", 1, 3)
	c.until("all to know the topic", c.know("colours"))
}
