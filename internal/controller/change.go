package controller

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
)

// changer works out one change of one partition: which replicas are in sync, who leads, who else could.
// It is the only maker of PartitionChangeRecords, so the rules of election stand here and nowhere else.
//
// Who leads, in this order: the leader of now, as long as it may; a replica in sync; an eligible one (ELR); when
// both sets are empty the one that led last; and only if the topic allows it, anybody (unclean).
type changer struct {
	topicID   meta.UUID
	partition int32
	p         *meta.Partition // as it is
	isr       []int32         // as it is to be
	// replicas, adding and removing are as they are to be; a reassignment is under way while there are any of the latter two.
	replicas, adding, removing []int32
	// directory is where a replica lies or is to begin; nil while metadata.version knows of no directories.
	directory func(broker int32) meta.UUID
	// lost are replicas that came back without what they had: they are eligible for nothing.
	lost []int32
	// acceptable says which broker may lead.
	acceptable func(broker int32) bool
	preferred  bool // move to the preferred replica if that may lead
	unclean    bool // anybody may lead when nobody else can
	elr        bool // eligible leader replicas are kept
	minISR     int
	bumpEpoch  bool // a shrinking ISR raises the leader epoch (before metadata.version 3.6)
	// recovered says that the leader has got over an unclean election.
	recovered bool
}

// candidate is the outcome of an election.
type candidate struct {
	leader  int32
	unclean bool
}

func (c *changer) elect() candidate {
	inSync := func(id int32) bool { return slices.Contains(c.isr, id) && c.acceptable(id) }
	if c.preferred && inSync(c.replicas[0]) {
		return candidate{leader: c.replicas[0]}
	}
	if inSync(c.p.Leader) {
		return candidate{leader: c.p.Leader}
	}
	for _, id := range c.replicas {
		if inSync(id) {
			return candidate{leader: id}
		}
	}
	if c.elr {
		for _, id := range c.replicas {
			if slices.Contains(c.p.ELR, id) && !slices.Contains(c.lost, id) && c.acceptable(id) {
				return candidate{leader: id}
			}
		}
		if len(c.isr) == 0 && len(c.p.ELR) == 0 && len(c.p.LastKnownELR) == 1 && c.acceptable(c.p.LastKnownELR[0]) {
			return candidate{leader: c.p.LastKnownELR[0], unclean: true}
		}
	}
	if c.unclean {
		if c.acceptable(c.p.Leader) { // who leads already has at least what it has shown
			return candidate{leader: c.p.Leader, unclean: true}
		}
		for _, id := range c.replicas {
			if c.acceptable(id) {
				return candidate{leader: id, unclean: true}
			}
		}
	}
	return candidate{leader: meta.NoLeader}
}

// record is the change, nil when there is none.
func (c *changer) record() *meta.PartitionChangeRecord {
	r := meta.NewPartitionChange(c.topicID, c.partition)
	c.complete()
	won := c.elect()
	if won.leader != meta.NoLeader && !slices.Contains(c.isr, won.leader) {
		c.isr = []int32{won.leader} // elected from outside: only it has what it will show from now on
		if !won.unclean {
			c.complete() // a reassignment may have waited for just this replica
		}
	}
	isr := c.isr
	if won.leader != c.p.Leader {
		r.Leader = won.leader
	}
	switch {
	case won.unclean && won.leader != c.p.Leader && c.p.RecoveryState != meta.RecoveryStateRecovering:
		r.LeaderRecoveryState = meta.RecoveryStateRecovering
	case c.recovered && c.p.RecoveryState == meta.RecoveryStateRecovering:
		r.LeaderRecoveryState = meta.RecoveryStateRecovered
	}
	if len(isr) == 0 && !c.elr {
		isr = c.p.ISR // without eligible replicas the last one in sync stays, to be waited for
	}
	if !slices.Equal(isr, c.p.ISR) {
		r.ISR = nonNil(isr)
		if c.bumpEpoch && r.Leader == meta.LeaderNoChange && len(isr) < len(c.p.ISR) {
			r.Leader = c.p.Leader
		}
	}
	c.eligible(r, isr)
	c.place(r)
	if r.Unchanged() {
		return nil
	}
	return r
}

// eligible keeps the replicas that hold every committed record although they are not in sync: with fewer than
// min.insync.replicas in sync nothing new is committed, so who was in sync until then still has all there is.
func (c *changer) eligible(r *meta.PartitionChangeRecord, isr []int32) {
	var elr []int32
	if c.elr && len(isr) < min(c.minISR, len(c.replicas)) {
		for _, id := range append(slices.Clone(c.p.ELR), c.p.ISR...) {
			if !slices.Contains(isr, id) && !slices.Contains(c.lost, id) && !slices.Contains(elr, id) && slices.Contains(c.replicas, id) {
				elr = append(elr, id)
			}
		}
	}
	lastKnown := c.lastKnown(r)
	if !slices.Equal(elr, c.p.ELR) {
		r.EligibleLeaderReplicas = nonNil(elr)
	}
	if !slices.Equal(lastKnown, c.p.LastKnownELR) {
		r.LastKnownELR = nonNil(lastKnown)
	}
}

