package host

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Cluster is nodes of one kind, each broker and controller. Node i of Members has the id i+1.
type Cluster struct {
	Members []*Broker
	Dir     string
}

// portsEach is what a node listens on: clients, controllers, admin.
const portsEach = 3

// PrepareCluster formats so many nodes and starts none: Exec does, one by one.
func PrepareCluster(s Spec, size int) (*Cluster, error) {
	dir, err := os.MkdirTemp(s.Parent, "cluster-")
	if err != nil {
		return nil, fmt.Errorf("cannot make the cluster's directory: %w", err)
	}
	ports, err := lastingPorts(size * portsEach)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir}
	for i := range size {
		own := filepath.Join(dir, "node-"+strconv.Itoa(i+1))
		if err := os.Mkdir(own, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make a node's directory: %w", err)
		}
		b := &Broker{Dir: own, spec: s, ports: ports[i*portsEach : (i+1)*portsEach]}
		b.Addr = "127.0.0.1:" + b.ports[0]
		props := memberProps(own, ports, i)
		if s.Moldau != "" {
			props["moldau.admin.listener"] = "127.0.0.1:" + b.ports[2]
			b.Admin = "http://127.0.0.1:" + b.ports[2]
		}
		maps.Copy(props, s.Props)
		if err := writeProps(b.propsFile(), props); err != nil {
			return nil, err
		}
		if err := b.format(); err != nil {
			return nil, fmt.Errorf("node %d: %w", i+1, err)
		}
		c.Members = append(c.Members, b)
	}
	return c, nil
}

// memberProps is what node i of a cluster is given: what one node alone is given, with the others as voters, and the internal
// topics as three brokers hold them by default.
func memberProps(dir string, ports []string, i int) map[string]string {
	size := len(ports) / portsEach
	props := common(dir, ports[i*portsEach:])
	var voters []string
	for n := range size {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%s", n+1, ports[n*portsEach+1]))
	}
	props["node.id"] = strconv.Itoa(i + 1)
	props["controller.quorum.voters"] = strings.Join(voters, ",")
	replicas, inSync := strconv.Itoa(min(size, 3)), strconv.Itoa(min(size, 2))
	for _, topic := range []string{"offsets.topic", "transaction.state.log", "share.coordinator.state.topic"} {
		props[topic+".replication.factor"] = replicas
	}
	for _, topic := range []string{"transaction.state.log", "share.coordinator.state.topic"} {
		props[topic+".min.isr"] = inSync
	}
	return props
}

// Seeds are the addresses for clients.
func (c *Cluster) Seeds() []string {
	var out []string
	for _, b := range c.Members {
		out = append(out, b.Addr)
	}
	return out
}

// PIDs are the processes.
func (c *Cluster) PIDs() []int {
	var out []int
	for _, b := range c.Members {
		out = append(out, b.Process.PID())
	}
	return out
}

// Ended tells of a node that has ended though nobody asked it to, with the end of its output.
func (c *Cluster) Ended() error {
	for i, b := range c.Members {
		if b.Process.Ended() {
			return fmt.Errorf("node %d has ended: %s", i+1, b.Process.Tail())
		}
	}
	return nil
}

// Kill ends all nodes at once and without notice. What they hold is of no use to anybody afterwards, and the last of a quorum
// could not leave in order anyway.
func (c *Cluster) Kill() {
	var all sync.WaitGroup
	for _, b := range c.Members {
		if b.Process != nil {
			all.Go(b.Process.Kill)
		}
	}
	all.Wait()
}

// Remove kills the nodes and removes their directories.
func (c *Cluster) Remove() {
	c.Kill()
	os.RemoveAll(c.Dir)
}

// Ports of nodes that are restarted lie below those that the kernel gives to whoever connects: else one that is free for a moment
// is taken by the time that its node comes back.
const (
	lowestPort, highestPort = 20000, 32000
	portTries               = 1000
)

// lastingPorts are so many free ports of that range.
func lastingPorts(n int) ([]string, error) {
	var out []string
	for range portTries {
		if len(out) == n {
			return out, nil
		}
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		if slices.Contains(out, port) {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue // taken
		}
		l.Close()
		out = append(out, port)
	}
	return nil, fmt.Errorf("cannot find %d free ports between %d and %d", n, lowestPort, highestPort)
}
