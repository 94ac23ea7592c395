package group

import (
	"cmp"
	"maps"
	"slices"
)

// Answers and records are put in order wherever a map would leave it to chance: equal
// histories must give equal logs.

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

// sortedPartitions sorts tps and drops duplicates.
func sortedPartitions(tps []topicPartition) []topicPartition {
	slices.SortFunc(tps, func(a, b topicPartition) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return slices.Compact(tps)
}
