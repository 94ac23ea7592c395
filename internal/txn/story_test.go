package txn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin makes a producer with an open transaction on two partitions.
func (st *stage) begin(id string, version int16) *client {
	st.t.Helper()
	c := st.client(id)
	c.must(c.init(false))
	c.must(c.add(version, tp("t", 0), tp("t", 1)))
	for _, k := range []TopicPartition{tp("t", 0), tp("t", 1)} {
		p := st.part(k)
		p.epoch[c.pid], p.open[c.pid] = c.epoch, id
	}
	return c
}

// A coordinator that falls between decision and completion is followed by one that finishes what was decided.
func TestFailoverInEveryState(t *testing.T) {
	for _, version := range []int16{0, 2} {
		end := int16(4)
		if version == 2 {
			end = 5
		}
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			st := newStage(t)
			c := st.client("x")
			c.must(c.init(false))
			st.failover()
			st.wantState("x", "Empty")
			c = st.begin("x", version)
			st.failover()
			st.wantState("x", "Ongoing")
			st.hold = true
			c.must(c.end(end, true))
			st.wantState("x", "PrepareCommit")
			st.held = nil // they are lost with the coordinator
			st.hold = false
			st.failover()
			st.wantState("x", "CompleteCommit")
			if got := st.outcomes("x"); got != "[t-0=true t-1=true]" {
				t.Fatal(got)
			}
			c.must(c.add(version, tp("t", 0)))
			st.part(tp("t", 0)).open[c.pid] = "second"
			st.hold = true
			c.must(c.end(end, false))
			st.failover()
			st.wantState("x", "PrepareAbort")
			st.release()
			st.failover()
			st.wantState("x", "CompleteAbort")
			if got := st.outcomes("second"); got != "[t-0=false]" {
				t.Fatal(got)
			}
		})
	}
}

// Nobody hears of a decision that is not committed: neither the producer nor a partition.
func TestNothingLeavesBeforeTheDecisionIsCommitted(t *testing.T) {
	st := newStage(t)
	c := st.begin("x", 0)
	sent := 0
	st.check = func(Marker) { sent++ }
	st.log.HoldCommits(true)
	if got := c.end(4, true); got != "no answer" || sent != 0 {
		t.Fatalf("%s, %d markers", got, sent)
	}
	// The decision is lost with the coordinator; the next one may decide otherwise.
	st.s.Resign(0, -1)
	st.log.TruncateToCommitted(0)
	st.log.HoldCommits(false)
	st.elect()
	st.wantState("x", "Ongoing")
	c.must(c.end(4, false))
	if got := st.outcomes("x"); got != "[t-0=false t-1=false]" || sent != 1 {
		t.Fatal(got, sent)
	}
}

// A decision that is committed late is delivered all the same, though its producer was told to ask again.
func TestALateCommitIsDelivered(t *testing.T) {
	st := newStage(t, silent)
	c := st.begin("x", 0)
	st.log.HoldCommits(true)
	c.end(4, true)
	st.pass(6 * time.Second)
	st.log.HoldCommits(false)
	st.log.CommitAll(0)
	st.pass(2 * time.Second)
	st.wantState("x", "CompleteCommit")
	if got := st.outcomes("x"); got != "[t-0=true t-1=true]" {
		t.Fatal(got)
	}
	c.must(c.end(4, true))
}

// A producer that was told of its commit gives up the next transaction at once, before the first one's markers have arrived: a
// consumer that copies does so when its group rebalances. It is the producer still, and is told to ask again.
func TestTheNextTransactionIsGivenUpWhileMarkersAreOnTheirWay(t *testing.T) {
	for _, version := range []int16{4, 5} {
		st := newStage(t, silent)
		c := st.begin("x", 0)
		st.hold = true
		c.must(c.end(version, true))
		st.wantState("x", "PrepareCommit")
		if got := c.end(version, false); got != "CONCURRENT_TRANSACTIONS" {
			t.Fatalf("EndTxn %d: %s", version, got)
		}
		st.release()
		st.wantState("x", "CompleteCommit")
	}
}

