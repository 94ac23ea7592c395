package replica

import (
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ctl is a controller with Kafka's rules for in-sync replicas and elections, and nothing else.
type ctl struct {
	c   *cluster
	img *meta.Image
}

// apply takes a step and tells everybody, each after a delay of its own.
func (k *ctl) apply(records ...meta.Record) {
	img, delta, err := k.img.Apply(records, k.img.Offset()+int64(len(records)), 1, 0)
	must(k.c.t, err)
	k.img = img
	for _, n := range k.c.nodes {
		k.feed(n, img, delta)
	}
}

func (k *ctl) feed(n *node, img *meta.Image, delta *meta.Delta) {
	if !n.up {
		return
	}
	inc := n.inc
	n.fedAt = later(n.fedAt, k.c.fake.Now().Add(k.c.delay(0, n.id)))
	var deliver func()
	deliver = func() {
		if n.inc != inc {
			return
		}
		if k.c.cut[[2]int32{0, n.id}] {
			k.c.fake.AfterFunc(5*time.Millisecond, deliver) // the log waits; it does not get lost
			return
		}
		n.do(inc, func() {
			for len(n.feed) > 0 && n.feed[0].img.Offset() <= img.Offset() { // in order, whoever comes first
				step := n.feed[0]
				n.feed = n.feed[1:]
				n.fedTo = step.img.Offset()
				n.m.ApplyMetadata(step.img, step.delta)
			}
		})
	}
	n.feed = append(n.feed, step{img, delta})
	k.c.fake.AfterFunc(n.fedAt.Sub(k.c.fake.Now()), deliver)
}

// step is one change of the metadata on its way to a node.
type step struct {
	img   *meta.Image
	delta *meta.Delta
}

// register is a broker's start. One that has lost what it had not synced is out of sync with everything, unless nobody else is in.
func (k *ctl) register(n *node, unclean bool) {
	n.epoch = k.img.Offset() + 1
	n.fedTo, n.feed = -1, nil
	rack := string(rune('a' + n.id - 1))
	records := []meta.Record{&meta.RegisterBrokerRecord{BrokerID: n.id, BrokerEpoch: n.epoch, Rack: &rack, Fenced: true,
		EndPoints: []meta.Endpoint{{Name: "B", Host: "h", Port: uint16(n.id)}}}}
	k.apply(append(records, k.leaveISR(n.id, unclean)...)...) // one step: else the broker could lead once more with what it has left
	epoch, inc := n.epoch, n.inc
	var unfence func()
	unfence = func() {
		b := k.img.Broker(n.id)
		if n.inc != inc || !n.up || b.Epoch != epoch || !b.Fenced {
			return
		}
		if k.c.cut[[2]int32{n.id, 0}] || n.fedTo < epoch {
			k.c.fake.AfterFunc(10*time.Millisecond, unfence)
			return
		}
		k.apply(&meta.BrokerRegistrationChangeRecord{BrokerID: n.id, BrokerEpoch: epoch, Fenced: -1})
		k.elect()
	}
	k.c.fake.AfterFunc(10*time.Millisecond, unfence)
}

// fence takes a broker out that does not answer.
func (k *ctl) fence(id int32) {
	b := k.img.Broker(id)
	if b == nil || b.Fenced {
		return
	}
	k.apply(append(k.leaveISR(id, false), &meta.BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: b.Epoch, Fenced: 1})...)
	n, epoch := k.c.node(id), b.Epoch
	inc := n.inc
	var back func()
	back = func() { // its heartbeats come through again
		b := k.img.Broker(id)
		if n.inc != inc || !n.up || b.Epoch != epoch || !b.Fenced {
			return
		}
		if k.c.cut[[2]int32{id, 0}] || n.paused || n.fedTo < k.img.Offset()-20 {
			k.c.fake.AfterFunc(50*time.Millisecond, back)
			return
		}
		k.apply(&meta.BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: epoch, Fenced: -1})
		k.elect()
	}
	k.c.fake.AfterFunc(300*time.Millisecond, back)
}

// leaveISR takes a broker out of sync everywhere. Where that leaves fewer than min.insync.replicas it stays eligible to
// lead (KIP-966): nothing is committed without it from then on. One that has lost records is not.
func (k *ctl) leaveISR(id int32, unclean bool) (out []meta.Record) {
	t := k.img.TopicByID(simTopic)
	if t == nil {
		return nil
	}
	without := func(all []int32) []int32 {
		return slices.DeleteFunc(slices.Clone(all), func(r int32) bool { return r == id })
	}
	for i, p := range t.Partitions {
		c := meta.NewPartitionChange(simTopic, int32(i))
		isr, elr := without(p.ISR), p.ELR
		if unclean {
			elr = without(elr)
		} else if len(isr) < len(p.ISR) && len(isr) < k.c.minISR {
			elr = append(slices.Clone(elr), id)
		}
		if p.Leader == id {
			c.Leader = meta.NoLeader
		}
		out = append(out, k.change(c, p, isr, elr, id)...)
	}
	return out
}

