package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// errorCase is something that a broker must refuse, or allow, in a way that
// clients can see. run returns that in words.
type errorCase struct {
	name string
	run  func(l *lab) string
}

// cases are run in this order, each on connections of its own.
func cases() []errorCase {
	var all []errorCase
	for _, group := range [][]errorCase{frameCases(), produceCases(), idempotenceCases(), txnCases(), groupCases(), topicCases(), fetchCases()} {
		all = append(all, group...)
	}
	return all
}

// silenceWait is how long "no answer" is waited for.
const silenceWait = 700 * time.Millisecond

// raw sends bytes on a fresh connection and tells what comes back first.
func (l *lab) raw(frame []byte) string {
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	if err := c.write(frame); err != nil {
		return err.Error()
	}
	b, err := c.readFrame(silenceWait)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("an answer that begins %x", b[:min(len(b), 6)])
}

// header is a request header of version 1, or 2 when flexible.
func header(key, version int16, flexible bool) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, correlation)
	b = binary.BigEndian.AppendUint16(b, 4)
	b = append(b, "wire"...)
	if flexible {
		b = append(b, 0)
	}
	return b
}

func framed(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// good is a whole, valid frame of an ApiVersions or Metadata request.
func (l *lab) good(key kmsg.Key, version int16) []byte {
	req := key.Request()
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire")).AppendRequest(nil, req, correlation)
}

func frameCases() []errorCase {
	cs := []errorCase{
		{"frame of length 0", func(l *lab) string { return l.raw([]byte{0, 0, 0, 0}) }},
		{"frame of negative length", func(l *lab) string { return l.raw([]byte{0xff, 0xff, 0xff, 0xff, 0, 0}) }},
		{"frame of 2 GiB", func(l *lab) string { return l.raw([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0}) }},
		{"frame one byte above socket.request.max.bytes", func(l *lab) string { return l.raw(binary.BigEndian.AppendUint32(nil, 104857601)) }},
		{"text of another protocol", func(l *lab) string { return l.raw([]byte("GET / HTTP/1.1\r\nHost: kafka\r\n\r\n")) }},
		{"frame of 3 bytes", func(l *lab) string { return l.raw(framed([]byte{0, 18, 0})) }},
		{"header without a body", func(l *lab) string { return l.raw(framed(header(3, 5, false))) }},
		{"body cut in the middle", func(l *lab) string {
			f := l.good(kmsg.Metadata, 5)
			return l.raw(framed(f[4 : len(f)-2]))
		}},
		{"bytes after the body", func(l *lab) string {
			f := l.good(kmsg.Metadata, 5)
			return l.raw(framed(f[4:], []byte{1, 2, 3}))
		}},
		{"bytes after a flexible body", func(l *lab) string {
			f := l.good(kmsg.Metadata, 12)
			return l.raw(framed(f[4:], []byte{1, 2, 3}))
		}},
		{"array of 2^31-1 elements", func(l *lab) string {
			return l.raw(framed(header(3, 5, false), []byte{0x7f, 0xff, 0xff, 0xff}))
		}},
		{"array of negative length", func(l *lab) string {
			return l.raw(framed(header(3, 5, false), []byte{0xff, 0xff, 0xff, 0xf0, 1}))
		}},
		{"string longer than the frame", func(l *lab) string {
			return l.raw(framed(header(3, 5, false), []byte{0, 0, 0, 1, 0x7f, 0xff, 'a', 1}))
		}},
		{"string of negative length", func(l *lab) string {
			return l.raw(framed(header(3, 5, false), []byte{0, 0, 0, 1, 0xff, 0xf0, 1}))
		}},
		{"unknown API 200", func(l *lab) string { return l.raw(framed(header(200, 0, false))) }},
		{"negative API", func(l *lab) string { return l.raw(framed(header(-1, 0, false))) }},
		{"removed API 4 (LeaderAndIsr)", func(l *lab) string { return l.raw(framed(header(4, 1, false), make([]byte, 30))) }},
		{"controller API 52 (Vote) on a broker listener", func(l *lab) string { return l.raw(framed(header(52, 0, true), make([]byte, 30))) }},
		{"Metadata at version 99", func(l *lab) string { return l.raw(framed(header(3, 99, true), make([]byte, 30))) }},
		{"Metadata at version -1", func(l *lab) string { return l.raw(framed(header(3, -1, false), make([]byte, 30))) }},
		{"Fetch at version 3", func(l *lab) string { return l.raw(framed(header(1, 3, false), make([]byte, 30))) }},
		{"null client id", func(l *lab) string {
			return l.raw(framed([]byte{0, 3, 0, 5}, []byte("Mold"), []byte{0xff, 0xff}, []byte{0, 0, 0, 0, 0}))
		}},
		{"unknown tags in header and body", func(l *lab) string {
			// Metadata v12: no topics, no creation, no authorized operations, and tag 77 of two bytes, twice.
			return l.raw(framed(header(3, 12, false), []byte{1, 77, 2, 'h', 'i'}, []byte{1, 0, 0, 1, 77, 2, 'h', 'i'}))
		}},
		{"ApiVersions at version 99 is answered as version 0", func(l *lab) string {
			c, err := dial(l.addr)
			if err != nil {
				return err.Error()
			}
			defer c.close()
			if err := c.write(framed(header(18, 99, true), make([]byte, 6))); err != nil {
				return err.Error()
			}
			b, err := c.readFrame(answerTimeout)
			if err != nil {
				return err.Error()
			}
			v0 := kmsg.NewPtrApiVersionsRequest()
			resp, err := decode(b, v0)
			if err != nil {
				return err.Error()
			}
			// What is then usable: the error tells the client to ask again at the range it finds.
			r := resp.(*kmsg.ApiVersionsResponse)
			for _, k := range r.ApiKeys {
				if k.ApiKey == apiVersionsKey {
					return fmt.Sprintf("error %d, ApiVersions is there", r.ErrorCode)
				}
			}
			return fmt.Sprintf("error %d, %d keys", r.ErrorCode, len(r.ApiKeys))
		}},
		{"ApiVersions twice on one connection", func(l *lab) string {
			return l.conversation(l.good(kmsg.ApiVersions, 3), l.good(kmsg.ApiVersions, 0))
		}},
		{"20 requests in one write are answered in order", func(l *lab) string {
			var reqs []kmsg.Request
			for i := range 20 {
				reqs = append(reqs, kmsg.Key(3+15*(i%2)).Request()) // Metadata and ApiVersions in turn
			}
			return l.order(reqs...)
		}},
		{"an answer waits for the long poll before it", func(l *lab) string {
			fetch := l.mustBuild(kmsg.Fetch, 12, `{"ReplicaID":-1,"MaxWaitMillis":400,"MinBytes":1000000,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":1,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`)
			return l.order(fetch, kmsg.NewPtrApiVersionsRequest())
		}},
		{"a frame that arrives byte by byte", func(l *lab) string {
			c, err := dial(l.addr)
			if err != nil {
				return err.Error()
			}
			defer c.close()
			for _, b := range l.good(kmsg.ApiVersions, 0) {
				if err := c.write([]byte{b}); err != nil {
					return err.Error()
				}
				time.Sleep(time.Millisecond)
			}
			if _, err := c.readFrame(answerTimeout); err != nil {
				return err.Error()
			}
			return "answered"
		}},
	}
	for v := range int16(3) {
		cs = append(cs, errorCase{fmt.Sprintf("Produce at version %d", v), func(l *lab) string {
			return l.raw(framed(header(0, v, false), []byte{0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 0}))
		}})
	}
	return cs
}

func (l *lab) conversation(frames ...[]byte) string {
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	var said []string
	for _, f := range frames {
		if err := c.write(f); err != nil {
			return strings.Join(append(said, err.Error()), ", ")
		}
		if _, err := c.readFrame(answerTimeout); err != nil {
			return strings.Join(append(said, err.Error()), ", ")
		}
		said = append(said, "answered")
	}
	return strings.Join(said, ", ")
}

// order writes all requests at once, with correlation ids 0, 1, ..., and tells whether the answers keep the order.
func (l *lab) order(reqs ...kmsg.Request) string {
	var frames []byte
	for i, req := range reqs {
		frames = append(frames, kmsg.NewRequestFormatter().AppendRequest(nil, req, int32(i))...)
	}
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	if err := c.write(frames); err != nil {
		return err.Error()
	}
	for i := range reqs {
		b, err := c.readFrame(answerTimeout)
		if err != nil {
			return fmt.Sprintf("answer %d: %v", i, err)
		}
		if got := binary.BigEndian.Uint32(b); got != uint32(i) {
			return fmt.Sprintf("answer %d is the one to request %d", i, got)
		}
	}
	return "in order"
}

func (l *lab) mustBuild(key kmsg.Key, version int16, body string) kmsg.Request {
	req, err := l.build(key, version, body)
	if err != nil {
		panic(err) // a wrong literal in this package; its test builds them all
	}
	return req
}

// produce sends records to partition 0 of a topic at a version.
func (l *lab) produce(topic string, version, acks int16, records []byte) string {
	return outcome(ask(l.addr, l.produceRequest(topic, version, acks, records)))
}

func (l *lab) produceRequest(topic string, version, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: l.ids[topic], Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return req
}

func produceCases() []errorCase {
	const to = "wire-produce"
	send := func(make func() []byte) func(*lab) string {
		return func(l *lab) string { return l.produce(to, 9, -1, make()) }
	}
	with := func(change func(b *batch)) func(*lab) string {
		return send(func() []byte {
			b := newBatch()
			change(b)
			return b.bytes()
		})
	}
	const day = 24 * 3600 * 1000
	return []errorCase{
		{"produce: acks 2", func(l *lab) string { return l.produce(to, 9, 2, newBatch().bytes()) }},
		{"produce: acks 0, good batch", func(l *lab) string { return l.acksZero(newBatch().bytes()) }},
		{"produce: acks 0, unknown partition", func(l *lab) string {
			req := l.produceRequest(to, 9, 0, newBatch().bytes())
			req.Topics[0].Partitions[0].Partition = 44
			return l.raw(l.frameOf(req))
		}},
		{"produce: unknown partition", func(l *lab) string {
			req := l.produceRequest(to, 9, -1, newBatch().bytes())
			req.Topics[0].Partitions[0].Partition = 44
			return outcome(ask(l.addr, req))
		}},
		{"produce: null records", func(l *lab) string { return l.raw(l.frameOf(l.produceRequest(to, 9, -1, nil))) }},
		{"produce: empty records", func(l *lab) string { return l.produce(to, 9, -1, []byte{}) }},
		{"produce: garbage for records", send(func() []byte { return bytes.Repeat([]byte{0xab}, 200) })},
		{"produce: wrong CRC", with(func(b *batch) { b.badCRC = true })},
		{"produce: magic 1", with(func(b *batch) { b.Magic = 1 })},
		{"produce: magic 3", with(func(b *batch) { b.Magic = 3 })},
		{"produce: an old message set (magic 0)", send(func() []byte {
			body := []byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'v'}
			set := binary.BigEndian.AppendUint64(nil, 0)
			set = binary.BigEndian.AppendUint32(set, uint32(len(body)+4))
			return append(append(set, 0, 0, 0, 0), body...)
		})},
		{"produce: batch cut short", with(func(b *batch) { b.shortBy = 3 })},
		{"produce: bytes after the batch", with(func(b *batch) { b.afterLen = []byte{1, 2, 3} })},
		{"produce: two batches for a partition", send(func() []byte { return append(newBatch().bytes(), newBatch().bytes()...) })},
		{"produce: count says 5, one record is there", with(func(b *batch) { b.claim = 5 })},
		{"produce: count says 0, one record is there", with(func(b *batch) { b.claim = 0 })},
		{"produce: last offset delta disagrees", with(func(b *batch) { b.LastOffsetDelta = 7 })},
		{"produce: base offset is not 0", with(func(b *batch) { b.FirstOffset = 77 })},
		{"produce: offset deltas with a hole", with(func(b *batch) { b.of(3); b.records[2].OffsetDelta = 9 })},
		{"produce: control batch", with(func(b *batch) { b.Attributes = 1 << 5 })},
		{"produce: transactional batch without a transactional id", with(func(b *batch) { b.Attributes = 1 << 4; b.from(999999, 0, 0) })},
		{"produce: client sets LogAppendTime", with(func(b *batch) { b.Attributes = 1 << 3 })},
		{"produce: unknown codec 7", with(func(b *batch) { b.Attributes = 7 })},
		{"produce: codec gzip, records are not", with(func(b *batch) { b.Attributes = 1 })},
		{"produce: codec gzip", with(func(b *batch) { b.of(5).codec = 1 })},
		{"produce: zstd at version 6", func(l *lab) string {
			b := newBatch()
			b.codec = 4
			return l.produce(to, 6, -1, b.bytes())
		}},
		{"produce: zstd at version 7", func(l *lab) string {
			b := newBatch()
			b.codec = 4
			return l.produce(to, 7, -1, b.bytes())
		}},
		{"produce: two days ahead of time", with(func(b *batch) { b.FirstTimestamp += 2 * day; b.MaxTimestamp += 2 * day })},
		{"produce: ten years old", with(func(b *batch) { b.FirstTimestamp -= 3650 * day; b.MaxTimestamp -= 3650 * day })},
		{"produce: negative timestamp", with(func(b *batch) { b.FirstTimestamp, b.MaxTimestamp = -5, -5 })},
		{"produce: max timestamp below the records'", with(func(b *batch) { b.MaxTimestamp -= day })},
		{"produce: above max.message.bytes", with(func(b *batch) { b.records[0].Value = bytes.Repeat([]byte("x"), 1<<20+100) })},
		{"produce: no key to a compacted topic", func(l *lab) string {
			b := newBatch()
			b.records[0].Key = nil
			return l.produce(compacted, 9, -1, b.bytes())
		}},
		{"produce: second record without key to a compacted topic", func(l *lab) string {
			b := newBatch().of(3)
			b.records[1].Key = nil
			return l.produce(compacted, 9, -1, b.bytes())
		}},
		{"produce: one partition twice in a request", func(l *lab) string {
			req := l.produceRequest(to, 9, -1, newBatch().bytes())
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
			return outcome(ask(l.addr, req))
		}},
		{"produce: one good and one unknown topic", func(l *lab) string {
			req := l.produceRequest(to, 9, -1, newBatch().bytes())
			req.Topics = append(req.Topics, l.produceRequest(unknown, 9, -1, newBatch().bytes()).Topics...)
			return outcome(ask(l.addr, req))
		}},
		{"produce: refused batches left the log as it was", func(l *lab) string {
			before := l.endOffset(to)
			b := newBatch()
			b.badCRC = true
			l.produce(to, 9, -1, b.bytes())
			return fmt.Sprintf("end offset moved by %d", l.endOffset(to)-before)
		}},
	}
}

