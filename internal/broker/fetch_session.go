package broker

import (
	"container/list"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetch sessions (KIP-227): the broker remembers what a reader asks for, so that
// a poll names only what has changed, and the answer holds only what is new.

// The session epochs with a meaning of their own.
const (
	finalSessionEpoch   = -1 // no session, or its end
	initialSessionEpoch = 0  // everything is named; a session may begin
)

// sessionEvictionAge is how long a session must have been idle before a newer one may take its place.
const sessionEvictionAge = 2 * time.Minute

// fetchKey names a partition in a session: by topic name up to version 12, by id from 13.
type fetchKey struct {
	topic     string
	id        [16]byte
	partition int32
}

// cachedPartition is what a session remembers of one partition.
type cachedPartition struct {
	key  fetchKey
	want kmsg.FetchRequestTopicPartition
	// What the reader was told last: -1 before the first answer and after an error.
	highWatermark, logStartOffset int64
	forgotten                     bool           // by the reader, while a request for it may be under way
	watch                         *replica.Watch // in a follower's session
}

// fetchSession belongs to one reader; mu keeps a retried request from meeting its original.
type fetchSession struct {
	id       int32
	usesIDs  bool
	watch    *replica.Session // of a follower, which no consumer's takes the place of; nil: a consumer's
	created  time.Time
	lastUsed time.Time     // guarded by the cache
	place    *list.Element // in the cache's order of use; guarded by the cache
	counted  int           // its part of the cache's named; guarded by the cache

	mu    sync.Mutex
	epoch int32 // expected next
	order *list.List
	parts map[fetchKey]*list.Element
}

// fetchSessions is the bounded cache of sessions.
type fetchSessions struct {
	clock clock.Clock
	slots int

	mu    sync.Mutex
	byID  map[int32]*fetchSession
	byUse *list.List // least recently used first
	named int        // partitions of all sessions together
}

// maxSessionPartitions bounds what readers can make the broker remember by naming partitions, of topics that
// need not exist: at some 250 bytes each, an eighth of a gigabyte. A reader beyond it does without a session.
const maxSessionPartitions = 500_000

func newFetchSessions(c clock.Clock, slots int) *fetchSessions {
	return &fetchSessions{clock: c, slots: slots, byID: make(map[int32]*fetchSession), byUse: list.New()}
}

// fetchContext is how one request is to be read and answered.
type fetchContext struct {
	session     *fetchSession // nil: sessionless
	incremental bool
	keys        []fetchKey
	wants       []kmsg.FetchRequestTopicPartition
	places      []*list.Element // in the session
	include     []bool          // what the answer holds
}

// begin finds or makes the session of a request and lists in c, which is empty, what to read.
func (s *fetchSessions) begin(req *kmsg.FetchRequest, c *fetchContext) *kerr.Error {
	switch {
	case req.Version < 7 || req.SessionEpoch == finalSessionEpoch:
		if req.Version >= 7 && req.SessionID != 0 {
			s.remove(req.SessionID)
		}
		c.readAll(req, nil)
		return nil
	case req.SessionEpoch == initialSessionEpoch:
		if req.SessionID != 0 {
			s.remove(req.SessionID)
		}
		c.readAll(req, s.create(req))
		return nil
	}
	session := s.use(req.SessionID)
	if session == nil {
		return kerr.FetchSessionIDNotFound
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.epoch != req.SessionEpoch {
		return kerr.InvalidFetchSessionEpoch
	}
	if session.usesIDs != (req.Version >= 13) {
		return kerr.FetchSessionTopicIDError
	}
	session.epoch = nextSessionEpoch(session.epoch)
	session.update(req)
	if session.order.Len() == 0 {
		s.remove(session.id)
		return nil
	}
	if !s.account(session) {
		return kerr.FetchSessionIDNotFound // the reader begins anew, without a session
	}
	c.session, c.incremental = session, true
	if session.watch != nil {
		c.readDue(session.watch.Take())
		return nil
	}
	c.reserve(session.order.Len())
	for e := session.order.Front(); e != nil; e = e.Next() {
		p := e.Value.(*cachedPartition)
		c.keys, c.wants, c.places = append(c.keys, p.key), append(c.wants, p.want), append(c.places, e)
	}
	return nil
}

// readDue adds the partitions of a follower's session of which there may be something to tell. The session's mu must be held.
func (c *fetchContext) readDue(due []*replica.Watch) {
	c.reserve(len(due))
	for _, w := range due {
		e := w.Owner.(*list.Element)
		p := e.Value.(*cachedPartition)
		c.keys, c.wants, c.places = append(c.keys, p.key), append(c.wants, p.want), append(c.places, e)
	}
}

// watched is what a follower's session has of part i, nil for a consumer.
func (c *fetchContext) watched(i int) *replica.Watch {
	if c.session == nil || c.session.watch == nil || c.places[i] == nil {
		return nil
	}
	return c.places[i].Value.(*cachedPartition).watch
}

// watch is the follower's session, nil for a consumer.
func (c *fetchContext) watch() *replica.Session {
	if c.session == nil {
		return nil
	}
	return c.session.watch
}

// reserve makes room for n partitions.
func (c *fetchContext) reserve(n int) {
	c.keys, c.wants, c.places = slices.Grow(c.keys, n), slices.Grow(c.wants, n), slices.Grow(c.places, n)
}

// readAll is for a request that reads exactly what it names; of a partition that it names twice, the last word counts.
func (c *fetchContext) readAll(req *kmsg.FetchRequest, session *fetchSession) {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	c.session = session
	c.reserve(n)
	find := c.finder(n)
	eachWanted(req, func(k fetchKey, want kmsg.FetchRequestTopicPartition) {
		if i := find(k); i >= 0 {
			c.wants[i] = want
			return
		}
		c.keys, c.wants = append(c.keys, k), append(c.wants, want)
	})
	if session == nil {
		return
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	for _, k := range c.keys {
		c.places = append(c.places, session.parts[k])
	}
	if session.watch != nil {
		session.watch.Take() // it is read anyway
	}
}

// fewParts is how many keys are faster looked through than hashed.
const fewParts = 8

// finder returns a look-up of keys that are in c already, -1 for one that is new and will be added next.
func (c *fetchContext) finder(n int) func(fetchKey) int {
	if n <= fewParts {
		return func(k fetchKey) int { return slices.Index(c.keys, k) }
	}
	seen := make(map[fetchKey]int, n)
	return func(k fetchKey) int {
		if i, ok := seen[k]; ok {
			return i
		}
		seen[k] = len(c.keys)
		return -1
	}
}

func eachWanted(req *kmsg.FetchRequest, fn func(fetchKey, kmsg.FetchRequestTopicPartition)) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for _, want := range t.Partitions {
			fn(keyOf(req.Version, t.Topic, t.TopicID, want.Partition), want)
		}
	}
}

func keyOf(version int16, topic string, id [16]byte, partition int32) fetchKey {
	if version >= 13 {
		return fetchKey{id: id, partition: partition}
	}
	return fetchKey{topic: topic, partition: partition}
}

// create makes a session if there is a slot for it; nil says that the reader must do without.
func (s *fetchSessions) create(req *kmsg.FetchRequest) *fetchSession {
	now := s.clock.Now()
	session := &fetchSession{
		usesIDs: req.Version >= 13, created: now, lastUsed: now, epoch: 1,
		order: list.New(), parts: make(map[fetchKey]*list.Element),
	}
	if fetchReplicaID(req) >= 0 {
		session.watch = replica.NewSession()
	}
	session.update(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if session.watch != nil {
		s.dropLostLocked(now)
	}
	if len(s.byID) >= s.slots && !s.evictLocked(now, session.watch != nil) || s.named+len(session.parts) > maxSessionPartitions {
		return nil
	}
	session.counted = len(session.parts)
	s.named += session.counted
	for session.id == 0 || s.byID[session.id] != nil {
		session.id = rand.Int32N(math.MaxInt32-1) + 1
	}
	s.byID[session.id] = session
	session.place = s.byUse.PushBack(session)
	return session
}

// dropLostLocked ends sessions of followers that have not fetched for long, which they do twice a second: one whose first answer was
// lost is known to nobody, and would be told of all that happens.
func (s *fetchSessions) dropLostLocked(now time.Time) {
	for e := s.byUse.Front(); e != nil; {
		session := e.Value.(*fetchSession)
		if now.Sub(session.lastUsed) < sessionEvictionAge {
			return
		}
		if e = e.Next(); session.watch != nil {
			s.removeLocked(session)
		}
	}
}

// account notes how many partitions a session names now; false says that they are too many, and it is gone.
func (s *fetchSessions) account(session *fetchSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[session.id] != session {
		return true // evicted meanwhile: its last answer costs nothing more
	}
	s.named += len(session.parts) - session.counted
	session.counted = len(session.parts)
	if s.named > maxSessionPartitions {
		s.removeLocked(session)
		return false
	}
	return true
}

// evictLocked frees the slot of the session that has been idle longest, if that is long enough; for a follower, whose
// session names thousands of partitions, that of any consumer.
func (s *fetchSessions) evictLocked(now time.Time, forReplica bool) bool {
	for e := s.byUse.Front(); e != nil; e = e.Next() {
		session := e.Value.(*fetchSession)
		if now.Sub(session.lastUsed) >= sessionEvictionAge || forReplica && session.watch == nil {
			s.removeLocked(session)
			return true
		}
		if !forReplica {
			return false // the others have been used since
		}
	}
	return false
}

// use finds a session and notes that it lives.
func (s *fetchSessions) use(id int32) *fetchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byID[id]
	if session != nil {
		session.lastUsed = s.clock.Now()
		s.byUse.MoveToBack(session.place)
	}
	return session
}

func (s *fetchSessions) remove(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.byID[id]; session != nil {
		s.removeLocked(session)
	}
}

func (s *fetchSessions) removeLocked(session *fetchSession) {
	delete(s.byID, session.id)
	s.named -= session.counted
	s.byUse.Remove(session.place)
	if session.watch != nil {
		session.watch.Close()
	}
}

// count is how many sessions there are, and how many partitions they name.
func (s *fetchSessions) count() (sessions, partitions int) {
	s.mu.Lock()
	all := make([]*fetchSession, 0, len(s.byID))
	for _, session := range s.byID {
		all = append(all, session)
	}
	s.mu.Unlock()
	for _, session := range all {
		session.mu.Lock()
		partitions += session.order.Len()
		session.mu.Unlock()
	}
	return len(all), partitions
}

// FetchSessions is how many fetch sessions there are, and how many partitions they name.
func (b *Broker) FetchSessions() (sessions, partitions int) { return b.sessions.count() }

// nextSessionEpoch wraps to 1: 0 begins a session.
func nextSessionEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// update takes over what an incremental request adds, changes and forgets. mu must be held, or the session be new.
func (s *fetchSession) update(req *kmsg.FetchRequest) {
	eachWanted(req, func(k fetchKey, want kmsg.FetchRequestTopicPartition) {
		if e := s.parts[k]; e != nil {
			p := e.Value.(*cachedPartition)
			p.want = want
			if p.watch != nil {
				p.watch.Want()
			}
			return
		}
		p := &cachedPartition{key: k, want: want, highWatermark: -1, logStartOffset: -1}
		s.parts[k] = s.order.PushBack(p)
		if s.watch != nil {
			p.watch = s.watch.Watch(s.parts[k])
		}
	})
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, partition := range t.Partitions {
			k := keyOf(req.Version, t.Topic, t.TopicID, partition)
			if e := s.parts[k]; e != nil {
				s.order.Remove(e)
				delete(s.parts, k)
				p := e.Value.(*cachedPartition)
				p.forgotten = true
				if p.watch != nil {
					p.watch.Forget()
				}
			}
		}
	}
}

