package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// copierPoll is how long one poll waits: between two polls the tool says how far it is.
	copierPoll = 200 * time.Millisecond
	// copierSession, copierHeartbeat and copierMaxPoll are the member's, as Kafka's tool sets them: whoever runs it kills it, and waits.
	copierSession, copierHeartbeat, copierMaxPoll = "10000", "3000", "180000"
	// copierAborts is how many transactions come to one that --enable-random-aborts gives up.
	copierAborts = 3
)

func transactionalCopier() (*subTool, *subcommand) {
	pad := "       "
	c := &subcommand{run: runTransactionalCopierParsed, doc: "Copies records in transactions from a partition, or as a member of a group, to\nanother topic, with the offsets that it has come to.",
		usage: "usage: transactional-message-copier\n" + pad + "[-h] --input-topic INPUT-TOPIC\n" + pad + "--input-partition INPUT-PARTITION --output-topic OUTPUT-TOPIC\n" + pad + "--broker-list HOST1:PORT1[,HOST2:PORT2[...]]\n" + pad +
			"[--max-messages MAX-MESSAGES] [--consumer-group CONSUMER-GROUP]\n" + pad + "[--transaction-size TRANSACTION-SIZE]\n" + pad + "[--transaction-timeout TRANSACTION-TIMEOUT]\n" + pad +
			"--transactional-id TRANSACTIONAL-ID [--enable-random-aborts]\n" + pad + "[--group-mode] [--use-group-metadata]",
		options: []subOption{
			{long: "input-topic", metavar: "INPUT-TOPIC", required: true, doc: "The topic to copy from."},
			{long: "input-partition", metavar: "INPUT-PARTITION", kind: "Integer", required: true, doc: "The partition to copy from; with --group-mode it is whatever the group gives."},
			{long: "output-topic", metavar: "OUTPUT-TOPIC", required: true, doc: "The topic to copy to, each record to the partition of the same number."},
			{long: "broker-list", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", required: true, doc: "The brokers to connect to."},
			{long: "max-messages", metavar: "MAX-MESSAGES", kind: "Integer", defs: "-1", doc: "How many records to copy, up to the end that the partition has when the tool starts; -1 for all of them."},
			{long: "consumer-group", metavar: "CONSUMER-GROUP", defs: "-1", doc: "The group whose offsets tell how far the copy is."},
			{long: "transaction-size", metavar: "TRANSACTION-SIZE", kind: "Integer", defs: "200", doc: "How many records one transaction copies at most."},
			{long: "transaction-timeout", metavar: "TRANSACTION-TIMEOUT", kind: "Integer", defs: "60000", doc: "After how many ms the broker aborts a transaction."},
			{long: "transactional-id", metavar: "TRANSACTIONAL-ID", required: true, doc: "The producer's transactional id."},
			{long: "enable-random-aborts", doc: "Abort some transactions by chance. (default: false)"},
			{long: "group-mode", doc: "Subscribe to the topic as a member of the group. (default: false)"},
			{long: "use-group-metadata", doc: "Commit offsets in the member's name, so that one that has been replaced cannot. (default: false)"},
		}}
	return &subTool{name: "transactional-message-copier", helpCode: 1}, c
}

func runTransactionalCopier(r *run, args []string) int {
	t, c := transactionalCopier()
	if len(args) == 0 {
		return r.subMistake(t, c, missing(c, newSubArgs(c.options)))
	}
	return r.runPlain(t, c, args)
}

// copier is one run. Its fields belong to the run's goroutine, but for what mu guards.
type copier struct {
	*run
	a        *subArgs
	in, out  string
	group    string
	txnID    string
	producer *client.Client
	consumer *client.Client
	member   bool

	mu sync.Mutex
	// at is where the copy is in each partition that it has; Offset -1 where that could not be asked.
	at        map[int32]kgo.EpochOffset
	remaining int64
	total     int64 // copied by this process
	consumed  int64 // since the last rebalance
}

func runTransactionalCopierParsed(r *run, a *subArgs) int {
	c := &copier{run: r, a: a, in: a.value("input-topic"), out: a.value("output-topic"), group: a.value("consumer-group"), txnID: a.value("transactional-id"), member: a.has("group-mode"), at: map[int32]kgo.EpochOffset{}}
	ctx, caught, stop := r.watchSignals()
	defer stop()
	begun, err := c.open(ctx)
	if err == nil {
		err = c.loop(ctx)
	}
	c.close()
	if ctx.Err() != nil {
		err = nil // what fails while the tool ends is no news
	}
	if ce := new(client.ConstructError); errors.As(err, &ce) {
		err = &consumerFailure{"org.apache.kafka.common.KafkaException", ce}
	}
	if err != nil {
		c.logError("org.apache.kafka.tools.TransactionalMessageCopier", "Shutting down after unexpected error in event loop", err)
		c.errorf("Shutting down after unexpected error %s: %s (see the log for additional detail)\n", simpleClass(err), err)
	}
	if begun {
		c.status("ShutdownComplete")
	}
	switch s := caught(); {
	case s != nil:
		return signalExit(s)
	case err != nil:
		return r.fail(1)
	}
	return 0
}

// simpleClass is the Java exception of an error, without its package.
func simpleClass(err error) string {
	class := client.ClassOf(err)
	if class == "" {
		return "KafkaException"
	}
	return class[strings.LastIndexByte(class, '.')+1:]
}

// open makes the clients and fences whoever had the transactional id before. begun says that this is done.
func (c *copier) open(ctx context.Context) (begun bool, err error) {
	if n := c.a.number("transaction-size"); n < 1 {
		return false, &copierError{"org.apache.kafka.common.config.ConfigException", fmt.Sprintf("Invalid value %d for configuration max.poll.records: Value must be at least 1", n), nil}
	}
	if err := c.openProducer(ctx); err != nil {
		return false, err
	}
	if err := c.openConsumer(); err != nil {
		return false, err
	}
	limit := c.a.number("max-messages")
	if limit == -1 {
		limit = math.MaxInt64
	}
	if !c.member {
		at, err := c.assign(ctx)
		if err != nil {
			return true, err
		}
		left, err := c.left(ctx, at)
		if err != nil {
			return true, err
		}
		limit = min(limit, left)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.member || c.total == 0 && c.remaining == 0 { // a rebalance that was quicker knows better
		c.remaining = limit
	}
	return true, nil
}

func (c *copier) properties() client.Properties {
	return client.Properties{"bootstrap.servers": c.a.value("broker-list")}
}

func (c *copier) openConsumer() (err error) {
	props := c.properties()
	props["group.id"], props["isolation.level"], props["auto.offset.reset"], props["enable.auto.commit"] = c.group, "read_committed", "earliest", "false"
	props["max.poll.records"] = c.a.value("transaction-size")
	props["session.timeout.ms"], props["heartbeat.interval.ms"], props["max.poll.interval.ms"] = copierSession, copierHeartbeat, copierMaxPoll
	c.consumer, err = client.Open(client.Consumer, props, c.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ConsumerOptions()
		if err != nil || !c.member {
			return append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), err
		}
		group, err := s.GroupOptions()
		// A rebalance during a transaction would let another member begin before what this one commits.
		return append(append(opts, group...), kgo.ConsumeTopics(c.in), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(func(ctx context.Context, _ *kgo.Client, m map[string][]int32) { c.rebalanced(ctx, m[c.in]) }),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { c.gone(m[c.in]) }),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { c.gone(m[c.in]) })), err
	})
	return err
}

