package controller

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestABrokersLife(t *testing.T) {
	c := newCluster(t)
	reg := registration(5, 1)
	at := c.next
	if r := ask[*kmsg.BrokerRegistrationResponse](c, reg); r.ErrorCode != 0 || r.BrokerEpoch != at {
		t.Fatalf("registration: %+v; the epoch is the record's offset %d", r, at)
	}
	early := kmsg.NewPtrBrokerHeartbeatRequest()
	early.BrokerID, early.BrokerEpoch, early.CurrentMetadataOffset = 5, at, at-1
	if r := ask[*kmsg.BrokerHeartbeatResponse](c, early); !r.IsFenced || r.IsCaughtUp {
		t.Errorf("a broker that has not read its registration is unfenced: %+v", r)
	}
	if r := c.beat(5, ""); r.IsFenced || !r.IsCaughtUp {
		t.Errorf("a broker that has read it stays fenced: %+v", r)
	}
	stale := *early
	stale.BrokerEpoch = at - 1
	if r := ask[*kmsg.BrokerHeartbeatResponse](c, &stale); r.ErrorCode != kerr.StaleBrokerEpoch.Code {
		t.Errorf("stale epoch: %v", r.ErrorCode)
	}
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(5, 1)); r.ErrorCode != 0 || r.BrokerEpoch != at {
		t.Errorf("the same incarnation again: %+v", r)
	}
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(5, 2)); r.ErrorCode != kerr.DuplicateBrokerRegistration.Code {
		t.Errorf("another process with the id of a live broker: %+v", r)
	}
	c.now = c.now.Add(10 * time.Second)
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(5, 2)); r.ErrorCode != 0 || r.BrokerEpoch == at {
		t.Errorf("another process after the session of the first ran out: %+v", r)
	}
	c.beat(5, "")
	c.now = c.now.Add(8 * time.Second)
	c.tick()
	if c.s.Image().Broker(5).Fenced {
		t.Error("fenced before the session ran out")
	}
	c.now = c.now.Add(2 * time.Second)
	c.tick()
	if !c.s.Image().Broker(5).Fenced {
		t.Error("a silent broker is not fenced")
	}
	un := kmsg.NewPtrUnregisterBrokerRequest()
	un.BrokerID = 5
	if r := ask[*kmsg.UnregisterBrokerResponse](c, un); r.ErrorCode != 0 || c.s.Image().Broker(5) != nil {
		t.Errorf("unregistration: %+v", r)
	}
	if r := ask[*kmsg.UnregisterBrokerResponse](c, un); outcome(r.ErrorCode, r.ErrorMessage) != "BROKER_ID_NOT_REGISTERED: Broker ID 5 is not currently registered" {
		t.Errorf("unregistration of nobody: %s", outcome(r.ErrorCode, r.ErrorMessage))
	}
}

// Brokers that were killed together with their controller come back as new processes before anybody's session has run
// out. The new controller has not heard of their former selves, and lets them in after a moment.
func TestABrokerThatDiedWithItsControllerComesBackAtOnce(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2,3")
	c.now = c.now.Add(time.Second)
	c.s.Activate(c.now)
	c.beat(3, "") // has survived
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(1, 2)); r.ErrorCode != kerr.DuplicateBrokerRegistration.Code {
		t.Errorf("nobody can know yet whether the former broker 1 lives: %+v", r)
	}
	c.now = c.now.Add(firstWord)
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(1, 2)); r.ErrorCode != 0 {
		t.Errorf("broker 1 is refused for the sake of a process of which nobody has heard: %+v", r)
	}
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(3, 2)); r.ErrorCode != kerr.DuplicateBrokerRegistration.Code {
		t.Errorf("another process takes the id of a broker that lives: %+v", r)
	}
	c.want("t", 0, "leader 2 isr [2 3] elr [] last [] epoch 1")
	c.beat(1, "")
	if r := ask[*kmsg.BrokerRegistrationResponse](c, registration(1, 3)); r.ErrorCode != kerr.DuplicateBrokerRegistration.Code {
		t.Errorf("a third process takes the id of the second: %+v", r)
	}
}

