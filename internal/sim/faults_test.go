package sim

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// act does one thing to the cluster, by chance.
func (w *world) act(adm *kgo.Client) {
	a, b := w.any(), w.any()
	what := w.rnd.IntN(27)
	w.note("act %d on nodes %d, %d", what, a.id, b.id)
	switch what {
	case 0, 1:
		if w.mayKill() {
			w.crash(a, loseNothing)
		}
	case 2:
		if w.mayLosePower(a) {
			w.crash(a, loseAll)
		}
	case 3:
		if w.mayLosePower(a) {
			w.crash(a, loseSome)
		}
	case 4: // all die at once, or the power fails in the whole building
		l := loseNothing
		if w.synced && w.rnd.IntN(2) == 0 {
			l = loseAll
		}
		for id := int32(1); id <= w.size && w.mayKill(); id++ {
			w.crash(w.hosts[id], l)
		}
	case 5:
		w.stop(a)
	case 6: // one is cut off from all
		for id := int32(1); id <= w.size; id++ {
			if id != a.id {
				w.net.Partition(hostName(a.id), hostName(id))
			}
		}
	case 7: // two do not see each other, and the others see both
		w.net.Partition(hostName(a.id), hostName(b.id))
	case 8:
		w.net.Block(hostName(a.id), hostName(b.id))
	case 9: // one is heard of by nobody and hears all, or the other way round
		out := w.rnd.IntN(2) == 0
		for id := int32(1); id <= w.size; id++ {
			if from, to := hostName(a.id), hostName(id); id != a.id && out {
				w.net.Block(from, to)
			} else if id != a.id {
				w.net.Block(to, from)
			}
		}
	case 10:
		w.net.Reset(hostName(a.id), hostName(b.id))
	case 11:
		w.net.SetDelay(hostName(a.id), hostName(b.id), time.Duration(w.rnd.IntN(300))*time.Millisecond)
	case 12:
		a.mu.Lock()
		a.slow = time.Duration(w.rnd.IntN(400)) * time.Millisecond
		a.mu.Unlock()
	case 13: // syncs fail: the node ends its work with that disk, and gets it back when it starts again
		if w.mayLosePower(a) {
			a.mu.Lock()
			a.syncFails = true
			a.mu.Unlock()
		}
	case 14:
		w.moveReplica(adm)
	case 15:
		w.changeVoters(adm)
	case 16:
		w.electPreferred(adm)
	case 17:
		w.pause(a)
	case 18: // no room is left: records are refused, and a controller that cannot write what it decides ends
		a.mu.Lock()
		a.full = a.up != nil && w.mayKill()
		a.wasFull = a.wasFull || a.full
		a.mu.Unlock()
	case 19: // a wall clock that is set forward while its node runs; it goes back with the next life
		a.mu.Lock()
		a.skew = min(a.skew+time.Duration(w.rnd.IntN(180))*time.Minute, maxSkew)
		a.mu.Unlock()
	default:
		w.heal()
	}
	if w.rnd.IntN(2) == 0 {
		for id := int32(1); id <= w.size; id++ {
			w.begin(w.hosts[id])
		}
	}
}

// maxSkew is less than what producers' state and offsets are kept for: to lose those is what a clock that far off asks for.
const maxSkew = 12 * time.Hour

// pause stops a node where it stands, as SIGSTOP does: it says and hears nothing, its timers wait, and its connections stay.
// When it goes on, all that was held back comes at once.
func (w *world) pause(h *host) {
	if h.up == nil {
		return
	}
	h.mu.Lock()
	h.paused = true
	h.mu.Unlock()
	for _, other := range w.machines(h) {
		w.net.Partition(hostName(h.id), other)
	}
}

// resume ends a pause.
func (w *world) resume(h *host) {
	h.mu.Lock()
	paused, held := h.paused, h.held
	h.paused, h.held = false, nil
	h.mu.Unlock()
	if !paused {
		return
	}
	for _, other := range w.machines(h) {
		w.net.Heal(hostName(h.id), other)
	}
	for _, f := range held {
		go f()
	}
}

