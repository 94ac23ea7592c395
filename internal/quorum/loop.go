package quorum

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// loop is the event loop; all its fields belong to its goroutine.
type loop struct {
	n     *Node
	cfg   *Config
	disk  *disk
	raft  *raft.RawNode
	state *controller.State
	timer timer

	hard     hardState // as the WAL has it
	leaderID int32     // -1 when not known
	term     uint64
	leads    bool // by Raft's word
	// active: this node leads, and everything of earlier terms is applied. Only then does it decide anything, and the
	// controller's image is then ahead of the applied one by exactly what is in pending.
	active     bool
	delayed    bool        // it should be active, but Raft took no proposal; it is tried again
	nextOffset int64       // of the next record to be proposed
	pending    []*proposal // in the order of the log
	inHand     []op        // taken from the mailbox and not done yet; refused when the loop ends
	told       bool        // ready was closed

	nextRaftTick       time.Time
	lastRecord         time.Time // when something was written last, for IdleInterval
	sinceSnapshotBytes int64
	lastSnapshot       time.Time
	snapshotRunning    bool
	snapshotWanted     bool        // whatever its size
	quorumFile         quorumState // as it stands on disk
	closeErr           error
	snapshotDone       chan struct{} // closed by the snapshot's goroutine

	ownID   uint64
	heard   map[uint64]time.Time // when a member was heard of last
	caught  map[uint64]time.Time // when it had everything last
	changes []*change            // of the members, waiting for their turn
	down    map[int32]bool       // nodes whose process is gone, until they are heard of
	// standAt is when this node stands for election because the leader is gone; zero: it does not.
	standAt time.Time
	resign  []chan struct{} // closed when this node leads no more
	// catching wait until this node has what the leader had; questions counts them.
	catching  []*catchUp
	questions uint64
	// droppedUntil: Raft took no proposal, and none is made before then.
	droppedUntil time.Time
}

// proposal is an entry on its way.
type proposal struct {
	base    int64
	records []meta.Record
	waiters []waiter
}

// waiter is a reply that leaves when the proposal it rests on is committed.
type waiter struct {
	resp  kmsg.Response
	reply func(kmsg.Response, error)
}