// answers decides which parts the answer must hold and notes what the reader will
// know after it. Partitions with data go to the end of the line, so that the
// others come first next time.
func (c *fetchContext) answers(parts []replica.FetchPart) {
	c.include = slices.Grow(c.include, len(parts))[:len(parts)]
	if c.session == nil {
		for i := range c.include {
			c.include[i] = true
		}
		return
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	for i := range parts {
		c.include[i] = c.session.note(c.places[i], &parts[i]) || !c.incremental
	}
}

// note updates one partition and says whether there is anything to tell.
func (s *fetchSession) note(e *list.Element, f *replica.FetchPart) bool {
	if e == nil {
		return true // the request itself has forgotten it again
	}
	p := e.Value.(*cachedPartition)
	if p.forgotten {
		return true // meanwhile
	}
	tell := f.Err != nil || f.Slice != nil || f.Diverging != nil || f.ReadElsewhere() >= 0
	tell = tell || f.HighWatermark != p.highWatermark || f.LogStartOffset != p.logStartOffset
	p.highWatermark, p.logStartOffset = f.HighWatermark, f.LogStartOffset
	if f.Err != nil {
		p.highWatermark = -1
	}
	if f.Slice != nil {
		s.order.MoveToBack(e)
	}
	return tell
}

// sessionID is what the answer carries: 0 without a session.
func (c *fetchContext) sessionID() int32 {
	if c.session == nil {
		return 0
	}
	return c.session.id
}
