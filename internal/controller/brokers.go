package controller

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func (b *batch) registerBroker(req *kmsg.BrokerRegistrationRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = -1
	if err := b.checkRegistration(req); err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	old := b.img.Broker(req.BrokerID)
	r := &meta.RegisterBrokerRecord{
		BrokerID: req.BrokerID, IncarnationID: req.IncarnationID, Rack: req.Rack, Fenced: true,
		IsMigratingZkBroker: req.IsMigratingZkBroker,
	}
	if meta.DirectoriesSupported(b.img.MetadataVersion()) {
		r.LogDirs = slices.Clone(req.LogDirs)
	}
	for _, l := range req.Listeners {
		r.EndPoints = append(r.EndPoints, meta.Endpoint{Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol})
	}
	for _, f := range req.Features {
		r.Features = append(r.Features, meta.FeatureRange{Name: f.Name, MinSupportedVersion: f.MinSupportedVersion, MaxSupportedVersion: f.MaxSupportedVersion})
	}
	slices.SortFunc(r.Features, func(a, b meta.FeatureRange) int { return cmp.Compare(a.Name, b.Name) })
	if old != nil && old.IncarnationID == req.IncarnationID {
		// The same process again, because it did not hear the answer: nothing about it starts anew.
		r.BrokerEpoch, r.Fenced, r.InControlledShutdown = old.Epoch, old.Fenced, old.InControlledShutdown
		r.CordonedLogDirs = old.CordonedLogDirs
	} else {
		// A process that ended in order says so by naming the epoch it had; any other may have lost what was not synced, and so may
		// one whose registration was taken back while it was away: its replicas may still be eligible to lead.
		clean := old != nil && req.PreviousBrokerEpoch == old.Epoch
		if !clean || !b.alone(req.BrokerID) {
			b.brokerGone(req.BrokerID, !clean && b.img.ELREnabled())
		}
		b.endSolitude(req.BrokerID)
		r.BrokerEpoch = b.nextOffset()
		delete(b.brokers, req.BrokerID)
	}
	b.add(r)
	c := b.contactOf(req.BrokerID, b.Now)
	c.last, c.lost, c.heard = b.Now, time.Time{}, true
	resp.BrokerEpoch = r.BrokerEpoch
	return resp
}

func (b *batch) checkRegistration(req *kmsg.BrokerRegistrationRequest) *Error {
	if req.ClusterID != b.cfg.ClusterID {
		return refuse(kerr.InconsistentClusterID, "Expected cluster ID %s, but got cluster ID %s", b.cfg.ClusterID, req.ClusterID)
	}
	if req.BrokerID < 0 {
		return refuse(kerr.InvalidRequest, "Broker ids cannot be negative, but got %d.", req.BrokerID)
	}
	if old := b.img.Broker(req.BrokerID); old != nil && old.IncarnationID != req.IncarnationID && !b.isGone(req.BrokerID) {
		return refuse(kerr.DuplicateBrokerRegistration, "Another broker is registered with that broker id.")
	}
	for name, level := range b.img.Features() {
		i := slices.IndexFunc(req.Features, func(f kmsg.BrokerRegistrationRequestFeature) bool { return f.Name == name })
		switch {
		case i < 0 && name == meta.FeatureMetadataVersion:
			return refuse(kerr.UnsupportedVersion, "Unable to register because the broker does not support finalized version %d of %s.", level, name)
		case i >= 0 && (level < req.Features[i].MinSupportedVersion || level > req.Features[i].MaxSupportedVersion):
			return refuse(kerr.UnsupportedVersion, "Unable to register because the broker does not support finalized version %d of %s.", level, name)
		}
	}
	return b.checkDirectories(req)
}

// isGone says that whoever holds a broker's id now is gone for certain, silent for a session, or was never heard of by
// this controller though it has been active for a while. So a broker that was killed together with its controller need
// not wait for the session of its former self to run out, and one whose former self serves is still refused.
func (b *batch) isGone(id int32) bool {
	if b.Local && b.cfg.LocalBroker && id == b.cfg.NodeID {
		return true
	}
	br := b.img.Broker(id)
	if br == nil || br.Fenced || !b.Now.Before(b.fenceAt(id, b.Now)) {
		return true
	}
	return !b.contactOf(id, b.Now).heard && !b.Now.Before(b.activated.Add(firstWord))
}

