package group

import (
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func retention(ms int64) func(*kmsg.OffsetCommitRequest) {
	return func(r *kmsg.OffsetCommitRequest) { r.RetentionTimeMillis = ms }
}

func metadata(s string) func(*kmsg.OffsetCommitRequest) {
	return func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = &s }
}

func topic(name string) func(*kmsg.OffsetCommitRequest) {
	return func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Topic = name }
}

func TestWhoMayCommit(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	at := func(mod func(*who)) *who { c := *a; mod(&c); return &c }
	for _, tc := range []struct {
		name    string
		c       *who
		version int16
		code    int16
	}{
		{"a member", a, 9, codeNone},
		{"an older generation", at(func(c *who) { c.gen-- }), 9, codeIllegalGeneration},
		{"a stranger", at(func(c *who) { c.id = "who" }), 9, codeUnknownMemberID},
		{"a member without its generation", at(func(c *who) { c.gen = -1 }), 9, codeIllegalGeneration},
		{"an outsider while members are at work", st.outsider("g"), 9, codeUnknownMemberID},
		{"an outsider with a name, in a group without members", &who{st: st, group: "e", id: "x", gen: -1}, 9, codeNone},
		{"a member of no group", &who{st: st, group: "none", id: "x", gen: 3}, 9, codeGroupIDNotFound},
		{"an old member of no group", &who{st: st, group: "none", id: "x", gen: 3}, 8, codeIllegalGeneration},
		{"a simple consumer", st.outsider("simple"), 9, codeNone},
		{"a simple consumer again", st.outsider("simple"), 2, codeNone},
		{"the empty group id", st.outsider(""), 9, codeNone},
		{"a group id that no record can hold", st.outsider(strings.Repeat("g", 40_000)), 9, codeInvalidGroupID},
	} {
		r := tc.c.commitCall(tc.version, 1).now()
		wantCode(t, tc.name, r.Topics[0].Partitions[0].ErrorCode, tc.code)
	}
	if got := strings.Join(st.list(nil, nil), " "); got != "::Empty:classic e::Empty:classic g:consumer:Stable:classic simple::Empty:classic" {
		t.Fatal(got)
	}
}

func TestWhatIsStoredWithAnOffset(t *testing.T) {
	st := newStage(t)
	c := st.outsider("g")
	c.commit(5, metadata("note"))
	p := st.fetchCall("g", 9, false, "t0", 0, 1).now().Groups[0].Topics[0].Partitions
	if p[0].Offset != 5 || p[0].LeaderEpoch != 7 || *p[0].Metadata != "note" || p[1].Offset != -1 || *p[1].Metadata != "" || p[1].LeaderEpoch != -1 {
		t.Fatalf("%+v", p)
	}
	wantCode(t, "old commit", c.commitCall(5, 6).now().Topics[0].Partitions[0].ErrorCode, codeNone)
	p = st.fetchCall("g", 9, false, "t0", 0).now().Groups[0].Topics[0].Partitions
	if p[0].Offset != 6 || p[0].LeaderEpoch != -1 || *p[0].Metadata != "" {
		t.Fatalf("%+v", p[0])
	}
	st.shard(func(sh *Shard) {
		if o := sh.offsets.byGroup["g"]["t0"][0]; o.topicID != [16]byte{100} {
			t.Errorf("%+v", o)
		}
	})
	wantCode(t, "4096 units", c.commit(7, metadata(strings.Repeat("é", 4096))), codeNone)
	wantCode(t, "4097 units", c.commit(8, metadata(strings.Repeat("x", 4097))), codeOffsetMetadataTooLarge)
	wantCode(t, "2049 of two units", c.commit(8, metadata(strings.Repeat("😀", 2049))), codeOffsetMetadataTooLarge)
	if st.fetch("g") != 7 {
		t.Fatal("a refused commit was stored")
	}
	st.failover()
	if st.fetch("g") != 7 {
		t.Fatal("lost")
	}
}

