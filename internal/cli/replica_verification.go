package cli

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func replicaVerificationOptions() *optionSet {
	s := newOptions()
	s.arg("broker-list", "hostname:port,...,hostname:port", "The brokers to connect to, as host:port, several with commas.")
	s.arg("fetch-size", "bytes", "The most bytes of one fetch and partition.").ofKind(intValue).withDefault("1048576")
	s.arg("max-wait-ms", "ms", "How long a broker may wait for records.").ofKind(intValue).withDefault("1000")
	s.arg("topics-include", "Java regex (String)", "A regular expression for the topics to compare.").withDefault(".*")
	s.arg("time", "timestamp/-1(latest)/-2(earliest)", "Where to begin.").ofKind(longValue).withDefault("-1")
	s.arg("report-interval-ms", "ms", "How often to report.").ofKind(longValue).withDefault("30000")
	return s
}

func runReplicaVerification(r *run, args []string) int {
	set := replicaVerificationOptions()
	p, err := set.parse(args)
	if err == nil {
		t := &replicaVerifier{run: r, p: p}
		if err = t.check(); err == nil {
			err = t.execute()
		}
	}
	return r.outcome(err)
}

type replicaVerifier struct {
	*run
	p      *parsed
	c      *client.Client
	filter *topicFilter
	ids    map[string][16]byte
	parts  map[topicPartition]*verifiedPartition
}

// verifiedPartition is how far the replicas of one partition were compared.
type verifiedPartition struct {
	replicas []int32
	offset   int64
	lag      int64
}

func (t *replicaVerifier) check() error {
	p, req := t.p, []string{"broker-list"}
	if err := t.helpOrVersion(p, req, "Validate that all replicas for a set of topics have the same data."); err != nil {
		return err
	}
	if err := t.checkRequired(p, req, req...); err != nil {
		return err
	}
	for _, o := range []string{"fetch-size", "max-wait-ms", "time", "report-interval-ms"} {
		p.number(o)
	}
	if p.err != nil {
		return p.err
	}
	include, brokers := p.value("topics-include"), p.value("broker-list")
	if p.err != nil {
		return p.err
	}
	var err error
	if t.filter, err = newTopicFilter(include); err != nil {
		return fmt.Errorf("%s is an invalid regex", include)
	}
	if problem := bootstrapProblem(brokers); problem != "" {
		return t.usage(p.set, req, problem)
	}
	return nil
}

