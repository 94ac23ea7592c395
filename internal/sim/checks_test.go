package sim

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
)

// seen is what was seen of the cluster before; what comes later must fit.
type seen struct {
	controllers map[int32]int32          // who led the quorum in which epoch
	leaders     map[leadership]int32     // who led a partition in which epoch
	epochs      map[int32]int32          // of the quorum, as a node had it
	marks       map[onNode]replica.State // of a partition on a node, in this life
	images      map[int64]string         // by offset
}

type leadership struct {
	partition, epoch int32
}

type onNode struct{ node, partition int32 }

func newSeen() *seen {
	return &seen{controllers: map[int32]int32{}, leaders: map[leadership]int32{}, epochs: map[int32]int32{}, marks: map[onNode]replica.State{}, images: map[int64]string{}}
}

// forget is for a node that begins anew: it may have lost what it had seen.
func (s *seen) forget(id int32) {
	delete(s.epochs, id)
	for p := range int32(partitions) {
		delete(s.marks, onNode{id, p})
	}
}

// look checks what must hold at every moment.
func (w *world) look() {
	if w.fragile && w.whole() == nil {
		w.fragile = false
	}
	w.each(func(h *host, n *node.Node) {
		w.lookAtQuorum(h, n)
		w.lookAtImage(h, n.Image())
		for p := range int32(partitions) {
			if s, ok := n.Replica(storage.TopicPartition{Topic: topicName, Partition: p}); ok {
				w.lookAtReplica(h, p, s)
			}
		}
	})
}

func (w *world) lookAtQuorum(h *host, n *node.Node) {
	leader, epoch := n.ActiveController()
	if before, ok := w.seen.epochs[h.id]; ok && epoch < before {
		w.broke("the quorum's epoch on node %d went back from %d to %d", h.id, before, epoch)
	}
	w.seen.epochs[h.id] = epoch
	if leader < 0 {
		return
	}
	if other, ok := w.seen.controllers[epoch]; ok && other != leader {
		w.broke("nodes %d and %d lead the quorum in epoch %d", other, leader, epoch)
	}
	w.seen.controllers[epoch] = leader
}

func (w *world) lookAtImage(h *host, img *meta.Image) {
	if img == nil || img.Offset() < 0 {
		return
	}
	var b []byte
	for r := range img.Records() {
		b = meta.Append(b, r)
	}
	if other, ok := w.seen.images[img.Offset()]; ok && other != string(b) {
		w.broke("node %d has another image at offset %d than was seen before", h.id, img.Offset())
	}
	w.seen.images[img.Offset()] = string(b)
}

func (w *world) lookAtReplica(h *host, p int32, s replica.State) {
	if s.Role == replica.Leader {
		k := leadership{p, s.LeaderEpoch}
		if other, ok := w.seen.leaders[k]; ok && other != h.id {
			w.broke("nodes %d and %d lead partition %d in epoch %d", other, h.id, p, s.LeaderEpoch)
		}
		if w.seen.leaders[k] == 0 {
			w.note("node %d leads partition %d in epoch %d from %d on, committed to %d, in sync %v of %v", h.id, p, s.LeaderEpoch, s.LogEndOffset, s.HW, s.ISR, s.Replicas)
		}
		w.seen.leaders[k] = h.id
	}
	k := onNode{h.id, p}
	if before, ok := w.seen.marks[k]; ok {
		if s.LeaderEpoch < before.LeaderEpoch {
			w.broke("the leader epoch of partition %d on node %d went back from %d to %d", p, h.id, before.LeaderEpoch, s.LeaderEpoch)
		}
		if s.HW < before.HW && s.LogEndOffset > 0 {
			w.broke("the high watermark of partition %d on node %d went back from %d to %d", p, h.id, before.HW, s.HW)
		}
	}
	w.seen.marks[k] = s
}

// whole says what is missing until each partition is led, with all its replicas in sync, and every node up.
func (w *world) whole() error {
	up := 0
	var err error
	w.each(func(h *host, n *node.Node) {
		up++
		img := n.Image()
		if img.Topic(topicName) == nil {
			err = fmt.Errorf("node %d does not know the topic", h.id)
			return
		}
		img.Topics(func(t *meta.Topic) bool {
			for i, p := range t.Partitions {
				if p.Leader < 0 || len(p.ISR) != len(p.Replicas) || len(p.Replicas) != copies {
					err = fmt.Errorf("node %d: %s-%d is led by %d, replicas %v, in sync %v", h.id, t.Name, i, p.Leader, p.Replicas, p.ISR)
				}
			}
			return true
		})
	})
	if up < int(w.size) {
		return fmt.Errorf("%d of %d nodes are up", up, w.size)
	}
	return err
}

// untilWhole gives the cluster time to come to itself.
func (w *world) untilWhole() bool {
	var err error
	for range int(healTime / step) {
		w.arrivals()
		for id := int32(1); id <= w.size; id++ { // whoever has ended by itself, since its disk had failed, is started again
			w.begin(w.hosts[id])
		}
		if err = w.whole(); err == nil {
			return true
		}
		time.Sleep(step)
		w.look()
	}
	w.broke("the cluster does not come to itself within %s: %v", healTime, err)
	return false
}

