package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/moldau-stream/moldau/tests/corpus"
)

// saramaClient is IBM/sarama held to the protocol of one Kafka version.
type saramaClient struct {
	bootstrap string
	replicas  int16
	name      string
	version   sarama.KafkaVersion
	members   memberSet
}

func (s *saramaClient) Name() string { return s.name }

func (s *saramaClient) Traits() Traits {
	t := Traits{Codecs: allCodecs, Groups: []string{"eager"}, Create: true, Idempotent: true, Commit: true, Transact: true, Admin: s.version.IsAtLeast(sarama.V1_0_0_0)}
	if !s.version.IsAtLeast(sarama.V2_1_0_0) {
		t.Codecs = allCodecs[:4]
	}
	if s.version.IsAtLeast(sarama.V2_4_0_0) {
		t.Groups, t.Static = append(t.Groups, "cooperative"), true
	}
	return t
}

func (s *saramaClient) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = s.version
	c.ClientID = "sarama"
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Fetch.Default = readPollBytes
	c.Consumer.Return.Errors = true
	c.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	c.Consumer.Group.Session.Timeout = sessionTimeout
	c.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	c.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	return c
}

func (s *saramaClient) Create(_ context.Context, topic string, partitions int32) error {
	adm, err := sarama.NewClusterAdmin(seeds(s.bootstrap), s.config())
	if err != nil {
		return err
	}
	defer adm.Close()
	return adm.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: s.replicas}, false)
}

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func (s *saramaClient) Produce(_ context.Context, topic, codec string, idempotent bool, records []corpus.Record) error {
	c := s.config()
	c.Producer.Compression = saramaCodecs[codec]
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Idempotent = idempotent
	c.Net.MaxOpenRequests = 1
	p, err := sarama.NewSyncProducer(seeds(s.bootstrap), c)
	if err != nil {
		return err
	}
	defer p.Close()
	msgs := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		m := &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Timestamp: time.UnixMilli(r.TimestampMs)}
		if r.Key != nil {
			m.Key = sarama.ByteEncoder(r.Key)
		}
		if r.Value != nil {
			m.Value = sarama.ByteEncoder(r.Value)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
		}
		msgs[i] = m
	}
	if err := p.SendMessages(msgs); err != nil {
		return err
	}
	offsets := make([]int64, len(msgs))
	for i, m := range msgs {
		offsets[i] = m.Offset
	}
	return checkOffsets(records, offsets)
}

func (s *saramaClient) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	c, err := sarama.NewConsumer(seeds(s.bootstrap), s.config())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	got := make(chan *sarama.ConsumerMessage)
	failed := make(chan error, corpus.Partitions)
	stop := make(chan struct{})
	defer close(stop)
	for p := range int32(corpus.Partitions) {
		pc, err := c.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer pc.AsyncClose()
		go func() {
			for {
				select {
				case m, ok := <-pc.Messages():
					if !ok {
						return
					}
					select {
					case got <- m:
					case <-stop:
						return
					}
				case err := <-pc.Errors():
					failed <- err
					return
				case <-stop:
					return
				}
			}
		}()
	}
	var out []corpus.Record
	for len(out) < count {
		select {
		case m := <-got:
			r := corpus.Record{Partition: m.Partition, Offset: m.Offset, TimestampMs: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
			for _, h := range m.Headers {
				r.Headers = append(r.Headers, corpus.Header{Key: string(h.Key), Value: h.Value})
			}
			out = append(out, r)
		case err := <-failed:
			return out, err
		case <-ctx.Done():
			return out, fmt.Errorf("%d of %d records in time", len(out), count)
		}
	}
	return out, nil
}

// saramaMember tells what a group session owns.
type saramaMember struct{ m *member }

func (h *saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaMember) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	h.m.assign([]int32{claim.Partition()})
	defer h.m.revoke([]int32{claim.Partition()})
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.m.record(m.Partition, m.Offset)
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

