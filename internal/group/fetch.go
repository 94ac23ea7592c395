package group

// fetchedOffset is one partition of an OffsetFetch answer.
type fetchedOffset struct {
	partition   int32
	offset      int64
	leaderEpoch int32
	metadata    string
	code        int16
}

func noOffset(partition int32, code int16) fetchedOffset {
	return fetchedOffset{partition: partition, offset: -1, leaderEpoch: -1, code: code}
}

// fetch is a group's offsets of some partitions of a topic. requireStable refuses those
// that an open transaction is about to change.
func (s *Shard) fetch(group, topic string, partitions []int32, requireStable bool) []fetchedOffset {
	out := make([]fetchedOffset, 0, len(partitions))
	for _, p := range partitions {
		out = append(out, s.fetchOne(group, topic, p, requireStable))
	}
	return out
}

func (s *Shard) fetchOne(group, topic string, partition int32, requireStable bool) fetchedOffset {
	if requireStable && s.offsets.isPending(group, topic, partition) {
		return noOffset(partition, codeUnstableOffsetCommit)
	}
	o, ok := s.offsets.byGroup[group].get(topic, partition)
	if !ok {
		return noOffset(partition, codeNone)
	}
	if o.unreadable {
		return noOffset(partition, codeUnknownServerError)
	}
	return fetchedOffset{partition: partition, offset: o.offset, leaderEpoch: o.leaderEpoch, metadata: o.metadata}
}

// fetchAll is all of a group's offsets, by topic.
func (s *Shard) fetchAll(group string, requireStable bool) (topics []string, byTopic map[string][]fetchedOffset) {
	byTopic = map[string][]fetchedOffset{}
	for topic, partitions := range s.offsets.byGroup[group] {
		byTopic[topic] = s.fetch(group, topic, sortedKeys(partitions), requireStable)
	}
	return sortedKeys(byTopic), byTopic
}