func (l *lab) frameOf(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire")).AppendRequest(nil, req, correlation)
}

// acksZero must give no answer at all; the next answer is to the next request.
func (l *lab) acksZero(records []byte) string {
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	before := l.endOffset("wire-produce")
	if err := c.write(l.frameOf(l.produceRequest("wire-produce", 9, 0, records))); err != nil {
		return err.Error()
	}
	if _, err := c.ask(kmsg.NewPtrApiVersionsRequest()); err != nil {
		return "the next request: " + err.Error()
	}
	return fmt.Sprintf("no answer, the next request is answered, end offset moved by %d", l.endOffset("wire-produce")-before)
}

func (l *lab) endOffset(topic string) int64 {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 5, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
	resp, err := ask(l.addr, req)
	if err != nil {
		return -1
	}
	return resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
}

func idempotenceCases() []errorCase {
	const to = "wire-produce"
	// each story starts with a producer id of its own
	story := func(tell func(send func(epoch int16, sequence int32, records int) string) string) func(*lab) string {
		return func(l *lab) string {
			resp, err := ask(l.addr, l.mustBuild(kmsg.InitProducerID, 2, `{"TransactionTimeoutMillis":60000}`))
			if err != nil {
				return err.Error()
			}
			id := resp.(*kmsg.InitProducerIDResponse).ProducerID
			base := l.endOffset(to)
			return tell(func(epoch int16, sequence int32, records int) string {
				r, err := ask(l.addr, l.produceRequest(to, 9, -1, newBatch().of(records).from(id, epoch, sequence).bytes()))
				if err != nil {
					return err.Error()
				}
				p := r.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
				if p.ErrorCode != 0 {
					return fmt.Sprintf("error %d", p.ErrorCode)
				}
				return fmt.Sprintf("offset +%d", p.BaseOffset-base)
			})
		}
	}
	type send = func(int16, int32, int) string
	join := func(parts ...string) string { return strings.Join(parts, ", ") }
	return []errorCase{
		{"idempotence: in sequence", story(func(s send) string { return join(s(0, 0, 3), s(0, 3, 2), s(0, 5, 1)) })},
		{"idempotence: the last batch again", story(func(s send) string { return join(s(0, 0, 3), s(0, 3, 2), s(0, 3, 2)) })},
		{"idempotence: the fifth last batch again", story(func(s send) string {
			return join(s(0, 0, 1), s(0, 1, 1), s(0, 2, 1), s(0, 3, 1), s(0, 4, 1), s(0, 0, 1))
		})},
		{"idempotence: the sixth last batch again", story(func(s send) string {
			return join(s(0, 0, 1), s(0, 1, 1), s(0, 2, 1), s(0, 3, 1), s(0, 4, 1), s(0, 5, 1), s(0, 0, 1))
		})},
		{"idempotence: a gap", story(func(s send) string { return join(s(0, 0, 3), s(0, 4, 1), s(0, 3, 1)) })},
		{"idempotence: first sequence is not 0", story(func(s send) string { return join(s(0, 7, 1)) })},
		{"idempotence: overlapping an old batch", story(func(s send) string { return join(s(0, 0, 3), s(0, 1, 3)) })},
		{"idempotence: newer epoch from 0", story(func(s send) string { return join(s(0, 0, 3), s(1, 0, 1)) })},
		{"idempotence: newer epoch not from 0", story(func(s send) string { return join(s(0, 0, 3), s(1, 3, 1)) })},
		{"idempotence: older epoch", story(func(s send) string { return join(s(1, 0, 1), s(0, 1, 1)) })},
	}
}

