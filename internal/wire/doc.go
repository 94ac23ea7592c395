// Package wire turns bytes into Kafka requests and responses into bytes: frame
// lengths, request and response headers, and the table that says which API at
// which version a listener serves. The message bodies themselves are kmsg's.
//
// kmsg trusts what it reads: it ignores bytes that trail a body, allocates
// arrays by the count that a peer claims, and spins on a claimed number of tagged
// fields. So every body is first walked here against Kafka's own schema
// (requests.txt): each length within the frame, no null where Kafka allows none,
// a bounded number of elements, and the last field ending exactly where the frame
// ends, but for one that a client gets wrong (mayTrail). Only then is it handed to kmsg, which can no longer fail.
//
// The server calls it for every frame; nothing in it is shared or mutable, does
// I/O, or starts a goroutine. If it is wrong, a request is understood as something
// it is not, or a stranger's few bytes cost the node its memory.
package wire
