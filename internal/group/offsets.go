package group

// topicPartition is a key of committed offsets within a group.
type topicPartition struct {
	topic     string
	partition int32
}

// partitionOffsets is offsets by topic and partition.
type partitionOffsets map[string]map[int32]committedOffset

func (p partitionOffsets) put(topic string, partition int32, o committedOffset) (added bool) {
	t := p[topic]
	if t == nil {
		t = map[int32]committedOffset{}
		p[topic] = t
	}
	_, had := t[partition]
	t[partition] = o
	return !had
}

func (p partitionOffsets) get(topic string, partition int32) (committedOffset, bool) {
	o, ok := p[topic][partition]
	return o, ok
}

func (p partitionOffsets) delete(topic string, partition int32) (had bool) {
	t := p[topic]
	if _, had = t[partition]; had {
		if delete(t, partition); len(t) == 0 {
			delete(p, topic)
		}
	}
	return had
}

// offsetStore is all committed offsets of a shard, and those that hang on a transaction
// whose marker has not come.
type offsetStore struct {
	byGroup map[string]partitionOffsets
	pending map[int64]map[string]partitionOffsets // by producer id, then group
	open    map[openOffset]int                    // how many transactions have an offset in pending
	count   int                                   // of byGroup

	openCount int // of pending
}

// openOffset names a partition of which an open transaction has committed an offset.
type openOffset struct {
	group, topic string
	partition    int32
}

func newOffsetStore() *offsetStore {
	return &offsetStore{byGroup: map[string]partitionOffsets{}, pending: map[int64]map[string]partitionOffsets{}, open: map[openOffset]int{}}
}

func (s *offsetStore) put(group, topic string, partition int32, o committedOffset) {
	offsets := s.byGroup[group]
	if offsets == nil {
		offsets = partitionOffsets{}
		s.byGroup[group] = offsets
	}
	if offsets.put(topic, partition, o) {
		s.count++
	}
}

func (s *offsetStore) putPending(producerID int64, group, topic string, partition int32, o committedOffset) {
	groups := s.pending[producerID]
	if groups == nil {
		groups = map[string]partitionOffsets{}
		s.pending[producerID] = groups
	}
	if groups[group] == nil {
		groups[group] = partitionOffsets{}
	}
	if groups[group].put(topic, partition, o) {
		s.open[openOffset{group, topic, partition}]++
		s.openCount++
	}
}

// close counts one offset of pending down.
func (s *offsetStore) close(group, topic string, partition int32) {
	k := openOffset{group, topic, partition}
	if s.open[k]--; s.open[k] == 0 {
		delete(s.open, k)
	}
	s.openCount--
}

// remove forgets an offset, and those of open transactions for the same partition too.
func (s *offsetStore) remove(group, topic string, partition int32) {
	if offsets := s.byGroup[group]; offsets.delete(topic, partition) {
		s.count--
		if len(offsets) == 0 {
			delete(s.byGroup, group)
		}
	}
	if s.open[openOffset{group, topic, partition}] == 0 {
		return
	}
	for producerID, groups := range s.pending {
		if !groups[group].delete(topic, partition) {
			continue
		}
		s.close(group, topic, partition)
		if len(groups[group]) == 0 {
			if delete(groups, group); len(groups) == 0 {
				delete(s.pending, producerID)
			}
		}
	}
}

// endTxn makes a transaction's offsets count, or forgets them. Of a transactional and a plain
// commit for one partition the later record wins, since compaction keeps only that one.
func (s *offsetStore) endTxn(producerID int64, commit bool) {
	groups := s.pending[producerID]
	delete(s.pending, producerID)
	for group, offsets := range groups {
		for topic, partitions := range offsets {
			for partition, o := range partitions {
				s.close(group, topic, partition)
				if !commit {
					continue
				}
				if was, ok := s.byGroup[group].get(topic, partition); !ok || o.recordOffset > was.recordOffset {
					s.put(group, topic, partition, o)
				}
			}
		}
	}
}

// isPending tells whether an open transaction has an offset for the partition.
func (s *offsetStore) isPending(group, topic string, partition int32) bool {
	return s.open[openOffset{group, topic, partition}] > 0
}

// hasPending tells whether an open transaction has offsets of group.
func (s *offsetStore) hasPending(group string) bool {
	for _, groups := range s.pending {
		if len(groups[group]) > 0 {
			return true
		}
	}
	return false
}

// partitions lists what group has offsets for, those of open transactions included, each once.
func (s *offsetStore) partitions(group string) []topicPartition {
	var out []topicPartition
	for topic, partitions := range s.byGroup[group] {
		for partition := range partitions {
			out = append(out, topicPartition{topic, partition})
		}
	}
	for _, groups := range s.pending {
		for topic, partitions := range groups[group] {
			for partition := range partitions {
				if _, ok := s.byGroup[group].get(topic, partition); !ok {
					out = append(out, topicPartition{topic, partition})
				}
			}
		}
	}
	return sortedPartitions(out)
}
