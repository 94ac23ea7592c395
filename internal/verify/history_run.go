package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/record"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The cast of a history.
const (
	historyPartitions = 3
	plainProducers    = 2
	txnProducers      = 2
	burst             = 20 // records that a plain producer sends at once
	txnRecords        = 6  // records of a transaction, over all partitions
	abortEvery        = 3  // each third transaction is aborted
	producerPause     = 10 * time.Millisecond
	groupMembers      = 2
	// memberHeartbeatMs lets members hear of a rebalance soon, since the history is short.
	memberHeartbeatMs = "300"
)

// historian writes a history, has it read, and keeps the chronicle.
type historian struct {
	*probe
	topic  *topic
	writes context.Context // ends when writing does; a burst or transaction that has begun is finished

	mu          sync.Mutex
	chronicle   chronicle
	findings    findings
	assignments int
	ends        map[int32]int64 // where each partition ends, once writing is over
	over        chan struct{}   // closed when ends is known
}

// history is the whole of it.
func (p *probe) history(ctx context.Context) {
	h := &historian{probe: p, over: make(chan struct{})}
	h.chronicle.txns = map[int]txnEnd{}
	for _, r := range historyRules() {
		if p.wanted(r.name) {
			p.mu.Lock()
			p.rep.rule(r.name)
			p.mu.Unlock()
		}
	}
	if !h.look(ctx, kmsg.CreateTopics, func(x *exam) { h.topic = x.newTopic("history", historyPartitions) }) {
		return
	}
	var cancel context.CancelFunc
	h.writes, cancel = context.WithTimeout(ctx, p.options.History)
	defer cancel()
	readers := h.read(ctx)
	h.write(ctx)
	ok := h.look(ctx, kmsg.ListOffsets, h.findEnds)
	close(h.over)
	readers.Wait()
	if ok && ctx.Err() == nil {
		// Once more from the start, when all is over.
		h.readAll(ctx, "a later reader", 0)
		h.readAll(ctx, "a later reader of committed records", 1)
	}
	h.report(ctx)
}

// look runs a part of the history that speaks the protocol itself, and takes what it has found. It says false when it failed.
func (h *historian) look(ctx context.Context, key kmsg.Key, run func(x *exam)) bool {
	r := historyRules()[len(historyRules())-1] // ruleProgress
	x := h.probe.examine(ctx, &rule{name: r.name, key: key, says: r.says, cites: r.cites, run: run}, h.cluster.highest(int16(key)))
	h.take(x)
	return !x.ended && len(x.failed) == 0
}

// note adds a finding.
func (h *historian) note(rule, expected, got string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.findings.add(rule, expected, got, args...)
}

// trouble notes an error, unless it is only that the time is up.
func (h *historian) trouble(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	h.note(ruleProgress, what+" without an error", "%v", err)
}

// properties are the client's with some of the history's own.
func (h *historian) properties(more map[string]string) client.Properties {
	p := h.options.Properties.Clone()
	for k, v := range more {
		p[k] = v
	}
	return p
}

// write runs all producers until writing is over.
func (h *historian) write(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range plainProducers {
		codec := []string{"none", "lz4"}[i%2]
		wg.Go(func() { h.writePlain(ctx, i+1, codec) })
	}
	if _, ok := h.cluster.table[int16(kmsg.EndTxn)]; !ok {
		return
	}
	for i := range txnProducers {
		wg.Go(func() { h.writeTxns(ctx, plainProducers+i+1) })
	}
}

// open makes a producer whose records name their partitions.
func (h *historian) open(more map[string]string) (*client.Client, error) {
	return client.Open(client.Producer, h.properties(more), client.Voice{}, func(s *client.Settings) ([]kgo.Opt, error) {
		o, err := s.ProducerOptions()
		return append(o, kgo.RecordPartitioner(kgo.ManualPartitioner())), err
	})
}

// batchOf makes records of a producer, spread over the partitions.
func (h *historian) batchOf(producer, from, n int) []*kgo.Record {
	var out []*kgo.Record
	for i := range n {
		seq := from + i
		out = append(out, &kgo.Record{Topic: h.topic.name, Partition: int32(seq % historyPartitions), Value: fmt.Appendf(nil, "p%d-%06d", producer, seq)})
	}
	return out
}

