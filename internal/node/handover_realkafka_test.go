//go:build realkafka

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// handoverTxnTimeout is longer than the test: no transaction is given up meanwhile.
	handoverTxnTimeout = 10 * time.Minute
	// stateAt is where the value of a transaction's record has its state, in every version: after version, producer id, epoch and timeout.
	stateAt = 16
	// completeCommit and completeAbort are states.
	completeCommit, completeAbort = 4, 5
)

// heir lives through a change of the broker that runs on a directory.
type heir struct {
	*story
	admin     *kadm.Client
	producers map[string]*kgo.Client
}

// One broker leaves a directory with transactions in every state behind: one complete, two whose outcome is decided
// and of which, if Moldau is the heir, no partition has heard, with offsets of a group among what they decide, and an open one. Who comes next brings the
// markers, makes the offsets count or forgets them, and lets the producers go on where they were. Then the first one comes back.
func TestTransactionsAreHandedOverAsTheyAre(t *testing.T) {
	type broker struct {
		name              string
		start, kill, stop func(*story)
	}
	kafka := broker{"Kafka", (*story).startKafka, (*story).killKafka, (*story).stopKafka}
	moldau := broker{"Moldau", (*story).startMoldau, (*story).killMoldau, (*story).stopMoldau}
	for _, way := range [][2]broker{{kafka, moldau}, {moldau, kafka}} {
		t.Run("from "+way[0].name+" to "+way[1].name, func(t *testing.T) {
			h := newHeir(t)
			if way[0].name == moldau.name { // the directory is formatted by the script
				h.startKafka()
				h.stopKafka()
			}
			way[0].start(h.story)
			h.leave()
			way[0].kill(h.story)
			h.sound("that was left")
			// Apache Kafka 4.3.1 itself, on a directory of its own too, takes a partition for deleted whose leader it has not
			// heard of yet when it reads the decisions: at times it sends no marker then, and the transaction hangs for good.
			if way[1].name == moldau.name {
				h.unmark("decided-commit", "decided-abort")
			}

			way[1].start(h.story)
			h.expect("before the open transaction ends", "complete 1", "decided-commit 1")
			h.offset("g-commit", 7)
			h.offset("g-abort", -1)
			h.states(map[string]string{"complete": "CompleteCommit", "decided-commit": "CompleteCommit", "decided-abort": "CompleteAbort", "open": "Ongoing"})
			h.write("open", "open 2")
			h.end("open", kgo.TryCommit)
			for _, id := range []string{"complete", "decided-commit", "decided-abort"} {
				h.begin(id)
				h.write(id, id+" 2")
				h.end(id, kgo.TryCommit)
			}
			all := []string{"complete 1", "decided-commit 1", "open 1", "open 2", "complete 2", "decided-commit 2", "decided-abort 2"}
			h.expect("after all have gone on", all...)
			h.begin("open")
			h.write("open", "open 3")
			way[1].stop(h.story)
			h.sound("of the heir")

			way[0].start(h.story)
			h.expect("when the first is back", all...)
			h.write("open", "open 4")
			h.end("open", kgo.TryAbort)
			h.begin("complete")
			h.write("complete", "complete 3")
			h.end("complete", kgo.TryCommit)
			h.expect("at the end", append(all, "complete 3")...)
			h.offset("g-commit", 7)
			h.offset("g-abort", -1)
			way[0].stop(h.story)
			h.sound("at the end")
		})
	}
}

func newHeir(t *testing.T) *heir {
	h := &heir{story: newTurns(t), producers: map[string]*kgo.Client{}}
	h.admin = kadm.NewClient(h.kgo())
	return h
}

// kgo makes a client; a broker that is being replaced is one that cannot be dialed for a while.
func (h *heir) kgo(opts ...kgo.Opt) *kgo.Client {
	h.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", storyPort)), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(c.Close)
	return c
}

func (h *heir) context() context.Context {
	ctx, cancel := context.WithTimeout(h.Context(), storyBound)
	h.Cleanup(cancel)
	return ctx
}

