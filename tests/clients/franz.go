package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// franz is franz-go, optionally held to the versions of an older Kafka.
type franz struct {
	bootstrap string
	replicas  int16
	name      string
	versions  *kversion.Versions
	old       bool // too old for cooperative groups and zstd
	members   memberSet
}

var allCodecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func (f *franz) Name() string { return f.name }

func (f *franz) Traits() Traits {
	t := Traits{Codecs: allCodecs, Groups: []string{"eager", "cooperative"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
	if f.versions == nil {
		t.Groups = append(t.Groups, "consumer")
	}
	if f.old {
		// zstd needs Produce 7 and Fetch 10, IncrementalAlterConfigs Kafka 2.3.
		t.Codecs, t.Admin, t.Static = allCodecs[:4], false, false
	}
	return t
}

func (f *franz) client(opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append(opts, kgo.SeedBrokers(seeds(f.bootstrap)...), kgo.ClientID("franz-go"), kgo.MetadataMinAge(20*time.Millisecond))
	if f.versions != nil {
		opts = append(opts, kgo.MaxVersions(f.versions))
	}
	return kgo.NewClient(opts...)
}

func (f *franz) admin() (*kadm.Client, error) {
	cl, err := f.client()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

func (f *franz) Create(ctx context.Context, topic string, partitions int32) error {
	adm, err := f.admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	_, err = adm.CreateTopic(ctx, partitions, f.replicas, nil, topic)
	return err
}

var kgoCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func (f *franz) Produce(ctx context.Context, topic, codec string, idempotent bool, records []corpus.Record) error {
	opts := []kgo.Opt{kgo.ProducerBatchCompression(kgoCodecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5 * time.Millisecond), kgo.UnknownTopicRetries(-1)}
	if !idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	cl, err := f.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	defer EndsWith(ctx, cl)()
	krecs := make([]*kgo.Record, len(records))
	for i, r := range records {
		k := &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.TimestampMs)}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		krecs[i] = k
	}
	if err := cl.ProduceSync(ctx, krecs...).FirstErr(); err != nil {
		return err
	}
	for i, k := range krecs {
		if k.Offset != records[i].Offset {
			return fmt.Errorf("record %d was acknowledged at offset %d of partition %d instead of %d", i, k.Offset, k.Partition, records[i].Offset)
		}
	}
	return nil
}

func (f *franz) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	cl, err := f.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var out []corpus.Record
	for len(out) < count {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return out, fmt.Errorf("%w after %d of %d records", err, len(out), count)
		}
		fs.EachRecord(func(r *kgo.Record) { out = append(out, fromKgo(r)) })
	}
	return out, nil
}

// Timings of group members: quick heartbeats make a rebalance short.
const (
	heartbeatInterval = 300 * time.Millisecond
	sessionTimeout    = 10 * time.Second
	rebalanceTimeout  = 20 * time.Second
)

func (f *franz) groupOpts(group, topic, strategy string) []kgo.Opt {
	opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(heartbeatInterval), kgo.SessionTimeout(sessionTimeout), kgo.RebalanceTimeout(rebalanceTimeout), kgo.AutoCommitInterval(200 * time.Millisecond)}
	switch strategy {
	case "eager", staticStrategy:
		opts = append(opts, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		opts = append(opts, kgo.ServerSideBalancer())
	}
	return opts
}

func (f *franz) Join(_ context.Context, name, group, topic, strategy string) error {
	m := f.members.add(name)
	opts := f.groupOpts(group, topic, strategy)
	if strategy == staticStrategy {
		opts = append(opts, kgo.InstanceID(groupInstance(group, name)))
	}
	opts = append(opts,
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.assign(ps[topic]) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, ps map[string][]int32) {
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				m.fail(fmt.Errorf("cannot commit on revocation: %w", err))
			}
			m.revoke(ps[topic])
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.revoke(ps[topic]) }))
	cl, err := f.client(opts...)
	if err != nil {
		return err
	}
	go func() {
		defer close(m.done)
		defer cl.Close()
		for m.ctx.Err() == nil {
			fs := cl.PollFetches(m.ctx)
			fs.EachError(func(_ string, _ int32, err error) {
				if !errors.Is(err, context.Canceled) {
					m.fail(err)
				}
			})
			fs.EachRecord(func(r *kgo.Record) { m.record(r.Partition, r.Offset) })
		}
		if err := cl.CommitUncommittedOffsets(context.Background()); err != nil {
			m.fail(fmt.Errorf("cannot commit at the end: %w", err))
		}
	}()
	return nil
}

