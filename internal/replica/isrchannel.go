package replica

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// isrRetryPause is the pause before changes are sent again that the controller could not be asked for.
	isrRetryPause = 50 * time.Millisecond
	// maxIsrChanges is how many partitions one request changes; a controller makes that many in one step.
	maxIsrChanges = 2000
)

// isrChannel sends the changes of in-sync replicas to the controller: one request at a time, with all that wait.
type isrChannel struct {
	m *Manager

	mu      sync.Mutex
	waiting []*Partition // with a pending change, in the order of asking
	known   map[*Partition]struct{}
	busy    bool // a request is under way, or a pause
	stopped bool
}

func newIsrChannel(m *Manager) *isrChannel {
	return &isrChannel{m: m, known: make(map[*Partition]struct{})}
}

// submit has p's pending change sent soon, on another goroutine. It may be called with locks of p held.
func (c *isrChannel) submit(p *Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.known[p]; waits || c.stopped || c.m.controller == nil {
		return
	}
	c.known[p] = struct{}{}
	c.waiting = append(c.waiting, p)
	if !c.busy {
		c.busy = true
		c.m.spawn(c.send)
	}
}

// take moves what is to be sent next out; nil when there is nothing, and then the channel is idle.
func (c *isrChannel) take() []*Partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), maxIsrChanges)
	if n == 0 || c.stopped {
		c.busy = false
		return nil
	}
	out := c.waiting[:n:n]
	c.waiting = append([]*Partition(nil), c.waiting[n:]...)
	for _, p := range out {
		delete(c.known, p)
	}
	return out
}

// asked is one partition's part of a request.
type asked struct {
	p      *Partition
	change *isrChange
}

// isrKey names a partition in a request.
type isrKey struct {
	topicID   [16]byte
	partition int32
}

// send asks for what waits, and goes on with the answer until nothing waits.
func (c *isrChannel) send() {
	for {
		batch := c.take()
		if batch == nil {
			return
		}
		req, all := isrRequest(batch)
		if len(all) == 0 {
			continue // all were overtaken by the metadata
		}
		c.m.controller.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse, err error) {
			c.answered(all, resp, err)
		})
		return
	}
}

func isrRequest(batch []*Partition) (*kmsg.AlterPartitionRequest, map[isrKey]asked) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = req.MaxVersion()
	topics := make(map[[16]byte]int)
	all := make(map[isrKey]asked, len(batch))
	for _, p := range batch {
		ask, change, ok := p.proposal()
		if !ok {
			continue
		}
		i, known := topics[p.topicID]
		if !known {
			t := kmsg.NewAlterPartitionRequestTopic()
			t.Topic, t.TopicID = p.tp.Topic, p.topicID
			i = len(req.Topics)
			topics[p.topicID] = i
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, ask)
		all[isrKey{p.topicID, p.tp.Partition}] = asked{p, change}
	}
	return req, all
}

// answered hands the answer to the partitions.
func (c *isrChannel) answered(all map[isrKey]asked, resp *kmsg.AlterPartitionResponse, err error) {
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	failed := err != nil
	if failed {
		c.m.logger.Warn("cannot ask the controller for a change of in-sync replicas yet", "partitions", len(all), "cause", err)
		if c.m.flaws.keepStaleLeader {
			c.assumeAll(all)
		}
	} else {
		for i := range resp.Topics {
			t := &resp.Topics[i]
			for j := range t.Partitions {
				k := isrKey{t.TopidID, t.Partitions[j].Partition}
				a, ok := all[k]
				if ok && !a.p.altered(a.change, &t.Partitions[j]) {
					delete(all, k)
				}
			}
		}
	}
	for _, a := range all { // what failed, and what the answer has left out
		c.again(a)
		failed = true
	}
	if failed {
		c.m.clock.AfterFunc(isrRetryPause, c.send)
		return
	}
	c.send()
}

func (c *isrChannel) again(a asked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.known[a.p]; !waits {
		c.known[a.p] = struct{}{}
		c.waiting = append(c.waiting, a.p)
	}
}

func (c *isrChannel) assumeAll(all map[isrKey]asked) {
	for _, a := range all {
		refused := kmsg.NewAlterPartitionResponseTopicPartition()
		refused.ErrorCode = kerr.FencedLeaderEpoch.Code
		a.p.altered(a.change, &refused)
	}
}

func (c *isrChannel) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}