func newLoop(n *Node, d *disk) (*loop, error) {
	l := &loop{
		n: n, cfg: &n.cfg, disk: d, leaderID: -1, hard: d.hard, term: d.hard.term,
		state: controller.New(n.cfg.Controller, d.replay.Image()),
		timer: timer{clock: n.cfg.Clock, wake: n.wake},
		ownID: ownID(&n.cfg, &d.kraft), down: map[int32]bool{}, heard: map[uint64]time.Time{}, caught: map[uint64]time.Time{},
	}
	now := l.now()
	l.lastSnapshot, l.lastRecord = now, now
	l.sinceSnapshotBytes = d.behindBytes
	var err error
	l.raft, err = raft.NewRawNode(&raft.Config{
		ID: l.ownID, ElectionTick: raftTicksPerElection, HeartbeatTick: raftTicksPerHeartbeat,
		Storage: &raftStorage{MemoryStorage: d.mem, loop: l}, Applied: d.applied.index,
		MaxSizePerMsg: maxRaftMessageBytes, MaxInflightMsgs: maxRaftMessagesInFlight, MaxUncommittedEntriesSize: maxUncommittedBytes,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true,
		DisableConfChangeValidation: true, // changes are made one at a time here, and a dropped one would leave a hole in the offsets
		Logger:                      raftLogger{n.cfg.Logger},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start Raft: %w", err)
	}
	if d.log.EndOffset() > 0 {
		d.log.SetHighWatermark(d.log.EndOffset())
	}
	l.publishMembers()
	if !l.single() && l.n.Members().Voting {
		// A cluster that starts need not wait for a timeout: where another leads already, nobody votes for this one.
		l.standAt = now.Add(firstStand + time.Duration(slices.Index(nodesOf(d.conf.GetVoters()), n.cfg.NodeID))*standStep)
	}
	return l, nil
}

func (l *loop) now() time.Time { return l.cfg.Clock.Now() }

// single says that this node is the only voter: it leads at once and needs no ticks.
func (l *loop) single() bool { return onlyMember(l.disk.conf, l.ownID) }

func onlyMember(cs *raftpb.ConfState, id uint64) bool {
	return len(cs.GetVoters()) == 1 && cs.GetVoters()[0] == id && len(cs.GetLearners()) == 0
}

// run is the loop: take what waits, let time pass, let Raft work, wait.
func (l *loop) run() error {
	if l.single() {
		if err := l.raft.Campaign(); err != nil {
			return fmt.Errorf("cannot campaign: %w", err)
		}
	}
	l.nextRaftTick = l.now().Add(l.raftTick())
	for {
		if err := l.drain(); err != nil {
			return err
		}
		ops, closed := l.n.take()
		if closed {
			for _, o := range ops {
				l.n.refuse(o, ErrClosed)
			}
			return nil
		}
		for l.inHand = ops; len(l.inHand) > 0; l.inHand = l.inHand[1:] {
			if err := l.do(l.inHand[0]); err != nil {
				return err
			}
		}
		if err := l.tick(); err != nil {
			return err
		}
		if err := l.drain(); err != nil {
			return err
		}
		l.maybeSnapshot()
		l.arm()
		<-l.n.wake
	}
}

func (l *loop) raftTick() time.Duration { return l.cfg.ElectionTimeout / raftTicksPerElection }

// arm sets the timer for whatever comes first.
func (l *loop) arm() {
	now := l.now()
	next := now.Add(time.Hour)
	soonest := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if !l.single() {
		soonest(l.nextRaftTick)
	}
	if !l.standAt.IsZero() {
		soonest(l.standAt)
	}
	for _, c := range l.changes {
		soonest(c.deadline)
	}
	for _, c := range l.catching {
		if !c.answer && l.leaderID >= 0 { // without a leader there is nobody to ask, and time changes nothing about that
			soonest(c.asked.Add(l.raftTick()))
		}
	}
	if l.active {
		soonest(later(l.state.NextTick(now), l.droppedUntil))
		if l.cfg.IdleInterval > 0 {
			soonest(l.lastRecord.Add(l.cfg.IdleInterval))
		}
	}
	if l.cfg.SnapshotInterval > 0 && l.sinceSnapshotBytes > 0 && !l.snapshotRunning {
		soonest(l.lastSnapshot.Add(l.cfg.SnapshotInterval))
	}
	l.timer.arm(next.Sub(now))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// do takes one thing from the mailbox.
func (l *loop) do(o op) error {
	switch {
	case o.fn != nil:
		o.fn(l)
	case o.msg != nil:
		if !l.forMe(o.msg) {
			return nil
		}
		if err := l.disbelieve(o.msg); err != nil {
			return err
		}
		if err := l.raft.Step(o.msg); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
			l.cfg.Logger.Debug("a message of another voter was passed over", "error", err)
		}
	case !l.active:
		l.n.refuse(o, &NotLeaderError{l.leaderID})
	default:
		a, ok := l.state.Handle(controller.Call{Now: l.now(), NextOffset: l.nextOffset, Local: o.rc.Local, KRaftVersion: l.disk.kraft.version, Try: o.rc.Try}, o.req)
		if !ok {
			l.n.refuse(o, ErrUnknownRequest)
			return nil
		}
		if len(a.Records) > 0 {
			l.cfg.Logger.Debug("metadata changes", "request", kmsg.NameForKey(o.req.Key()), "principal", o.rc.Principal, "clientId", o.rc.ClientID, "records", len(a.Records))
			err := l.propose(a.Records)
			if errors.Is(err, raft.ErrProposalDropped) {
				l.n.refuse(o, &NotLeaderError{l.leaderID})
				return nil
			}
			if err != nil {
				return err
			}
		}
		l.await(waiter{a.Response, o.reply})
	}
	return nil
}

// await lets a reply go once everything proposed so far is committed: it may rest on all of that.
func (l *loop) await(w waiter) {
	if n := len(l.pending); n > 0 {
		l.pending[n-1].waiters = append(l.pending[n-1].waiters, w)
		return
	}
	l.n.pub.put(publication{replies: []func(){func() { w.reply(w.resp, nil) }}})
}

// propose makes records one batch and one entry, and takes them for granted from here on.
func (l *loop) propose(records []meta.Record) error {
	now := l.now()
	img, _, err := l.state.Image().Apply(records, l.nextOffset+int64(len(records))-1, int32(l.term), now.UnixMilli())
	if err != nil {
		return fmt.Errorf("cannot propose records: %w", err)
	}
	level := img.MetadataVersion() // of after the records: they may raise it
	b := record.NewBuilder(record.BuilderOptions{BaseOffset: l.nextOffset, PartitionLeaderEpoch: int32(l.term)})
	for _, r := range records {
		b.Append(now.UnixMilli(), nil, meta.AppendAt(nil, r, level), nil)
	}
	if err := l.raft.Propose(b.Build()); err != nil {
		return err
	}
	l.pending = append(l.pending, &proposal{base: l.nextOffset, records: records})
	l.nextOffset += int64(len(records))
	l.state.Advance(img)
	l.lastRecord = now
	return nil
}

// proposeControl proposes a batch of control records.
func (l *loop) proposeControl(controls ...record.Control) error {
	b := record.ControlBatch(record.BuilderOptions{BaseOffset: l.nextOffset, PartitionLeaderEpoch: int32(l.term)}, l.now().UnixMilli(), controls...)
	if err := l.raft.Propose(b); err != nil {
		return err
	}
	l.pending = append(l.pending, &proposal{base: l.nextOffset})
	l.nextOffset += int64(len(controls))
	return nil
}

// tick lets time pass for Raft and for the controller.
func (l *loop) tick() error {
	now := l.now()
	l.maybeStand(now)
	l.askIndex(now)
	if err := l.activateLate(); err != nil {
		return err
	}
	if err := l.advanceChanges(now); err != nil {
		return err
	}
	if !l.single() {
		for turns := 0; !now.Before(l.nextRaftTick); turns++ {
			if turns < 2*raftTicksPerElection { // after a long sleep more ticks would say nothing more
				l.raft.Tick()
			}
			l.nextRaftTick = l.nextRaftTick.Add(l.raftTick())
		}
	}
	for l.active && !now.Before(later(l.state.NextTick(now), l.droppedUntil)) {
		records, _ := l.state.Tick(controller.Call{Now: now, NextOffset: l.nextOffset})
		if len(records) == 0 {
			continue
		}
		err := l.propose(records)
		if errors.Is(err, raft.ErrProposalDropped) {
			l.droppedUntil = now.Add(l.raftTick()) // too much is on its way, or the lead is being handed over
			break
		}
		if err != nil {
			return err
		}
	}
	if l.active && l.cfg.IdleInterval > 0 && now.Sub(l.lastRecord) >= l.cfg.IdleInterval {
		if err := l.propose([]meta.Record{&meta.NoOpRecord{}}); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
			return err
		}
	}
	return nil
}

