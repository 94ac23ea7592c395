package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func producerPerf() (*subTool, *subcommand) {
	pad := "       "
	c := &subcommand{run: runProducerPerfParsed, oneOf: "payload", doc: "Measures how fast a producer can send.",
		usage: "usage: kafka-producer-perf-test\n" + pad + "[-h] [--bootstrap-server BOOTSTRAP-SERVER] --topic TOPIC\n" + pad + "--num-records NUM-RECORDS [--payload-delimiter PAYLOAD-DELIMITER]\n" + pad + "--throughput THROUGHPUT\n" +
			pad + "[--producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]\n" + pad + "[--command-property PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]\n" + pad + "[--producer.config CONFIG-FILE] [--command-config CONFIG-FILE]\n" +
			pad + "[--print-metrics] [--transactional-id TRANSACTIONAL-ID]\n" + pad + "[--transaction-duration-ms TRANSACTION-DURATION]\n" + pad + "[--warmup-records WARMUP-RECORDS] [--reporting-interval INTERVAL-MS]\n" +
			pad + "(--record-size RECORD-SIZE | --payload-file PAYLOAD-FILE |\n" + pad + "--payload-monotonic)",
		options: []subOption{
			{long: "bootstrap-server", metavar: "BOOTSTRAP-SERVER", doc: "The brokers to connect to, as host:port, several with commas."},
			{long: "topic", metavar: "TOPIC", required: true, doc: "The topic to send to."},
			{long: "num-records", metavar: "NUM-RECORDS", kind: "Long", required: true, doc: "How many records to send."},
			{long: "payload-delimiter", metavar: "PAYLOAD-DELIMITER", defs: `\n`, doc: "What separates the payloads in --payload-file, a regular expression."},
			{long: "throughput", metavar: "THROUGHPUT", kind: "Double", required: true, doc: "At most so many records a second; -1 for as fast as it goes."},
			{long: "producer-props", metavar: "PROP-NAME=PROP-VALUE", many: true, deprecated: true, doc: "The old name of --command-property."},
			{long: "command-property", metavar: "PROP-NAME=PROP-VALUE", many: true, doc: "Properties of the producer; they win over --command-config."},
			{long: "producer.config", metavar: "CONFIG-FILE", deprecated: true, doc: "The old name of --command-config."},
			{long: "command-config", metavar: "CONFIG-FILE", doc: "A properties file for the producer."},
			{long: "print-metrics", doc: "Print the producer's counters at the end. (default: false)"},
			{long: "transactional-id", metavar: "TRANSACTIONAL-ID", doc: "Send in transactions under this id."},
			{long: "transaction-duration-ms", metavar: "TRANSACTION-DURATION", kind: "Long", doc: "How long a transaction lasts before it is committed; 3000 with --transactional-id alone."},
			{long: "warmup-records", metavar: "WARMUP-RECORDS", kind: "Long", defs: "0", doc: "Count apart what comes after so many records."},
			{long: "reporting-interval", metavar: "INTERVAL-MS", kind: "Long", defs: "5000", doc: "How often to report, in ms."},
			{long: "record-size", metavar: "RECORD-SIZE", kind: "Integer", exclusive: "payload", doc: "The size of a record in bytes."},
			{long: "payload-file", metavar: "PAYLOAD-FILE", exclusive: "payload", doc: "A file of payloads, of which one is picked at random for each record."},
			{long: "payload-monotonic", exclusive: "payload", doc: "Send 0, 1, 2, ... (default: false)"},
		}}
	return &subTool{name: "kafka-producer-perf-test", helpCode: 1}, c
}

func runProducerPerf(r *run, args []string) int {
	t, c := producerPerf()
	return r.runPlain(t, c, args)
}

// producerPerfTest is one run of the test.
type producerPerfTest struct {
	*run
	a        *subArgs
	c        *client.Client
	topic    string
	records  int64
	warmup   int64
	payloads payloads
	txn      time.Duration // 0: no transactions
	stats    *sendStats
	steady   *sendStats
	failures atomic.Int64
	reported sync.Map // sentences already printed
}

func runProducerPerfParsed(r *run, a *subArgs) int {
	if msg := checkProducerPerf(a); msg != "" {
		t, c := producerPerf()
		return r.subMistake(t, c, msg)
	}
	p := &producerPerfTest{run: r, a: a, topic: a.value("topic"), records: a.number("num-records"), warmup: a.number("warmup-records")}
	props, err := p.properties()
	if err == nil {
		p.payloads, err = r.readPayloads(a)
	}
	if err != nil {
		return r.subFailed(err)
	}
	return p.measure(props)
}

func checkProducerPerf(a *subArgs) string {
	positive := func(o string) string {
		if a.has(o) && a.number(o) <= 0 {
			return "--" + o + " should be greater than zero."
		}
		return ""
	}
	for _, o := range []string{"num-records", "record-size", "transaction-duration-ms", "reporting-interval"} {
		if msg := positive(o); msg != "" {
			return msg
		}
	}
	switch {
	case a.number("warmup-records") >= a.number("num-records"):
		return "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records."
	case a.has("command-property") && a.has("producer-props"):
		return "--command-property and --producer-props cannot be specified together."
	case a.has("command-config") && a.has("producer.config"):
		return "--command-config and --producer.config cannot be specified together."
	case !a.has("bootstrap-server") && !a.has("command-property") && !a.has("producer-props") && !a.has("producer.config") && !a.has("command-config"):
		return "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config must be specified."
	}
	return ""
}