// try repeats something that a broker which has just started may refuse.
func (h *heir) try(what string, do func() error) {
	h.Helper()
	err := do()
	for deadline := time.Now().Add(storyBound / 2); err != nil && time.Now().Before(deadline); err = do() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		kafka, _ := os.ReadFile(filepath.Join(h.cluster(), "1.log"))
		h.Fatalf("%s: %v\nKafka's log: %s\nMoldau's log: %s", what, err, kafka, h.moldauLog())
	}
}

func (h *heir) begin(id string) {
	h.Helper()
	if h.producers[id] == nil {
		h.producers[id] = h.kgo(kgo.TransactionalID(id), kgo.TransactionTimeout(handoverTxnTimeout), kgo.DefaultProduceTopic("t"))
	}
	if err := h.producers[id].BeginTransaction(); err != nil {
		h.Fatalf("%s: %v", id, err)
	}
}

func (h *heir) write(id, value string) {
	h.Helper()
	if err := h.producers[id].ProduceSync(h.context(), kgo.StringRecord(value)).FirstErr(); err != nil {
		h.Fatalf("%s cannot write %q: %v\nMoldau's log: %s", id, value, err, h.moldauLog())
	}
}

func (h *heir) end(id string, how kgo.TransactionEndTry) {
	h.Helper()
	if err := h.producers[id].EndTransaction(h.context(), how); err != nil {
		h.Fatalf("%s cannot end: %v\nMoldau's log: %s", id, err, h.moldauLog())
	}
}

// commitOffset makes an offset part of a producer's transaction.
func (h *heir) commitOffset(id, group string, offset int64) {
	h.Helper()
	cl := h.producers[id]
	h.try("an offset in the transaction of "+id, func() error {
		producer, epoch, err := cl.ProducerID(h.context())
		if err != nil {
			return err
		}
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = id, group, producer, epoch, -1
		topic, part := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
		topic.Topic, part.Offset = "t", offset
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(h.context(), cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
}

// leave does what the first broker leaves behind.
func (h *heir) leave() {
	h.Helper()
	h.try("a topic", func() error {
		resp, err := h.admin.CreateTopic(h.context(), 1, 1, nil, "t")
		if err != nil {
			return err
		}
		return resp.Err
	})
	h.begin("complete")
	h.write("complete", "complete 1")
	h.end("complete", kgo.TryCommit)
	for id, group := range map[string]string{"decided-commit": "g-commit", "decided-abort": "g-abort"} {
		h.begin(id)
		h.write(id, id+" 1")
		h.commitOffset(id, group, 7)
	}
	h.begin("open")
	h.write("open", "open 1")
	h.end("decided-commit", kgo.TryCommit)
	h.end("decided-abort", kgo.TryAbort)
	h.states(map[string]string{"complete": "CompleteCommit", "decided-commit": "CompleteCommit", "decided-abort": "CompleteAbort", "open": "Ongoing"})
}

// states waits until transactions are in the states that they should be in.
func (h *heir) states(want map[string]string) {
	h.Helper()
	h.try("states of transactions", func() error {
		all, err := h.admin.DescribeTransactions(h.context())
		if err != nil {
			return err
		}
		for id, state := range want {
			if got := all[id].State; got != state {
				return fmt.Errorf("transaction %s is %q, not %s (%v)", id, got, state, all[id].Err)
			}
		}
		return nil
	})
}

// expect reads what readers of committed transactions see of the topic.
func (h *heir) expect(when string, want ...string) {
	h.Helper()
	var got []string
	h.try("a reading "+when, func() error {
		stable, err := h.admin.ListCommittedOffsets(h.context(), "t")
		if err != nil {
			return err
		}
		end, _ := stable.Lookup("t", 0)
		if end.Err != nil {
			return end.Err
		}
		if got = h.read(end.Offset); !slices.Equal(got, want) {
			return fmt.Errorf("read %q up to offset %d, want %q", got, end.Offset, want)
		}
		return nil
	})
}

// read reads the topic up to an offset.
func (h *heir) read(end int64) []string {
	h.Helper()
	r := h.kgo(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().At(0)}}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer r.Close()
	var got []string
	ctx := h.context()
	for next := int64(0); next < end && ctx.Err() == nil; {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // what was aborted last is not shown, and nothing comes after it
		fs := r.PollFetches(ctx)
		late := ctx.Err() != nil
		cancel()
		fs.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() && r.Offset < end {
				got = append(got, string(r.Value))
			}
		})
		if late {
			break
		}
	}
	return got
}

