package meta

import (
	"fmt"
	"maps"
	"slices"
)

// Apply takes one step: records stand in the log up to offset, in leader epoch epoch, written at timestampMs.
// The image it is called on stays as it is. On an error nothing has happened; it means that the records do not
// fit the image, which a log of ours or of Kafka's never shows unless it is damaged.
func (img *Image) Apply(records []Record, offset int64, epoch int32, timestampMs int64) (*Image, *Delta, error) {
	l := NewLoader(img)
	for _, r := range records {
		if err := l.Add(r); err != nil {
			return nil, nil, fmt.Errorf("%w (up to offset %d)", err, offset)
		}
	}
	return l.Finish(offset, epoch, timestampMs)
}

// editor makes the next image: it copies a tree at the first change to it, and a topic at the first change to that.
type editor struct {
	img   Image
	delta *Delta

	ownFeatures, ownBrokers, ownControllers, ownTopics, ownConfigs, ownQuotas, ownScram, ownACLs, ownTokens bool
	// ownConfig holds the resources whose map of values was copied in this step.
	ownConfig map[ConfigResource]map[string]string
}

// apply is the whole meaning of the records, in one switch.
func (e *editor) apply(r Record) error {
	switch r := r.(type) {
	case *TopicRecord:
		return e.addTopic(r)
	case *PartitionRecord:
		return e.setPartition(r)
	case *PartitionChangeRecord:
		return e.changePartition(r)
	case *RemoveTopicRecord:
		return e.removeTopic(r)
	case *ClearELRRecord:
		return e.clearELR(r)
	case *ConfigRecord:
		e.setConfig(r)
	case *RegisterBrokerRecord:
		e.registerBroker(r)
	case *UnregisterBrokerRecord:
		return e.unregisterBroker(r)
	case *BrokerRegistrationChangeRecord:
		return e.changeBroker(r)
	case *FenceBrokerRecord:
		return e.changeBroker(&BrokerRegistrationChangeRecord{BrokerID: r.ID, BrokerEpoch: r.Epoch, Fenced: 1})
	case *UnfenceBrokerRecord:
		return e.changeBroker(&BrokerRegistrationChangeRecord{BrokerID: r.ID, BrokerEpoch: r.Epoch, Fenced: -1})
	case *RegisterControllerRecord:
		e.registerController(r)
	case *FeatureLevelRecord:
		e.setFeature(r)
	case *ClientQuotaRecord:
		e.setQuota(r)
	case *ProducerIDsRecord:
		e.img.nextProducerID = r.NextProducerID
		e.delta.ProducerIDsChanged = true
	case *UserScramCredentialRecord:
		e.setScram(r)
	case *RemoveUserScramCredentialRecord:
		e.own(&e.ownScram, func() { e.img.scram = e.img.scram.Copy() })
		e.img.scram.Delete(scramKey(r.Mechanism, r.Name))
		e.delta.ChangedScram = append(e.delta.ChangedScram, ScramCredential{User: r.Name, Mechanism: r.Mechanism})
	case *AccessControlEntryRecord:
		e.own(&e.ownACLs, func() { e.img.acls = e.img.acls.Copy() })
		e.img.acls.Set(r)
		e.delta.ChangedACLs[r.ID] = struct{}{}
	case *RemoveAccessControlEntryRecord:
		e.own(&e.ownACLs, func() { e.img.acls = e.img.acls.Copy() })
		e.img.acls.Delete(&AccessControlEntryRecord{ID: r.ID})
		e.delta.ChangedACLs[r.ID] = struct{}{}
	case *DelegationTokenRecord:
		e.own(&e.ownTokens, func() { e.img.tokens = e.img.tokens.Copy() })
		e.img.tokens.Set(r.TokenID, r)
		e.delta.ChangedTokens[r.TokenID] = struct{}{}
	case *RemoveDelegationTokenRecord:
		e.own(&e.ownTokens, func() { e.img.tokens = e.img.tokens.Copy() })
		e.img.tokens.Delete(r.TokenID)
		e.delta.ChangedTokens[r.TokenID] = struct{}{}
	case *NoOpRecord, *ZkMigrationStateRecord:
	case *BeginTransactionRecord, *EndTransactionRecord, *AbortTransactionRecord:
		// Transactions are resolved before (Replay): by here they are borders without meaning.
	default:
		return fmt.Errorf("no rule for a %T", r)
	}
	return nil
}