func groupCases() []errorCase {
	var cs []errorCase
	// A whole life at each version of JoinGroup, on one connection.
	for v := range int16(10) {
		cs = append(cs, errorCase{fmt.Sprintf("group: a life at JoinGroup v%d", v), func(l *lab) string { return l.groupLife(v) }})
	}
	cs = append(cs,
		errorCase{"group: another protocol type", func(l *lab) string {
			g, leave := l.member("wire-types", "consumer", "range", 5)
			defer leave()
			return g + " " + l.joinOnce("wire-types", "connect", "range", 5)
		}},
		errorCase{"group: no common protocol", func(l *lab) string {
			g, leave := l.member("wire-protocols", "consumer", "range", 5)
			defer leave()
			return g + " " + l.joinOnce("wire-protocols", "consumer", "sticky", 5)
		}},
		errorCase{"group: deleting one that has members", func(l *lab) string {
			g, leave := l.member("wire-busy", "consumer", "range", 5)
			defer leave()
			return g + " " + outcome(ask(l.addr, l.mustBuild(kmsg.DeleteGroups, 1, `{"Groups":["wire-busy"]}`)))
		}},
		errorCase{"group: committing from outside while it has members", func(l *lab) string {
			g, leave := l.member("wire-outside", "consumer", "range", 5)
			defer leave()
			return g + " " + outcome(ask(l.addr, l.mustBuild(kmsg.OffsetCommit, 7, `{"Group":"wire-outside","Generation":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":1,"LeaderEpoch":-1}]}]}`)))
		}},
		errorCase{"group: metadata above offset.metadata.max.bytes", func(l *lab) string {
			return outcome(ask(l.addr, l.mustBuild(kmsg.OffsetCommit, 7, `{"Group":"wire-simple","Generation":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":1,"LeaderEpoch":-1,"Metadata":"`+strings.Repeat("m", 4097)+`"}]}]}`)))
		}},
		errorCase{"group: deleted, then unknown", func(l *lab) string {
			ask(l.addr, l.mustBuild(kmsg.OffsetCommit, 7, `{"Group":"wire-short","Generation":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":1,"LeaderEpoch":-1}]}]}`))
			del := l.mustBuild(kmsg.DeleteGroups, 1, `{"Groups":["wire-short"]}`)
			return outcome(ask(l.addr, del)) + " " + outcome(ask(l.addr, del))
		}},
		errorCase{"group: an offset deleted", func(l *lab) string {
			ask(l.addr, l.mustBuild(kmsg.OffsetCommit, 7, `{"Group":"wire-offdel","Generation":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":1,"LeaderEpoch":-1}]}]}`))
			del := outcome(ask(l.addr, l.mustBuild(kmsg.OffsetDelete, 0, `{"Group":"wire-offdel","Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0},{"Partition":9}]}]}`)))
			return del + " " + outcome(ask(l.addr, l.mustBuild(kmsg.OffsetFetch, 5, `{"Group":"wire-offdel","Topics":[{"Topic":"wire-topic","Partitions":[0]}]}`)))
		}},
		errorCase{"group: static member comes back", func(l *lab) string { return l.staticReturn() }},
	)
	return cs
}

