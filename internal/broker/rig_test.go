package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// me is the broker under test, the only one of its cluster.
const me = int32(1)

const address = "localhost:9092"

// rig is a broker with everything below it, on memory files and a memory network, behind a real server.
// Its controller decides nothing: it makes what it is asked for.
type rig struct {
	t        *testing.T
	net      *netx.Mem
	replicas *replica.Manager
	groups   *group.Service
	txns     *txn.Service
	broker   *Broker
	rules    *rules

	mu      sync.Mutex
	img     *meta.Image
	lastID  byte
	called  []string // what the controller was asked, by name and topics
	callErr error    // of the next calls
}

func newRig(t *testing.T, overrides ...string) *rig {
	t.Helper()
	settings, report := config.Load(config.Sources{Overrides: append([]string{"offsets.topic.num.partitions=1"}, overrides...)})
	if settings == nil {
		t.Fatal(strings.Join(report.Lines(), "\n"))
	}
	logger := slog.New(slog.DiscardHandler)
	r := &rig{t: t, net: netx.NewMem(clock.Real{}), img: meta.NewImage(), rules: &rules{}}
	logs := r.openLogs()
	r.replicas = replica.NewManager(replica.Config{
		NodeID: me, Logs: logs, Clock: clock.Real{}, Logger: logger,
		TopicConfig: func(img *meta.Image, topic string) replica.TopicConfig {
			c := storage.DefaultLogConfig()
			policy := img.Config(meta.ResourceTopic, topic)["cleanup.policy"]
			c.Compact, c.Delete = policy == "compact", policy != "compact"
			return replica.TopicConfig{Log: c, MinISR: 1}
		},
		OnRole: func(tp storage.TopicPartition, epoch int32, leads bool) {
			switch {
			case tp.Topic == offsetsTopic && leads:
				r.groups.Elect(tp.Partition, epoch)
			case tp.Topic == transactionsTopic && leads:
				r.txns.Elect(tp.Partition, epoch)
			}
		},
		OnHighWatermark: func(tp storage.TopicPartition, _ int32, hw int64) {
			switch tp.Topic {
			case offsetsTopic:
				r.groups.HighWatermark(tp.Partition, hw)
			case transactionsTopic:
				r.txns.HighWatermark(tp.Partition, hw)
			}
		},
	})
	log := CoordinatorLog{Topic: offsetsTopic, Replicas: r.replicas}
	r.groups = group.New(group.Options{
		Config: group.DefaultConfig(), Writer: log, Loader: coord.Loader(log), Clock: clock.Real{}, Topics: names{r},
		NumPartitions: func() int32 { return r.partitions(offsetsTopic) },
		NewID:         func() string { return "id" }, CommitTimeoutMs: 5000,
	})
	r.txns = r.newTxns(logger)
	r.broker = New(Config{
		NodeID: me, ClusterID: "cluster", Settings: settings, Clock: clock.Real{}, Logger: logger, Logs: logs, Replicas: r.replicas,
		Groups: r.groups, Txns: r.txns, Controller: controllerTwin{r}, Authorizer: r.rules, Metrics: NewMetrics(obs.NewRegistry(obs.Options{Now: time.Now})),
	})
	r.apply(&meta.RegisterBrokerRecord{BrokerID: me, EndPoints: []meta.Endpoint{{Name: "PLAINTEXT", Host: "localhost", Port: 9092}}})
	r.serve(logger, logs)
	return r
}

func (r *rig) newTxns(logger *slog.Logger) *txn.Service {
	log := CoordinatorLog{Topic: transactionsTopic, Replicas: r.replicas}
	c := txn.DefaultConfig()
	c.Version = func() int16 { return bumpingTransactions }
	c.NewProducerID = func() (int64, bool) { return r.broker.NextProducerID() }
	return txn.New(txn.Options{
		Config: c, Writer: log, Loader: log, Clock: clock.Real{}, Log: logger, Markers: markersTwin{r},
		NumPartitions:    func() int32 { return r.partitions(transactionsTopic) },
		FetchProducerIDs: func(done func(error)) { r.broker.FetchProducerIDs(done) }, CommitTimeoutMs: 5000,
	})
}

