package group

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestWhatGroupsHaveCommittedIsSeenUpToALimit(t *testing.T) {
	st := newStage(t)
	for _, g := range []string{"a", "b"} {
		st.outsider(g).commit(10)
	}
	o := st.s.Committed(10)
	if len(o.Offsets) != 2 || o.LeftOut != 0 || !slices.Contains(o.Offsets, CommittedOffset{"b", "t0", 0, 10}) {
		t.Fatalf("%+v", o)
	}
	if n, ok := o.Members["a"]; n != 0 || !ok {
		t.Fatalf("the members are %v", o.Members)
	}
	if o := st.s.Committed(1); len(o.Offsets) != 1 || o.LeftOut != 1 {
		t.Fatalf("%+v", o)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.MaxGroups = 2 })
	st.outsider("a").commit(1)
	st.stable(st.client("b"))
	r := st.outsider("c").commitCall(9, 1).now()
	wantCode(t, "a commit", r.Topics[0].Partitions[0].ErrorCode, codeCoordinatorNotAvailable)
	wantCode(t, "a join", st.client("c").joinOnce().now().ErrorCode, codeCoordinatorNotAvailable)
	r = st.outsider("a").commitCall(9, 2).now()
	wantCode(t, "a commit of a group that is there", r.Topics[0].Partitions[0].ErrorCode, codeNone)
}

func TestPendingOffsetsAreBounded(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.MaxPendingOffsets = 1 })
	st.txnCommit(7, "a", 1)
	st.failover()
	commit := func() int16 {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = 3, "x", "b", 8, 0, -1
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = 1
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t0", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
		code := int16(-1)
		st.s.TxnOffsetCommit(RequestContext{}, 3, req, 0, func(r *kmsg.TxnOffsetCommitResponse) { code = r.Topics[0].Partitions[0].ErrorCode })
		return code
	}
	wantCode(t, "the second", commit(), codeCoordinatorNotAvailable)
	st.endTxn(7, true)
	st.failover() // what was put into the log by hand is seen
	wantCode(t, "after the first transaction has ended", commit(), codeNone)
}