// member joins and syncs a group as its only member. leave takes it out again.
func (l *lab) member(group, protocolType, protocol string, version int16) (said string, leave func()) {
	id, generation, said := l.join(group, protocolType, protocol, version)
	if id == "" {
		return said, func() {}
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = 3, group, generation, id
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: id, MemberAssignment: []byte("all")}}
	said += " " + outcome(ask(l.addr, sync))
	return said, func() {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group, req.MemberID = 1, group, id
		_, _ = ask(l.addr, req)
	}
}

func joinRequest(group, protocolType, protocol string, version int16) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.ProtocolType = version, group, protocolType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10000, 10000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: protocol, Metadata: []byte("meta")}}
	return req
}

// joinOnce sends one JoinGroup and renders its answer.
func (l *lab) joinOnce(group, protocolType, protocol string, version int16) string {
	return outcome(ask(l.addr, joinRequest(group, protocolType, protocol, version)))
}

// join joins, again with the id it is given when the broker wants that.
func (l *lab) join(group, protocolType, protocol string, version int16) (id string, generation int32, said string) {
	req := joinRequest(group, protocolType, protocol, version)
	resp, err := ask(l.addr, req)
	said = outcome(resp, err)
	if err != nil {
		return "", 0, said
	}
	r := resp.(*kmsg.JoinGroupResponse)
	if r.ErrorCode == memberIDRequired {
		req.MemberID = r.MemberID
		resp, err = ask(l.addr, req)
		said += " " + outcome(resp, err)
		if err != nil {
			return "", 0, said
		}
		r = resp.(*kmsg.JoinGroupResponse)
	}
	if r.ErrorCode != 0 {
		return "", 0, said
	}
	return r.MemberID, r.Generation, said
}