// drain lets Raft work until it has nothing more to say.
func (l *loop) drain() error {
	for range maxConsecutiveReadyTurns {
		if !l.raft.HasReady() {
			return nil
		}
		rd := l.raft.Ready()
		if err := l.ready(rd); err != nil {
			return err
		}
		l.raft.Advance(rd)
	}
	return errors.New("cannot go on: Raft never settles")
}

// ready does one round of Raft's work in the order that it demands: make durable, then send, then apply.
func (l *loop) ready(rd raft.Ready) error {
	if !raft.IsEmptyHardState(rd.HardState) {
		l.hard = hardState{rd.HardState.GetTerm(), rd.HardState.GetVote(), rd.HardState.GetCommit()}
		if err := l.disk.mem.SetHardState(rd.HardState); err != nil {
			return fmt.Errorf("cannot keep Raft's state: %w", err)
		}
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := l.install(rd.Snapshot); err != nil {
			return err
		}
	}
	// A commit index that moved alone is not worth a sync: it is found again from the peers and from the metadata log.
	if rd.MustSync {
		if err := l.disk.wal.append(l.hard, rd.Entries); err != nil {
			return err
		}
	}
	if err := l.disk.mem.Append(rd.Entries); err != nil {
		return fmt.Errorf("cannot keep Raft's entries: %w", err)
	}
	if rd.SoftState != nil || l.hard.term != l.term {
		l.leadership(rd.SoftState)
	}
	for _, m := range rd.Messages {
		out, err := encodeMessage(m)
		if err != nil {
			return err
		}
		l.cfg.Transport.Send(nodeOf(m.GetTo()), out)
	}
	l.indexTold(rd.ReadStates)
	err := l.apply(rd.CommittedEntries)
	if len(l.catching) > 0 {
		l.askIndex(l.now())
	}
	return err
}

