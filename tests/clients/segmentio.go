package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/segmentio/kafka-go"
)

// segmentio is segmentio/kafka-go.
type segmentio struct {
	bootstrap string
	replicas  int
	name      string
	members   memberSet
}

func (s *segmentio) Name() string { return s.name }

func (s *segmentio) Traits() Traits {
	// Its reader does not tell an empty key or value from null.
	return Traits{ReadLimits: corpus.Limits{NullIsEmpty: true}, Codecs: allCodecs, Groups: []string{"eager"}, Create: true, Commit: true, Admin: true, NoGaps: true}
}

func (s *segmentio) client() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(seeds(s.bootstrap)...), Timeout: 20 * time.Second, Transport: &kafka.Transport{MetadataTTL: 200 * time.Millisecond}}
}

func (s *segmentio) Create(ctx context.Context, topic string, partitions int32) error {
	return s.createWith(ctx, kafka.TopicConfig{Topic: topic, NumPartitions: int(partitions), ReplicationFactor: s.replicas})
}

func (s *segmentio) createWith(ctx context.Context, tc kafka.TopicConfig) error {
	resp, err := s.client().CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{tc}})
	if err != nil {
		return err
	}
	return resp.Errors[tc.Topic]
}

var segmentioCodecs = map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func (s *segmentio) Produce(ctx context.Context, topic, codec string, _ bool, records []corpus.Record) error {
	w := &kafka.Writer{Addr: kafka.TCP(seeds(s.bootstrap)...), Topic: topic, Compression: segmentioCodecs[codec], RequiredAcks: kafka.RequireAll, BatchTimeout: 10 * time.Millisecond,
		Balancer:  kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return m.WriterData.(int) }),
		Transport: &kafka.Transport{}}
	msgs := make([]kafka.Message, len(records))
	for i, r := range records {
		msgs[i] = kafka.Message{Key: r.Key, Value: r.Value, Time: time.UnixMilli(r.TimestampMs), WriterData: int(r.Partition)}
		for _, h := range r.Headers {
			msgs[i].Headers = append(msgs[i].Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	return errors.Join(w.WriteMessages(ctx, msgs...), w.Close())
}

func (s *segmentio) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type item struct {
		r   corpus.Record
		err error
	}
	got := make(chan item)
	var wg sync.WaitGroup
	for p := range corpus.Partitions {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: seeds(s.bootstrap), Topic: topic, Partition: p, MaxBytes: readPollBytes, MaxWait: 100 * time.Millisecond})
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer r.Close()
			for {
				m, err := r.ReadMessage(ctx)
				c := corpus.Record{Partition: int32(m.Partition), Offset: m.Offset, TimestampMs: m.Time.UnixMilli(), Key: m.Key, Value: m.Value}
				for _, h := range m.Headers {
					c.Headers = append(c.Headers, corpus.Header{Key: h.Key, Value: h.Value})
				}
				select {
				case got <- item{c, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
	}
	var out []corpus.Record
	for len(out) < count {
		it := <-got
		if it.err != nil {
			return out, fmt.Errorf("%w after %d of %d records", it.err, len(out), count)
		}
		out = append(out, it.r)
	}
	cancel()
	wg.Wait()
	return out, nil
}

func (s *segmentio) Join(_ context.Context, name, group, topic, _ string) error {
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: seeds(s.bootstrap), Topics: []string{topic}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: heartbeatInterval, SessionTimeout: sessionTimeout, RebalanceTimeout: rebalanceTimeout})
	if err != nil {
		return err
	}
	m := s.members.add(name)
	go func() {
		defer close(m.done)
		for m.ctx.Err() == nil {
			gen, err := g.Next(m.ctx)
			if err != nil {
				if m.ctx.Err() == nil && !retriable(err) {
					m.fail(err)
				}
				continue
			}
			for _, a := range gen.Assignments[topic] {
				gen.Start(func(ctx context.Context) { s.readAssigned(ctx, gen, m, topic, a) })
			}
		}
		if err := g.Close(); err != nil {
			m.fail(err)
		}
	}()
	return nil
}

