package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
)

// Source is where an observer reads the metadata log: the active controller, wherever that is. A call waits, within
// bounds of its own, for something new; an error means that there is nobody to ask just now, and is tried again.
type Source interface {
	// Fetch reads from offset on. lastEpoch is that of the record before it, which may be in a snapshot only; 0 at the very beginning.
	Fetch(ctx context.Context, offset int64, lastEpoch int32, highWatermark int64) (Chunk, error)
	SnapshotPiece(ctx context.Context, id SnapshotID, position int64) (piece []byte, size int64, err error)
}

// ErrForeignLog says that the log of an observer is not that of the quorum it follows.
var ErrForeignLog = errors.New("the metadata log of this node has records that the controllers do not have: its directory belongs to another cluster, or the controllers have lost data; restore the controllers' directories, or, if this node's metadata is the wrong one, move its __cluster_metadata-0 directory away and start again")

const (
	// observerRetry is the pause after a failure: a cluster that elects a controller is asked often, since its brokers wait.
	observerRetry = 20 * time.Millisecond
	// maxSnapshotBytes bounds what a wrong size can make us allocate.
	maxSnapshotBytes = 4 << 30
)

// Observer follows the metadata log on a node that is no controller, and keeps a copy of it in Kafka's format.
type Observer struct {
	cfg    Config
	source Source
	disk   *disk
	pub    *publisher
	image  atomic.Pointer[meta.Image]
	// kraft is what the log says of the quorum; the follower's goroutine replaces it whole.
	kraft atomic.Pointer[kraftState]

	lastErr  atomic.Pointer[error] // why the last step failed
	caughtUp chan struct{}         // closed when the copy has what a controller had when it was first asked
	goal     int64                 // that offset; -1 until it is known
	cancel   context.CancelFunc
	done     sync.WaitGroup

	// The follower's goroutine owns these.
	sinceSnapshotBytes int64
	lastSnapshot       time.Time
	highWatermark      int64
	complained         bool
	closeErr           error
}

