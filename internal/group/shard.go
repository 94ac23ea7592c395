package group

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Kinds of timers.
const (
	timerSession uint8 = iota // a member's session, or a handed-out id's
	timerJoin                 // the end of the join phase
	timerSync                 // the end of the wait for all members' SyncGroup
	timerExpiry               // the next look for expired offsets

	timerConsumerSession // a consumer group's member has not been heard of
	timerRevocation      // a member has not given up its partitions
	timerRejoin          // a classic member of a consumer group has not joined again
	timerResync          // a classic member of a consumer group has not asked for its assignment
)

// Shard is the state of one partition of __consumer_offsets. It is a coord.Machine.
type Shard struct {
	cfg     *Config
	counts  *Counters
	groups  map[string]*group
	foreign map[string]*foreignGroup
	// consumers are the groups of KIP-848. No id is in two of the three.
	consumers map[string]*consumerGroup
	metadata  func() Metadata
	settings  func(group string) GroupSettings
	offsets   *offsetStore
	held      int64 // bytes that members and handed-out ids take
	maxHeld   int64
}

// NewShard returns an empty one.
func NewShard(cfg *Config, counts *Counters) *Shard {
	return &Shard{
		cfg:       cfg,
		counts:    counts,
		groups:    map[string]*group{},
		foreign:   map[string]*foreignGroup{},
		consumers: map[string]*consumerGroup{},
		metadata:  func() Metadata { return noMetadata{} },
		settings:  func(string) GroupSettings { return DefaultGroupSettings() },
		offsets:   newOffsetStore(),
		maxHeld:   cfg.MaxMemberBytes,
	}
}

// full says that no client may make another group.
func (s *Shard) full() bool { return len(s.groups)+len(s.consumers) >= s.cfg.MaxGroups }

// Counters count over all shards of a Service; they only grow.
type Counters struct {
	OffsetCommits       coord.Counter
	OffsetExpirations   coord.Counter
	OffsetDeletions     coord.Counter
	CompletedRebalances coord.Counter
	ConsumerRebalances  coord.Counter
}

// Verify is coord.Machine's.
func (s *Shard) Verify(r coord.Record) error {
	k, err := parseKey(r.Key)
	if err != nil || r.Value == nil {
		return err
	}
	switch k.kind {
	case keyOffset, keyLegacyOffset:
		_, err = parseOffset(r.Value)
	case keyGroup:
		_, err = parseGroup(r.Value)
	default:
		err = verifyConsumer(k, r.Value)
	}
	return err
}

// Replay is coord.Machine's. Every change of durable state passes through here.
func (s *Shard) Replay(from coord.Source, r coord.Record) error {
	k, err := parseKey(r.Key)
	if err != nil {
		return setAside(err) // whose it is, nobody can tell
	}
	switch {
	case k.kind == keyOffset || k.kind == keyLegacyOffset:
		return s.replayOffset(from, k, r.Value)
	case k.kind == keyGroup:
		return s.replayGroup(k.group, r.Value)
	case isConsumerKind(k.kind):
		return s.replayConsumer(k, r)
	case k.kind > keyConsumerAssignment && k.kind <= keyLast:
		s.replayForeign(k, r)
	}
	return nil
}

func (s *Shard) replayOffset(from coord.Source, k recordKey, value []byte) error {
	if value == nil {
		s.offsets.remove(k.group, k.topic, k.partition)
		return nil
	}
	o, err := parseOffset(value)
	if err != nil {
		// The partition has a committed offset, and it is not known: to say "none", or the one
		// before, would make a consumer skip records or read them all again.
		o, err = committedOffset{offset: -1, leaderEpoch: -1, expireMs: -1, unreadable: true}, setAside(err)
	}
	o.recordOffset = from.Offset
	if !s.exists(k.group) {
		// A group that only stores offsets is an empty group without a protocol type.
		s.groups[k.group] = s.newGroup(k.group, o.commitMs)
	}
	if from.ProducerID == coord.NoProducerID {
		s.offsets.put(k.group, k.topic, k.partition, o)
	} else {
		s.offsets.putPending(from.ProducerID, k.group, k.topic, k.partition, o)
	}
	return err
}

