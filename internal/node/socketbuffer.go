package node

// kafkaSocketBufferBytes is Kafka's default for both socket buffers. It stands in nearly every
// server.properties too, because Kafka's sample file spells it out.
const kafkaSocketBufferBytes = 102400

// socketBuffer is the buffer to ask the system for, -1 for its own choice. Kafka's default
// counts as no choice: a buffer of a fixed 100 KiB cannot grow with what a connection moves, and
// costs a producer of large batches half as much CPU again in wake-ups and partial reads. Any
// other value is meant, and is set.
func socketBuffer(configured int) int {
	if configured == kafkaSocketBufferBytes {
		return -1
	}
	return configured
}