// memberIDRequired is Kafka's code that sends a client back with the id it got.
const memberIDRequired = 79

// groupLife joins, syncs, heartbeats, commits and leaves, with mistakes in between.
func (l *lab) groupLife(v int16) string {
	group := fmt.Sprintf("wire-life-%d", v)
	id, generation, said := l.join(group, "consumer", "range", v)
	if id == "" {
		return said
	}
	story := []string{said}
	say := func(what string, req kmsg.Request) {
		story = append(story, what+" "+outcome(ask(l.addr, req)))
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = min(v, 5), group, generation, id
	kind, protocol := "consumer", "range"
	sync.ProtocolType, sync.Protocol = &kind, &protocol
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: id, MemberAssignment: []byte("all of it")}}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version, beat.Group, beat.Generation, beat.MemberID = min(v, 4), group, generation, id
	say("heartbeat before sync", beat)
	say("sync", sync)
	say("heartbeat", beat)
	wrong := *beat
	wrong.Generation++
	say("heartbeat of a wrong generation", &wrong)
	wrong = *beat
	wrong.MemberID = "nobody"
	say("heartbeat of nobody", &wrong)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, commit.Group, commit.Generation, commit.MemberID = 2+min(v, 7), group, generation, id
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 4, LeaderEpoch: -1}}}}
	say("commit", commit)
	late := *commit
	late.Generation--
	say("commit of an old generation", &late)
	desc := kmsg.NewPtrDescribeGroupsRequest()
	desc.Version, desc.Groups = min(v, 5), []string{group}
	say("describe", desc)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = min(v, 5), group, id
	leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: id}}
	say("leave", leave)
	say("heartbeat after leaving", beat)
	say("describe", desc)
	return strings.Join(story, "; ")
}