// retriable says whether the group should simply be joined again: a rebalance
// overtook the join, or the coordinator is only starting.
func retriable(err error) bool {
	return errors.Is(err, kafka.GroupCoordinatorNotAvailable) || errors.Is(err, kafka.GroupLoadInProgress) || errors.Is(err, kafka.NotCoordinatorForGroup) ||
		errors.Is(err, kafka.RebalanceInProgress) || errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.MemberIDRequired)
}

func (s *segmentio) readAssigned(ctx context.Context, gen *kafka.Generation, m *member, topic string, a kafka.PartitionAssignment) {
	p := int32(a.ID)
	m.assign([]int32{p})
	defer m.revoke([]int32{p})
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: seeds(s.bootstrap), Topic: topic, Partition: a.ID, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	if err := r.SetOffset(a.Offset); err != nil {
		m.fail(err)
		return
	}
	last := a.Offset
	defer func() {
		if last > a.Offset { // fails when the generation is over already; the next owner then reads again
			_ = gen.CommitOffsets(map[string]map[int]int64{topic: {a.ID: last}})
		}
	}()
	for {
		msg, err := r.ReadMessage(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, kafka.ErrGenerationEnded) {
				m.fail(err)
			}
			return
		}
		m.record(p, msg.Offset)
		last = msg.Offset + 1
	}
}

func (s *segmentio) Members(context.Context) (map[string]Member, error) {
	return s.members.states(), nil
}
func (s *segmentio) Leave(_ context.Context, name string) error { return s.members.leave(name) }

func (s *segmentio) groupReader(group, topic string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{Brokers: seeds(s.bootstrap), GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		HeartbeatInterval: heartbeatInterval, SessionTimeout: sessionTimeout, RebalanceTimeout: rebalanceTimeout})
}

func (s *segmentio) Commit(ctx context.Context, group, topic string, offset int64) error {
	r := s.groupReader(group, topic)
	for {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if m.Offset == offset-1 {
			return errors.Join(r.CommitMessages(ctx, m), r.Close())
		}
	}
}

func (s *segmentio) Resume(ctx context.Context, group, topic string) (int64, error) {
	r := s.groupReader(group, topic)
	m, err := r.FetchMessage(ctx)
	return m.Offset, errors.Join(err, r.Close())
}

func (s *segmentio) Admin(ctx context.Context, topic string) error {
	c := s.client()
	if err := s.createWith(ctx, kafka.TopicConfig{Topic: topic, NumPartitions: 2, ReplicationFactor: s.replicas,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "3600000"}}}); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	grown, err := c.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	if err != nil || grown.Errors[topic] != nil {
		return fmt.Errorf("grow to 5 partitions: %w", errors.Join(err, grown.Errors[topic]))
	}
	if err := eventually(ctx, func() error {
		md, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		if err == nil && len(md.Topics[0].Partitions) != 5 {
			err = fmt.Errorf("%d partitions instead of 5", len(md.Topics[0].Partitions))
		}
		return err
	}); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	set := kafka.IncrementalAlterConfigsRequestConfig{Name: "retention.ms", Value: "7200000", ConfigOperation: kafka.ConfigOperationSet}
	if _, err := c.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{set}}}}); err != nil {
		return fmt.Errorf("alter config: %w", err)
	}
	if err := eventually(ctx, func() error {
		d, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
			{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
		if err == nil && d.Resources[0].ConfigEntries[0].ConfigValue != set.Value {
			err = fmt.Errorf("retention.ms is %s", d.Resources[0].ConfigEntries[0].ConfigValue)
		}
		return err
	}); err != nil {
		return fmt.Errorf("describe configs: %w", err)
	}
	gone, err := c.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || gone.Errors[topic] != nil {
		return fmt.Errorf("delete: %w", errors.Join(err, gone.Errors[topic]))
	}
	return nil
}

func (s *segmentio) Close() { s.members.leaveAll() }
