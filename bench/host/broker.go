package host

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Broker is a running node of either kind.
type Broker struct {
	Process *Process
	Addr    string
	Admin   string // http address of metrics and profiles; ours only
	Dir     string
	Started time.Time // when it was executed
	spec    Spec
	ports   []string
}

// Spec says what to start.
type Spec struct {
	Moldau string // path of the binary; or
	Kafka  *Kafka
	Parent string // directory
	CPU    int    // to pin to, -1: none
	Props  map[string]string
	Heap   string // of Kafka
	Env    []string
}

// Common is what both brokers are given: one node, and nothing that a default would not do
// except that a single node can hold the internal topics.
func common(dir string, ports []string) map[string]string {
	return map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@127.0.0.1:" + ports[1],
		"listeners":                                        "PLAINTEXT://127.0.0.1:" + ports[0] + ",CONTROLLER://127.0.0.1:" + ports[1],
		"advertised.listeners":                             "PLAINTEXT://127.0.0.1:" + ports[0],
		"controller.listener.names":                        "CONTROLLER",
		"listener.security.protocol.map":                   "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                                         filepath.Join(dir, "data"),
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
	}
}

// StartBroker formats a fresh directory and starts a broker in it.
func StartBroker(s Spec) (*Broker, error) {
	dir, err := os.MkdirTemp(s.Parent, "broker-")
	if err != nil {
		return nil, fmt.Errorf("cannot make the broker's directory: %w", err)
	}
	b := &Broker{Dir: dir, spec: s}
	if b.ports, err = freePorts(3); err != nil {
		return nil, err
	}
	b.Addr = "127.0.0.1:" + b.ports[0]
	props := common(dir, b.ports)
	if s.Moldau != "" {
		props["moldau.admin.listener"] = "127.0.0.1:" + b.ports[2]
		b.Admin = "http://127.0.0.1:" + b.ports[2]
	}
	for k, v := range s.Props {
		props[k] = v
	}
	if err := writeProps(b.propsFile(), props); err != nil {
		return nil, err
	}
	if err := b.format(); err != nil {
		return nil, err
	}
	if err := b.Exec(); err != nil {
		return nil, err
	}
	return b, b.AwaitPort()
}

func (b *Broker) propsFile() string { return filepath.Join(b.Dir, "server.properties") }

func (b *Broker) format() error {
	const clusterID = "AAAAAAAAAAAAAAAAAAAAAQ"
	var cmd *exec.Cmd
	if b.spec.Moldau != "" {
		cmd = exec.Command(b.spec.Moldau, "storage", "format", "--cluster-id", clusterID, "--config", b.propsFile())
	} else {
		cmd = b.spec.Kafka.Command(-1, "128m", "kafka.tools.StorageTool", "format", "--cluster-id", clusterID, "--config", b.propsFile())
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot format: %w: %s", err, out)
	}
	return nil
}

// Exec starts the broker's process in its directory, and does not wait.
func (b *Broker) Exec() error {
	var cmd *exec.Cmd
	if b.spec.Moldau != "" {
		cmd = Command(b.spec.CPU, b.spec.Moldau, "server", b.propsFile())
	} else {
		cmd = b.spec.Kafka.Command(b.spec.CPU, b.spec.Heap, "kafka.Kafka", b.propsFile())
	}
	cmd.Env = append(os.Environ(), b.spec.Env...)
	b.Started = time.Now()
	p, err := Start(cmd, filepath.Join(b.Dir, "log"))
	b.Process = p
	return err
}

// readyTimeout bounds a start.
const readyTimeout = 180 * time.Second

// AwaitPort waits until the broker's port is open.
func (b *Broker) AwaitPort() error {
	for end := time.Now().Add(readyTimeout); ; time.Sleep(time.Millisecond) {
		if c, err := net.Dial("tcp", b.Addr); err == nil {
			c.Close()
			return nil
		}
		if b.Process.Ended() {
			return fmt.Errorf("the broker ended: %s", b.Process.Tail())
		}
		if time.Now().After(end) {
			return fmt.Errorf("the broker is not ready after %s: %s", readyTimeout, b.Process.Tail())
		}
	}
}

// Remove stops the broker and removes its directory.
func (b *Broker) Remove() {
	if b.Process != nil {
		b.Process.Stop()
	}
	os.RemoveAll(b.Dir)
}

// Trouble is what its log holds of warnings and errors.
func (b *Broker) Trouble() []string {
	text, _ := os.ReadFile(filepath.Join(b.Dir, "log"))
	var out []string
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, "ERROR") || strings.Contains(l, "FATAL") || strings.Contains(l, "panic:") {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

func writeProps(path string, props map[string]string) error {
	keys := make([]string, 0, len(props))
	for k := range props {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var text strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&text, "%s=%s\n", k, props[k])
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		out = append(out, port)
	}
	return out, nil
}
