package broker

import (
	"sort"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs shows log directories and the logs in them. v1-5; disk space
// from 4 (KIP-827). A null list of topics means all.
func (b *Broker) describeLogDirs(r *server.Request) {
	req := r.Body.(*kmsg.DescribeLogDirsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	if !b.allowedCluster(r, security.OperationDescribe) {
		if r.Version >= 3 {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		}
		r.Reply(resp)
		return
	}
	wanted := wantedLogs(req)
	for _, d := range b.logs.Dirs() {
		out := kmsg.NewDescribeLogDirsResponseDir()
		out.Dir = d.Path
		out.TotalBytes, out.UsableBytes = -1, -1
		if d.Err != nil {
			out.ErrorCode = kerr.KafkaStorageError.Code
		} else {
			if total, free, ok := b.logs.Usage(d.Path); ok {
				out.TotalBytes, out.UsableBytes = total, free
			}
			out.Topics = b.logsIn(d.Path, wanted)
		}
		resp.Dirs = append(resp.Dirs, out)
	}
	r.Reply(resp)
}

// wantedLogs is a filter for the named partitions.
func wantedLogs(req *kmsg.DescribeLogDirsRequest) func(storage.TopicPartition) bool {
	if req.Topics == nil {
		return func(storage.TopicPartition) bool { return true }
	}
	named := make(map[storage.TopicPartition]bool)
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			named[storage.TopicPartition{Topic: t.Topic, Partition: p}] = true
		}
	}
	return func(tp storage.TopicPartition) bool { return named[tp] }
}

func (b *Broker) logsIn(dir string, wanted func(storage.TopicPartition) bool) []kmsg.DescribeLogDirsResponseDirTopic {
	byTopic := make(map[string][]kmsg.DescribeLogDirsResponseDirTopicPartition)
	add := func(l *storage.Log, lag int64, future bool) {
		tp := l.TopicPartition()
		if l.LogDir() != dir || !wanted(tp) {
			return
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size, p.OffsetLag, p.IsFuture = tp.Partition, l.Glance().SizeBytes, max(lag, 0), future
		byTopic[tp.Topic] = append(byTopic[tp.Topic], p)
	}
	for _, l := range b.logs.Logs() {
		g := l.Glance()
		add(l, g.HighWatermark-g.LogEndOffset, false)
	}
	for _, l := range b.logs.Futures() {
		if current := b.logs.Log(l.TopicPartition()); current != nil {
			add(l, current.LogEndOffset()-l.LogEndOffset(), true)
		}
	}
	topics := make([]kmsg.DescribeLogDirsResponseDirTopic, 0, len(byTopic))
	for name, parts := range byTopic {
		sort.Slice(parts, func(i, j int) bool { return parts[i].Partition < parts[j].Partition })
		t := kmsg.NewDescribeLogDirsResponseDirTopic()
		t.Topic, t.Partitions = name, parts
		topics = append(topics, t)
	}
	sort.Slice(topics, func(i, j int) bool { return topics[i].Topic < topics[j].Topic })
	return topics
}
