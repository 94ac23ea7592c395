package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	size = 3 // nodes
	// healTimeout is how long the cluster may take after a fault until every replica is in sync again.
	healTimeout = 60 * time.Second
	// askTimeout bounds one question to the cluster.
	askTimeout = 5 * time.Second
)

// cluster is the nodes under test, numbered from 1, and the links between them.
type cluster struct {
	nodes [size + 1]*node.Node
	links *network
	seeds []string
	admin *kgo.Client
	// clientLog is what the producers have to say, for whoever looks into a failure.
	clientLog *os.File
}

// startCluster formats and starts the nodes.
func startCluster(spec node.Spec, fleet *node.Fleet, dir string) (*cluster, error) {
	const each = 6 // ports: three listeners, two fronts of them, and the admin's
	ports, err := node.FreePorts(size * each)
	if err != nil {
		return nil, err
	}
	at := func(id, i int) string { return "127.0.0.1:" + ports[(id-1)*each+i] }
	id, err := node.NewClusterID()
	if err != nil {
		return nil, err
	}
	c := &cluster{links: newNetwork()}
	if c.clientLog, err = os.Create(filepath.Join(dir, "producers.log")); err != nil {
		return nil, err
	}
	var voters []string
	for n := 1; n <= size; n++ {
		voters = append(voters, fmt.Sprintf("%d@%s", n, at(n, 4)))
		c.seeds = append(c.seeds, at(n, 0))
	}
	for n := 1; n <= size; n++ {
		nodeDir := filepath.Join(dir, "node-"+strconv.Itoa(n))
		props := map[string]string{
			"process.roles": "broker,controller", "node.id": strconv.Itoa(n), "controller.quorum.voters": strings.Join(voters, ","),
			"listeners":                      "CLIENT://" + at(n, 0) + ",INTERNAL://" + at(n, 1) + ",CONTROLLER://" + at(n, 2),
			"advertised.listeners":           "CLIENT://" + at(n, 0) + ",INTERNAL://" + at(n, 3) + ",CONTROLLER://" + at(n, 4),
			"inter.broker.listener.name":     "INTERNAL",
			"controller.listener.names":      "CONTROLLER",
			"listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
			"log.dirs":                       filepath.Join(nodeDir, "data"),
			"default.replication.factor":     "3", "min.insync.replicas": "2",
			"offsets.topic.replication.factor": "3", "offsets.topic.num.partitions": "5",
			"transaction.state.log.replication.factor": "3", "transaction.state.log.min.isr": "2", "transaction.state.log.num.partitions": "5",
			"group.initial.rebalance.delay.ms": "100",
			// The replicas' logs are compared byte by byte: nothing may be cleaned away on one and not yet on another.
			"log.cleaner.enable": "false",
			// A node that hangs is to be noticed within a short run.
			"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
		}
		if spec.Kind == node.Moldau {
			props["moldau.admin.listener"] = at(n, 5)
		}
		for k, v := range spec.Props {
			props[k] = v
		}
		if err := errors.Join(c.links.front(n, at(n, 3), at(n, 1)), c.links.front(n, at(n, 4), at(n, 2))); err != nil {
			return nil, err
		}
		if c.nodes[n], err = node.Prepare(spec, nodeDir, at(n, 0), id, props); err != nil {
			return nil, err
		}
		fleet.Adopt(c.nodes[n])
	}
	for n := 1; n <= size; n++ {
		if err := c.nodes[n].Launch(); err != nil {
			return nil, err
		}
	}
	for n := 1; n <= size; n++ {
		if err := c.nodes[n].WaitReady(); err != nil {
			return nil, fmt.Errorf("node %d: %w", n, err)
		}
	}
	c.admin, err = c.client(quick()...)
	return c, err
}

// client is a client of the cluster.
func (c *cluster) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.seeds...)}, opts...)...)
}

// quick are options of a client that asks again soon: its own rest must not hide the cluster's.
func quick() []kgo.Opt {
	return []kgo.Opt{
		kgo.MetadataMinAge(10 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.DialTimeout(time.Second), kgo.RequestTimeoutOverhead(time.Second), kgo.ProduceRequestTimeout(time.Second),
	}
}

func (c *cluster) create(ctx context.Context, topic string, partitions int32) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	minISR := "2"
	resp, err := kadm.NewClient(c.admin).CreateTopic(ctx, partitions, size, map[string]*string{"min.insync.replicas": &minISR}, topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		return fmt.Errorf("cannot create topic %s: %w", topic, err)
	}
	return nil
}

// leader is who leads a partition, 0 when nobody does or nobody tells.
func (c *cluster) leader(ctx context.Context, topic string, partition int32) int {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := kadm.NewClient(c.admin).Metadata(ctx, topic)
	if err != nil {
		return 0
	}
	return max(0, int(m.Topics[topic].Partitions[partition].Leader))
}

// controller is the active controller, 0 when there is none.
func (c *cluster) controller(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c.admin)
	if err != nil || resp.ErrorCode != 0 || len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
		return 0
	}
	return max(0, int(resp.Topics[0].Partitions[0].LeaderID))
}

// coordinator is who coordinates a group (kind 0) or a transactional id (kind 1).
func (c *cluster) coordinator(ctx context.Context, kind int8, key string) int {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, key, []string{key}
	resp, err := req.RequestWith(ctx, c.admin)
	if err != nil || len(resp.Coordinators) == 0 {
		return 0
	}
	return max(0, int(resp.Coordinators[0].NodeID))
}

// whole says what is missing until each partition has all its replicas in sync.
func (c *cluster) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := kadm.NewClient(c.admin).Metadata(ctx)
	if err != nil {
		return fmt.Errorf("nobody tells the metadata: %w", err)
	}
	if len(m.Brokers) != size {
		return fmt.Errorf("%d brokers serve", len(m.Brokers))
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) != size {
				return fmt.Errorf("%s-%d is led by %d, in sync %v", t.Topic, p.Partition, p.Leader, p.ISR)
			}
		}
	}
	return nil
}

// untilWhole waits for whole and tells how long it took.
func (c *cluster) untilWhole(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	for {
		err := c.whole(ctx)
		if err == nil || ctx.Err() != nil || time.Since(start) > healTimeout {
			return time.Since(start), err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stop ends all nodes in order.
func (c *cluster) stop() error {
	c.admin.Close()
	var errs []error
	for n := 1; n <= size; n++ {
		if c.nodes[n].Alive() {
			if err := c.nodes[n].Stop(); err != nil {
				errs = append(errs, fmt.Errorf("node %d: %w", n, err))
			}
		}
	}
	c.links.close()
	c.clientLog.Close()
	return errors.Join(errs...)
}
