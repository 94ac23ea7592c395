package cli

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topFrame is what one look has seen.
type topFrame struct {
	at                              time.Time
	away                            string // why nothing at all could be seen
	brokers, partitions, topicCount int
	underReplicated, offline        int
	latency                         time.Duration // of the metadata request
	topics                          []topicRate
	groups                          []groupLag
	trouble                         []troubledPartition
	requests                        []requestRate
	silent                          []string // what could not be asked, and why
	withRequests                    bool
}

// topicRate is what goes into a topic.
type topicRate struct {
	name       string
	partitions int
	measured   bool // there was a look to compare with
	perSecond  float64
	records    int64
}

// groupLag is how far a group is behind.
type groupLag struct {
	id, state string
	known     bool // the cluster told where the group stands
	lag       int64
}

// troubledPartition lacks replicas or a leader.
type troubledPartition struct {
	at               topicPartition
	leader           int32 // -1: none
	replicas, inSync []int32
}

// look asks the cluster and remembers what the next look compares with. Only metadata must be had: of what else cannot be asked
// the frame says why.
func (t *topView) look() (*topFrame, error) {
	asked := time.Now()
	md, err := t.c.Metadata(t.ctx, "listTopics", nil, true)
	if err != nil {
		return nil, err
	}
	f := &topFrame{at: t.Now(), latency: time.Since(asked), brokers: len(md.Brokers), topicCount: len(md.Topics), withRequests: t.p.has("metrics-url")}
	at := f.countPartitions(md)
	ends := map[topicPartition]int64{}
	var lost error
	unread := 0
	for tp, res := range t.listOffsets(t.c, at, false) {
		if res.err == nil {
			ends[tp] = res.offset
			continue
		}
		unread, lost = unread+1, res.err
	}
	if unread > 0 {
		f.silent = append(f.silent, fmt.Sprintf("end offsets of %d partitions: %v", unread, lost))
	}
	f.topics = topicRates(ends, t.ends, f.at.Sub(t.at))
	if f.groups, err = t.groupLags(ends); err != nil {
		f.silent = append(f.silent, "groups: "+err.Error())
	}
	if f.withRequests {
		requests, silent := t.requestRates(f.at)
		f.requests, f.silent = requests, append(f.silent, silent...)
	}
	t.ends, t.at = ends, f.at
	return f, nil
}

// countPartitions counts what metadata has, notes what is in trouble, and returns the partitions whose leaders can be asked.
func (f *topFrame) countPartitions(md *kmsg.MetadataResponse) map[topicPartition]int64 {
	at := map[topicPartition]int64{}
	for _, topic := range md.Topics {
		for _, p := range topic.Partitions {
			f.partitions++
			tp := topicPartition{*topic.Topic, p.Partition}
			if p.Leader < 0 {
				f.offline++
			} else {
				at[tp] = latestOffset
			}
			if len(p.ISR) < len(p.Replicas) {
				f.underReplicated++
			}
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				f.trouble = append(f.trouble, troubledPartition{at: tp, leader: p.Leader, replicas: p.Replicas, inSync: p.ISR})
			}
		}
	}
	sort.Slice(f.trouble, func(i, j int) bool {
		a, b := f.trouble[i], f.trouble[j]
		if (a.leader < 0) != (b.leader < 0) {
			return a.leader < 0 // nobody can use it
		}
		return a.at.topic < b.at.topic || a.at.topic == b.at.topic && a.at.partition < b.at.partition
	})
	return at
}

// topicRates sums partitions up; what was not there at the last look has no rate yet. The busiest come first. A topic that was
// made anew has smaller offsets than before, which is no rate below nothing.
func topicRates(ends, before map[topicPartition]int64, since time.Duration) []topicRate {
	rates := map[string]*topicRate{}
	for tp, end := range ends {
		r := rates[tp.topic]
		if r == nil {
			r = &topicRate{name: tp.topic}
			rates[tp.topic] = r
		}
		r.partitions++
		r.records += end
		if old, ok := before[tp]; ok && since > 0 {
			r.measured = true
			r.perSecond += float64(max(end-old, 0)) / since.Seconds()
		}
	}
	var list []topicRate
	for _, name := range sortedKeys(rates) {
		list = append(list, *rates[name])
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.perSecond != b.perSecond {
			return a.perSecond > b.perSecond
		}
		return !strings.HasPrefix(a.name, "__") && strings.HasPrefix(b.name, "__") // the cluster's own topics after those of its users
	})
	return list
}

// groupLags are the lags of all groups, the longest first: of consumers and applications of Kafka Streams by what they have
// committed, of share groups by where they start.
func (t *topView) groupLags(ends map[topicPartition]int64) ([]groupLag, error) {
	all, err := t.listGroups(t.c, nil, nil)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var committing, sharing []string
	for _, g := range all {
		switch {
		case strings.EqualFold(g.GroupType, "share"):
			sharing = append(sharing, g.Group)
		case isConsumerGroup(g) || strings.EqualFold(g.GroupType, "streams"):
			committing = append(committing, g.Group)
		}
	}
	offsets, err := t.committedOffsets(committing)
	shared, shareErr := t.shareStarts(sharing)
	if err == nil {
		err = shareErr
	}
	for id, starts := range shared {
		offsets[id] = starts
	}
	var list []groupLag
	for _, g := range all {
		list = append(list, lagOf(g, offsets, ends))
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].lag > list[j].lag })
	return list, err
}

func lagOf(g kmsg.ListGroupsResponseGroup, offsets map[string]map[topicPartition]committed, ends map[topicPartition]int64) groupLag {
	out := groupLag{id: g.Group, state: g.GroupState}
	var at map[topicPartition]committed
	at, out.known = offsets[g.Group]
	for tp, c := range at {
		if end, ok := ends[tp]; ok {
			out.lag += max(end-c.offset, 0)
		}
	}
	return out
}

// shareStarts are the offsets at which share groups start.
func (t *topView) shareStarts(ids []string) (map[string]map[topicPartition]committed, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	share := &shareTool{groupsTool: t.groupsTool}
	return t.offsetsOf("listShareGroupOffsets(api=FIND_COORDINATOR)", ids, func(node kmsg.FindCoordinatorResponseCoordinator, id string) (map[topicPartition]committed, error) {
		starts, err := share.shareOffsets(node.NodeID, id)
		at := map[topicPartition]committed{}
		for _, s := range starts {
			if s.start >= 0 {
				at[s.tp] = committed{s.start, s.epoch}
			}
		}
		return at, err
	})
}