// offset waits until a group has a committed offset that no transaction can change any more; -1: none.
func (h *heir) offset(group string, want int64) {
	h.Helper()
	h.try("the offset of "+group, func() error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.RequireStable = true
		g := kmsg.NewOffsetFetchRequestGroup()
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		g.Group, topic.Topic, topic.Partitions = group, "t", []int32{0}
		g.Topics = append(g.Topics, topic)
		req.Groups = append(req.Groups, g)
		resp, err := req.RequestWith(h.context(), h.kgo())
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.Groups[0].ErrorCode); err != nil {
			return err
		}
		got := resp.Groups[0].Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
			return err
		}
		if got.Offset != want {
			return fmt.Errorf("it is %d, not %d", got.Offset, want)
		}
		return nil
	})
}

// unmark makes a directory what it was between the decisions of some transactions and the first of their markers: markers
// and the records that say that the transactions are complete are taken out of the logs, and what is derived from the logs is removed.
func (h *heir) unmark(ids ...string) {
	h.Helper()
	producers := map[int64]bool{}
	decided := map[string]bool{}
	taken := 0
	for _, dir := range h.partitions("__transaction_state-") {
		taken += h.filter(dir, func(b record.Batch) bool {
			keep := true
			if err := b.ForEach(func(r record.Record) error {
				for _, id := range ids {
					if b.IsControl() || !strings.HasSuffix(string(r.Key), id) || len(r.Value) <= stateAt {
						continue
					}
					producers[int64(be64(r.Value[2:]))] = true
					switch r.Value[stateAt] {
					case completeCommit, completeAbort:
						keep = false
					case completeCommit - 2, completeAbort - 2: // PrepareCommit and PrepareAbort
						decided[id] = true
					}
				}
				return nil
			}); err != nil {
				h.Fatal(err)
			}
			return keep
		})
	}
	if taken != len(ids) || len(producers) != len(ids) || len(decided) != len(ids) {
		h.Fatalf("%d records were taken out, of %d producers, %d are decided", taken, len(producers), len(decided))
	}
	markers := 0
	for _, dir := range append(h.partitions("t-"), h.partitions("__consumer_offsets-")...) {
		markers += h.filter(dir, func(b record.Batch) bool { return !b.IsControl() || !producers[b.ProducerID()] })
	}
	if markers != 2*len(ids) { // each in the topic and in the offsets
		h.Fatalf("%d markers were taken out", markers)
	}
}

func be64(b []byte) uint64 {
	var v uint64
	for _, x := range b[:8] {
		v = v<<8 | uint64(x)
	}
	return v
}

// partitions are the directories of a topic.
func (h *heir) partitions(prefix string) []string {
	h.Helper()
	dirs, err := filepath.Glob(filepath.Join(h.data(), prefix+"*"))
	if err != nil || len(dirs) == 0 {
		h.Fatalf("no directory %s*: %v", prefix, err)
	}
	return dirs
}

// filter keeps some of the batches of a partition that has one segment, and says how many it took out.
func (h *heir) filter(dir string, keep func(record.Batch) bool) (taken int) {
	h.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		h.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		switch filepath.Ext(name) {
		case ".index", ".timeindex", ".txnindex", ".snapshot":
			if err := os.Remove(name); err != nil {
				h.Fatal(err)
			}
		case ".log":
			taken += h.filterSegment(name, keep)
		}
	}
	return taken
}

func (h *heir) filterSegment(name string, keep func(record.Batch) bool) (taken int) {
	h.Helper()
	rest, err := os.ReadFile(name)
	if err != nil {
		h.Fatal(err)
	}
	var kept []byte
	for len(rest) > 0 && slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) { // the tail may be preallocated
		var b record.Batch
		if b, rest, err = record.Next(rest); err != nil {
			h.Fatalf("%s: %v", name, err)
		}
		if keep(b) {
			kept = append(kept, b...)
		} else {
			taken++
		}
	}
	if err := os.WriteFile(name, kept, 0o644); err != nil {
		h.Fatal(err)
	}
	return taken
}