// openProducer makes a producer of the id: whatever another, or the last one of this run, has begun is ended by that.
func (c *copier) openProducer(ctx context.Context) error {
	if c.producer != nil {
		c.producer.Close()
		c.producer = nil
	}
	props := c.properties()
	props["transactional.id"], props["transaction.timeout.ms"], props["batch.size"] = c.txnID, c.a.value("transaction-timeout"), "512"
	p, err := client.Open(client.Producer, props, c.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ProducerOptions()
		return append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner())), err
	})
	if err != nil {
		return err
	}
	c.producer = p
	if _, _, err := p.ProducerID(ctx); err != nil {
		if ke := (*kerr.Error)(nil); errors.As(err, &ke) {
			return &copierError{kafkaException, "Unexpected error in InitProducerIdResponse; " + client.CodeError(ke.Code, nil).Error(), err}
		}
		return p.Final(ctx, "initTransactions", err)
	}
	return nil
}

func (c *copier) close() {
	if c.producer != nil {
		c.producer.Close()
	}
	if c.consumer != nil {
		leave, cancel := context.WithTimeout(c.ctx, leaveTimeout)
		defer cancel()
		// What cannot be left now, the session timeout will end.
		_ = c.consumer.LeaveGroupContext(leave)
		c.consumer.CloseAllowingRebalance()
	}
}