func (e *editor) own(owned *bool, copyTree func()) {
	if !*owned {
		copyTree()
		*owned = true
	}
}

func (e *editor) ownTopicTrees() {
	e.own(&e.ownTopics, func() {
		e.img.topics = e.img.topics.Copy()
		e.img.topicIDs = e.img.topicIDs.Copy()
	})
}

func (e *editor) addTopic(r *TopicRecord) error {
	if e.img.Topic(r.Name) != nil {
		return fmt.Errorf("topic %s exists", r.Name)
	}
	if old := e.img.TopicByID(r.TopicID); old != nil {
		return fmt.Errorf("topic %s has the id %s already", old.Name, FormatUUID(r.TopicID))
	}
	e.ownTopicTrees()
	t := &Topic{Name: r.Name, ID: r.TopicID}
	e.img.topics.Set(t.Name, t)
	e.img.topicIDs.Set(topicByID{t.ID, t})
	e.delta.ChangedTopics[t.ID] = &TopicDelta{Topic: t}
	return nil
}

// editTopic returns the copy of a topic that this step may change, and its delta.
func (e *editor) editTopic(id UUID) (*TopicDelta, error) {
	if td := e.delta.ChangedTopics[id]; td != nil {
		return td, nil
	}
	old := e.img.TopicByID(id)
	if old == nil {
		return nil, fmt.Errorf("no topic has the id %s", FormatUUID(id))
	}
	e.ownTopicTrees()
	t := &Topic{Name: old.Name, ID: old.ID, Partitions: slices.Clone(old.Partitions)}
	e.img.topics.Set(t.Name, t)
	e.img.topicIDs.Set(topicByID{t.ID, t})
	td := &TopicDelta{Topic: t, Old: old}
	e.delta.ChangedTopics[id] = td
	return td, nil
}

// setPartition accepts partitions in any order of one step (Kafka writes those of a snapshot as its hash map has them),
// so a gap may stand open for a while; Finish refuses one that is left.
func (e *editor) setPartition(r *PartitionRecord) error {
	td, err := e.editTopic(r.TopicID)
	if err != nil {
		return err
	}
	if r.PartitionID < 0 || int(r.PartitionID) >= MaxPartitionsOfTopic {
		return fmt.Errorf("partition %d of topic %s is out of range", r.PartitionID, td.Topic.Name)
	}
	t := td.Topic
	for int(r.PartitionID) >= len(t.Partitions) {
		t.Partitions = append(t.Partitions, nil)
	}
	if t.Partitions[r.PartitionID] == nil {
		e.img.partitions++
	}
	t.Partitions[r.PartitionID] = partitionOf(r)
	td.touch(r.PartitionID)
	return nil
}

// MaxPartitionsOfTopic bounds what one damaged partition number can make Apply allocate; it is ten times the design
// size of a whole cluster.
const MaxPartitionsOfTopic = 10_000_000

func partitionOf(r *PartitionRecord) *Partition {
	p := &Partition{
		Replicas: r.Replicas, ISR: r.ISR, ELR: r.EligibleLeaderReplicas, LastKnownELR: r.LastKnownELR,
		Adding: r.AddingReplicas, Removing: r.RemovingReplicas,
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch,
		Directories: r.Directories, RecoveryState: r.LeaderRecoveryState,
	}
	if len(p.Directories) != len(p.Replicas) { // from before directories were told: all zero, Kafka's "migrating"
		p.Directories = make([]UUID, len(p.Replicas))
	}
	return p
}

func (e *editor) changePartition(r *PartitionChangeRecord) error {
	td, err := e.editTopic(r.TopicID)
	if err != nil {
		return err
	}
	t := td.Topic
	if r.PartitionID < 0 || int(r.PartitionID) >= len(t.Partitions) || t.Partitions[r.PartitionID] == nil {
		return fmt.Errorf("topic %s has no partition %d", t.Name, r.PartitionID)
	}
	t.Partitions[r.PartitionID] = t.Partitions[r.PartitionID].Merge(r)
	td.touch(r.PartitionID)
	return nil
}