func TestOneBadPartitionDoesNotSpoilTheOthers(t *testing.T) {
	st := newStage(t)
	long := strings.Repeat("x", 5000)
	r := st.outsider("g").commitCall(9, 1, func(r *kmsg.OffsetCommitRequest) {
		p := r.Topics[0].Partitions[0]
		p.Partition, p.Metadata = 1, &long
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
	}).now()
	wantCode(t, "good", r.Topics[0].Partitions[0].ErrorCode, codeNone)
	wantCode(t, "bad", r.Topics[0].Partitions[1].ErrorCode, codeOffsetMetadataTooLarge)
}

func TestTopicIDs(t *testing.T) {
	st := newStage(t)
	r := st.outsider("g").commitCall(10, 3, func(r *kmsg.OffsetCommitRequest) {
		r.Topics[0].Topic = ""
		r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{TopicID: [16]byte{1}, Partitions: r.Topics[0].Partitions})
	}).now()
	wantCode(t, "known", r.Topics[0].Partitions[0].ErrorCode, codeNone)
	wantCode(t, "unknown", r.Topics[1].Partitions[0].ErrorCode, codeUnknownTopicID)
	if st.fetch("g") != 3 {
		t.Fatal("not stored under its name")
	}
	f := st.fetchCall("g", 10, false, "t0", 0).now().Groups[0].Topics[0]
	if f.TopicID != [16]byte{100} || f.Partitions[0].Offset != 3 {
		t.Fatalf("%+v", f)
	}
	f = st.fetchCall("g", 10, false, "??", 0).now().Groups[0].Topics[0]
	if f.Partitions[0].ErrorCode != codeUnknownTopicID || f.Partitions[0].Offset != -1 {
		t.Fatalf("%+v", f)
	}
	st.outsider("g").commit(4, topic("gone"))
	if all := st.fetchCall("g", 10, false, "").now().Groups[0].Topics; len(all) != 1 || all[0].TopicID != [16]byte{100} {
		t.Fatalf("%+v", all)
	}
	if all := st.fetchCall("g", 9, false, "").now().Groups[0].Topics; len(all) != 2 {
		t.Fatalf("%+v", all)
	}
}

func TestFetchInEachVersion(t *testing.T) {
	st := newStage(t)
	st.outsider("g").commit(5)
	for version := int16(1); version < batchedFetchVersion; version++ {
		r := st.fetchCall("g", version, false, "t0", 0, 9).now()
		if r.ErrorCode != 0 || len(r.Topics) != 1 || r.Topics[0].Partitions[0].Offset != 5 || r.Topics[0].Partitions[1].Offset != -1 {
			t.Fatalf("version %d: %+v", version, r)
		}
		r = st.fetchCall("g", version, false, "").now()
		if want := min(int(version)-1, 1); len(r.Topics) != want {
			t.Fatalf("version %d: all topics: %+v", version, r)
		}
	}
	for _, version := range []int16{5, 9} {
		if r := st.fetchCall("nobody", version, false, "").now(); r.ErrorCode != 0 || len(r.Topics) != 0 {
			t.Fatalf("version %d: a group that is not there: %+v", version, r)
		}
	}
	st.s.Resign(0, -1)
	r := st.fetchCall("g", 1, false, "t0", 0).now()
	wantCode(t, "version 1", r.Topics[0].Partitions[0].ErrorCode, codeNotCoordinator)
	r = st.fetchCall("g", 2, false, "t0", 0).now()
	wantCode(t, "version 2", r.ErrorCode, codeNotCoordinator)
	if len(r.Topics) != 0 {
		t.Fatalf("%+v", r)
	}
	wantCode(t, "version 8", st.fetchCall("g", 8, false, "t0", 0).now().Groups[0].ErrorCode, codeNotCoordinator)
}

func TestFetchOfSeveralGroups(t *testing.T) {
	st := newStage(t, func(o *Options) { o.NumPartitions = func() int32 { return 7 } })
	req := kmsg.NewPtrOffsetFetchRequest()
	for i, g := range []string{"a", "b", "c", "d"} {
		wantCode(t, "commit", st.outsider(g).commit(int64(i)), codeNone)
		req.Groups = append(req.Groups, kmsg.OffsetFetchRequestGroup{Group: g})
	}
	st.s.Resign(PartitionFor("c", 7), -1)
	var got *kmsg.OffsetFetchResponse
	st.s.OffsetFetch(RequestContext{}, 8, req, func(r *kmsg.OffsetFetchResponse) { got = r })
	for i, g := range got.Groups {
		switch {
		case g.Group != req.Groups[i].Group:
			t.Errorf("group %s in the place of %s", g.Group, req.Groups[i].Group)
		case g.Group == "c":
			wantCode(t, "c", g.ErrorCode, codeNotCoordinator)
		case g.Topics[0].Partitions[0].Offset != int64(i):
			t.Errorf("%+v", g)
		}
	}
}

