package group

import (
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whatever a client sends, the partition that its group shares with others can be read by the next coordinator.
func TestNoClientCanSpoilThePartition(t *testing.T) {
	st := newStage(t)
	longest := strings.Repeat("c", maxStringBytes)
	other := st.client("other")
	st.stable(other)
	for _, version := range []int16{3, 9} {
		c := st.client("g")
		c.version, c.clientID = version, longest
		st.stable(c)
		if len(c.id) > maxStringBytes {
			t.Fatalf("a member id of %d bytes", len(c.id))
		}
		wantCode(t, "commit", c.commit(7, func(r *kmsg.OffsetCommitRequest) {
			p := &r.Topics[0].Partitions
			*p = append(*p, (*p)[0])
			(*p)[1].Partition, (*p)[1].Metadata = 1, &longest
			r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{Topic: longest + "!", Partitions: (*p)[:1]})
		}), codeNone)
		st.failover()
		wantCode(t, "heartbeat", c.heartbeat(), codeNone)
		wantCode(t, "another's heartbeat", other.heartbeat(), codeNone)
		wantCode(t, "leave", c.leave(), codeNone)
	}
}

func TestWhatAClientNamesIsBounded(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.OffsetMetadataMaxBytes = 1 << 20 })
	long := strings.Repeat("x", maxStringBytes+1)
	c := st.outsider("g")
	r := c.commitCall(9, 7, func(r *kmsg.OffsetCommitRequest) {
		r.Topics[0].Partitions[0].Metadata = &long
		r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{Topic: long, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}})
	}).now()
	wantCode(t, "metadata", r.Topics[0].Partitions[0].ErrorCode, codeOffsetMetadataTooLarge)
	wantCode(t, "topic", r.Topics[1].Partitions[0].ErrorCode, codeUnknownTopicOrPartition)
	if n := st.log.End(0); n != 0 {
		t.Fatalf("%d records", n)
	}
}

func TestCuttingLeavesCharactersWhole(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "abcd": "abcd", "abcde": "abcd", "abcé": "abc", "a€€": "a€", "\x80\x80\x80\x80\x80": "\x80\x80\x80\x80"} {
		if got := cut(in, 4); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestAStringThatDoesNotFitIsNeverEncoded(t *testing.T) {
	for _, encode := range []func([]byte, string) []byte{appendString, appendCompactString} {
		encode(nil, strings.Repeat("x", maxStringBytes))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a length has wrapped around")
				}
			}()
			encode(nil, strings.Repeat("x", maxStringBytes+1))
		}()
	}
}

func (st *stage) store(r coord.Record) {
	st.log.AppendStored(0, coord.StoredBatch{ProducerID: coord.NoProducerID, Records: []coord.StoredRecord{{Record: r}}})
}

// An offset whose record cannot be read is neither "none" nor the one before it.
func TestAnUnreadableOffsetIsSetAside(t *testing.T) {
	st := newStage(t, silent)
	c := st.outsider("g")
	wantCode(t, "commit", c.commit(5), codeNone)
	st.store(coord.Record{Key: offsetKey("g", "t0", 0), Value: []byte{0, 99}})
	st.store(coord.Record{Key: offsetKey("g", "t0", 1), Value: committedOffset{offset: 8, expireMs: -1, commitMs: st.clk.Now().UnixMilli()}.record("g", "t0", 1).Value})
	st.failover()
	ask := func(p int32) kmsg.OffsetFetchResponseGroupTopicPartition {
		return st.fetchCall("g", 9, false, "t0", p).now().Groups[0].Topics[0].Partitions[0]
	}
	if got := ask(0); got.ErrorCode != codeUnknownServerError || got.Offset != -1 {
		t.Fatalf("%+v", got)
	}
	if got := ask(1); got.ErrorCode != codeNone || got.Offset != 8 {
		t.Fatalf("%+v", got)
	}
	st.pass(15 * 24 * time.Hour) // it does not expire
	if got := ask(0); got.ErrorCode != codeUnknownServerError {
		t.Fatalf("%+v", got)
	}
	wantCode(t, "commit over it", c.commit(9), codeNone)
	if got := ask(0); got.ErrorCode != codeNone || got.Offset != 9 {
		t.Fatalf("%+v", got)
	}
}

func TestAnUnreadableGroupIsSetAside(t *testing.T) {
	st := newStage(t, silent)
	c, other := st.client("g"), st.client("other")
	st.stable(c)
	st.stable(other)
	wantCode(t, "commit", c.commit(5), codeNone)
	st.store(coord.Record{Key: groupKey("g"), Value: []byte{0, 3, 0}})
	st.failover()
	wantCode(t, "another's heartbeat", other.heartbeat(), codeNone)
	wantCode(t, "heartbeat", c.heartbeat(), codeUnknownMemberID)
	st.pass(15 * 24 * time.Hour)
	if got := st.fetch("g"); got != 5 {
		t.Fatalf("offset %d", got)
	}
	c.id = ""
	st.stable(c)
	if c.gen != 2 {
		t.Fatalf("generation %d", c.gen)
	}
	st.failover()
	wantCode(t, "heartbeat", c.heartbeat(), codeNone)
	wantCode(t, "leave", c.leave(), codeNone)
	st.pass(8 * 24 * time.Hour)
	st.wantState("g", deadState)
}

// A bug in one group's turn must not leave clients without an answer, nor the partition without a coordinator.
func TestAPanicAnswersEverybodyAndTheGroupsComeBack(t *testing.T) {
	st := newStage(t, silent)
	a, b, other := st.client("g"), st.client("g"), st.client("other")
	other.session = 60_000
	st.stable(other)
	ja, jb := a.join(), b.join()
	st.shard(func(sh *Shard) { sh.groups["g"].supported = nil })
	st.pass(6 * time.Second) // no protocol has votes, which cannot be
	wantCode(t, "join", ja.now().ErrorCode, codeNotCoordinator)
	wantCode(t, "join", jb.now().ErrorCode, codeNotCoordinator)
	wantCode(t, "another's heartbeat", other.heartbeat(), codeNotCoordinator)
	st.reload()
	wantCode(t, "another's heartbeat", other.heartbeat(), codeNone)
	again := st.client("g")
	st.stable(again)
}