func TestASlowProducerIsFencedAndItsTransactionAborted(t *testing.T) {
	for _, level := range []int16{0, 1, 2} {
		st := newStage(t)
		st.version = level
		c := st.begin("x", 0)
		st.pass(59 * time.Second)
		st.wantState("x", "Ongoing")
		st.pass(12 * time.Second)
		st.wantState("x", "CompleteAbort")
		if got := st.outcomes("x"); got != "[t-0=false t-1=false]" {
			t.Fatal(got)
		}
		if got := c.end(4, true); got != "PRODUCER_FENCED" {
			t.Fatal(got)
		}
		if got := c.add(0, tp("t", 0)); got != "PRODUCER_FENCED" {
			t.Fatal(got)
		}
		// Where every transaction has an epoch of its own, the epoch of the abort is one that the producer may go on with.
		if got, want := c.init(true), map[bool]string{false: "PRODUCER_FENCED", true: "ok"}[level == 2]; got != want {
			t.Fatal(got)
		}
	}
}

// A new process with the id of one that has an open transaction waits until that is aborted.
func TestAnOpenTransactionIsAbortedForTheNextProducer(t *testing.T) {
	st := newStage(t)
	old := st.begin("x", 2)
	st.hold = true
	c := st.client("x")
	for range 3 {
		if got := c.init(false); got != "CONCURRENT_TRANSACTIONS" {
			t.Fatal(got)
		}
	}
	st.release()
	c.must(c.init(false))
	if c.epoch != old.epoch+2 {
		t.Fatalf("epoch %d after %d", c.epoch, old.epoch)
	}
	if got := old.end(5, true); got != "PRODUCER_FENCED" {
		t.Fatal(got)
	}
	if got := st.outcomes("x"); got != "[t-0=false t-1=false]" {
		t.Fatal(got)
	}
}

// The last epoch but one is a client's last. Whatever comes next brings a new producer id.
// A producer with an epoch for each transaction could not end a transaction of which the coordinator knows nothing; one of before that
// protocol takes its place and ends one of its own. The first one's request, which comes again, names the epoch before the
// present one, as a repeated one would: it must not be given the other's epoch.
func TestALateEndIsNotTakenForARepeatedOne(t *testing.T) {
	for _, commit := range []bool{false, true} {
		st := newStage(t, silent)
		old := st.client("x")
		old.must(old.init(false))
		old.must(old.end(5, false))
		next := st.client("x")
		next.must(next.init(false))
		if next.epoch != old.epoch+1 {
			t.Fatalf("epoch %d after %d", next.epoch, old.epoch)
		}
		next.must(next.add(0, tp("t", 0)))
		next.must(next.end(4, commit))
		if got := old.end(5, commit); got != "PRODUCER_FENCED" {
			t.Errorf("commit=%t: %s, epoch %d", commit, got, old.epoch)
		}
	}
}

func TestEpochsRunOut(t *testing.T) {
	near := func(st *stage, state State, epoch int16) *client {
		v := value{producerID: 7, prevProducerID: 7, nextProducerID: -1, epoch: epoch, timeoutMs: 60_000, state: state, updateMs: 1, startMs: -1}
		if state == Ongoing {
			v.partitions, v.startMs = []TopicPartition{tp("t", 0)}, 1_700_000_000_000
			p := st.part(tp("t", 0))
			p.epoch[7], p.open[7] = epoch, "x"
		}
		st.log.AppendStored(0, coord.StoredBatch{ProducerID: -1, Records: []coord.StoredRecord{{Record: v.record("x", 1)}}})
		st.failover()
		return &client{st: st, id: "x", pid: 7, epoch: epoch}
	}
	t.Run("by a new process", func(t *testing.T) {
		st := newStage(t)
		c := near(st, Empty, maxEpoch-1)
		c.must(c.init(false))
		if c.pid == 7 || c.epoch != 0 {
			t.Fatalf("%+v", c)
		}
	})
	t.Run("by the same process, twice", func(t *testing.T) {
		st := newStage(t)
		c := near(st, Empty, maxEpoch-1)
		again := *c
		c.must(c.init(true))
		again.must(again.init(true))
		if c.pid == 7 || again.pid != c.pid || again.epoch != c.epoch {
			t.Fatalf("%+v %+v", c, again)
		}
	})
	t.Run("at a commit", func(t *testing.T) {
		st := newStage(t)
		c := near(st, Ongoing, maxEpoch-1)
		again := *c
		c.must(c.end(5, true))
		again.must(again.end(5, true))
		if c.pid == 7 || c.epoch != 0 || again.pid != c.pid || again.epoch != 0 {
			t.Fatalf("%+v %+v", c, again)
		}
		if got := st.outcomes("x"); got != "[t-0=true]" {
			t.Fatal(got)
		}
		c.must(c.add(2, tp("t", 0)))
		c.must(c.end(5, true))
	})
	t.Run("while no id is at hand", func(t *testing.T) {
		st := newStage(t)
		c := near(st, Ongoing, maxEpoch-1)
		st.spareID = 0
		c.must(c.end(5, true)) // fetched on the way
		if c.pid == 7 {
			t.Fatalf("%+v", c)
		}
	})
	t.Run("by a fence", func(t *testing.T) {
		for _, level := range []int16{0, 2} {
			st := newStage(t)
			st.version = level
			c := near(st, Ongoing, maxEpoch-1)
			if got := c.init(false); got != "CONCURRENT_TRANSACTIONS" {
				t.Fatal(got)
			}
			c.must(c.init(false))
			if c.pid == 7 {
				t.Fatalf("%+v", c)
			}
			if got := st.outcomes("x"); got != "[t-0=false]" {
				t.Fatal(got)
			}
		}
	})
	t.Run("by a timeout while no id is at hand", func(t *testing.T) {
		st := newStage(t)
		near(st, Ongoing, maxEpoch-1)
		st.spareID = 0
		st.pass(75 * time.Second)
		st.wantState("x", "Ongoing")
		st.spareID = 1
		st.pass(time.Second)
		st.wantState("x", "CompleteAbort")
	})
}