// kept keeps what became of records; without an acknowledgement a record may be there or not.
func (h *historian) kept(producer, txn int, results kgo.ProduceResults) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range results {
		var seq int
		fmt.Sscanf(string(r.Record.Value), fmt.Sprintf("p%d-%%d", producer), &seq)
		s := sent{value: string(r.Record.Value), producer: producer, sequence: seq, at: place{r.Record.Partition, r.Record.Offset}, acked: r.Err == nil, txn: txn}
		h.chronicle.sent = append(h.chronicle.sent, s)
		err = errors.Join(err, r.Err)
	}
	return err
}

func (h *historian) writePlain(ctx context.Context, producer int, codec string) {
	cl, err := h.open(map[string]string{"acks": "all", "enable.idempotence": "true", "linger.ms": "2", "compression.type": codec})
	if err != nil {
		h.trouble(ctx, "a producer", err)
		return
	}
	defer cl.Close()
	for seq := 0; h.writes.Err() == nil; seq += burst {
		err := h.kept(producer, 0, cl.ProduceSync(ctx, h.batchOf(producer, seq, burst)...))
		h.trouble(ctx, "an idempotent producer", err)
		if err != nil || pause(ctx, producerPause) != nil {
			return
		}
	}
}

func (h *historian) writeTxns(ctx context.Context, producer int) {
	id := fmt.Sprintf("%shistory-%d", h.prefix, producer)
	cl, err := h.open(map[string]string{"acks": "all", "linger.ms": "2", "transactional.id": id, "transaction.timeout.ms": fmt.Sprint(txnTimeoutMs)})
	if err != nil {
		h.trouble(ctx, "a transactional producer", err)
		return
	}
	defer cl.Close()
	seq := 0
	for n := 1; h.writes.Err() == nil; n++ {
		txn := producer*1_000_000 + n
		err := cl.BeginTransaction()
		if err == nil {
			err = h.kept(producer, txn, cl.ProduceSync(ctx, h.batchOf(producer, seq, txnRecords)...))
			seq += txnRecords
		}
		if err == nil {
			commit := n%abortEvery != 0
			err = cl.EndTransaction(ctx, kgo.TransactionEndTry(commit))
			h.ended(txn, commit, err)
		}
		h.trouble(ctx, "a transactional producer", err)
		if err != nil || pause(ctx, producerPause) != nil {
			return
		}
	}
}

func (h *historian) ended(txn int, commit bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil:
		h.chronicle.txns[txn] = endUnknown
	case commit:
		h.chronicle.txns[txn] = endCommitted
	default:
		h.chronicle.txns[txn] = endAborted
	}
}

// findEnds waits until all transactions are decided everywhere, and tells readers where to stop.
func (h *historian) findEnds(x *exam) {
	h.ends = map[int32]int64{}
	for p := range int32(historyPartitions) {
		x.eventually(fmt.Sprintf("every transaction in partition %d is decided", p), func() bool {
			stable, end := x.listOne(h.topic, p, listLatest, 1), x.listOne(h.topic, p, listLatest, 0)
			h.ends[p] = end.Offset
			return stable.ErrorCode == 0 && end.ErrorCode == 0 && stable.Offset == end.Offset
		})
	}
}

// read starts all readers; they end at the ends, once these are known.
func (h *historian) read(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	wg.Go(func() { h.readAll(ctx, "a reader", 0) })
	wg.Go(func() { h.readAll(ctx, "a reader of committed records", 1) })
	wg.Go(func() { h.readGroup(ctx, "classic") })
	if _, ok := h.cluster.table[int16(kmsg.ConsumerGroupHeartbeat)]; ok && h.cluster.feature("group.version") > 0 {
		wg.Go(func() { h.readGroup(ctx, "consumer") })
	}
	return &wg
}

// readAll reads all partitions from the start to where they end.
func (h *historian) readAll(ctx context.Context, who string, isolation int8) {
	var wg sync.WaitGroup
	all := make([][]seen, historyPartitions)
	for p := range int32(historyPartitions) {
		wg.Go(func() {
			h.look(ctx, kmsg.Fetch, func(x *exam) { h.readPartition(x, who, p, isolation, &all[p]) })
		})
	}
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chronicle.readings = append(h.chronicle.readings, reading{who: who, committed: isolation == 1, records: slices.Concat(all...)})
}

