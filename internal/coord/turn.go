package coord

// Turn is one event's view of the world on the way in, and on the way out the list of
// what shall happen. A machine fills it; only the runtime acts on it.
type Turn struct {
	NowMs       int64 // the wall clock at the beginning of the turn
	LeaderEpoch int32 // for which the shard was elected

	records []Record
	split   bool
	replies []Reply
	timers  []timerOp
	notes   []Note
	then    []func(*Turn)
	failed  []func(*Turn, error)

	panicked func(error)
	producer *Producer
	marker   *Marker
}

// Producer is in whose transaction records are written.
type Producer struct {
	ID    int64
	Epoch int16
	Guard uint64 // see Batch
}

// Reply is a finished answer. Exactly one of its functions is called, once:
// Send when everything that it rests on is committed, Fail when that will not be.
//
// A turn that panics is the exception to know of: the request that began it is then refused if the
// machine has not returned from it. So a machine adds a request's own reply last, or
// sees to it that a second answer does no harm and says with OnPanic how to give it.
type Reply struct {
	Send func()
	Fail func(error)
}

// TimerKey names a timer within its shard; setting it again moves it.
type TimerKey struct {
	Kind   uint8
	Group  string // group or transactional id
	Member string
}

// Note is a line for the log: a sentence and key-value pairs.
type Note struct {
	Text string
	Args []any
	Warn bool
}

type timerOp struct {
	key     TimerKey
	afterMs int64
	stop    bool
}

// Append adds records to the turn's batch.
func (t *Turn) Append(r ...Record) { t.records = append(t.records, r...) }

// InTransaction makes the turn's records part of a producer's transaction: the machine sees them with
// their producer now, and their fate by EndTxn.
func (t *Turn) InTransaction(p Producer) { t.producer = &p }

// EndTransaction writes a marker in place of records; the machine's EndTxn is called when it is in the log.
func (t *Turn) EndTransaction(m Marker) { t.marker = &m }

// Records is what the turn will append so far.
func (t *Turn) Records() []Record { return t.records }

// AllowSplit permits the records to be cut into several batches: each of them makes
// sense alone, and there may be more than one batch can hold.
func (t *Turn) AllowSplit() { t.split = true }

// Reply sends r once all that the shard has written, this turn's records included, is committed.
func (t *Turn) Reply(r Reply) { t.replies = append(t.replies, r) }

// takeReplies hands the replies over to whoever sends them now.
func (t *Turn) takeReplies() []Reply {
	out := t.replies
	t.replies = nil
	return out
}

// SetTimer sets or moves a timer: Fire is called with key when afterMs have passed.
// Time-outs run on the monotonic clock, so setting the machine's clock expires nobody.
func (t *Turn) SetTimer(key TimerKey, afterMs int64) {
	t.timers = append(t.timers, timerOp{key: key, afterMs: afterMs})
}

// StopTimer removes a timer; it is no error if there is none.
func (t *Turn) StopTimer(key TimerKey) {
	t.timers = append(t.timers, timerOp{key: key, stop: true})
}

// Note adds a line to the log.
func (t *Turn) Note(text string, args ...any) {
	t.notes = append(t.notes, Note{Text: text, Args: args})
}

// Warn adds a line to the log that someone should look at.
func (t *Turn) Warn(text string, args ...any) {
	t.notes = append(t.notes, Note{Text: text, Args: args, Warn: true})
}

// Then is called, within the same turn as others see it, when the records have been
// appended and replayed.
func (t *Turn) Then(fn func(*Turn)) { t.then = append(t.then, fn) }

// OnFailure is called instead of Then when the records could not be appended.
// Replies of the turn have then been failed with err.
func (t *Turn) OnFailure(fn func(*Turn, error)) { t.failed = append(t.failed, fn) }

// OnPanic is called when the turn, or one that follows it, has panicked: for requests whose answer may
// be neither among the turn's replies nor parked with the machine.
func (t *Turn) OnPanic(fn func(error)) { t.panicked = fn }

// Machine is a coordinator's state for one shard. All its methods are called one
// after the other, never at once; it may keep plain maps.
type Machine interface {
	// Verify tells whether Replay could read r. It is asked before r is appended, since a
	// record that is in the log and cannot be read would stop every later coordinator.
	Verify(r Record) error
	// Replay applies one stored record: at load, and live right after its append.
	// The record's bytes are only lent. An error at load fails the load, unless it
	// is ErrSetAside: then the rest of the partition is served all the same.
	Replay(from Source, r Record) error
	// EndTxn applies a transaction marker.
	EndTxn(producerID int64, producerEpoch int16, commit bool)
	// Loaded is called once, when everything has been replayed and before any request.
	Loaded(t *Turn)
	// Fire is called when a timer that the machine has set is due.
	Fire(t *Turn, key TimerKey)
	// Unloaded is called last: leadership is gone. Requests that the machine has
	// parked must be answered; records and timers of this turn are ignored.
	Unloaded(t *Turn)
}

// Source says where a replayed record comes from.
type Source struct {
	Offset        int64
	ProducerID    int64 // NoProducerID unless written in a transaction
	ProducerEpoch int16
	Live          bool // appended by this machine just now, not read at load
}