// A broker that is reported gone again and again is fenced as soon as one that is reported once.
func TestABrokerThatIsReportedGoneAgainAndAgainIsFenced(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2)
	for range 10 {
		c.s.Disconnected(c.now, 2)
		c.now = c.now.Add(reconnectGrace / 5)
		c.tick()
	}
	if !c.s.Image().Broker(2).Fenced || c.s.Image().Broker(1).Fenced {
		t.Error("broker 2 is not fenced, or broker 1 is")
	}
}

func TestARegistrationThatDoesNotFitIsRefused(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	for name, f := range map[string]func(*kmsg.BrokerRegistrationRequest) *kerr.Error{
		"cluster": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error {
			r.ClusterID = "other"
			return kerr.InconsistentClusterID
		},
		"no dirs": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error { r.LogDirs = nil; return kerr.InvalidRequest },
		"reserved": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error {
			r.LogDirs = [][16]byte{{15: 2}}
			return kerr.InvalidRequest
		},
		"dir twice": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error {
			r.LogDirs = [][16]byte{dir(2), dir(2)}
			return kerr.InvalidRequest
		},
		"taken dir": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error {
			r.LogDirs = [][16]byte{dir(1)}
			return kerr.InvalidRequest
		},
		"old broker": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error {
			r.Features[3].MaxSupportedVersion = 29
			return kerr.UnsupportedVersion
		},
		"no level": func(r *kmsg.BrokerRegistrationRequest) *kerr.Error { r.Features = nil; return kerr.UnsupportedVersion },
	} {
		r := registration(2, 1)
		want := f(r)
		if got := ask[*kmsg.BrokerRegistrationResponse](c, r); got.ErrorCode != want.Code || got.BrokerEpoch != -1 {
			t.Errorf("%s: %v, want %v", name, kerr.ErrorForCode(got.ErrorCode), want)
		}
	}
}

func TestTheOnlyNodeRestartsWithoutWaitingForItself(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.LocalBroker = true })
	c.start(1)
	c.mustCreate("t 1 1")
	r := registration(1, 2) // kill -9, and up again at once
	if got := ask[*kmsg.BrokerRegistrationResponse](c, r); got.ErrorCode != 0 {
		t.Fatalf("refused: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	// It may have lost what was not synced, so it is in sync with nothing; but it led last, and nobody else is left.
	c.want("t", 0, "leader -1 isr [] elr [] last [1] epoch 1")
	c.beat(1, "")
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 2")
	if got := c.s.Image().Partition("t", 0).RecoveryState; got != meta.RecoveryStateRecovering {
		t.Errorf("recovery state %d", got)
	}
	if got := c.shrink("t", 0, 1); got != "ok" || c.s.Image().Partition("t", 0).RecoveryState != meta.RecoveryStateRecovered {
		t.Errorf("the leader says that it has recovered: %s", got)
	}
}

// A broker was eligible to lead when its registration was taken back. Whoever comes with its id then names no registration that
// it had before, and may have an empty disk.
func TestABrokerThatWasUnregisteredIsEligibleForNothingWhenItComesBack(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2 min.insync.replicas=2")
	c.beat(2, "fence")
	c.want("t", 0, "leader 1 isr [1] elr [2] last [] epoch 0")
	unregister := kmsg.NewPtrUnregisterBrokerRequest()
	unregister.BrokerID = 2
	ask[*kmsg.UnregisterBrokerResponse](c, unregister)
	c.want("t", 0, "leader 1 isr [1] elr [2] last [] epoch 0")
	if got := ask[*kmsg.BrokerRegistrationResponse](c, registration(2, 9)); got.ErrorCode != 0 {
		t.Fatal(kerr.ErrorForCode(got.ErrorCode))
	}
	c.beat(2, "")
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 0")
	c.beat(1, "fence")
	c.want("t", 0, "leader -1 isr [] elr [1] last [1] epoch 1") // 2 lacks what 1 has committed
}

// backInOrder starts a broker again that was let go.
func (c *cluster) backInOrder(id int32) {
	again := registration(id, 2)
	again.PreviousBrokerEpoch = c.s.Image().Broker(id).Epoch
	ask[*kmsg.BrokerRegistrationResponse](c, again)
	c.beat(id, "")
}

// Nobody can take the leaderships of the only broker, so that they stay where they are; as many as there are, none costs a record.
func TestTheOnlyNodeStopsAndStartsInOrder(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.LocalBroker = true })
	c.start(1)
	c.mustCreate("t 1 1")
	if r := c.beat(1, "shutdown"); !r.ShouldShutdown || !r.IsFenced {
		t.Errorf("not let go: %+v", r)
	}
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 0")
	c.backInOrder(1)
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 0")
	if got := c.s.Image().Partition("t", 0).RecoveryState; got != meta.RecoveryStateRecovered {
		t.Errorf("after a clean stop nothing is to be recovered: %d", got)
	}
}

