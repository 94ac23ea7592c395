package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/node"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	mirrorDoes = "Apache's MirrorMaker 2 from a cluster of one node to this one: records with keys and headers, partitions, topic configs and the translated offsets of a group arrive"
	// mirrored is how many records a partition has, of mirrorPartitions. The group has read them all: MirrorMaker translates no offset
	// that lies before what it copied last when it looked first.
	mirrored, mirrorPartitions, mirrorCommit = 100, 3, 100
)

func runMirror(ctx context.Context, s *stage, r *row, classPath string) error {
	from, stop, err := s.Cluster(1)
	if err != nil {
		return err
	}
	defer stop()
	began := time.Now().Truncate(time.Millisecond)
	if err := fillOrigin(ctx, from, began); err != nil {
		return fmt.Errorf("the reference cannot fill the cluster to copy from: %w", err)
	}
	file, err := s.mirrorConfig(from)
	if err != nil {
		return err
	}
	p, err := s.startJava("mirror-maker", classPath, "org.apache.kafka.connect.mirror.MirrorMaker", file)
	if err != nil {
		return err
	}
	defer p.stop()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	soon := func(look func() error) func(context.Context) error {
		return func(ctx context.Context) error { return p.until(ctx, look) }
	}
	return r.steps(ctx, []step{
		{"create", soon(func() error { return mirroredTopic(ctx, adm) })},
		{"none", soon(func() error { return s.mirroredRecords(ctx, began) })},
		{"admin", soon(func() error { return mirroredConfig(ctx, adm) })},
		{"commit", soon(func() error { return mirroredGroup(ctx, adm) })},
		{ownColumn, func(context.Context) error { return nil }},
	})
}

// mirrorConfig writes MirrorMaker's properties: from is a, the stage's cluster b.
func (s *stage) mirrorConfig(from *node.Cluster) (string, error) {
	one, reps := "1", strconv.Itoa(s.replicas)
	conf := properties(map[string]string{
		"clusters": "a, b", "a.bootstrap.servers": from.Bootstrap(), "b.bootstrap.servers": s.bootstrap,
		"a->b.enabled": "true", "a->b.topics": "orders", "a->b.groups": "readers", "b->a.enabled": "false", "b->a.emit.heartbeats.enabled": "false",
		"replication.factor": reps, "checkpoints.topic.replication.factor": reps, "heartbeats.topic.replication.factor": reps,
		"offset-syncs.topic.replication.factor": reps, "a->b.offset-syncs.topic.location": "target",
		"a.config.storage.replication.factor": one, "a.offset.storage.replication.factor": one, "a.status.storage.replication.factor": one,
		"b.config.storage.replication.factor": reps, "b.offset.storage.replication.factor": reps, "b.status.storage.replication.factor": reps,
		"a->b.sync.group.offsets.enabled": "true", "a->b.sync.group.offsets.interval.seconds": "1", "a->b.emit.checkpoints.interval.seconds": "1",
		"a->b.refresh.groups.interval.seconds": "2", "a->b.refresh.topics.interval.seconds": "2", "a->b.sync.topic.configs.interval.seconds": "2", "a->b.offset.lag.max": "0",
		"b.offset.flush.interval.ms": "1000",
	})
	file := filepath.Join(s.dir, "mm2.properties")
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", err
	}
	return file, os.WriteFile(file, []byte(conf), 0o644)
}

// fillOrigin writes what is to be copied: records, a config and a group that has stopped in the middle.
func fillOrigin(ctx context.Context, from *node.Cluster, began time.Time) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(from.Seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("orders"), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer cl.Close()
	defer clients.EndsWith(ctx, cl)()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, mirrorPartitions, 1, map[string]*string{"segment.ms": kadm.StringPtr("123456789")}, "orders"); err != nil {
		return err
	}
	var recs []*kgo.Record
	for i := range mirrored * mirrorPartitions {
		recs = append(recs, mirrorRecord(began, i))
	}
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	for p := range int32(mirrorPartitions) {
		offsets.AddOffset("orders", p, mirrorCommit, -1)
	}
	return adm.CommitAllOffsets(ctx, "readers", offsets)
}

// mirrorRecord is the i-th record. None is so old that retention removes it, which would end the row on a slow machine.
func mirrorRecord(began time.Time, i int) *kgo.Record {
	return &kgo.Record{Partition: int32(i % mirrorPartitions), Key: []byte("key " + strconv.Itoa(i)), Value: []byte("order " + strconv.Itoa(i)), Timestamp: began.Add(time.Duration(i-mirrored*mirrorPartitions) * time.Second),
		Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(strconv.Itoa(i))}}}
}

// mirrorTopic is what the default policy calls the copy.
const mirrorTopic = "a.orders"

func mirroredTopic(ctx context.Context, adm *kadm.Client) error {
	topics, err := adm.ListTopics(ctx, mirrorTopic)
	if err == nil && len(topics[mirrorTopic].Partitions) != mirrorPartitions {
		err = fmt.Errorf("the copy has %d partitions instead of %d", len(topics[mirrorTopic].Partitions), mirrorPartitions)
	}
	return err
}

func (s *stage) mirroredRecords(ctx context.Context, began time.Time) error {
	got, err := s.readAll(ctx, mirrorTopic)
	if err != nil {
		return err
	}
	if len(got) != mirrored*mirrorPartitions {
		return fmt.Errorf("%d records instead of %d", len(got), mirrored*mirrorPartitions)
	}
	for _, g := range got {
		want := mirrorRecord(began, int(g.Offset)*mirrorPartitions+int(g.Partition))
		if string(g.Key) != string(want.Key) || string(g.Value) != string(want.Value) || !g.Timestamp.Equal(want.Timestamp) ||
			len(g.Headers) != 1 || string(g.Headers[0].Value) != string(want.Headers[0].Value) {
			return fmt.Errorf("offset %d of partition %d is %s, %s, %s, %v", g.Offset, g.Partition, g.Key, g.Value, g.Timestamp, g.Headers)
		}
	}
	return nil
}

func mirroredConfig(ctx context.Context, adm *kadm.Client) error {
	rs, err := adm.DescribeTopicConfigs(ctx, mirrorTopic)
	if err != nil {
		return err
	}
	for _, c := range rs[0].Configs {
		if c.Key == "segment.ms" && c.MaybeValue() == "123456789" {
			return nil
		}
	}
	return fmt.Errorf("the copy does not have the original's segment.ms")
}

// mirroredGroup looks for the group's offsets, translated: not past what it had read.
func mirroredGroup(ctx context.Context, adm *kadm.Client) error {
	offs, err := adm.FetchOffsets(ctx, "readers")
	if err != nil {
		return err
	}
	for p := range int32(mirrorPartitions) {
		o, ok := offs.Lookup(mirrorTopic, p)
		if !ok || o.At <= 0 || o.At > mirrorCommit {
			return fmt.Errorf("the group's offset in partition %d of the copy is %d (%t), not between 1 and %d", p, o.At, ok, mirrorCommit)
		}
	}
	return nil
}
