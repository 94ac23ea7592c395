package replica

import (
	"bytes"
	"cmp"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A fetcher copies partitions from one leader. It has no goroutine: the answer to a request, on the goroutine of the
// connection that brings it, appends what has come and sends the next request.
//
//	idle ── send ──> busy ── answered ──> append, sync ──> idle
//	                  └───── failed ────> pause ─────────> idle
//
// It asks within a session (KIP-227), so that a request names only the partitions whose state has changed since the one
// before: those that got records, came or went. While a long poll is under way nothing can be added to it. Who comes
// then is served by a second lane, with a connection of its own and short polls, until the poll returns.

const (
	// firstRetryPause is the pause after a first failure; it doubles up to replica.fetch.backoff.ms. A leader that has
	// not heard yet that it is one knows in a moment.
	firstRetryPause = 5 * time.Millisecond
	// lanePoll is how long a request of the second lane waits: who comes while it is under way waits for that long.
	lanePoll = 20 * time.Millisecond
	// lanePartitions is for how many partitions it waits once more as long, since it names each of them every time.
	lanePartitions = 500
	// firstTopicIDs is the first version of Fetch that names topics by id. Every broker that may be a leader
	// of this cluster speaks it, so whose records come is never in doubt, and the leader tells where logs part.
	firstTopicIDs = 13
)

// followedState says what is to be done for a followed partition next.
type followedState int8

const (
	toAsk    followedState = iota // its state is to be put into the next request
	askedFor                      // the session has it as it is
	waiting                       // it pauses, syncs, or looks for an offset: the session must not have it
	failed                        // its log is out of use; the metadata will move it
)

// followed is one partition that a fetcher copies. All is guarded by the mutex of its fetcher.
type followed struct {
	p         *Partition
	epoch     int32 // of the leader
	state     followedState
	queued    bool // in the fetcher's toAsk
	inSession bool
	failures  int       // in a row
	due       time.Time // end of its pause
	lag       int64
	start     int64 // of its log, as the last request has told it
}

type fetcher struct {
	m     *Manager
	key   fetcherKey
	began time.Time
	main  *fetcher // nil for a main lane
	side  *fetcher // nil for a second lane

	mu      sync.Mutex // a main lane's is taken before that of its second lane
	all     map[isrKey]*followed
	ask     []*followed // to put into the next request
	forget  []isrKey    // to take out of the session
	inUse   int         // partitions in the session
	paused  pauses
	session struct {
		id, epoch int32
	}
	busy     bool // a request, its answer, or a pause after a failure is under way
	syncs    int  // of the answer's partitions that are not synced yet, and one for who starts them
	failures int
	peer     Peer
	address  string
	retry    clock.Timer // ends the pause after a failure
	wake     clock.Timer // for the first of paused
	wakeAt   time.Time   // when wake goes off; zero when it does not
	trouble  trouble
	stopped  bool
}

func newFetcher(m *Manager, key fetcherKey) *fetcher {
	now := m.clock.Now()
	f := &fetcher{m: m, key: key, began: now, all: make(map[isrKey]*followed)}
	f.side = &fetcher{m: m, key: key, began: now, main: f, all: make(map[isrKey]*followed)}
	return f
}

func sortFetchers(all []*fetcher) {
	slices.SortFunc(all, func(a, b *fetcher) int {
		return cmp.Or(cmp.Compare(a.key.leader, b.key.leader), cmp.Compare(a.key.number, b.key.number))
	})
}

func keyOf(p *Partition) isrKey { return isrKey{p.topicID, p.tp.Partition} }

func compareKeys(a, b isrKey) int {
	return cmp.Or(bytes.Compare(a.topicID[:], b.topicID[:]), cmp.Compare(a.partition, b.partition))
}

// follows says whether p is followed in this epoch, in either lane.
func (f *fetcher) follows(p *Partition, epoch int32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.all[keyOf(p)]
	if d == nil {
		f.side.mu.Lock()
		defer f.side.mu.Unlock()
		d = f.side.all[keyOf(p)]
	}
	return d != nil && d.p == p && d.epoch == epoch
}

// add begins to follow p.
func (f *fetcher) add(p *Partition, epoch int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	d := &followed{p: p, epoch: epoch}
	f.all[keyOf(p)] = d
	f.readyLocked(d)
}

// readyLocked has d asked for: with the next request, or, while one is under way, by the second lane.
func (f *fetcher) readyLocked(d *followed) {
	d.state = toAsk
	if f.busy && f.side != nil && !d.inSession && !d.queued {
		f.side.adopt(d)
		delete(f.all, keyOf(d.p))
		return
	}
	if !d.queued {
		d.queued = true
		f.ask = append(f.ask, d)
	}
}

// adopt takes d over from the main lane, whose mutex is held.
func (f *fetcher) adopt(d *followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[keyOf(d.p)] = d
	d.queued = true
	f.ask = append(f.ask, d)
}

// remove ends the following of p, in whichever lane it is.
func (f *fetcher) remove(p *Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(p)
	f.side.mu.Lock()
	defer f.side.mu.Unlock()
	f.side.removeLocked(p)
}

func (f *fetcher) removeLocked(p *Partition) {
	k := keyOf(p)
	d := f.all[k]
	if d == nil {
		return
	}
	delete(f.all, k)
	f.leaveSessionLocked(d)
	d.state = failed
}

// leaveSessionLocked has the leader forget d, until it is asked for again.
func (f *fetcher) leaveSessionLocked(d *followed) {
	if d.inSession {
		d.inSession = false
		f.inUse--
		f.forget = append(f.forget, keyOf(d.p))
	}
}

// isMine says that d is still followed, and in this lane. mu must be held.
func (f *fetcher) isMine(d *followed) bool { return f.all[keyOf(d.p)] == d }

// idle says that nothing is followed.
func (f *fetcher) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.side.mu.Lock()
	defer f.side.mu.Unlock()
	return len(f.all) == 0 && len(f.side.all) == 0
}

