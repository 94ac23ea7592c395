package node

import (
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
)

// topicConfig is what a topic's settings, under the dynamic and static ones of the broker, mean to its logs.
func (n *Node) topicConfig(img *meta.Image, topic string) replica.TopicConfig {
	t, errs := n.settings(img).Topic(img.Config(meta.ResourceTopic, topic))
	for _, err := range errs {
		n.o.Logger.Warn("a setting of a topic cannot be used; its default holds", "topic", topic, "cause", err)
	}
	c := replica.TopicConfig{Log: logConfig(t), MinISR: int(t.MinInsyncReplicas)}
	throttledReplicas(img, topic, &c)
	c.Log.StrictRecords = n.o.Settings.Bool(config.MoldauStrictRecords)
	return c
}

// settings are the node's settings with the dynamic broker settings of img on top.
func (n *Node) settings(img *meta.Image) *config.Config {
	defaults := img.Config(meta.ResourceBroker, "")
	own := img.Config(meta.ResourceBroker, n.name())
	if len(defaults) == 0 && len(own) == 0 {
		return n.o.Settings
	}
	c, errs := n.o.Settings.WithDynamic(defaults, own)
	for _, err := range errs {
		n.o.Logger.Warn("a dynamic broker setting cannot be used", "cause", err)
	}
	return c
}

func logConfig(t config.TopicConfig) storage.LogConfig {
	c := storage.DefaultLogConfig()
	c.SegmentBytes, c.SegmentMs, c.SegmentJitterMs = int(t.SegmentBytes), t.SegmentMs, t.SegmentJitterMs
	c.IndexBytes, c.IndexIntervalBytes, c.Preallocate = int(t.SegmentIndexBytes), int(t.IndexIntervalBytes), t.Preallocate
	c.RetentionMs, c.RetentionBytes, c.FileDeleteDelayMs = t.RetentionMs, t.RetentionBytes, t.FileDeleteDelayMs
	c.Delete, c.Compact = t.Delete, t.Compact
	c.DeleteRetentionMs, c.MinCompactionLagMs, c.MaxCompactionLagMs = t.DeleteRetentionMs, t.MinCompactionLagMs, t.MaxCompactionLagMs
	c.MinCleanableDirtyRatio = t.MinCleanableDirtyRatio
	c.MaxMessageBytes, c.FlushMessages, c.FlushMs = int(t.MaxMessageBytes), t.FlushMessages, t.FlushMs
	c.TimestampBeforeMaxMs, c.TimestampAfterMaxMs = t.MessageTimestampBeforeMaxMs, t.MessageTimestampAfterMaxMs
	if t.MessageTimestampType == "LogAppendTime" {
		c.TimestampType = record.LogAppendTime
	}
	c.CompressionType, c.CompressionLevel = codec(t)
	return c
}

// codec is what batches are kept in, and how hard to compress.
func codec(t config.TopicConfig) (record.Codec, int) {
	switch t.CompressionType {
	case "uncompressed":
		return record.None, record.DefaultLevel
	case "gzip":
		return record.Gzip, t.CompressionGzipLevel
	case "snappy":
		return record.Snappy, record.DefaultLevel
	case "lz4":
		return record.LZ4, t.CompressionLz4Level
	case "zstd":
		return record.Zstd, t.CompressionZstdLevel
	}
	return storage.KeepCodec, record.DefaultLevel
}