func (b *batch) checkDirectories(req *kmsg.BrokerRegistrationRequest) *Error {
	if !meta.DirectoriesSupported(b.img.MetadataVersion()) {
		return nil
	}
	if len(req.LogDirs) == 0 {
		return refuse(kerr.InvalidRequest, "No directories specified in request")
	}
	seen := map[meta.UUID]bool{}
	for _, d := range req.LogDirs {
		if meta.ReservedUUID(d) {
			return refuse(kerr.InvalidRequest, "Reserved directory ID in request")
		}
		if seen[d] {
			return refuse(kerr.InvalidRequest, "Directory IDs can't be repeated")
		}
		seen[d] = true
	}
	for _, other := range b.img.Brokers() {
		if other.ID == req.BrokerID {
			continue
		}
		for _, d := range other.LogDirs {
			if seen[d] {
				return refuse(kerr.InvalidRequest, "Broker %d is already registered with directory %s", other.ID, meta.FormatUUID(d))
			}
		}
	}
	return nil
}

// brokerGone takes a broker out of every ISR and moves its leaderships; lost says that it may miss records that it had.
func (b *batch) brokerGone(id int32, lost bool) {
	var changes []*meta.PartitionChangeRecord
	b.eachPartition(func(t *meta.Topic, partition int32, p *meta.Partition) bool {
		if !slices.Contains(p.ISR, id) && p.Leader != id && !(lost && slices.Contains(p.ELR, id)) {
			return true
		}
		c := b.changer(t, partition)
		c.isr = without(c.isr, id)
		may := c.acceptable
		c.acceptable = func(other int32) bool { return other != id && may(other) }
		if lost {
			c.lost = []int32{id}
		}
		if r := c.record(); r != nil {
			changes = append(changes, r)
		}
		return true
	})
	b.addChanges(changes)
}

// alone says that no other broker is registered. When such a broker stops in order, nobody can take its leaderships, and nobody is
// left who could be told that it has none: it keeps them until it is back, and 100,000 partitions cost no record on either way.
// One that did not stop in order gets them by a new epoch, as everywhere.
func (b *batch) alone(id int32) bool {
	for _, br := range b.img.Brokers() {
		if br.ID != id {
			return false
		}
	}
	return true
}

// endSolitude takes its leaderships from a broker that stopped while it was alone, as soon as there is another.
func (b *batch) endSolitude(arrived int32) {
	for _, br := range b.img.Brokers() {
		if br.ID != arrived && br.Fenced && b.leads(br.ID) {
			b.brokerGone(br.ID, false)
		}
	}
}

// brokerBack gives leaders to partitions without one that the broker can lead.
func (b *batch) brokerBack(id int32) {
	var changes []*meta.PartitionChangeRecord
	b.eachPartition(func(t *meta.Topic, partition int32, p *meta.Partition) bool {
		if p.Leader == meta.NoLeader && slices.Contains(p.Replicas, id) {
			if r := b.changer(t, partition).record(); r != nil {
				changes = append(changes, r)
			}
		}
		return true
	})
	b.addChanges(changes)
}

func (b *batch) leads(id int32) bool {
	found := false
	b.eachPartition(func(_ *meta.Topic, _ int32, p *meta.Partition) bool {
		found = p.Leader == id
		return !found
	})
	return found
}

func without(s []int32, id int32) []int32 {
	var out []int32
	for _, x := range s {
		if x != id {
			out = append(out, x)
		}
	}
	return out
}

func (b *batch) unregisterBroker(req *kmsg.UnregisterBrokerRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	br := b.img.Broker(req.BrokerID)
	if br == nil {
		e := refuse(kerr.BrokerIDNotRegistered, "Broker ID %d is not currently registered", req.BrokerID)
		resp.ErrorCode, resp.ErrorMessage = e.Code, e.text()
		return resp
	}
	b.brokerGone(req.BrokerID, false)
	b.add(&meta.UnregisterBrokerRecord{BrokerID: br.ID, BrokerEpoch: br.Epoch})
	delete(b.brokers, req.BrokerID)
	return resp
}

func (b *batch) registerController(req *kmsg.ControllerRegistrationRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ControllerRegistrationResponse)
	if !meta.ControllersSupported(b.img.MetadataVersion()) {
		e := refuse(kerr.UnsupportedVersion, "The current metadata.version does not support controller registrations.")
		resp.ErrorCode, resp.ErrorMessage = e.Code, e.text()
		return resp
	}
	r := &meta.RegisterControllerRecord{ControllerID: req.ControllerID, IncarnationID: req.IncarnationID, ZkMigrationReady: req.ZkMigrationReady}
	for _, l := range req.Listeners {
		r.EndPoints = append(r.EndPoints, meta.Endpoint{Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol})
	}
	for _, f := range req.Features {
		r.Features = append(r.Features, meta.FeatureRange{Name: f.Name, MinSupportedVersion: f.MinSupportedVersion, MaxSupportedVersion: f.MaxSupportedVersion})
	}
	b.add(r)
	return resp
}
