package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everything is a table of all that Kafka serves on a kind of listener.
func everything(t testing.TB, l Listener) *Table {
	t.Helper()
	table, err := NewTable(l, KafkaRanges(l))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// eachVersion runs f for every API and version of both kinds of listener.
func eachVersion(t *testing.T, f func(t *testing.T, v *Version)) {
	t.Helper()
	seen := map[int16]bool{}
	for _, kind := range []Listener{Broker, Controller} {
		table := everything(t, kind)
		for _, r := range table.Ranges() {
			for version := r.Min; version <= r.Max && !seen[r.Key]; version++ {
				v, err := table.Lookup(r.Key, version)
				if err != nil {
					t.Fatal(err)
				}
				f(t, v)
			}
			seen[r.Key] = true
		}
	}
	if len(seen) != 89 {
		t.Fatalf("%d APIs seen, Kafka 4.3 has 89", len(seen))
	}
}

func TestSchemasAgreeWithKmsg(t *testing.T) {
	eachVersion(t, func(t *testing.T, v *Version) {
		req := kmsg.RequestForKey(v.Key)
		if req == nil || req.MaxVersion() < v.Version {
			t.Fatalf("kmsg does not know %s v%d", v.Name, v.Version)
		}
		req.SetVersion(v.Version)
		if req.IsFlexible() != v.Flexible {
			t.Errorf("%s v%d: flexible %v, kmsg says %v", v.Name, v.Version, v.Flexible, req.IsFlexible())
		}
	})
}

func TestRandomRequestsComeBackAsTheyWere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	eachVersion(t, func(t *testing.T, v *Version) {
		for i := range 60 {
			f := filler{rng: rng, tags: i%2 == 1}
			body := f.request(v.Key, v.Version).AppendTo(nil)
			frozen := bytes.Clone(body)
			got, err := v.Decode(body)
			if err != nil {
				t.Fatalf("%v\n%x", err, body)
			}
			for i := range body { // what is decoded owns its memory
				body[i] = 0xff
			}
			if again := got.AppendTo(nil); !bytes.Equal(again, frozen) {
				t.Fatalf("%s v%d:\n%x came back as\n%x", v.Name, v.Version, frozen, again)
			}
			if got.Key() != v.Key || got.GetVersion() != v.Version {
				t.Fatalf("%s v%d decoded as API %d v%d", v.Name, v.Version, got.Key(), got.GetVersion())
			}
		}
	})
}

func TestEveryCutAndEveryTailIsRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	eachVersion(t, func(t *testing.T, v *Version) {
		f := filler{rng: rng, tags: true}
		body := f.request(v.Key, v.Version).AppendTo(nil)
		for n := range body {
			if err := v.Check(body[:n:n]); !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s v%d cut to %d of %d bytes: %v", v.Name, v.Version, n, len(body), err)
			}
		}
		tail := append(bytes.Clone(body), 0)
		if v.mayTrail() {
			return
		}
		if err := v.Check(tail); !errors.Is(err, ErrTrailingBytes) {
			t.Fatalf("%s v%d with a byte behind it: %v", v.Name, v.Version, err)
		}
	})
}

func TestLibrdkafkasQuestionForAllTopicsIsUnderstood(t *testing.T) {
	// Null topics in four bytes, then allow_auto_topic_creation, include_topic_authorized_operations and no tags.
	body := []byte{0, 0, 0, 0, 1, 0, 0}
	eachVersion(t, func(t *testing.T, v *Version) {
		if !v.mayTrail() || v.Version < 11 {
			return
		}
		req, err := v.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if m := req.(*kmsg.MetadataRequest); m.Topics != nil || m.AllowAutoTopicCreation || m.IncludeTopicAuthorizedOperations {
			t.Errorf("understood as %+v", m)
		}
	})
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// maxAllocated bounds what decoding may allocate: the worst is an element of three bytes, one unknown tag, that
// makes kmsg a struct and a map.
func maxAllocated(bodyBytes int) uint64 { return 8<<10 + 160*uint64(bodyBytes) }

func TestDamagedRequestsNeverPanicOrCostMuchMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	eachVersion(t, func(t *testing.T, v *Version) {
		for range 40 {
			f := filler{rng: rng, tags: true}
			body := f.request(v.Key, v.Version).AppendTo(nil)
			for range 1 + rng.IntN(3) {
				if len(body) > 0 {
					body[rng.IntN(len(body))] = [...]byte{0, 1, 0x7f, 0x80, 0xff, byte(rng.Uint32())}[rng.IntN(6)]
				}
			}
			decodeBounded(t, v, body)
		}
	})
}