// txnCommit puts a transactional commit of t0-0 into the log as the transaction's coordinator would have.
func (st *stage) txnCommit(producerID int64, group string, offset int64) {
	o := committedOffset{offset: offset, leaderEpoch: -1, expireMs: -1, commitMs: st.clk.Now().UnixMilli()}
	st.log.AppendStored(0, coord.StoredBatch{ProducerID: producerID, Records: []coord.StoredRecord{{Record: o.record(group, "t0", 0)}}})
}

func (st *stage) endTxn(producerID int64, commit bool) {
	st.log.AppendStored(0, coord.StoredBatch{ProducerID: producerID, EndTxn: &coord.EndTxn{Commit: commit}})
}

func TestOffsetsOfTransactions(t *testing.T) {
	st := newStage(t)
	st.txnCommit(1, "g", 10)
	st.txnCommit(2, "g", 20)
	st.failover()
	if st.fetch("g") != -1 {
		t.Fatal("an open transaction shows")
	}
	p := st.fetchCall("g", 9, true, "t0", 0).now().Groups[0].Topics[0].Partitions[0]
	if p.ErrorCode != codeUnstableOffsetCommit || p.Offset != -1 {
		t.Fatalf("%+v", p)
	}
	st.endTxn(1, true)
	st.endTxn(2, false)
	st.failover()
	if st.fetch("g") != 10 {
		t.Fatal("committed and aborted are mixed up")
	}
	st.txnCommit(3, "g", 30)
	st.failover()
	wantCode(t, "commit", st.outsider("g").commit(40), codeNone)
	st.endTxn(3, true) // its record is older than the plain one
	st.failover()
	if st.fetch("g") != 40 {
		t.Fatal("the older record won")
	}
	st.txnCommit(4, "g", 50)
	st.failover()
	_, codes := st.offsetDelete("g", "t0")
	wantCode(t, "delete", codes[0], codeNone)
	st.endTxn(4, true)
	st.failover()
	if st.fetch("g") != -1 {
		t.Fatal("a deleted offset came back")
	}
}

const week = 7 * 24 * time.Hour

func (st *stage) passHours(n int) {
	for i := 0; i < n; i++ {
		st.pass(time.Hour)
	}
}

func TestASimpleGroupsOffsetsExpireAfterTheirCommit(t *testing.T) {
	st := newStage(t)
	st.outsider("g").commit(1)
	st.passHours(100)
	st.outsider("g").commit(2, topic("t1"))
	st.passHours(68)
	if st.fetch("g") != -1 {
		t.Fatal("not expired")
	}
	if n := st.fetchCall("g", 9, false, "").now().Groups[0].Topics; len(n) != 1 {
		t.Fatalf("%+v", n)
	}
	st.passHours(101)
	st.wantState("g", "Dead")
	m := st.s.Metrics()
	if m.OffsetExpirations != 2 || m.Offsets != 0 || m.OffsetCommits != 2 {
		t.Fatalf("%+v", m)
	}
	st.failover()
	st.wantState("g", "Dead")
}

func TestTheClientsOwnRetention(t *testing.T) {
	st := newStage(t)
	c := st.outsider("g")
	c.commitCall(3, 1, retention(2*3600*1000)).now()
	st.failover()
	st.passHours(1)
	if st.fetch("g") != 1 {
		t.Fatal("expired too early")
	}
	st.passHours(2)
	if st.fetch("g") != -1 {
		t.Fatal("not expired")
	}
	c.commitCall(5, 1, retention(1000)).now() // newer clients have no say
	st.passHours(24)
	if st.fetch("g") != 1 {
		t.Fatal("a retention that the version does not have was obeyed")
	}
}

