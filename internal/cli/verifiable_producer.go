package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func verifiableProducer() (*subTool, *subcommand) {
	pad := "                           "
	c := &subcommand{run: runVerifiableProducerParsed, doc: "Sends increasing numbers and prints what became of each as a line of JSON.",
		usage: "usage: verifiable-producer [-h] --topic TOPIC [--max-messages MAX-MESSAGES]\n" + pad + "[--throughput THROUGHPUT] [--acks ACKS]\n" + pad + "[--producer.config CONFIG-FILE]\n" + pad +
			"[--message-create-time CREATE-TIME]\n" + pad + "[--value-prefix VALUE-PREFIX]\n" + pad + "[--repeating-keys REPEATING-KEYS]\n" + pad + "[--command-config CONFIG-FILE]\n" + pad + "--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]",
		options: []subOption{
			{long: "topic", metavar: "TOPIC", required: true, doc: "The topic to send to."},
			{long: "max-messages", metavar: "MAX-MESSAGES", kind: "Integer", defs: "-1", doc: "How many to send; -1 for no end."},
			{long: "throughput", metavar: "THROUGHPUT", kind: "Integer", defs: "-1", doc: "At most so many a second; -1 for as fast as it goes."},
			{long: "acks", metavar: "ACKS", choices: []string{"0", "1", "-1"}, defs: "-1", doc: "Which acknowledgement to wait for."},
			{long: "producer.config", metavar: "CONFIG-FILE", deprecated: true, doc: "The old name of --command-config."},
			{long: "message-create-time", metavar: "CREATE-TIME", kind: "Long", defs: "-1", doc: "The timestamp of the first record, in ms; -1 for now."},
			{long: "value-prefix", metavar: "VALUE-PREFIX", kind: "Integer", doc: "A number to put before each value, with a full stop."},
			{long: "repeating-keys", metavar: "REPEATING-KEYS", kind: "Integer", doc: "Give records keys from 0 to this, over and over."},
			{long: "command-config", metavar: "CONFIG-FILE", doc: "A properties file for the producer."},
			{long: "bootstrap-server", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", required: true, mustName: true, doc: "The brokers to connect to."},
		}}
	return &subTool{name: "verifiable-producer", helpCode: 1}, c
}

func runVerifiableProducer(r *run, args []string) int {
	t, c := verifiableProducer()
	return r.runPlain(t, c, args)
}

// verifiableEvents prints lines of JSON; the client's goroutines do too.
type verifiableEvents struct {
	*run
	mu     sync.Mutex
	unread func() // called when nobody reads the events any more; nil: go on
}

// event prints one line: timestamp and name, then the fields in their order.
func (v *verifiableEvents) event(name string, fields ...any) {
	var b strings.Builder
	fmt.Fprintf(&b, `{"timestamp":%d,"name":%q`, v.Now().UnixMilli(), name)
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := json.Marshal(fields[i+1])
		if err != nil {
			value = []byte("null")
		}
		fmt.Fprintf(&b, ",%q:%s", fields[i], value)
	}
	b.WriteString("}")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.println(b.String())
	if v.out.Flush() != nil && v.unread != nil {
		v.unread()
	}
}

// verifiableProperties reads the file that is named, the old way or the new.
func verifiableProperties(a *subArgs, old string) (client.Properties, error) {
	props := client.Properties{}
	if f := a.value("command-config") + a.value(old); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	props["bootstrap.servers"] = a.value("bootstrap-server")
	return props, nil
}

