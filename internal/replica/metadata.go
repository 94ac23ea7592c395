package replica

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// ApplyMetadata makes the partitions of this broker what img says. It is called with
// each new image in order, on one goroutine. The first call compares everything that
// lies on the disk with the image.
func (m *Manager) ApplyMetadata(img *meta.Image, delta *meta.Delta) {
	if !m.caughtUp {
		m.caughtUp = true
		m.applyAll(img)
		return
	}
	m.deleteTopics(delta.DeletedTopics)
	for _, t := range delta.ChangedTopics {
		m.applyTopic(img, t.Topic, t.Partitions)
	}
	for res := range delta.ChangedConfigs {
		switch {
		case res.Type == meta.ResourceTopic:
			m.applyConfig(img, res.Name)
		case res.Type == meta.ResourceBroker:
			m.applyConfigs(img)
		}
	}
}

// applyAll compares every partition with the image.
func (m *Manager) applyAll(img *meta.Image) {
	m.setStraysAside(img)
	img.Topics(func(t *meta.Topic) bool {
		all := make([]int32, len(t.Partitions))
		for i := range all {
			all[i] = int32(i)
		}
		m.applyTopic(img, t, all)
		return true
	})
}

// setStraysAside takes logs out of use that the metadata knows nothing of: topics that were deleted while this
// broker was away, and former incarnations of a topic. They are renamed, not deleted.
func (m *Manager) setStraysAside(img *meta.Image) {
	for _, l := range m.logs.Logs() {
		tp := l.TopicPartition()
		p := img.Partition(tp.Topic, tp.Partition)
		if p != nil && slices.Contains(p.Replicas, m.nodeID) && img.Topic(tp.Topic).ID == l.TopicID() {
			continue
		}
		m.logger.Warn("a log belongs to no partition of this broker: it is set aside as stray", "topic", tp.Topic, "partition", tp.Partition)
		if err := m.logs.SetAside(tp); err != nil {
			m.logger.Error("cannot set a stray log aside", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
		}
	}
}

// applyTopic brings the listed partitions of one topic to what the image says.
func (m *Manager) applyTopic(img *meta.Image, t *meta.Topic, partitions []int32) {
	var cfg *TopicConfig
	for _, i := range partitions {
		want, tp := t.Partitions[i], storage.TopicPartition{Topic: t.Name, Partition: i}
		if !slices.Contains(want.Replicas, m.nodeID) {
			m.dropPartition(tp, t.ID)
			continue
		}
		if cfg == nil {
			c := m.topicConfig(img, t.Name)
			cfg = &c
		}
		p := m.ensurePartition(tp, t.ID)
		p.become(want, *cfg, m.directoryOf(want))
	}
}

// directoryOf is the log directory that the controller has assigned to this broker's replica; zero: any.
func (m *Manager) directoryOf(p *meta.Partition) [16]byte {
	return p.Directory(m.nodeID)
}

// applyConfig hands a topic's new settings to its logs.
func (m *Manager) applyConfig(img *meta.Image, topic string) {
	t := img.Topic(topic)
	if t == nil {
		return
	}
	cfg := m.topicConfig(img, topic)
	for i := range t.Partitions {
		p, err := m.Partition(storage.TopicPartition{Topic: topic, Partition: int32(i)})
		if err != nil {
			continue
		}
		p.configure(cfg)
	}
}

// applyConfigs hands every topic its settings anew: a broker default has changed.
func (m *Manager) applyConfigs(img *meta.Image) {
	img.Topics(func(t *meta.Topic) bool {
		m.applyConfig(img, t.Name)
		return true
	})
}

func (m *Manager) ensurePartition(tp storage.TopicPartition, id [16]byte) *Partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.partitions[tp]; p != nil && p.topicID == id {
		return p
	}
	p := &Partition{tp: tp, topicID: id, m: m, leaderID: -1, leaderEpoch: -1, partitionEpoch: -1}
	m.partitions[tp] = p
	m.byID[id] = tp.Topic
	return p
}