func TestAGroupWithMembersKeepsWhatItReads(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	a.session = 1_800_000
	st.stable(a)
	a.commit(1)
	a.commit(2, topic("t1")) // it does not subscribe to t1
	for i := 0; i < 24*7*6; i++ {
		st.pass(10 * time.Minute)
		wantCode(t, "heartbeat", a.heartbeat(), codeNone)
	}
	st.pass(10 * time.Minute)
	if st.fetch("g") != 1 {
		t.Fatal("what is read expired")
	}
	if n := len(st.fetchCall("g", 9, false, "").now().Groups[0].Topics); n != 1 {
		t.Fatal("what is not read stays")
	}
	a.leave()
	st.passHours(24*7 - 1)
	if st.fetch("g") != 1 {
		t.Fatal("the clock must run from when the group became empty")
	}
	st.passHours(2)
	st.wantState("g", "Dead")
}

func TestOtherProtocolsKeepEverythingWhileTheyHaveMembers(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	a.session, a.ptype = 1_800_000, "connect"
	st.stable(a)
	a.commit(1)
	for i := 0; i < 24*8*3; i++ {
		st.pass(20 * time.Minute)
		wantCode(t, "heartbeat", a.heartbeat(), codeNone)
	}
	if st.fetch("g") != 1 {
		t.Fatal("expired")
	}
	code, _ := st.offsetDelete("g", "t0")
	wantCode(t, "offsets of a group that the broker cannot look into", code, codeNonEmptyGroup)
}

func TestMetadataThatCannotBeReadSubscribesToEverything(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	a.protocols = []protocol{{"range", []byte{0, 1, 0, 0}}}
	a.session = 1_800_000
	st.stable(a)
	a.commit(1)
	_, codes := st.offsetDelete("g", "t0")
	wantCode(t, "delete", codes[0], codeGroupSubscribedToTopic)
}

func TestAnOpenTransactionKeepsAnOffset(t *testing.T) {
	st := newStage(t)
	st.outsider("g").commit(1)
	st.txnCommit(1, "g", 2)
	st.failover()
	st.passHours(24 * 8)
	if st.fetch("g") != 1 {
		t.Fatal("expired")
	}
	st.endTxn(1, false)
	st.failover()
	st.passHours(1)
	st.wantState("g", "Dead")
}

func TestExpiryThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	st := newStage(t)
	st.outsider("g").commit(1)
	st.log.FailAppends(coord.ErrNotEnoughReplicas)
	st.pass(week)
	if st.fetch("g") != 1 {
		t.Fatal("expired without a record")
	}
	st.log.FailAppends(nil)
	st.pass(10 * time.Second)
	if st.fetch("g") != -1 {
		t.Fatal("not tried again")
	}
}

func TestMoreExpiryThanOneBatchHolds(t *testing.T) {
	st := newStage(t, func(o *Options) { o.MaxBatchBytes = 1000 })
	for i := 0; i < 10; i++ {
		for j := int32(0); j < 10; j++ {
			st.outsider("g"+string(rune('a'+i))).commit(1, func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = j })
		}
	}
	st.pass(week)
	if m := st.s.Metrics(); m.Offsets != 0 || m.GroupsByType["classic"] != 0 {
		t.Fatalf("%+v", m)
	}
}

func TestDeletedTopicsTakeTheirOffsetsAlong(t *testing.T) {
	st := newStage(t)
	for _, g := range []string{"g", "h"} {
		st.outsider(g).commit(1)
		st.outsider(g).commit(2, topic("t1"))
	}
	st.txnCommit(1, "only open", 3)
	st.failover()
	called := 0
	st.s.PartitionsDeleted([]TopicPartition{{"t0", 0}, {"t0", 1}}, func(err error) {
		if called++; err != nil {
			t.Error(err)
		}
	})
	if called != 1 || st.fetch("g") != -1 || st.fetch("h") != -1 {
		t.Fatal("offsets stay")
	}
	if m := st.s.Metrics(); m.Offsets != 2 {
		t.Fatalf("%+v", m)
	}
	st.endTxn(1, true)
	st.failover()
	if st.fetch("only open") != -1 {
		t.Fatal("the transaction brought it back")
	}
	st.log.FailAppends(coord.ErrStorage)
	var failure error
	st.s.PartitionsDeleted([]TopicPartition{{"t1", 0}}, func(err error) { failure = err })
	if failure == nil {
		t.Fatal("failed silently")
	}
}