// change completes a change whose ISR and ELR have been worked out, and gives it a leader if there is none, but not this one.
func (k *ctl) change(c *meta.PartitionChangeRecord, p *meta.Partition, isr, elr []int32, not int32) []meta.Record {
	leader := p.Leader
	if c.Leader != meta.LeaderNoChange {
		leader = c.Leader
	}
	for _, r := range p.Replicas {
		if leader == meta.NoLeader && r != not && k.img.Broker(r).Active() && (slices.Contains(isr, r) || slices.Contains(elr, r)) {
			leader = r
			if !slices.Contains(isr, r) {
				isr = append(slices.Clone(isr), r)
			}
		}
	}
	elr = slices.DeleteFunc(slices.Clone(elr), func(r int32) bool { return len(isr) >= k.c.minISR || slices.Contains(isr, r) })
	if leader != p.Leader || c.Leader != meta.LeaderNoChange {
		c.Leader = leader
	}
	if !slices.Equal(isr, p.ISR) {
		c.ISR = append([]int32{}, isr...)
	}
	if !slices.Equal(elr, p.ELR) {
		c.EligibleLeaderReplicas = append([]int32{}, elr...)
	}
	if c.Unchanged() {
		return nil
	}
	return []meta.Record{c}
}

// elect gives a leader to partitions without one, now that a broker serves again.
func (k *ctl) elect() {
	t := k.img.TopicByID(simTopic)
	if t == nil {
		return
	}
	for i, p := range t.Partitions {
		if p.Leader == meta.NoLeader {
			k.apply(k.change(meta.NewPartitionChange(simTopic, int32(i)), p, p.ISR, p.ELR, meta.NoLeader)...)
		}
	}
}

// move makes another replica in sync the leader.
func (k *ctl) move(partition, to int32) {
	p := k.img.Partition(simName, partition)
	if p == nil || p.Leader == to || !slices.Contains(p.ISR, to) || !k.img.Broker(to).Active() {
		return
	}
	c := meta.NewPartitionChange(simTopic, partition)
	c.Leader = to
	k.apply(c)
}

// toCtl is a node's way to the controller.
type toCtl struct {
	n   *node
	inc int
}

func (w toCtl) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse, error)) {
	c := w.n.c
	over := false
	finish := func(r *kmsg.AlterPartitionResponse, err error) {
		w.n.do(w.inc, func() {
			if !over {
				over = true
				done(r, err)
			}
		})
	}
	req.BrokerID, req.BrokerEpoch = w.n.id, w.n.epoch
	c.fake.AfterFunc(simTimeout, func() { finish(nil, errLost) })
	c.fake.AfterFunc(c.delay(w.n.id, 0), func() {
		if c.cut[[2]int32{w.n.id, 0}] {
			return
		}
		resp := c.ctl.alter(req)
		c.fake.AfterFunc(c.delay(0, w.n.id), func() {
			if !c.cut[[2]int32{0, w.n.id}] {
				finish(resp, nil)
			}
		})
	})
}

func (k *ctl) alter(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if b := k.img.Broker(req.BrokerID); b == nil || b.Epoch != req.BrokerEpoch {
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp
	}
	for _, t := range req.Topics {
		out := kmsg.NewAlterPartitionResponseTopic()
		out.TopidID = t.TopicID
		for _, ask := range t.Partitions {
			a := kmsg.NewAlterPartitionResponseTopicPartition()
			a.Partition = ask.Partition
			a.ErrorCode = k.alterOne(req.BrokerID, t.TopicID, &ask, &a)
			out.Partitions = append(out.Partitions, a)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (k *ctl) alterOne(from int32, id [16]byte, ask *kmsg.AlterPartitionRequestTopicPartition, a *kmsg.AlterPartitionResponseTopicPartition) int16 {
	t := k.img.TopicByID(id)
	if t == nil {
		return kerr.UnknownTopicID.Code
	}
	p := t.Partitions[ask.Partition]
	switch {
	case ask.LeaderEpoch < p.LeaderEpoch:
		return kerr.FencedLeaderEpoch.Code
	case from != p.Leader:
		return kerr.InvalidRequest.Code
	case ask.PartitionEpoch < p.PartitionEpoch:
		return kerr.InvalidUpdateVersion.Code
	}
	var isr []int32
	for _, r := range ask.NewEpochISR {
		b := k.img.Broker(r.BrokerID)
		if b == nil || !b.Active() || r.BrokerEpoch >= 0 && b.Epoch != r.BrokerEpoch {
			return kerr.IneligibleReplica.Code
		}
		isr = append(isr, r.BrokerID)
	}
	c := meta.NewPartitionChange(id, ask.Partition)
	if p.RecoveryState != ask.LeaderRecoveryState {
		c.LeaderRecoveryState = ask.LeaderRecoveryState
	}
	k.apply(k.change(c, p, isr, p.ELR, meta.NoLeader)...)
	now := k.img.TopicByID(id).Partitions[ask.Partition]
	a.LeaderID, a.LeaderEpoch, a.ISR, a.PartitionEpoch, a.LeaderRecoveryState = now.Leader, now.LeaderEpoch, now.ISR, now.PartitionEpoch, now.RecoveryState
	return 0
}