const (
	// healTime is how long a cluster may take until it is whole when nothing hinders it any more.
	healTime = 3 * time.Minute
	step     = 50 * time.Millisecond
)

// readAll reads the topic from its beginning, as a client does.
func (w *world) readAll() map[int32][]*kgo.Record { return w.read(topicName, partitions) }

// read reads a topic to its end. Where it has transactions, they must have ended.
func (w *world) read(topic string, partitions int32, opts ...kgo.Opt) map[int32][]*kgo.Record {
	from := map[string]map[int32]kgo.Offset{topic: {}}
	for p := range partitions {
		from[topic][p] = kgo.NewOffset().AtStart()
	}
	cl := w.client("reader", append(opts, kgo.ConsumePartitions(from), kgo.KeepControlRecords())...)
	defer cl.Close()
	ends := w.ends(topic, partitions)
	out := map[int32][]*kgo.Record{}
	ctx, cancel := context.WithTimeout(context.Background(), healTime)
	defer cancel()
	for behind := true; behind; {
		got := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			w.broke("%s cannot be read to its end: %v", topic, got.Errors())
			break
		}
		got.EachRecord(func(r *kgo.Record) { out[r.Partition] = append(out[r.Partition], r) })
		behind = false
		for p, end := range ends {
			if n := len(out[p]); end > 0 && (n == 0 || out[p][n-1].Offset < end-1) {
				behind = true
			}
		}
	}
	for p, records := range out {
		out[p] = slices.DeleteFunc(records, func(r *kgo.Record) bool { return r.Attrs.IsControl() })
	}
	return out
}

// ends are where the logs of a topic end. In a cluster that is whole the high watermark comes there.
func (w *world) ends(topic string, partitions int32) map[int32]int64 {
	ends := map[int32]int64{}
	w.each(func(_ *host, n *node.Node) {
		for p := range partitions {
			if s, ok := n.Replica(storage.TopicPartition{Topic: topic, Partition: p}); ok && s.Role == replica.Leader {
				ends[p] = s.LogEndOffset
			}
		}
	})
	return ends
}

// verify looks for everything that was acknowledged.
func (w *world) verify() {
	read := w.readAll()
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	at := map[string]place{}
	for p, records := range read {
		last := map[string]string{} // of each writer
		for i, r := range records {
			v := string(r.Value)
			if i > 0 && r.Offset <= records[i-1].Offset {
				w.broke("partition %d: offset %d follows %d", p, r.Offset, records[i-1].Offset)
			}
			if other, twice := at[v]; twice && !w.flaws.ackBeforeCopying {
				w.broke("%s is there twice, at %v and %v", v, other, place{p, r.Offset})
			}
			at[v] = place{p, r.Offset}
			writer, _, _ := strings.Cut(v, "-")
			if v <= last[writer] && !w.flaws.ackBeforeCopying {
				w.broke("partition %d: %s comes after %s", p, v, last[writer])
			}
			last[writer] = v
		}
	}
	lost := 0
	for v, where := range w.ledger.acked {
		got, ok := at[v]
		if !ok {
			lost++
			if lost < 4 {
				w.broke("%s was acknowledged at %v, %s after the start, and is lost; there is %s", v, where, w.ledger.when[v], nearby(read[where.partition], where.offset))
			}
		} else if got != where {
			w.broke("%s was acknowledged at %v and is at %v", v, where, got)
		}
	}
	if lost >= 4 {
		w.broke("%d acknowledged records are lost", lost)
	}
}

// nearby are the records around an offset.
func nearby(records []*kgo.Record, offset int64) string {
	var b strings.Builder
	for _, r := range records {
		if r.Offset >= offset-2 && r.Offset <= offset+2 {
			fmt.Fprintf(&b, "%s at %d of epoch %d; ", r.Value, r.Offset, r.LeaderEpoch)
		}
	}
	return b.String()
}

// compareReplicas holds the replicas' logs against each other, byte by byte, on the disks of nodes that have stopped.
func (w *world) compareReplicas(img *meta.Image) {
	img.Topics(func(t *meta.Topic) bool {
		for i, p := range t.Partitions {
			w.compareLogs(fmt.Sprintf("%s-%d", t.Name, i), p.Replicas)
		}
		return true
	})
}

func (w *world) compareLogs(name string, replicas []int32) {
	var first []byte
	for j, id := range replicas {
		b, err := logBytes(w.hosts[id].disk, path.Join(dataDir, name))
		if err != nil {
			w.broke("%s on node %d: %v", name, id, err)
			continue
		}
		if j == 0 {
			first = b
		} else if !bytes.Equal(first, b) {
			w.broke("the logs of %s on nodes %d and %d differ: %d and %d bytes", name, replicas[0], id, len(first), len(b))
		}
	}
}

// logBytes is a partition's log, its segments one after the other.
func logBytes(fs vfs.FS, dir string) ([]byte, error) {
	entries, err := fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".log") {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	sort.Strings(names)
	var out []byte
	for _, name := range names {
		b, err := vfs.ReadFile(fs, name)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}
