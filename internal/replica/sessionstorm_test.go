package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Followers whose polls end only when something has happened, and everything that can happen, all at once. Whatever is forgotten to be
// told stalls a follower for longer than the test waits: then acks=all is not answered, or a follower does not come to the log's end.
func TestNothingIsForgottenToTellAFollower(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 150
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { sessionStorm(t, seed, rounds) })
	}
}

const (
	watchedPartitions = 12
	watchedAppenders  = 4
	watchedAppends    = 5 // by each appender in a round, at most
	stalled           = 10 * time.Second
)

var watchers = []int32{2, 3}

type sessionStormRig struct {
	*rig
	followers []*sessionFollower
	id        byte // of the topic
	epochs    [watchedPartitions]atomic.Int32
}

func sessionStorm(t *testing.T, seed uint64, rounds int) {
	s := &sessionStormRig{rig: newRig(t, func(c *Config) { c.Clock = clock.Real{} }), id: 1}
	s.create("t", s.id, watchedPartitions, me, 2, 3)
	for i, id := range watchers {
		s.followers = append(s.followers, newSessionFollower(s, id, rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	var wg sync.WaitGroup
	for _, f := range s.followers {
		wg.Go(f.run)
	}
	defer func() {
		for _, f := range s.followers {
			f.stop.Store(true)
		}
		s.poke()
		wg.Wait()
	}()
	rng := rand.New(rand.NewPCG(seed, 99))
	for round := range rounds {
		s.round(rng, seed, round)
		s.wantAll(round)
		if t.Failed() {
			return
		}
	}
}

// poke ends the polls.
func (s *sessionStormRig) poke() {
	for i := range int32(watchedPartitions) {
		s.newTerm(i)
	}
}

func (s *sessionStormRig) newTerm(partition int32) {
	c := meta.NewPartitionChange(meta.UUID{s.id}, partition)
	c.Leader = me
	s.apply(c)
	s.epochs[partition].Store(s.img.Partition("t", partition).LeaderEpoch)
}

func (s *sessionStormRig) round(rng *rand.Rand, seed uint64, round int) {
	var wg sync.WaitGroup
	for i := range rng.IntN(watchedAppenders) {
		wg.Go(func() { s.appendMany(rand.New(rand.NewPCG(seed, uint64(1000+round*watchedAppenders+i)))) })
	}
	for range max(rng.IntN(40)-36, 0) {
		s.disturb(rng)
		time.Sleep(time.Duration(rng.IntN(500)) * time.Microsecond)
	}
	wg.Wait()
}

// disturb does something of what can happen to a partition.
func (s *sessionStormRig) disturb(rng *rand.Rand) {
	i := int32(rng.IntN(watchedPartitions))
	switch rng.IntN(4) {
	case 0:
		s.newTerm(i)
	case 1:
		p := meta.NewPartitionChange(meta.UUID{s.id}, i)
		p.ISR = [][]int32{{me, 2}, {me, 3}, {me, 2, 3}, {me}}[rng.IntN(4)]
		s.apply(p)
	case 2:
		_, errs := s.m.DeleteRecords(map[storage.TopicPartition]int64{tp("t", i): -1})
		for _, err := range errs {
			s.t.Error(err)
		}
	case 3:
		s.followers[rng.IntN(len(watchers))].drop.Store(1 + i)
	}
}

func (s *sessionStormRig) appendMany(rng *rand.Rand) {
	var open sync.WaitGroup
	for range 1 + max(rng.IntN(watchedAppends*4)-watchedAppends*3, 0) {
		var parts []Append
		for i := range int32(watchedPartitions) {
			if rng.IntN(6) == 0 {
				parts = append(parts, Append{TP: tp("t", i), Batches: batch("x")})
			}
		}
		if len(parts) == 0 {
			continue
		}
		open.Add(1)
		s.m.Produce(parts, -1, stalled, func() {
			for i := range parts {
				if err := parts[i].Err; errors.Is(err, ErrRequestTimedOut) {
					s.t.Errorf("%s: offset %d is not acknowledged", parts[i].TP, parts[i].Info.LastOffset)
				}
			}
			open.Done()
		})
		time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
	}
	open.Wait()
}

// wantAll waits until the followers have everything.
func (s *sessionStormRig) wantAll(round int) {
	for _, f := range s.followers {
		for i := range int32(watchedPartitions) {
			end := s.logOf(i).LogEndOffset()
			for until := time.Now().Add(stalled); f.at[i].Load() != end; runtime.Gosched() { // at once: the next append shall meet the poll as it parks
				if time.Now().After(until) {
					s.t.Errorf("round %d: follower %d stands at %d of partition %d, which ends at %d", round, f.id, f.at[i].Load(), i, end)
					return
				}
			}
		}
	}
}

func (s *sessionStormRig) logOf(i int32) *storage.Log {
	p, err := s.m.Partition(tp("t", i))
	if err != nil {
		panic(err)
	}
	return p.Log()
}

// sessionFollower does what the broker's session and another broker's fetcher do.
type sessionFollower struct {
	s    *sessionStormRig
	id   int32
	rng  *rand.Rand
	stop atomic.Bool
	drop atomic.Int32 // one more than the partition to be taken out of the session for a moment

	session *Session
	watches map[int32]*Watch
	at      [watchedPartitions]atomic.Int64
}

func newSessionFollower(s *sessionStormRig, id int32, rng *rand.Rand) *sessionFollower {
	return &sessionFollower{s: s, id: id, rng: rng}
}

func (f *sessionFollower) begin() {
	if f.session != nil {
		f.session.Close()
	}
	f.session, f.watches = NewSession(), map[int32]*Watch{}
	for i := range int32(watchedPartitions) {
		f.watches[i] = f.session.Watch(i)
	}
}

func (f *sessionFollower) run() {
	f.begin()
	for !f.stop.Load() {
		if f.rng.IntN(400) == 0 {
			f.begin()
		}
		f.fetch()
	}
	f.session.Close()
}

func (f *sessionFollower) fetch() {
	var parts []FetchPart
	more := func(due []*Watch) []FetchPart {
		for _, w := range due {
			parts = append(parts, f.part(w))
		}
		return parts
	}
	more(f.session.Take())
	spec := FetchSpec{
		MaxWait: never, MinBytes: 1, MaxBytes: 1 + int64(f.rng.IntN(2000)), Isolation: ReadLogEnd,
		FromReplica: true, Replica: f.id, ReplicaEpoch: 1, Session: f.session, More: more,
	}
	answered := make(chan struct{})
	f.s.m.Fetch(spec, parts, func() { close(answered) })
	<-answered
	for i := range parts {
		f.take(&parts[i])
	}
	if i := f.drop.Swap(0) - 1; i >= 0 {
		f.watches[i].Forget()
		f.watches[i] = f.session.Watch(i)
	}
}

func (f *sessionFollower) part(w *Watch) FetchPart {
	i := w.Owner.(int32)
	part := fromPartition("t", i, f.at[i].Load())
	part.Watch, part.LeaderEpoch = w, f.s.epochs[i].Load()
	return part
}

// take goes on behind what has come, as the next request would say.
func (f *sessionFollower) take(p *FetchPart) {
	i := p.Watch.Owner.(int32)
	switch {
	case errors.Is(p.Err, storage.ErrOffsetOutOfRange): // others were in sync without it, and what it lacks is deleted
		f.at[i].Store(f.s.logOf(i).LogStartOffset())
	case p.Err != nil:
		if !slices.ContainsFunc([]error{ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch, ErrNotLeader}, func(err error) bool { return errors.Is(p.Err, err) }) {
			f.s.t.Errorf("partition %d: %v", i, p.Err)
		}
		time.Sleep(50 * time.Microsecond)
	case p.Slice != nil:
		f.at[i].Store(p.Slice.NextOffset)
		p.clear()
	default:
		return
	}
	f.watches[i].Want()
}
