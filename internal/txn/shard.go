package txn

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Config is what the machine goes by. The functions may be called in any turn and must not block.
type Config struct {
	MaxTimeoutMs      int32                // transaction.max.timeout.ms
	ExpirationMs      int64                // transactional.id.expiration.ms
	AbortIntervalMs   int64                // transaction.abort.timed.out.transaction.cleanup.interval.ms
	CleanupIntervalMs int64                // transaction.remove.expired.transaction.cleanup.interval.ms
	MaxIDs            int                  // bounds the transactional ids of a shard, at some 400 bytes each
	Version           func() int16         // transaction.version as it is finalized now
	NewProducerID     func() (int64, bool) // an id that nobody else gets; false: none is at hand
}

// DefaultConfig is Kafka's, without the functions.
func DefaultConfig() Config {
	return Config{MaxTimeoutMs: 900_000, ExpirationMs: 604_800_000, AbortIntervalMs: 10_000, CleanupIntervalMs: 3_600_000, MaxIDs: 500_000}
}

// Kinds of timers.
const (
	timerTimeouts uint8 = iota // the next look for transactions that have run out of time
	timerExpiry                // the next look for ids that nobody uses any more
	timerMarkers               // the next try to finish a transaction
)

// Shard is the state of one partition of __transaction_state. It is a coord.Machine.
type Shard struct {
	cfg  *Config
	send func(Delivery) // called when what it rests on is committed
	txns map[string]*transaction
	// attempts counts over all shards of a process and never begins again: the result of an old attempt
	// must not be taken for that of a later one.
	attempts  *coord.Counter
	partition int32
}

// transaction is one transactional id.
type transaction struct {
	id string
	value
	aside   bool     // its record cannot be read: nobody knows where it stands
	markers delivery // of a decided one
}

// NewShard returns an empty one. send is given every delivery of markers.
func NewShard(p int32, cfg *Config, attempts *coord.Counter, send func(Delivery)) *Shard {
	return &Shard{cfg: cfg, send: send, txns: map[string]*transaction{}, attempts: attempts, partition: p}
}

// Verify is coord.Machine's.
func (s *Shard) Verify(r coord.Record) error {
	if _, err := parseKey(r.Key); err != nil || r.Value == nil {
		return err
	}
	_, err := parseValue(r.Value)
	return err
}

// Replay is coord.Machine's. Every change of durable state passes through here.
func (s *Shard) Replay(_ coord.Source, r coord.Record) error {
	id, err := parseKey(r.Key)
	if errors.Is(err, errUnknownKey) {
		return nil // a later Kafka's: nothing of it is known
	}
	if err != nil {
		return setAside(err)
	}
	if r.Value == nil {
		delete(s.txns, id)
		return nil
	}
	v, err := parseValue(r.Value)
	if err != nil {
		// To go by the record before it could revive a transaction that has ended.
		s.txns[id] = &transaction{id: id, aside: true}
		return setAside(err)
	}
	tx := s.txns[id]
	if tx == nil {
		tx = &transaction{id: id}
		s.txns[id] = tx
	}
	tx.value, tx.aside, tx.markers = v, false, delivery{}
	if v.state.decided() {
		tx.markers.left = v.partitions
	}
	return nil
}

func setAside(err error) error { return fmt.Errorf("%w: %w", coord.ErrSetAside, err) }

// EndTxn is coord.Machine's. Nobody writes to this topic in a transaction.
func (s *Shard) EndTxn(int64, int16, bool) {}

// Loaded is coord.Machine's: what the last coordinator has decided and not finished is finished.
func (s *Shard) Loaded(t *coord.Turn) {
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		if tx := s.txns[id]; tx.state.decided() && !tx.aside {
			t.Then(func(t *coord.Turn) { s.deliver(t, id) })
		}
	}
	t.SetTimer(coord.TimerKey{Kind: timerTimeouts}, s.cfg.AbortIntervalMs)
	t.SetTimer(coord.TimerKey{Kind: timerExpiry}, s.cfg.CleanupIntervalMs)
}

// Fire is coord.Machine's.
func (s *Shard) Fire(t *coord.Turn, k coord.TimerKey) {
	switch k.Kind {
	case timerTimeouts:
		s.abortTimedOut(t)
	case timerExpiry:
		s.expire(t)
	case timerMarkers:
		s.deliver(t, k.Group)
	}
}

// Unloaded is coord.Machine's. Requests are answered by their turns: none is parked here.
func (s *Shard) Unloaded(*coord.Turn) {}

// write stores v as the state of id.
func (s *Shard) write(t *coord.Turn, id string, v value) {
	version := int16(0)
	if s.cfg.Version() >= 1 {
		version = 1
	}
	t.Append(v.record(id, version))
	t.Then(func(*coord.Turn) {
		if tx := s.txns[id]; tx != nil {
			tx.lastEpoch = v.lastEpoch
		}
	})
}

// decide stores the outcome of a transaction and has its partitions told of it.
func (s *Shard) decide(t *coord.Turn, id string, v value) {
	s.write(t, id, v)
	t.Then(func(t *coord.Turn) { s.deliver(t, id) })
}
