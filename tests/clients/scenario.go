package clients

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Columns of the table, in order.
var Columns = []string{"create", "none", "gzip", "snappy", "lz4", "zstd", "consume", "compact", "eager", "coop", "kip848", "static", "commit", "idemp", "txn", "admin"}

// Bounds of single steps. A JVM on a loaded machine is slow; a hang is slower.
const (
	stepTimeout  = 120 * time.Second
	groupTimeout = 120 * time.Second
)

// scenario is one client's run.
type scenario struct {
	env    *Env
	c      Client
	row    *report.Row
	prefix string // of topic and group names
}

func (s *scenario) run(ctx context.Context) {
	t := s.c.Traits()
	if t.Create {
		s.step(ctx, "create", stepTimeout, s.create)
	}
	for i, codec := range t.Codecs {
		s.step(ctx, codec, stepTimeout, func(ctx context.Context) error { return s.produce(ctx, uint64(i), codec) })
	}
	if l, ok := s.c.(loader); ok {
		for _, codec := range []string{"none", "zstd"} {
			s.step(ctx, codec, stepTimeout, func(ctx context.Context) error {
				topic := s.prefix + codec
				if err := s.env.ref.create(ctx, topic, 3); err != nil {
					return err
				}
				return l.load(ctx, topic, codec)
			})
		}
		return
	}
	s.step(ctx, "consume", stepTimeout, s.consume)
	if !t.NoGaps {
		s.step(ctx, "compact", stepTimeout, s.compact)
	}
	for _, strategy := range t.Groups {
		column, ok := map[string]string{"eager": "eager", "cooperative": "coop", "consumer": "kip848"}[strategy]
		if !ok || strategy == "consumer" && !s.env.consumerProtocol {
			continue
		}
		s.step(ctx, column, groupTimeout, func(ctx context.Context) error { return s.group(ctx, strategy) })
	}
	if t.Static {
		s.step(ctx, "static", groupTimeout, s.static)
	}
	if t.Commit {
		s.step(ctx, "commit", stepTimeout, s.commit)
	}
	if t.Idempotent {
		s.step(ctx, "idemp", stepTimeout, s.idempotent)
	}
	if t.Transact {
		s.step(ctx, "txn", stepTimeout, s.transact)
	}
	if t.Admin {
		s.step(ctx, "admin", stepTimeout, s.admin)
	}
}

func (s *scenario) step(ctx context.Context, column string, limit time.Duration, fn func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	err := fn(ctx)
	s.row.Set(column, time.Since(start), err)
}

func (s *scenario) create(ctx context.Context) error {
	topic := s.prefix + "created"
	if err := s.c.Create(ctx, topic, 3); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		n, err := s.env.ref.partitionsOf(ctx, topic)
		if err == nil && n != 3 {
			err = fmt.Errorf("the topic has %d partitions instead of 3", n)
		}
		return err
	})
}

var codecNumbers = map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

// produce lets the client write a corpus and the reference read it.
func (s *scenario) produce(ctx context.Context, seed uint64, codec string) error {
	topic, partitions := s.prefix+codec, int32(corpus.Partitions)
	lim := s.c.Traits().Limits
	if lim.OnePartition {
		partitions = 1
	}
	if err := s.env.ref.create(ctx, topic, partitions); err != nil {
		return err
	}
	want := corpus.Make(seed, s.env.start, lim)
	if err := s.c.Produce(ctx, topic, codec, false, want); err != nil {
		return err
	}
	got, err := s.env.ref.read(ctx, topic)
	if err != nil {
		return err
	}
	if err := corpus.Compare(want, fromKgos(got), lim); err != nil {
		return err
	}
	for _, r := range got {
		if r.Attrs.CompressionType() == codecNumbers[codec] {
			return nil
		}
	}
	return fmt.Errorf("no batch in the log has codec %s", codec)
}

// consume lets the client read what the reference wrote with each codec that it knows.
func (s *scenario) consume(ctx context.Context) error {
	t := s.c.Traits()
	codecs := t.ReadCodecs
	if codecs == nil {
		codecs = t.Codecs
	}
	for _, codec := range codecs {
		want := s.env.written[codec]
		got, err := s.c.Consume(ctx, s.env.writtenTopic(codec), len(want))
		if err != nil {
			return fmt.Errorf("codec %s: %w", codec, err)
		}
		if err := corpus.Compare(want, got, t.ReadLimits); err != nil {
			return fmt.Errorf("codec %s: %w", codec, err)
		}
	}
	return nil
}

