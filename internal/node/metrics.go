package node

import (
	"maps"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// observer turns what the server tells into metrics.
type observer struct {
	meters              *obs.RequestMetrics
	byKey               []atomic.Pointer[obs.RequestMeter] // by API key; made when the first request of a kind is done
	fetchConsumer       atomic.Pointer[obs.RequestMeter]
	created, closed     *obs.Counter
	refused, idleKilled *obs.Counter
}

// fetchKey is Fetch's API key: Kafka counts it under two names.
const fetchKey = 1

func newObserver(r *obs.Registry) *observer {
	meters := obs.NewRequestMetrics(r)
	o := &observer{
		meters: meters, byKey: make([]atomic.Pointer[obs.RequestMeter], kmsg.MaxKey+1),
		created:    r.Counter(obs.ConnectionCreations, "Connections that were opened."),
		closed:     r.Counter(obs.ConnectionCloses, "Connections that were closed."),
		refused:    r.Counter("moldau_connections_refused_total", "Connections that a limit turned away."),
		idleKilled: r.Counter(obs.ExpiredConnectionsKilled, "Connections that were closed because they were idle."),
	}
	return o
}

func (o *observer) ConnOpened(*server.Conn) { o.created.Inc() }

func (o *observer) ConnClosed(_ *server.Conn, reason error) {
	o.closed.Inc()
	if reason == server.ErrIdle {
		o.idleKilled.Inc()
	}
}

func (o *observer) ConnRefused(string, string, error) { o.refused.Inc() }

func (o *observer) RequestDone(s *server.RequestStats) {
	if s.Key < 0 || int(s.Key) >= len(o.byKey) {
		return
	}
	t := obs.RequestTimes{
		Total: s.TotalTime, Queue: s.QueueTime, Local: s.LocalTime, Remote: s.RemoteTime,
		Throttle: s.ThrottleTime, ResponseQueue: s.ResponseQueueTime, ResponseSend: s.ResponseSendTime,
	}
	o.meter(&o.byKey[s.Key], kmsg.NameForKey(s.Key)).Done(s.Version, t, s.RequestBytes, int(s.ResponseBytes))
	if s.Key == fetchKey {
		o.meter(&o.fetchConsumer, "FetchConsumer").Done(s.Version, t, s.RequestBytes, int(s.ResponseBytes))
	}
}

func (o *observer) meter(at *atomic.Pointer[obs.RequestMeter], name string) *obs.RequestMeter {
	if m := at.Load(); m != nil {
		return m
	}
	m := o.meters.For(name)
	at.Store(m)
	return m
}

// WriteMetrics writes the figures that are read at the moment of the scrape.
func (n *Node) WriteMetrics(w *obs.Writer) {
	n.writeCluster(w)
	if n.broker == nil {
		return
	}
	n.writeReplicas(w)
	n.writeReplication(w)
	n.writeLogs(w)
	n.writeGroups(w)
	n.writeLag(w)
	n.writeTransactions(w)
	n.writeCleaner(w)
	w.Family(obs.ConnectionCount, "Open connections.", obs.KindGauge).Int(int64(n.server.Connections()))
	sessions, partitions := n.broker.FetchSessions()
	w.Family(obs.FetchSessions, "Fetch sessions.", obs.KindGauge).Int(int64(sessions))
	w.Family(obs.FetchSessionPartitions, "Partitions named in fetch sessions.", obs.KindGauge).Int(int64(partitions))
}

func (n *Node) writeReplicas(w *obs.Writer) {
	c := n.replicas.Counts()
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{obs.PartitionCount, "Partitions on this broker.", c.Partitions},
		{obs.LeaderCount, "Partitions that this broker leads.", c.Leaders},
		{obs.OfflineReplicaCount, "Partitions whose log directory has failed.", c.Offline},
		{obs.UnderReplicatedPartitions, "Led partitions with replicas out of sync.", c.UnderReplicated},
		{obs.UnderMinIsrPartitionCount, "Led partitions with fewer in-sync replicas than min.insync.replicas.", c.UnderMinISR},
		{obs.AtMinIsrPartitionCount, "Led partitions with just min.insync.replicas in sync.", c.AtMinISR},
	} {
		w.Family(g.name, g.help, obs.KindGauge).Int(int64(g.value))
	}
}

