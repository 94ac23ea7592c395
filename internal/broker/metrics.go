package broker

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Metrics counts what goes through the broker, by topic and in all.
type Metrics struct{ topics *obs.TopicMetrics }

// NewMetrics shows the broker's counters in r.
func NewMetrics(r *obs.Registry) *Metrics { return &Metrics{topics: obs.NewTopicMetrics(r)} }

// Forget drops the counters of a topic that is gone.
func (m *Metrics) Forget(topic string) { m.topics.Remove(topic) }

// produced counts one partition's part of a produce.
func (m *Metrics) produced(topic string, bytes int, a *replica.Append) {
	for _, c := range []*obs.TopicCounters{m.topics.All(), m.topic(topic, a.Err)} {
		c.ProduceRequests.Inc()
		if a.Err == nil {
			c.BytesIn.Add(int64(bytes))
			c.MessagesIn.Add(int64(a.Info.NumRecords))
			continue
		}
		c.FailedProduceRequests.Inc()
		countRefusal(c, bytes, a.Err)
	}
}

// topic is a topic's counters. Only what the broker has could be counted before: a name that nobody has
// created gets counters that are thrown away, or clients could fill the metrics page with inventions.
func (m *Metrics) topic(name string, err error) *obs.TopicCounters {
	if err == nil && name != "" {
		return m.topics.Topic(name)
	}
	var refused *kerr.Error
	if name == "" || errors.Is(err, replica.ErrUnknownTopicOrPartition) || errors.As(err, &refused) {
		return new(obs.TopicCounters)
	}
	return m.topics.Topic(name)
}

func countRefusal(c *obs.TopicCounters, bytes int, err error) {
	switch {
	case errors.Is(err, storage.ErrRecordTooLarge), errors.Is(err, storage.ErrRecordListTooLarge):
		c.BytesRejected.Add(int64(bytes))
	case errors.Is(err, storage.ErrCorruptRecord):
		c.InvalidCRC.Inc()
	case errors.Is(err, storage.ErrOutOfOrderSequence):
		c.InvalidOffsetOrSequence.Inc()
	case errors.Is(err, errOldMagic):
		c.InvalidMagic.Inc()
	case errors.Is(err, storage.ErrKeylessRecord):
		c.NoKeyCompactedTopic.Inc()
	}
}

// fetched counts one partition's part of a fetch.
func (m *Metrics) fetched(p *replica.FetchPart) {
	for _, c := range []*obs.TopicCounters{m.topics.All(), m.topic(p.TP.Topic, p.Err)} {
		c.FetchRequests.Inc()
		switch {
		case p.Err != nil:
			c.FailedFetchRequests.Inc()
		case p.Slice != nil:
			c.BytesOut.Add(p.Slice.Len)
		}
	}
}

// replicated counts one partition's part of a replica's fetch.
func (m *Metrics) replicated(p *replica.FetchPart) {
	if p.Slice == nil {
		return
	}
	for _, c := range []*obs.TopicCounters{m.topics.All(), m.topic(p.TP.Topic, p.Err)} {
		c.ReplicationBytesOut.Add(p.Slice.Len)
	}
}