func runVerifiableProducerParsed(r *run, a *subArgs) int {
	if a.has("producer.config") && a.has("command-config") {
		return a.mistake("Options --producer.config and --command-config are mutually exclusive.")
	}
	if a.has("producer.config") {
		r.println("Option --producer.config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	props, err := verifiableProperties(a, "producer.config")
	if err != nil {
		return a.mistake(err.Error())
	}
	props["acks"] = a.value("acks")
	props["retries"] = "0" // whoever checks wants to hear of each failure
	v := &verifiableSender{verifiableEvents: verifiableEvents{run: r}, a: a, topic: a.value("topic")}
	c, err := client.Open(client.Producer, props, r.voice(), v.options)
	if err != nil {
		return r.subFailed(err)
	}
	defer c.Close()
	v.c = c
	return v.pump()
}

// options let a record be as old as it is made: the client underneath reckons its age from its timestamp.
func (v *verifiableSender) options(s *client.Settings) ([]kgo.Opt, error) {
	opts, err := s.ProducerOptions()
	if created := v.a.number("message-create-time"); created >= 0 {
		age := max(v.Now().Sub(time.UnixMilli(created)), 0)
		opts = append(opts, kgo.RecordDeliveryTimeout(max(s.Producer.DeliveryTimeout, time.Second)+age))
	}
	return opts, err
}

type verifiableSender struct {
	verifiableEvents
	a     *subArgs
	c     *client.Client
	topic string

	count       sync.Mutex
	sent, acked int64
}

func (v *verifiableSender) pump() int {
	ctx, sig, stop := v.watchSignals()
	defer stop()
	v.event("startup_complete")
	// A topic that is being made is no failure of a record; what does not come at all is told for each.
	_ = (&consoleProducer{run: v.run, c: v.c, topic: v.topic}).awaitTopic(ctx)
	start := v.Now()
	rate := throttle{perSecond: float64(v.a.number("throughput")), start: start}
	limit, keys, created := v.a.number("max-messages"), v.a.number("repeating-keys"), v.a.number("message-create-time")
	for i := int64(0); (limit < 0 || i < limit) && ctx.Err() == nil; i++ {
		rec := &kgo.Record{Topic: v.topic, Value: []byte(v.value(i))}
		if v.a.has("repeating-keys") {
			rec.Key = strconv.AppendInt(nil, keyAt(i, keys), 10)
		}
		if created >= 0 {
			rec.Timestamp = time.UnixMilli(created).Add(v.Now().Sub(start))
		}
		v.send(rec)
		if d := rate.wait(i+1, v.Now()); d > 0 {
			sleepContext(ctx, d)
		}
	}
	flushCtx, cancel := context.WithTimeout(v.ctx, flushTimeout)
	defer cancel()
	if err := v.c.Flush(flushCtx); err != nil {
		v.failed = true
	}
	v.event("shutdown_complete")
	v.summary(start)
	if s := sig(); s != nil {
		return signalExit(s)
	}
	return 0
}

// keyAt counts up to the number that the keys never reach; what is below one is never met.
func keyAt(i, keys int64) int64 {
	if keys > 0 {
		return i % keys
	}
	return i
}

func (v *verifiableSender) value(i int64) string {
	if v.a.has("value-prefix") {
		return v.a.value("value-prefix") + "." + strconv.FormatInt(i, 10)
	}
	return strconv.FormatInt(i, 10)
}

func (v *verifiableSender) send(rec *kgo.Record) {
	v.count.Lock()
	v.sent++
	v.count.Unlock()
	if v.topic == "" { // the client underneath would look for another
		v.refused(rec, topicError(kerr.InvalidTopicException.Code, v.topic))
		return
	}
	v.c.Send(v.ctx, rec, func(rec *kgo.Record, err error) {
		if err != nil {
			v.refused(rec, (&consoleProducer{run: v.run, c: v.c, topic: v.topic}).wording(err))
			return
		}
		v.count.Lock()
		v.acked++
		v.count.Unlock()
		v.event("producer_send_success", "key", textOrNil(rec.Key), "value", string(rec.Value), "offset", rec.Offset, "topic", v.topic, "partition", rec.Partition)
	})
}

func (v *verifiableSender) refused(rec *kgo.Record, err error) {
	v.failed = true
	v.event("producer_send_error", "topic", v.topic, "key", textOrNil(rec.Key), "value", string(rec.Value), "exception", "class "+client.ClassOf(err), "message", err.Error())
}

func (v *verifiableSender) summary(start time.Time) {
	v.count.Lock()
	defer v.count.Unlock()
	ms := max(v.Now().Sub(start).Milliseconds(), 1)
	v.event("tool_data", "sent", v.sent, "acked", v.acked, "target_throughput", v.a.number("throughput"), "avg_throughput", json.RawMessage(javaDouble(1000*float64(v.acked)/float64(ms), 64)))
}

// watchSignals ends a context at SIGINT or SIGTERM and tells which came.
func (r *run) watchSignals() (ctx context.Context, caught func() os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	var mu sync.Mutex
	var got os.Signal
	caught = func() os.Signal { mu.Lock(); defer mu.Unlock(); return got }
	if r.Signals == nil {
		return ctx, caught, cancel
	}
	signals, stopSignals := r.Signals()
	go func() {
		select {
		case s := <-signals:
			mu.Lock()
			got = s
			mu.Unlock()
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, caught, func() { stopSignals(); cancel() }
}
