package group

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestIDsThatNoGroupCanHave(t *testing.T) {
	st := newStage(t)
	long := strings.Repeat("g", maxIDBytes+1)
	wantCode(t, "describe", st.describe(5, long).ErrorCode, codeInvalidGroupID)
	wantCode(t, "delete", st.delete(long), codeInvalidGroupID)
	wantCode(t, "fetch", st.fetchCall(long, 9, false, "t0", 0).now().Groups[0].ErrorCode, codeInvalidGroupID)
	c := st.client("")
	wantCode(t, "heartbeat", c.heartbeat(), codeInvalidGroupID)
	wantCode(t, "leave", c.leave(), codeInvalidGroupID)
	wantCode(t, "sync", c.sync0().ErrorCode, codeInvalidGroupID)
}

func TestReasonsForTheLog(t *testing.T) {
	empty, short, long := "", "rolling restart", strings.Repeat("x", 1000)
	for _, tc := range []struct {
		in   *string
		want string
	}{{nil, "not provided"}, {&empty, "not provided"}, {&short, short}, {&long, long[:maxReasonBytes]}} {
		if got := reasonText(tc.in); got != tc.want {
			t.Errorf("%q", got)
		}
	}
}

func TestCodesOfReasons(t *testing.T) {
	for err, want := range map[error][2]int16{
		coord.ErrLoading:        {codeCoordinatorLoading, codeCoordinatorLoading},
		coord.ErrNotCoordinator: {codeNotCoordinator, codeNotCoordinator},
		coord.ErrStorage:        {codeNotCoordinator, codeNotCoordinator},
		coord.ErrNotLeader:      {codeNotCoordinator, codeNotCoordinator},
		coord.ErrTimedOut:       {codeCoordinatorNotAvailable, codeNotCoordinator},
		coord.ErrOverloaded:     {codeCoordinatorNotAvailable, codeNotCoordinator},
		fmt.Errorf("x: %w", coord.ErrNotEnoughReplicas): {codeCoordinatorNotAvailable, codeNotCoordinator},
		coord.ErrTooLarge:      {codeUnknownServerError, codeUnknownServerError},
		errors.New("anything"): {codeUnknownServerError, codeUnknownServerError},
	} {
		if got := [2]int16{codeOf(err), fetchCodeOf(err)}; got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
		if got := commitCodeOf(err); got != want[0] && !errors.Is(err, coord.ErrTooLarge) {
			t.Errorf("%v: %v for a commit", err, got)
		}
	}
}

func TestMoreThanOneBatchHolds(t *testing.T) {
	st := newStage(t, func(o *Options) { o.MaxBatchBytes = 2000 })
	c := st.client("g")
	st.stable(c)
	metadata := strings.Repeat("m", 1000)
	r := c.commitCall(9, 5, func(r *kmsg.OffsetCommitRequest) {
		p := r.Topics[0].Partitions[0]
		p.Metadata = &metadata
		r.Topics[0].Partitions = []kmsg.OffsetCommitRequestTopicPartition{p, p}
	}).now()
	for _, p := range r.Topics[0].Partitions {
		wantCode(t, "commit", p.ErrorCode, codeInvalidCommitOffsetSize)
	}
	wantCode(t, "a smaller commit", c.commit(5), codeNone)
	c.join() // the leader
	sync := c.syncWith(map[string]string{c.id: strings.Repeat("a", 3000)})
	wantCode(t, "sync", sync.now().ErrorCode, codeUnknownServerError)
	c.join()
	st.assign(c)
}

func TestRequestsMayBeReusedAtOnce(t *testing.T) {
	st := newStage(t)
	c := st.client("g")
	wire := append([]byte{}, c.protocols[0].metadata...)
	c.protocols[0].metadata = wire
	j := c.join()
	clear(wire)
	st.pass(3 * time.Second)
	if got := j.now().Members[0].ProtocolMetadata; string(got) != string(subscription("t0")) {
		t.Fatalf("%q", got)
	}
}

// Requests of many goroutines, time that passes, leadership that comes and goes: each request is
// answered once. The race detector looks on.
func TestManyClientsAtOnce(t *testing.T) {
	var ids atomic.Int64
	st := newStage(t, func(o *Options) {
		o.NumPartitions = func() int32 { return 3 }
		o.NewID = func() string { return fmt.Sprint(ids.Add(1)) }
	})
	stop := make(chan struct{})
	var world, clients sync.WaitGroup
	world.Add(1)
	go func() {
		defer world.Done()
		for epoch := int32(100); ; epoch++ {
			select {
			case <-stop:
				return
			default:
			}
			st.clk.Advance(500 * time.Millisecond)
			st.s.Metrics()
			if epoch%16 == 0 {
				p := epoch / 16 % 3
				st.log.SetEpoch(p, epoch)
				st.s.Elect(p, epoch)
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	var asked, answered atomic.Int64
	committed := atomic.Int64{}
	for i := 0; i < 8; i++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			group := fmt.Sprintf("g%d", i%4)
			for n := 0; n < 60; n++ {
				commit(st, group, int64(n), &asked, &answered, &committed)
				round(st, group, &asked, &answered)
			}
		}()
	}
	clients.Wait()
	close(stop)
	world.Wait()
	st.s.Close()
	if asked.Load() != answered.Load() {
		t.Fatalf("%d requests, %d answers", asked.Load(), answered.Load())
	}
	t.Logf("%d requests, %d commits", asked.Load(), committed.Load())
}

// round joins, syncs, heartbeats and leaves, with whatever comes back.
func round(st *stage, group string, asked, answered *atomic.Int64) {
	j := kmsg.NewPtrJoinGroupRequest()
	j.Group, j.SessionTimeoutMillis, j.RebalanceTimeoutMillis, j.ProtocolType = group, 6000, 2000, "consumer"
	j.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "x", Metadata: subscription("t0")}}
	got := make(chan *kmsg.JoinGroupResponse, 1)
	asked.Add(1)
	st.s.JoinGroup(RequestContext{}, 3, j, func(r *kmsg.JoinGroupResponse) { answered.Add(1); got <- r })
	r := <-got
	if r.ErrorCode != codeNone {
		return
	}
	y := kmsg.NewPtrSyncGroupRequest()
	y.Group, y.MemberID, y.Generation = group, r.MemberID, r.Generation
	synced := make(chan struct{})
	asked.Add(3)
	st.s.SyncGroup(RequestContext{}, 3, y, func(*kmsg.SyncGroupResponse) { answered.Add(1); close(synced) })
	h := kmsg.NewPtrHeartbeatRequest()
	h.Group, h.MemberID, h.Generation = group, r.MemberID, r.Generation
	st.s.Heartbeat(RequestContext{}, 3, h, func(*kmsg.HeartbeatResponse) { answered.Add(1) })
	l := kmsg.NewPtrLeaveGroupRequest()
	l.Group, l.MemberID = group, r.MemberID
	st.s.LeaveGroup(RequestContext{}, 1, l, func(*kmsg.LeaveGroupResponse) { answered.Add(1) })
	<-synced
}

func commit(st *stage, group string, offset int64, asked, answered, committed *atomic.Int64) {
	c := kmsg.NewPtrOffsetCommitRequest()
	c.Group, c.Generation = "simple-"+group, -1
	c.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset}}}}
	asked.Add(1)
	st.s.OffsetCommit(RequestContext{}, 9, c, func(r *kmsg.OffsetCommitResponse) {
		answered.Add(1)
		if r.Topics[0].Partitions[0].ErrorCode == codeNone {
			committed.Add(1)
		}
	})
}