func (s *saramaClient) Join(_ context.Context, name, group, topic, strategy string) error {
	c := s.config()
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	if strategy == staticStrategy {
		c.Consumer.Group.InstanceId = groupInstance(group, name)
	}
	if strategy == "cooperative" {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	g, err := sarama.NewConsumerGroup(seeds(s.bootstrap), group, c)
	if err != nil {
		return err
	}
	m := s.members.add(name)
	go func() {
		for err := range g.Errors() {
			m.fail(err)
		}
	}()
	go func() {
		defer close(m.done)
		for m.ctx.Err() == nil {
			if err := g.Consume(m.ctx, []string{topic}, &saramaMember{m}); err != nil && m.ctx.Err() == nil {
				m.fail(err)
				break
			}
		}
		if err := g.Close(); err != nil {
			m.fail(err)
		}
	}()
	return nil
}

func (s *saramaClient) Members(context.Context) (map[string]Member, error) {
	return s.members.states(), nil
}
func (s *saramaClient) Leave(_ context.Context, name string) error { return s.members.leave(name) }

// saramaUntil runs a group session and calls fn for each message until it returns true.
type saramaUntil struct {
	fn     func(s sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) bool
	cancel context.CancelFunc
}

func (*saramaUntil) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaUntil) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (u *saramaUntil) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		if u.fn(s, m) {
			u.cancel()
			return nil
		}
	}
	return nil
}

func (s *saramaClient) session(ctx context.Context, group, topic string, fn func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) bool) error {
	c := s.config()
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Return.Errors = false
	g, err := sarama.NewConsumerGroup(seeds(s.bootstrap), group, c)
	if err != nil {
		return err
	}
	defer g.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = g.Consume(ctx, []string{topic}, &saramaUntil{fn, cancel})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *saramaClient) Commit(ctx context.Context, group, topic string, offset int64) error {
	return s.session(ctx, group, topic, func(sess sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) bool {
		if m.Offset < offset-1 {
			return false
		}
		sess.MarkMessage(m, "a note")
		sess.Commit()
		return true
	})
}

func (s *saramaClient) Resume(ctx context.Context, group, topic string) (int64, error) {
	first := int64(-1)
	err := s.session(ctx, group, topic, func(_ sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) bool {
		first = m.Offset
		return true
	})
	return first, err
}

func (s *saramaClient) Admin(ctx context.Context, topic string) error {
	adm, err := sarama.NewClusterAdmin(seeds(s.bootstrap), s.config())
	if err != nil {
		return err
	}
	defer adm.Close()
	value := "3600000"
	if err := adm.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: s.replicas, ConfigEntries: map[string]*string{"retention.ms": &value}}, false); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := adm.CreatePartitions(topic, 5, nil, false); err != nil {
		return fmt.Errorf("grow to 5 partitions: %w", err)
	}
	if err := eventually(ctx, func() error {
		ts, err := adm.DescribeTopics([]string{topic})
		if err == nil && len(ts[0].Partitions) != 5 {
			err = fmt.Errorf("%d partitions instead of 5", len(ts[0].Partitions))
		}
		return err
	}); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	value = "7200000"
	if s.version.IsAtLeast(sarama.V2_3_0_0) {
		err = adm.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false)
	} else {
		err = adm.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false)
	}
	if err != nil {
		return fmt.Errorf("alter config: %w", err)
	}
	if err := eventually(ctx, func() error {
		ask := &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}}
		rs, err := adm.DescribeConfigs([]*sarama.ConfigResource{ask}, sarama.DescribeConfigsOptions{})
		if err == nil && (len(rs) != 1 || len(rs[0].Configs) != 1 || rs[0].Configs[0].Value != value) {
			err = fmt.Errorf("got %+v", rs)
		}
		return err
	}); err != nil {
		return fmt.Errorf("describe configs: %w", err)
	}
	if _, err := adm.ListConsumerGroups(); err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	if err := adm.DeleteTopic(topic); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func (s *saramaClient) Close() { s.members.leaveAll() }
