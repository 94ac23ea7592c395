package node

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/storage"
)

// failedDirs are the log directories that have gone out of use while the node runs; heartbeats tell the controller.
type failedDirs struct {
	mu   sync.Mutex
	ids  [][16]byte
	tell func() // nil until somebody is there to be told
}

func (f *failedDirs) add(id [16]byte) {
	f.mu.Lock()
	f.ids = append(f.ids, id)
	tell := f.tell
	f.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// whenMore has fn called for each directory that fails from now on, and now for those before.
func (f *failedDirs) whenMore(fn func()) {
	f.mu.Lock()
	f.tell = fn
	some := len(f.ids) > 0
	f.mu.Unlock()
	if some {
		fn()
	}
}

func (f *failedDirs) list() [][16]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][16]byte(nil), f.ids...)
}

// dirFailed is told by storage of a directory that cannot be written any more. The node goes on with the others; with
// the last one, or with that of the metadata log, it ends, since it would only stand in the way of those who can serve.
func (n *Node) dirFailed(d storage.DirInfo, left int) {
	n.failedDirs.add(d.ID)
	switch {
	case left == 0:
		n.failFor("the last log directory has failed", fmt.Errorf("no log directory is left: %w", d.Err))
	case d.Path == filepath.Clean(n.o.Settings.MetadataDir()):
		n.failFor("the log directory of the metadata has failed", d.Err)
	}
}

// logDiffers is told by storage of a log that is not what its role was taken with. Before there are partitions they will see.
func (n *Node) logDiffers(tp storage.TopicPartition) {
	if r := n.holdsRoles.Load(); r != nil {
		r.LogDiffers(tp)
	}
}

// logFlushes is where the times of syncs go.
func (n *Node) logFlushes() func(time.Duration) {
	h := n.registry.Histogram(obs.LogFlushTimeMs, "Milliseconds that syncs of logs took.", 0.001)
	return h.ObserveDuration
}

// moveThreads is num.replica.alter.log.dirs.threads, or as many as there are log directories.
func (n *Node) moveThreads() int {
	if s := n.o.Settings; !s.IsNull(config.NumReplicaAlterLogDirsThreads) {
		return s.Int(config.NumReplicaAlterLogDirsThreads)
	}
	return len(n.o.Settings.DataDirs())
}

// writeRecovery writes how far the recovery of each log directory is.
func (n *Node) writeRecovery(w *obs.Writer) {
	logs := w.Family(obs.RemainingLogsToRecover, "Logs of a directory that are still to be recovered.", obs.KindGauge)
	segments := w.Family(obs.RemainingSegmentsToRecover, "Segments that a thread has still to check in its log.", obs.KindGauge)
	for _, r := range n.logs.Recovery() {
		logs.Int(int64(r.RemainingLogs), "dir", r.Dir)
		for i, left := range r.RemainingSegments {
			segments.Int(left, "dir", r.Dir, "threadNum", strconv.Itoa(i))
		}
	}
}