// machines are all but one.
func (w *world) machines(but *host) []string {
	out := slices.Clone(w.clients)
	for id := int32(1); id <= w.size; id++ {
		if id != but.id {
			out = append(out, hostName(id))
		}
	}
	return out
}

func (w *world) any() *host { return w.hosts[1+w.rnd.Int32N(w.size)] }

// heal makes the network well again, and disks fast. A node whose disk has failed to sync is ended: it would serve nothing any more.
func (w *world) heal() {
	for i := int32(1); i <= w.size; i++ {
		for j := i + 1; j <= w.size; j++ {
			w.net.Heal(hostName(i), hostName(j))
			w.net.SetDelay(hostName(i), hostName(j), 0)
		}
		h := w.hosts[i]
		w.resume(h)
		h.mu.Lock()
		failed := h.syncFails
		h.slow, h.full = 0, false
		h.mu.Unlock()
		if failed && w.synced {
			w.crash(h, loseAll) // the kernel may have dropped what it could not write
		} else if failed {
			w.crash(h, loseNothing)
		}
	}
}

// mayLosePower says that the promise covers a loss of what a node has not synced: always where acknowledgements rest on the
// disk; where they rest on replication, one node at a time, and the next when all have everything again.
func (w *world) mayLosePower(*host) bool {
	if w.synced {
		return true
	}
	for _, h := range w.hosts {
		if h.hurt() {
			return false
		}
	}
	return !w.fragile && w.whole() == nil
}

// mayKill says that the promise covers the death of a process.
func (w *world) mayKill() bool { return !w.fragile }

// asking bounds what the test itself asks of a cluster that may not be able to answer.
const asking = 2 * time.Second

// moveReplica gives a partition other replicas.
func (w *world) moveReplica(adm *kgo.Client) {
	ids := w.rnd.Perm(int(w.size))[:copies]
	replicas := make([]int32, copies)
	for i, id := range ids {
		replicas[i] = int32(id) + 1
	}
	var req kadm.AlterPartitionAssignmentsReq
	switch w.rnd.IntN(6) { // a coordinator moves with its partition
	case 0:
		req.Assign("__consumer_offsets", 0, replicas)
	case 1:
		req.Assign("__transaction_state", 0, replicas)
	case 2:
		req.Assign(txnTopic, w.rnd.Int32N(partitions), replicas)
	default:
		req.Assign(topicName, w.rnd.Int32N(partitions), replicas)
	}
	ctx, cancel := context.WithTimeout(context.Background(), asking)
	defer cancel()
	_, _ = kadm.NewClient(adm).AlterPartitionAssignments(ctx, req) // what became of it shows in the image
}

func (w *world) electPreferred(adm *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), asking)
	defer cancel()
	_, _ = kadm.NewClient(adm).ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
}

// changeVoters takes a voter out of the quorum, or brings the one that is out back in.
func (w *world) changeVoters(adm *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), asking)
	defer cancel()
	voters := w.voters(ctx, adm)
	if voters == nil {
		return
	}
	for id := int32(1); id <= w.size; id++ {
		if slices.Contains(voters, id) {
			continue
		}
		w.addVoter(ctx, adm, w.hosts[id])
		return
	}
	h := w.any()
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID = h.id, h.dir
	_, _ = req.RequestWith(ctx, adm)
}

func (w *world) voters(ctx context.Context, adm *kgo.Client) (out []int32) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, adm)
	if err != nil || resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil
	}
	for _, v := range resp.Topics[0].Partitions[0].CurrentVoters {
		out = append(out, v.ReplicaID)
	}
	return out
}

func (w *world) addVoter(ctx context.Context, adm *kgo.Client, h *host) {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = h.id, h.dir, int32(asking/time.Millisecond)
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", hostName(h.id), 9093
	req.Listeners = append(req.Listeners, l)
	_, _ = req.RequestWith(ctx, adm)
}