// lastKnown is who led last, as long as nobody leads.
func (c *changer) lastKnown(r *meta.PartitionChangeRecord) []int32 {
	switch {
	case !c.elr || r.Leader >= 0:
		return nil
	case r.Leader == meta.NoLeader && len(c.p.LastKnownELR) == 0:
		return []int32{c.p.Leader}
	}
	return c.p.LastKnownELR
}

// nonNil tells "now empty" from "no change".
func nonNil(s []int32) []int32 {
	if s == nil {
		return []int32{}
	}
	return slices.Clone(s)
}

// changer of a partition by the rules of its topic and of the cluster.
func (b *batch) changer(t *meta.Topic, partition int32) *changer {
	p := t.Partitions[partition]
	var directory func(int32) meta.UUID
	if meta.DirectoriesSupported(b.img.MetadataVersion()) {
		directory = func(id int32) meta.UUID {
			if slices.Contains(p.Replicas, id) {
				return p.Directory(id)
			}
			return startingDirectory(b.img, id)
		}
	}
	return &changer{
		replicas: p.Replicas, adding: p.Adding, removing: p.Removing, directory: directory,
		topicID: t.ID, partition: partition, p: p, isr: slices.Clone(p.ISR),
		acceptable: func(id int32) bool { return b.mayLead(p, id) },
		unclean:    b.uncleanAllowed(t.Name),
		elr:        b.img.ELREnabled(),
		minISR:     b.minISR(t.Name),
		bumpEpoch:  b.img.MetadataVersion() < levelNoBumpOnShrink,
	}
}

// levelNoBumpOnShrink is 3.6-IV0: from it on, followers and leader agree on the partition epoch alone.
const levelNoBumpOnShrink int16 = 12

// mayLead says that a replica's broker is active and its directory not lost.
func (b *batch) mayLead(p *meta.Partition, id int32) bool {
	br := b.img.Broker(id)
	if br == nil || !br.Active() {
		return false
	}
	return hasDirectory(br, p.Directory(id))
}

// hasDirectory says that a replica there can be served: the broker has the directory, or has yet to choose one.
func hasDirectory(br *meta.Broker, dir meta.UUID) bool {
	if len(br.LogDirs) == 0 || dir == meta.UnassignedDir() || dir == (meta.UUID{}) {
		return true
	}
	return slices.Contains(br.LogDirs, dir)
}

// uncleanAllowed is unclean.leader.election.enable as the topic has it.
func (b *batch) uncleanAllowed(topic string) bool {
	v, ok := b.topicConfig(topic, "unclean.leader.election.enable")
	if !ok {
		return b.cfg.UncleanLeaderElection
	}
	return v == "true"
}

// minISR is min.insync.replicas as the topic has it.
func (b *batch) minISR(topic string) int {
	v, ok := b.topicConfig(topic, "min.insync.replicas")
	if !ok {
		return b.cfg.MinInsyncReplicas
	}
	n := 0
	for _, c := range []byte(v) {
		if c < '0' || c > '9' || n > 1<<20 {
			return b.cfg.MinInsyncReplicas // validated when it was set; a foreign log may hold anything
		}
		n = n*10 + int(c-'0')
	}
	return max(n, 1)
}

// topicConfig finds a dynamic value: of the topic, of this node, or of all brokers.
func (b *batch) topicConfig(topic, key string) (string, bool) {
	for _, res := range []meta.ConfigResource{
		{Type: meta.ResourceTopic, Name: topic}, {Type: meta.ResourceBroker, Name: itoa(b.cfg.NodeID)}, {Type: meta.ResourceBroker},
	} {
		if v, ok := b.img.Config(res.Type, res.Name)[key]; ok {
			return v, true
		}
	}
	return "", false
}

// eachPartition visits all partitions of the cluster. It is used where a broker comes or goes, which is rare.
func (b *batch) eachPartition(fn func(t *meta.Topic, partition int32, p *meta.Partition) bool) {
	b.img.Topics(func(t *meta.Topic) bool {
		for i, p := range t.Partitions {
			if !fn(t, int32(i), p) {
				return false
			}
		}
		return true
	})
}

// addChanges adds the changes of many partitions in one step.
func (b *batch) addChanges(changes []*meta.PartitionChangeRecord) {
	records := make([]meta.Record, len(changes))
	for i, r := range changes {
		records[i] = r
	}
	b.add(records...)
}
