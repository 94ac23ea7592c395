package node

// kafkaReceiveBufferBytes is Kafka's default for socket.receive.buffer.bytes. It stands in nearly
// every server.properties too, because Kafka's sample file spells it out.
const kafkaReceiveBufferBytes = 102400

// receiveBuffer is the receive buffer to ask the system for, -1 for its own choice. Kafka's default
// counts as no choice: a buffer of a fixed 100 KiB cannot grow with what a connection moves, and
// costs a producer of large batches half as much CPU again in wake-ups and partial reads. Any
// other value is meant, and is set. The send buffer of 100 KiB is set as Kafka does: what a reader is sent
// is still in the CPU's cache when it is taken, and large answers of many connections take turns.
func receiveBuffer(configured int) int {
	if configured == kafkaReceiveBufferBytes {
		return -1
	}
	return configured
}
