package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func e2eOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "bootstrap-server", "The brokers to connect to, as host:port, several with commas.")
	s.arg("topic", "topic-name", "The topic to send through; made if it is not there.")
	s.arg("num-records", "count", "How many records to send.").ofKind(intValue)
	s.arg("producer-acks", "producer-acks", "Which acknowledgement to wait for: 1 or all.")
	s.arg("record-size", "bytes", "The size of a record's value.").ofKind(intValue)
	s.flag("command-config", "A properties file for the producer, the consumer and the admin client.").takesMaybe("config-file")
	s.flag("record-key-size", "The size of a record's key; none if left out.").takesMaybe("bytes").ofKind(intValue).withDefault("0")
	s.flag("record-header-size", "The size of a header's value; -1 for null.").takesMaybe("bytes").ofKind(intValue).withDefault("0")
	s.flag("record-header-key-size", "The size of a header's key.").takesMaybe("bytes").ofKind(intValue).withDefault("0")
	s.flag("num-headers", "How many headers a record has.").takesMaybe("count").ofKind(intValue).withDefault("0")
	return s
}

// positionalE2E turns the old form, words without names, into the new one.
func positionalE2E(args []string) ([]string, error) {
	if len(args) != 5 && len(args) != 6 {
		return nil, fmt.Errorf("Invalid number of arguments. Expected 5 or 6 positional arguments, but got %d. Usage: bootstrap-server topic num-records producer-acks record-size [optional] command-config", len(args))
	}
	names := []string{"bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config"}
	var out []string
	for i, a := range args {
		out = append(out, "--"+names[i], a)
	}
	return out, nil
}

// named reports whether the line uses names of options, as Kafka tells it.
func namedE2E(args []string) bool {
	for _, a := range args {
		for _, n := range []string{"--bootstrap-server", "--topic", "--num-records", "--producer-acks", "--record-size"} {
			if a == n || strings.HasPrefix(a, n+"=") {
				return true
			}
		}
	}
	return false
}

func e2eRequired() []string {
	return []string{"bootstrap-server", "topic", "num-records", "producer-acks", "record-size"}
}

func runE2ELatency(r *run, args []string) int {
	set := e2eOptions()
	if len(args) > 0 && !namedE2E(args) {
		converted, err := positionalE2E(args)
		if err != nil {
			return r.outcome(err)
		}
		r.println("WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named arguments instead: --bootstrap-server, --topic, --num-records, --producer-acks, --record-size, --command-config")
		args = converted
	}
	p, err := set.parse(args)
	if err != nil {
		return r.outcome(err)
	}
	t := &e2eTest{run: r, p: p}
	if err := t.check(); err != nil {
		return r.outcome(err)
	}
	return r.outcome(t.execute())
}

type e2eTest struct {
	*run
	p                               *parsed
	topic                           string
	records, size, keySize, headers int
	headerKeySize, headerSize       int
	consumer, producer              *client.Client
}

func (t *e2eTest) check() error {
	p, req := t.p, e2eRequired()
	if err := t.helpOrVersion(p, req, "This tool measures end-to-end latency in Kafka by sending messages and timing their reception."); err != nil {
		return err
	}
	if err := t.checkRequired(p, req, req...); err != nil {
		return err
	}
	number := func(name string) int {
		n, _ := p.number(name)
		return int(n)
	}
	t.topic, t.records, t.size = p.value("topic"), number("num-records"), number("record-size")
	t.keySize, t.headers, t.headerKeySize, t.headerSize = number("record-key-size"), number("num-headers"), number("record-header-key-size"), number("record-header-size")
	if p.err != nil {
		return p.err
	}
	bad := func(msg string) error { return t.usage(p.set, req, msg) }
	if t.records <= 0 {
		return bad("Value for --num-records must be a positive integer.")
	}
	if a := p.value("producer-acks"); a != "1" && a != "all" {
		return bad("Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' or 'all'.")
	}
	for _, o := range []struct {
		name string
		n    int
	}{{"record-size", t.size}, {"record-key-size", t.keySize}, {"record-header-key-size", t.headerKeySize}, {"num-headers", t.headers}} {
		if o.n < 0 {
			return bad("Value for --" + o.name + " must be a non-negative integer.")
		}
	}
	if t.headerSize < -1 {
		return bad("Value for --record-header-size must be a non-negative integer or -1 for null header value.")
	}
	return nil
}

// receiveTimeout is how long a record may be under way.
const receiveTimeout = 60 * time.Second

func (t *e2eTest) execute() error {
	if err := t.openBoth(); err != nil {
		return err
	}
	defer t.consumer.Close()
	defer t.producer.Close()
	ctx, stop := t.interruptible()
	defer stop()
	var latencies []int64
	var total float64
	for i := 0; i < t.records; i++ {
		took, err := t.once(ctx)
		if err != nil {
			return err
		}
		if i%1000 == 0 {
			t.printf("%d\t%s\n", i, javaDouble(float64(took.Nanoseconds())/1e6, 64))
			t.out.Flush()
		}
		total += float64(took.Nanoseconds()) / 1e6
		latencies = append(latencies, took.Milliseconds())
	}
	sort.Slice(latencies, func(i, j int) bool { return latencies[i] < latencies[j] })
	t.printf("Avg latency: %.4f ms\n", total/float64(t.records))
	t.printf("Percentiles: 50th = %d, 99th = %d, 99.9th = %d\n", percentile(latencies, 0.5), percentile(latencies, 0.99), percentile(latencies, 0.999))
	if t.StdoutIsTerminal {
		histogram(t.run, latencies)
	}
	return nil
}

