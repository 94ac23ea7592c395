package node

import (
	"context"
	"math"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/peer"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// replicaConfig is what the partitions of this broker are built from.
func (n *Node) replicaConfig() replica.Config {
	s := n.o.Settings
	return replica.Config{
		NodeID: n.id, Logs: n.logs, Clock: n.o.Clock, Logger: n.o.Logger, FlushAcks: s.Bool(config.MoldauFlushAcks),
		TopicConfig: n.topicConfig, OnHighWatermark: n.onHighWatermark, OnRole: n.onRole, OnDeleted: n.onDeleted,
		OnPlaced: n.placements.note, InterBrokerListener: s.InterBrokerListener(), Dial: n.dialBroker,
		Controller: isrLink{n}, BrokerEpoch: n.brokerEpoch, InTouch: n.inTouch, Settings: replicationSettings(s), MoveThreads: n.moveThreads(),
	}
}

// replicationSettings are the keys of replication between brokers.
func replicationSettings(s *config.Config) replica.Settings {
	throttle := replica.Throttle{
		Windows: s.Int(config.ReplicationQuotaWindowNum),
		Window:  time.Duration(s.Int(config.ReplicationQuotaWindowSizeSeconds)) * time.Second,
	}
	leader, follower := throttle, throttle
	leader.BytesPerSecond = boundOf(s.Long(config.LeaderReplicationThrottledRate))
	follower.BytesPerSecond = boundOf(s.Long(config.FollowerReplicationThrottledRate))
	return replica.Settings{
		NumFetchers:   s.Int(config.NumReplicaFetchers),
		FetchMinBytes: s.Int32(config.ReplicaFetchMinBytes), FetchMaxBytes: s.Int32(config.ReplicaFetchMaxBytes),
		FetchResponseMaxBytes: s.Int32(config.ReplicaFetchResponseMaxBytes),
		FetchWaitMax:          s.Duration(config.ReplicaFetchWaitMaxMs), FetchBackoff: s.Duration(config.ReplicaFetchBackoffMs),
		LagTimeMax:     s.Duration(config.ReplicaLagTimeMaxMs),
		RackAware:      s.String(config.ReplicaSelectorClass) == config.RackAwareSelector,
		LeaderThrottle: leader, FollowerThrottle: follower,
	}
}

// moveLimit bounds moves between log directories.
func moveLimit(s *config.Config) replica.Throttle {
	return replica.Throttle{
		BytesPerSecond: boundOf(s.Long(config.ReplicaAlterLogDirsIOMaxBytesPerSecond)),
		Windows:        s.Int(config.AlterLogDirsReplicationQuotaWindowNum),
		Window:         time.Duration(s.Int(config.AlterLogDirsReplicationQuotaWindowSizeSeconds)) * time.Second,
	}
}

// boundOf is a rate as package replica wants it: 0 means no bound.
func boundOf(rate int64) int64 {
	if rate == math.MaxInt64 {
		return 0
	}
	return max(rate, 1)
}

// throttled are the replicas of a topic that are subject to a rate.
func throttled(topic map[string]string, key string) replica.ThrottledReplicas {
	return replica.ParseThrottledReplicas(topic[key])
}

// throttledReplicas are those of a topic's settings.
func throttledReplicas(img *meta.Image, topic string, c *replica.TopicConfig) {
	own := img.Config(meta.ResourceTopic, topic)
	c.LeaderThrottled = throttled(own, config.TopicLeaderReplicationThrottledReplicas)
	c.FollowerThrottled = throttled(own, config.TopicFollowerReplicationThrottledReplicas)
}

// dialBroker is a connection to another broker's listener for brokers.
func (n *Node) dialBroker(_ int32, address string) replica.Peer {
	s := n.o.Settings
	return peer.New(peer.Options{
		Network: n.o.Network, Addr: address, ClientID: "broker-" + n.name() + "-fetcher", Clock: n.o.Clock, Logger: n.o.Logger,
		RequestTimeout: s.Duration(config.ReplicaSocketTimeoutMs), SetupTimeout: s.Duration(config.SocketConnectionSetupTimeoutMs),
		LendAnswers: true, // a follower has written what it was sent before it asks for more
	})
}

// isrLink brings changes of the in-sync replicas to the active controller.
type isrLink struct{ n *Node }

// AlterPartition asks the controller; see replica.Controller.
func (l isrLink) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse, error)) {
	m := l.n.member
	go func() {
		ctx, cancel := l.n.cluster.whileRunning(m.interval)
		defer cancel()
		req.BrokerID, req.BrokerEpoch = l.n.id, m.brokerEpoch()
		resp, err := l.call(ctx, req)
		done(resp, err)
	}()
}

func (l isrLink) call(ctx context.Context, req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	resp, err := l.n.cluster.link.Call(ctx, "isr", req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.AlterPartitionResponse), nil
}

// writeReplication writes what copying between brokers has come to.
func (n *Node) writeReplication(w *obs.Writer) {
	r := n.replicas.Replication()
	for _, c := range []struct {
		name, help string
		value      int64
	}{
		{obs.IsrShrinks, "Changes that put replicas out of sync.", r.IsrShrinks},
		{obs.IsrExpands, "Changes that put replicas in sync.", r.IsrExpands},
		{obs.FailedIsrUpdates, "Changes of in-sync replicas that the controller did not make.", r.FailedIsrUpdates},
		{"moldau_replication_fetched_bytes_total", "Bytes that followers here have copied from their leaders.", r.BytesIn},
		{"moldau_replication_sent_bytes_total", "Bytes that leaders here have handed to their followers.", r.BytesOut},
	} {
		w.Family(c.name, c.help, obs.KindCounter).Int(c.value)
	}
	w.Family(obs.ReplicaFetcherMaxLag, "Most records that a follower here is behind its leader.", obs.KindGauge).Int(r.MaxLag, "clientId", "Replica")
}
