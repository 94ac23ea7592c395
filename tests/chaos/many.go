package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	manyGroups = "10,000 groups outlive their coordinator"

	groupCount = 10_000
	// groupsAtOnce is how many groups one request asks for, and how many commit at once.
	groupsAtOnce = 500
	committers   = 16
	// groupsPatience is how long the groups may take to be there again.
	groupsPatience = time.Minute
)

// timeGroups kills the coordinator of groups that all have an offset, and tells how long it takes until each one's is told again.
func (n *nemesis) timeGroups(ctx context.Context, rep *report.Report) error {
	names := groupsOfOnePartition()
	topics, err := kadm.NewClient(n.c.admin).ListTopics(ctx, mainTopic)
	if err != nil {
		return err
	}
	id := topics[mainTopic].ID
	if err := n.commitAll(ctx, id, names); err != nil {
		return err
	}
	for from := 0; from < len(names); from += groupsAtOnce {
		if err := told(ctx, n.c.admin, id, names[from:from+groupsAtOnce]); err != nil {
			return err
		}
	}
	if _, err := n.c.untilWhole(ctx); err != nil {
		return err
	}
	v := n.c.coordinator(ctx, 0, names[0])
	if v == 0 {
		return errors.New("nobody says who coordinates the groups")
	}
	cl, err := n.c.client(quick()...)
	if err != nil {
		return err
	}
	defer func() { cl.Close() }()
	n.c.nodes[v].Kill()
	start := time.Now()
	first := time.Duration(0)
	for from := 0; from < len(names); {
		err := told(ctx, cl, id, names[from:from+groupsAtOnce])
		switch {
		case err == nil:
			if first == 0 {
				first = time.Since(start)
			}
			from += groupsAtOnce
		case errors.Is(err, errWrongOffset), time.Since(start) > groupsPatience, ctx.Err() != nil:
			return err
		default: // this client would go on asking a coordinator that it has once found
			cl.Close()
			time.Sleep(2 * time.Millisecond)
			if cl, err = n.c.client(quick()...); err != nil {
				return err
			}
		}
	}
	rep.Note("failover: %s: the first offsets %s after kill -9, all %s", manyGroups, first.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	return n.start(v)
}

// groupsOfOnePartition are names whose offsets lie in one partition of __consumer_offsets, so that one node coordinates all.
func groupsOfOnePartition() []string {
	var names []string
	for i := 0; len(names) < groupCount; i++ {
		if name := fmt.Sprintf("one-of-many-%06d", i); javaHash(name)&0x7fffffff%5 == 0 {
			names = append(names, name)
		}
	}
	return names
}

// javaHash is String.hashCode, by which a group finds its partition.
func javaHash(s string) int32 {
	h := int32(0)
	for _, c := range []byte(s) {
		h = 31*h + int32(c)
	}
	return h
}

const committedOffset = 7

func (n *nemesis) commitAll(ctx context.Context, topic kadm.TopicID, names []string) error {
	var wg sync.WaitGroup
	errs := make([]error, committers)
	for w := range committers {
		wg.Go(func() {
			for i := w; i < len(names) && errs[w] == nil; i += committers {
				errs[w] = n.commit(ctx, topic, names[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (n *nemesis) commit(ctx context.Context, topic kadm.TopicID, group string) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = mainTopic, topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = committedOffset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, n.c.admin)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("cannot commit for group %s: %w", group, err)
	}
	return nil
}

var errWrongOffset = errors.New("a group has another offset than was committed")

// told asks once for the offsets of some groups.
func told(ctx context.Context, cl *kgo.Client, topic kadm.TopicID, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, name := range names {
		g := kmsg.NewOffsetFetchRequestGroup()
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		g.Group, t.Topic, t.TopicID, t.Partitions = name, mainTopic, topic, []int32{0}
		g.Topics = append(g.Topics, t)
		req.Groups = append(req.Groups, g)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(resp.Groups) != len(names) {
		return fmt.Errorf("%d groups of %d are told of", len(resp.Groups), len(names))
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return err
		}
		p := g.Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return err
		}
		if p.Offset != committedOffset {
			return fmt.Errorf("%w: %s has %d", errWrongOffset, g.Group, p.Offset)
		}
	}
	return nil
}
