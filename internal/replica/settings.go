package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Settings are the keys of replication between brokers. They may change while the broker runs.
type Settings struct {
	NumFetchers           int           // num.replica.fetchers: connections to each leader
	FetchMinBytes         int32         // replica.fetch.min.bytes
	FetchMaxBytes         int32         // replica.fetch.max.bytes: of a partition
	FetchResponseMaxBytes int32         // replica.fetch.response.max.bytes
	FetchWaitMax          time.Duration // replica.fetch.wait.max.ms
	FetchBackoff          time.Duration // replica.fetch.backoff.ms: the longest pause after a failure
	LagTimeMax            time.Duration // replica.lag.time.max.ms
	RackAware             bool          // replica.selector.class: consumers are sent to a replica of their rack
	LeaderThrottle        Throttle
	FollowerThrottle      Throttle
}

// Throttle bounds the bytes a second that throttled replicas, which are named by their topics, copy or hand out.
type Throttle struct {
	BytesPerSecond int64         // leader. and follower.replication.throttled.rate; 0: no bound
	Windows        int           // replication.quota.window.num
	Window         time.Duration // replication.quota.window.size.seconds
}

// DefaultSettings are Kafka's.
func DefaultSettings() Settings {
	throttle := Throttle{Windows: 11, Window: time.Second}
	return Settings{
		NumFetchers: 1, FetchMinBytes: 1, FetchMaxBytes: 1 << 20, FetchResponseMaxBytes: 10 << 20,
		FetchWaitMax: 500 * time.Millisecond, FetchBackoff: time.Second, LagTimeMax: 30 * time.Second,
		LeaderThrottle: throttle, FollowerThrottle: throttle,
	}
}

// Peer is a connection to another broker. It connects when it is first used, and again when it has broken.
type Peer interface {
	// Do sends a request and calls done once, on another goroutine, with the answer or the reason why there is none.
	Do(req kmsg.Request, done func(kmsg.Response, error))
	// Close ends it; what is under way is done with an error.
	Close()
}

// Controller is the way to the active controller.
type Controller interface {
	// AlterPartition asks for other in-sync replicas; who calls and in which epoch is filled in. done is called
	// once, from any goroutine.
	AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse, error))
}

// flaws are the mistakes that the simulation must catch; a test plants one at a time. All are false in a broker.
type flaws struct {
	ackBeforeReplication bool // the watermark is the leader's own log end
	skipEpochCheck       bool // a follower does not tell the epoch of its last record, and nobody asks
	truncateToWatermark  bool // a new follower cuts its log to its high watermark, as Kafka did before KIP-101
	keepStaleLeader      bool // a leader takes an ISR change that the controller has refused as made
	forgetSync           bool // a follower claims what it has not synced
}