// everything is what is followed, with the epochs.
func (f *fetcher) everything() map[*Partition]int32 {
	out := make(map[*Partition]int32)
	for _, lane := range []*fetcher{f, f.side} {
		lane.mu.Lock()
		for _, d := range lane.all {
			out[d.p] = d.epoch
		}
		lane.mu.Unlock()
	}
	return out
}

func (f *fetcher) eachLag(fn func(*Partition, int64)) {
	type lagging struct {
		p   *Partition
		lag int64
	}
	var all []lagging
	for _, lane := range []*fetcher{f, f.side} {
		lane.mu.Lock()
		for _, d := range lane.all {
			all = append(all, lagging{d.p, d.lag})
		}
		lane.mu.Unlock()
	}
	for _, l := range all {
		fn(l.p, l.lag)
	}
}

// kick sends what there is to ask for, in both lanes.
func (f *fetcher) kick() {
	f.send()
	f.side.send()
}

// send sends the next request, unless one is under way or there is nothing to ask for.
func (f *fetcher) send() {
	f.mu.Lock()
	if f.busy || f.stopped {
		f.mu.Unlock()
		return
	}
	if f.side != nil {
		f.takeBackLocked()
	}
	req := f.requestLocked()
	if req == nil {
		f.mu.Unlock()
		return
	}
	f.busy = true
	peer := f.peerLocked()
	f.mu.Unlock()
	if peer == nil {
		f.fail("it is not registered, or not at the listener of brokers", nil)
		return
	}
	peer.Do(req, f.answered)
}

// takeBackLocked takes over what the second lane follows. What it has under way is then nobody's.
func (f *fetcher) takeBackLocked() {
	f.side.mu.Lock()
	defer f.side.mu.Unlock()
	for _, k := range f.side.keysLocked() {
		d := f.side.all[k]
		if d.state == waiting {
			continue
		}
		delete(f.side.all, k)
		d.inSession, d.queued = false, d.state != failed
		f.all[k] = d
		if d.queued {
			d.state = toAsk
			f.ask = append(f.ask, d)
		}
	}
	f.side.ask, f.side.inUse = nil, 0
}