func (p *producerPerfTest) properties() (client.Properties, error) {
	props := client.Properties{}
	for _, o := range [][2]string{{"producer-props", "command-property"}, {"producer.config", "command-config"}} {
		if p.a.has(o[0]) {
			p.printf("Option --%s has been deprecated and will be removed in a future version. Use --%s instead.\n", o[0], o[1])
		}
	}
	if f := p.a.value("command-config") + p.a.value("producer.config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	for _, kv := range append(p.a.all("producer-props"), p.a.all("command-property")...) {
		pair := javaSplit(kv, "=")
		if len(pair) != 2 || pair[0] == "" {
			return nil, fmt.Errorf("Invalid property: %s", kv)
		}
		props[pair[0]] = pair[1]
	}
	if p.a.has("bootstrap-server") {
		props["bootstrap.servers"] = p.a.value("bootstrap-server")
	}
	props.SetDefault("client.id", "perf-producer-client")
	return props, p.transactions(props)
}

// transactions settles id and duration: either of them asks for transactions.
func (p *producerPerfTest) transactions(props client.Properties) error {
	if p.a.has("transactional-id") {
		props["transactional.id"] = p.a.value("transactional-id")
	}
	switch {
	case p.a.has("transaction-duration-ms"):
		p.txn = client.Millis(p.a.number("transaction-duration-ms"))
		if props["transactional.id"] == "" {
			id, err := newUUID()
			if err != nil {
				return err
			}
			props["transactional.id"] = "performance-producer-" + uuidString(id)
		}
	case props["transactional.id"] != "":
		p.txn = 3 * time.Second
	}
	return nil
}

func (p *producerPerfTest) measure(props client.Properties) int {
	counters := &producerCounters{}
	c, err := client.Open(client.Producer, props, p.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		opts, err := s.ProducerOptions()
		return append(opts, kgo.WithHooks(counters)), err
	})
	if err != nil {
		return p.subFailed(err)
	}
	defer c.Close()
	p.c = c
	ctx, stop := p.interruptible()
	defer stop()
	if p.warmup > 0 {
		p.printf("Warmup first %d records. Steady state results will print after the complete test summary.\n", p.warmup)
	}
	p.out.Flush()
	if err = p.send(ctx); err != nil && ctx.Err() == nil {
		return p.subFailed(err)
	}
	p.stats.printTotal()
	if p.steady != nil {
		p.steady.printTotal()
	}
	if p.a.has("print-metrics") {
		p.printMetrics(counters.table(c.Settings.ClientID))
	}
	if p.failures.Load() > 0 {
		p.failed = true
	}
	return 0
}

// send sends all records and waits for their acknowledgements.
func (p *producerPerfTest) send(ctx context.Context) error {
	interval := client.Millis(p.a.number("reporting-interval"))
	p.stats = newSendStats(p.run, p.records, interval, false)
	rate := throttle{start: p.Now()}
	if rate.perSecond, _ = strconv.ParseFloat(p.a.value("throughput"), 64); rate.perSecond == 0 {
		p.hint("--throughput 0 sends one record and then waits for ever: -1 is as fast as it goes")
	}
	cp := &consoleProducer{run: p.run, c: p.c, topic: p.topic}
	if err := cp.awaitTopic(ctx); err != nil {
		p.report(err)
		if errors.Is(err, kerr.InvalidTopicException) && p.records > 1 { // said of each further record by the topic alone
			p.errorln("org.apache.kafka.common.errors.InvalidTopicException: " + p.topic)
		}
		return nil
	}
	var began time.Time
	for i := int64(0); i < p.records && ctx.Err() == nil; i++ {
		if p.txn > 0 && began.IsZero() {
			if err := p.c.BeginTransaction(); err != nil {
				return cp.wording(err)
			}
			began = p.Now()
		}
		if i == p.warmup && p.warmup > 0 {
			p.steady = newSendStats(p.run, p.records-p.warmup, interval, true)
		}
		p.sendOne(ctx, p.payloads.next(i))
		if !began.IsZero() && p.Now().Sub(began) >= p.txn {
			if err := p.commit(ctx); err != nil {
				return cp.wording(err)
			}
			began = time.Time{}
		}
		if d := rate.wait(i+1, p.Now()); d > 0 {
			p.out.Flush()
			sleepContext(ctx, d)
		}
	}
	if !began.IsZero() && ctx.Err() == nil { // who interrupts it leaves the transaction open, as Kafka's tool does
		if err := p.commit(p.ctx); err != nil {
			return cp.wording(err)
		}
	}
	return p.c.Flush(p.ctx)
}

