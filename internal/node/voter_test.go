package node

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A voter that comes back at another address tells the leader, and the voters' record has it: the others find it there.
func TestAVoterThatHasMoved(t *testing.T) {
	c := growing(t, 3)
	c.startAll(1)
	c.create("colours", 1, 1)
	c.startAll(2, 3)
	c.until("two to follow", func() bool { _, o := c.quorumState(); return o == "2,3" })
	for id := int32(2); id <= 3; id++ {
		if err := c.addVoter(id); err != nil {
			t.Fatalf("voter %d: %v", id, err)
		}
	}
	c.stop(3)
	c.opts[3] = append(c.opts[3], "listeners=PLAINTEXT://n3:9092,CONTROLLER://n3:9999")
	c.startAll(3)
	at := func(id int32) uint16 {
		for _, v := range c.nodes[id].metadata.Members().Voters {
			if v.ID == 3 && len(v.Endpoints) == 1 {
				return v.Endpoints[0].Port
			}
		}
		return 0
	}
	c.until("all to know where it is", func() bool { return at(1) == 9999 && at(2) == 9999 && at(3) == 9999 })

	// Without node 2 nothing is decided but by the one that has moved.
	c.kill(2)
	c.create("shapes", 1, 2)
	c.until("the moved one to know it", c.know("shapes"))
}

// Of a controller that follows without a vote the log does not say on which directory: it says so itself, as an observer's fetch does.
func TestTheDirectoryOfAnObserverIsShown(t *testing.T) {
	c := growing(t, 2)
	c.startAll(1)
	c.create("colours", 1, 1)
	c.startAll(2)
	want := c.nodes[2].directoryID(c.nodes[2].o.Settings.MetadataDir())
	c.until("the second to be shown", func() bool {
		s, _, err := controllerLink{c.nodes[1]}.DescribeQuorum(context.Background())
		return err == nil && len(s.Observers) == 1 && s.Observers[0].ReplicaID == 2 && s.Observers[0].ReplicaDirectoryID == want
	})
}

// What a voter may not say of itself, and when.
func TestUpdatesOfVotersThatAreRefused(t *testing.T) {
	c := growing(t, 1)
	c.startAll(1)
	c.create("colours", 1, 1)
	n := c.nodes[1]
	_, epoch := n.quorum.Leader()
	ask := func(change func(*kmsg.UpdateRaftVoterRequest)) error {
		req := kmsg.NewPtrUpdateRaftVoterRequest()
		req.ClusterID, req.CurrentLeaderEpoch = &n.clusterID, epoch
		req.VoterID, req.VoterDirectoryID = 1, n.directoryID(n.o.Settings.MetadataDir())
		req.KRaftVersionFeature.MaxSupportedVersion = maxKRaftVersion
		l := kmsg.NewUpdateRaftVoterRequestListener()
		l.Name, l.Host, l.Port = "CONTROLLER", "n1", 9093
		req.Listeners = append(req.Listeners, l)
		change(req)
		resp, err := n.cluster.link.Call(context.Background(), "registration", req)
		if err != nil {
			t.Fatal(err)
		}
		return kerr.ErrorForCode(resp.(*kmsg.UpdateRaftVoterResponse).ErrorCode)
	}
	other := "BBBBBBBBBBBBBBBBBBBBBB"
	for name, x := range map[string]struct {
		change func(*kmsg.UpdateRaftVoterRequest)
		want   error
	}{
		"another cluster":        {func(r *kmsg.UpdateRaftVoterRequest) { r.ClusterID = &other }, kerr.InconsistentClusterID},
		"an older epoch":         {func(r *kmsg.UpdateRaftVoterRequest) { r.CurrentLeaderEpoch-- }, kerr.FencedLeaderEpoch},
		"a newer epoch":          {func(r *kmsg.UpdateRaftVoterRequest) { r.CurrentLeaderEpoch++ }, kerr.UnknownLeaderEpoch},
		"no directory":           {func(r *kmsg.UpdateRaftVoterRequest) { r.VoterDirectoryID = [16]byte{} }, kerr.InvalidRequest},
		"no listener":            {func(r *kmsg.UpdateRaftVoterRequest) { r.Listeners = nil }, kerr.InvalidRequest},
		"another directory":      {func(r *kmsg.UpdateRaftVoterRequest) { r.VoterDirectoryID[3]++ }, kerr.VoterNotFound},
		"an old build":           {func(r *kmsg.UpdateRaftVoterRequest) { r.KRaftVersionFeature.MaxSupportedVersion = 0 }, kerr.InvalidRequest},
		"the same as the record": {func(*kmsg.UpdateRaftVoterRequest) {}, nil},
	} {
		if err := ask(x.change); err != x.want {
			t.Errorf("%s: %v instead of %v", name, err, x.want)
		}
	}
}
