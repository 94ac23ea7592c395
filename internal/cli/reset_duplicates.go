package cli

import (
	"fmt"
	"hash/crc32"
)

// uniquePartitions refuses a partition that is there twice, as Kafka's tool does: in the words of Java's maps, with what stands
// for the partition's new offset.
func uniquePartitions(tps []topicPartition, value func(topicPartition) string) error {
	seen := make(map[topicPartition]bool, len(tps))
	for _, tp := range tps {
		if seen[tp] {
			v := value(tp)
			text := fmt.Sprintf("Duplicate key %s (attempted merging values %s and %s)", tp, v, v)
			return &javaError{text: text, plain: text}
		}
		seen[tp] = true
	}
	return nil
}

// offsetSpec is Java's name of the place that is asked for; its digits say nothing.
func offsetSpec(at int64) func(topicPartition) string {
	name := "TimestampSpec"
	switch at {
	case earliestOffset:
		name = "EarliestSpec"
	case latestOffset:
		name = "LatestSpec"
	}
	return func(tp topicPartition) string {
		return fmt.Sprintf("org.apache.kafka.clients.admin.OffsetSpec$%s@%x", name, crc32.ChecksumIEEE([]byte(tp.String())))
	}
}