// staticReturn: the same instance joins again without its member id, which must
// keep the generation and fence the old id.
func (l *lab) staticReturn() string {
	instance := "wire-instance"
	join := func() (*kmsg.JoinGroupResponse, error) {
		req := joinRequest("wire-static", "consumer", "range", 7)
		req.InstanceID = &instance
		resp, err := ask(l.addr, req)
		if err != nil {
			return nil, err
		}
		return resp.(*kmsg.JoinGroupResponse), nil
	}
	first, err := join()
	if err != nil {
		return err.Error()
	}
	if first.ErrorCode != 0 {
		return render(first)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID, sync.InstanceID = 3, "wire-static", first.Generation, first.MemberID, &instance
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: first.MemberID, MemberAssignment: []byte("all")}}
	synced := outcome(ask(l.addr, sync))
	again, err := join()
	if err != nil {
		return err.Error()
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version, beat.Group, beat.Generation, beat.MemberID, beat.InstanceID = 3, "wire-static", first.Generation, first.MemberID, &instance
	old := outcome(ask(l.addr, beat))
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group = 3, "wire-static"
	leave.Members = []kmsg.LeaveGroupRequestMember{{InstanceID: &instance}}
	left := outcome(ask(l.addr, leave))
	return fmt.Sprintf("sync %s; again: error %d, generation moved by %d, a new member id: %t, %d members shown; old id %s; leave %s", synced, again.ErrorCode,
		again.Generation-first.Generation, again.MemberID != first.MemberID, len(again.Members), old, left)
}

