package load

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// probeEvery is the pause between a probe's record and the next: what a gap is measured with.
	probeEvery = 4 * time.Millisecond
	// probeAgain is the pause before a probe that was refused asks for the leader again: less than any client's, so that it is the
	// cluster's time that is measured.
	probeAgain = 10 * time.Millisecond
)

// Probe writes one record after the other to each partition of a topic, with acks=all, and remembers when each was acknowledged.
// It has no client's patience: whenever it fails it asks the next node for the leader.
type Probe struct {
	seeds []string
	topic string
	id    [16]byte
	batch []byte
	wg    sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	conns   []*Client // by partition; nil: none
	acks    [][]Ack   // by partition, since Reset
	err     error     // why the last try of any partition has failed
}

// Ack is one record's acknowledgement.
type Ack struct{ Sent, At time.Time }

// StartProbe begins to write.
func StartProbe(seeds []string, topic string, id [16]byte, partitions int) *Probe {
	p := &Probe{seeds: seeds, topic: topic, id: id, batch: Batch(BatchShape{Records: 1, RecordBytes: 100}, 1), conns: make([]*Client, partitions), acks: make([][]Ack, partitions)}
	for i := range partitions {
		p.wg.Go(func() { p.write(i) })
	}
	return p
}

// Stop ends it.
func (p *Probe) Stop() {
	p.mu.Lock()
	p.stopped = true
	for _, c := range p.conns {
		if c != nil {
			c.Close()
		}
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// Reset forgets all acknowledgements but the last ones.
func (p *Probe) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range p.acks {
		p.acks[i] = slices.Clone(a[max(0, len(a)-1):])
	}
}

// Acks are those of a partition since Reset.
func (p *Probe) Acks(partition int32) []Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.acks[partition])
}

// AwaitAcks waits until each partition has an acknowledgement of a record that was sent after an instant.
func (p *Probe) AwaitAcks(after time.Time, most time.Duration) error {
	for end := time.Now().Add(most); ; time.Sleep(time.Millisecond) {
		silent := -1
		for i := range p.conns {
			if _, ok := FirstAfter(p.Acks(int32(i)), after); !ok {
				silent = i
			}
		}
		if silent < 0 {
			return nil
		}
		if time.Now().After(end) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return fmt.Errorf("partition %d has acknowledged nothing for %s: %w", silent, most, p.err)
		}
	}
}

// FirstAfter is when the first record was acknowledged of those that were sent after an instant.
func FirstAfter(acks []Ack, after time.Time) (time.Time, bool) {
	i := slices.IndexFunc(acks, func(a Ack) bool { return a.Sent.After(after) })
	if i < 0 {
		return time.Time{}, false
	}
	return acks[i].At, true
}

// LongestGap is the longest time without an acknowledgement between two instants.
func LongestGap(acks []Ack, from, to time.Time) time.Duration {
	last, longest := from, time.Duration(0)
	for _, a := range acks {
		if a.At.After(from) && a.At.Before(to) {
			longest = max(longest, a.At.Sub(last))
			last = a.At
		}
	}
	return max(longest, to.Sub(last))
}

// write is the life of one partition's writer.
func (p *Probe) write(partition int) {
	for try := partition; ; {
		c, stopped := p.conn(partition)
		if stopped {
			return
		}
		var err error
		if c == nil {
			err = p.connect(partition, p.seeds[try%len(p.seeds)])
		} else {
			sent := time.Now()
			if err = c.ProduceAcks(p.id, int32(partition), p.batch, -1); err == nil {
				p.note(partition, Ack{sent, time.Now()})
				time.Sleep(probeEvery)
				continue
			}
			c.Close() // whatever it was: the leader may be another
			p.keep(partition, nil)
		}
		if err != nil {
			try++
			p.failed(err)
			time.Sleep(probeAgain)
		}
	}
}

// connect asks a node for the leader, and connects to that.
func (p *Probe) connect(partition int, seed string) error {
	c, err := NewClient(seed)
	if err != nil {
		return err
	}
	v, err := c.View(p.topic)
	c.Close()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(v.Partitions, func(r Replicated) bool { return r.Partition == int32(partition) })
	if i < 0 || v.Partitions[i].Leader < 0 {
		return fmt.Errorf("nobody leads partition %d", partition)
	}
	if c, err = NewClient(v.Brokers[v.Partitions[i].Leader]); err != nil {
		return err
	}
	p.keep(partition, c)
	return nil
}

func (p *Probe) conn(partition int) (c *Client, stopped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[partition], p.stopped
}

func (p *Probe) keep(partition int, c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[partition] = c
	if c != nil && p.stopped {
		c.Close()
	}
}

func (p *Probe) note(partition int, a Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks[partition] = append(p.acks[partition], a)
}

func (p *Probe) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}