func (f *franz) Members(context.Context) (map[string]Member, error) { return f.members.states(), nil }
func (f *franz) Leave(_ context.Context, name string) error         { return f.members.leave(name) }

func (f *franz) Commit(ctx context.Context, group, topic string, offset int64) error {
	cl, err := f.client(append(f.groupOpts(group, topic, "eager"), kgo.DisableAutoCommit())...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fs := cl.PollRecords(ctx, int(offset))
		if err := fs.Err(); err != nil {
			return err
		}
		for _, r := range fs.Records() {
			if r.Partition == 0 && r.Offset == offset-1 {
				return cl.CommitRecords(ctx, r)
			}
		}
	}
}

func (f *franz) Resume(ctx context.Context, group, topic string) (int64, error) {
	cl, err := f.client(append(f.groupOpts(group, topic, "eager"), kgo.DisableAutoCommit())...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	fs := cl.PollRecords(ctx, 1)
	if err := fs.Err(); err != nil {
		return 0, err
	}
	return fs.Records()[0].Offset, nil
}

func (f *franz) Admin(ctx context.Context, topic string) error {
	adm, err := f.admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	value := "3600000"
	if _, err := adm.CreateTopic(ctx, 2, f.replicas, map[string]*string{"retention.ms": &value}, topic); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if up, err := adm.UpdatePartitions(ctx, 5, topic); err != nil || up.Error() != nil {
		return fmt.Errorf("grow to 5 partitions: %w", errors.Join(err, up.Error()))
	}
	if err := eventually(ctx, func() error {
		ts, err := adm.ListTopics(ctx, topic)
		if err == nil && len(ts[topic].Partitions) != 5 {
			err = fmt.Errorf("%d partitions instead of 5", len(ts[topic].Partitions))
		}
		return err
	}); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	value = "7200000"
	if rs, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, topic); err != nil || rs[0].Err != nil {
		return fmt.Errorf("alter config: %w", errors.Join(err, rs[0].Err))
	}
	if err := eventually(ctx, func() error { return f.hasRetention(ctx, adm, topic, value) }); err != nil {
		return fmt.Errorf("describe configs: %w", err)
	}
	if _, err := adm.DeleteTopic(ctx, topic); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func (f *franz) hasRetention(ctx context.Context, adm *kadm.Client, topic, want string) error {
	rs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	for _, c := range rs[0].Configs {
		if c.Key == "retention.ms" {
			if c.Value == nil || *c.Value != want {
				return fmt.Errorf("retention.ms is %s instead of %s", c.MaybeValue(), want)
			}
			return nil
		}
	}
	return errors.New("retention.ms is not among the configs")
}

func (f *franz) Close() { f.members.leaveAll() }

// eventually retries a look at something that spreads through a cluster in a moment.
func eventually(ctx context.Context, look func() error) error {
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	for {
		err := look()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// memberSet is the bookkeeping that the Go clients share.
type memberSet struct {
	mu  sync.Mutex
	all map[string]*member // guarded by mu
}

type member struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the member has left

	mu    sync.Mutex
	owned map[int32]bool // guarded by mu, as is state
	state Member
}

func (s *memberSet) add(name string) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{ctx: ctx, cancel: cancel, done: make(chan struct{}), owned: map[int32]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*member{}
	}
	s.all[name] = m
	return m
}

func (s *memberSet) states() map[string]Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Member{}
	for name, m := range s.all {
		out[name] = m.snapshot()
	}
	return out
}

func (s *memberSet) leave(name string) error {
	s.mu.Lock()
	m := s.all[name]
	s.mu.Unlock()
	m.cancel()
	select {
	case <-m.done:
	case <-time.After(sessionTimeout):
		return fmt.Errorf("member %s did not leave within %s", name, sessionTimeout)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owned = map[int32]bool{}
	return nil
}

func (s *memberSet) leaveAll() {
	for name := range s.states() {
		_ = s.leave(name)
	}
}

func (m *member) assign(ps []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		m.owned[p] = true
	}
}

func (m *member) revoke(ps []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		delete(m.owned, p)
	}
}

func (m *member) record(p int32, offset int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Records = append(m.state.Records, [2]int64{int64(p), offset})
}

func (m *member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Error = err.Error()
}

func (m *member) snapshot() Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Member{Error: m.state.Error, Records: append([][2]int64(nil), m.state.Records...)}
	for p := range m.owned {
		s.Assigned = append(s.Assigned, p)
	}
	return s
}