// markersTwin brings markers to the broker, which is made after the coordinator.
type markersTwin struct{ r *rig }

func (m markersTwin) SendMarkers(marker txn.Marker, done func([]txn.MarkerResult)) {
	m.r.broker.SendMarkers(marker, done)
}

// partitions is how many a topic has, 0 while it does not exist.
func (r *rig) partitions(topic string) int32 {
	if t := r.image().Topic(topic); t != nil {
		return int32(len(t.Partitions))
	}
	return 0
}

func (r *rig) openLogs() *storage.Manager {
	r.t.Helper()
	disk := vfs.NewMem()
	err := errors.Join(disk.MkdirAll("/d", 0o755), storage.WriteMetaProperties(disk, "/d", storage.MetaProperties{ClusterID: "cluster", NodeID: me, DirectoryID: [16]byte{9}}))
	if err != nil {
		r.t.Fatal(err)
	}
	logs, err := storage.OpenManager(storage.ManagerOptions{FS: disk, Clock: clock.Real{}, Dirs: []string{"/d"}, NodeID: me, DefaultConfig: storage.DefaultLogConfig()})
	if err != nil {
		r.t.Fatal(err)
	}
	return logs
}

func (r *rig) serve(logger *slog.Logger, logs *storage.Manager) {
	r.t.Helper()
	auth, err := security.NewListenerAuth("PLAINTEXT")
	if err != nil {
		r.t.Fatal(err)
	}
	srv, err := server.New(server.Config{
		Network: r.net.Host("localhost"), Clock: clock.Real{}, Log: logger,
		Listeners: []server.ListenerConfig{{Name: "PLAINTEXT", Address: address, Auth: auth, Table: Table(), Handler: r.broker}},
	})
	if err == nil {
		err = errors.Join(srv.Listen(), srv.Serve())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.replicas.Stop()
		r.txns.Close()
		r.groups.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), logs.Close(true)); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) image() *meta.Image {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.img
}

func (r *rig) apply(records ...meta.Record) {
	r.t.Helper()
	r.mu.Lock()
	img, delta, err := r.img.Apply(records, r.img.Offset()+int64(len(records)), 1, 0)
	if err == nil {
		r.img = img
	}
	r.mu.Unlock()
	if err != nil {
		r.t.Error(err)
		return
	}
	r.replicas.ApplyMetadata(img, delta)
	r.broker.SetImage(img)
}

// create makes a topic that this broker leads.
func (r *rig) create(name string, partitions int32) [16]byte {
	r.t.Helper()
	r.mu.Lock()
	r.lastID++
	id := meta.UUID{r.lastID}
	r.mu.Unlock()
	records := []meta.Record{&meta.TopicRecord{Name: name, TopicID: id}}
	for i := range partitions {
		records = append(records, &meta.PartitionRecord{PartitionID: i, TopicID: id, Replicas: []int32{me}, ISR: []int32{me}, Leader: me})
	}
	r.apply(records...)
	return id
}

type names struct{ r *rig }

func (n names) TopicName(id [16]byte) (string, bool) {
	if t := n.r.image().TopicByID(id); t != nil {
		return t.Name, true
	}
	return "", false
}

func (n names) TopicID(name string) ([16]byte, bool) {
	if t := n.r.image().Topic(name); t != nil {
		return t.ID, true
	}
	return [16]byte{}, false
}

// controllerTwin makes the topics that it is asked for and notes everything else.
type controllerTwin struct{ r *rig }