// decodeBounded decodes any bytes and checks the promises: no panic, bounded memory, and what is accepted is whole.
func decodeBounded(t *testing.T, v *Version, body []byte) {
	t.Helper()
	var req kmsg.Request
	var err error
	used := allocated(func() { req, err = v.Decode(body) })
	if used > maxAllocated(len(body)) {
		t.Fatalf("%s v%d: %d bytes allocated for a body of %d: %x", v.Name, v.Version, used, len(body), body)
	}
	if (req == nil) != (err != nil) {
		t.Fatalf("%s v%d: %v and %v", v.Name, v.Version, req, err)
	}
	if v.Key == int16(kmsg.Produce) {
		if other := v.DecodeProduce(body, new(kmsg.ProduceRequest)); (other == nil) != (err == nil) {
			t.Fatalf("Produce v%d: kmsg's reading says %v, ours %v", v.Version, err, other)
		}
	}
	if err == nil {
		if _, again := v.Decode(req.AppendTo(nil)); again != nil {
			t.Fatalf("%s v%d is accepted, and refused when written again: %v", v.Name, v.Version, again)
		}
	}
}

func TestBombsAreRefusedBeforeTheyCost(t *testing.T) {
	table := everything(t, Broker)
	zeros := make([]byte, 1<<20)
	i32 := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name         string
		key, version int16
		body         []byte
		want         error
	}{
		{"Metadata claims 2^31-1 topics", 3, 1, i32(math.MaxInt32), ErrTruncated},
		{"Metadata claims more topics than fit", 3, 1, cat(i32(1<<20), zeros), ErrTruncated},
		{"Metadata v9 claims 2^32-1 topics", 3, 9, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, ErrLength},
		{"a number of six bytes", 3, 9, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrLength},
		{"2^32-1 tagged fields", 18, 3, []byte{2, 'a', 2, 'b', 0xff, 0xff, 0xff, 0xff, 0x0f}, ErrTruncated},
		{"20,000 unknown tagged fields", 18, 3, cat([]byte{2, 'a', 2, 'b', 0xa0, 0x9c, 0x01}, zeros[:40_000]), ErrTooManyElements},
		{"a tagged field longer than the frame", 18, 3, []byte{2, 'a', 2, 'b', 1, 9, 5, 0}, ErrTruncated},
		{"2 million topics of two bytes", 3, 0, cat(i32(2<<20), make([]byte, 4<<20)), ErrTooManyElements},
		{"a null topic name", 3, 0, []byte{0, 0, 0, 1, 0xff, 0xff}, ErrNull},
		{"a null array that may not be", 3, 0, i32(-1), ErrNull},
		{"a compact string of 40,000 bytes", 18, 3, cat([]byte{0xc1, 0xb8, 0x02}, zeros[:40_000]), ErrLength},
		{"a known tagged field with a tail", 1, 12, nil, ErrTrailingBytes},
	} {
		v, err := table.Lookup(c.key, c.version)
		if err != nil {
			t.Fatal(err)
		}
		if c.body == nil {
			c.body = fetchWithLongClusterID()
		}
		used := allocated(func() { _, err = v.Decode(c.body) })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if used > 64<<10 {
			t.Errorf("%s: %d bytes allocated", c.name, used)
		}
	}
}

// fetchWithLongClusterID is a Fetch v12 whose tagged cluster id is shorter than its tag says.
func fetchWithLongClusterID() []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 12
	body := req.AppendTo(nil)
	return append(body[:len(body)-1], 1, 0, 4, 2, 'x', 0, 0)
}