// loop copies until nothing remains.
func (c *copier) loop(ctx context.Context) error {
	for ctx.Err() == nil && c.wanted() {
		c.status("ProcessLoop")
		poll, cancel := context.WithTimeout(ctx, copierPoll)
		fetches := c.consumer.PollRecords(poll, int(c.a.number("transaction-size")))
		cancel()
		err := c.fatalFetch(fetches)
		if n := fetches.NumRecords(); err == nil && n > 0 && ctx.Err() == nil {
			err = c.copy(context.WithoutCancel(ctx), fetches)
		}
		if c.member {
			c.consumer.AllowRebalance()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remaining > 0
}

// fatalFetch is what the cluster refuses for good.
func (c *copier) fatalFetch(fetches kgo.Fetches) (err error) {
	fetches.EachError(func(_ string, _ int32, e error) {
		if ke := (*kerr.Error)(nil); err == nil && errors.As(e, &ke) && !ke.Retriable {
			err = client.CodeError(ke.Code, nil)
		}
	})
	return err
}

// copy is one transaction. What went wrong in it is put right by aborting it and reading again from the committed offsets; an error
// is what no further try can mend.
func (c *copier) copy(ctx context.Context, fetches kgo.Fetches) error {
	n, err := c.transact(ctx, fetches)
	switch {
	case err == nil && n > 0:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remaining -= n
		c.total += n
		c.consumed += n
		return nil
	case fenced(err):
		return c.claimed(err)
	}
	return c.abort(ctx)
}

// transact returns how many records it has copied: none if it was its lot to be aborted.
func (c *copier) transact(ctx context.Context, fetches kgo.Fetches) (int64, error) {
	if err := c.producer.BeginTransaction(); err != nil {
		return 0, err
	}
	var mu sync.Mutex
	var failed error
	n, next := int64(0), c.positions()
	fetches.EachRecord(func(r *kgo.Record) {
		n++
		next[r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
		c.producer.Produce(ctx, &kgo.Record{Topic: c.out, Partition: r.Partition, Key: r.Key, Value: r.Value}, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				failed = err
			}
		})
	})
	if err := c.producer.Flush(ctx); err != nil {
		return 0, err
	}
	mu.Lock()
	err := failed
	mu.Unlock()
	if err == nil {
		err = c.sendOffsets(ctx, next)
	}
	if err != nil || c.a.has("enable-random-aborts") && rand.IntN(copierAborts) == 0 {
		return 0, err
	}
	if err := c.producer.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.at, next)
	return n, nil
}

// abort ends the transaction and goes back to what is committed.
func (c *copier) abort(ctx context.Context) error {
	err := c.producer.AbortBufferedRecords(ctx)
	if err == nil {
		err = c.producer.EndTransaction(ctx, kgo.TryAbort)
	}
	if fenced(err) {
		return c.claimed(err)
	}
	if err != nil {
		// How the transaction stands is not known: a new producer of the id ends it.
		if err := c.openProducer(ctx); err != nil {
			return err
		}
	}
	return c.rewind(ctx)
}

// fenced says that another producer has the id now.
func fenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
}

func (c *copier) claimed(cause error) error {
	return &copierError{kafkaException, "The transactional.id " + c.txnID + " has been claimed by another process", cause}
}

// copierError is in Kafka's words, and keeps its cause without the cause's.
type copierError struct {
	class, message string
	cause          error
}

const kafkaException = "org.apache.kafka.common.KafkaException"

func (e *copierError) Error() string     { return e.message }
func (e *copierError) Unwrap() error     { return e.cause }
func (e *copierError) ClassName() string { return e.class }

// positions are those that are known: a commit names each partition that the copy has, those without new records too.
func (c *copier) positions() map[int32]kgo.EpochOffset {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[int32]kgo.EpochOffset{}
	for p, at := range c.at {
		if at.Offset >= 0 {
			known[p] = at
		}
	}
	return known
}

// rebalanced counts anew when the group gives partitions.
func (c *copier) rebalanced(ctx context.Context, partitions []int32) {
	at, err := c.committed(ctx, partitions)
	left := int64(0)
	if err == nil {
		left, err = c.left(ctx, at)
	}
	if err != nil { // the copy goes on where the client finds the offsets, and ends with the next rebalance or a signal
		c.hint("cannot tell how much is left to copy: " + err.Error())
		left = math.MaxInt64
	}
	c.mu.Lock()
	for _, p := range partitions {
		if from, ok := at[p]; ok {
			c.at[p] = from
		} else {
			c.at[p] = kgo.EpochOffset{Epoch: -1, Offset: -1}
		}
	}
	c.remaining, c.consumed = left, 0
	c.mu.Unlock()
	c.status("RebalanceComplete")
}

// gone forgets partitions that the group has taken away.
func (c *copier) gone(partitions []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range partitions {
		delete(c.at, p)
	}
}

// status prints one line. How far this is, is read by whoever runs the tool.
func (c *copier) status(stage string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, err := json.Marshal(c.txnID)
	if err != nil {
		id = []byte("null")
	}
	now := c.Now()
	c.printf(`{"transactionalId":%s,"stage":%q,"time":"%s:%03d","totalProcessed":%d,"consumed":%d,"remaining":%d}`+"\n",
		id, stage, now.Format("2006/01/02 15:04:05"), now.Nanosecond()/int(time.Millisecond), c.total, c.consumed, c.remaining)
	// Nobody reads any more: the copy goes on, as Kafka's does.
	_ = c.run.out.Flush()
}
