package eos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// flow is one application: what it reads, what it writes, and what must come out.
type flow struct {
	name, in, out string
	line          func(n int64) *kgo.Record
	command       func(bootstrap, dir string, instance int) []string
	native        bool // the command is one of moldau's, not a Java class
	finite        bool // the program ends by itself and is to be started again
	check         func(w *written, got []*kgo.Record) (whole bool, err error)
}

// flows are the applications. Those that are moldau's own need its binary.
func flows(moldau bool) []flow {
	out := []flow{{
		name: "Kafka Streams counts words with exactly_once_v2", in: "words", out: "counts", line: line, check: counted,
		command: func(bootstrap, dir string, _ int) []string {
			return []string{"WordCount", bootstrap, "word-count", dir, "words", "counts"}
		},
	}}
	for _, protocol := range []string{"classic", "consumer"} {
		in, to := "originals-"+protocol, "copies-"+protocol
		out = append(out, flow{
			name: "Java clients of the " + protocol + " protocol copy in transactions", in: in, out: to, line: original, check: copied,
			command: func(bootstrap, _ string, i int) []string {
				return []string{"Copier", bootstrap, "copy-" + protocol, "copier-" + protocol + "-" + strconv.Itoa(i), in, to, protocol}
			},
		})
	}
	out = append(out, messageCopier("Kafka's TransactionalMessageCopier", "java", "org.apache.kafka.tools.TransactionalMessageCopier"))
	if moldau {
		f := messageCopier("transactional-message-copier", "moldau", "transactional-message-copier")
		f.native = true
		out = append(out, f)
	}
	return out
}

// messageCopier is a program of Kafka's system tests, or its twin: members of a group that copy in transactions until they have
// come to the end, and abort some.
func messageCopier(name, which, program string) flow {
	in, to, id := "messages-"+which, "message-copies-"+which, "message-copier-"+which
	return flow{
		name: name + " copies in transactions", in: in, out: to, line: original, check: copied, finite: true,
		command: func(bootstrap, _ string, i int) []string {
			return []string{program, "--broker-list", bootstrap, "--input-topic", in, "--input-partition", "0", "--output-topic", to, "--consumer-group", id,
				"--transactional-id", id + "-" + strconv.Itoa(i), "--transaction-size", "20", "--transaction-timeout", "10000", "--group-mode", "--use-group-metadata", "--enable-random-aborts"}
		},
	}
}

// line is a record of some words; each word comes about as often as the others.
func line(n int64) *kgo.Record {
	var w []string
	for i := range int64(lineWords) {
		w = append(w, "word"+strconv.FormatInt((n*lineWords+i*i)%words, 10))
	}
	return &kgo.Record{Partition: int32(n % partitions), Value: []byte(strings.Join(w, " "))}
}

// original is a record that tells its place in the order.
func original(n int64) *kgo.Record {
	return &kgo.Record{Partition: int32(n % partitions), Value: strconv.AppendInt(nil, n, 10)}
}

// written is what was acknowledged on a topic.
type written struct {
	count int64
	words map[string]int64
}

// write writes records, each once, until ctx ends.
func (w *written) write(ctx context.Context, seeds []string, f flow) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.DefaultProduceTopic(f.in), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer cl.Close()
	w.words = map[string]int64{}
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for ctx.Err() == nil {
		r := f.line(w.count)
		// The idempotent producer repeats what was not answered; an error would leave it open whether the record is there.
		if err := cl.ProduceSync(context.WithoutCancel(ctx), r).FirstErr(); err != nil {
			return fmt.Errorf("cannot write record %d of %s: %w", w.count, f.in, err)
		}
		w.count++
		for _, word := range strings.Fields(string(r.Value)) {
			w.words[word]++
		}
		<-tick.C
	}
	return nil
}

// verify reads what came out until it is whole, or wrong, or the time is up.
func (s *stage) verify(ctx context.Context, f flow) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.c.Seeds...), kgo.ConsumeTopics(f.out), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	var got []*kgo.Record
	for {
		fs := cl.PollFetches(ctx)
		fs.EachRecord(func(r *kgo.Record) { got = append(got, r) })
		whole, err := f.check(s.told[f.in], got)
		switch {
		case whole:
			return len(got), s.quiet(cl, f, got)
		case err != nil && (errors.Is(err, errWrong) || ctx.Err() != nil):
			return len(got), err
		}
	}
}

// quietFor is how long nothing more may come when everything is there.
const quietFor = 2 * time.Second

// quiet looks whether something comes that nobody asked for.
func (s *stage) quiet(cl *kgo.Client, f flow, got []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), quietFor)
	defer cancel()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, r) })
	}
	_, err := f.check(s.told[f.in], got)
	return err
}

// errWrong marks what no later record can mend.
var errWrong = errors.New("not exactly once")

// counted holds counts against words: of each word, the counts are 1, 2, 3 and so on, each once.
func counted(w *written, got []*kgo.Record) (bool, error) {
	at := map[string]int64{}
	for _, r := range got {
		n, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			return false, fmt.Errorf("%w: a count of %q", errWrong, r.Value)
		}
		if n != at[string(r.Key)]+1 {
			return false, fmt.Errorf("%w: %s is counted %d after %d, offset %d of partition %d", errWrong, r.Key, n, at[string(r.Key)], r.Offset, r.Partition)
		}
		at[string(r.Key)] = n
	}
	missing := error(nil)
	for word, n := range w.words {
		switch {
		case at[word] > n:
			return false, fmt.Errorf("%w: %s was written %d times and is counted %d times", errWrong, word, n, at[word])
		case at[word] < n:
			missing = fmt.Errorf("%s was written %d times and is counted %d times", word, n, at[word])
		}
	}
	return missing == nil, missing
}

// copied holds copies against originals: in each partition the same, in the same order.
func copied(w *written, got []*kgo.Record) (bool, error) {
	next := map[int32]int64{}
	for p := range int32(partitions) {
		next[p] = int64(p)
	}
	for _, r := range got {
		if want := strconv.FormatInt(next[r.Partition], 10); string(r.Value) != want {
			return false, fmt.Errorf("%w: offset %d of partition %d is the copy of %s, where that of %s should be", errWrong, r.Offset, r.Partition, r.Value, want)
		}
		next[r.Partition] += partitions
	}
	switch n := int64(len(got)); {
	case n > w.count:
		return false, fmt.Errorf("%w: %d copies of %d records", errWrong, n, w.count)
	case n < w.count:
		return false, fmt.Errorf("%d copies of %d records", n, w.count)
	}
	return true, nil
}
