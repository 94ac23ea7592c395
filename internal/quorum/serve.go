package quorum

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNoSnapshot says that there is no such snapshot, or no longer.
var ErrNoSnapshot = errors.New("there is no such metadata snapshot")

// Chunk is a piece of the metadata log, for who follows it.
type Chunk struct {
	Batches       []byte // whole batches; empty when there is nothing new
	HighWatermark int64
	StartOffset   int64
	// Snapshot is what to load first when the log does not reach back to the offset any more.
	Snapshot *SnapshotID
	// Diverges: the follower's log has what this one does not; DivergingEpoch and DivergingEnd say from where on.
	Diverges       bool
	DivergingEpoch int32
	DivergingEnd   int64
}

// Fetch reads committed batches from an offset on. lastEpoch is the epoch of the reader's last record, -1 when it has
// none or does not say.
func (n *Node) Fetch(offset int64, lastEpoch int32, maxBytes int) (Chunk, error) {
	end, start := n.committed.get(), n.log.StartOffset()
	c := Chunk{HighWatermark: end, StartOffset: start}
	if offset < start || offset == 0 {
		if latest, ok := newestID(n.cfg.FS, n.loop.disk.dir); ok && latest.EndOffset > offset {
			c.Snapshot = &latest
			return c, nil
		}
	}
	if offset < start {
		return c, fmt.Errorf("cannot read the metadata log at offset %d: it begins at %d, and there is no snapshot yet", offset, start)
	}
	if lastEpoch >= 0 && offset > start { // at its start the log knows nothing of what came before
		epoch, until := n.log.EndOffsetForEpoch(lastEpoch)
		if epoch != lastEpoch || until < offset {
			// Nothing is known of so old an epoch: then nothing is shared. -1 would read as "does not diverge".
			c.Diverges, c.DivergingEpoch, c.DivergingEnd = true, max(epoch, 0), max(min(until, end), 0)
			return c, nil
		}
	}
	if offset >= end {
		return c, nil
	}
	var err error
	c.Batches, err = n.log.ReadBytes(offset, maxBytes, end)
	return c, err
}

// AwaitCommitted calls fn once, as soon as something is committed at or after offset, or the node closes; cancel calls it off.
func (n *Node) AwaitCommitted(offset int64, fn func()) (cancel func()) {
	return n.committed.await(offset, fn)
}

// SnapshotPiece reads a part of a snapshot file, and says how long the whole is.
func (n *Node) SnapshotPiece(id SnapshotID, position int64, maxBytes int) (piece []byte, size int64, err error) {
	name := path.Join(n.loop.disk.dir, id.name())
	f, err := n.cfg.FS.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, ErrNoSnapshot
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read a metadata snapshot: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := n.cfg.FS.Stat(name)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read a metadata snapshot: %w", err)
	}
	size = info.Size()
	if position < 0 || position >= size {
		return nil, size, fmt.Errorf("position %d lies outside of the snapshot's %d bytes", position, size)
	}
	piece = make([]byte, min(int64(maxBytes), size-position))
	got, err := f.ReadAt(piece, position)
	if got < len(piece) {
		return nil, size, fmt.Errorf("cannot read a metadata snapshot: %w", err)
	}
	return piece, size, nil
}

// newestID is the newest snapshot file's.
func newestID(fsys vfs.FS, dir string) (SnapshotID, bool) {
	ids, err := listSnapshots(fsys, dir)
	if err != nil || len(ids) == 0 {
		return SnapshotID{}, false
	}
	return ids[len(ids)-1], true
}

// watermark is up to where the log is committed, and who waits for it to move.
type watermark struct {
	mu      sync.Mutex
	offset  int64
	closed  bool
	waiting []*waiting
}

type waiting struct {
	from int64
	fn   func()
}

func (w *watermark) get() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

func (w *watermark) advance(to int64) {
	w.mu.Lock()
	w.offset = to
	var due []*waiting
	w.waiting = slices.DeleteFunc(w.waiting, func(x *waiting) bool {
		if x.from < to {
			due = append(due, x)
		}
		return x.from < to
	})
	w.mu.Unlock()
	for _, x := range due {
		go x.fn()
	}
}

func (w *watermark) await(from int64, fn func()) (cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || from < w.offset {
		go fn()
		return func() {}
	}
	x := &waiting{from, fn}
	w.waiting = append(w.waiting, x)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting = slices.DeleteFunc(w.waiting, func(y *waiting) bool { return y == x })
	}
}

func (w *watermark) close() {
	w.mu.Lock()
	w.closed = true
	due := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	for _, x := range due {
		go x.fn()
	}
}

// observers are the nodes that follow the log by Fetch, as the leader sees them.
type observers struct {
	mu   sync.Mutex
	seen map[observerKey]*observed
}

type observerKey struct {
	node      int32
	directory meta.UUID
}

type observed struct {
	endOffset       int64
	fetched, caught time.Time
}

// observerForgotten is after how long without a fetch an observer is not shown any more: Kafka's 5 minutes.
const observerForgotten = 5 * time.Minute

// NoteObserver says that an observer has fetched from an offset, up to which it has everything.
func (n *Node) NoteObserver(node int32, directory meta.UUID, endOffset int64) {
	now := n.cfg.Clock.Now()
	o := &n.observers
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[observerKey]*observed{}
	}
	k := observerKey{node, directory}
	x := o.seen[k]
	if x == nil {
		x = &observed{}
		o.seen[k] = x
	}
	x.endOffset, x.fetched = endOffset, now
	if endOffset >= n.committed.get() {
		x.caught = now
	}
}

func (o *observers) describe(nowMs int64) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []kmsg.DescribeQuorumResponseTopicPartitionReplicaState
	for k, x := range o.seen {
		if nowMs-x.fetched.UnixMilli() > observerForgotten.Milliseconds() {
			delete(o.seen, k)
			continue
		}
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset = k.node, k.directory, x.endOffset
		s.LastFetchTimestamp, s.LastCaughtUpTimestamp = x.fetched.UnixMilli(), -1
		if !x.caught.IsZero() {
			s.LastCaughtUpTimestamp = x.caught.UnixMilli()
		}
		out = append(out, s)
	}
	return out
}
