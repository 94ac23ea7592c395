package config

import (
	"fmt"
	"maps"
	"slices"
)

// TopicConfig is the whole configuration of one topic.
type TopicConfig struct {
	Compact, Delete bool // cleanup.policy

	CompressionType      string // uncompressed, zstd, lz4, snappy, gzip or producer
	CompressionGzipLevel int
	CompressionLz4Level  int
	CompressionZstdLevel int

	SegmentBytes       int64
	SegmentMs          int64
	SegmentJitterMs    int64
	SegmentIndexBytes  int64
	IndexIntervalBytes int64
	Preallocate        bool
	FileDeleteDelayMs  int64

	RetentionMs    int64 // -1 is for ever
	RetentionBytes int64 // negative is no limit
	FlushMessages  int64
	FlushMs        int64

	MaxMessageBytes             int32
	MessageTimestampType        string // CreateTime or LogAppendTime
	MessageTimestampBeforeMaxMs int64
	MessageTimestampAfterMaxMs  int64

	DeleteRetentionMs      int64
	MinCompactionLagMs     int64
	MaxCompactionLagMs     int64
	MinCleanableDirtyRatio float64

	MinInsyncReplicas           int32
	UncleanLeaderElectionEnable bool
	LeaderThrottledReplicas     []string
	FollowerThrottledReplicas   []string

	RemoteStorageEnable      bool
	RemoteLogCopyDisable     bool
	RemoteLogDeleteOnDisable bool
	LocalRetentionMs         int64 // -2 follows RetentionMs
	LocalRetentionBytes      int64 // -2 follows RetentionBytes
}

// Topic is the configuration of a topic with these overrides on this broker. An
// override that cannot be is passed over, with an error that names it; the
// TopicConfig is usable in any case.
func (c *Config) Topic(overrides map[string]string) (TopicConfig, []error) {
	values, errs := c.topicValues(overrides)
	get := func(name string) value { return values[name] }
	policy := get(TopicCleanupPolicy).list
	t := TopicConfig{
		Compact:                     slices.Contains(policy, "compact"),
		Delete:                      slices.Contains(policy, "delete"),
		CompressionType:             get(TopicCompressionType).text,
		CompressionGzipLevel:        int(get(TopicCompressionGzipLevel).num),
		CompressionLz4Level:         int(get(TopicCompressionLz4Level).num),
		CompressionZstdLevel:        int(get(TopicCompressionZstdLevel).num),
		SegmentBytes:                get(TopicSegmentBytes).num,
		SegmentMs:                   get(TopicSegmentMs).num,
		SegmentJitterMs:             get(TopicSegmentJitterMs).num,
		SegmentIndexBytes:           get(TopicSegmentIndexBytes).num,
		IndexIntervalBytes:          get(TopicIndexIntervalBytes).num,
		Preallocate:                 get(TopicPreallocate).yes,
		FileDeleteDelayMs:           get(TopicFileDeleteDelayMs).num,
		RetentionMs:                 get(TopicRetentionMs).num,
		RetentionBytes:              get(TopicRetentionBytes).num,
		FlushMessages:               get(TopicFlushMessages).num,
		FlushMs:                     get(TopicFlushMs).num,
		MaxMessageBytes:             int32(get(TopicMaxMessageBytes).num),
		MessageTimestampType:        get(TopicMessageTimestampType).text,
		MessageTimestampBeforeMaxMs: get(TopicMessageTimestampBeforeMaxMs).num,
		MessageTimestampAfterMaxMs:  get(TopicMessageTimestampAfterMaxMs).num,
		DeleteRetentionMs:           get(TopicDeleteRetentionMs).num,
		MinCompactionLagMs:          get(TopicMinCompactionLagMs).num,
		MaxCompactionLagMs:          get(TopicMaxCompactionLagMs).num,
		MinCleanableDirtyRatio:      get(TopicMinCleanableDirtyRatio).real,
		MinInsyncReplicas:           int32(get(TopicMinInsyncReplicas).num),
		UncleanLeaderElectionEnable: get(TopicUncleanLeaderElectionEnable).yes,
		LeaderThrottledReplicas:     get(TopicLeaderReplicationThrottledReplicas).list,
		FollowerThrottledReplicas:   get(TopicFollowerReplicationThrottledReplicas).list,
		RemoteStorageEnable:         get(TopicRemoteStorageEnable).yes,
		RemoteLogCopyDisable:        get(TopicRemoteLogCopyDisable).yes,
		RemoteLogDeleteOnDisable:    get(TopicRemoteLogDeleteOnDisable).yes,
		LocalRetentionMs:            get(TopicLocalRetentionMs).num,
		LocalRetentionBytes:         get(TopicLocalRetentionBytes).num,
	}
	if v := get(TopicInternalSegmentBytes); !v.null {
		t.SegmentBytes = v.num
	}
	return t, errs
}

// topicValues is the effective value of each topic key.
func (c *Config) topicValues(overrides map[string]string) (map[string]value, []error) {
	values := make(map[string]value, len(topicKeys))
	for i := range topicKeys {
		values[topicKeys[i].Name] = c.topicFallback(&topicKeys[i])
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		k, known := lookupExact(Topic, name)
		if !known {
			errs = append(errs, fmt.Errorf("cannot apply topic configuration: unknown topic config name: %s", name))
			continue
		}
		v, no := k.parse(overrides[name])
		if no != nil {
			errs = append(errs, fmt.Errorf("cannot apply topic configuration: %s", no.sentence(name)))
			continue
		}
		values[name] = v
	}
	return values, errs
}

// topicFallback is the value of a topic key that the topic does not override: what the broker says.
func (c *Config) topicFallback(k *Key) value {
	switch k.Name {
	case TopicRetentionMs:
		return long(c.RetentionMs())
	case TopicSegmentMs:
		return long(c.RollMs())
	case TopicSegmentJitterMs:
		return long(c.RollJitterMs())
	case TopicFlushMs:
		return long(c.FlushMs())
	}
	if len(k.Synonyms) == 0 {
		return k.fallback()
	}
	return c.value(k.Synonyms[0])
}

func long(n int64) value { return value{kind: Long, num: n, text: fmt.Sprint(n)} }