// openBoth makes the topic if need be, a producer, and a consumer that stands
// at the end of every partition.
func (t *e2eTest) openBoth() error {
	props := client.Properties{}
	if f := t.p.value("command-config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return err
		}
		props.Merge(loaded)
	}
	props["bootstrap.servers"] = t.p.value("bootstrap-server")
	admin, err := t.open(client.Admin, "", "", props.Clone())
	if err != nil {
		return err
	}
	defer admin.Close()
	ends, err := t.ends(admin)
	if err != nil {
		return err
	}
	consumer := props.Clone().Merge(client.Properties{"enable.auto.commit": "false", "auto.offset.reset": "latest"})
	t.consumer, err = client.Open(client.Consumer, consumer, t.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ConsumerOptions()
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: ends})), err
	})
	if err != nil {
		return err
	}
	producer := props.Clone().Merge(client.Properties{"linger.ms": "0", "acks": t.p.value("producer-acks")})
	t.producer, err = client.Open(client.Producer, producer, t.voice(), producerExtra)
	if err != nil {
		t.consumer.Close()
	}
	return err
}

// ends are the ends of the topic's partitions.
func (t *e2eTest) ends(admin *client.Client) (map[int32]kgo.Offset, error) {
	md, err := admin.Metadata(t.ctx, "listTopics", []string{t.topic}, false)
	if err != nil {
		return nil, err
	}
	if len(md.Topics) != 1 || md.Topics[0].ErrorCode == client.CodeUnknownTopicOrPartition || md.Topics[0].ErrorCode == kerr.InvalidTopicException.Code {
		if err := t.makeTopic(admin); err != nil {
			return nil, err
		}
		return map[int32]kgo.Offset{0: kgo.NewOffset().At(0)}, nil
	}
	if err := client.CodeError(md.Topics[0].ErrorCode, nil); err != nil {
		return nil, err
	}
	at := map[topicPartition]int64{}
	for _, p := range md.Topics[0].Partitions {
		at[topicPartition{t.topic, p.Partition}] = latestOffset
	}
	out := map[int32]kgo.Offset{}
	for tp, res := range t.listOffsets(admin, at, false) {
		if res.err != nil {
			return nil, res.err
		}
		out[tp.partition] = kgo.NewOffset().At(res.offset)
	}
	return out, nil
}

func (t *e2eTest) makeTopic(admin *client.Client) error {
	t.printf("Topic \"%s\" does not exist. Will create topic with %d partition(s) and replication factor = %d\n", t.topic, 1, 1)
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.topic, 1, 1
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = int32(admin.Settings.RequestTimeout.Milliseconds())
	resp, err := admin.Any(t.ctx, "createTopics", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			t.printf("Creation of topic %s failed\n", t.topic)
			return err
		}
	}
	return nil
}

// once sends a record and waits for it.
func (t *e2eTest) once(ctx context.Context) (time.Duration, error) {
	rec := &kgo.Record{Topic: t.topic, Value: randomUpper(t.size)}
	if t.keySize > 0 {
		rec.Key = randomUpper(t.keySize)
	}
	for i := 0; i < t.headers; i++ {
		h := kgo.RecordHeader{Key: string(randomUpper(t.headerKeySize))}
		if t.headerSize >= 0 {
			h.Value = randomUpper(t.headerSize)
		}
		rec.Headers = append(rec.Headers, h)
	}
	begin := time.Now()
	if err := t.producer.ProduceSync(ctx, rec).FirstErr(); err != nil && ctx.Err() == nil {
		cp := &consoleProducer{run: t.run, c: t.producer, topic: t.topic}
		return 0, cp.wording(err)
	}
	got, err := t.receive(ctx)
	took := time.Since(begin)
	switch n := len(got); {
	case ctx.Err() != nil:
		return 0, &exitError{1} // the signal says the rest
	case err != nil:
		return 0, err
	case n == 0:
		return 0, fmt.Errorf("poll() timed out before finding a result (timeout:[%dms])", receiveTimeout.Milliseconds())
	case n > 1:
		return 0, fmt.Errorf("Only one result was expected during this test. We found [%d]", n)
	}
	if back := got[0]; !bytes.Equal(back.Value, rec.Value) || !bytes.Equal(back.Key, rec.Key) || len(back.Headers) != len(rec.Headers) {
		return 0, fmt.Errorf("The message read [%s] did not match the message sent [%s]", strconv.Quote(string(back.Value)), strconv.Quote(string(rec.Value)))
	}
	return took, nil
}

// receive polls until there is a record, or the time for one is over.
func (t *e2eTest) receive(ctx context.Context) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, receiveTimeout)
	defer cancel()
	for ctx.Err() == nil {
		got := t.consumer.PollFetches(ctx)
		if got.NumRecords() > 0 {
			return got.Records(), nil
		}
		if err := got.Err0(); err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	return nil, nil
}

func randomUpper(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('A' + rand.IntN(26))
	}
	return b
}
