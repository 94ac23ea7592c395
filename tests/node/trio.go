package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Cluster is several nodes, each broker and controller, on addresses of 127.0.0.1. Its methods are called from one goroutine.
type Cluster struct {
	Nodes []*Node
	Seeds []string
}

// portsEach is what a node listens on: clients, controllers, admin.
const portsEach = 3

// StartCluster formats and starts as many nodes as asked for and waits until each answers
// and knows all others: topics may have as many replicas at once. Internal topics have a replica
// on each of up to three.
func (f *Fleet) StartCluster(spec Spec, parent string, size int) (*Cluster, error) {
	ports, err := FreePorts(size * portsEach)
	if err != nil {
		return nil, err
	}
	id, err := NewClusterID()
	if err != nil {
		return nil, err
	}
	at := func(n, i int) string { return "127.0.0.1:" + ports[n*portsEach+i] }
	var voters []string
	for n := range size {
		voters = append(voters, strconv.Itoa(n+1)+"@"+at(n, 1))
	}
	c := &Cluster{}
	for n := range size {
		dir := filepath.Join(parent, "node-"+strconv.Itoa(n+1))
		node, err := Prepare(spec, dir, at(n, 0), id, memberProps(spec, n, size, dir, strings.Join(voters, ","), func(i int) string { return at(n, i) }))
		if err != nil {
			return nil, err
		}
		f.Adopt(node)
		c.Nodes, c.Seeds = append(c.Nodes, node), append(c.Seeds, node.Bootstrap)
	}
	for _, n := range c.Nodes {
		if err := n.Launch(); err != nil {
			return nil, err
		}
	}
	for i, n := range c.Nodes {
		if err := n.WaitBrokers(size); err != nil {
			return nil, fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	return c, nil
}

// memberProps are the properties of one node of a cluster.
func memberProps(spec Spec, n, size int, dir, voters string, at func(int) string) map[string]string {
	replicas, inSync := strconv.Itoa(min(size, 3)), strconv.Itoa(min(size, 2))
	props := map[string]string{
		"process.roles": "broker,controller", "node.id": strconv.Itoa(n + 1), "controller.quorum.voters": voters,
		"listeners":                      "PLAINTEXT://" + at(0) + ",CONTROLLER://" + at(1),
		"advertised.listeners":           "PLAINTEXT://" + at(0),
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                       filepath.Join(dir, "data"),
		"default.replication.factor":     replicas, "min.insync.replicas": inSync,
		"offsets.topic.replication.factor": replicas, "offsets.topic.num.partitions": "6",
		"transaction.state.log.replication.factor": replicas, "transaction.state.log.min.isr": inSync, "transaction.state.log.num.partitions": "6",
		"share.coordinator.state.topic.replication.factor": replicas, "share.coordinator.state.topic.min.isr": inSync,
		// Members of a KIP-848 group learn of changes by heartbeat; Kafka's 5 s would make the tests wait.
		"group.consumer.min.heartbeat.interval.ms": "300", "group.consumer.heartbeat.interval.ms": "300",
		"group.initial.rebalance.delay.ms": "100",
		// A node that is gone is to be noticed within a short run.
		"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
	}
	if spec.Kind == Moldau {
		props["moldau.admin.listener"] = at(2)
	}
	for k, v := range spec.Props {
		props[k] = v
	}
	return props
}

// Bootstrap is the addresses of all nodes, as clients take them.
func (c *Cluster) Bootstrap() string { return strings.Join(c.Seeds, ",") }

// Stop ends the nodes: ours in order, so that the last has no quorum, and Kafka's at once, since the last of them would wait for
// a controller until it is killed.
func (c *Cluster) Stop() error {
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		stop := func() {
			if err := n.Stop(); err != nil {
				errs[i] = fmt.Errorf("node %d: %w", i+1, err)
			}
		}
		switch {
		case !n.Alive():
		case n.spec.Kind == Real:
			wg.Go(stop)
		default:
			stop()
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
