package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Producers, consumers and a controller that changes roles, all at once. Whatever happens in
// between: the watermark never falls within a term, each request is answered once, nobody reads above the watermark
// that it is told, and what was acknowledged with acks -1 is there at the end, once.
func TestManyAtOnce(t *testing.T) {
	for _, flush := range []bool{false, true} {
		t.Run(fmt.Sprintf("flush %v", flush), func(t *testing.T) { manyAtOnce(t, flush) })
	}
}

const (
	stormPartitions = 3
	stormProducers  = 4
	stormReaders    = 4
	stormProduces   = 150 // by each producer
	stormChanges    = 60
)

type storm struct {
	*rig
	answers atomic.Int64 // requests that are not answered yet

	acked [stormPartitions]sync.Map // value -> true
	stop  atomic.Bool
}

func manyAtOnce(t *testing.T, flush bool) {
	s := &storm{}
	s.rig = newRig(t, func(c *Config) { c.FlushAcks, c.Clock = flush, clock.Real{} })
	s.create("t", 1, stormPartitions, me, other)
	for i := range int32(stormPartitions) {
		c := meta.NewPartitionChange(meta.UUID{1}, i)
		c.ISR = []int32{me}
		s.apply(c)
	}
	var working, watching sync.WaitGroup
	for i := range stormProducers {
		working.Go(func() { s.produceMany(rand.New(rand.NewPCG(1, uint64(i))), i) })
	}
	working.Go(func() { s.changeRoles(rand.New(rand.NewPCG(2, 2))) })
	for i := range stormReaders {
		watching.Go(func() { s.consume(rand.New(rand.NewPCG(3, uint64(i)))) })
	}
	watching.Go(s.watchMarks)
	working.Wait()
	s.afterTheStorm()
	s.stop.Store(true)
	watching.Wait()
	for until := time.Now().Add(patience); s.answers.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d requests are not answered", s.answers.Load())
		}
	}
	s.check()
}

// once counts an answer; a second one to the same request fails the test.
func (s *storm) once(fn func()) func() {
	s.answers.Add(1)
	var called atomic.Bool
	return func() {
		if called.Swap(true) {
			s.t.Error("a request was answered twice")
			return
		}
		fn()
		s.answers.Add(-1)
	}
}

func (s *storm) produceMany(rng *rand.Rand, me int) {
	for i := range stormProduces {
		var parts []Append
		var names []string
		for p := range int32(stormPartitions) {
			if rng.IntN(2) == 0 {
				name := fmt.Sprintf("%d-%d-%d", me, i, p)
				names = append(names, name)
				parts = append(parts, Append{TP: tp("t", p), Batches: batch(name)})
			}
		}
		acks := int16(rng.IntN(3) - 1)
		answered := make(chan struct{})
		s.m.Produce(parts, acks, time.Duration(rng.IntN(20))*time.Millisecond, s.once(func() {
			for i := range parts {
				if a := &parts[i]; a.Err == nil && acks == -1 {
					s.checkCommitted(a)
					s.acked[a.TP.Partition].Store(names[i], true)
				}
			}
			close(answered)
		}))
		if rng.IntN(3) > 0 {
			<-answered
		}
	}
}

// checkCommitted: an acknowledged record lies below the watermark.
func (s *storm) checkCommitted(a *Append) {
	if p, err := s.m.Partition(a.TP); err == nil && p.Log().HighWatermark() <= a.Info.LastOffset {
		s.t.Errorf("offset %d of %s was acknowledged above the high watermark", a.Info.LastOffset, a.TP)
	}
}

// changeRoles takes leadership away and gives it back, grows and shrinks the ISR, and changes min.insync.replicas.
func (s *storm) changeRoles(rng *rand.Rand) {
	for range stormChanges {
		c := meta.NewPartitionChange(meta.UUID{1}, int32(rng.IntN(stormPartitions)))
		switch rng.IntN(4) {
		case 0:
			c.Leader = []int32{me, other, meta.NoLeader}[rng.IntN(3)]
		case 1:
			c.ISR = []int32{me, other}
		case 2:
			s.setMinISR(1 + rng.IntN(2))
			c.ISR = []int32{me}
		default:
			c.Leader, c.ISR = me, []int32{me}
		}
		s.apply(c)
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
	}
	s.setMinISR(1)
	for i := range int32(stormPartitions) {
		c := meta.NewPartitionChange(meta.UUID{1}, i)
		c.Leader, c.ISR = me, []int32{me}
		s.apply(c)
	}
}

// afterTheStorm appends with patience: on a busy machine every produce of the storm may have timed out.
func (s *storm) afterTheStorm() {
	for i := range int32(stormPartitions) {
		name := fmt.Sprintf("last-%d", i)
		parts := []Append{{TP: tp("t", i), Batches: batch(name)}}
		answered := make(chan struct{})
		s.m.Produce(parts, -1, patience, s.once(func() { close(answered) }))
		<-answered
		if parts[0].Err != nil {
			s.t.Fatalf("after the storm: %v", parts[0].Err)
		}
		s.acked[i].Store(name, true)
	}
}

