package clients

import (
	"context"

	"github.com/moldau-stream/moldau/tests/corpus"
)

// Traits says what a client can do, so that it is not asked for more.
type Traits struct {
	Limits     corpus.Limits
	ReadLimits corpus.Limits // what its reading side cannot show
	Codecs     []string      // "none", "gzip", ...
	ReadCodecs []string      // where it can read others than it writes; nil: the same
	Groups     []string      // rebalance strategies: "eager", "cooperative", "consumer"
	Create     bool
	Idempotent bool
	Commit     bool
	Admin      bool
	Static     bool // its members may have a group.instance.id: Join knows staticStrategy
	Transact   bool // see transactor
	// NoGaps: it waits for ever where compaction has emptied batches, also with Apache Kafka.
	NoGaps bool
	// DropsOnLeave: when told to leave it commits records that it has not shown yet, so delivery cannot be checked.
	DropsOnLeave bool
}

// loader is a client that cannot carry records of ours, only make and count its own.
type loader interface {
	load(ctx context.Context, topic, codec string) error
}

// Member is what one group member has done so far.
type Member struct {
	Assigned []int32    `json:"assigned"`
	Records  [][2]int64 `json:"records"` // partition, offset in the order of arrival
	Error    string     `json:"error"`
}

// Client is a Kafka client under one face. A Client is used by one goroutine.
type Client interface {
	Name() string // with its version
	Traits() Traits
	Create(ctx context.Context, topic string, partitions int32) error
	// Produce writes the records to their partitions with acks=all, in order, and returns once all are acknowledged.
	Produce(ctx context.Context, topic, codec string, idempotent bool, records []corpus.Record) error
	// Consume reads count records from the start of a topic of corpus.Partitions partitions.
	Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error)
	// Join starts a member which reads the topic from its start, commits by itself and goes on until Leave.
	Join(ctx context.Context, name, group, topic, strategy string) error
	Members(ctx context.Context) (map[string]Member, error)
	Leave(ctx context.Context, name string) error
	// Commit reads partition 0 as a group member, commits the offset and leaves.
	Commit(ctx context.Context, group, topic string, offset int64) error
	// Resume joins the group and returns the first offset that it is given.
	Resume(ctx context.Context, group, topic string) (int64, error)
	// Admin creates, describes, grows, configures and deletes a topic of that name.
	Admin(ctx context.Context, topic string) error
	Close()
}