// groupPartitions is how many partitions the members of a group share.
const groupPartitions = 6

// group lets members come and go while records arrive, and checks each stable
// assignment and at the end that every record was delivered.
func (s *scenario) group(ctx context.Context, strategy string) error {
	topic, group := s.prefix+"group-"+strategy, s.prefix+"g-"+strategy
	if err := s.env.ref.create(ctx, topic, groupPartitions); err != nil {
		return err
	}
	feed, err := startFeed(ctx, s.env.bootstrap, topic)
	if err != nil {
		return err
	}
	defer feed.stop()
	join := func(names ...string) error {
		for _, n := range names {
			if err := s.c.Join(ctx, n, group, topic, strategy); err != nil {
				return fmt.Errorf("member %s cannot join: %w", n, err)
			}
		}
		return nil
	}
	leave := func(names ...string) error {
		for _, n := range names {
			if err := s.c.Leave(ctx, n); err != nil {
				return fmt.Errorf("member %s cannot leave: %w", n, err)
			}
		}
		return nil
	}
	// Names differ from strategy to strategy: a client keeps what its old members saw.
	m1, m2, m3 := strategy+"-1", strategy+"-2", strategy+"-3"
	stages := []struct {
		what   string
		do     func() error
		expect []string
	}{
		{"one member", func() error { return join(m1) }, []string{m1}},
		{"a second joins", func() error { return join(m2) }, []string{m1, m2}},
		{"a third joins", func() error { return join(m3) }, []string{m1, m2, m3}},
		{"the first leaves", func() error { return leave(m1) }, []string{m2, m3}},
		{"the second leaves", func() error { return leave(m2) }, []string{m3}},
	}
	for _, st := range stages {
		if err := st.do(); err != nil {
			return fmt.Errorf("%s: %w", st.what, err)
		}
		if err := s.awaitShared(ctx, st.expect); err != nil {
			return fmt.Errorf("%s: %w", st.what, err)
		}
	}
	sent, err := feed.finish(ctx)
	if err != nil {
		return fmt.Errorf("the reference cannot feed the group: %w", err)
	}
	if s.c.Traits().DropsOnLeave {
		return leave(m3)
	}
	if err := s.awaitAll(ctx, []string{m1, m2, m3}, sent); err != nil {
		return err
	}
	return leave(m3)
}

