package node

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// foreignEndsAge is after how long the ends of partitions that lie on other brokers are asked for again.
	foreignEndsAge = 10 * time.Second
	// latestTimestamp asks ListOffsets for the end of the log, as a consumer sees it.
	latestTimestamp = -1
	// endsVersion is the version of that question: every broker of a cluster that we can be in knows it.
	endsVersion = 7
)

// foreignEnds is where partitions end of which this broker has no replica, as their leaders said when the metrics were read
// before. What a scrape lacks is asked for behind its back: no scrape waits for another broker.
type foreignEnds struct {
	mu     sync.Mutex
	ends   map[storage.TopicPartition]int64
	asked  time.Time
	asking int // answers that are awaited
}

// writeLag writes how far the groups of this broker are behind. Together the brokers show every group once.
func (n *Node) writeLag(w *obs.Writer) {
	limit := n.o.Settings.Int(config.MoldauMetricsConsumerLagMax)
	if limit == 0 {
		return
	}
	all := n.groups.Committed(limit)
	slices.SortFunc(all.Offsets, func(a, b group.CommittedOffset) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	lags := n.lags(all.Offsets)
	sums := sumLags(lags)

	offset := w.Family(obs.ConsumerGroupCurrentOffset, "Offset that a group has committed of a partition.", obs.KindGauge)
	for _, l := range lags {
		offset.Int(l.at.Offset, "consumergroup", l.at.Group, "topic", l.at.Topic, "partition", strconv.Itoa(int(l.at.Partition)))
	}
	lag := w.Family(obs.ConsumerGroupLag, "Records of a partition that a group has not committed.", obs.KindGauge)
	for _, l := range lags {
		if l.known {
			lag.Int(l.records, "consumergroup", l.at.Group, "topic", l.at.Topic, "partition", strconv.Itoa(int(l.at.Partition)))
		}
	}
	kminion := w.Family(obs.KminionPartitionLag, "Records of a partition that a group has not committed.", obs.KindGauge)
	for _, l := range lags {
		if l.known {
			kminion.Int(l.records, "group_id", l.at.Group, "topic_name", l.at.Topic, "partition_id", strconv.Itoa(int(l.at.Partition)))
		}
	}
	sum := w.Family(obs.ConsumerGroupLagSum, "Records of a topic that a group has not committed.", obs.KindGauge)
	for _, s := range sums {
		sum.Int(s.records, "consumergroup", s.at.Group, "topic", s.at.Topic)
	}
	kminion = w.Family(obs.KminionTopicLag, "Records of a topic that a group has not committed.", obs.KindGauge)
	for _, s := range sums {
		kminion.Int(s.records, "group_id", s.at.Group, "topic_name", s.at.Topic)
	}
	writeMembers(w, all.Members, limit)
	w.Family(obs.ConsumerLagLeftOut, "Partitions of groups whose lag is not shown, for moldau.metrics.consumer.lag.max.", obs.KindGauge).Int(int64(all.LeftOut))
}

func writeMembers(w *obs.Writer, members map[string]int, limit int) {
	ids := slices.Sorted(maps.Keys(members))
	ids = ids[:min(len(ids), limit)]
	m := w.Family(obs.ConsumerGroupMembers, "Members of a group.", obs.KindGauge)
	for _, id := range ids {
		m.Int(int64(members[id]), "consumergroup", id)
	}
	m = w.Family(obs.KminionGroupMembers, "Members of a group.", obs.KindGauge)
	for _, id := range ids {
		m.Int(int64(members[id]), "group_id", id)
	}
}

// lagOf is how far a group is behind in a partition, or, without the partition, in a topic.
type lagOf struct {
	at      group.CommittedOffset
	records int64
	known   bool // false: where the partition ends is still being asked
}

// lags holds what is committed against where the logs end.
func (n *Node) lags(offsets []group.CommittedOffset) []lagOf {
	lags := make([]lagOf, 0, len(offsets))
	foreign := map[storage.TopicPartition]bool{}
	for _, o := range offsets {
		tp := storage.TopicPartition{Topic: o.Topic, Partition: o.Partition}
		end, known := n.localEnd(tp)
		if !known {
			foreign[tp] = true
			end, known = n.foreignEnds.get(tp)
		}
		lags = append(lags, lagOf{o, max(0, end-o.Offset), known}) // a follower may not have heard yet what a group has read
	}
	n.askEnds(foreign)
	return lags
}

// sumLags adds up by group and topic; the offsets are sorted by them.
func sumLags(lags []lagOf) []lagOf {
	var sums []lagOf
	for _, l := range lags {
		if !l.known {
			continue
		}
		if i := len(sums) - 1; i >= 0 && sums[i].at.Group == l.at.Group && sums[i].at.Topic == l.at.Topic {
			sums[i].records += l.records
			continue
		}
		sums = append(sums, l)
	}
	return sums
}

// localEnd is how far consumers may read a partition, by this broker's replica of it.
func (n *Node) localEnd(tp storage.TopicPartition) (int64, bool) {
	p, err := n.replicas.Partition(tp)
	if err != nil {
		return 0, false
	}
	return p.State().HW, true
}

func (f *foreignEnds) get(tp storage.TopicPartition) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end, ok := f.ends[tp]
	return end, ok
}

// begin says whether it is time to ask again, and if so for how many answers.
func (f *foreignEnds) begin(now time.Time, brokers int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asking > 0 || now.Sub(f.asked) < foreignEndsAge && f.ends != nil {
		return false
	}
	f.asking, f.asked = brokers, now
	return true
}

// askEnds asks the leaders of partitions where they end, unless they were asked a moment ago.
func (n *Node) askEnds(tps map[storage.TopicPartition]bool) {
	img := n.broker.Image()
	byLeader := map[int32]map[string][]int32{}
	for tp := range tps {
		p := img.Partition(tp.Topic, tp.Partition)
		if p == nil || p.Leader < 0 || p.Leader == n.id {
			continue
		}
		if byLeader[p.Leader] == nil {
			byLeader[p.Leader] = map[string][]int32{}
		}
		byLeader[p.Leader][tp.Topic] = append(byLeader[p.Leader][tp.Topic], tp.Partition)
	}
	if len(byLeader) == 0 || !n.foreignEnds.begin(n.o.Clock.Now(), len(byLeader)) {
		return
	}
	n.foreignEnds.keep(tps)
	for leader, topics := range byLeader {
		n.peers.Do(leader, endsRequest(topics), func(resp kmsg.Response, err error) {
			answer, ok := resp.(*kmsg.ListOffsetsResponse)
			if err != nil || !ok {
				answer = nil
			}
			n.foreignEnds.answered(answer)
		})
	}
}

func endsRequest(topics map[string][]int32) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(endsVersion)
	req.ReplicaID = -1
	for name, parts := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for _, id := range parts {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = id, latestTimestamp, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// keep forgets the ends that nobody asks about any more.
func (f *foreignEnds) keep(tps map[storage.TopicPartition]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends == nil {
		f.ends = map[storage.TopicPartition]int64{}
	}
	maps.DeleteFunc(f.ends, func(tp storage.TopicPartition, _ int64) bool { return !tps[tp] })
}

func (f *foreignEnds) answered(resp *kmsg.ListOffsetsResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking--
	if resp == nil {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if tp := (storage.TopicPartition{Topic: t.Topic, Partition: p.Partition}); p.ErrorCode == 0 {
				f.ends[tp] = p.Offset
			} else {
				delete(f.ends, tp)
			}
		}
	}
}
