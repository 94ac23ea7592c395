package storage

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// verifyingLog is a log that takes the records of a transaction only with a guard.
func verifyingLog(t tb) *Log {
	l := testLog(t, vfs.NewMem(), newTestClock(), DefaultLogConfig())
	l.env.verifyTxns = new(atomic.Bool)
	l.env.verifyTxns.Store(true)
	return l
}

// guarded appends with a guard and says what came of it.
func guarded(l *Log, g VerificationGuard, b record.Batch) error {
	_, err := l.AppendWith(bytes.Clone(b), 1, FromClient, AppendOptions{Guard: g})
	return err
}

func mustVerify(t tb, l *Log, pid int64, epoch int16, seq int32, bumps bool) VerificationGuard {
	t.Helper()
	g, err := l.StartVerification(pid, epoch, seq, bumps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// endTxn ends a transaction as its coordinator does.
func endTxn(l *Log, pid int64, epoch int16, commit bool, version int8) error {
	_, err := l.AppendWith(marker(pid, epoch, commit), 1, FromCoordinator, AppendOptions{TransactionVersion: version})
	return err
}

func wantOutcome(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Fatalf("%v, want %v", err, want)
	}
}

func TestFirstRecordsOfATransactionNeedAGuard(t *testing.T) {
	l := verifyingLog(t)
	wantOutcome(t, guarded(l, NoVerification, inTxn(1, 0, 0, "a")), ErrInvalidTxnState)
	g := mustVerify(t, l, 1, 0, 0, false)
	wantOutcome(t, guarded(l, g+1, inTxn(1, 0, 0, "a")), ErrInvalidTxnState)
	wantOutcome(t, guarded(l, g, inTxn(1, 0, 0, "a")), nil)
	if g := mustVerify(t, l, 1, 0, 1, false); g != NoVerification {
		t.Fatal("an open transaction is verified once more")
	}
	wantOutcome(t, guarded(l, NoVerification, inTxn(1, 0, 1, "b")), nil)
	wantOutcome(t, guarded(l, NoVerification, inTxn(1, 0, 0, "a")), nil) // a duplicate
	wantOutcome(t, endTxn(l, 1, 0, true, 0), nil)
	wantOutcome(t, guarded(l, NoVerification, inTxn(1, 0, 2, "c")), ErrInvalidTxnState)
	wantOutcome(t, guarded(l, g, inTxn(1, 0, 2, "c")), ErrInvalidTxnState)
	wantOutcome(t, guarded(l, NoVerification, from(2, 0, 0, "no transaction")), nil)
}

// The coordinator says yes, aborts, and its marker arrives before the records: they would stay open for ever.
func TestAnAbortThatOvertakesTheRecordsShutsThemOut(t *testing.T) {
	l := verifyingLog(t)
	g := mustVerify(t, l, 1, 0, 0, false)
	wantOutcome(t, endTxn(l, 1, 0, false, 0), nil)
	wantOutcome(t, guarded(l, g, inTxn(1, 0, 0, "late")), ErrInvalidTxnState)
	if l.unstable.Load() != 1<<63-1 {
		t.Fatal("a transaction hangs")
	}
	// The guard of the next transaction is another, though the producer and its epoch are the same.
	if next := mustVerify(t, l, 1, 0, 0, false); next == g {
		t.Fatal("the guard is used again")
	}
}

// With an epoch for each transaction the marker brings the epoch of the next: what waits for that one stays.
func TestAMarkerLeavesTheNextTransactionsVerification(t *testing.T) {
	l := verifyingLog(t)
	wantOutcome(t, guarded(l, mustVerify(t, l, 1, 0, 0, true), inTxn(1, 0, 0, "a")), nil)
	next := mustVerify(t, l, 1, 1, 0, true)
	wantOutcome(t, endTxn(l, 1, 1, true, 2), nil)
	wantOutcome(t, guarded(l, next, inTxn(1, 1, 0, "b")), nil)
}

// A later batch whose verification is through first must not take the place of an earlier one.
func TestABatchDoesNotOvertakeOneThatIsVerified(t *testing.T) {
	l := verifyingLog(t)
	g := mustVerify(t, l, 1, 0, 0, false)
	wantOutcome(t, guarded(l, mustVerify(t, l, 1, 0, 3, false), inTxn(1, 0, 3, "later")), ErrOutOfOrderSequence)
	wantOutcome(t, guarded(l, g, inTxn(1, 0, 0, "a", "b", "c")), nil)
	wantOutcome(t, guarded(l, NoVerification, inTxn(1, 0, 3, "later")), nil)
}

func TestNewProducersOfBumpedTransactionsBeginWithZero(t *testing.T) {
	l := verifyingLog(t)
	mustAppend(t, l, values(1, "so that the log is not empty"))
	wantOutcome(t, guarded(l, mustVerify(t, l, 1, 0, 7, true), inTxn(1, 0, 7, "a")), ErrOutOfOrderSequence)
	wantOutcome(t, guarded(l, mustVerify(t, l, 2, 0, 7, false), inTxn(2, 0, 7, "a")), nil) // retention may have removed what came before
}

func TestMarkersOfBumpedTransactionsHaveAHigherEpoch(t *testing.T) {
	l := verifyingLog(t)
	wantOutcome(t, guarded(l, mustVerify(t, l, 1, 3, 0, true), inTxn(1, 3, 0, "a")), nil)
	wantOutcome(t, endTxn(l, 1, 3, true, 2), ErrInvalidProducerEpoch) // of an earlier transaction
	wantOutcome(t, endTxn(l, 1, 4, true, 2), nil)
	wantOutcome(t, endTxn(l, 1, 4, true, 2), nil) // once more, after a failover
	wantOutcome(t, endTxn(l, 1, 3, true, 0), ErrInvalidProducerEpoch)
	if _, err := l.StartVerification(1, 3, 0, true); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Fatal(err)
	}
}