func (c controllerTwin) Call(_ context.Context, _ security.Principal, req kmsg.Request) (kmsg.Response, error) {
	r := c.r
	note := kmsg.NameForKey(req.Key())
	resp := req.ResponseKind()
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		out := resp.(*kmsg.CreateTopicsResponse)
		for _, t := range req.Topics {
			note += " " + t.Topic
			r.create(t.Topic, max(t.NumPartitions, 1))
			o := kmsg.NewCreateTopicsResponseTopic()
			o.Topic, o.NumPartitions, o.ReplicationFactor = t.Topic, max(t.NumPartitions, 1), 1
			out.Topics = append(out.Topics, o)
		}
	case *kmsg.DeleteTopicsRequest:
		out := resp.(*kmsg.DeleteTopicsResponse)
		for _, t := range req.Topics {
			note += " " + deref(t.Topic)
			o := kmsg.NewDeleteTopicsResponseTopic()
			o.Topic, o.TopicID = t.Topic, t.TopicID
			out.Topics = append(out.Topics, o)
		}
	case *kmsg.AllocateProducerIDsRequest:
		out := resp.(*kmsg.AllocateProducerIDsResponse)
		out.ProducerIDStart, out.ProducerIDLen = 1000, 2
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.called = append(r.called, note)
	return resp, r.callErr
}

func (c controllerTwin) KRaftVersion() int16 { return 0 }

func (c controllerTwin) DescribeQuorum(context.Context) (kmsg.DescribeQuorumResponseTopicPartition, []kmsg.DescribeQuorumResponseNode, error) {
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderID = me
	return p, nil, nil
}

// rules is an authorizer that allows all but what was denied: "READ TOPIC t", "DESCRIBE GROUP *".
type rules struct {
	mu     sync.Mutex
	denied []string
}

func (a *rules) deny(rules ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied = rules
}

func (a *rules) denies(op security.Operation, t security.ResourceType, name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.denied, fmt.Sprintf("%v %v %s", op, t, name)) || slices.Contains(a.denied, fmt.Sprintf("%v %v *", op, t))
}

func (a *rules) Authorize(_ security.RequestContext, actions []security.Action) []bool {
	out := make([]bool, len(actions))
	for i, x := range actions {
		out[i] = !a.denies(x.Operation, x.ResourceType, x.ResourceName)
	}
	return out
}

func (a *rules) AuthorizeByResourceType(_ security.RequestContext, op security.Operation, t security.ResourceType) bool {
	return !a.denies(op, t, "*")
}

// caller sends single requests at chosen versions.
type caller struct {
	t    *testing.T
	nc   net.Conn
	next int32
	id   string
}

func (r *rig) dial() *caller {
	r.t.Helper()
	nc, err := r.net.Host("localhost").Dial(context.Background(), address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	return &caller{t: r.t, nc: nc, id: "test"}
}

// patience is how long a test waits for an answer before it calls that a hang.
const patience = 20 * time.Second

func (c *caller) send(version int16, req kmsg.Request) {
	c.t.Helper()
	req.SetVersion(version)
	c.next++
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.id)).AppendRequest(nil, req, c.next)); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the next response; an error means that the connection has ended.
func (c *caller) receive(req kmsg.Request) (kmsg.Response, error) {
	c.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c.nc, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.nc, frame); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	body := frame[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		body = body[1:] // no tags in the header
	}
	if err := resp.ReadFrom(body); err != nil {
		c.t.Fatalf("cannot read the answer to %s v%d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp, nil
}

func (c *caller) call(version int16, req kmsg.Request) kmsg.Response {
	c.t.Helper()
	c.send(version, req)
	resp, err := c.receive(req)
	if err != nil {
		c.t.Fatalf("no answer to %s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return resp
}

// word is the name of an error code.
func word(code int16) string {
	if code == 0 {
		return "ok"
	}
	return kerr.ErrorForCode(code).(*kerr.Error).Message
}

func batchOf(o record.BuilderOptions, values ...string) []byte {
	b := record.NewBuilder(o)
	for _, v := range values {
		b.Append(time.Now().UnixMilli(), []byte("k"), []byte(v), nil)
	}
	return b.Build()
}