// The controller let it go, but it was killed before its logs were on the disk.
func TestTheOnlyNodeThatDidNotGetToItsEndLeadsByANewEpoch(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.LocalBroker = true })
	c.start(1)
	c.mustCreate("t 1 1")
	c.beat(1, "shutdown")
	ask[*kmsg.BrokerRegistrationResponse](c, registration(1, 2))
	c.want("t", 0, "leader -1 isr [] elr [] last [1] epoch 1")
	c.beat(1, "")
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 2")
}

// A second broker comes while the first, which was alone, is away: it must not tell clients of a leader that does not serve.
func TestASecondBrokerEndsTheLeadershipsOfTheFirstThatIsAway(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	c.mustCreate("t 1 1")
	c.beat(1, "shutdown")
	ask[*kmsg.BrokerRegistrationResponse](c, registration(2, 1))
	c.want("t", 0, "leader -1 isr [] elr [1] last [1] epoch 1")
	c.beat(2, "")
	c.backInOrder(1)
	c.want("t", 0, "leader 1 isr [1] elr [] last [] epoch 2")
}

func TestControlledShutdownWaitsForAllOthersToKnow(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2)
	c.mustCreate("t 1,2")
	c.beat(1, "shutdown")
	c.want("t", 0, "leader 2 isr [2] elr [] last [] epoch 1")
	if r := c.beat(1, "shutdown"); r.ShouldShutdown {
		t.Error("let go before broker 2 has read of it")
	}
	c.beat(2, "")
	if r := c.beat(1, "shutdown"); !r.ShouldShutdown {
		t.Error("not let go")
	}
}

func TestLeadersAreElectedInKafkasOrder(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2,3 min.insync.replicas=2")
	c.want("t", 0, "leader 1 isr [1 2 3] elr [] last [] epoch 0")
	c.beat(1, "fence")
	c.want("t", 0, "leader 2 isr [2 3] elr [] last [] epoch 1") // in sync
	c.beat(2, "fence")
	c.want("t", 0, "leader 3 isr [3] elr [2] last [] epoch 2") // under the minimum: 2 stays eligible
	c.beat(3, "fence")
	c.want("t", 0, "leader -1 isr [] elr [2 3] last [3] epoch 3")
	c.beat(1, "")
	c.want("t", 0, "leader -1 isr [] elr [2 3] last [3] epoch 3") // 1 may lack records
	c.beat(2, "")
	c.want("t", 0, "leader 2 isr [2] elr [3] last [] epoch 4") // eligible
	c.beat(3, "")
	if got := c.shrink("t", 0, 2, 3); got != "ok" {
		t.Fatal(got)
	}
	c.want("t", 0, "leader 2 isr [2 3] elr [] last [] epoch 4") // the minimum again: nobody else is eligible
}

