package txn

// State is where a transactional id stands; the numbers are those of the records.
type State int8

// The states there are. PrepareEpochFence is never stored: fencing a producer and
// aborting what it left open are one record. Dead is a tombstone.
const (
	Empty State = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
	Dead
	PrepareEpochFence
	numStates
)

func (s State) String() string {
	names := [numStates]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
	if s < 0 || s >= numStates {
		return "Unknown"
	}
	return names[s]
}

// parseState is the state of a name.
func parseState(name string) (State, bool) {
	for s := Empty; s < numStates; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// decided says that the outcome is fixed and markers are on their way.
func (s State) decided() bool { return s == PrepareCommit || s == PrepareAbort }

// idle says that no transaction is open or being ended.
func (s State) idle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }
