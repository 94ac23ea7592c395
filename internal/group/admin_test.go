package group

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestListing(t *testing.T) {
	st := newStage(t)
	st.stable(st.client("stable"))
	st.client("forming").join()
	st.outsider("simple").commit(1)
	for _, tc := range []struct {
		states, types []string
		want          string
	}{
		{nil, nil, "forming simple stable"},
		{[]string{"sTaBle "}, nil, "stable"},
		{[]string{"Empty", "PreparingRebalance"}, nil, "forming simple"},
		{[]string{"nonsense"}, nil, ""},
		{nil, []string{"Classic"}, "forming simple stable"},
		{nil, []string{"consumer"}, ""},
		{nil, []string{"nonsense"}, ""},
	} {
		var ids []string
		for _, g := range st.list(tc.states, tc.types) {
			ids = append(ids, g[:strings.IndexByte(g, ':')])
		}
		if got := strings.Join(ids, " "); got != tc.want {
			t.Errorf("%v %v: %q, want %q", tc.states, tc.types, got, tc.want)
		}
	}
}

func TestDescribing(t *testing.T) {
	st := newStage(t)
	a := st.static("g", "A")
	j := a.join()
	d := st.describe(5, "g")
	if d.State != "PreparingRebalance" || d.Protocol != "" || len(d.Members) != 1 || d.Members[0].ProtocolMetadata != nil {
		t.Fatalf("%+v", d)
	}
	st.pass(3 * time.Second)
	j.now()
	st.assign(a)
	d = st.describe(5, "g")
	m := d.Members[0]
	if d.State != "Stable" || d.Protocol != "range" || d.ProtocolType != "consumer" || m.MemberID != a.id || *m.InstanceID != "A" ||
		m.ClientID != "client" || m.ClientHost != "/127.0.0.1" || string(m.MemberAssignment) != "for "+a.id || len(m.ProtocolMetadata) == 0 {
		t.Fatalf("%+v", d)
	}
	if d := st.describe(5, "none"); d.State != "Dead" || d.ErrorCode != 0 || d.ErrorMessage != nil {
		t.Fatalf("%+v", d)
	}
	if d := st.describe(6, "none"); d.State != "Dead" || d.ErrorCode != codeGroupIDNotFound || *d.ErrorMessage != "Group none not found." {
		t.Fatalf("%+v", d)
	}
}

func TestDeleting(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	a.commit(1)
	st.outsider("simple").commit(1)
	wantCode(t, "a group with members", st.delete("g"), codeNonEmptyGroup)
	wantCode(t, "no group", st.delete("none"), codeGroupIDNotFound)
	wantCode(t, "a simple group", st.delete("simple"), codeNone)
	wantCode(t, "the same again", st.delete("simple"), codeGroupIDNotFound)
	a.leave()
	wantCode(t, "an empty group", st.delete("g"), codeNone)
	st.failover()
	if got := st.list(nil, nil); got != nil || st.fetch("g") != -1 {
		t.Fatal(got)
	}
}

func TestDeletingOffsets(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	a.commit(1)
	a.commit(2, topic("t1"))
	code, codes := st.offsetDelete("g", "t0", "t1", "t2")
	wantCode(t, "request", code, codeNone)
	wantCode(t, "what is read", codes[0], codeGroupSubscribedToTopic)
	wantCode(t, "what is not read", codes[1], codeNone)
	wantCode(t, "what never was", codes[2], codeNone)
	if n := len(st.fetchCall("g", 9, false, "").now().Groups[0].Topics); n != 1 {
		t.Fatal(n)
	}
	code, codes = st.offsetDelete("none", "t0")
	wantCode(t, "no group", code, codeGroupIDNotFound)
	if codes != nil {
		t.Fatal(codes)
	}
	code, _ = st.offsetDelete("", "t0")
	wantCode(t, "no id", code, codeInvalidGroupID)
	a.leave()
	_, codes = st.offsetDelete("g", "t0")
	wantCode(t, "of an empty group", codes[0], codeNone)
	if m := st.s.Metrics(); m.OffsetDeletions != 2 {
		t.Fatalf("%+v", m)
	}
}