// Merge is the partition after a change.
func (p *Partition) Merge(r *PartitionChangeRecord) *Partition {
	n := *p
	n.PartitionEpoch++
	set := func(to *[]int32, v []int32) {
		if v != nil {
			*to = v
		}
	}
	set(&n.ISR, r.ISR)
	set(&n.Removing, r.RemovingReplicas)
	set(&n.Adding, r.AddingReplicas)
	set(&n.ELR, r.EligibleLeaderReplicas)
	set(&n.LastKnownELR, r.LastKnownELR)
	if r.Replicas != nil {
		n.Replicas = r.Replicas
		n.Directories = make([]UUID, len(r.Replicas))
		for i, b := range r.Replicas {
			n.Directories[i] = p.Directory(b) // who stays, stays where it is
		}
	}
	if r.Directories != nil {
		n.Directories = r.Directories
	}
	if r.Leader != LeaderNoChange {
		n.Leader = r.Leader
		n.LeaderEpoch++
	}
	if r.LeaderRecoveryState != RecoveryStateNoChange {
		n.RecoveryState = r.LeaderRecoveryState
	}
	return &n
}

func (e *editor) removeTopic(r *RemoveTopicRecord) error {
	t := e.img.TopicByID(r.TopicID)
	if t == nil {
		return fmt.Errorf("no topic has the id %s", FormatUUID(r.TopicID))
	}
	e.ownTopicTrees()
	e.img.topics.Delete(t.Name)
	e.img.topicIDs.Delete(topicByID{id: t.ID})
	for _, p := range t.Partitions {
		if p != nil {
			e.img.partitions--
		}
	}
	was := t
	if td := e.delta.ChangedTopics[t.ID]; td != nil {
		was = td.Old
		delete(e.delta.ChangedTopics, t.ID)
	}
	if was != nil { // a topic that came and went in this step was never there
		e.delta.DeletedTopics = append(e.delta.DeletedTopics, was)
	}
	res := ConfigResource{ResourceTopic, t.Name}
	if e.img.Config(res.Type, res.Name) != nil {
		e.ownConfigTree()
		e.img.configs.Delete(configEntry{res: res})
		delete(e.ownConfig, res)
		e.delta.ChangedConfigs[res] = struct{}{}
	}
	return nil
}

