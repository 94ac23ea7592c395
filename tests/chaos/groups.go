package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// seatsEach is how many members each watched group has; the first of them is a static one.
	seatsEach = 3
	// leaveOne of so many lives ends with a goodbye; the others are cut short.
	leaveOne = 3
	// memberSession is the least that brokers allow: the dead are noticed soon.
	memberSession = 6 * time.Second
	// patientRequest is longer than any fault: a request that was sent is answered or dies with its broker. A client that gave up
	// on a paused broker and committed again elsewhere could itself, at that broker's return, bring an older commit after a newer.
	patientRequest = 3 * time.Minute
	// convergeTimeout bounds the time after the last fault until every group has shared out its partitions: sessions of the
	// dead must end, and rebalances too.
	convergeTimeout = 60 * time.Second
)

// watched is a group that reads the main topic, whose members come, leave and die while the cluster is hurt.
type watched struct {
	name string
	opts []kgo.Opt

	mu       sync.Mutex
	seats    [seatsEach]map[int32]bool // the partitions of whoever sits there now; nil while nobody does
	consumed map[int32]map[int64]bool
	died     int
	left     int
}

// watchedGroups are one of each protocol.
func watchedGroups() []*watched {
	classic := []kgo.Opt{kgo.SessionTimeout(memberSession)}
	return []*watched{
		newWatched("chaos-eager", append(classic, kgo.Balancers(kgo.RangeBalancer()))...),
		newWatched("chaos-cooperative", append(classic[:1:1], kgo.Balancers(kgo.CooperativeStickyBalancer()))...),
		newWatched("chaos-consumer", kgo.ServerSideBalancer()),
	}
}

func newWatched(name string, opts ...kgo.Opt) *watched {
	w := &watched{name: name, opts: opts, consumed: map[int32]map[int64]bool{}}
	for p := range int32(partitions) {
		w.consumed[p] = map[int64]bool{}
	}
	return w
}

// sit keeps one seat taken until ctx ends, by one member after the other while the cluster is hurt.
func (w *watched) sit(ctx, hurt context.Context, c *cluster, seat int, rnd *rand.Rand) error {
	for ctx.Err() == nil {
		if err := w.live(ctx, hurt, c, seat, rnd); err != nil {
			return err
		}
	}
	return nil
}

// live is one member.
func (w *watched) live(ctx, hurt context.Context, c *cluster, seat int, rnd *rand.Rand) error {
	l := newLife()
	owned := map[int32]bool{}
	change := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, p := range parts[mainTopic] {
				if has {
					owned[p] = true
				} else {
					delete(owned, p)
				}
			}
		}
	}
	opts := append([]kgo.Opt{
		kgo.Dialer(l.dial), kgo.ConsumerGroup(w.name), kgo.ConsumeTopics(mainTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitInterval(300 * time.Millisecond), kgo.HeartbeatInterval(500 * time.Millisecond), kgo.RequestTimeoutOverhead(patientRequest),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	}, w.opts...)
	if seat == 0 {
		opts = append(opts, kgo.InstanceID(w.name+"-static"))
	}
	cl, err := c.client(opts...)
	if err != nil {
		return err
	}
	w.take(seat, owned)
	defer w.take(seat, nil)
	goodbye := rnd.IntN(leaveOne) == 0
	poll, stop := context.WithCancel(ctx)
	defer stop()
	if goodbye {
		t := time.AfterFunc(span(rnd), func() {
			if hurt.Err() == nil {
				w.count(&w.left)
				stop()
			}
		})
		defer t.Stop()
		defer l.end()
	} else {
		defer l.dieAfter(span(rnd), hurt, func() { w.count(&w.died); stop() })()
	}
	for poll.Err() == nil {
		w.saw(cl.PollFetches(poll))
	}
	cl.Close() // the dead reach nobody by it
	return nil
}

func (w *watched) take(seat int, owned map[int32]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seats[seat] = owned
}

func (w *watched) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

func (w *watched) saw(fs kgo.Fetches) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fs.EachRecord(func(r *kgo.Record) { w.consumed[r.Partition][r.Offset] = true })
}

