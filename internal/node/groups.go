package node

import (
	"encoding/hex"

	"github.com/moldau-stream/moldau/internal/broker"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
)

// buildGroups makes the group coordinator over the partitions of its topic.
func (n *Node) buildGroups() *group.Service {
	s := n.o.Settings
	log := broker.CoordinatorLog{
		Topic: group.Topic, Replicas: n.replicas, Codec: record.Codec(s.Int(config.OffsetsTopicCompressionCodec)),
	}
	return group.New(group.Options{
		Config: group.Config{
			InitialRebalanceDelayMs:  s.Long(config.GroupInitialRebalanceDelayMs),
			MinSessionTimeoutMs:      s.Int32(config.GroupMinSessionTimeoutMs),
			MaxSessionTimeoutMs:      s.Int32(config.GroupMaxSessionTimeoutMs),
			MaxSize:                  s.Int(config.GroupMaxSize),
			OffsetMetadataMaxBytes:   s.Int(config.OffsetMetadataMaxBytes),
			OffsetsRetentionMs:       s.Duration(config.OffsetsRetentionMinutes).Milliseconds(),
			RetentionCheckIntervalMs: s.Long(config.OffsetsRetentionCheckIntervalMs),
			MaxGroups:                s.Int(config.MoldauGroupMaxGroups),
			MaxPendingOffsets:        s.Int(config.MoldauGroupMaxPendingOffsets),
			MaxPendingMembers:        s.Int(config.MoldauGroupMaxPendingMembers),
			MaxFreshMembers:          s.Int(config.MoldauGroupMaxFreshMembers),
			MaxMemberBytes:           s.Long(config.MoldauGroupMaxMemberBytes),
			Consumer:                 consumerConfig(s),
		},
		Writer: log, Loader: log, Clock: n.o.Clock, Log: n.o.Logger, Topics: topicNames{n},
		NumPartitions:   n.offsetsPartitions,
		NewID:           newUUIDText,
		Metadata:        func() group.Metadata { return groupMetadata{n.broker.Image()} },
		GroupSettings:   n.groupSettings,
		CommitTimeoutMs: s.Long(config.OffsetsCommitTimeoutMs),
		MaxBatchBytes:   s.Int(config.MessageMaxBytes),
	})
}

// offsetsPartitions is the number of partitions of the offsets topic, 0 while there is none.
func (n *Node) offsetsPartitions() int32 { return n.partitionsOf(group.Topic) }

func (n *Node) partitionsOf(topic string) int32 {
	t := n.broker.Image().Topic(topic)
	if t == nil {
		return 0
	}
	return int32(len(t.Partitions))
}

// topicNames resolves topics in the image that requests are answered from.
type topicNames struct{ n *Node }

func (t topicNames) TopicName(id [16]byte) (string, bool) {
	if topic := t.n.broker.Image().TopicByID(id); topic != nil {
		return topic.Name, true
	}
	return "", false
}

func (t topicNames) TopicID(name string) ([16]byte, bool) {
	if topic := t.n.broker.Image().Topic(name); topic != nil {
		return topic.ID, true
	}
	return [16]byte{}, false
}

// onHighWatermark lets the answers go that wait for a coordinator's records.
func (n *Node) onHighWatermark(tp storage.TopicPartition, _ int32, hw int64) {
	switch tp.Topic {
	case group.Topic:
		n.groups.HighWatermark(tp.Partition, hw)
	case txn.Topic:
		n.txns.HighWatermark(tp.Partition, hw)
	}
}

// onRole makes the leader of a partition of a coordinator's topic the coordinator of what it holds.
func (n *Node) onRole(tp storage.TopicPartition, epoch int32, leads bool) {
	var c interface {
		Elect(p, leaderEpoch int32)
		Resign(p, leaderEpoch int32)
	}
	switch tp.Topic {
	case group.Topic:
		c = n.groups
	case txn.Topic:
		c = n.txns
	default:
		return
	}
	if leads {
		c.Elect(tp.Partition, epoch)
		return
	}
	c.Resign(tp.Partition, epoch)
}

// onDeleted forgets the offsets that groups have committed in topics that are gone.
func (n *Node) onDeleted(topics []*meta.Topic) {
	var gone []group.TopicPartition
	for _, t := range topics {
		n.metrics.Forget(t.Name)
		for i := range t.Partitions {
			gone = append(gone, group.TopicPartition{Topic: t.Name, Partition: int32(i)})
		}
	}
	n.groups.PartitionsDeleted(gone, func(err error) {
		if err != nil {
			n.o.Logger.Warn("cannot forget the offsets committed in deleted topics", "cause", err)
		}
	})
}

// newUUIDText is a random UUID as text, as member ids end with.
func newUUIDText() string {
	u := newUUID()
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
