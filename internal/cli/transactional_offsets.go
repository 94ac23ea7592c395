package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// copierPause lies between two tries of a request that the coordinator answers with "not yet".
const copierPause = 20 * time.Millisecond

// sendOffsets makes the offsets part of the transaction. The group is added to it by name: brokers that would do that by
// themselves find it there.
func (c *copier) sendOffsets(ctx context.Context, next map[int32]kgo.EpochOffset) error {
	id, epoch, err := c.producer.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = c.txnID, id, epoch, c.group
	if err := c.untilReady(ctx, func() error {
		resp, err := add.RequestWith(ctx, c.producer.Client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	}); err != nil {
		return err
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = c.txnID, id, epoch, c.group, -1
	if c.member && c.a.has("use-group-metadata") {
		req.MemberID, req.Generation = c.consumer.GroupMetadata()
	}
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = c.in
	for p, at := range next {
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.LeaderEpoch = p, at.Offset, at.Epoch
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	return c.untilReady(ctx, func() error {
		resp, err := req.RequestWith(ctx, c.producer.Client)
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
	})
}

// untilReady asks again while the answer is that it is too early, no longer than a call may take.
func (c *copier) untilReady(ctx context.Context, ask func() error) error {
	ctx, cancel := c.consumer.Deadline(ctx)
	defer cancel()
	for {
		err := ask()
		early := errors.Is(err, kerr.ConcurrentTransactions) || errors.Is(err, kerr.UnstableOffsetCommit) || kerr.IsRetriable(err)
		if !early || !sleepContext(ctx, copierPause) {
			return err
		}
	}
}

// committed are the offsets that the group has committed in the partitions, once no transaction is open over them; where there is
// none, the beginning.
func (c *copier) committed(ctx context.Context, partitions []int32) (map[int32]kgo.EpochOffset, error) {
	at := map[int32]kgo.EpochOffset{}
	if len(partitions) == 0 {
		return at, nil
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, topic.Partitions = c.in, partitions
	group.Group, group.MemberEpoch = c.group, -1
	group.Topics = append(group.Topics, topic)
	req.RequireStable = true
	req.Groups = append(req.Groups, group)
	if err := c.untilReady(ctx, func() error {
		resp, err := req.RequestWith(ctx, c.consumer.Client)
		if err != nil {
			return err
		}
		return readCommitted(resp, at)
	}); err != nil {
		return nil, c.consumer.Final(ctx, "committed", err)
	}
	begin := map[topicPartition]int64{}
	for _, p := range partitions {
		if _, ok := at[p]; !ok {
			begin[topicPartition{c.in, p}] = earliestOffset
		}
	}
	for tp, res := range c.listOffsets(c.consumer, begin, true) {
		if res.err != nil {
			return nil, res.err
		}
		at[tp.partition] = kgo.EpochOffset{Epoch: -1, Offset: res.offset}
	}
	return at, nil
}

// readCommitted fills at with what an answer holds.
func readCommitted(resp *kmsg.OffsetFetchResponse, at map[int32]kgo.EpochOffset) error {
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil && g.ErrorCode != client.CodeGroupIDNotFound {
			return err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
				if p.Offset >= 0 {
					at[p.Partition] = kgo.EpochOffset{Epoch: p.LeaderEpoch, Offset: p.Offset}
				}
			}
		}
	}
	return nil
}

// left is how many offsets lie between where the copy is and the end of what is committed now.
func (c *copier) left(ctx context.Context, at map[int32]kgo.EpochOffset) (int64, error) {
	ends := map[topicPartition]int64{}
	for p := range at {
		ends[topicPartition{c.in, p}] = latestOffset
	}
	left := int64(0)
	for tp, res := range c.listOffsets(c.consumer, ends, true) {
		if res.err != nil {
			return 0, res.err
		}
		left += res.offset - at[tp.partition].Offset
	}
	return left, ctx.Err()
}

// assign lets the consumer read its partition from the committed offset on.
func (c *copier) assign(ctx context.Context) (map[int32]kgo.EpochOffset, error) {
	p := int32(c.a.number("input-partition"))
	at, err := c.committed(ctx, []int32{p})
	if err != nil {
		return nil, err
	}
	from := kgo.NewOffset().At(at[p].Offset).WithEpoch(at[p].Epoch)
	c.consumer.RemoveConsumePartitions(map[string][]int32{c.in: {p}})
	c.consumer.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.in: {p: from}})
	return at, nil
}

// rewind goes back to the committed offsets, after a transaction that did not count.
func (c *copier) rewind(ctx context.Context) error {
	if !c.member {
		_, err := c.assign(ctx)
		return err
	}
	c.mu.Lock()
	partitions := slices.Collect(maps.Keys(c.at))
	c.mu.Unlock()
	at, err := c.committed(ctx, partitions)
	if err != nil {
		return err
	}
	c.mu.Lock()
	maps.Copy(c.at, at)
	c.mu.Unlock()
	c.consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{c.in: at})
	return nil
}
