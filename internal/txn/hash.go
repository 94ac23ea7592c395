package txn

import "unicode/utf16"

// PartitionFor is the partition of __transaction_state that holds a transactional id when the topic
// has n partitions: Java's String.hashCode, which other brokers and existing data directories go by.
func PartitionFor(id string, n int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(id)) {
		h = h*31 + int32(unit)
	}
	if h < 0 {
		h = max(-h, 0) // the least int32 stays negative and counts as 0
	}
	return h % n
}
