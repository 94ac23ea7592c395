package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// copiers is how many members each group has.
	copiers = 2
	// copySize is how many records a transaction copies at most.
	copySize = 40
	// copyPoll is how long a copier waits for records before it sends its heartbeat.
	copyPoll = 300 * time.Millisecond
	// linger is how long a copier may stand still within a transaction: longer than its session, and than the transaction's time.
	linger = 9 * time.Second
)

// copyGroup is a group whose members copy the ledger's topic to another, in transactions with the offsets that they have come to.
type copyGroup struct {
	*apps
	protocol, name, out string

	troubles []string // the last that ended lives, guarded by mu
}

var (
	errRebalance = errors.New("the group has changed")
	errDeath     = errors.New("the copier dies")
)

// copy is a member's lives, one after the other, until the applications are closed.
func (g *copyGroup) copy(i int, host string, rnd *rand.Rand) {
	id := fmt.Sprintf("%s-%d", g.name, i)
	defer g.finish(host, id)
	for !g.stopped() {
		cl := g.producer(host, id, kgo.DefaultProduceTopic(g.out))
		if cl == nil {
			continue
		}
		m := &member{group: g.name, consumer: g.protocol == "consumer", topicID: g.topicID, txnID: id, cl: cl}
		err := g.live(m, host, rnd)
		g.trouble(host, err)
		if err != errDeath {
			m.leave()
		}
		cl.Close()
		time.Sleep(again)
	}
}

// trouble remembers why a life has ended.
func (g *copyGroup) trouble(host string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.troubles = append(g.troubles, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05"), host, err))
	g.troubles = g.troubles[max(0, len(g.troubles)-12):]
}

// live copies until something goes wrong.
func (g *copyGroup) live(m *member, host string, rnd *rand.Rand) error {
	for !g.stopped() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := m.join(ctx)
		from := map[int32]kgo.Offset{}
		if err == nil && len(m.parts) > 0 {
			from, err = g.committed(ctx, m.cl, m.parts)
		}
		cancel()
		if err != nil {
			return err
		}
		if err := g.copyFrom(m, host, from, rnd); err != nil && err != errRebalance {
			return err
		}
	}
	return nil
}

// copyFrom copies until the group changes.
func (g *copyGroup) copyFrom(m *member, host string, from map[int32]kgo.Offset, rnd *rand.Rand) error {
	in := g.w.connect(host, kgo.FetchMaxWait(copyPoll), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topicName: from}))
	defer in.Close()
	for !g.stopped() {
		ctx, cancel := context.WithTimeout(context.Background(), copyPoll)
		var fs kgo.Fetches
		if len(from) > 0 {
			fs = in.PollRecords(ctx, copySize)
		} else {
			<-ctx.Done()
		}
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), patience)
		err := m.heartbeat(ctx)
		if err == nil && fs.NumRecords() > 0 {
			err = g.transaction(ctx, m, fs, rnd)
		}
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// transaction copies some records. One that is aborted ends as a rebalance does: what was read is read again.
func (g *copyGroup) transaction(ctx context.Context, m *member, fs kgo.Fetches, rnd *rand.Rand) error {
	if err := m.cl.BeginTransaction(); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed error
	next := map[int32]int64{}
	fs.EachRecord(func(r *kgo.Record) {
		next[r.Partition] = r.Offset + 1
		m.cl.Produce(ctx, &kgo.Record{Partition: r.Partition, Value: slices.Clone(r.Value)}, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	})
	err := m.cl.Flush(ctx)
	mu.Lock()
	err = errors.Join(err, failed)
	mu.Unlock()
	if err != nil {
		return err
	}
	calm := g.calm.Load()
	if !calm && rnd.IntN(8) == 0 { // time for a rebalance to come between
		time.Sleep(time.Duration(rnd.Int64N(int64(linger))))
	}
	if err := g.sendOffsets(ctx, m, next); err != nil {
		return err
	}
	if !calm && rnd.IntN(dieOne) == 0 {
		return errDeath
	}
	commit := calm || rnd.IntN(abortOne) != 0
	if err := m.cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return err
	}
	if !commit {
		return errRebalance
	}
	return nil
}

// sendOffsets makes the offsets part of the transaction, in the member's name.
func (g *copyGroup) sendOffsets(ctx context.Context, m *member, next map[int32]int64) error {
	if g.w.flaws.offsetsFirst {
		return m.commit(ctx, next)
	}
	id, epoch, err := m.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = m.txnID, id, epoch, g.name
	if err := untilReady(ctx, func() error {
		resp, err := add.RequestWith(ctx, m.cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	}); err != nil {
		return err
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.MemberID, req.Generation = m.txnID, id, epoch, g.name, m.id, m.generation
	if g.w.flaws.nobodysOffsets {
		req.MemberID, req.Generation = "", -1
	}
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = topicName
	for p, offset := range next {
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = p, offset
		t.Partitions = append(t.Partitions, rp)
	}
	req.Topics = append(req.Topics, t)
	return untilReady(ctx, func() error {
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
	})
}

// untilReady asks again while the answer is that it is too early.
func untilReady(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !errors.Is(err, kerr.ConcurrentTransactions) && !errors.Is(err, kerr.UnstableOffsetCommit) && !kerr.IsRetriable(err) || ctx.Err() != nil {
			return err
		}
		time.Sleep(again)
	}
}

// committed are the group's offsets, once no transaction is open over them.
func (g *copyGroup) committed(ctx context.Context, cl *kgo.Client, parts []int32) (map[int32]kgo.Offset, error) {
	from := map[int32]kgo.Offset{}
	at, err := g.offsets(ctx, cl, parts)
	for p, offset := range at {
		if from[p] = kgo.NewOffset().AtStart(); offset >= 0 {
			from[p] = kgo.NewOffset().At(offset)
		}
	}
	return from, err
}

// offsets are those that are committed; -1 where there is none.
func (g *copyGroup) offsets(ctx context.Context, cl *kgo.Client, parts []int32) (map[int32]int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.MemberEpoch = g.name, -1
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topicName, parts
	rg.Topics = append(rg.Topics, t)
	req.Groups = append(req.Groups, rg)
	at := map[int32]int64{}
	err := untilReady(ctx, func() error {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, rg := range resp.Groups {
			if err := kerr.ErrorForCode(rg.ErrorCode); err != nil {
				return err
			}
			for _, t := range rg.Topics {
				for _, p := range t.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						return err
					}
					at[p.Partition] = p.Offset
				}
			}
		}
		return nil
	})
	if err == nil && len(at) != len(parts) {
		err = fmt.Errorf("%d offsets for %d partitions", len(at), len(parts))
	}
	return at, err
}