// awaitShared waits until the named members own every partition exactly once, each of them some.
func (s *scenario) awaitShared(ctx context.Context, names []string) error {
	for {
		states, err := s.c.Members(ctx)
		if err != nil {
			return err
		}
		problem := shared(states, names)
		if problem == nil {
			return nil
		}
		for _, n := range names {
			if states[n].Error != "" { // it has given up
				return problem
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (waited to the time limit)", problem)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func shared(states map[string]Member, names []string) error {
	owner := map[int32]string{}
	for _, n := range names {
		m := states[n]
		if m.Error != "" {
			return fmt.Errorf("member %s failed: %s", n, m.Error)
		}
		if len(m.Assigned) == 0 {
			return fmt.Errorf("member %s owns nothing; %s", n, owners(states))
		}
		for _, p := range m.Assigned {
			if other, twice := owner[p]; twice {
				return fmt.Errorf("partition %d belongs to %s and %s", p, other, n)
			}
			owner[p] = n
		}
	}
	if len(owner) != groupPartitions {
		return fmt.Errorf("%d of %d partitions are owned; %s", len(owner), groupPartitions, owners(states))
	}
	return nil
}

func owners(states map[string]Member) string {
	var parts []string
	for n, m := range states {
		parts = append(parts, fmt.Sprintf("%s: %v", n, m.Assigned))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// awaitAll waits until the members together saw offsets 0 to sent[p]-1 of each partition.
func (s *scenario) awaitAll(ctx context.Context, names []string, sent []int64) error {
	for {
		states, err := s.c.Members(ctx)
		if err != nil {
			return err
		}
		problem := delivered(states, names, sent)
		if problem == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return problem
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func delivered(states map[string]Member, names []string, sent []int64) error {
	seen := make([]map[int64]bool, len(sent))
	for p := range seen {
		seen[p] = map[int64]bool{}
	}
	for _, n := range names {
		for _, r := range states[n].Records {
			seen[r[0]][r[1]] = true
		}
	}
	for p, n := range sent {
		for o := range n {
			if !seen[p][o] {
				return fmt.Errorf("no member was given offset %d of partition %d (%d records in it)", o, p, n)
			}
		}
	}
	return nil
}

// feed writes a steady trickle to a topic until it is told to finish, or its context ends.
type feed struct {
	cl    *kgo.Client
	quit  context.CancelFunc
	ended chan struct{}
	sent  [groupPartitions]atomic.Int64
	err   atomic.Pointer[error]
}

func startFeed(ctx context.Context, bootstrap, topic string) (*feed, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds(bootstrap)...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, err
	}
	f := &feed{cl: cl, ended: make(chan struct{})}
	trickle, quit := context.WithCancel(ctx)
	f.quit = quit
	go f.loop(ctx, trickle.Done())
	return f, nil
}

func (f *feed) loop(ctx context.Context, quit <-chan struct{}) {
	defer close(f.ended)
	for i := 0; ; i++ {
		p := int32(i % groupPartitions)
		f.cl.Produce(ctx, &kgo.Record{Partition: p, Value: fmt.Appendf(nil, "%d", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				f.err.Store(&err)
				return
			}
			f.sent[p].Add(1)
		})
		select {
		case <-quit:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// finish ends the trickle and tells how many records each partition has.
func (f *feed) finish(ctx context.Context) ([]int64, error) {
	f.quit()
	<-f.ended
	if err := f.cl.Flush(ctx); err != nil {
		return nil, err
	}
	if err := f.err.Load(); err != nil {
		return nil, *err
	}
	sent := make([]int64, groupPartitions)
	for p := range sent {
		sent[p] = f.sent[p].Load()
	}
	return sent, nil
}

// stop lets go of all, also of what is not written yet.
func (f *feed) stop() {
	f.quit()
	<-f.ended
	f.cl.Close()
}

// commitAt is an offset in the middle of the topic that the commit step reads.
const commitAt = 37

func (s *scenario) commit(ctx context.Context) error {
	topic, group := s.prefix+"commit", s.prefix+"commit-group"
	if err := s.env.ref.create(ctx, topic, 1); err != nil {
		return err
	}
	var recs []corpus.Record
	for i := range 100 {
		recs = append(recs, corpus.Record{Offset: int64(i), TimestampMs: s.env.start.UnixMilli(), Value: fmt.Appendf(nil, "%d", i)})
	}
	if err := s.env.ref.write(ctx, topic, "none", recs); err != nil {
		return err
	}
	if err := s.c.Commit(ctx, group, topic, commitAt); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	at, err := s.env.ref.committed(ctx, group, topic)
	if err != nil {
		return fmt.Errorf("the reference cannot read the committed offset: %w", err)
	}
	if at != commitAt {
		return fmt.Errorf("offset %d is committed instead of %d", at, commitAt)
	}
	first, err := s.c.Resume(ctx, group, topic)
	if err != nil {
		return fmt.Errorf("cannot resume: %w", err)
	}
	if first != commitAt {
		return fmt.Errorf("resumed at offset %d instead of %d", first, commitAt)
	}
	return nil
}

func (s *scenario) idempotent(ctx context.Context) error {
	topic := s.prefix + "idempotent"
	if err := s.env.ref.create(ctx, topic, corpus.Partitions); err != nil {
		return err
	}
	lim := s.c.Traits().Limits
	want := corpus.Make(99, s.env.start, lim)
	if err := s.c.Produce(ctx, topic, "none", true, want); err != nil {
		return err
	}
	got, err := s.env.ref.read(ctx, topic)
	if err != nil {
		return err
	}
	if err := corpus.Compare(want, fromKgos(got), lim); err != nil {
		return err
	}
	for _, r := range got {
		if r.ProducerID < 0 || r.ProducerEpoch < 0 {
			return fmt.Errorf("offset %d of partition %d has no producer id", r.Offset, r.Partition)
		}
	}
	return nil
}

func (s *scenario) admin(ctx context.Context) error {
	topic := s.prefix + "admin"
	if err := s.c.Admin(ctx, topic); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		n, err := s.env.ref.partitionsOf(ctx, topic)
		if err == nil && n != 0 {
			err = errors.New("the deleted topic is still there")
		}
		return err
	})
}
