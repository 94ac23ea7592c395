package main

import (
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
)

const (
	// clusterSize is how many nodes a cluster has, and replicas a partition.
	clusterSize = 3
	// clusterHeap is that of each Apache Kafka of a cluster; three of the usual size would leave the page cache little.
	clusterHeap = "1g"
	// healTimeout bounds the wait for nodes that have been started, and for replicas to be in sync.
	healTimeout = 3 * time.Minute
	// preferredTimeout bounds the wait for leaders to go back to where they were placed.
	preferredTimeout = 30 * time.Second
)

// benchCluster is a running cluster of a subject, and what it is used for.
type benchCluster struct {
	*host.Cluster
	variant string
}

// cluster is the running cluster of a subject; it is started on first use, and whatever else was started before is ended: each of its
// processes would have a share of the CPUs.
func (e *env) cluster(s subject, variant string) (*host.Cluster, error) {
	if c := e.clusters[s.name]; c != nil && c.variant == variant {
		return c.Cluster, c.Ended()
	}
	e.dropCluster(s)
	e.dropBrokers()
	spec := e.spec(s, nil)
	spec.CPU, spec.Heap = host.EveryCPU, clusterHeap
	c, err := host.PrepareCluster(spec, clusterSize)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.clusters[s.name] = &benchCluster{c, variant}
	e.mu.Unlock()
	for _, b := range c.Members {
		if err := e.exec(b); err != nil {
			return nil, err
		}
	}
	return c, e.awaitBrokers(c)
}

// exec starts a node unless the run has been broken off.
func (e *env) exec(b *host.Broker) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return b.Exec()
}

// manyVariant is the cluster with many topics. Its files stay until the run ends: for five minutes ext4 does not give inodes away that
// were deleted, looks at each of them whenever a file is made near by, and needs fifty times as long for it.
const manyVariant = "topics"

// dropCluster ends the cluster of a subject.
func (e *env) dropCluster(s subject) {
	if c := e.clusters[s.name]; c != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if c.variant == manyVariant {
			c.Kill()
		} else {
			c.Remove()
		}
		delete(e.clusters, s.name)
	}
}

// dropBrokers ends the nodes that stand alone: the rows about clusters come after all others.
func (e *env) dropBrokers() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, b := range e.brokers {
		b.Remove()
		delete(e.brokers, key)
	}
}

// awaitBrokers waits until each node serves and knows all others.
func (e *env) awaitBrokers(c *host.Cluster) error {
	return until(healTimeout, func() error {
		if err := c.Ended(); err != nil {
			return final{err}
		}
		for i, b := range c.Members {
			if err := knowsAll(b.Addr); err != nil {
				return fmt.Errorf("node %d: %w; the end of its output: %s", i+1, err, b.Process.Tail())
			}
		}
		return nil
	})
}

func knowsAll(addr string) error {
	v, err := viewOf(addr)
	if err == nil && len(v.Brokers) != clusterSize {
		err = fmt.Errorf("%d brokers of %d are there", len(v.Brokers), clusterSize)
	}
	return err
}

func viewOf(addr string, topics ...string) (load.View, error) {
	c, err := load.NewClient(addr)
	if err != nil {
		return load.View{}, err
	}
	defer c.Close()
	return c.View(topics...)
}

// final is an error after which there is nothing to wait for.
type final struct{ error }

// until calls fn until it succeeds, for so long.
func until(most time.Duration, fn func() error) error {
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		err := fn()
		if err == nil {
			return nil
		}
		if f, ok := err.(final); ok {
			return f.error
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %s: %w", most, err)
		}
	}
}

// replicatedTopic is a topic with a replica on each node.
type replicatedTopic struct {
	name       string
	id         [16]byte
	partitions int
	cluster    *host.Cluster
}

// durable is what makes acks=all mean two nodes at least.
func durable() map[string]string { return map[string]string{"min.insync.replicas": "2"} }

// replicated makes a topic and waits until it is whole and each node leads a share.
func (e *env) replicated(c *host.Cluster, partitions int) (replicatedTopic, error) {
	e.topics++
	t := replicatedTopic{name: fmt.Sprintf("bench-%d", e.topics), partitions: partitions, cluster: c}
	client, err := load.NewClient(c.Members[0].Addr)
	if err != nil {
		return t, err
	}
	defer client.Close()
	ids, err := client.CreateTopics([]string{t.name}, int32(partitions), clusterSize, durable())
	if err != nil {
		return t, err
	}
	t.id = ids[0]
	if _, err = t.awaitWhole(); err != nil {
		return t, fmt.Errorf("topic %s is not whole: %w", t.name, err)
	}
	return t, nil
}

func (t replicatedTopic) remove() {
	if c, err := load.NewClient(t.cluster.Members[0].Addr); err == nil {
		_ = c.DeleteTopic(t.name, t.id) // the directory goes with the cluster at the latest
		c.Close()
	}
}

// awaitWhole waits until all nodes agree that every replica is in sync, and until the leaders serve.
func (t replicatedTopic) awaitWhole() (load.View, error) {
	var seen load.View
	err := until(healTimeout, func() error {
		if err := t.cluster.Ended(); err != nil {
			return final{err}
		}
		for _, b := range t.cluster.Members {
			v, err := viewOf(b.Addr, t.name)
			if err == nil {
				err = v.Whole(clusterSize, t.partitions)
			}
			if err != nil {
				return err
			}
			seen = v
		}
		return leadersServe(seen)
	})
	return seen, err
}

// leadersServe asks each leader for its partitions.
func leadersServe(v load.View) error {
	for id, parts := range v.Led() {
		c, err := load.NewClient(v.Brokers[id])
		if err != nil {
			return err
		}
		err = c.Serves(parts)
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// spreadLeaders has each partition led where it was placed, so that each node leads a share.
func (t replicatedTopic) spreadLeaders() (load.View, error) {
	v, err := t.awaitWhole()
	if err != nil || len(v.Led()) == clusterSize {
		return v, err
	}
	err = until(preferredTimeout, func() error {
		c, err := load.NewClient(t.cluster.Members[0].Addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.ElectPreferred(); err != nil {
			return err
		}
		if v, err = t.awaitWhole(); err == nil && len(v.Led()) != clusterSize {
			err = fmt.Errorf("%d nodes of %d lead", len(v.Led()), clusterSize)
		}
		return err
	})
	return v, err
}