func (t *replicaVerifier) execute() error {
	t.logLine("WARN", "org.apache.kafka.tools.ReplicaVerificationTool", "This tool is deprecated and may be removed in a future major release.")
	c, err := t.open(client.Admin, t.p.value("broker-list"), "")
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	ctx, sig, stop := t.watchSignals()
	defer stop()
	if err := t.choose(ctx); err != nil {
		if s := sig(); s != nil {
			return &exitError{signalExit(s)}
		}
		return err
	}
	t.stamp("verification process is started")
	every, _ := t.p.number("report-interval-ms")
	last := t.Now()
	for ctx.Err() == nil {
		if err := t.round(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if now := t.Now(); now.Sub(last) >= client.Millis(every) {
			t.report()
			last = now
		}
		if t.out.Flush() != nil {
			return nil // nobody reads any more
		}
		sleepContext(ctx, roundPause)
	}
	if s := sig(); s != nil {
		return &exitError{signalExit(s)}
	}
	return nil
}

// roundPause keeps a quiet cluster from being asked without end.
const roundPause = 100 * time.Millisecond

func (t *replicaVerifier) stamp(text string) {
	t.printf("%s: %s\n", t.Now().Format("2006-01-02 15:04:05,000"), text)
	t.out.Flush()
}

// choose finds the partitions and where to begin.
func (t *replicaVerifier) choose(ctx context.Context) error {
	md, err := t.c.Metadata(ctx, "listTopics", nil, true)
	if err != nil {
		return err
	}
	t.ids, t.parts = map[string][16]byte{}, map[topicPartition]*verifiedPartition{}
	at := map[topicPartition]int64{}
	when, _ := t.p.number("time")
	for _, topic := range md.Topics {
		if topic.ErrorCode != 0 || topic.Topic == nil || !t.filter.allows(*topic.Topic, false) {
			continue
		}
		t.ids[*topic.Topic] = topic.TopicID
		for _, p := range topic.Partitions {
			tp := topicPartition{*topic.Topic, p.Partition}
			if when < earliestOffset {
				return fmt.Errorf("The target time for partition %s is %d. The target time cannot be negative.", tp, when)
			}
			t.parts[tp] = &verifiedPartition{replicas: p.Replicas}
			at[tp] = when
		}
	}
	if len(t.parts) == 0 {
		t.hintNearestTopics(t.c, t.p.value("topics-include"))
		return errors.New("No topics found. --topics-include if specified, is either filtering out all topics or there is no topic.")
	}
	for tp, res := range t.listOffsets(t.c, at, false) {
		if res.err != nil {
			return fmt.Errorf("%s: %w", tp, res.err)
		}
		t.parts[tp].offset = max(res.offset, 0)
	}
	return nil
}

// fetched is what one replica has from an offset on.
type fetched struct {
	high int64
	sums map[int64]uint32 // base offset of a batch -> its CRC
	ends map[int64]int64  // base offset of a batch -> the offset behind it
}

// round reads the next records of every partition from each of its replicas and
// compares them batch by batch.
func (t *replicaVerifier) round(ctx context.Context) error {
	byBroker := map[int32][]topicPartition{}
	for tp, p := range t.parts {
		for _, id := range p.replicas {
			byBroker[id] = append(byBroker[id], tp)
		}
	}
	got := map[topicPartition]map[int32]*fetched{}
	for id, tps := range byBroker {
		answers, err := t.fetch(ctx, id, tps)
		if err != nil {
			t.hint(fmt.Sprintf("broker %d cannot be read: %v", id, err))
			continue
		}
		for tp, f := range answers {
			if got[tp] == nil {
				got[tp] = map[int32]*fetched{}
			}
			got[tp][id] = f
		}
	}
	for tp, replicas := range got {
		t.compare(tp, replicas)
	}
	return nil
}

func (t *replicaVerifier) fetch(ctx context.Context, id int32, tps []topicPartition) (map[topicPartition]*fetched, error) {
	req := kmsg.NewPtrFetchRequest()
	wait, _ := t.p.number("max-wait-ms")
	size, _ := t.p.number("fetch-size")
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, int32(wait), 0, int32(size)*int32(min(len(tps), 16)), -1
	byTopic := map[string][]kmsg.FetchRequestTopicPartition{}
	for _, tp := range tps {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = tp.partition, t.parts[tp].offset, int32(size), -1
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	names := map[[16]byte]string{}
	for topic, parts := range byTopic {
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic, rt.TopicID, rt.Partitions = topic, t.ids[topic], parts
		names[rt.TopicID] = topic
		req.Topics = append(req.Topics, rt)
	}
	resp, err := t.c.OnBroker(ctx, "fetch", id, req)
	if err != nil {
		return nil, err
	}
	fr := resp.(*kmsg.FetchResponse)
	if err := client.CodeError(fr.ErrorCode, nil); err != nil {
		return nil, err
	}
	out := map[topicPartition]*fetched{}
	for _, topic := range fr.Topics {
		name := topic.Topic
		if name == "" {
			name = names[topic.TopicID]
		}
		for _, p := range topic.Partitions {
			tp := topicPartition{name, p.Partition}
			if err := client.CodeError(p.ErrorCode, nil); err != nil {
				t.hint(fmt.Sprintf("%s on broker %d: %v", tp, id, err))
				continue
			}
			out[tp] = checksums(p.HighWatermark, p.RecordBatches)
		}
	}
	return out, nil
}

// checksums reads the headers of whole batches.
func checksums(high int64, batches []byte) *fetched {
	f := &fetched{high: high, sums: map[int64]uint32{}, ends: map[int64]int64{}}
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if err != nil {
			break // the last batch may be cut off
		}
		f.sums[b.BaseOffset()], f.ends[b.BaseOffset()] = b.CRC(), b.NextOffset()
		batches = rest
	}
	return f
}

// compare walks the batches that all replicas have and reports the first that
// differs.
func (t *replicaVerifier) compare(tp topicPartition, replicas map[int32]*fetched) {
	p := t.parts[tp]
	var ids []int32
	high, low := int64(-1), int64(-1)
	for id, f := range replicas {
		ids = append(ids, id)
		high = max(high, f.high)
		if low < 0 || f.high < low {
			low = f.high
		}
	}
	p.lag = high - low
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	first := replicas[ids[0]]
	var bases []int64
	for base := range first.sums {
		bases = append(bases, base)
	}
	sort.Slice(bases, func(i, j int) bool { return bases[i] < bases[j] })
	for _, base := range bases {
		for _, id := range ids[1:] {
			sum, there := replicas[id].sums[base]
			if !there {
				return
			}
			if sum != first.sums[base] {
				t.failed = true
				t.stamp(fmt.Sprintf("partition %s has mismatched checksum at offset %d; replica %d's checksum %d; replica %d's checksum %d", tp, base, ids[0], first.sums[base], id, sum))
			}
		}
		p.offset = max(p.offset, first.ends[base])
	}
}

func (t *replicaVerifier) report() {
	var worst topicPartition
	lag := int64(-1)
	for _, tp := range sortedPartitions(t.parts) {
		if p := t.parts[tp]; p.lag > lag {
			worst, lag = tp, p.lag
		}
	}
	t.stamp(fmt.Sprintf("max lag is %d for partition %s at offset %d among %d partitions", lag, worst, t.parts[worst].offset, len(t.parts)))
}