func topicCases() []errorCase {
	return []errorCase{
		{"topics: create, exists, delete, gone", func(l *lab) string {
			create := l.mustBuild(kmsg.CreateTopics, 5, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-brief","NumPartitions":2,"ReplicationFactor":1}]}`)
			del := l.mustBuild(kmsg.DeleteTopics, 5, `{"TimeoutMillis":5000,"TopicNames":["wire-brief"]}`)
			first := ask2(l, create)
			return first + " " + ask2(l, create) + " " + ask2(l, del) + " " + ask2(l, del)
		}},
		{"topics: configs of an unknown resource type", func(l *lab) string {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.Version = 4
			req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 99, ResourceName: "x"}}
			return ask2(l, req)
		}},
		{"topics: created by Metadata", func(l *lab) string {
			req := l.mustBuild(kmsg.Metadata, 8, `{"Topics":[{"Topic":"wire-auto"}],"AllowAutoTopicCreation":true}`)
			defer ask(l.addr, l.mustBuild(kmsg.DeleteTopics, 5, `{"TimeoutMillis":5000,"TopicNames":["wire-auto"]}`))
			for range 100 {
				resp, err := ask(l.addr, req)
				if err != nil {
					return err.Error()
				}
				t := resp.(*kmsg.MetadataResponse).Topics[0]
				if t.ErrorCode == 0 && len(t.Partitions) > 0 && t.Partitions[0].Leader >= 0 {
					return fmt.Sprintf("appears with %d partitions", len(t.Partitions))
				}
				if !retriable(t.ErrorCode) && t.ErrorCode != 0 {
					return fmt.Sprintf("error %d", t.ErrorCode)
				}
				time.Sleep(20 * time.Millisecond)
			}
			return "never appears"
		}},
		{"topics: a recreated topic is not the old one", func(l *lab) string {
			create := l.mustBuild(kmsg.CreateTopics, 7, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-again","NumPartitions":1,"ReplicationFactor":1}]}`)
			del := l.mustBuild(kmsg.DeleteTopics, 5, `{"TimeoutMillis":5000,"TopicNames":["wire-again"]}`)
			id := func() [16]byte {
				resp, err := ask(l.addr, create)
				if err != nil || len(resp.(*kmsg.CreateTopicsResponse).Topics) == 0 {
					return [16]byte{}
				}
				return resp.(*kmsg.CreateTopicsResponse).Topics[0].TopicID
			}
			old := id()
			ask2(l, del)
			fresh := id()
			defer ask(l.addr, del)
			l.ids["wire-again"] = old
			time.Sleep(200 * time.Millisecond) // the new leader
			return fmt.Sprintf("new id: %t; produce to the old id: %s", old != fresh && fresh != [16]byte{}, l.produce("wire-again", 13, -1, newBatch().bytes()))
		}},
	}
}

// retriable are Metadata's codes for a topic that is on its way.
func retriable(code int16) bool { return code == 3 || code == 5 }

func ask2(l *lab, req kmsg.Request) string { return outcome(ask(l.addr, req)) }

