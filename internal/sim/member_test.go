package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is one of a group, of either protocol, that speaks for itself: what it owns changes only between its transactions.
type member struct {
	group    string
	consumer bool // KIP-848
	topicID  [16]byte
	txnID    string
	cl       *kgo.Client

	id         string
	generation int32 // or the member's epoch
	parts      []int32
}

const (
	memberSession = 6 * time.Second
	rebalanceMs   = 6000
)

// join makes it a member with partitions, or with none.
func (m *member) join(ctx context.Context) error {
	m.parts = nil
	if m.consumer {
		return m.joinConsumer(ctx)
	}
	err := m.joinClassic(ctx)
	for n := 0; errors.Is(err, kerr.RebalanceInProgress) && n < 10; n++ {
		err = m.joinClassic(ctx)
	}
	return err
}

func (m *member) joinClassic(ctx context.Context) error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = m.group, m.id, int32(memberSession/time.Millisecond), rebalanceMs, "consumer"
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{topicName}
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", meta.AppendTo(nil)
	req.Protocols = append(req.Protocols, p)
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	if kerr.ErrorForCode(resp.ErrorCode) == kerr.MemberIDRequired {
		m.id, req.MemberID = resp.MemberID, resp.MemberID
		if resp, err = req.RequestWith(ctx, m.cl); err != nil {
			return err
		}
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	m.id, m.generation = resp.MemberID, resp.Generation
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = m.group, m.id, m.generation
	protocol, kind := "range", "consumer"
	sync.Protocol, sync.ProtocolType = &protocol, &kind
	if resp.LeaderID == m.id {
		for i, one := range resp.Members {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = one.MemberID, share(i, len(resp.Members))
			sync.GroupAssignment = append(sync.GroupAssignment, a)
		}
	}
	given, err := sync.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(given.ErrorCode); err != nil {
		return err
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(given.MemberAssignment); err != nil {
		return fmt.Errorf("the assignment cannot be read: %w", err)
	}
	for _, t := range a.Topics {
		m.parts = append(m.parts, t.Partitions...)
	}
	return nil
}

// share is the assignment of member i of n.
func share(i, n int) []byte {
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic = topicName
	for p := i; p < partitions; p += n {
		t.Partitions = append(t.Partitions, int32(p))
	}
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}

// joinConsumer takes part until the coordinator has said what the member may have.
func (m *member) joinConsumer(ctx context.Context) error {
	if m.id == "" || m.generation < 0 {
		m.id, m.generation = fmt.Sprintf("%p-%d", m, time.Now().UnixNano()), 0
	}
	err := m.beat(ctx)
	if err == errRebalance {
		err = nil
	}
	return err
}

// beat is a heartbeat of the consumer protocol that tells everything. errRebalance: the member has other partitions now.
func (m *member) beat(ctx context.Context) error {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis, req.SubscribedTopicNames = m.group, m.id, m.generation, rebalanceMs, []string{topicName}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if len(m.parts) > 0 {
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID, t.Partitions = m.topicID, m.parts
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	m.generation = resp.MemberEpoch
	if resp.Assignment == nil {
		return nil
	}
	var parts []int32
	for _, t := range resp.Assignment.Topics {
		parts = append(parts, t.Partitions...)
	}
	slices.Sort(parts)
	if slices.Equal(parts, m.parts) {
		return nil
	}
	m.parts = parts
	return errRebalance
}

// heartbeat says whether the member may go on with what it has.
func (m *member) heartbeat(ctx context.Context) error {
	if m.consumer {
		return m.beat(ctx)
	}
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	if err = kerr.ErrorForCode(resp.ErrorCode); errors.Is(err, kerr.RebalanceInProgress) {
		return errRebalance
	}
	return err
}

// leave says goodbye, if anybody hears it.
func (m *member) leave() {
	if m.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), asking)
	defer cancel()
	if m.consumer {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch = m.group, m.id, -1
		_, _ = req.RequestWith(ctx, m.cl)
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	one := kmsg.NewLeaveGroupRequestMember()
	req.Group, req.MemberID, one.MemberID = m.group, m.id, m.id
	req.Members = append(req.Members, one)
	_, _ = req.RequestWith(ctx, m.cl)
}

// commit is a commit outside of any transaction.
func (m *member) commit(ctx context.Context, next map[int32]int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topicName, m.topicID
	for p, offset := range next {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = p, offset
		t.Partitions = append(t.Partitions, rp)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, m.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
