package cli

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// labLoad is what is sent: for the lab's length, unless a number of records is given.
type labLoad struct {
	recordBytes int
	perSecond   int   // 0: as fast as it goes
	records     int64 // 0: for so long
	waiting     int   // so many senders, each of which waits for one record after the other; 0: one that does not wait
}

// labSent is what was sent or read.
type labSent struct {
	records, bytes, stored, batches, requests int64
	elapsed                                   time.Duration
	latencies                                 []time.Duration // sorted
}

func (s *labSent) perSecond(n int64) float64 { return float64(n) / max(s.elapsed.Seconds(), 1e-9) }

func (s *labSent) quantile(q float64) float64 {
	if len(s.latencies) == 0 {
		return 0
	}
	return float64(s.latencies[min(int(q*float64(len(s.latencies))), len(s.latencies)-1)].Microseconds()) / 1e3
}

// labMeter hears from kgo what goes over the wire, and from the senders how long their records took.
type labMeter struct {
	key                        int16 // of the requests that count
	requests, batches, on, off atomic.Int64
	records, bytes             atomic.Int64
	failed                     atomic.Pointer[error]
	base                       labSent // what does not count: it was sent to connect

	mu        sync.Mutex
	latencies []time.Duration // guarded by mu
}

// maxLabLatencies bounds what is remembered of them; the rates at which they count stay far below.
const maxLabLatencies = 1 << 20

// OnProduceBatchWritten implements kgo's hook.
func (m *labMeter) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, b kgo.ProduceBatchMetrics) {
	m.batches.Add(1)
	m.on.Add(int64(b.UncompressedBytes))
	m.off.Add(int64(b.CompressedBytes))
}

// OnBrokerWrite implements kgo's hook.
func (m *labMeter) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil && key == m.key {
		m.requests.Add(1)
	}
}

// begin has what went before not count.
func (m *labMeter) begin() {
	m.base = labSent{bytes: m.on.Load(), stored: m.off.Load(), batches: m.batches.Load(), requests: m.requests.Load()}
}

func (m *labMeter) took(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.latencies) < maxLabLatencies {
		m.latencies = append(m.latencies, d)
	}
}

func (m *labMeter) fail(err error) { m.failed.CompareAndSwap(nil, &err) }

// sent sums up. bytes are those of the records as they were written into batches, stored those of the batches.
func (m *labMeter) sent(elapsed time.Duration) (*labSent, error) {
	if err := m.failed.Load(); err != nil {
		return &labSent{}, *err
	}
	slices.Sort(m.latencies)
	s := &labSent{
		records: m.records.Load(), bytes: m.on.Load() - m.base.bytes + m.bytes.Load(), stored: m.off.Load() - m.base.stored,
		batches: m.batches.Load() - m.base.batches, requests: m.requests.Load() - m.base.requests, elapsed: elapsed, latencies: m.latencies,
	}
	if s.records == 0 {
		return s, fmt.Errorf("no record has passed in %s", elapsed.Round(time.Millisecond))
	}
	return s, nil
}

// with is the lab's own properties and more.
func (l *lab) with(more client.Properties) client.Properties {
	all := client.Properties{}
	all.Merge(l.props)
	all.Merge(more)
	return all
}

func (l *lab) producer(props client.Properties, m *labMeter) (*client.Client, error) {
	return client.Open(client.Producer, l.with(props), l.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ProducerOptions()
		if v := props["batch.size"]; v != "" && err == nil {
			n, _ := strconv.Atoi(v) // the settings have read it already
			opts = append(opts, kgo.ProducerBatchMaxBytes(int32(n)))
		}
		return append(opts, kgo.WithHooks(m)), err
	})
}

// send sends what load says and waits for the last acknowledgement.
func (l *lab) send(topic string, props client.Properties, load labLoad) (*labSent, error) {
	m := &labMeter{key: int16(kmsg.Produce)}
	c, err := l.producer(props, m)
	if err != nil {
		return &labSent{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(l.stop, l.length+labPatience)
	defer cancel()
	if err := l.first(ctx, c, topic); err != nil {
		return &labSent{}, err
	}
	m.begin()
	start := time.Now()
	if load.waiting > 0 {
		l.sendWaiting(ctx, c, m, topic, load)
	} else {
		l.sendFreely(ctx, c, m, topic, load)
	}
	if err := c.Flush(ctx); err != nil {
		m.fail(err)
	}
	return m.sent(time.Since(start))
}

// labPatience is how long the last acknowledgements may take.
const labPatience = 30 * time.Second

// first sends one record, so that what follows does not pay for the connection.
func (l *lab) first(ctx context.Context, c *client.Client, topic string) error {
	return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: labWords(rand.New(rand.NewPCG(1, 1)), 64)}).FirstErr()
}

func (l *lab) sendFreely(ctx context.Context, c *client.Client, m *labMeter, topic string, load labLoad) {
	values := labValues(load.recordBytes)
	start := time.Now()
	rate := throttle{start: start, perSecond: -1}
	if load.perSecond > 0 {
		rate.perSecond = float64(load.perSecond)
	}
	for i := int64(0); ctx.Err() == nil && m.failed.Load() == nil; i++ {
		now := time.Now()
		if load.records > 0 && i >= load.records || load.records == 0 && now.Sub(start) >= l.length || m.on.Load() >= labBulkBytes {
			return
		}
		value := values[i%int64(len(values))]
		if load.perSecond > 0 { // the reader wants to know when it was sent
			value = slices.Clone(value)
			binary.BigEndian.PutUint64(value, uint64(now.UnixNano()))
		}
		c.Produce(ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				m.fail(err)
				return
			}
			m.records.Add(1)
			if load.perSecond > 0 {
				m.took(time.Since(now))
			}
		})
		if d := rate.wait(i+1, time.Now()); d > 0 {
			sleepContext(ctx, d)
		}
	}
}