func (s *storm) consume(rng *rand.Rand) {
	var at [stormPartitions]int64
	for !s.stop.Load() {
		parts := make([]FetchPart, stormPartitions)
		for i := range parts {
			parts[i] = fromPartition("t", int32(i), at[i])
		}
		spec := FetchSpec{MaxWait: time.Duration(rng.IntN(10)) * time.Millisecond, MinBytes: int64(rng.IntN(500)), MaxBytes: 1 + int64(rng.IntN(2000))}
		answered := make(chan struct{})
		parked := s.m.Fetch(spec, parts, s.once(func() { close(answered) }))
		if parked != nil && rng.IntN(4) == 0 && parked.Cancel() {
			s.answers.Add(-1) // it never comes
			continue
		}
		<-answered
		for i := range parts {
			at[i] = s.taken(&parts[i])
		}
	}
}

// taken checks what a part has brought and returns where to go on.
func (s *storm) taken(p *FetchPart) int64 {
	if p.Err != nil {
		if !errors.Is(p.Err, ErrNotLeader) {
			s.t.Errorf("%s at %d: %v", p.TP, p.Offset, p.Err)
		}
		return p.Offset
	}
	if p.Slice == nil {
		return p.Offset
	}
	defer p.Slice.Release()
	b, err := p.Slice.Bytes()
	if err != nil {
		s.t.Error(err)
		return p.Offset
	}
	next := p.Offset
	for len(b) > 0 {
		var one record.Batch
		if one, b, err = record.Next(b); err != nil || one.BaseOffset() != next || one.LastOffset() >= p.HighWatermark {
			s.t.Errorf("%s: a batch at [%d,%d] where %d was due below the high watermark %d: %v", p.TP, one.BaseOffset(), one.LastOffset(), next, p.HighWatermark, err)
			return p.Offset
		}
		next = one.NextOffset()
	}
	return next
}

func (s *storm) watchMarks() {
	var last [stormPartitions]int64
	for !s.stop.Load() {
		for i := range last {
			p, err := s.m.Partition(tp("t", int32(i)))
			if err != nil {
				s.t.Error(err)
				return
			}
			log := p.Log()
			hw := log.HighWatermark()
			if end := log.LogEndOffset(); hw < last[i] || hw > end {
				s.t.Errorf("partition %d: high watermark %d after %d, log end %d", i, hw, last[i], end)
			}
			last[i] = hw
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// check reads everything and looks for each acknowledged record.
func (s *storm) check() {
	for i := range int32(stormPartitions) {
		found := map[string]int{}
		_, _, err := s.m.ReadAll(tp("t", i), func(b []byte) error {
			for len(b) > 0 {
				one, rest, err := record.Next(b)
				if err != nil {
					return err
				}
				if err := one.ForEach(func(r record.Record) error { found[string(r.Value)]++; return nil }); err != nil {
					return err
				}
				b = rest
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
		n := 0
		s.acked[i].Range(func(name, _ any) bool {
			if n++; found[name.(string)] != 1 {
				s.t.Errorf("%v was acknowledged and is there %d times", name, found[name.(string)])
			}
			return true
		})
		if n == 0 {
			s.t.Errorf("nothing was acknowledged in partition %d: the test tests nothing", i)
		}
	}
}

// Topics come and go while they are written to and read from.
func TestTopicsThatComeAndGoUnderLoad(t *testing.T) {
	s := &storm{rig: newRig(t, func(c *Config) { c.Clock = clock.Real{} })}
	s.create("t", 1, 1)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !s.stop.Load() {
				answered := make(chan struct{})
				parts := []Append{to("t", "x")}
				s.m.Produce(parts, -1, time.Second, s.once(func() { close(answered) }))
				<-answered
				s.allowed(parts[0].Err)
			}
		})
		wg.Go(func() {
			for !s.stop.Load() {
				answered := make(chan struct{})
				parts := []FetchPart{from("t", 0)}
				s.m.Fetch(FetchSpec{MaxWait: time.Second, MinBytes: 1 << 16, MaxBytes: 1 << 20}, parts, s.once(func() { close(answered) }))
				<-answered
				s.allowed(parts[0].Err)
				parts[0].clear()
			}
		})
	}
	for id := byte(2); id < 40; id++ {
		s.apply(&meta.RemoveTopicRecord{TopicID: meta.UUID{id - 1}})
		s.create("t", id, 1)
		time.Sleep(time.Millisecond)
	}
	s.stop.Store(true)
	s.m.Stop()
	wg.Wait()
	if n := s.answers.Load(); n != 0 {
		t.Fatalf("%d requests are not answered", n)
	}
}

// allowed: what a request to a topic that comes and goes may meet.
func (s *storm) allowed(err error) {
	for _, ok := range []error{nil, ErrUnknownTopicOrPartition, ErrNotLeader, ErrShuttingDown, storage.ErrClosed} {
		if errors.Is(err, ok) {
			return
		}
	}
	s.t.Error(err)
}
