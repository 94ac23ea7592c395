package replica

import (
	"errors"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// ApplyMetadata makes the partitions of this broker what img says. It is called with
// each new image in order, on one goroutine. The first call compares everything that
// lies on the disk with the image.
func (m *Manager) ApplyMetadata(img *meta.Image, delta *meta.Delta) {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	m.image.Store(img)
	if !m.caughtUp && !m.isRegistered(img) {
		return
	}
	defer m.fetchers.kick()
	if !m.caughtUp {
		m.caughtUp = true
		m.applyAll(img)
		for _, f := range m.logs.ResumeMoves() {
			m.moves.add(f)
		}
		return
	}
	if len(delta.ChangedBrokers) > 0 {
		m.brokersChanged(delta.ChangedBrokers)
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

// isRegistered says that img knows of this start of the broker. Before it does, it may say that the broker leads what
// it led before it died, in the same epoch: with records lost since, its followers would cut their logs to its own. The
// step that registers the broker has put it out of sync where it may have lost something.
func (m *Manager) isRegistered(img *meta.Image) bool {
	if m.brokerEpoch == nil {
		return true
	}
	b, epoch := img.Broker(m.nodeID), m.brokerEpoch()
	return b != nil && epoch >= 0 && b.Epoch == epoch
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
	topics := map[string]*meta.Topic{} // each is asked for by all of its partitions
	for _, l := range m.logs.Logs() {
		tp := l.TopicPartition()
		t, known := topics[tp.Topic]
		if !known {
			t = img.Topic(tp.Topic)
			topics[tp.Topic] = t
		}
		if p := t.Partition(tp.Partition); p != nil && slices.Contains(p.Replicas, m.nodeID) {
			if id := l.TopicID(); id == t.ID || id == ([16]byte{}) { // a power cut can leave a log without
				continue
			}
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
		m.ensurePartition(tp, t.ID).become(want, *cfg)
	}
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
	p := newPartition(m, tp, id)
	m.partitions[tp] = p
	return p
}

// deleteTopics stops the partitions of topics that are gone and deletes their logs.
func (m *Manager) deleteTopics(topics []*meta.Topic) {
	for _, t := range topics {
		for i := range t.Partitions {
			m.dropPartition(storage.TopicPartition{Topic: t.Name, Partition: int32(i)}, t.ID)
		}
	}
	if len(topics) > 0 && m.onDeleted != nil {
		m.onDeleted(topics)
	}
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

// brokersChanged has those try again who wait for a broker, and those look again who wait for it no more.
func (m *Manager) brokersChanged(brokers map[int32]struct{}) {
	m.fetchers.brokersChanged(brokers)
	m.Each(func(p *Partition) bool {
		p.lookAtLow()
		return true
	})
}

// become gives the partition the role, replicas and settings that the image says.
func (p *Partition) become(want *meta.Partition, cfg TopicConfig) {
	p.lead.Lock()
	if want.PartitionEpoch < p.partitionEpoch { // the controller's answer to this broker was faster than its log
		p.lead.Unlock()
		p.configure(cfg)
		return
	}
	err := p.open(cfg.Log, p.m.directoryFor(want))
	told := p.openLater(err)
	was, newTerm := p.role, want.LeaderEpoch > p.leaderEpoch
	if err == nil && want.Leader == p.m.nodeID {
		err = p.meetLoss(want)
	}
	leads, epoch := err == nil && want.Leader == p.m.nodeID, want.LeaderEpoch
	start := p.epochStart
	if leads && (was != Leader || newTerm) {
		var broken error
		if start, broken = p.log.BeginEpoch(epoch); broken != nil && p.log.Err() == nil { // it waits for the log's own lock, so not with mu
			// What is missing passes. Without the place where its epoch begins it must not lead (KIP-207): it looks again soon.
			err, leads, start = broken, false, p.epochStart
			p.m.clock.AfterFunc(openRetry, func() { p.m.recovered(p) })
		}
	}
	if p.m.flaws.truncateToWatermark && err == nil && !leads && newTerm {
		err = p.log.TruncateTo(p.log.HighWatermark())
	}
	p.mu.Lock()
	p.epochStart = start
	p.assumeLocked(want, cfg, err == nil)
	var lost waits
	if was != p.role || newTerm {
		lost = p.takeWaitsLocked() // before the new term may add its own
		p.backlog = nil
	}
	if leads && p.uncleanTerm && p.pending == nil {
		p.proposeLocked(isrRecover, p.isr)
	}
	p.mu.Unlock()
	p.lead.Unlock()

	if err != nil && !told && !errors.Is(err, storage.ErrNotReady) {
		p.m.logger.Error("cannot open a partition's log: the partition is offline",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "cause", err)
	}
	if err == nil {
		p.tellPlace(want)
	}
	lost.fail(p.m, ErrNotLeader)
	if err == nil && !leads && want.Leader >= 0 {
		p.m.fetchers.follow(p, want.Leader, epoch)
	} else {
		p.m.fetchers.unfollow(p)
	}
	switch {
	case leads:
		if log := p.Log(); log != nil && !log.Dormant() { // in one that sleeps, everything is committed
			p.tryAdvance()
		}
		if was != Leader || newTerm {
			p.holdWhatIsThere()
			p.m.tellRole(p.tp, epoch, true)
		}
	case was == Leader:
		p.m.tellRole(p.tp, epoch, false)
	}
}

// openRetry is how long a partition waits that cannot lead because its log could not be opened for the moment.
const openRetry = time.Second

// createRetry is how long a partition waits before its log is tried again that could not be made for want of room or descriptors. A full
// disk may mean thousands of them.
const createRetry = 10 * time.Second

// openLater has the opening of the log tried again if what it failed for passes, and says whether that was told already. lead must be
// held alone.
func (p *Partition) openLater(err error) (told bool) {
	if err == nil || !storage.Passes(err) {
		p.awaitsLog = false
		return false
	}
	if p.awaitsLog {
		return true
	}
	p.awaitsLog = true
	p.openAgain()
	return false
}

// openAgain tries until the log is open, or something else is the matter.
func (p *Partition) openAgain() {
	p.m.clock.AfterFunc(createRetry, func() {
		p.m.recovered(p)
		p.m.mu.RLock()
		again := p.m.partitions[p.tp] == p && !p.m.stopped
		p.m.mu.RUnlock()
		p.lead.RLock()
		again = again && p.awaitsLog
		p.lead.RUnlock()
		if again {
			p.openAgain()
		}
	})
}

// recovered gives a partition whose log has been checked the role that it has waited for.
func (m *Manager) recovered(p *Partition) {
	m.applyMu.Lock()
	defer m.applyMu.Unlock()
	img := m.image.Load()
	if img == nil {
		return // the first one will find it so
	}
	m.mu.RLock()
	current := m.partitions[p.tp] == p && !m.stopped
	m.mu.RUnlock()
	want := img.Partition(p.tp.Topic, p.tp.Partition)
	if !current || want == nil || img.Topic(p.tp.Topic).ID != p.topicID || !slices.Contains(want.Replicas, m.nodeID) {
		return
	}
	p.become(want, m.topicConfig(img, p.tp.Topic))
	m.fetchers.kick()
}

// LogsFailed wakes those who wait for partitions whose logs have gone out of use: a log directory has failed.
func (m *Manager) LogsFailed() {
	m.Each(func(p *Partition) bool {
		if log := p.Log(); log != nil && errors.Is(log.Err(), storage.ErrStorage) {
			p.failWaits(log.Err())
		}
		return true
	})
}

// holdWhatIsThere has a new leader sync what it has found in its log, where acknowledgements rest on
// the disk: the watermark can pass it then.
func (p *Partition) holdWhatIsThere() {
	if log := p.Log(); p.m.flushAcks && log != nil && !log.Dormant() {
		p.m.awaitSync(log, log.LogEndOffset(), p.synced)
	}
}

// directoryFor is where the log of a partition is to lie, zero where any directory will do: the controller has assigned none, or one
// that has been lost for good, such as that of a disk which was replaced. Then what others hold is copied. A replica that may have
// what nobody else has does not begin anew, nor does one whose directory is only out of use.
func (m *Manager) directoryFor(want *meta.Partition) [16]byte {
	dir := want.Directory(m.nodeID)
	if dir == meta.UnassignedDir() {
		return [16]byte{}
	}
	missed := want.Leader < 0 || want.Leader == m.nodeID || slices.Contains(want.ISR, m.nodeID)
	for _, d := range m.logs.Dirs() {
		if missed = missed || d.Err != nil || d.ID == dir; missed {
			return dir
		}
	}
	return [16]byte{}
}

// open opens or makes the log in the directory that the controller has assigned, if it is not open yet, and
// hands it its settings. lead must be held alone.
func (p *Partition) open(cfg storage.LogConfig, dir [16]byte) error {
	if p.log != nil {
		p.log.SetConfig(cfg)
		return nil
	}
	log, err := p.m.logs.CreateLog(p.tp, p.topicID, cfg, dir)
	if err != nil {
		return err
	}
	log.SetConfig(cfg) // one that was found has those of the start
	p.recovering = log.WhenReady(func() { p.m.recovered(p) })
	if p.recovering {
		return storage.ErrNotReady
	}
	p.mu.Lock()
	p.log = log
	p.mu.Unlock()
	return nil
}

// assumeLocked takes over what the controller has decided. lead and mu must be held.
func (p *Partition) assumeLocked(want *meta.Partition, cfg TopicConfig, hasLog bool) {
	newTerm := want.LeaderEpoch > p.leaderEpoch
	if want.PartitionEpoch > p.partitionEpoch && p.pending != nil { // the controller has decided something else, or this
		if !newTerm && slices.Equal(want.ISR, p.pending.isr) {
			p.m.counts.altered(p.pending.kind)
		}
		p.pending = nil
	}
	p.replicas, p.isr, p.minISR = want.Replicas, want.ISR, cfg.MinISR
	p.uncleanTerm = want.RecoveryState == meta.RecoveryStateRecovering
	p.throttleLocked(cfg)
	p.tellWatchesLocked(0, false, nil) // who is in sync may be another now
	p.partitionEpoch, p.leaderID, p.leaderEpoch = want.PartitionEpoch, want.Leader, want.LeaderEpoch
	switch {
	case !hasLog:
		p.role = Offline
	case want.Leader == p.m.nodeID:
		p.role = Leader
	default:
		p.role = Follower
	}
	if p.role == Leader {
		p.watchFollowersLocked(newTerm, p.m.clock.Now())
	} else {
		p.followers = nil
	}
}

// throttleLocked notes which replicas of the partition are throttled. lead and mu must be held.
func (p *Partition) throttleLocked(cfg TopicConfig) {
	p.leaderThrottled, p.followerThrottled = cfg.LeaderThrottled.of(p.tp.Partition), cfg.FollowerThrottled.of(p.tp.Partition)
}

// configure changes the settings of a living partition.
func (p *Partition) configure(cfg TopicConfig) {
	p.lead.Lock()
	p.mu.Lock()
	p.minISR = cfg.MinISR
	p.throttleLocked(cfg)
	if p.log != nil {
		p.log.SetConfig(cfg.Log)
	}
	p.mu.Unlock()
	p.lead.Unlock()
	p.tryAdvance()
}

// resign ends the partition's life on this broker: its topic is deleted, or its replica moved away.
func (p *Partition) resign() {
	if p.end(ErrUnknownTopicOrPartition, ErrUnknownTopicOrPartition) == Leader {
		p.m.tellRole(p.tp, -1, false)
	}
}

// end lets nobody be served any more, for the reason gone; who waits is told why. It returns the role that was.
func (p *Partition) end(gone, why error) Role {
	p.lead.Lock()
	p.mu.Lock()
	was := p.role
	if p.gone == nil {
		p.gone = gone
	}
	p.role = Offline
	lost := p.takeWaitsLocked()
	p.mu.Unlock()
	p.lead.Unlock()
	lost.fail(p.m, why)
	p.m.fetchers.unfollow(p)
	return was
}

func (m *Manager) tellRole(tp storage.TopicPartition, epoch int32, leads bool) {
	if m.onRole != nil {
		m.onRole(tp, epoch, leads)
	}
}

// tellPlace tells where the log lies if the metadata says otherwise. Metadata from before directories were told says nothing.
func (p *Partition) tellPlace(want *meta.Partition) {
	log := p.Log() // nil when the broker is stopping
	if p.m.onPlaced == nil || len(want.Directories) == 0 || log == nil {
		return
	}
	if dir := p.m.logs.DirectoryID(log); dir != want.Directory(p.m.nodeID) {
		p.m.onPlaced(p.topicID, p.tp.Partition, dir)
	}
}