func fetchCases() []errorCase {
	fetch := func(body string) func(*lab) string {
		return func(l *lab) string { return outcome(ask(l.addr, l.mustBuild(kmsg.Fetch, 11, body))) }
	}
	return []errorCase{
		{"fetch: max bytes 1 still gives a batch", func(l *lab) string {
			resp, err := ask(l.addr, l.mustBuild(kmsg.Fetch, 11, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1}]}]}`))
			if err != nil {
				return err.Error()
			}
			b := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
			if len(b) < headerBytes {
				return fmt.Sprintf("%d bytes", len(b))
			}
			whole := int(binary.BigEndian.Uint32(b[8:])) + lengthEnd
			return fmt.Sprintf("a whole batch: %t", len(b) >= whole)
		}},
		{"fetch: waits when there is nothing, then answers", func(l *lab) string {
			start := time.Now()
			_, err := ask(l.addr, l.mustBuild(kmsg.Fetch, 11, `{"ReplicaID":-1,"MaxWaitMillis":300,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":1,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`))
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("waited: %t", time.Since(start) >= 290*time.Millisecond)
		}},
		{"fetch: min bytes 0 does not wait", func(l *lab) string {
			start := time.Now()
			_, err := ask(l.addr, l.mustBuild(kmsg.Fetch, 11, `{"ReplicaID":-1,"MaxWaitMillis":9000,"MinBytes":0,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":1,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`))
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("waited: %t", time.Since(start) > 5*time.Second)
		}},
		{"fetch: a produce wakes a waiting fetch", func(l *lab) string { return l.wakes() }},
		{"fetch: negative offset", fetch(`{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"FetchOffset":-5,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`)},
		{"fetch: at the end", fetch(`{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"FetchOffset":5,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`)},
		{"fetch: session, incremental, wrong epoch", func(l *lab) string { return l.session() }},
	}
}

// wakes parks a fetch that could wait 20 s and produces: the answer must come at once.
func (l *lab) wakes() string {
	const to = "wire-txn-topic"
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	req := l.mustBuild(kmsg.Fetch, 11, fmt.Sprintf(`{"ReplicaID":-1,"MaxWaitMillis":20000,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":%q,"Partitions":[{"Partition":0,"FetchOffset":%d,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`, to, l.endOffset(to)))
	if err := c.write(c.frame(req)); err != nil {
		return err.Error()
	}
	time.Sleep(100 * time.Millisecond)
	if said := l.produce(to, 9, 1, newBatch().bytes()); strings.Contains(said, "ErrorCode") {
		return said
	}
	b, err := c.readFrame(5 * time.Second)
	if err != nil {
		return err.Error()
	}
	resp, err := decode(b, req)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("records: %t", len(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches) > 0)
}

// session opens a fetch session and uses it rightly and wrongly.
func (l *lab) session() string {
	c, err := dial(l.addr)
	if err != nil {
		return err.Error()
	}
	defer c.close()
	open := l.mustBuild(kmsg.Fetch, 11, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":0,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576},{"Partition":1,"CurrentLeaderEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`)
	resp, err := c.ask(open)
	if err != nil {
		return err.Error()
	}
	r := resp.(*kmsg.FetchResponse)
	if r.SessionID == 0 {
		return "no session was made"
	}
	id := r.SessionID
	story := []string{fmt.Sprintf("%d partitions", countPartitions(r))}
	next := func(epoch int32, change func(*kmsg.FetchRequest)) {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, -1, 50, 1, 1<<20
		req.SessionID, req.SessionEpoch = id, epoch
		if change != nil {
			change(req)
		}
		resp, err := c.ask(req)
		if err != nil {
			story = append(story, err.Error())
			return
		}
		r := resp.(*kmsg.FetchResponse)
		story = append(story, fmt.Sprintf("error %d, same session: %t, %d partitions", r.ErrorCode, r.SessionID == id, countPartitions(r)))
	}
	next(1, nil)
	next(2, func(r *kmsg.FetchRequest) {
		r.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{{FetchOffset: 5, CurrentLeaderEpoch: -1, LogStartOffset: -1, PartitionMaxBytes: 1 << 20}}}}
	})
	next(3, nil)
	next(9, nil)
	next(4, func(r *kmsg.FetchRequest) {
		r.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: topic, Partitions: []int32{0, 1}}}
	})
	next(-1, nil)
	next(5, nil)
	return strings.Join(story, "; ")
}

func countPartitions(r *kmsg.FetchResponse) int {
	n := 0
	for _, t := range r.Topics {
		n += len(t.Partitions)
	}
	return n
}