// Verifications that nobody uses go with time, and there are never too many.
func TestVerificationsAreBounded(t *testing.T) {
	l := verifyingLog(t)
	for pid := range int64(maxVerifications + 10) {
		mustVerify(t, l, pid, 0, 0, false)
	}
	if len(l.verifying) != maxVerifications || l.verifying[0] != nil {
		t.Fatal(len(l.verifying))
	}
	l.ExpireProducers(l.nowMs() + 1)
	if len(l.verifying) != 0 {
		t.Fatal(len(l.verifying))
	}
}

// However verifications, records and markers mix: what is appended of a transaction was allowed by a guard that is
// younger than the last marker, or follows such records in the same transaction.
func TestNoUnverifiedTransactionIsEverOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := verifyingLog(t)
		epochs, seqs := map[int64]int16{}, map[int64]int32{}
		guards := map[int64]VerificationGuard{} // given since the last marker
		open := map[int64]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"verify": func(t *rapid.T) {
				pid := rapid.Int64Range(1, 2).Draw(t, "producer")
				g, err := l.StartVerification(pid, epochs[pid], seqs[pid], true)
				if err != nil || (g == NoVerification) != open[pid] {
					t.Fatalf("guard %d, open %t: %v", g, open[pid], err)
				}
				if g != NoVerification {
					guards[pid] = g
				}
			},
			"append": func(t *rapid.T) {
				pid := rapid.Int64Range(1, 2).Draw(t, "producer")
				g := rapid.SampledFrom([]VerificationGuard{NoVerification, guards[pid], 1, 2, 3}).Draw(t, "guard")
				err := guarded(l, g, inTxn(pid, epochs[pid], seqs[pid], "x"))
				allowed := open[pid] || guards[pid] != NoVerification && g == guards[pid]
				if (err == nil) != allowed {
					t.Fatalf("appended %t, allowed %t: %v", err == nil, allowed, err)
				}
				if err == nil {
					open[pid] = true
					seqs[pid]++
					delete(guards, pid)
				}
			},
			"end": func(t *rapid.T) {
				pid := rapid.Int64Range(1, 2).Draw(t, "producer")
				if err := endTxn(l, pid, epochs[pid]+1, rapid.Bool().Draw(t, "commit"), 2); err != nil {
					t.Fatal(err)
				}
				epochs[pid]++
				seqs[pid], open[pid] = 0, false
				delete(guards, pid)
			},
			"": func(t *rapid.T) {
				l.SetHighWatermark(l.LogEndOffset())
				if stable := l.LastStableOffset() == l.LogEndOffset(); stable != (!open[1] && !open[2]) {
					t.Fatalf("stable to the end %t, open %v", stable, open)
				}
			},
		})
	})
}