func TestMetrics(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	a.commit(1)
	st.outsider("simple").commit(1)
	m := st.s.Metrics()
	if m.GroupsByState["Stable"] != 1 || m.GroupsByState["Empty"] != 1 || m.GroupsByState["PreparingRebalance"] != 0 ||
		m.Offsets != 2 || m.OffsetCommits != 2 || m.CompletedRebalances != 1 || m.Partitions.Active != 1 {
		t.Fatalf("%+v", m)
	}
}

// foreignRecord is a record of a newer protocol: a key with one or two ids, and bytes for a value.
func foreignRecord(kind int16, group, member string, value []byte) coord.StoredBatch {
	key := appendString(appendInt16(nil, kind), group)
	if member != "" {
		key = appendString(key, member)
	}
	return coord.StoredBatch{ProducerID: coord.NoProducerID, Records: []coord.StoredRecord{{Record: coord.Record{Key: key, Value: value}}}}
}

func TestGroupsOfNewerProtocolsAreKept(t *testing.T) {
	st := newStage(t)
	for _, b := range []coord.StoredBatch{
		foreignRecord(10, "s", "m", []byte{0, 0}), foreignRecord(11, "s", "", []byte{0, 0}), foreignRecord(17, "st", "", []byte{0, 0}),
		foreignRecord(99, "later", "", []byte{0, 0}), foreignRecord(11, "gone", "", []byte{0, 0}), foreignRecord(11, "gone", "", nil),
	} {
		st.log.AppendStored(0, b)
	}
	st.failover()
	if got := strings.Join(st.list(nil, nil), " "); got != "s:share:Stable:share st:streams:Empty:streams" {
		t.Fatal(got)
	}
	wantCode(t, "classic join of a share group", st.client("s").joinOnce().now().ErrorCode, codeInconsistentProtocol)
	wantCode(t, "consumer's join of a share group", st.consumer("s", "a").join("t0").ErrorCode, codeGroupIDNotFound)
	wantCode(t, "outsider's commit", st.outsider("s").commit(8), codeUnknownMemberID)
	wantCode(t, "delete", st.delete("s"), codeNonEmptyGroup)
	code, _ := st.offsetDelete("s", "t0")
	wantCode(t, "offset delete", code, codeNonEmptyGroup)
	if d := st.describe(6, "s"); d.ErrorCode != codeGroupIDNotFound || *d.ErrorMessage != "Group s is not a classic group." {
		t.Fatalf("%+v", d)
	}
	if m := st.s.Metrics(); m.GroupsByType["share"] != 1 || m.GroupsByType["streams"] != 1 {
		t.Fatalf("%+v", m)
	}
	st.log.AppendStored(0, foreignRecord(10, "s", "m", nil))
	st.failover()
	wantCode(t, "delete without members", st.delete("s"), codeNone)
	st.failover()
	if got := strings.Join(st.list(nil, nil), " "); got != "st:streams:Empty:streams" {
		t.Fatal(got)
	}
}

func TestEveryRecordThatCannotBeReadIsNoticed(t *testing.T) {
	for name, r := range map[string]coord.Record{
		"a short key":       {Key: []byte{0, 1, 0}},
		"an unknown offset": {Key: offsetKey("g", "t", 0), Value: []byte{0, 9}},
		"a short group":     {Key: groupKey("g"), Value: []byte{0, 3, 0}},
	} {
		sh := NewShard(&Config{}, &Counters{})
		if err := sh.Replay(coord.Source{ProducerID: coord.NoProducerID}, r); !errors.Is(err, coord.ErrSetAside) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGroupsAreSpreadOverPartitions(t *testing.T) {
	st := newStage(t, func(o *Options) { o.NumPartitions = func() int32 { return 3 } })
	st.outsider("a").commit(1)
	st.outsider("b").commit(1)
	st.outsider("c").commit(1)
	if got := len(st.list(nil, nil)); got != 3 {
		t.Fatal(got)
	}
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{"c", "a", "b", "a"}
	var got *kmsg.DescribeGroupsResponse
	st.s.DescribeGroups(RequestContext{}, 5, r, func(resp *kmsg.DescribeGroupsResponse) { got = resp })
	for i, d := range got.Groups {
		if d.Group != r.Groups[i] || d.State != "Empty" {
			t.Errorf("%+v", d)
		}
	}
}