// keysLocked is what is followed, in order.
func (f *fetcher) keysLocked() []isrKey {
	keys := make([]isrKey, 0, len(f.all))
	for k := range f.all {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// peerLocked is the connection to the leader where it is now; nil when the metadata does not know a way.
func (f *fetcher) peerLocked() Peer {
	address, ok := f.leaderAddress()
	if f.peer != nil && (!ok || address != f.address) {
		f.closePeerLocked()
	}
	if f.peer == nil && ok {
		f.peer, f.address = f.m.dial(f.key.leader, address), address
	}
	return f.peer
}

// closePeerLocked closes the connection beside the caller: what is under way on it is done with an error, which
// wants this mutex.
func (f *fetcher) closePeerLocked() {
	if f.peer != nil {
		f.m.spawn(f.peer.Close)
		f.peer = nil
	}
}

func (f *fetcher) leaderAddress() (string, bool) {
	img := f.m.image.Load()
	if img == nil {
		return "", false
	}
	b := img.Broker(f.key.leader)
	if b == nil {
		return "", false
	}
	e, ok := b.Listener(f.m.listener)
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))), ok
}

// leaderChanged connects anew if the leader is elsewhere now, and ends a pause.
func (f *fetcher) leaderChanged() {
	address, ok := f.leaderAddress()
	for _, lane := range []*fetcher{f, f.side} {
		lane.mu.Lock()
		if lane.peer != nil && (!ok || lane.address != address) {
			lane.closePeerLocked() // what is under way fails, and is sent again
		}
		lane.failures = 0
		ended := lane.retry != nil && lane.retry.Stop()
		lane.mu.Unlock()
		if ended {
			lane.resume()
		}
	}
}

// fail pauses after a request that was not answered. Nothing is known of the session any more.
func (f *fetcher) fail(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	f.closeSessionLocked()
	if f.failures == 0 {
		f.m.logger.Info("cannot fetch from the leader: trying again", "leader", f.key.leader, "why", what, "cause", err)
	}
	f.failures++
	f.retry = f.m.clock.AfterFunc(f.m.retryPause(f.failures), f.resume)
}

// resume goes on after a pause.
func (f *fetcher) resume() {
	f.mu.Lock()
	f.busy = false
	f.mu.Unlock()
	f.send()
	if f.main != nil {
		return
	}
	f.side.send()
}

// retryPause is the pause after so many failures in a row.
func (m *Manager) retryPause(failures int) time.Duration {
	return min(firstRetryPause<<min(failures-1, 16), max(m.conf().FetchBackoff, firstRetryPause))
}

// stop ends the fetcher; answers that still come are thrown away.
func (f *fetcher) stop() {
	for _, lane := range []*fetcher{f, f.side} {
		lane.mu.Lock()
		lane.stopped = true
		for _, t := range []clock.Timer{lane.retry, lane.wake} {
			if t != nil {
				t.Stop()
			}
		}
		peer := lane.peer
		lane.peer = nil
		lane.mu.Unlock()
		if peer != nil {
			peer.Close()
		}
	}
}

// newFetch is a request without partitions.
func (f *fetcher) newFetch() *kmsg.FetchRequest {
	c := f.m.conf()
	req := kmsg.NewPtrFetchRequest()
	req.Version = req.MaxVersion()
	req.ReplicaID, req.ReplicaState.ID, req.ReplicaState.Epoch = f.m.nodeID, f.m.nodeID, f.m.epochNow()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(c.FetchWaitMax/time.Millisecond), c.FetchMinBytes, c.FetchResponseMaxBytes
	if f.main != nil {
		req.MaxWaitMillis = min(req.MaxWaitMillis, int32(lanePoll/time.Millisecond)*int32(1+len(f.all)/lanePartitions))
	}
	return req
}