func (l *lab) sendWaiting(ctx context.Context, c *client.Client, m *labMeter, topic string, load labLoad) {
	values := labValues(load.recordBytes)
	end := time.Now().Add(l.length)
	var all sync.WaitGroup
	for w := range load.waiting {
		all.Go(func() {
			for i := w; m.failed.Load() == nil; i++ {
				now := time.Now()
				if !now.Before(end) {
					return
				}
				if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: values[i%len(values)]}).FirstErr(); err != nil {
					m.fail(err)
					return
				}
				m.records.Add(1)
				m.took(time.Since(now))
			}
		})
	}
	all.Wait()
}

// consumer reads partitions from their beginning.
func (l *lab) consumer(topic string, partitions []int32, props client.Properties, m *labMeter) (*client.Client, error) {
	return client.Open(client.Consumer, l.with(props), l.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ConsumerOptions()
		from := map[int32]kgo.Offset{}
		for _, p := range partitions {
			from[p] = kgo.NewOffset().AtStart()
		}
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.WithHooks(m)), err
	})
}

// poll hands each record to f until n have come.
func poll(ctx context.Context, c *client.Client, m *labMeter, n int64, f func(*kgo.Record)) error {
	for m.records.Load() < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		var failed error
		fetches.EachError(func(_ string, _ int32, err error) { failed = err })
		if failed != nil {
			return failed
		}
		fetches.EachRecord(func(r *kgo.Record) {
			m.records.Add(1)
			m.bytes.Add(int64(len(r.Value)))
			f(r)
		})
	}
	return nil
}

// readAll reads n records as fast as it goes.
func (l *lab) readAll(topic string, props client.Properties, n int64) (*labSent, error) {
	m := &labMeter{key: int16(kmsg.Fetch)}
	start := time.Now()
	c, err := l.consumer(topic, []int32{0}, props, m)
	if err != nil {
		return &labSent{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(l.stop, l.length+labPatience)
	defer cancel()
	if err := poll(ctx, c, m, n, func(*kgo.Record) {}); err != nil {
		return &labSent{}, err
	}
	return m.sent(time.Since(start))
}

// follow reads what is being sent, and tells how long after its sending each record came.
func (l *lab) follow(topic string, props client.Properties, load labLoad) (*labSent, error) {
	m := &labMeter{key: int16(kmsg.Fetch)}
	c, err := l.consumer(topic, []int32{0}, props, m)
	if err != nil {
		return &labSent{}, err
	}
	defer c.Close()
	load.records = int64(l.length.Seconds() * float64(load.perSecond))
	ctx, cancel := context.WithTimeout(l.stop, l.length+labPatience)
	defer cancel()
	failed := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := l.send(topic, client.Properties{"acks": "1", "linger.ms": "0"}, load)
		failed <- err
	}()
	// One more: the first record, by which the sender has connected.
	err = poll(ctx, c, m, load.records+1, func(r *kgo.Record) {
		if sent := int64(binary.BigEndian.Uint64(r.Value)); r.Offset > 0 {
			m.took(time.Duration(time.Now().UnixNano() - sent))
		}
	})
	if other := <-failed; err == nil {
		err = other
	}
	if err != nil {
		return &labSent{}, err
	}
	return m.sent(time.Since(start))
}

// share has consumers read partitions in turn, each record costing its consumer some time, and tells how many
// records a second they get through together.
func (l *lab) share(topic string, partitions int, n int64) (float64, error) {
	m := &labMeter{key: int16(kmsg.Fetch)}
	ctx, cancel := context.WithTimeout(l.stop, 2*l.length+labPatience)
	defer cancel()
	var clients []*client.Client
	for w := range min(labWorkers, partitions) {
		var mine []int32
		for p := w; p < partitions; p += labWorkers {
			mine = append(mine, int32(p))
		}
		c, err := l.consumer(topic, mine, nil, m)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		clients = append(clients, c)
	}
	start := time.Now()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			owed := time.Duration(0)
			err := poll(ctx, c, m, n, func(*kgo.Record) {
				if owed += labWork; owed >= time.Millisecond { // shorter sleeps take longer than they should
					sleepContext(ctx, owed)
					owed = 0
				}
			})
			if err != nil && ctx.Err() == nil {
				m.fail(err)
			}
			if m.records.Load() >= n {
				cancel() // the others may wait for records that have been read
			}
		})
	}
	all.Wait()
	if err := l.stop.Err(); err != nil {
		return 0, err
	}
	s, err := m.sent(time.Since(start))
	return s.perSecond(s.records), err
}

// labValues are records as services write them: field names that repeat, values that do not.
func labValues(bytes int) [][]byte {
	r := rand.New(rand.NewPCG(7, 7))
	out := make([][]byte, 1024)
	for i := range out {
		out[i] = labWords(r, bytes)
	}
	return out
}

func labWords(r *rand.Rand, bytes int) []byte {
	b := fmt.Appendf(nil, `{"at":%d,"user":"user-%06d","session":"%08x","event":"%s","page":"/products/%d","items":[`,
		1_700_000_000_000+r.IntN(1e9), r.IntN(1e6), r.Uint32(), []string{"view", "click", "order", "search"}[r.IntN(4)], r.IntN(5000))
	for len(b) < bytes {
		b = fmt.Appendf(b, `{"sku":"%05d","price":%d.%02d},`, r.IntN(1e5), r.IntN(500), r.IntN(100))
	}
	return b[:bytes]
}
