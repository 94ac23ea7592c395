package group

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bytes that Kafka 4.3.1 wrote, read with its own dump tool.
func TestBytesOfOffsets(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    committedOffset
		want string
	}{
		{"plain", committedOffset{offset: 55, metadata: "tx", commitMs: 1, expireMs: -1}, "0004 0000000000000037 00000000 03 7478 0000000000000001 00"},
		{"with a topic id", committedOffset{offset: 5, leaderEpoch: -1, commitMs: 1, expireMs: -1, topicID: [16]byte{1, 15: 2}}, "0004 0000000000000005 ffffffff 01 0000000000000001 01 00 10 01000000000000000000000000000002"},
		{"with an expiry", committedOffset{offset: 3, leaderEpoch: -1, metadata: "keep", commitMs: 1, expireMs: 2}, "0001 0000000000000003 0004 6b656570 0000000000000001 0000000000000002"},
	} {
		r := tc.o.record("g", "t", 9)
		if got, want := hex.EncodeToString(r.Value), strings.ReplaceAll(tc.want, " ", ""); got != want {
			t.Errorf("%s: %s, want %s", tc.name, got, want)
		}
		if got := hex.EncodeToString(r.Key); got != "0001000167000174"+"00000009" {
			t.Errorf("key %s", got)
		}
		back, err := parseOffset(r.Value)
		if err != nil || back != tc.o {
			t.Errorf("%s: read back %+v, %v", tc.name, back, err)
		}
	}
}

func TestOldVersionsOfOffsets(t *testing.T) {
	want := committedOffset{offset: 3, leaderEpoch: -1, metadata: "m", commitMs: 1, expireMs: -1}
	body := "0000000000000003" + "0001" + "6d" + "0000000000000001"
	for version, h := range map[int]string{0: "0000" + body, 2: "0002" + body, 3: "0003" + "0000000000000003" + "ffffffff" + "0001" + "6d" + "0000000000000001"} {
		b, _ := hex.DecodeString(h)
		if got, err := parseOffset(b); err != nil || got != want {
			t.Errorf("version %d: %+v, %v", version, got, err)
		}
	}
}