// readPartition reads one partition, and watches that nothing goes back.
func (h *historian) readPartition(x *exam, who string, p int32, isolation int8, out *[]seen) {
	checks := x.checks
	defer func() { x.checks = checks + 1 }() // however many polls it took
	var high, stable int64
	late := time.Time{}
	for at := int64(0); ; {
		req := x.fetchRequest(h.topic, at)
		req.MaxWaitMillis, req.MinBytes, req.IsolationLevel = 100, 1, isolation
		req.Topics[0].Partitions[0].Partition = p
		resp := answerOf[*kmsg.FetchResponse](x, x.sendTo(func() int32 { return x.leader(h.topic, p) }, req))
		x.ok("the fetch", resp.ErrorCode)
		x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%d topics", len(resp.Topics))
		part := resp.Topics[0].Partitions[0]
		x.ok(fmt.Sprintf("partition %d at %d", p, at), part.ErrorCode)
		if part.HighWatermark < high || part.LastStableOffset < stable {
			h.note(ruleBack, fmt.Sprintf("a high watermark from %d and a last stable offset from %d on in partition %d", high, stable, p), "%d and %d", part.HighWatermark, part.LastStableOffset)
		}
		high, stable = max(high, part.HighWatermark), max(stable, part.LastStableOffset)
		rs, next, err := readBatches(part, at, isolation)
		x.must(err == nil, "batches that can be read", "%v", err)
		h.polled(who, p, at, rs)
		for _, r := range rs {
			*out = append(*out, seen{place{p, r.Offset}, string(r.Value)})
		}
		if next > at {
			at, late = next, time.Time{}
		}
		select {
		case <-h.over:
			if at >= h.ends[p] {
				return
			}
			if late.IsZero() {
				late = time.Now()
			}
			x.must(time.Since(late) < x.options.Patience, fmt.Sprintf("records up to %d in partition %d", h.ends[p], p), "none from %d on", at)
		default:
		}
	}
}

// polled checks that the records of a poll come in order, after those before.
func (h *historian) polled(who string, p int32, at int64, rs []record.Record) {
	for _, r := range rs {
		if r.Offset < at {
			h.note(rulePoll, fmt.Sprintf("offset %d or later in partition %d", at, p), "%s got %d", who, r.Offset)
		}
		at = r.Offset + 1
	}
}

