package node

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// openDisks says whose the log directories are, formats them on a first start where that is wanted, and locks them.
func (n *Node) openDisks() error {
	id, err := n.identify()
	if err != nil {
		return err
	}
	n.clusterID, n.directories = id.clusterID, id.dirs
	s := n.o.Settings
	defaults, _ := s.Topic(nil)
	n.logs, err = storage.PrepareManager(storage.ManagerOptions{
		FS: n.o.FS, Clock: n.o.Clock, Logger: n.o.Logger,
		Dirs: n.dataDirs(), ClusterID: id.clusterID, NodeID: n.id, DefaultConfig: logConfig(defaults),
		RecoveryThreadsPerDir:             s.Int(config.NumRecoveryThreadsPerDataDir),
		RetentionCheckIntervalMs:          s.Long(config.LogRetentionCheckIntervalMs),
		RecoveryPointCheckpointIntervalMs: s.Long(config.LogFlushOffsetCheckpointIntervalMs),
		StartOffsetCheckpointIntervalMs:   s.Long(config.LogFlushStartOffsetCheckpointIntervalMs),
		HighWatermarkCheckpointIntervalMs: s.Long(config.ReplicaHighWatermarkCheckpointIntervalMs),
		ProducerIDExpirationMs:            s.Long(config.ProducerIDExpirationMs),
		ProducerIDExpirationCheckMs:       s.Long(config.ProducerIDExpirationCheckIntervalMs),
		Cleaner:                           cleanerConfig(s),
		BrokerEpoch:                       n.brokerEpoch,
		BackgroundRecovery:                true,
		ConfigsComeLater:                  true,
		BootID:                            n.o.BootID,
		ReserveBytes:                      s.Long(config.MoldauDiskReserveBytes),
		DirCheckIntervalMs:                s.Long(config.MoldauLogDirCheckIntervalMs),
		VerifyReads:                       s.Bool(config.MoldauVerifyReads),
		ScrubBytesPerSecond:               s.Long(config.MoldauScrubBytesPerSecond),
		OnDirFailed:                       n.dirFailed,
		OnDiffers:                         n.logDiffers,
		FlushTimes:                        n.logFlushes(),
	})
	return err
}

// startDisks finds the logs and opens the metadata log, at once: with many partitions both take their time.
func (n *Node) startDisks() error {
	logs := make(chan error, 1)
	go func() { logs <- n.logs.Start() }()
	err := n.openMetadata()
	if err != nil {
		err = fmt.Errorf("cannot open the metadata log in %s: %w", n.o.Settings.MetadataDir(), err)
	}
	if lerr := <-logs; lerr != nil {
		return lerr
	}
	return err
}

// dataDirs are the directories of this node's logs; a controller has only the metadata's.
func (n *Node) dataDirs() []string {
	if !n.o.Settings.IsBroker() {
		return []string{filepath.Clean(n.o.Settings.MetadataDir())}
	}
	return clean(n.o.Settings.DataDirs())
}

// brokerEpoch is the epoch of this broker's registration, for the clean-shutdown marker; -1 before there is one.
func (n *Node) brokerEpoch() int64 {
	if n.member == nil {
		return -1
	}
	return n.member.brokerEpoch()
}

// inTouch says whether the controller has of late called this broker alive.
func (n *Node) inTouch() bool {
	m := n.beating.Load()
	return m != nil && m.inTouch()
}

// directoryID is the id of a directory that identify has seen.
func (n *Node) directoryID(dir string) meta.UUID { return n.directories[filepath.Clean(dir)] }

// name is the node's id as the name of its config resource.
func (n *Node) name() string { return strconv.Itoa(int(n.id)) }

func clean(dirs []string) []string {
	out := make([]string, len(dirs))
	for i, d := range dirs {
		out[i] = filepath.Clean(d)
	}
	return out
}