// Markers are tried until every partition has one; partitions that have theirs are not asked again.
func TestMarkersAreRetried(t *testing.T) {
	st := newStage(t)
	c := st.begin("x", 0)
	st.part(tp("t", 1)).refusing = 6 // NOT_LEADER_OR_FOLLOWER
	var sent []int
	st.check = func(m Marker) { sent = append(sent, len(m.Partitions)) }
	c.must(c.end(4, true))
	st.wantState("x", "PrepareCommit")
	if got := c.end(4, true); got != "CONCURRENT_TRANSACTIONS" {
		t.Fatal(got)
	}
	if got := c.add(0, tp("t", 0)); got != "CONCURRENT_TRANSACTIONS" {
		t.Fatal(got)
	}
	st.pass(200 * time.Millisecond)
	st.part(tp("t", 1)).refusing = 0
	st.pass(2 * time.Second)
	st.wantState("x", "CompleteCommit")
	if sent[0] != 2 || len(sent) < 3 || sent[len(sent)-1] != 1 {
		t.Fatal(sent)
	}
}

// A partition that was ended by hand and has gone on takes no marker any more; the id must not wait for it.
func TestAPartitionThatWasEndedByHand(t *testing.T) {
	st := newStage(t)
	c := st.begin("x", 0)
	st.part(tp("t", 0)).epoch[c.pid] = 9
	c.must(c.end(4, true))
	st.wantState("x", "CompleteCommit")
}

// A fenced coordinator does not go on: its successor has the log.
func TestAFencedCoordinatorLeavesTheTransaction(t *testing.T) {
	st := newStage(t)
	c := st.begin("x", 0)
	st.part(tp("t", 0)).coordAt[c.pid] = 100
	sent := 0
	st.check = func(Marker) { sent++ }
	c.must(c.end(4, true))
	st.pass(time.Minute)
	st.wantState("x", "PrepareCommit")
	if sent != 1 {
		t.Fatal(sent)
	}
}

func TestTheCompletionIsRetriedWhenTheLogFails(t *testing.T) {
	st := newStage(t, silent)
	c := st.begin("x", 0)
	st.hold = true
	c.must(c.end(4, true))
	st.log.FailAppends(coord.ErrNotEnoughReplicas)
	st.release()
	st.wantState("x", "PrepareCommit")
	st.log.FailAppends(nil)
	st.pass(2 * time.Second)
	st.wantState("x", "CompleteCommit")
}

func TestUnusedIDsAreForgotten(t *testing.T) {
	st := newStage(t, func(o *Options) {
		o.Config.ExpirationMs = 3_600_000
		o.Config.CleanupIntervalMs = 60_000
		o.Config.AbortIntervalMs = 1 << 40
	})
	done, open := st.begin("done", 0), st.begin("open", 0)
	done.must(done.end(4, true))
	st.pass(59 * time.Minute)
	st.wantState("done", "CompleteCommit")
	st.pass(2 * time.Minute)
	st.wantState("done", "TRANSACTIONAL_ID_NOT_FOUND")
	st.wantState("open", "Ongoing")
	if _, found := st.stored("done"); found {
		t.Fatal("it is still in the log")
	}
	if got := done.add(0, tp("t", 0)); got != "INVALID_PRODUCER_ID_MAPPING" {
		t.Fatal(got)
	}
	open.must(open.end(4, false))
	done.must(done.init(true)) // it comes back as a new producer
	if done.epoch != 0 {
		t.Fatal(done.epoch)
	}
}