func (p *producerPerfTest) sendOne(ctx context.Context, payload []byte) {
	sent := p.Now()
	stats := p.stats
	if p.steady != nil {
		stats = p.steady
	}
	rec := &kgo.Record{Topic: p.topic, Value: payload}
	if err := p.c.Settings.Producer.Fits(rec); err != nil {
		p.report(err)
		return
	}
	p.c.Produce(ctx, rec, func(_ *kgo.Record, err error) {
		if err != nil {
			cp := &consoleProducer{run: p.run, c: p.c, topic: p.topic}
			p.report(cp.wording(err))
			return
		}
		now := p.Now()
		ms := now.Sub(sent).Milliseconds()
		if stats != p.stats {
			p.stats.record(ms, int64(len(payload)), now)
		}
		stats.record(ms, int64(len(payload)), now)
	})
}

// report prints a failure to send, each sentence once: a thousand records fail
// alike.
func (p *producerPerfTest) report(err error) {
	p.failures.Add(1)
	if _, again := p.reported.LoadOrStore(err.Error(), true); !again && !errors.Is(err, context.Canceled) {
		p.errorln(withClass(err))
	}
}

func (p *producerPerfTest) commit(ctx context.Context) error {
	if err := p.c.Flush(ctx); err != nil {
		return err
	}
	return p.c.EndTransaction(ctx, kgo.TryCommit)
}

// interruptible ends the sending at SIGINT or SIGTERM, so that the totals come.
func (r *run) interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	if r.Signals == nil {
		return ctx, cancel
	}
	signals, stop := r.Signals()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { stop(); cancel() }
}

// payloads gives the value of each record.
type payloads struct {
	monotonic bool
	fixed     [][]byte
	random    []byte // records are windows of it
	size      int
}

func (p *payloads) next(i int64) []byte {
	switch {
	case p.monotonic:
		return strconv.AppendInt(nil, i, 10)
	case p.fixed != nil:
		return p.fixed[rand.IntN(len(p.fixed))]
	}
	from := rand.IntN(len(p.random) - p.size + 1)
	return p.random[from : from+p.size]
}

// randomBytes is enough that neighbouring records do not compress into one.
const randomBytes = 1 << 20

func (r *run) readPayloads(a *subArgs) (payloads, error) {
	if a.has("payload-monotonic") {
		return payloads{monotonic: true}, nil
	}
	if !a.has("payload-file") {
		size := int(a.number("record-size"))
		p := payloads{size: size, random: make([]byte, size+randomBytes)}
		for i := range p.random {
			p.random[i] = byte('A' + rand.IntN(26))
		}
		return p, nil
	}
	path, err := filepath.Abs(a.value("payload-file"))
	if err != nil {
		return payloads{}, err
	}
	r.println("Reading payloads from: " + path)
	b, err := os.ReadFile(path)
	if folder := errors.Is(err, syscall.EISDIR); err != nil && !folder || len(b) == 0 && !folder {
		return payloads{}, errors.New("File does not exist or empty file provided.")
	}
	delimiter, err := compileJavaPart(a.value("payload-delimiter"))
	if err != nil {
		return payloads{}, err
	}
	var fixed [][]byte
	for _, token := range scannerTokens(delimiter, string(b)) {
		fixed = append(fixed, []byte(token))
	}
	r.printf("Number of records read: %d\n", len(fixed))
	if len(fixed) == 0 {
		return payloads{}, errors.New("No payload file, record size or payload-monotonic option provided.")
	}
	return payloads{fixed: fixed}, nil
}

// producerCounters count what the client writes, for --print-metrics.
type producerCounters struct {
	records, bytes, compressed, batches, requests atomic.Int64
}

// OnProduceBatchWritten implements kgo's hook.
func (c *producerCounters) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	c.batches.Add(1)
	c.records.Add(int64(m.NumRecords))
	c.bytes.Add(int64(m.UncompressedBytes))
	c.compressed.Add(int64(m.CompressedBytes))
}

// OnBrokerWrite implements kgo's hook.
func (c *producerCounters) OnBrokerWrite(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		c.requests.Add(1)
	}
}

func (c *producerCounters) table(clientID string) map[string]float64 {
	name := func(s string) string { return "producer-metrics:" + s + ":{client-id=" + clientID + "}" }
	records, batches := float64(c.records.Load()), float64(c.batches.Load())
	out := map[string]float64{name("record-send-total"): records, name("request-total"): float64(c.requests.Load())}
	if batches > 0 {
		out[name("records-per-request-avg")] = records / batches
		out[name("batch-size-avg")] = float64(c.compressed.Load()) / batches
		out[name("compression-rate-avg")] = float64(c.compressed.Load()) / max(float64(c.bytes.Load()), 1)
		out[name("record-size-avg")] = float64(c.bytes.Load()) / max(records, 1)
	}
	return out
}

// printMetrics prints counters under Kafka's heading.
func (r *run) printMetrics(m map[string]float64) {
	width := 0
	for name := range m {
		width = max(width, len(name))
	}
	r.printf("\n%-*s   %s\n", width, "Metric Name", "Value")
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r.printf("%-*s : %.3f\n", width, name, m[name])
	}
}
