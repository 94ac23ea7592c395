package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is a controller whose answers are applied at once, as the quorum would.
type cluster struct {
	t     testing.TB
	s     *State
	now   time.Time
	next  int64
	chaos *counting
}

// counting is chance without surprises.
type counting struct{ n int }

func (c *counting) UUID() meta.UUID {
	c.n++
	return meta.UUID{0: 0xAA, 14: byte(c.n >> 8), 15: byte(c.n)}
}
func (c *counting) IntN(n int) int { c.n++; return c.n * 7 % n }

func newCluster(t testing.TB, change ...func(*Config)) *cluster {
	t.Helper()
	r := &counting{}
	cfg := Config{ClusterID: "C", NodeID: 1, DeleteTopicEnable: true, Random: r}
	for _, f := range change {
		f(&cfg)
	}
	c := &cluster{t: t, s: New(cfg, meta.NewImage()), now: time.Unix(1_000_000, 0), chaos: r}
	c.apply(c.s.Bootstrap(meta.BootstrapRecords()))
	c.s.Activate(c.now)
	return c
}

func (c *cluster) apply(records []meta.Record) {
	c.t.Helper()
	if len(records) == 0 {
		return
	}
	img, _, err := c.s.Image().Apply(records, c.next+int64(len(records))-1, 1, c.now.UnixMilli())
	if err != nil {
		c.t.Fatal(err)
	}
	c.next += int64(len(records))
	c.s.Advance(img)
}

// ask sends a request and applies what it comes to.
func ask[R kmsg.Response](c *cluster, req kmsg.Request) R {
	c.t.Helper()
	if !Serves(req) {
		c.t.Fatalf("%T is not served", req)
	}
	a, ok := c.s.Handle(Call{Now: c.now, NextOffset: c.next, Local: true}, req)
	if !ok {
		c.t.Fatalf("%T is not handled", req)
	}
	c.apply(a.Records)
	return a.Response.(R)
}

// tick runs the clock's work until there is none.
func (c *cluster) tick() {
	c.t.Helper()
	for range 100 {
		records, next := c.s.Tick(Call{Now: c.now, NextOffset: c.next})
		c.apply(records)
		if next.After(c.now) {
			return
		}
	}
	c.t.Fatal("the tick never ends")
}

func dir(id int32) meta.UUID { return meta.UUID{0: 0xD0, 14: byte(id >> 8), 15: byte(id)} }

func registration(id int32, life byte) *kmsg.BrokerRegistrationRequest {
	r := kmsg.NewPtrBrokerRegistrationRequest()
	r.Version = r.MaxVersion()
	r.BrokerID, r.ClusterID, r.IncarnationID = id, "C", meta.UUID{byte(id), life}
	r.LogDirs = [][16]byte{dir(id)}
	for _, f := range meta.AdvertisedFeatures() {
		kf := kmsg.NewBrokerRegistrationRequestFeature()
		kf.Name, kf.MinSupportedVersion, kf.MaxSupportedVersion = f.Name, f.MinSupportedVersion, f.MaxSupportedVersion
		r.Features = append(r.Features, kf)
	}
	return r
}

// start registers brokers and unfences them.
func (c *cluster) start(ids ...int32) {
	c.t.Helper()
	for _, id := range ids {
		resp := ask[*kmsg.BrokerRegistrationResponse](c, registration(id, 1))
		if resp.ErrorCode != 0 {
			c.t.Fatalf("broker %d: %v", id, kerr.ErrorForCode(resp.ErrorCode))
		}
		if hb := c.beat(id, ""); hb.IsFenced {
			c.t.Fatalf("broker %d is fenced after its first heartbeat", id)
		}
	}
}

// beat sends a heartbeat of a broker that has read everything; wish is "", "fence" or "shutdown".
func (c *cluster) beat(id int32, wish string) *kmsg.BrokerHeartbeatResponse {
	c.t.Helper()
	r := kmsg.NewPtrBrokerHeartbeatRequest()
	r.BrokerID, r.BrokerEpoch, r.CurrentMetadataOffset = id, c.s.Image().Broker(id).Epoch, c.next-1
	r.WantFence, r.WantShutdown = wish == "fence", wish == "shutdown"
	resp := ask[*kmsg.BrokerHeartbeatResponse](c, r)
	if resp.ErrorCode != 0 {
		c.t.Fatalf("heartbeat of %d: %v", id, kerr.ErrorForCode(resp.ErrorCode))
	}
	return resp
}