func TestAnUncleanLeaderOnlyWhereItIsAllowed(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.UncleanLeaderElection = false })
	c.start(1, 2)
	c.mustCreate("safe 1,2", "bold 1,2 unclean.leader.election.enable=true")
	for _, name := range []string{"safe", "bold"} {
		if got := c.shrink(name, 0, 1); got != "ok" {
			t.Fatal(got)
		}
	}
	un := kmsg.NewPtrUnregisterBrokerRequest()
	un.BrokerID = 1
	ask[*kmsg.UnregisterBrokerResponse](c, un)
	c.want("safe", 0, "leader -1 isr [] elr [1] last [1] epoch 1")
	c.want("bold", 0, "leader 2 isr [2] elr [] last [] epoch 1")
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Version, elect.ElectionType = 2, 1
	et := kmsg.NewElectLeadersRequestTopic()
	et.Topic, et.Partitions = "safe", []int32{0, 7}
	elect.Topics = append(elect.Topics, et)
	r := ask[*kmsg.ElectLeadersResponse](c, elect).Topics[0].Partitions
	if r[0].ErrorCode != 0 || outcome(r[1].ErrorCode, r[1].ErrorMessage) != "UNKNOWN_TOPIC_OR_PARTITION: No such partition as safe-7" {
		t.Errorf("unclean election by hand: %+v", r)
	}
	c.want("safe", 0, "leader 2 isr [2] elr [] last [] epoch 2")
}

func TestPreferredLeaders(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.LeaderImbalanceCheckInterval = 5 * time.Minute })
	c.start(1, 2)
	c.mustCreate("t 1,2", "u 2,1")
	elect := func(name string) string {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Version = 2
		et := kmsg.NewElectLeadersRequestTopic()
		et.Topic, et.Partitions = name, []int32{0}
		req.Topics = append(req.Topics, et)
		p := ask[*kmsg.ElectLeadersResponse](c, req).Topics[0].Partitions[0]
		return outcome(p.ErrorCode, p.ErrorMessage)
	}
	if got := elect("nosuch"); got != "UNKNOWN_TOPIC_OR_PARTITION: No such topic as nosuch" {
		t.Error(got)
	}
	if got := elect("t"); got != "ELECTION_NOT_NEEDED: Leader election not needed for topic partition." {
		t.Error(got)
	}
	c.beat(1, "fence")
	if got := elect("t"); got != "PREFERRED_LEADER_NOT_AVAILABLE: The preferred leader was not available." {
		t.Error(got)
	}
	c.beat(1, "")
	if got := c.shrink("t", 0, 2, 1); got != "ok" {
		t.Fatal(got)
	}
	if got := elect("t"); got != "ok" {
		t.Error(got)
	}
	c.want("t", 0, "leader 1 isr [2 1] elr [] last [] epoch 2")
	c.beat(1, "fence")
	c.beat(1, "")
	if got := c.shrink("t", 0, 2, 1); got != "ok" {
		t.Fatal(got)
	}
	c.want("t", 0, "leader 2 isr [2 1] elr [] last [] epoch 3")
	for range 40 { // five minutes of heartbeats
		c.now = c.now.Add(8 * time.Second)
		c.beat(1, "")
		c.beat(2, "")
		c.tick()
	}
	c.want("t", 0, "leader 1 isr [2 1] elr [] last [] epoch 4")
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.Topics = 2, nil
	if r := ask[*kmsg.ElectLeadersResponse](c, req); len(r.Topics) != 0 {
		t.Errorf("nothing to elect, and yet %+v", r.Topics)
	}
}