func setAside(err error) error { return fmt.Errorf("%w: %w", coord.ErrSetAside, err) }

func (s *Shard) replayGroup(id string, value []byte) error {
	if value == nil {
		if g := s.groups[id]; g != nil {
			g.unweighAll()
		}
		delete(s.groups, id)
		return nil
	}
	v, err := parseGroup(value)
	if err != nil {
		s.setGroupAside(id)
		return setAside(err)
	}
	g := s.groups[id]
	if g == nil {
		g = s.newGroup(id, v.stateSinceMs)
		s.groups[id] = g
	}
	g.adopt(v)
	return nil
}

// setGroupAside makes a group empty of which it is not known who its members are: they will
// find that they have to join again.
func (s *Shard) setGroupAside(id string) {
	g := s.newGroup(id, -1)
	g.aside = true
	if was := s.groups[id]; was != nil {
		was.unweighAll()
		g.generation = was.generation
	}
	s.groups[id] = g
}

// EndTxn is coord.Machine's.
func (s *Shard) EndTxn(producerID int64, _ int16, commit bool) {
	s.offsets.endTxn(producerID, commit)
}

// Loaded is coord.Machine's: members that were stable under the last coordinator get a
// session's time to show up.
func (s *Shard) Loaded(t *coord.Turn) {
	for _, id := range sortedKeys(s.groups) {
		g := s.groups[id]
		for _, m := range g.sorted() {
			s.restartSession(t, g, m)
		}
		if len(g.members) > s.cfg.MaxSize {
			s.prepareRebalance(t, g, "the loaded group is larger than group.max.size")
		}
	}
	s.loadedConsumers(t)
	t.SetTimer(coord.TimerKey{Kind: timerExpiry}, s.cfg.RetentionCheckIntervalMs)
}

// exists tells whether there is a group of whatever type.
func (s *Shard) exists(id string) bool {
	return s.groups[id] != nil || s.consumers[id] != nil || s.foreign[id] != nil
}

// Fire is coord.Machine's.
func (s *Shard) Fire(t *coord.Turn, key coord.TimerKey) {
	if key.Kind == timerExpiry {
		s.expireOffsets(t)
		return
	}
	if c := s.consumers[key.Group]; c != nil && key.Kind >= timerConsumerSession {
		s.fireConsumer(t, c, key)
		return
	}
	g := s.groups[key.Group]
	if g == nil {
		return
	}
	switch key.Kind {
	case timerSession:
		s.expireSession(t, g, key.Member)
	case timerJoin:
		s.expireJoin(t, g)
	case timerSync:
		s.expireSync(t, g)
	}
}

// Unloaded is coord.Machine's.
func (s *Shard) Unloaded(t *coord.Turn) {
	for _, id := range sortedKeys(s.groups) {
		for _, m := range s.groups[id].sorted() {
			s.failJoin(t, s.groups[id], m, codeNotCoordinator)
			s.failSync(t, m, codeNotCoordinator)
		}
	}
}

func sessionKey(g *group, memberID string) coord.TimerKey {
	return coord.TimerKey{Kind: timerSession, Group: g.id, Member: memberID}
}

func joinKey(g *group) coord.TimerKey { return coord.TimerKey{Kind: timerJoin, Group: g.id} }

func syncKey(g *group) coord.TimerKey { return coord.TimerKey{Kind: timerSync, Group: g.id} }

// restartSession gives a member its whole session time-out from now.
func (s *Shard) restartSession(t *coord.Turn, g *group, m *member) {
	t.SetTimer(sessionKey(g, m.id), int64(m.sessionTimeoutMs))
}