// shared says what is wrong with how the members themselves see the partitions shared out: each must have one owner.
func (w *watched) shared() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	owner := map[int32]int{}
	for seat, owned := range w.seats {
		if owned == nil {
			return fmt.Errorf("group %s: nobody sits on seat %d", w.name, seat)
		}
		if len(owned) == 0 {
			return fmt.Errorf("group %s: the member on seat %d has no partition", w.name, seat)
		}
		for p := range owned {
			if other, ok := owner[p]; ok {
				return fmt.Errorf("group %s: the members on seats %d and %d both have partition %d", w.name, other, seat, p)
			}
			owner[p] = seat
		}
	}
	if len(owner) != partitions {
		return fmt.Errorf("group %s: %d of %d partitions have an owner", w.name, len(owner), partitions)
	}
	return nil
}

// unconsumed are records that no member of the group has got though the group is past them.
func (w *watched) unconsumed(recs found) *problems {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &problems{}
	for part, rs := range recs {
		for _, r := range rs {
			if !w.consumed[part][r.Offset] {
				p.add("%s-%d, offset %d reached no member of group %s", mainTopic, part, r.Offset, w.name)
			}
		}
	}
	return p
}

// converged waits until each group has shared out its partitions among the members that live, and its coordinator knows of
// no others.
func converged(ctx context.Context, c *cluster, groups []*watched) error {
	adm := kadm.NewClient(c.admin)
	var err error
	for deadline := time.Now().Add(convergeTimeout); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if err = allShared(ctx, adm, groups); err == nil {
			return nil
		}
	}
	return err
}

func allShared(ctx context.Context, adm *kadm.Client, groups []*watched) error {
	for _, w := range groups {
		if err := w.shared(); err != nil {
			return err
		}
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		state, n, err := describe(ask, adm, w.name)
		cancel()
		if err != nil {
			return fmt.Errorf("group %s: %w", w.name, err)
		}
		if state != "Stable" || n != seatsEach {
			return fmt.Errorf("group %s is %s with %d members, %d live", w.name, state, n, seatsEach)
		}
	}
	return nil
}

// describe asks the coordinator of a group of either protocol.
func describe(ctx context.Context, adm *kadm.Client, name string) (state string, n int, err error) {
	classic, err := adm.DescribeGroups(ctx, name)
	if g := classic[name]; err == nil && g.Err == nil && g.State != "Dead" {
		return g.State, len(g.Members), nil
	}
	groups, err := adm.DescribeConsumerGroups(ctx, name)
	if err != nil {
		return "", 0, err
	}
	g := groups[name]
	return g.State, len(g.Members), g.Err
}

// commit is one committed offset, in the order of the log.
type commit struct {
	group, topic string
	partition    int32
	offset       int64
}

// history reads what groups have committed from the offsets topic itself: what a coordinator answers may be late, the log is not.
func history(ctx context.Context, c *cluster) ([]commit, error) {
	const offsetsTopic, offsetsPartitions = "__consumer_offsets", 5
	recs, err := c.read(ctx, offsetsTopic, offsetsPartitions, true)
	if err != nil {
		return nil, err
	}
	var out []commit
	for _, rs := range recs { // a group has one partition
		for _, r := range rs {
			var k kmsg.OffsetCommitKey
			if k.ReadFrom(r.Key) != nil || k.Version > 1 || r.Value == nil {
				continue
			}
			var v kmsg.OffsetCommitValue
			if err := v.ReadFrom(r.Value); err != nil {
				return nil, fmt.Errorf("%s-%d, offset %d cannot be read: %w", offsetsTopic, r.Partition, r.Offset, err)
			}
			out = append(out, commit{k.Group, k.Topic, k.Partition, v.Offset})
		}
	}
	return out, nil
}

// goesBack looks for commits of the named groups that lie before an earlier one.
func goesBack(commits []commit, groups ...string) *problems {
	p := &problems{}
	last := map[commit]int64{} // by everything but the offset
	for _, c := range commits {
		if !slices.Contains(groups, c.group) {
			continue
		}
		key := c
		key.offset = 0
		if before, ok := last[key]; ok && c.offset < before {
			p.add("group %s committed %d of %s after %d", c.group, c.offset, c.topic+"-"+strconv.Itoa(int(c.partition)), before)
		}
		last[key] = c.offset
	}
	return p
}

// names of the groups whose commits may not go back.
func names(groups []*watched) []string {
	out := []string{commitGroup, copyGroup}
	for _, w := range groups {
		out = append(out, w.name)
	}
	return out
}