func TestAlterPartitionGuardsTheISR(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2,3")
	tp := c.s.Image().Topic("t")
	p := tp.Partitions[0]
	try := func(change func(*kmsg.AlterPartitionRequest, *kmsg.AlterPartitionRequestTopicPartition)) string {
		req := alterPartition(c, 1, tp.ID, 0, p, []int32{1, 2})
		change(req, &req.Topics[0].Partitions[0])
		r := ask[*kmsg.AlterPartitionResponse](c, req)
		if r.ErrorCode != 0 {
			return outcome(r.ErrorCode, nil)
		}
		return outcome(r.Topics[0].Partitions[0].ErrorCode, nil)
	}
	type rq = kmsg.AlterPartitionRequest
	type pt = kmsg.AlterPartitionRequestTopicPartition
	for want, change := range map[string]func(*rq, *pt){
		"STALE_BROKER_EPOCH":         func(r *rq, _ *pt) { r.BrokerEpoch-- },
		"UNKNOWN_TOPIC_ID":           func(r *rq, _ *pt) { r.Topics[0].TopicID = meta.UUID{1} },
		"UNKNOWN_TOPIC_OR_PARTITION": func(_ *rq, p *pt) { p.Partition = 5 },
		"FENCED_LEADER_EPOCH":        func(_ *rq, p *pt) { p.LeaderEpoch-- },
		"NOT_CONTROLLER":             func(_ *rq, p *pt) { p.PartitionEpoch++ },
		"INVALID_UPDATE_VERSION":     func(_ *rq, p *pt) { p.PartitionEpoch-- },
		"INVALID_REQUEST":            func(_ *rq, p *pt) { p.NewEpochISR[0].BrokerID = 3 }, // without the leader
		"INELIGIBLE_REPLICA":         func(_ *rq, p *pt) { p.NewEpochISR[1].BrokerEpoch = 999 },
	} {
		if got := try(change); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := try(func(r *rq, _ *pt) { r.BrokerID, r.BrokerEpoch = 2, c.s.Image().Broker(2).Epoch }); got != "INVALID_REQUEST" {
		t.Errorf("from a broker that does not lead: %s", got)
	}
	if got := try(func(*rq, *pt) {}); got != "ok" {
		t.Error(got)
	}
	c.want("t", 0, "leader 1 isr [1 2] elr [] last [] epoch 0")
	c.beat(3, "fence")
	if got := c.shrink("t", 0, 1, 2, 3); got != "INELIGIBLE_REPLICA" {
		t.Errorf("a fenced replica joins the ISR: %s", got)
	}
}

func TestAFailedDirectoryMovesItsLeaders(t *testing.T) {
	c := newCluster(t)
	r := registration(1, 1)
	other := meta.UUID{0xEE}
	r.LogDirs = [][16]byte{dir(1), other}
	ask[*kmsg.BrokerRegistrationResponse](c, r)
	c.beat(1, "")
	c.start(2)
	c.mustCreate("t 1,2 1,2")
	tp := c.s.Image().Topic("t")
	if got := tp.Partitions[0].Directory(1); got != meta.UnassignedDir() {
		t.Errorf("a broker with two directories chooses itself: %x", got)
	}
	as := kmsg.NewPtrAssignReplicasToDirsRequest()
	as.BrokerID, as.BrokerEpoch = 1, c.s.Image().Broker(1).Epoch
	for i, d := range []meta.UUID{dir(1), other} {
		ad := kmsg.NewAssignReplicasToDirsRequestDirectory()
		ad.ID = d
		at := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
		at.TopicID = tp.ID
		ap := kmsg.NewAssignReplicasToDirsRequestDirectoryTopicPartition()
		ap.Partition = int32(i)
		at.Partitions = append(at.Partitions, ap)
		ad.Topics = append(ad.Topics, at)
		as.Directories = append(as.Directories, ad)
	}
	if resp := ask[*kmsg.AssignReplicasToDirsResponse](c, as); resp.ErrorCode != 0 || resp.Directories[1].Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	hb := kmsg.NewPtrBrokerHeartbeatRequest()
	hb.Version = 1
	hb.BrokerID, hb.BrokerEpoch, hb.CurrentMetadataOffset, hb.OfflineLogDirs = 1, c.s.Image().Broker(1).Epoch, c.next, [][16]byte{other}
	ask[*kmsg.BrokerHeartbeatResponse](c, hb)
	c.want("t", 0, "leader 1 isr [1 2] elr [] last [] epoch 0")
	c.want("t", 1, "leader 2 isr [2] elr [] last [] epoch 1")
}

func TestProducerIDsAreGivenOnce(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = 1, c.s.Image().Broker(1).Epoch
	for i := range int64(3) {
		if r := ask[*kmsg.AllocateProducerIDsResponse](c, req); r.ProducerIDStart != i*1000 || r.ProducerIDLen != 1000 {
			t.Errorf("block %d: %+v", i, r)
		}
	}
	req.BrokerEpoch++
	if r := ask[*kmsg.AllocateProducerIDsResponse](c, req); r.ErrorCode != kerr.StaleBrokerEpoch.Code {
		t.Errorf("stale epoch: %+v", r)
	}
}

func TestFeatures(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	update := func(name string, level int16, way int8) string {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version = 2
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = name, level, way
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		r := ask[*kmsg.UpdateFeaturesResponse](c, req)
		return outcome(r.ErrorCode, r.ErrorMessage)
	}
	const all = "INVALID_UPDATE_VERSION: The update failed for all features since the following feature had an error: "
	for _, step := range []struct{ got, want string }{
		{update(meta.FeatureShare, 99, 1), all + "Invalid update version 99 for feature share.version. Local controller 1 only supports versions 0-1"},
		{update("no.such.feature", 1, 1), all + "Invalid update version 1 for feature no.such.feature. Local controller 1 does not support this feature."},
		{update(meta.FeatureMetadataVersion, 25, 2), all + "Unsupported metadata.version downgrade from 30 to 25. Refusing to perform the requested downgrade because it might delete metadata information."},
		{update(meta.FeatureMetadataVersion, 30, 1), "ok"},
		{update(meta.FeatureELR, 0, 2), "ok"},
		{update(meta.FeatureELR, 1, 1), "ok"},
	} {
		if step.got != step.want {
			t.Errorf("got  %s\nwant %s", step.got, step.want)
		}
	}
}

func TestClientQuotas(t *testing.T) {
	c := newCluster(t)
	alter := func(key string, value float64, remove bool, entity ...string) string {
		req := kmsg.NewPtrAlterClientQuotasRequest()
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for i := 0; i < len(entity); i += 2 {
			part := kmsg.NewAlterClientQuotasRequestEntryEntity()
			part.Type = entity[i]
			if entity[i+1] != "<default>" {
				part.Name = &entity[i+1]
			}
			e.Entity = append(e.Entity, part)
		}
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Value, op.Remove = key, value, remove
		e.Ops = append(e.Ops, op)
		req.Entries = append(req.Entries, e)
		r := ask[*kmsg.AlterClientQuotasResponse](c, req).Entries[0]
		return outcome(r.ErrorCode, r.ErrorMessage)
	}
	for _, step := range []struct{ got, want string }{
		{alter("producer_byte_rate", 1024, false, "user", "alice"), "ok"},
		{alter("consumer_byte_rate", 10, false, "client-id", "x", "user", "<default>"), "ok"},
		{alter("producer_byte_rate", -1, false, "user", "alice"), "INVALID_REQUEST: Quota producer_byte_rate must be greater than 0"},
		{alter("producer_byte_rate", 99.5, false, "client-id", "app"), "INVALID_REQUEST: producer_byte_rate cannot be a fractional value."},
		{alter("request_percentage", 99.5, false, "client-id", "app"), "ok"},
		{alter("nothing", 1, false, "user", "alice"), "INVALID_REQUEST: Invalid configuration key nothing"},
		{alter("producer_byte_rate", 1, false, "planet", "mars"), "INVALID_REQUEST: Unhandled client quota entity type: planet"},
		{alter("connection_creation_rate", 5, false, "ip", "10.0.0.1"), "ok"},
		{alter("connection_creation_rate", 5, false, "ip", "ten"), "INVALID_REQUEST: ten is not a valid IP or resolvable host."},
		{alter("producer_byte_rate", 0, true, "user", "alice"), "ok"},
	} {
		if step.got != step.want {
			t.Errorf("got %s, want %s", step.got, step.want)
		}
	}
	if n := len(c.s.Image().Quotas()); n != 3 {
		t.Errorf("%d entities have quotas", n)
	}
	def := c.s.Image().Quota([]meta.QuotaEntity{{EntityType: "user"}, {EntityType: "client-id", EntityName: ptr("x")}})
	if def == nil || def.Values["consumer_byte_rate"] != 10 {
		t.Errorf("the quota of default user and client x: %+v", def)
	}
}

// Whatever brokers do, a partition is never led by one that may not lead, who leads is in sync, epochs only rise,
// and a committed record is held by someone of ISR or ELR as long as nobody lost anything.
func TestInvariantsOfPartitions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(t)
		c.start(1, 2, 3)
		c.mustCreate("t 1,2,3 2,3,1 3,1,2 min.insync.replicas=2", "u 1, 2,")
		lives := map[int32]byte{1: 1, 2: 1, 3: 1}
		epochs := map[string]int32{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			id := rapid.SampledFrom([]int32{1, 2, 3}).Draw(rt, "broker")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				c.beat(id, "")
			case 1:
				c.beat(id, "fence")
			case 2:
				c.beat(id, "shutdown")
			case 3:
				c.now = c.now.Add(10 * time.Second)
				lives[id]++
				r := registration(id, lives[id])
				if rapid.Bool().Draw(rt, "clean") {
					r.PreviousBrokerEpoch = c.s.Image().Broker(id).Epoch
				}
				ask[*kmsg.BrokerRegistrationResponse](c, r)
			case 4:
				p := c.s.Image().Partition("t", 0)
				isr := []int32{p.Leader}
				if other := rapid.SampledFrom([]int32{1, 2, 3}).Draw(rt, "other"); other != p.Leader {
					isr = append(isr, other)
				}
				if p.Leader >= 0 {
					c.shrink("t", 0, isr...)
				}
			case 5:
				c.tick()
			}
			checkPartitions(rt, c, epochs)
		}
	})
}

func checkPartitions(rt *rapid.T, c *cluster, epochs map[string]int32) {
	img := c.s.Image()
	img.Topics(func(tp *meta.Topic) bool {
		for i, p := range tp.Partitions {
			at := tp.Name + itoa(int32(i))
			if p.Leader >= 0 {
				if br := img.Broker(p.Leader); br == nil || !br.Active() {
					rt.Fatalf("%s is led by %d, which is not active", at, p.Leader)
				}
			}
			in := map[int32]bool{}
			for _, id := range p.ISR {
				in[id] = true
			}
			if p.Leader >= 0 && !in[p.Leader] {
				rt.Fatalf("%s: leader %d is not in %v", at, p.Leader, p.ISR)
			}
			for _, id := range p.ELR {
				if in[id] {
					rt.Fatalf("%s: %d is in sync and eligible", at, id)
				}
			}
			if len(p.ISR) >= 2 && len(p.ELR) > 0 {
				rt.Fatalf("%s: eligible leaders %v beside the full %v", at, p.ELR, p.ISR)
			}
			if p.LeaderEpoch < epochs[at] {
				rt.Fatalf("%s: leader epoch falls", at)
			}
			epochs[at] = p.LeaderEpoch
		}
		return true
	})
}
