package meta

import "maps"

// Delta says what one step changed, so that its readers need not compare whole images.
// What a name or id in it is now, the new image tells; what is not there any more was removed.
type Delta struct {
	// ChangedTopics were created, or have partitions that were created or changed.
	ChangedTopics map[UUID]*TopicDelta
	// DeletedTopics are the deleted topics as they were. A topic that was deleted and
	// created again under its name is here, and the new one, with its new id, in ChangedTopics.
	DeletedTopics []*Topic
	// ChangedBrokers were registered, changed or removed.
	ChangedBrokers map[int32]struct{}
	// ChangedControllers were registered or changed.
	ChangedControllers map[int32]struct{}
	ChangedConfigs     map[ConfigResource]struct{}
	ChangedFeatures    map[string]struct{}
	// ChangedQuotas holds the entities whose quotas changed.
	ChangedQuotas [][]QuotaEntity
	// ChangedACLs are the ids of rules that came or went.
	ChangedACLs map[UUID]struct{}
	// ChangedScram holds the credentials (only User and Mechanism are set) that came, changed or went.
	ChangedScram []ScramCredential
	// ChangedTokens are the ids of delegation tokens that came, changed or went.
	ChangedTokens      map[string]struct{}
	ProducerIDsChanged bool
}

// TopicDelta is what changed in one topic.
type TopicDelta struct {
	Topic      *Topic  // as it is now
	Old        *Topic  // as it was, nil when it was created in this step
	Partitions []int32 // those that were created or changed, each once
	seen       map[int32]struct{}
}

func newDelta() *Delta {
	return &Delta{
		ChangedTopics:      map[UUID]*TopicDelta{},
		ChangedBrokers:     map[int32]struct{}{},
		ChangedControllers: map[int32]struct{}{},
		ChangedConfigs:     map[ConfigResource]struct{}{},
		ChangedFeatures:    map[string]struct{}{},
		ChangedACLs:        map[UUID]struct{}{},
		ChangedTokens:      map[string]struct{}{},
	}
}

// Empty says that nothing changed but the offset.
func (d *Delta) Empty() bool {
	return len(d.ChangedTopics) == 0 && len(d.DeletedTopics) == 0 && len(d.ChangedBrokers) == 0 && len(d.ChangedControllers) == 0 &&
		len(d.ChangedConfigs) == 0 && len(d.ChangedFeatures) == 0 && len(d.ChangedQuotas) == 0 && len(d.ChangedACLs) == 0 &&
		len(d.ChangedScram) == 0 && len(d.ChangedTokens) == 0 && !d.ProducerIDsChanged
}

func (t *TopicDelta) touch(partition int32) {
	if _, ok := t.seen[partition]; ok {
		return
	}
	if t.seen == nil {
		t.seen = map[int32]struct{}{}
	}
	t.seen[partition] = struct{}{}
	t.Partitions = append(t.Partitions, partition)
}

// Diff compares two images. It costs what both hold, and is for a reader that has seen neither the steps
// between them nor any step yet: after a snapshot was loaded, or at a first look (old = NewImage()).
func Diff(old, now *Image) *Delta {
	d := newDelta()
	diffTopics(d, old, now)
	diffMap(old.Brokers(), now.Brokers(), func(b *Broker) int32 { return b.ID }, func(id int32) { d.ChangedBrokers[id] = struct{}{} })
	diffMap(old.Controllers(), now.Controllers(), func(c *Controller) int32 { return c.ID }, func(id int32) { d.ChangedControllers[id] = struct{}{} })
	diffMap(old.ACLs(), now.ACLs(), func(a *AccessControlEntryRecord) UUID { return a.ID }, func(id UUID) { d.ChangedACLs[id] = struct{}{} })
	diffMap(old.DelegationTokens(), now.DelegationTokens(), func(t *DelegationTokenRecord) string { return t.TokenID }, func(id string) { d.ChangedTokens[id] = struct{}{} })
	diffMap(old.ScramCredentials(), now.ScramCredentials(), func(s *ScramCredential) string { return scramKey(s.Mechanism, s.User) }, func(key string) {
		d.ChangedScram = append(d.ChangedScram, ScramCredential{User: key[1:], Mechanism: int8(key[0])})
	})
	entities := map[string][]QuotaEntity{}
	for _, q := range append(old.Quotas(), now.Quotas()...) {
		entities[quotaKey(q.Entity)] = q.Entity
	}
	diffMap(old.Quotas(), now.Quotas(), func(q *Quota) string { return quotaKey(q.Entity) }, func(key string) {
		d.ChangedQuotas = append(d.ChangedQuotas, entities[key])
	})
	diffConfigs(d, old, now)
	for name := range maps.Keys(old.features) {
		if old.features[name] != now.features[name] {
			d.ChangedFeatures[name] = struct{}{}
		}
	}
	for name := range maps.Keys(now.features) {
		if old.features[name] != now.features[name] {
			d.ChangedFeatures[name] = struct{}{}
		}
	}
	d.ProducerIDsChanged = old.nextProducerID != now.nextProducerID
	return d
}

func diffTopics(d *Delta, old, now *Image) {
	old.Topics(func(t *Topic) bool {
		if now.TopicByID(t.ID) == nil {
			d.DeletedTopics = append(d.DeletedTopics, t)
		}
		return true
	})
	now.Topics(func(t *Topic) bool {
		before := old.TopicByID(t.ID)
		if before == t {
			return true
		}
		td := &TopicDelta{Topic: t, Old: before}
		for i, p := range t.Partitions {
			if before == nil || i >= len(before.Partitions) || before.Partitions[i] != p {
				td.touch(int32(i))
			}
		}
		d.ChangedTopics[t.ID] = td
		return true
	})
}

func diffConfigs(d *Delta, old, now *Image) {
	for res, values := range old.Configs() {
		if !maps.Equal(values, now.Config(res.Type, res.Name)) {
			d.ChangedConfigs[res] = struct{}{}
		}
	}
	for res, values := range now.Configs() {
		if !maps.Equal(values, old.Config(res.Type, res.Name)) {
			d.ChangedConfigs[res] = struct{}{}
		}
	}
}

// diffMap reports the keys whose value came, went or is another one.
func diffMap[K comparable, V any](old, now []*V, key func(*V) K, report func(K)) {
	before := make(map[K]*V, len(old))
	for _, v := range old {
		before[key(v)] = v
	}
	for _, v := range now {
		k := key(v)
		if before[k] != v {
			report(k)
		}
		delete(before, k)
	}
	for _, v := range old { // in their order
		if k := key(v); before[k] != nil {
			report(k)
		}
	}
}
