package meta

import (
	"iter"
	"maps"
	"slices"
)

// Records is the image as a run of records that builds it again from nothing: what a snapshot holds, in Kafka's order.
func (img *Image) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		_ = img.writeFeatures(yield) && img.writeCluster(yield) && img.writeTopics(yield) && img.writeConfigs(yield) &&
			img.writeQuotas(yield) && img.writeProducerIDs(yield) && img.writeACLs(yield) && img.writeScram(yield) && img.writeTokens(yield)
	}
}

// writeFeatures states metadata.version first: it decides how the records after it are written and read.
func (img *Image) writeFeatures(yield func(Record) bool) bool {
	if l, ok := img.features[FeatureMetadataVersion]; ok {
		if !yield(&FeatureLevelRecord{Name: FeatureMetadataVersion, FeatureLevel: l}) {
			return false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(img.features)) {
		if name != FeatureMetadataVersion && !yield(&FeatureLevelRecord{Name: name, FeatureLevel: img.features[name]}) {
			return false
		}
	}
	return true
}

func (img *Image) writeCluster(yield func(Record) bool) bool {
	for _, b := range img.Brokers() {
		if !yield(b.record()) {
			return false
		}
	}
	if !ControllersSupported(img.MetadataVersion()) {
		return true
	}
	for _, c := range img.Controllers() {
		ok := yield(&RegisterControllerRecord{
			ControllerID: c.ID, IncarnationID: c.IncarnationID, ZkMigrationReady: c.ZkMigrationReady, EndPoints: c.Listeners, Features: c.Features,
		})
		if !ok {
			return false
		}
	}
	return true
}

func (b *Broker) record() *RegisterBrokerRecord {
	return &RegisterBrokerRecord{
		BrokerID: b.ID, IsMigratingZkBroker: b.IsMigratingZkBroker, IncarnationID: b.IncarnationID, BrokerEpoch: b.Epoch, EndPoints: b.Listeners,
		Features: b.Features, Rack: b.Rack, Fenced: b.Fenced, InControlledShutdown: b.InControlledShutdown, LogDirs: b.LogDirs, CordonedLogDirs: b.CordonedLogDirs,
	}
}

func (img *Image) writeTopics(yield func(Record) bool) bool {
	more := true
	img.Topics(func(t *Topic) bool {
		more = yield(&TopicRecord{Name: t.Name, TopicID: t.ID})
		for i, p := range t.Partitions {
			if more && p != nil {
				more = yield(p.Record(t.ID, int32(i)))
			}
		}
		return more
	})
	return more
}

// Record states the partition whole.
func (p *Partition) Record(topicID UUID, partition int32) *PartitionRecord {
	return &PartitionRecord{
		PartitionID: partition, TopicID: topicID, Replicas: p.Replicas, ISR: p.ISR, RemovingReplicas: p.Removing, AddingReplicas: p.Adding,
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Directories: p.Directories, LeaderRecoveryState: p.RecoveryState,
		EligibleLeaderReplicas: nilIfEmpty(p.ELR), LastKnownELR: nilIfEmpty(p.LastKnownELR),
	}
}

func nilIfEmpty(s []int32) []int32 {
	if len(s) == 0 {
		return nil
	}
	return s
}

func (img *Image) writeConfigs(yield func(Record) bool) bool {
	for res, values := range img.Configs() {
		for _, k := range slices.Sorted(maps.Keys(values)) {
			v := values[k]
			if !yield(&ConfigRecord{ResourceType: res.Type, ResourceName: res.Name, Name: k, Value: &v}) {
				return false
			}
		}
	}
	return true
}

func (img *Image) writeQuotas(yield func(Record) bool) bool {
	for _, q := range img.Quotas() {
		for _, k := range slices.Sorted(maps.Keys(q.Values)) {
			if !yield(&ClientQuotaRecord{Entity: q.Entity, Key: k, Value: q.Values[k]}) {
				return false
			}
		}
	}
	return true
}

func (img *Image) writeProducerIDs(yield func(Record) bool) bool {
	if img.nextProducerID == 0 {
		return true
	}
	// Who took the last block does not matter any more, and Kafka writes the same here.
	return yield(&ProducerIDsRecord{BrokerID: -1, BrokerEpoch: -1, NextProducerID: img.nextProducerID})
}

func (img *Image) writeACLs(yield func(Record) bool) bool {
	for _, a := range img.ACLs() {
		if !yield(a) {
			return false
		}
	}
	return true
}

func (img *Image) writeScram(yield func(Record) bool) bool {
	for _, s := range img.ScramCredentials() {
		ok := yield(&UserScramCredentialRecord{
			Name: s.User, Mechanism: s.Mechanism, Salt: s.Salt, StoredKey: s.StoredKey, ServerKey: s.ServerKey, Iterations: s.Iterations,
		})
		if !ok {
			return false
		}
	}
	return true
}

func (img *Image) writeTokens(yield func(Record) bool) bool {
	for _, t := range img.DelegationTokens() {
		if !yield(t) {
			return false
		}
	}
	return true
}