// leadership follows who leads.
func (l *loop) leadership(soft *raft.SoftState) {
	l.term = l.hard.term
	if soft != nil {
		if id := nodeOf(soft.Lead); id != l.leaderID && id >= 0 && l.cfg.OnLeader != nil {
			defer l.cfg.OnLeader(id) // when Leader says so as well
		}
		l.leaderID = nodeOf(soft.Lead)
		l.leads = soft.RaftState == raft.StateLeader
		if l.leaderID >= 0 {
			l.standAt = time.Time{}
		}
	}
	if !l.leads {
		l.resigned()
		l.delayed = false
	}
	if !l.leads && l.active {
		l.active = false
		l.failAll(&NotLeaderError{l.leaderID})
		l.failChanges(&NotLeaderError{l.leaderID})
		l.state.Advance(l.disk.replay.Image())
	}
	l.n.leader.Store(packLeader(l.leaderID, int32(l.term)))
	if err := l.writeQuorumState(); err != nil {
		l.cfg.Logger.Warn("quorum-state could not be written; it is for Kafka's tools only", "error", err)
	}
}

func (l *loop) writeQuorumState() error {
	q := quorumState{leader: l.leaderID, epoch: int32(l.term), vote: -1}
	if l.leaderID < 0 { // Kafka keeps one of the two
		q.vote = nodeOf(l.hard.vote)
	}
	if q == l.quorumFile || l.single() && q.leader < 0 {
		return nil
	}
	if err := q.write(l.cfg.FS, l.disk.dir, l.disk.kraft.version, nodesOf(l.disk.conf.GetVoters())); err != nil {
		return err
	}
	l.quorumFile = q
	return nil
}

// failAll refuses everything on its way. Whether it was carried out is not known.
func (l *loop) failAll(err error) {
	for _, p := range l.pending {
		for _, w := range p.waiters {
			l.n.pub.put(publication{replies: []func(){func() { w.reply(nil, err) }}})
		}
	}
	l.pending = nil
}

// activate begins this node's term: nothing of earlier terms is outstanding any more. Raft may take no proposal, since the lead
// is being handed over or this node is no member any more: then it is tried again once what was taken is applied.
func (l *loop) activate() error {
	err := l.begin()
	l.delayed = errors.Is(err, raft.ErrProposalDropped)
	if !l.delayed {
		return err
	}
	l.cfg.Logger.Debug("this controller leads and cannot decide anything yet", "cause", err)
	l.active = false
	l.failAll(&NotLeaderError{-1})
	l.state.Advance(l.disk.replay.Image())
	return nil
}

// activateLate tries again to activate.
func (l *loop) activateLate() error {
	if !l.delayed || !l.leads {
		l.delayed = false
		return nil
	}
	if last, err := l.disk.mem.LastIndex(); err != nil || last > l.disk.applied.index {
		return nil // something that was taken is on its way, and the offsets go on behind it
	}
	return l.activate()
}

func (l *loop) begin() error {
	now := l.now()
	l.active = true
	l.pending = nil
	l.nextOffset = l.disk.applied.endOffset
	l.state.Advance(l.disk.replay.Image())
	l.state.Activate(now)
	for node := range l.down { // a broker in the process of a dead controller will not be heard of
		l.state.Disconnected(now, node)
	}
	change := record.LeaderChange{LeaderID: l.cfg.NodeID}
	for _, id := range nodesOf(l.disk.conf.GetVoters()) {
		change.Voters = append(change.Voters, record.ReplicaKey{ID: id})
	}
	change.GrantingVoters = []record.ReplicaKey{{ID: l.cfg.NodeID}}
	if l.disk.kraft.version > 0 {
		change.Version = 1
		for i := range change.Voters {
			change.Voters[i].DirectoryID = l.directoryOf(change.Voters[i].ID)
		}
		change.GrantingVoters[0].DirectoryID = l.cfg.DirectoryID
	}
	if err := l.proposeControl(change); err != nil {
		return err
	}
	if l.disk.replay.InTransaction() { // a leader before us went away in the middle of one
		reason := "controller failover"
		if err := l.propose([]meta.Record{&meta.AbortTransactionRecord{Reason: &reason}}); err != nil {
			return err
		}
	}
	if first := l.state.Bootstrap(l.cfg.Bootstrap); first != nil {
		if err := l.propose(first); err != nil {
			return err
		}
	}
	if !l.told {
		l.told = true
		l.await(waiter{reply: func(_ kmsg.Response, err error) {
			if err == nil {
				close(l.n.ready)
			}
		}})
	}
	return nil
}