func (e *editor) clearELR(r *ClearELRRecord) error {
	var topics []*Topic
	if r.TopicName == "" {
		topics = e.img.topics.Values()
	} else if t := e.img.Topic(r.TopicName); t != nil {
		topics = []*Topic{t}
	} else {
		return fmt.Errorf("there is no topic %s", r.TopicName)
	}
	for _, t := range topics {
		for i, p := range t.Partitions {
			if p == nil || len(p.ELR) == 0 && len(p.LastKnownELR) == 0 {
				continue
			}
			c := NewPartitionChange(t.ID, int32(i))
			c.EligibleLeaderReplicas, c.LastKnownELR = []int32{}, []int32{}
			if err := e.changePartition(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *editor) ownConfigTree() {
	e.own(&e.ownConfigs, func() {
		e.img.configs = e.img.configs.Copy()
		e.ownConfig = map[ConfigResource]map[string]string{}
	})
}

func (e *editor) setConfig(r *ConfigRecord) {
	e.ownConfigTree()
	res := ConfigResource{r.ResourceType, r.ResourceName}
	e.delta.ChangedConfigs[res] = struct{}{}
	values := e.ownConfig[res]
	if values == nil {
		values = maps.Clone(e.img.Config(res.Type, res.Name))
		if values == nil {
			values = map[string]string{}
		}
		e.ownConfig[res] = values
	}
	if r.Value == nil {
		delete(values, r.Name)
	} else {
		values[r.Name] = *r.Value
	}
	if len(values) == 0 {
		e.img.configs.Delete(configEntry{res: res})
		delete(e.ownConfig, res)
		return
	}
	e.img.configs.Set(configEntry{res, values})
}

func (e *editor) registerBroker(r *RegisterBrokerRecord) {
	e.own(&e.ownBrokers, func() { e.img.brokers = e.img.brokers.Copy() })
	e.img.brokers.Set(r.BrokerID, &Broker{
		ID: r.BrokerID, Epoch: r.BrokerEpoch, IncarnationID: r.IncarnationID, Listeners: r.EndPoints, Features: r.Features, Rack: r.Rack,
		Fenced: r.Fenced, InControlledShutdown: r.InControlledShutdown, LogDirs: r.LogDirs, CordonedLogDirs: r.CordonedLogDirs,
		IsMigratingZkBroker: r.IsMigratingZkBroker,
	})
	e.delta.ChangedBrokers[r.BrokerID] = struct{}{}
}

func (e *editor) brokerAt(id int32, epoch int64) (*Broker, error) {
	b := e.img.Broker(id)
	if b == nil {
		return nil, fmt.Errorf("broker %d is not registered", id)
	}
	if b.Epoch != epoch {
		return nil, fmt.Errorf("broker %d is at epoch %d, not %d", id, b.Epoch, epoch)
	}
	return b, nil
}

func (e *editor) unregisterBroker(r *UnregisterBrokerRecord) error {
	if _, err := e.brokerAt(r.BrokerID, r.BrokerEpoch); err != nil {
		return err
	}
	e.own(&e.ownBrokers, func() { e.img.brokers = e.img.brokers.Copy() })
	e.img.brokers.Delete(r.BrokerID)
	e.delta.ChangedBrokers[r.BrokerID] = struct{}{}
	return nil
}

func (e *editor) changeBroker(r *BrokerRegistrationChangeRecord) error {
	old, err := e.brokerAt(r.BrokerID, r.BrokerEpoch)
	if err != nil {
		return err
	}
	n := *old
	switch {
	case r.Fenced > 0:
		n.Fenced = true
	case r.Fenced < 0:
		n.Fenced = false
	}
	switch {
	case r.InControlledShutdown > 0:
		n.InControlledShutdown = true
	case r.InControlledShutdown < 0:
		n.InControlledShutdown = false
	}
	if len(r.LogDirs) > 0 {
		n.LogDirs = r.LogDirs
	}
	if r.CordonedLogDirs != nil {
		n.CordonedLogDirs = r.CordonedLogDirs
	}
	e.own(&e.ownBrokers, func() { e.img.brokers = e.img.brokers.Copy() })
	e.img.brokers.Set(n.ID, &n)
	e.delta.ChangedBrokers[n.ID] = struct{}{}
	return nil
}

func (e *editor) registerController(r *RegisterControllerRecord) {
	e.own(&e.ownControllers, func() { e.img.controllers = e.img.controllers.Copy() })
	e.img.controllers.Set(r.ControllerID, &Controller{
		ID: r.ControllerID, IncarnationID: r.IncarnationID, ZkMigrationReady: r.ZkMigrationReady, Listeners: r.EndPoints, Features: r.Features,
	})
	e.delta.ChangedControllers[r.ControllerID] = struct{}{}
}

func (e *editor) setFeature(r *FeatureLevelRecord) {
	e.own(&e.ownFeatures, func() { e.img.features = maps.Clone(e.img.features) })
	if r.FeatureLevel == 0 {
		delete(e.img.features, r.Name)
	} else {
		e.img.features[r.Name] = r.FeatureLevel
	}
	e.delta.ChangedFeatures[r.Name] = struct{}{}
}

func (e *editor) setQuota(r *ClientQuotaRecord) {
	e.own(&e.ownQuotas, func() { e.img.quotas = e.img.quotas.Copy() })
	key := quotaKey(r.Entity)
	n := &Quota{Entity: sortedEntity(r.Entity), Values: map[string]float64{}}
	if old, ok := e.img.quotas.Get(key); ok {
		n.Values = maps.Clone(old.Values)
	}
	if r.Remove {
		delete(n.Values, r.Key)
	} else {
		n.Values[r.Key] = r.Value
	}
	if len(n.Values) == 0 {
		e.img.quotas.Delete(key)
	} else {
		e.img.quotas.Set(key, n)
	}
	e.delta.ChangedQuotas = append(e.delta.ChangedQuotas, n.Entity)
}

func (e *editor) setScram(r *UserScramCredentialRecord) {
	e.own(&e.ownScram, func() { e.img.scram = e.img.scram.Copy() })
	e.img.scram.Set(scramKey(r.Mechanism, r.Name), &ScramCredential{
		User: r.Name, Mechanism: r.Mechanism, Salt: r.Salt, StoredKey: r.StoredKey, ServerKey: r.ServerKey, Iterations: r.Iterations,
	})
	e.delta.ChangedScram = append(e.delta.ChangedScram, ScramCredential{User: r.Name, Mechanism: r.Mechanism})
}