func ptr(s string) *string { return &s }

// topic describes a topic to create: "name partitions factor key=value...", or "name 1,2 2,3" for an assignment.
func topic(spec string) kmsg.CreateTopicsRequestTopic {
	words := strings.Fields(spec)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = words[0], -1, -1
	numbers := 0
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			kv := kmsg.NewCreateTopicsRequestTopicConfig()
			kv.Name, kv.Value = k, &v
			t.Configs = append(t.Configs, kv)
			continue
		}
		if strings.Contains(w, ",") {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition = int32(len(t.ReplicaAssignment))
			for part := range strings.SplitSeq(w, ",") {
				var id int32
				if _, err := fmt.Sscan(part, &id); err == nil {
					a.Replicas = append(a.Replicas, id)
				}
			}
			t.ReplicaAssignment = append(t.ReplicaAssignment, a)
			continue
		}
		var n int32
		_, _ = fmt.Sscan(w, &n)
		if numbers == 0 {
			t.NumPartitions = n
		} else {
			t.ReplicationFactor = int16(n)
		}
		numbers++
	}
	return t
}

// create creates topics and says for each "ok" or the error.
func (c *cluster) create(validateOnly bool, specs ...string) []string {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = req.MaxVersion(), validateOnly
	for _, s := range specs {
		req.Topics = append(req.Topics, topic(s))
	}
	var out []string
	for _, t := range ask[*kmsg.CreateTopicsResponse](c, req).Topics {
		out = append(out, outcome(t.ErrorCode, t.ErrorMessage))
	}
	return out
}

func (c *cluster) mustCreate(specs ...string) {
	c.t.Helper()
	for i, r := range c.create(false, specs...) {
		if r != "ok" {
			c.t.Fatalf("%s: %s", specs[i], r)
		}
	}
}

func outcome(code int16, message *string) string {
	if code == 0 {
		return "ok"
	}
	s := kerr.TypedErrorForCode(code).Message
	if message != nil {
		s += ": " + *message
	}
	return s
}

// state draws a partition: "leader 1 isr [1 2] elr [] last [] epoch 0".
func (c *cluster) state(topic string, p int32) string {
	x := c.s.Image().Partition(topic, p)
	return fmt.Sprintf("leader %d isr %v elr %v last %v epoch %d", x.Leader, x.ISR, x.ELR, x.LastKnownELR, x.LeaderEpoch)
}

func (c *cluster) want(topic string, p int32, want string) {
	c.t.Helper()
	if got := c.state(topic, p); got != want {
		c.t.Errorf("%s-%d: %s, want %s", topic, p, got, want)
	}
}

// shrink tells the controller that the leader sees only isr in sync.
func (c *cluster) shrink(name string, p int32, isr ...int32) string {
	c.t.Helper()
	t := c.s.Image().Topic(name)
	x := t.Partitions[p]
	req := alterPartition(c, x.Leader, t.ID, p, x, isr)
	resp := ask[*kmsg.AlterPartitionResponse](c, req)
	if resp.ErrorCode != 0 {
		return outcome(resp.ErrorCode, nil)
	}
	return outcome(resp.Topics[0].Partitions[0].ErrorCode, nil)
}

func alterPartition(c *cluster, broker int32, id meta.UUID, p int32, x *meta.Partition, isr []int32) *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	req.BrokerID = broker
	if br := c.s.Image().Broker(broker); br != nil {
		req.BrokerEpoch = br.Epoch
	}
	rt := kmsg.NewAlterPartitionRequestTopic()
	rt.TopicID = id
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.PartitionEpoch = p, x.LeaderEpoch, x.PartitionEpoch
	for _, i := range isr {
		e := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		e.BrokerID, e.BrokerEpoch = i, -1
		rp.NewEpochISR = append(rp.NewEpochISR, e)
	}
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func sameSet(a, b []int32) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
