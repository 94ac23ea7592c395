package group

import "unicode/utf16"

// PartitionFor is the partition of __consumer_offsets that holds groupID when the topic
// has n partitions. Kafka's clients never compute it, but other brokers and
// existing data directories do, so it must be Java's hash.
func PartitionFor(groupID string, n int32) int32 {
	h := javaHash(groupID)
	if h < 0 {
		h = -h // the least int32 stays negative and counts as 0
	}
	if h < 0 {
		h = 0
	}
	return h % n
}

// javaHash is String.hashCode: over UTF-16 units.
func javaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if r >= 0x10000 {
			hi, lo := utf16.EncodeRune(r)
			h = (h*31+hi)*31 + lo
			continue
		}
		h = h*31 + r
	}
	return h
}

// javaLength is String.length: UTF-16 units.
func javaLength(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}