// deleteTopics stops the partitions of topics that are gone and deletes their logs.
func (m *Manager) deleteTopics(topics []*meta.Topic) {
	for _, t := range topics {
		for _, p := range m.partitionsOf(t.ID) {
			m.dropPartition(p.tp, t.ID)
		}
		m.mu.Lock()
		delete(m.byID, t.ID)
		m.mu.Unlock()
	}
	if len(topics) > 0 && m.onDeleted != nil {
		m.onDeleted(topics)
	}
}

func (m *Manager) partitionsOf(id [16]byte) []*Partition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*Partition
	name := m.byID[id]
	for i := int32(0); ; i++ {
		p := m.partitions[storage.TopicPartition{Topic: name, Partition: i}]
		if p == nil {
			break
		}
		if p.topicID == id {
			out = append(out, p)
		}
	}
	return out
}

// dropPartition stops a partition that this broker no longer holds and deletes its log.
func (m *Manager) dropPartition(tp storage.TopicPartition, id [16]byte) {
	m.mu.Lock()
	p := m.partitions[tp]
	if p == nil || p.topicID != id {
		m.mu.Unlock()
		return
	}
	delete(m.partitions, tp)
	m.mu.Unlock()
	p.resign()
	if err := m.logs.DeleteLog(tp); err != nil {
		m.logger.Error("cannot delete a partition's log", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
	}
}

// become gives the partition the role, replicas and settings that the image says.
func (p *Partition) become(want *meta.Partition, cfg TopicConfig, dir [16]byte) {
	p.lead.Lock()
	if p.log == nil {
		log, err := p.m.logs.CreateLog(p.tp, p.topicID, cfg.Log, dir)
		if err != nil {
			p.role = Offline
			p.lead.Unlock()
			p.m.logger.Error("cannot open a partition's log: the partition is offline",
				"topic", p.tp.Topic, "partition", p.tp.Partition, "cause", err)
			return
		}
		p.log = log
	}
	p.log.SetConfig(cfg.Log)
	wasLeader := p.role == Leader
	p.replicas, p.isr, p.minISR = want.Replicas, want.ISR, cfg.MinISR
	p.partitionEpoch, p.leaderID = want.PartitionEpoch, want.Leader
	leads := want.Leader == p.m.nodeID
	newTerm := want.LeaderEpoch > p.leaderEpoch
	p.leaderEpoch = want.LeaderEpoch
	if leads {
		p.role = Leader
		if newTerm {
			p.epochStart = p.log.LogEndOffset()
			p.log.AssignEpochStart(p.leaderEpoch, p.epochStart)
		}
	} else {
		p.role = Follower
	}
	epoch := p.leaderEpoch
	p.lead.Unlock()

	if wasLeader && (!leads || newTerm) {
		p.failWaits(ErrNotLeader)
	}
	if !leads {
		if wasLeader {
			p.m.tellRole(p.tp, epoch, false)
		}
		return
	}
	p.tryAdvance()
	if p.m.flushAcks { // what recovery has found counts as held once it is synced
		if log := p.Log(); log != nil {
			log.AwaitSync(log.LogEndOffset(), p.synced)
		}
	}
	if !wasLeader || newTerm {
		p.m.tellRole(p.tp, epoch, true)
	}
}

// configure changes the settings of a living partition.
func (p *Partition) configure(cfg TopicConfig) {
	p.lead.Lock()
	p.minISR = cfg.MinISR
	if p.log != nil {
		p.log.SetConfig(cfg.Log)
	}
	p.lead.Unlock()
	p.tryAdvance()
}

// resign ends the partition's life on this broker.
func (p *Partition) resign() {
	p.lead.Lock()
	wasLeader := p.role == Leader
	p.role, p.log = Offline, nil
	p.lead.Unlock()
	p.failWaits(ErrUnknownTopicOrPartition)
	if wasLeader {
		p.m.tellRole(p.tp, -1, false)
	}
}

func (m *Manager) tellRole(tp storage.TopicPartition, epoch int32, leads bool) {
	if m.onRole != nil {
		m.onRole(tp, epoch, leads)
	}
}