// writeCluster writes what the metadata image knows.
func (n *Node) writeCluster(w *obs.Writer) {
	img := n.metadata.Image()
	id, epoch := n.cluster.leader.Leader()
	active := int64(0)
	if id == n.id {
		active = 1
	}
	fenced := int64(0)
	brokers := img.Brokers()
	info := w.Family(obs.BrokerInfo, "A broker and its address.", obs.KindGauge)
	for _, b := range brokers {
		if b.Fenced {
			fenced++
		}
		if len(b.Listeners) > 0 {
			e := b.Listeners[0]
			info.Int(1, "id", strconv.Itoa(int(b.ID)), "address", e.Host+":"+strconv.Itoa(int(e.Port)))
		}
	}
	offline := int64(0)
	partitions := w.Family(obs.TopicPartitions, "Partitions of a topic.", obs.KindGauge)
	img.Topics(func(t *meta.Topic) bool {
		partitions.Int(int64(len(t.Partitions)), "topic", t.Name)
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				offline++
			}
		}
		return true
	})
	for _, g := range []struct {
		name, help string
		value      int64
	}{
		{obs.ActiveControllerCount, "1 on the active controller.", active},
		{obs.ActiveBrokerCount, "Brokers that serve.", int64(len(brokers)) - fenced},
		{obs.FencedBrokerCount, "Brokers that are registered and do not serve.", fenced},
		{obs.GlobalTopicCount, "Topics of the cluster.", int64(img.NumTopics())},
		{obs.GlobalPartitionCount, "Partitions of the cluster.", int64(img.NumPartitions())},
		{obs.OfflinePartitionsCount, "Partitions without a leader.", offline},
		{obs.LastAppliedRecordOffset, "Offset of the metadata record that was applied last.", img.Offset()},
		{obs.LastCommittedRecordOffset, "Offset of the metadata record that was committed last.", n.metadata.LogEndOffset() - 1},
		{obs.Brokers, "Brokers that serve.", int64(len(brokers)) - fenced},
		{obs.RaftCurrentLeader, "Node id of the metadata quorum's leader.", int64(id)},
		{obs.RaftCurrentEpoch, "Epoch of the metadata quorum.", int64(epoch)},
		{obs.RaftHighWatermark, "High watermark of the metadata log.", n.metadata.LogEndOffset()},
		{obs.RaftLogEndOffset, "End of the metadata log.", n.metadata.LogEndOffset()},
	} {
		w.Family(g.name, g.help, obs.KindGauge).Int(g.value)
	}
}

// writeLogs writes sizes and offsets of every partition on this broker.
func (n *Node) writeLogs(w *obs.Writer) {
	size := w.Family(obs.LogSize, "Bytes of a partition's log.", obs.KindGauge)
	segments := w.Family(obs.NumLogSegments, "Segments of a partition's log.", obs.KindGauge)
	start := w.Family(obs.LogStartOffset, "First offset of a partition's log.", obs.KindGauge)
	end := w.Family(obs.LogEndOffset, "Offset after the last record of a partition's log.", obs.KindGauge)
	n.replicas.Each(func(p *replica.Partition) bool {
		log := p.Log()
		if log == nil {
			return true
		}
		tp := p.TopicPartition()
		labels := []string{"topic", tp.Topic, "partition", strconv.Itoa(int(tp.Partition))}
		g := log.Glance()
		size.Int(g.SizeBytes, labels...)
		segments.Int(int64(g.Segments), labels...)
		start.Int(g.LogStartOffset, labels...)
		end.Int(g.LogEndOffset, labels...)
		return true
	})
	free := w.Family(obs.LogDirFreeBytes, "Free bytes of a log directory's file system.", obs.KindGauge)
	total := w.Family(obs.LogDirTotalBytes, "Bytes of a log directory's file system.", obs.KindGauge)
	failed := int64(0)
	for _, d := range n.logs.Dirs() {
		if d.Err != nil {
			failed++
			continue
		}
		if t, f, ok := n.logs.Usage(d.Path); ok {
			free.Int(f, "dir", d.Path)
			total.Int(t, "dir", d.Path)
		}
	}
	n.writeRecovery(w)
	w.Family("moldau_log_damaged_places", "Damaged places that were found in segments since the start.", obs.KindGauge).Int(n.logs.Damaged())
	w.Family("moldau_log_kept_aside_files", "Files named .damaged in which recovery has kept what it cut off a log since the start.", obs.KindGauge).Int(n.logs.KeptAside())
	w.Family(obs.OfflineLogDirectoryCount, "Log directories that have failed.", obs.KindGauge).Int(failed)
}

func (n *Node) writeGroups(w *obs.Writer) {
	m := n.groups.Metrics()
	writeGroupEvents(w, m)
	all := 0
	for _, c := range m.GroupsByState {
		all += c
	}
	byType := w.Family(obs.GroupCount, "Groups that this broker coordinates, by protocol.", obs.KindGauge)
	for _, protocol := range slices.Sorted(maps.Keys(m.GroupsByType)) {
		byType.Int(int64(m.GroupsByType[protocol]), "protocol", protocol)
	}
	byState := w.Family(obs.ConsumerGroupCount, "Groups of the consumer protocol, by state.", obs.KindGauge)
	for _, state := range slices.Sorted(maps.Keys(m.ConsumerGroupsByState)) {
		byState.Int(int64(m.ConsumerGroupsByState[state]), "state", state)
	}
	w.Family(obs.ConsumerGroupRebalances, "Epochs that groups of the consumer protocol have begun.", obs.KindCounter).Int(m.ConsumerRebalances)
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{obs.NumGroups, "Groups that this broker coordinates.", all},
		{obs.NumGroupsPreparingRebalance, "Groups that wait for their members to join.", m.GroupsByState["PreparingRebalance"]},
		{obs.NumGroupsCompleting, "Groups that wait for their assignment.", m.GroupsByState["CompletingRebalance"]},
		{obs.NumGroupsStable, "Groups at work.", m.GroupsByState["Stable"]},
		{obs.NumGroupsDead, "Groups that are being removed.", m.GroupsByState["Dead"]},
		{obs.NumGroupsEmpty, "Groups without members.", m.GroupsByState["Empty"]},
		{obs.NumOffsets, "Committed offsets.", m.Offsets},
	} {
		w.Family(g.name, g.help, obs.KindGauge).Int(int64(g.value))
	}
}