func TestNullAndEmptyStayApart(t *testing.T) {
	v, _ := everything(t, Broker).Lookup(3, 9)
	for _, topics := range [][]kmsg.MetadataRequestTopic{nil, {}} {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.Topics = 9, topics
		got, err := v.Decode(req.AppendTo(nil))
		if err != nil || (got.(*kmsg.MetadataRequest).Topics == nil) != (topics == nil) {
			t.Fatalf("%v, %+v", err, got)
		}
	}
}

func TestOnlyTheRecordsOfAProduceAlias(t *testing.T) {
	v, _ := everything(t, Broker).Lookup(0, 9)
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "topic"
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = []byte("records")
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	for _, aliases := range []bool{false, true} {
		body := req.AppendTo(nil)
		p := new(kmsg.ProduceRequest)
		got, err := v.Decode(body)
		if aliases {
			err = v.DecodeProduce(body, p)
		} else if err == nil {
			p = got.(*kmsg.ProduceRequest)
		}
		if err != nil {
			t.Fatal(err)
		}
		clear(body)
		if p.Topics[0].Topic != "topic" {
			t.Fatal("a string has gone with the frame")
		}
		if gone := string(p.Topics[0].Partitions[0].Records) != "records"; gone != aliases {
			t.Fatalf("aliases %v: records %q", aliases, p.Topics[0].Partitions[0].Records)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	v, _ := everything(t, Broker).Lookup(3, 0)
	_, err := v.Decode([]byte{0, 0, 0, 2, 0, 1, 'a', 0, 9, 'b'})
	if err == nil || !strings.Contains(err.Error(), "Metadata v0") || !strings.Contains(err.Error(), "topics: element 1: name: ") {
		t.Fatal(err)
	}
}

func TestTablesServeWhatIsRegisteredAndNoMore(t *testing.T) {
	table, err := NewTable(Broker, []Range{{Key: 18, Min: 0, Max: 4}, {Key: 0, Min: 3, Max: 11}})
	if err != nil {
		t.Fatal(err)
	}
	if r := table.Ranges(); len(r) != 2 || r[0].Key != 0 || r[1].Key != 18 {
		t.Fatalf("%+v", r)
	}
	for _, c := range []struct {
		key, version int16
		want         error
	}{{0, 3, nil}, {0, 11, nil}, {0, 2, ErrUnsupportedVersion}, {0, 12, ErrUnsupportedVersion}, {0, -1, ErrUnsupportedVersion}, {18, 0, nil}, {1, 4, ErrUnknownAPI}, {-1, 0, ErrUnknownAPI}, {999, 0, ErrUnknownAPI}, {math.MaxInt16, 0, ErrUnknownAPI}, {math.MinInt16, 0, ErrUnknownAPI}} {
		if _, err := table.Lookup(c.key, c.version); !errors.Is(err, c.want) {
			t.Errorf("key %d v%d: %v, want %v", c.key, c.version, err, c.want)
		}
	}
	for _, bad := range [][]Range{
		{{Key: 0, Min: 2, Max: 11}}, {{Key: 0, Min: 3, Max: 14}}, {{Key: 0, Min: 5, Max: 4}}, {{Key: 52, Min: 0, Max: 0}}, {{Key: 7, Min: 0, Max: 0}},
		{{Key: 18, Min: 0, Max: 4}, {Key: 18, Min: 0, Max: 4}}, {{Key: 0, Min: 3, Max: 9, AdvertisedMin: 4}},
	} {
		if _, err := NewTable(Broker, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestKafkaRangesHoldThePromisesToOldClients(t *testing.T) {
	byKey := map[int16]Range{}
	for _, r := range KafkaRanges(Broker) {
		byKey[r.Key] = r
	}
	if r := byKey[0]; r.Min != 3 || r.AdvertisedMin != 0 {
		t.Errorf("Produce %+v", r)
	}
	for _, key := range []int16{10, 11, 12, 13, 14, 17, 18, 3} { // old librdkafka looks for version 0 of these
		if r := byKey[key]; r.Min != 0 || r.AdvertisedMin != 0 {
			t.Errorf("API %d %+v", key, r)
		}
	}
	if _, ok := byKey[52]; ok {
		t.Error("Vote on a broker listener")
	}
	keys := everything(t, Broker).ApiKeys()
	if k := keys[0]; len(keys) != len(byKey) || k.ApiKey != 0 || k.MinVersion != 0 || k.MaxVersion != 13 {
		t.Errorf("%d advertised, Produce as %+v", len(keys), k)
	}
	if only := everything(t, Broker).ApiVersionsOnly(); len(only) != 1 || only[0].ApiKey != 18 || only[0].MaxVersion != 4 {
		t.Errorf("%+v", only)
	}
}

func TestHeadersAreRead(t *testing.T) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 3
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("me")).AppendRequest(nil, req, 77)[LengthBytes:]
	h, body, err := ParseRequestHeader(frame, true)
	if err != nil || h.Key != 18 || h.Version != 3 || h.CorrelationID != 77 || string(h.ClientID) != "me" || !bytes.Equal(body, req.AppendTo(nil)) {
		t.Fatalf("%+v %x %v", h, body, err)
	}
	null := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)[LengthBytes:]
	if h, _, err := ParseRequestHeader(null, true); err != nil || h.ClientID != nil {
		t.Fatalf("%+v %v", h, err)
	}
	for n := range 12 {
		if _, _, err := ParseRequestHeader(frame[:n], true); !errors.Is(err, ErrTruncated) {
			t.Fatalf("a header of %d bytes: %v", n, err)
		}
	}
}

func TestResponseFrames(t *testing.T) {
	for _, c := range []struct {
		resp   kmsg.Response
		header int // bytes
	}{
		{&kmsg.ApiVersionsResponse{Version: 4}, 4}, {&kmsg.ApiVersionsResponse{Version: 0}, 4},
		{&kmsg.HeartbeatResponse{Version: 3}, 4}, {&kmsg.HeartbeatResponse{Version: 4}, 5},
	} {
		frame, err := AppendResponse([]byte("before"), 9, c.resp)
		if err != nil {
			t.Fatal(err)
		}
		frame = frame[len("before"):]
		body := c.resp.AppendTo(nil)
		if n := int(binary.BigEndian.Uint32(frame)); n != c.header+len(body) || n != len(frame)-4 || !bytes.HasSuffix(frame, body) {
			t.Errorf("%T: %x", c.resp, frame)
		}
		head, err := AppendResponseHead(nil, c.resp.Key(), c.resp.IsFlexible(), 9, int64(len(body)))
		if err != nil || !bytes.Equal(append(head, body...), frame) {
			t.Errorf("%T: %x, %v", c.resp, head, err)
		}
	}
	if _, err := AppendResponseHead(nil, 1, true, 0, math.MaxInt32); !errors.Is(err, ErrFrameSize) {
		t.Error(err)
	}
}

func TestFrameLengths(t *testing.T) {
	for _, c := range []struct {
		prefix string
		hint   string
	}{{"\x00\x00\x00\x07", ""}, {"\xff\xff\xff\xff", ""}, {"\x06\x40\x00\x01", ""}, {"GET ", "HTTP"}, {"\x16\x03\x01\x02", "TLS"}, {"SSH-", "SSH"}} {
		_, err := FrameLength([]byte(c.prefix), 100<<20)
		if !errors.Is(err, ErrFrameSize) || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%q: %v", c.prefix, err)
		}
	}
	if n, err := FrameLength([]byte{0x06, 0x40, 0, 0}, 100<<20); n != 100<<20 || err != nil {
		t.Error(n, err)
	}
}

func BenchmarkNewTable(b *testing.B) {
	for b.Loop() {
		everything(b, Broker)
	}
}

func BenchmarkWalk(b *testing.B) {
	table := everything(b, Broker)
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 9
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "topic", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 200)}}}}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version = 13
	fetch.Topics = []kmsg.FetchRequestTopic{{Partitions: make([]kmsg.FetchRequestTopicPartition, 1000)}}
	for _, c := range []struct {
		name string
		req  kmsg.Request
	}{{"produce", produce}, {"fetch 1000 partitions", fetch}} {
		v, err := table.Lookup(c.req.Key(), c.req.GetVersion())
		if err != nil {
			b.Fatal(err)
		}
		body := c.req.AppendTo(nil)
		b.Run(c.name+"/check", func(b *testing.B) {
			for b.Loop() {
				if err := v.Check(body); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
