package node

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupMetadata is an image as the group coordinator sees it.
type groupMetadata struct{ img *meta.Image }

// Version is group.Metadata's.
func (m groupMetadata) Version() int64 { return m.img.Offset() + 1 }

// Topic is group.Metadata's.
func (m groupMetadata) Topic(name string) (group.TopicInfo, bool) {
	return topicInfo(m.img.Topic(name))
}

// TopicByID is group.Metadata's.
func (m groupMetadata) TopicByID(id [16]byte) (group.TopicInfo, bool) {
	return topicInfo(m.img.TopicByID(id))
}

func topicInfo(t *meta.Topic) (group.TopicInfo, bool) {
	if t == nil {
		return group.TopicInfo{}, false
	}
	return group.TopicInfo{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}, true
}

// TopicHash is group.Metadata's: racks count because a group shall assign anew when replicas have moved between them.
func (m groupMetadata) TopicHash(name string) uint64 {
	t := m.img.Topic(name)
	if t == nil {
		return 0
	}
	h := fnv.New64a()
	h.Write(t.ID[:])
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(t.Partitions))))
	var racks []string
	for _, p := range t.Partitions {
		racks = racks[:0]
		for _, id := range p.Replicas {
			if b := m.img.Broker(id); b != nil && b.Rack != nil {
				racks = append(racks, *b.Rack)
			}
		}
		slices.Sort(racks)
		for _, rack := range racks {
			h.Write([]byte(rack))
			h.Write([]byte{0})
		}
		h.Write([]byte{1})
	}
	return h.Sum64()
}

// EachTopic is group.Metadata's.
func (m groupMetadata) EachTopic(fn func(name string)) {
	m.img.Topics(func(t *meta.Topic) bool {
		fn(t.Name)
		return true
	})
}

// groupSettings is what is set for a group, under what the broker says of all of them.
func (n *Node) groupSettings(id string) group.GroupSettings {
	overrides := n.broker.Image().Config(int8(kmsg.ConfigResourceTypeGroupConfig), id)
	s := n.broker.Settings()
	return group.GroupSettings{
		SessionTimeoutMs:     int64(s.GroupInt("consumer.session.timeout.ms", overrides)),
		HeartbeatIntervalMs:  int32(s.GroupInt("consumer.heartbeat.interval.ms", overrides)),
		AssignmentIntervalMs: int64(s.GroupInt("consumer.assignment.interval.ms", overrides)),
	}
}

// consumerConfig is what all groups of the consumer protocol obey.
func consumerConfig(s *config.Config) group.ConsumerConfig {
	upgrade, downgrade := migration(s.String(config.GroupConsumerMigrationPolicy))
	return group.ConsumerConfig{
		Assignors: group.Assignors(s.List(config.GroupConsumerAssignors)), MaxSize: s.Int(config.GroupConsumerMaxSize),
		Upgrade: upgrade, Downgrade: downgrade, RegexRefreshMs: s.Long(config.GroupConsumerRegexRefreshIntervalMs),
	}
}

// migration reads group.consumer.migration.policy.
func migration(policy string) (upgrade, downgrade bool) {
	switch strings.ToUpper(policy) {
	case "BIDIRECTIONAL":
		return true, true
	case "UPGRADE":
		return true, false
	case "DOWNGRADE":
		return false, true
	}
	return false, false
}