func (l *loop) directoryOf(node int32) meta.UUID {
	for _, v := range l.disk.kraft.voters {
		if v.ID == node {
			return v.DirectoryID
		}
	}
	if node == l.cfg.NodeID {
		return l.cfg.DirectoryID
	}
	return meta.UUID{}
}

// apply takes committed entries into the metadata log and the image, and lets their replies go.
func (l *loop) apply(entries []*raftpb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.appendCommitted(entries); err != nil {
		return err
	}
	for _, e := range entries {
		data, err := batchIn(e)
		if err == nil && len(data) > 0 {
			err = l.applyBatch(e, data)
		}
		if err == nil && e.GetType() != raftpb.EntryNormal {
			err = l.applyChange(e)
		}
		if err != nil {
			return err
		}
		l.disk.applied.index, l.disk.applied.term = e.GetIndex(), e.GetTerm()
		if l.leads && !l.active && !l.delayed && e.GetTerm() == l.term {
			if err := l.activate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendCommitted writes the entries' batches to the metadata log, runs of one epoch at once. Those that
// are there already, from before a restart, are passed over.
func (l *loop) appendCommitted(entries []*raftpb.Entry) error {
	var run []byte
	var epoch int32
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		if err := l.disk.log.Append(run, epoch); err != nil {
			return fmt.Errorf("cannot append to the metadata log: %w", err)
		}
		l.sinceSnapshotBytes += int64(len(run))
		run = run[:0]
		return nil
	}
	end := l.disk.log.EndOffset()
	for _, e := range entries {
		data, err := batchIn(e)
		if err != nil {
			return err
		}
		if len(data) == 0 {
			continue
		}
		b := record.Batch(data)
		if b.NextOffset() <= end {
			continue
		}
		if b.BaseOffset() != end {
			return fmt.Errorf("cannot append to the metadata log: it ends at offset %d, entry %d begins at %d", end, e.GetIndex(), b.BaseOffset())
		}
		if e := b.PartitionLeaderEpoch(); len(run) > 0 && e != epoch {
			if err := flush(); err != nil {
				return err
			}
		}
		run, epoch, end = append(run, b...), b.PartitionLeaderEpoch(), b.NextOffset()
	}
	if err := flush(); err != nil {
		return err
	}
	l.disk.log.SetHighWatermark(end)
	l.n.committed.advance(end)
	return nil
}

func (l *loop) applyBatch(e *raftpb.Entry, data []byte) error {
	b := record.Batch(data)
	var mine *proposal
	if l.active && e.GetTerm() == l.term && len(l.pending) > 0 && l.pending[0].base == b.BaseOffset() {
		mine = l.pending[0]
		l.pending = l.pending[1:]
	}
	d := l.disk
	if b.LastOffset() < d.applied.endOffset { // in the image since the start
		return l.publish(nil, nil, mine)
	}
	d.applied.endOffset, d.applied.epoch, d.applied.timestampMs = b.NextOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp()
	if b.IsControl() {
		if err := readControls(b, &d.kraft); err != nil {
			return fmt.Errorf("cannot apply entry %d: %w", e.GetIndex(), err)
		}
		l.publishMembers()
		return l.publish(nil, nil, mine)
	}
	var records []meta.Record
	if mine != nil {
		records = mine.records
	} else {
		var err error
		if records, err = readRecords(b); err != nil {
			return fmt.Errorf("cannot apply entry %d: %w", e.GetIndex(), err)
		}
	}
	img, delta, err := d.replay.Batch(records, b.LastOffset(), b.PartitionLeaderEpoch(), b.MaxTimestamp())
	if err != nil {
		return fmt.Errorf("cannot apply entry %d: %w", e.GetIndex(), err)
	}
	if delta == nil {
		img = nil
	}
	if !l.active {
		l.state.Advance(d.replay.Image())
	}
	return l.publish(img, delta, mine)
}

func (l *loop) publish(img *meta.Image, delta *meta.Delta, p *proposal) error {
	x := publication{image: img, delta: delta, store: l.n.image.Store}
	if p != nil {
		for _, w := range p.waiters {
			x.replies = append(x.replies, func() { w.reply(w.resp, nil) })
		}
	}
	if x.image != nil || len(x.replies) > 0 {
		l.n.pub.put(x)
	}
	return nil
}

// stop syncs and closes everything.
func (l *loop) stop() {
	l.timer.stop()
	if l.snapshotDone != nil {
		<-l.snapshotDone
	}
	l.closeErr = errors.Join(l.disk.log.Sync(), l.disk.close())
}