func TestVersionsOfGroups(t *testing.T) {
	protocolName, leader, instance := "range", "m", "i"
	full := groupValue{
		protocolType: "consumer", generation: 3, protocol: &protocolName, leader: &leader, stateSinceMs: 77,
		members: []memberValue{{id: "m", instanceID: &instance, clientID: "c", clientHost: "/h", rebalanceTimeoutMs: 5, sessionTimeoutMs: 6, subscription: []byte("s"), assignment: []byte("a")}},
	}
	for version := int16(0); version <= 3; version++ {
		v := kmsg.NewGroupMetadataValue()
		v.Version = version
		v.ProtocolType, v.Generation, v.Protocol, v.Leader, v.CurrentStateTimestamp = full.protocolType, full.generation, full.protocol, full.leader, full.stateSinceMs
		m := kmsg.NewGroupMetadataValueMember()
		m.MemberID, m.InstanceID, m.ClientID, m.ClientHost = "m", &instance, "c", "/h"
		m.RebalanceTimeoutMillis, m.SessionTimeoutMillis, m.Subscription, m.Assignment = 5, 6, []byte("s"), []byte("a")
		v.Members = append(v.Members, m)
		want := full
		want.members = []memberValue{full.members[0]}
		if version < 3 {
			want.members[0].instanceID = nil
		}
		if version < 2 {
			want.stateSinceMs = -1
		}
		if version < 1 {
			want.members[0].rebalanceTimeoutMs = 6
		}
		got, err := parseGroup(v.AppendTo(nil))
		if err != nil {
			t.Fatal(version, err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(groupValue{}, memberValue{})); d != "" {
			t.Errorf("version %d: %s", version, d)
		}
	}
	v4, _ := hex.DecodeString("0004" + "09" + hex.EncodeToString([]byte("consumer")) + "00000003" + "06" + hex.EncodeToString([]byte("range")) + "02" + "6d" +
		"000000000000004d" + "02" + "026d" + "0269" + "0263" + "032f68" + "00000005" + "00000006" + "0273" + "0261" + "00" + "00")
	got, err := parseGroup(v4)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(full, got, cmp.AllowUnexported(groupValue{}, memberValue{})); d != "" {
		t.Errorf("version 4: %s", d)
	}
	back, err := parseGroup(full.record("g").Value)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(full, back, cmp.AllowUnexported(groupValue{}, memberValue{})); d != "" {
		t.Errorf("read back: %s", d)
	}
}

func TestPartitionFor(t *testing.T) {
	// Java: "polygenelubricants".hashCode() is the least int, whose absolute value Kafka takes for 0.
	for id, want := range map[string]int32{"": 0, "polygenelubricants": 0, "console-consumer-1": abs(javaHash("console-consumer-1")) % 50} {
		if got := PartitionFor(id, 50); got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
	for s, want := range map[string]int32{"a": 97, "hello": 99162322, "héllo": 103094734, "😀": 1772899} {
		if got := javaHash(s); got != want {
			t.Errorf("hash of %q: %d, want %d", s, got, want)
		}
	}
}

func abs(n int32) int32 { return max(n, -n) }

// storedBatches reads a segment file of uncompressed batches, as far as this test needs it.
func storedBatches(t testing.TB, file string) []coord.StoredBatch {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []coord.StoredBatch
	for len(b) > 0 {
		var rb kmsg.RecordBatch
		if err := rb.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		b = b[12+rb.Length:]
		sb := coord.StoredBatch{BaseOffset: rb.FirstOffset, ProducerID: rb.ProducerID, ProducerEpoch: rb.ProducerEpoch}
		raw := rb.Records
		for i := int32(0); i < rb.NumRecords; i++ {
			var r kmsg.Record
			if err := r.ReadFrom(raw); err != nil {
				t.Fatal(err)
			}
			length, n := uvarintZigzag(raw)
			raw = raw[n+length:]
			if rb.Attributes&0x20 != 0 {
				sb.EndTxn = &coord.EndTxn{Commit: r.Key[3] == 1}
				continue
			}
			sb.Records = append(sb.Records, coord.StoredRecord{Offset: rb.FirstOffset + int64(i), Record: coord.Record{Key: r.Key, Value: r.Value}})
		}
		out = append(out, sb)
	}
	return out
}

func uvarintZigzag(b []byte) (value, n int) {
	var u uint64
	for {
		u |= uint64(b[n]&0x7f) << (7 * n)
		n++
		if b[n-1] < 0x80 {
			return int(u>>1) ^ -int(u&1), n
		}
	}
}

// The partitions in testdata were written by Apache Kafka 4.3.1 with offsets.topic.num.partitions=4:
// classic groups with dynamic and static members, simple commits with and without retention, commits of
// committed, aborted and open transactions, tombstones, and groups of the newer protocols.
const fixturePartitions = 4

func fixture(p int32) string { return fmt.Sprintf("testdata/consumer-offsets-%d.log", p) }

func TestEachByteThatKafkaWrites(t *testing.T) {
	offsets, groups, consumers := 0, 0, 0
	for p := int32(0); p < fixturePartitions; p++ {
		for _, b := range storedBatches(t, fixture(p)) {
			for _, r := range b.Records {
				k, err := parseKey(r.Key)
				if err != nil {
					t.Fatal(err)
				}
				if got := PartitionFor(k.group, fixturePartitions); got != p {
					t.Errorf("group %s is in partition %d, we would look in %d", k.group, p, got)
				}
				var ours coord.Record
				switch {
				case k.kind == keyOffset && r.Value == nil:
					ours = offsetTombstone(k.group, k.topic, k.partition)
				case k.kind == keyOffset:
					o, err := parseOffset(r.Value)
					if err != nil {
						t.Fatal(err)
					}
					ours = o.record(k.group, k.topic, k.partition)
					offsets++
				case k.kind == keyGroup && r.Value == nil:
					ours = groupTombstone(k.group)
				case k.kind == keyGroup:
					v, err := parseGroup(r.Value)
					if err != nil {
						t.Fatal(err)
					}
					ours = v.record(k.group)
					groups++
				case isConsumerKind(k.kind):
					ours = rewrittenConsumer(t, k, r.Record)
					if consumers++; len(ours.Value) == len(r.Value) && (k.kind == keyConsumerTarget || k.kind == keyConsumerAssignment) {
						continue // topics come in no order there
					}
				default:
					continue
				}
				if !bytes.Equal(ours.Key, r.Key) || !bytes.Equal(ours.Value, r.Value) {
					t.Errorf("partition %d offset %d: we would write\n%x\n%x\nKafka wrote\n%x\n%x", p, r.Offset, ours.Key, ours.Value, r.Key, r.Value)
				}
			}
		}
	}
	if offsets < 10 || groups < 10 || consumers < 10 {
		t.Errorf("only %d offsets, %d groups and %d records of consumer groups in testdata", offsets, groups, consumers)
	}
}

// rewrittenConsumer reads a record of a consumer group and writes what it holds.
func rewrittenConsumer(t *testing.T, k recordKey, r coord.Record) coord.Record {
	t.Helper()
	sh := NewShard(&Config{}, &Counters{})
	if err := sh.Replay(coord.Source{ProducerID: coord.NoProducerID}, r); err != nil {
		t.Fatal(err)
	}
	if r.Value == nil {
		if k.member == "" {
			return consumerTombstone(k.kind, k.group)
		}
		return consumerTombstone(k.kind, k.group, k.member)
	}
	g := sh.consumers[k.group]
	switch k.kind {
	case keyConsumerGroup:
		return g.epochRecord(g.epoch, g.metadataHash)
	case keyConsumerMember:
		return g.members[k.member].metadataRecord(k.group)
	case keyConsumerTargetEpoch:
		return g.targetEpochRecord(g.targetEpoch, g.targetMs)
	case keyConsumerTarget:
		return g.targetRecord(k.member, g.target[k.member])
	case keyConsumerAssignment:
		return g.members[k.member].assignmentRecord(k.group)
	case keyRegex:
		return g.regexRecord(k.member, g.regexes[k.member])
	}
	return r
}

func TestLoadingWhatKafkaWrote(t *testing.T) {
	st := newStage(t, func(o *Options) { o.NumPartitions = func() int32 { return fixturePartitions } })
	for p := int32(0); p < fixturePartitions; p++ {
		st.s.Resign(p, -1)
		for _, b := range storedBatches(t, fixture(p)) {
			st.log.AppendStored(p, b)
		}
		st.elect(p)
	}
	got := strings.Join(st.list(nil, nil), "\n")
	want := strings.TrimSpace(`
gshare:share:Stable:share
bad:` + `:Empty:classic
bad2:connect:Stable:classic
gids:` + `:Empty:classic
g848:consumer:Stable:consumer
g848b:consumer:Stable:consumer
gdyn:consumer:Empty:classic
gret:` + `:Empty:classic
gtxn5:` + `:Empty:classic
t-leave:` + `:Empty:classic
glive:consumer:Stable:classic
gstat:consumer:Empty:classic
gtxn:` + `:Empty:classic`)
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("groups: %s", d)
	}
	first := func(group string, stable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
		topics := st.fetchCall(group, 9, stable, "").now().Groups[0].Topics
		if len(topics) == 0 {
			return kmsg.OffsetFetchResponseGroupTopicPartition{Offset: -1}
		}
		return topics[0].Partitions[0]
	}
	for group, want := range map[string]int64{"glive": 1234, "gdyn": 5, "gids": 77, "gret": 3, "g848": 42, "gtxn5": 11, "gtxn": -1, "gsimple": -1} {
		if got := first(group, false); got.Offset != want {
			t.Errorf("group %s: offset %d, want %d", group, got.Offset, want)
		}
	}
	if p := first("glive", false); *p.Metadata != "deep" || p.LeaderEpoch != 0 {
		t.Errorf("%+v", p)
	}
	p := st.fetchCall("gtxn", 9, true, "t1", 0).now().Groups[0].Topics[0].Partitions[0]
	wantCode(t, "an open transaction", p.ErrorCode, codeUnstableOffsetCommit)

	d := st.describe(6, "glive")
	if d.State != "Stable" || d.Protocol != "range" || len(d.Members) != 2 {
		t.Fatalf("%+v", d)
	}
	// A member that Kafka knew carries on with us.
	for _, m := range d.Members {
		c := st.client("glive")
		c.id, c.instance, c.gen = m.MemberID, m.InstanceID, 1
		wantCode(t, "heartbeat", c.heartbeat(), codeNone)
		if r := c.sync().now(); !bytes.Equal(r.MemberAssignment, m.MemberAssignment) || len(r.MemberAssignment) == 0 {
			t.Errorf("%+v", r)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for p := int32(0); p < fixturePartitions; p++ {
		for _, b := range storedBatches(f, fixture(p)) {
			for _, r := range b.Records {
				f.Add(r.Key, r.Value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if o, err := parseOffset(value); err == nil {
			r := o.record("g", "t", 1)
			if back, err := parseOffset(r.Value); len(o.metadata) < 1<<15 && (err != nil || back.offset != o.offset || back.metadata != o.metadata) {
				t.Fatalf("%+v is read back as %+v, %v", o, back, err)
			}
		}
		if v, err := parseGroup(value); err == nil && len(value) < 1<<15 {
			back, err := parseGroup(v.record("g").Value)
			if err != nil || len(back.members) != len(v.members) {
				t.Fatalf("%+v is read back as %+v, %v", v, back, err)
			}
		}
		topics := map[string]struct{}{}
		_ = subscribedTopics(value, topics)
		sh := NewShard(&Config{}, &Counters{})
		_ = sh.Replay(coord.Source{ProducerID: coord.NoProducerID}, coord.Record{Key: key, Value: value})
		_ = sh.Replay(coord.Source{ProducerID: 1}, coord.Record{Key: key, Value: value})
		sh.EndTxn(1, 0, true)
		_ = sh.Replay(coord.Source{ProducerID: coord.NoProducerID}, coord.Record{Key: key})
		sh.list(nil, nil)
	})
}
