// Command confluentgo is Confluent's Go client, over librdkafka, as a worker of the line protocol: one JSON request a line in, one
// answer a line out. It is a module of its own because it wants cgo.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// stepTimeout is shorter than the runner's own.
const stepTimeout = 40 * time.Second

type header struct {
	Key   string `json:"k"`
	Value []byte `json:"v"`
}

type record struct {
	Partition int32    `json:"p"`
	Offset    int64    `json:"o"`
	Timestamp int64    `json:"t"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
}

type request struct {
	Op, Topic, Codec, Name, Group, Strategy, Out string
	Partitions, Count                            int
	Idempotent                                   bool
	Records                                      []record
	Offset                                       int64
}

type state struct {
	Assigned []int32    `json:"assigned"`
	Records  [][2]int64 `json:"records"`
	Error    string     `json:"error"`
}

type answer struct {
	Error   string           `json:"error,omitempty"`
	Version string           `json:"version,omitempty"`
	Offsets []int64          `json:"offsets,omitempty"`
	Records []record         `json:"records,omitempty"`
	Members map[string]state `json:"members,omitempty"`
	Offset  int64            `json:"offset"`
}

// worker carries requests out, one after the other; its members run beside it.
type worker struct {
	bootstrap string
	replicas  int
	members   map[string]*member
}

func main() {
	replicas, err := strconv.Atoi(os.Getenv("REPLICAS"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "REPLICAS:", err)
		os.Exit(2)
	}
	w := &worker{bootstrap: os.Getenv("BOOTSTRAP"), replicas: replicas, members: map[string]*member{}}
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var req request
		if err := in.Decode(&req); err != nil {
			return
		}
		a, err := w.serve(req)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return
		}
	}
}

func (w *worker) serve(req request) (answer, error) {
	switch req.Op {
	case "hello":
		_, lib := kafka.LibraryVersion()
		return answer{Version: "2.11.1, librdkafka " + lib}, nil
	case "create":
		return answer{}, w.admin(func(ctx context.Context, adm *kafka.AdminClient) error {
			return w.createTopic(ctx, adm, req.Topic, req.Partitions, nil)
		})
	case "produce":
		return w.produce(req)
	case "consume":
		return w.consume(req)
	case "join":
		m, err := w.join(req)
		w.members[req.Name] = m
		return answer{}, err
	case "members":
		all := map[string]state{}
		for name, m := range w.members {
			all[name] = m.snapshot()
		}
		return answer{Members: all}, nil
	case "leave":
		return answer{}, w.members[req.Name].leave()
	case "commit":
		return answer{}, w.commit(req)
	case "resume":
		return w.resume(req)
	case "transact":
		return answer{}, w.transact(req)
	case "admin":
		return answer{}, w.admin(func(ctx context.Context, adm *kafka.AdminClient) error { return w.administer(ctx, adm, req.Topic) })
	}
	return answer{}, fmt.Errorf("no operation %q", req.Op)
}

func (w *worker) producer(more kafka.ConfigMap) (*kafka.Producer, error) {
	c := kafka.ConfigMap{"bootstrap.servers": w.bootstrap, "linger.ms": 5}
	for k, v := range more {
		c[k] = v
	}
	return kafka.NewProducer(&c)
}

func (w *worker) consumer(group string, more kafka.ConfigMap) (*kafka.Consumer, error) {
	c := kafka.ConfigMap{"bootstrap.servers": w.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": false}
	for k, v := range more {
		c[k] = v
	}
	return kafka.NewConsumer(&c)
}

func (w *worker) produce(req request) (answer, error) {
	more := kafka.ConfigMap{"acks": "all", "compression.type": req.Codec, "enable.idempotence": req.Idempotent}
	if !req.Idempotent {
		more["max.in.flight.requests.per.connection"] = 1
	}
	p, err := w.producer(more)
	if err != nil {
		return answer{}, err
	}
	defer p.Close()
	acks := make(chan kafka.Event, len(req.Records))
	for i, r := range req.Records {
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &req.Topic, Partition: r.Partition}, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp), Opaque: i}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
		if err := p.Produce(m, acks); err != nil {
			return answer{}, err
		}
	}
	offsets := make([]int64, len(req.Records))
	timeout := time.After(stepTimeout)
	for range req.Records {
		select {
		case e := <-acks:
			m := e.(*kafka.Message)
			if m.TopicPartition.Error != nil {
				return answer{}, m.TopicPartition.Error
			}
			offsets[m.Opaque.(int)] = int64(m.TopicPartition.Offset)
		case <-timeout:
			return answer{}, fmt.Errorf("not all records were acknowledged within %s", stepTimeout)
		}
	}
	return answer{Offsets: offsets}, nil
}

// take calls fn for each record until it is content.
func take(c *kafka.Consumer, fn func(m *kafka.Message) (enough bool)) error {
	for end := time.Now().Add(stepTimeout); time.Now().Before(end); {
		switch e := c.Poll(200).(type) {
		case *kafka.Message:
			if e.TopicPartition.Error != nil {
				return e.TopicPartition.Error
			}
			if fn(e) {
				return nil
			}
		case kafka.Error:
			if e.IsFatal() {
				return e
			}
		}
	}
	return fmt.Errorf("not enough records within %s", stepTimeout)
}

func (w *worker) consume(req request) (answer, error) {
	c, err := w.consumer("unused-"+req.Topic, nil)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	var tps []kafka.TopicPartition
	for p := range int32(req.Partitions) {
		tps = append(tps, kafka.TopicPartition{Topic: &req.Topic, Partition: p, Offset: kafka.OffsetBeginning})
	}
	if err := c.Assign(tps); err != nil {
		return answer{}, err
	}
	var a answer
	err = take(c, func(m *kafka.Message) bool {
		r := record{Partition: m.TopicPartition.Partition, Offset: int64(m.TopicPartition.Offset), Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			r.Headers = append(r.Headers, header{h.Key, h.Value})
		}
		a.Records = append(a.Records, r)
		return len(a.Records) >= req.Count
	})
	return a, err
}

// member is a group member that polls in a goroutine of its own.
type member struct {
	c    *kafka.Consumer
	quit chan struct{}
	done chan struct{}

	mu    sync.Mutex
	state state // guarded by mu
}

func (w *worker) join(req request) (*member, error) {
	// Close polls until all is closed, and throws away what that gives: only what has been seen is committed.
	more := kafka.ConfigMap{"enable.auto.commit": true, "auto.commit.interval.ms": 200, "enable.auto.offset.store": false}
	if req.Strategy == "consumer" {
		more["group.protocol"] = "consumer"
	} else {
		more["session.timeout.ms"], more["heartbeat.interval.ms"], more["partition.assignment.strategy"] = 10000, 300, "range"
	}
	switch req.Strategy {
	case "cooperative":
		more["partition.assignment.strategy"] = "cooperative-sticky"
	case "static":
		more["group.instance.id"] = req.Group + "-" + req.Name
	}
	c, err := w.consumer(req.Group, more)
	if err != nil {
		return nil, err
	}
	if err := c.Subscribe(req.Topic, nil); err != nil {
		return nil, err
	}
	m := &member{c: c, quit: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m, nil
}

func (m *member) run() {
	defer close(m.done)
	for {
		select {
		case <-m.quit:
			err := m.c.Close()
			m.mu.Lock()
			defer m.mu.Unlock()
			m.state.Assigned = nil
			if err != nil {
				m.state.Error = err.Error()
			}
			return
		default:
			m.turn()
		}
	}
}

func (m *member) turn() {
	e := m.c.Poll(50)
	tps, err := m.c.Assignment()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e := e.(type) {
	case *kafka.Message:
		m.state.Records = append(m.state.Records, [2]int64{int64(e.TopicPartition.Partition), int64(e.TopicPartition.Offset)})
		_, _ = m.c.StoreMessage(e) // it fails when the partition is another member's by now, which will be given the record too
	case kafka.Error:
		if e.IsFatal() {
			m.state.Error = e.Error()
		}
	}
	if err != nil {
		m.state.Error = err.Error()
	}
	m.state.Assigned = nil
	for _, tp := range tps {
		m.state.Assigned = append(m.state.Assigned, tp.Partition)
	}
}

func (m *member) snapshot() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return state{append([]int32{}, m.state.Assigned...), append([][2]int64{}, m.state.Records...), m.state.Error}
}

func (m *member) leave() error {
	close(m.quit)
	select {
	case <-m.done:
	case <-time.After(stepTimeout):
		return fmt.Errorf("the member did not leave within %s", stepTimeout)
	}
	if s := m.snapshot(); s.Error != "" {
		return fmt.Errorf("%s", s.Error)
	}
	return nil
}

func (w *worker) commit(req request) error {
	c, err := w.consumer(req.Group, kafka.ConfigMap{"session.timeout.ms": 10000})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Subscribe(req.Topic, nil); err != nil {
		return err
	}
	var last *kafka.Message
	if err := take(c, func(m *kafka.Message) bool { last = m; return int64(m.TopicPartition.Offset) >= req.Offset-1 }); err != nil {
		return err
	}
	_, err = c.CommitMessage(last)
	return err
}

func (w *worker) resume(req request) (answer, error) {
	c, err := w.consumer(req.Group, kafka.ConfigMap{"session.timeout.ms": 10000})
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	if err := c.Subscribe(req.Topic, nil); err != nil {
		return answer{}, err
	}
	var a answer
	err = take(c, func(m *kafka.Message) bool { a.Offset = int64(m.TopicPartition.Offset); return true })
	return a, err
}

// chunk is how many records a transaction has.
const chunk = 10

// transact copies committed records in transactions with their offsets; the second is aborted and done again.
func (w *worker) transact(req request) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	p, err := w.producer(kafka.ConfigMap{"transactional.id": req.Name})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.InitTransactions(ctx); err != nil {
		return err
	}
	c, err := w.consumer(req.Group, kafka.ConfigMap{"isolation.level": "read_committed", "session.timeout.ms": 10000})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Subscribe(req.Topic, nil); err != nil {
		return err
	}
	var all []*kafka.Message
	if err := take(c, func(m *kafka.Message) bool { all = append(all, m); return len(all) >= req.Count }); err != nil {
		return err
	}
	meta, err := c.GetConsumerGroupMetadata()
	if err != nil {
		return err
	}
	for from, turn := 0, 0; from < len(all); turn++ {
		part := all[from:min(from+chunk, len(all))]
		if err := copyPart(ctx, p, part, req, meta); err != nil {
			return err
		}
		if turn == 1 {
			if err := p.AbortTransaction(ctx); err != nil {
				return err
			}
			continue
		}
		if err := p.CommitTransaction(ctx); err != nil {
			return err
		}
		from += len(part)
	}
	return nil
}

func copyPart(ctx context.Context, p *kafka.Producer, part []*kafka.Message, req request, meta *kafka.ConsumerGroupMetadata) error {
	if err := p.BeginTransaction(); err != nil {
		return err
	}
	acks := make(chan kafka.Event, len(part))
	for _, m := range part {
		if err := p.Produce(&kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &req.Out, Partition: 0}, Value: m.Value}, acks); err != nil {
			return err
		}
	}
	next := part[len(part)-1].TopicPartition.Offset + 1
	return p.SendOffsetsToTransaction(ctx, []kafka.TopicPartition{{Topic: &req.Topic, Partition: 0, Offset: next}}, meta)
}

func (w *worker) admin(fn func(context.Context, *kafka.AdminClient) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	adm, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": w.bootstrap})
	if err != nil {
		return err
	}
	defer adm.Close()
	return fn(ctx, adm)
}

func (w *worker) createTopic(ctx context.Context, adm *kafka.AdminClient, topic string, partitions int, config map[string]string) error {
	rs, err := adm.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: topic, NumPartitions: partitions, ReplicationFactor: w.replicas, Config: config}})
	return firstOf(rs, err)
}

func firstOf(rs []kafka.TopicResult, err error) error {
	if err == nil && rs[0].Error.Code() != kafka.ErrNoError {
		err = rs[0].Error
	}
	return err
}

func (w *worker) administer(ctx context.Context, adm *kafka.AdminClient, topic string) error {
	if err := w.createTopic(ctx, adm, topic, 2, map[string]string{"retention.ms": "3600000"}); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := firstOf(adm.CreatePartitions(ctx, []kafka.PartitionsSpecification{{Topic: topic, IncreaseTo: 5}})); err != nil {
		return fmt.Errorf("grow: %w", err)
	}
	if err := eventually(func() (string, error) {
		md, err := adm.GetMetadata(&topic, false, 5000)
		if err != nil {
			return "", err
		}
		return strconv.Itoa(len(md.Topics[topic].Partitions)), nil
	}, "5"); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	set := []kafka.ConfigEntry{{Name: "retention.ms", Value: "7200000", IncrementalOperation: kafka.AlterConfigOpTypeSet}}
	rs, err := adm.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic, Config: set}})
	if err == nil && rs[0].Error.Code() != kafka.ErrNoError {
		err = rs[0].Error
	}
	if err != nil {
		return fmt.Errorf("alter config: %w", err)
	}
	if err := eventually(func() (string, error) {
		rs, err := adm.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic}})
		if err != nil {
			return "", err
		}
		return rs[0].Config["retention.ms"].Value, nil
	}, "7200000"); err != nil {
		return fmt.Errorf("describe configs: %w", err)
	}
	if _, err := adm.ListConsumerGroups(ctx); err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	return firstOf(adm.DeleteTopics(ctx, []string{topic}))
}

// eventually looks again until the answer has spread through the cluster.
func eventually(look func() (string, error), want string) error {
	var got []string
	for range 100 {
		s, err := look()
		if err != nil {
			return err
		}
		if s == want {
			return nil
		}
		got = append(got[:0], s)
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s instead of %s", strings.Join(got, ""), want)
}
