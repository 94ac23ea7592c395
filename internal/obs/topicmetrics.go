package obs

import (
	"maps"
	"slices"
	"sync"
)

// TopicCounters are what is counted for one topic, and for all topics together.
type TopicCounters struct {
	MessagesIn, BytesIn, BytesOut                     Counter
	ReplicationBytesIn, ReplicationBytesOut           Counter
	ProduceRequests, FetchRequests                    Counter
	FailedProduceRequests, FailedFetchRequests        Counter
	BytesRejected                                     Counter
	InvalidMagic, InvalidCRC, InvalidOffsetOrSequence Counter
	NoKeyCompactedTopic                               Counter
}

// TopicMetrics counts by topic. A partition keeps the *TopicCounters of its topic, and whoever counts
// there counts in All as well.
type TopicMetrics struct {
	all TopicCounters

	mu     sync.RWMutex
	topics map[string]*TopicCounters
}

// NewTopicMetrics makes the counters and shows them in r.
func NewTopicMetrics(r *Registry) *TopicMetrics {
	m := &TopicMetrics{topics: make(map[string]*TopicCounters)}
	r.Register(m)
	return m
}

// All are the counters of all topics together.
func (m *TopicMetrics) All() *TopicCounters { return &m.all }

// Topic are the counters of one topic.
func (m *TopicMetrics) Topic(name string) *TopicCounters {
	m.mu.RLock()
	t := m.topics[name]
	m.mu.RUnlock()
	if t != nil {
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t = m.topics[name]; t == nil {
		t = new(TopicCounters)
		m.topics[name] = t
	}
	return t
}

// Remove forgets a topic that is gone; what it counted stays in All.
func (m *TopicMetrics) Remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.topics, name)
}

// WriteMetrics writes each family once without a label and once for each topic, as Kafka does.
func (m *TopicMetrics) WriteMetrics(w *Writer) {
	m.mu.RLock()
	names := slices.Sorted(maps.Keys(m.topics))
	counters := make([]*TopicCounters, len(names))
	for i, name := range names {
		counters[i] = m.topics[name]
	}
	m.mu.RUnlock()
	for _, f := range topicFamilies() {
		out := w.Family(f.name, f.help, KindCounter)
		out.Int(f.of(&m.all).Value())
		for i, name := range names {
			out.Int(f.of(counters[i]).Value(), "topic", name)
		}
	}
}

type topicFamily struct {
	name, help string
	of         func(*TopicCounters) *Counter
}

func topicFamilies() []topicFamily {
	return []topicFamily{
		{MessagesIn, "Records that were appended.", func(t *TopicCounters) *Counter { return &t.MessagesIn }},
		{BytesIn, "Bytes that clients sent.", func(t *TopicCounters) *Counter { return &t.BytesIn }},
		{BytesOut, "Bytes that clients fetched.", func(t *TopicCounters) *Counter { return &t.BytesOut }},
		{ReplicationBytesIn, "Bytes that were fetched from leaders.", func(t *TopicCounters) *Counter { return &t.ReplicationBytesIn }},
		{ReplicationBytesOut, "Bytes that followers fetched.", func(t *TopicCounters) *Counter { return &t.ReplicationBytesOut }},
		{TotalProduceRequests, "Produce requests.", func(t *TopicCounters) *Counter { return &t.ProduceRequests }},
		{TotalFetchRequests, "Fetch requests.", func(t *TopicCounters) *Counter { return &t.FetchRequests }},
		{FailedProduceRequests, "Produce requests that failed.", func(t *TopicCounters) *Counter { return &t.FailedProduceRequests }},
		{FailedFetchRequests, "Fetch requests that failed.", func(t *TopicCounters) *Counter { return &t.FailedFetchRequests }},
		{BytesRejected, "Bytes of batches that were too large.", func(t *TopicCounters) *Counter { return &t.BytesRejected }},
		{InvalidMagicNumberRecords, "Batches of another format.", func(t *TopicCounters) *Counter { return &t.InvalidMagic }},
		{InvalidMessageCRCRecords, "Batches with a wrong checksum.", func(t *TopicCounters) *Counter { return &t.InvalidCRC }},
		{InvalidOffsetOrSequence, "Batches out of order.", func(t *TopicCounters) *Counter { return &t.InvalidOffsetOrSequence }},
		{NoKeyCompactedTopic, "Records without a key for a compacted topic.", func(t *TopicCounters) *Counter { return &t.NoKeyCompactedTopic }},
	}
}