// What cannot be read is not guessed at.
func TestARecordOfTheFutureSetsItsIDAside(t *testing.T) {
	st := newStage(t, silent)
	c := st.begin("x", 0)
	future := value{producerID: 1, state: CompleteCommit}.record("x", 1)
	future.Value[1] = 9
	st.log.AppendStored(0, coord.StoredBatch{ProducerID: -1, Records: []coord.StoredRecord{{Record: future}, {Record: coord.Record{Key: []byte{0, 9, 1}}}}})
	st.failover()
	for _, got := range []string{c.init(false), c.add(0, tp("t", 0)), c.end(4, true), c.end(5, true), st.state("x")} {
		if got != "COORDINATOR_NOT_AVAILABLE" {
			t.Fatal(got)
		}
	}
	other := st.client("y")
	other.must(other.init(false))
}

func TestABusyOrAbsentCoordinator(t *testing.T) {
	st := newStage(t, silent)
	c := st.begin("x", 0)
	st.log.FailAppends(coord.ErrNotEnoughReplicas)
	if got := c.add(0, tp("u", 0)); got != "COORDINATOR_NOT_AVAILABLE" {
		t.Fatal(got)
	}
	if got := c.end(4, true); got != "COORDINATOR_NOT_AVAILABLE" {
		t.Fatal(got)
	}
	st.log.FailAppends(nil)
	st.wantState("x", "Ongoing") // a failed append has changed nothing
	c.must(c.end(4, true))
	st.s.Resign(0, -1)
	if got := c.end(4, true); got != "NOT_COORDINATOR" {
		t.Fatal(got)
	}
	release := st.log.HoldLoads()
	st.epoch++
	st.s.Elect(0, st.epoch)
	if got := c.init(false); got != "COORDINATOR_LOAD_IN_PROGRESS" {
		t.Fatal(got)
	}
	list := kmsg.NewPtrListTransactionsRequest()
	st.s.List(0, list, func(resp *kmsg.ListTransactionsResponse) {
		if word(resp.ErrorCode) != "COORDINATOR_LOAD_IN_PROGRESS" {
			t.Error(word(resp.ErrorCode))
		}
	})
	release()
	st.settle()
}

func TestTransactionalIDsAreBounded(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.MaxIDs = 1 })
	a, b := st.client("a"), st.client("b")
	a.must(a.init(false))
	if got := b.init(false); got != "COORDINATOR_NOT_AVAILABLE" {
		t.Fatal(got)
	}
	a.must(a.init(false)) // one that is there goes on
}

func TestIDsThatAreNone(t *testing.T) {
	st := newStage(t)
	for _, id := range []string{"", strings.Repeat("x", maxIDBytes+1)} {
		c := st.client(id)
		for _, got := range []string{c.init(false), c.add(0), c.end(4, true), st.state(id)} {
			if got != "INVALID_REQUEST" {
				t.Fatal(got)
			}
		}
		st.s.VerifyPartitions(Partitions{TransactionalID: id, Partitions: []TopicPartition{tp("t", 0)}}, func(codes []int16) {
			if word(codes[0]) != "INVALID_REQUEST" {
				t.Error(codes)
			}
		})
	}
}

func TestMetricsCountStates(t *testing.T) {
	st := newStage(t)
	st.begin("a", 0)
	b := st.begin("b", 0)
	st.hold = true
	b.must(b.end(4, false))
	m := st.s.Metrics()
	if m.IDs != 2 || m.ByState["Ongoing"] != 1 || m.ByState["PrepareAbort"] != 1 || m.Undelivered != 2 || m.Partitions.Active != 1 {
		t.Fatalf("%+v", m)
	}
}

// The numbers are Java's: __transaction_state has 50 partitions as a rule.
func TestPartitionForIsJavas(t *testing.T) {
	for id, want := range map[string]int32{"": 0, "a": 47, "my-transactional-id": partitionOfJava("my-transactional-id"), "😀": partitionOfJava("\U0001F600")} {
		if got := PartitionFor(id, 50); got != want {
			t.Errorf("%q is in %d, want %d", id, got, want)
		}
	}
}

// partitionOfJava is the definition, unit by unit.
func partitionOfJava(s string) int32 {
	var h int32
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			h = (h*31+0xd800+r>>10)*31 + 0xdc00 + r&0x3ff
			continue
		}
		h = h*31 + r
	}
	if h < 0 {
		h = -h
	}
	return h % 50
}
