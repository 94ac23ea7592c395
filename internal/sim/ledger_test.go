package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicName  = "colours"
	partitions = 4
	writers    = 3
	// writeEvery is the pause of a writer between two records.
	writeEvery = 15 * time.Millisecond
	// waiting bounds the records of a writer that wait for their acknowledgement.
	waiting = 50
)

// ledger is what clients were told.
type ledger struct {
	w     *world
	stop  chan struct{}
	ended sync.WaitGroup

	mu       sync.Mutex
	acked    map[string]place         // by value
	when     map[string]time.Duration // that was heard, after the start
	produced int
}

type place struct {
	partition int32
	offset    int64
}

func newLedger(w *world) *ledger {
	return &ledger{w: w, stop: make(chan struct{}), acked: map[string]place{}, when: map[string]time.Duration{}}
}

// write lets the writers write until the ledger is closed. Each has a partition that it writes to in order, and goes on to the next with time.
func (l *ledger) write() {
	for i := range writers {
		cl := l.client(i)
		if !l.w.flaws.ackBeforeCopying {
			// While all is well: the client holds a lock as long as it asks for its id, and the bubble's time stands while
			// another of its goroutines waits for that.
			if _, _, err := cl.ProducerID(context.Background()); err != nil {
				l.w.broke("writer %d gets no producer id from a cluster that is well: %v", i, err)
			}
		}
		l.ended.Go(func() { l.writer(i, cl) })
	}
}

func (l *ledger) client(i int) *kgo.Client {
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.DefaultProduceTopic(topicName), kgo.ProducerBatchCompression(kgo.NoCompression())}
	if l.w.flaws.ackBeforeCopying {
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	return l.w.client(fmt.Sprintf("writer-%d", i), opts...)
}

func (l *ledger) writer(i int, cl *kgo.Client) {
	defer cl.Close()
	slots := make(chan struct{}, waiting)
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			flush, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := cl.Flush(flush); err != nil && l.w.broken() == "" {
				l.w.broke("writer %d: records wait for an answer though all is well: %v", i, err)
			}
			return
		case slots <- struct{}{}:
		}
		value := fmt.Sprintf("w%d-%06d", i, n)
		cl.Produce(context.Background(), &kgo.Record{Partition: int32((i + n/100) % partitions), Value: []byte(value)}, func(r *kgo.Record, err error) {
			<-slots
			l.mu.Lock()
			defer l.mu.Unlock()
			l.produced++
			if err == nil {
				l.acked[value] = place{r.Partition, r.Offset}
				l.when[value] = time.Since(l.w.began)
			}
		})
		time.Sleep(writeEvery)
	}
}

// close waits for the last answers.
func (l *ledger) close() {
	close(l.stop)
	l.ended.Wait()
}
