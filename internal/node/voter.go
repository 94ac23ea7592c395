package node

import (
	"errors"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// updateVoter corrects what the voters' record says of this controller, which may have moved to other addresses since; true when
// the record is right, or this quorum keeps none.
func (n *Node) updateVoter(members quorum.Members) bool {
	i := slices.IndexFunc(members.Voters, func(v quorum.Voter) bool { return v.ID == n.id })
	if members.KRaftVersion == 0 || i < 0 {
		return true
	}
	var own []record.VoterEndpoint
	for _, l := range n.controllerListeners() {
		own = append(own, record.VoterEndpoint{Name: l.Name, Host: l.Host, Port: uint16(l.Port)})
	}
	if len(own) == 0 || slices.Equal(own, members.Voters[i].Endpoints) {
		return true
	}
	req := kmsg.NewPtrUpdateRaftVoterRequest()
	req.ClusterID, req.VoterID, req.VoterDirectoryID = &n.clusterID, n.id, n.directoryID(n.o.Settings.MetadataDir())
	_, req.CurrentLeaderEpoch = n.quorum.Leader()
	req.KRaftVersionFeature.MaxSupportedVersion = maxKRaftVersion
	for _, e := range own {
		l := kmsg.NewUpdateRaftVoterRequestListener()
		l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
		req.Listeners = append(req.Listeners, l)
	}
	ctx, cancel := n.cluster.whileRunning(registerPatience)
	defer cancel()
	resp, err := n.cluster.link.Call(ctx, "registration", req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.UpdateRaftVoterResponse).ErrorCode)
	}
	switch {
	case err == nil:
		n.o.Logger.Info("the voters' record has this controller's new addresses", "listeners", own)
		return true
	case errors.Is(err, kerr.InvalidRequest), errors.Is(err, kerr.VoterNotFound), errors.Is(err, kerr.UnsupportedVersion):
		n.o.Logger.Warn("the voters' record is not brought up to date", "cause", err)
		return true
	}
	n.o.Logger.Debug("the voters' record has not this controller's addresses yet", "cause", err)
	return false
}

// tellOfNamesake says that another directory votes with this controller's id: it is this controller's from before, or a second machine
// has been given its id. It returns whether there is one.
func (n *Node) tellOfNamesake(members quorum.Members) bool {
	own := n.directoryID(n.o.Settings.MetadataDir())
	i := slices.IndexFunc(members.Voters, func(v quorum.Voter) bool { return v.ID == n.id && v.Directory != own })
	if members.Voting || members.KRaftVersion == 0 || i < 0 {
		return false
	}
	n.o.Logger.Warn("another directory votes with the id of this controller, which has no vote. If two machines have this node.id, stop this one and give it another. "+
		"If this is the same controller with a new disk, take the old vote away (kafka-metadata-quorum remove-controller) and give it one (add-controller)",
		"id", n.id, "votes", meta.FormatUUID(members.Voters[i].Directory), "own", meta.FormatUUID(own))
	return true
}

// maxKRaftVersion is the newest kraft.version that this build speaks.
const maxKRaftVersion = 1