// StartObserver loads the copy that is there and follows the source from its end.
func StartObserver(cfg Config, source Source) (*Observer, error) {
	cfg.Join, cfg.Voters = true, nil // it has no voters of its own
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	d := &disk{}
	if err := d.open(&cfg); err != nil {
		return nil, fmt.Errorf("cannot open the copy of the metadata log: %w", errors.Join(err, d.close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &Observer{cfg: cfg, source: source, disk: d, pub: newPublisher(d.replay.Image()), cancel: cancel, lastSnapshot: cfg.Clock.Now(), highWatermark: -1, goal: -1, caughtUp: make(chan struct{})}
	o.sinceSnapshotBytes = d.behindBytes
	o.image.Store(d.replay.Image())
	o.showMembers()
	go o.pub.run()
	o.done.Add(1)
	go o.run(ctx)
	return o, nil
}

// Subscribe calls fn with the present image (its delta is everything), and then with each step, in order, on one goroutine.
// It returns after the first call.
func (o *Observer) Subscribe(fn func(*meta.Image, *meta.Delta)) { o.pub.subscribe(fn) }

// Image is the newest image that was published.
func (o *Observer) Image() *meta.Image { return o.image.Load() }

// LogEndOffset is the offset after the last record of the copy.
func (o *Observer) LogEndOffset() int64 { return o.disk.log.EndOffset() }

// Members is who the log says votes; a static quorum's log says nothing.
func (o *Observer) Members() Members {
	k := o.kraft.Load()
	m := Members{KRaftVersion: k.version}
	for _, v := range k.voters {
		m.Voters = append(m.Voters, Voter{ID: v.ID, Directory: v.DirectoryID, Endpoints: v.Endpoints})
	}
	return m
}

// showMembers shows who votes, where that has changed.
func (o *Observer) showMembers() {
	k := o.disk.kraft
	if old := o.kraft.Swap(&k); old != nil && len(old.voters) == len(k.voters) && (len(k.voters) == 0 || &old.voters[0] == &k.voters[0]) {
		return
	}
	if o.cfg.OnMembers != nil {
		o.cfg.OnMembers(o.Members())
	}
}

// Close ends the following, and syncs and closes the copy.
func (o *Observer) Close() error {
	o.cancel()
	o.done.Wait()
	o.pub.close()
	return o.closeErr
}

func (o *Observer) run(ctx context.Context) {
	defer o.done.Done()
	defer func() { o.closeErr = errors.Join(o.disk.log.Sync(), o.disk.close()) }()
	for ctx.Err() == nil {
		err := o.step(ctx)
		if err != nil && ctx.Err() == nil {
			o.lastErr.Store(&err)
		}
		var fatal *fatalError
		switch {
		case err == nil, ctx.Err() != nil:
			continue
		case errors.As(err, &fatal):
			o.cfg.Logger.Error("this node cannot follow the metadata log any more", "cause", err)
			if o.cfg.OnFatal != nil {
				o.cfg.OnFatal(err)
			}
			return
		}
		if !o.complained {
			o.complained = true
			o.cfg.Logger.Info("no controller serves the metadata log just now; trying on", "cause", err)
		}
		o.pause(ctx)
	}
}

func (o *Observer) pause(ctx context.Context) {
	elapsed := make(chan struct{})
	t := o.cfg.Clock.AfterFunc(observerRetry, func() { close(elapsed) })
	defer t.Stop()
	select {
	case <-elapsed:
	case <-ctx.Done():
	}
}

// fatalError ends the following for good.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// step asks once and takes what comes.
func (o *Observer) step(ctx context.Context) error {
	d := o.disk
	end := d.log.EndOffset()
	epoch := d.applied.epoch // 0 while there is nothing; behind a snapshot, the snapshot's
	c, err := o.source.Fetch(ctx, end, epoch, o.highWatermark)
	if err != nil {
		return err
	}
	o.complained = false
	switch {
	case c.Snapshot != nil && c.Snapshot.EndOffset <= end && end > 0:
		return &fatalError{fmt.Errorf("%w (this node's log ends at offset %d, the controllers' snapshot at %d)", ErrForeignLog, end, c.Snapshot.EndOffset)}
	case c.Snapshot != nil:
		return o.install(ctx, *c.Snapshot)
	case c.Diverges:
		return &fatalError{fmt.Errorf("%w (this node's log ends at offset %d in epoch %d, the controllers' epoch %d at %d)", ErrForeignLog, end, epoch, c.DivergingEpoch, c.DivergingEnd)}
	}
	o.highWatermark = c.HighWatermark
	if err := o.take(c); err != nil {
		return &fatalError{err}
	}
	if o.goal < 0 {
		o.goal = c.HighWatermark
	}
	o.markCaughtUp()
	return o.maybeSnapshot()
}

// markCaughtUp lets those go who wait for the copy, once what they wait for is published.
func (o *Observer) markCaughtUp() {
	select {
	case <-o.caughtUp:
	default:
		if o.goal >= 0 && o.disk.log.EndOffset() >= o.goal {
			close(o.caughtUp)
		}
	}
}

// take appends the batches that are committed, and publishes what they change, as one step.
func (o *Observer) take(c Chunk) error {
	d := o.disk
	before := d.replay.Image()
	var delta *meta.Delta
	steps := 0
	for rest := c.Batches; len(rest) > 0; {
		b, more, err := record.Next(rest)
		if err == nil {
			err = b.Validate()
		}
		if err != nil {
			return fmt.Errorf("the controller sent what is no batch of the metadata log: %w", err)
		}
		rest = more
		if b.NextOffset() <= d.log.EndOffset() {
			continue
		}
		if b.NextOffset() > c.HighWatermark {
			break // Kafka's controllers show what is not committed yet, too
		}
		if err := d.log.Append(b, b.PartitionLeaderEpoch()); err != nil {
			return fmt.Errorf("cannot append to the copy of the metadata log: %w", err)
		}
		o.sinceSnapshotBytes += int64(len(b))
		step, err := d.observe(b)
		if err != nil {
			return fmt.Errorf("cannot apply the metadata at offset %d: %w", b.BaseOffset(), err)
		}
		if step != nil {
			delta = step
			steps++
		}
	}
	d.log.SetHighWatermark(d.log.EndOffset())
	o.showMembers()
	if steps == 0 {
		return nil
	}
	if steps > 1 {
		delta = meta.Diff(before, d.replay.Image())
	}
	o.pub.put(publication{image: d.replay.Image(), delta: delta, store: o.image.Store})
	return nil
}

// observe applies one batch; the delta is nil when nothing is to be shown yet.
func (d *disk) observe(b record.Batch) (*meta.Delta, error) {
	d.applied.endOffset, d.applied.epoch, d.applied.timestampMs = b.NextOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp()
	if b.IsControl() {
		return nil, readControls(b, &d.kraft)
	}
	records, err := readRecords(b)
	if err != nil {
		return nil, err
	}
	_, delta, err := d.replay.Batch(records, b.LastOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp())
	return delta, err
}

// install puts a snapshot of the controllers in the place of what is here.
func (o *Observer) install(ctx context.Context, id SnapshotID) error {
	var data []byte
	for {
		piece, size, err := o.source.SnapshotPiece(ctx, id, int64(len(data)))
		if err != nil {
			return err
		}
		if size > maxSnapshotBytes || len(piece) == 0 {
			return fmt.Errorf("the controller offers a snapshot of %d bytes and sends %d", size, len(piece))
		}
		data = append(data, piece...)
		if int64(len(data)) >= size {
			break
		}
	}
	img, k, err := loadSnapshot(data, id)
	if err != nil {
		return fmt.Errorf("the controller's snapshot %s is not whole: %w", id.name(), err)
	}
	d := o.disk
	if err := writeSnapshotFile(o.cfg.FS, d.dir, id, data); err != nil {
		return &fatalError{err}
	}
	if err := d.log.Reset(id.EndOffset); err != nil {
		return &fatalError{fmt.Errorf("cannot begin the copy of the metadata log anew: %w", err)}
	}
	before := d.replay.Image()
	d.replay, d.kraft, d.snapshot = meta.NewReplay(img), k, &id
	d.applied = position{endOffset: id.EndOffset, epoch: id.Epoch, timestampMs: img.TimestampMs()}
	o.showMembers()
	o.sinceSnapshotBytes, o.lastSnapshot = 0, o.cfg.Clock.Now()
	d.log.SetHighWatermark(id.EndOffset)
	o.cfg.Logger.Info("loaded a metadata snapshot of the controllers", "endOffset", id.EndOffset, "epoch", id.Epoch)
	o.pub.put(publication{image: img, delta: meta.Diff(before, img), store: o.image.Store})
	return nil
}

// maybeSnapshot cuts a snapshot of the copy, as a controller does, so that a start need not replay everything.
func (o *Observer) maybeSnapshot() error {
	d, now := o.disk, o.cfg.Clock.Now()
	due := o.sinceSnapshotBytes >= o.cfg.SnapshotBytes ||
		o.cfg.SnapshotInterval > 0 && o.sinceSnapshotBytes > 0 && now.Sub(o.lastSnapshot) >= o.cfg.SnapshotInterval
	if !due || d.replay.InTransaction() || d.snapshot != nil && d.snapshot.EndOffset >= d.applied.endOffset {
		return nil
	}
	id := SnapshotID{d.applied.endOffset, d.applied.epoch}
	err := d.cutSnapshot(&o.cfg, id, d.replay.Image(), d.kraft, now, d.applied.timestampMs)
	o.lastSnapshot = now
	if err == nil {
		o.sinceSnapshotBytes, d.snapshot = 0, &id
		err = d.clean(&o.cfg)
	}
	if err != nil {
		o.cfg.Logger.Error("a metadata snapshot could not be finished; it is tried again later", "error", err)
	}
	return nil
}
