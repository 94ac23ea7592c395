package quorum

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Defaults, Kafka's.
const (
	defaultElectionTimeout   = time.Second
	defaultSnapshotBytes     = 20 << 20
	defaultSnapshotInterval  = time.Hour
	defaultRetentionBytes    = 100 << 20
	defaultRetention         = 7 * 24 * time.Hour
	maxWaitingRequests       = 10_000   // requests that wait for the loop; more are refused, so that memory has a bound
	maxUncommittedBytes      = 64 << 20 // proposals that peers have not taken yet
	maxRaftMessageBytes      = 4 << 20
	maxRaftMessagesInFlight  = 64
	raftTicksPerElection     = 10
	raftTicksPerHeartbeat    = 2
	maxConsecutiveReadyTurns = 1 << 20 // a loop that never settles is a fault, not work
)

// Config is what a node is started with.
type Config struct {
	FS vfs.FS
	// Dir is the metadata log directory (metadata.log.dir, else the first of log.dirs); it exists and is locked.
	Dir    string
	NodeID int32
	// Voters are the node ids of all voters of a static quorum; empty means this node alone. They do not count where
	// the log names the voters.
	Voters []int32
	// Join: this node has no voters of its own to begin with. It takes no part until the leader makes it a member.
	Join bool
	// DirectoryID is this node's id of Dir.
	DirectoryID meta.UUID
	Clock       clock.Clock
	Logger      *slog.Logger // nil = silent
	// OpenLog opens the metadata log in dir, Dir/__cluster_metadata-0, which exists; everything below the recovery
	// point is known to be on the disk. nil = StorageLog.
	OpenLog    func(dir string, recoveryPoint int64) (Log, error)
	Controller controller.Config
	Transport  Transport

	// Bootstrap is what the first leader writes when there is no bootstrap.checkpoint; nil = meta.BootstrapRecords().
	Bootstrap []meta.Record

	ElectionTimeout  time.Duration // controller.quorum.election.timeout.ms
	SnapshotBytes    int64         // metadata.log.max.record.bytes.between.snapshots
	SnapshotInterval time.Duration // metadata.log.max.snapshot.interval.ms; negative = never by time (the key says that with 0)
	RetentionBytes   int64         // metadata.max.retention.bytes; negative = no bound
	Retention        time.Duration // metadata.max.retention.ms; negative = no bound
	// IdleInterval is metadata.max.idle.interval.ms: after so long without a record one is written that says nothing.
	// 0 = never, which is the default: nothing here needs it, and an idle node should leave its disk alone.
	IdleInterval time.Duration

	// OnLeader is told of each new leader, by its node id. It must not block; nil = nobody is told.
	OnLeader func(nodeID int32)
	// OnMembers is told of the members at the start and after each change. It must not block; nil = nobody is told.
	OnMembers func(Members)
	// OnFatal is told once when the node cannot go on: its disk failed, or its log is damaged. It must not block.
	OnFatal func(error)
}

func (c *Config) withDefaults() error {
	switch {
	case c.FS == nil || c.Clock == nil || c.Dir == "":
		return errors.New("cannot start the quorum: file system, clock and directory must be given")
	case c.Controller.Random == nil && !c.Join:
		return errors.New("cannot start the quorum: a source of chance must be given")
	case c.NodeID < 0:
		return fmt.Errorf("cannot start the quorum: node id %d is negative", c.NodeID)
	}
	if len(c.Voters) == 0 && !c.Join {
		c.Voters = []int32{c.NodeID}
	}
	c.Voters = slices.Sorted(slices.Values(c.Voters))
	if !c.Join && !slices.Contains(c.Voters, c.NodeID) {
		return fmt.Errorf("cannot start the quorum: node %d is not among the voters %v", c.NodeID, c.Voters)
	}
	if len(c.Voters) > 1 && c.Transport == nil {
		return errors.New("cannot start the quorum: several voters need a transport")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OpenLog == nil {
		c.OpenLog = StorageLog(c.FS, c.Clock, c.Logger, 0)
	}
	c.Controller.NodeID = c.NodeID
	if c.ElectionTimeout <= 0 {
		c.ElectionTimeout = defaultElectionTimeout
	}
	if c.SnapshotBytes <= 0 {
		c.SnapshotBytes = defaultSnapshotBytes
	}
	if c.SnapshotInterval == 0 {
		c.SnapshotInterval = defaultSnapshotInterval
	}
	if c.RetentionBytes == 0 {
		c.RetentionBytes = defaultRetentionBytes
	}
	if c.Retention == 0 {
		c.Retention = defaultRetention
	}
	return nil
}