// readGroup has a group read while members come and go.
func (h *historian) readGroup(ctx context.Context, protocol string) {
	g := &groupReader{historian: h, name: h.prefix + "history-" + protocol, protocol: protocol, far: map[int32]int64{}, committed: map[int32]int64{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	third := h.options.History / 3
	var wg sync.WaitGroup
	left, leave := context.WithCancel(ctx)
	defer leave()
	wg.Go(func() { g.member(left) }) // leaves when two thirds are over
	wg.Go(func() { pause(ctx, 2*third); leave() })
	for i := range groupMembers {
		wg.Go(func() {
			if pause(ctx, time.Duration(i)*third) == nil {
				g.member(ctx)
			}
		})
	}
	<-h.over
	until := time.Now().Add(2 * h.options.Patience)
	for !g.done() && time.Now().Before(until) && pause(ctx, 2*retryPause) == nil {
	}
	cancel()
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chronicle.readings = append(h.chronicle.readings, reading{who: "the group of the " + protocol + " protocol", group: true, records: g.records})
}

// groupReader is a group and what its members have read.
type groupReader struct {
	*historian
	name, protocol string

	mu        sync.Mutex
	records   []seen          // mu
	far       map[int32]int64 // the last offset of each partition; mu
	committed map[int32]int64 // mu
}

// done says whether the group has got as far as the last acknowledged record of each partition.
func (g *groupReader) done() bool {
	g.historian.mu.Lock()
	defer g.historian.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	return !slices.ContainsFunc(g.chronicle.sent, func(s sent) bool {
		far, ok := g.far[s.at.partition]
		return s.acked && (!ok || far < s.at.offset)
	})
}

// member reads as one member until its context ends, and leaves.
func (g *groupReader) member(ctx context.Context) {
	last := map[int32]int64{} // the last offset of each partition since it was assigned
	var mu sync.Mutex
	props := g.properties(map[string]string{"group.id": g.name, "auto.offset.reset": "earliest", "enable.auto.commit": "false", "group.protocol": g.protocol})
	if g.protocol == "classic" { // in the newer protocol the broker says how often
		props["heartbeat.interval.ms"] = memberHeartbeatMs
	}
	cl, err := client.Open(client.Consumer, props, client.Voice{}, func(s *client.Settings) ([]kgo.Opt, error) {
		o, err := s.ConsumerOptions()
		if err != nil {
			return nil, err
		}
		more, err := s.GroupOptions()
		forget := func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			mu.Lock()
			defer mu.Unlock()
			for _, p := range m[g.topic.name] {
				delete(last, p)
			}
		}
		return append(append(o, more...), kgo.ConsumeTopics(g.topic.name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.OnPartitionsAssigned(func(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
				forget(ctx, cl, m)
				if len(m[g.topic.name]) > 0 {
					g.assigned()
				}
			}), kgo.OnPartitionsRevoked(forget), kgo.OnPartitionsLost(forget)), err
	})
	if err != nil {
		g.trouble(ctx, "a group's member", err)
		return
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fs := cl.PollFetches(ctx)
		mu.Lock()
		fs.EachRecord(func(r *kgo.Record) {
			if before, ok := last[r.Partition]; ok && r.Offset <= before {
				g.note(rulePoll, fmt.Sprintf("an offset after %d in partition %d", before, r.Partition), "a member of the %s group got %d", g.protocol, r.Offset)
			}
			last[r.Partition] = r.Offset
			g.took(r)
		})
		mu.Unlock()
		g.commit(ctx, cl)
		cl.AllowRebalance()
	}
}

func (g *groupReader) assigned() {
	g.historian.mu.Lock()
	defer g.historian.mu.Unlock()
	g.assignments++
}

func (g *groupReader) took(r *kgo.Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.records = append(g.records, seen{place{r.Partition, r.Offset}, string(r.Value)})
	g.far[r.Partition] = max(g.far[r.Partition], r.Offset)
}

// commit commits what was read, and then asks the coordinator where the group is: that never goes back.
func (g *groupReader) commit(ctx context.Context, cl *client.Client) {
	if len(cl.UncommittedOffsets()) == 0 {
		return
	}
	// A rebalance may have taken the partitions away; then the next owner reads again.
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		return
	}
	g.mu.Lock()
	before := maps.Clone(g.committed)
	g.mu.Unlock()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = g.name
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = g.name
	rt := kmsg.NewOffsetFetchRequestGroupTopic()
	rt.Topic, rt.TopicID = g.topic.name, g.topic.id
	for p := range int32(historyPartitions) {
		rt.Partitions = append(rt.Partitions, p)
	}
	rg.Topics = append(rg.Topics, rt)
	req.Groups = append(req.Groups, rg)
	resp, err := req.RequestWith(ctx, cl.Client)
	if err != nil || len(resp.Groups) != 1 {
		return // the next commit asks again
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if _, known := before[p.Partition]; p.ErrorCode != 0 || p.Offset < 0 && !known {
				continue
			}
			if p.Offset < before[p.Partition] {
				g.note(ruleBack, fmt.Sprintf("a committed offset from %d on in partition %d", before[p.Partition], p.Partition), "%d in the group of the %s protocol", p.Offset, g.protocol)
			}
			g.committed[p.Partition] = max(g.committed[p.Partition], p.Offset)
		}
	}
}

// report checks the chronicle and puts it into the report.
func (h *historian) report(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rep := &HistoryReport{Partitions: historyPartitions, Readings: len(h.chronicle.readings), Rebalances: h.assignments}
	for _, s := range h.chronicle.sent {
		if s.acked {
			rep.Acknowledged++
		}
	}
	for _, e := range h.chronicle.txns {
		switch e {
		case endCommitted:
			rep.Committed++
		case endAborted:
			rep.Aborted++
		}
	}
	for _, r := range h.chronicle.readings {
		rep.Read += len(r.records)
		if r.group {
			rep.Groups = append(rep.Groups, r.who)
		}
	}
	h.probe.mu.Lock()
	defer h.probe.mu.Unlock()
	h.rep.History = rep
	if ctx.Err() != nil {
		for _, r := range historyRules() {
			h.rep.unfinished(r.name, "the time was up during it")
		}
		return
	}
	f := h.chronicle.check()
	f.list = append(f.list, h.findings.list...)
	if rep.Acknowledged == 0 {
		f.add(ruleProgress, "records that are acknowledged", "none")
	}
	says := map[string]historyRule{}
	for _, r := range historyRules() {
		says[r.name] = r
	}
	h.rep.Checks += len(h.chronicle.sent) + rep.Read
	for _, b := range f.list {
		if !h.wanted(b.rule) {
			continue
		}
		r := says[b.rule]
		h.rep.Failed++
		h.rep.Failures = append(h.rep.Failures, Failure{Rule: r.name, API: historyAPI, Expected: b.expected, Got: b.got, Says: r.says, Cites: r.cites})
		if !slices.Contains(rep.Broken, r.name) {
			rep.Broken = append(rep.Broken, r.name)
		}
	}
}
