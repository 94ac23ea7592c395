package node

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Prepare makes one node of a cluster, formatted and not started. Its properties are those given, and no others.
func Prepare(spec Spec, dir, bootstrap, cluster string, props map[string]string) (*Node, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	n := &Node{Bootstrap: bootstrap, Dir: dir, spec: spec, props: filepath.Join(dir, "server.properties")}
	if err := n.store(props); err != nil {
		return nil, err
	}
	return n, n.format(cluster)
}

// Adopt lets the fleet end a node that Prepare made.
func (f *Fleet) Adopt(n *Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = append(f.nodes, n)
}

// Pause stops the process where it stands; Resume lets it go on.
func (n *Node) Pause() error { return n.proc.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (n *Node) Resume() error { return n.proc.cmd.Process.Signal(syscall.SIGCONT) }

// WaitReady waits until the server answers.
func (n *Node) WaitReady() error { return n.WaitBrokers(1) }

// WaitBrokers waits until the server answers and knows so many brokers.
func (n *Node) WaitBrokers(count int) error {
	if err := n.waitReady(n.proc.done, count); err != nil {
		return fmt.Errorf("%w; the end of its output:\n%s", err, n.LogTail())
	}
	return nil
}

// TimedStop is Stop, and tells how long the server took.
func (n *Node) TimedStop() (time.Duration, error) {
	start := time.Now()
	err := n.Stop()
	return time.Since(start), err
}
