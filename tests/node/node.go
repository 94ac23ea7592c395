package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kind says which server stands behind a Spec.
type Kind int

const (
	// External is a cluster that somebody else started.
	External Kind = iota
	// Moldau is the binary under test.
	Moldau
	// Real is Apache Kafka, started through the realkafka script.
	Real
)

const (
	// readyTimeout bounds a start, realReadyTimeout one of Apache Kafka: three JVMs that start at once on two loaded cores need minutes.
	readyTimeout, realReadyTimeout = 90 * time.Second, 4 * time.Minute
	// pingTimeout bounds one question. A JVM listens long before it answers, and each connection that is given up stays in its
	// queue of 50: many short tries would fill the queue, and the kernel would leave the next ones without an answer.
	pingTimeout = 15 * time.Second
)

// realHeap is the heap of a node of Apache Kafka.
const realHeap = "512m"

// stopTimeout is how long a server may take over a clean stop before it is killed.
const stopTimeout = 30 * time.Second

// logTailBytes is how much of a server's output is shown when it fails.
const logTailBytes = 4 << 10

// Spec describes the server that a suite wants.
type Spec struct {
	Kind      Kind
	Bootstrap string            // External: where the cluster listens
	Binary    string            // Moldau: path to the binary
	RealKafka string            // Real: path to the realkafka script
	JVM       string            // Real: more options of the Java machine
	Props     map[string]string // server properties on top of the common ones
}

// Node is one server. Its methods are called from one goroutine.
type Node struct {
	Bootstrap string
	Dir       string

	spec  Spec
	props string
	proc  *process
}

// process is one run of the server; done is closed when it has been reaped.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start formats a fresh directory under parent and starts a node on free ports.
func Start(spec Spec, parent string) (*Node, error) {
	if spec.Kind == External {
		n := &Node{Bootstrap: spec.Bootstrap, spec: spec}
		return n, n.waitReady(nil, 1)
	}
	dir, err := os.MkdirTemp(parent, "node-")
	if err != nil {
		return nil, fmt.Errorf("cannot make the node's directory: %w", err)
	}
	n := &Node{Dir: dir, spec: spec, props: filepath.Join(dir, "server.properties")}
	if err := n.writeProps(); err != nil {
		return nil, err
	}
	cluster, err := NewClusterID()
	if err != nil {
		return nil, err
	}
	if err := n.format(cluster); err != nil {
		return nil, err
	}
	return n, n.Restart()
}

// Own says whether the server is a process of ours, which may be killed and measured.
func (n *Node) Own() bool { return n.spec.Kind != External }

// PID is the process id of the running server.
func (n *Node) PID() int { return n.proc.cmd.Process.Pid }

func (n *Node) writeProps() error {
	ports, err := FreePorts(3)
	if err != nil {
		return err
	}
	n.Bootstrap = "127.0.0.1:" + ports[0]
	all := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@127.0.0.1:" + ports[1],
		"listeners":                                        "PLAINTEXT://127.0.0.1:" + ports[0] + ",CONTROLLER://127.0.0.1:" + ports[1],
		"advertised.listeners":                             "PLAINTEXT://127.0.0.1:" + ports[0],
		"controller.listener.names":                        "CONTROLLER",
		"listener.security.protocol.map":                   "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                                         filepath.Join(n.Dir, "data"),
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		// Members of a KIP-848 group learn of changes by heartbeat; Kafka's 5 s would make the tests wait.
		"group.consumer.min.heartbeat.interval.ms": "300",
		"group.consumer.heartbeat.interval.ms":     "300",
		"group.initial.rebalance.delay.ms":         "100",
	}
	if n.spec.Kind == Moldau {
		all["moldau.admin.listener"] = "127.0.0.1:" + ports[2]
	}
	for k, v := range n.spec.Props {
		all[k] = v
	}
	return n.store(all)
}

// store writes the server's properties file.
func (n *Node) store(all map[string]string) error {
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s\n", k, all[k])
	}
	return os.WriteFile(n.props, b.Bytes(), 0o644)
}

// FreePorts asks the kernel for ports that nobody listens on. They are held
// together and then let go, so they differ.
func FreePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// NewClusterID is a random cluster id.
func NewClusterID() (string, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	cluster := base64.RawURLEncoding.EncodeToString(id)
	if strings.HasPrefix(cluster, "-") { // a leading dash would read as an option
		cluster = "A" + cluster[1:]
	}
	return cluster, nil
}

func (n *Node) format(cluster string) error {
	args := []string{"format", "-t", cluster, "-c", n.props}
	var cmd *exec.Cmd
	if n.spec.Kind == Moldau {
		cmd = exec.Command(n.spec.Binary, append([]string{"storage"}, args...)...)
	} else {
		cmd = exec.Command(n.spec.RealKafka, append([]string{"class", "kafka.tools.StorageTool"}, args...)...)
		cmd.Env = n.javaEnv()
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot format the node's storage: %w: %s", err, out)
	}
	return nil
}

// javaEnv is the environment of Apache Kafka's programs.
func (n *Node) javaEnv() []string {
	if n.spec.JVM == "" {
		return os.Environ()
	}
	return append(os.Environ(), "RK_JVM="+n.spec.JVM)
}

// Restart starts the server on its directory as it is and waits until it answers.
func (n *Node) Restart() error {
	if err := n.Launch(); err != nil {
		return err
	}
	if err := n.waitReady(n.proc.done, 1); err != nil {
		return fmt.Errorf("%w; the end of its output:\n%s", err, n.LogTail())
	}
	return nil
}

// Launch starts the server and does not wait for it: one node of several may not be able to answer alone.
func (n *Node) Launch() error {
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	var cmd *exec.Cmd
	if n.spec.Kind == Moldau {
		cmd = exec.Command(n.spec.Binary, "server", n.props)
	} else {
		cmd = exec.Command(n.spec.RealKafka, "class", "kafka.Kafka", n.props)
		cmd.Env = append(n.javaEnv(), "RK_HEAP="+realHeap)
	}
	cmd.Stdout, cmd.Stderr = log, log
	// The server must not outlive us, however we end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start the server: %w", err)
	}
	n.proc = p
	return nil
}

// run starts and reaps the process. Pdeathsig follows the thread that forked,
// so this goroutine keeps its thread for as long as the process lives.
func (p *process) run(started chan<- error) {
	lockThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
	close(p.done)
}

// patience is how long the server may take over its start.
func (n *Node) patience() time.Duration {
	if n.spec.Kind == Real {
		return realReadyTimeout
	}
	return readyTimeout
}

// waitReady asks for metadata until so many brokers are listed.
func (n *Node) waitReady(ended <-chan struct{}, brokers int) error {
	deadline := time.Now().Add(n.patience())
	var last error
	for time.Now().Before(deadline) {
		select {
		case <-ended:
			return errors.New("the server ended before it answered")
		default:
		}
		if last = ping(n.Bootstrap, brokers); last == nil {
			return nil
		}
		time.Sleep(30 * time.Millisecond)
	}
	return fmt.Errorf("the server did not answer within %s: %w", n.patience(), last)
}

// Ping asks one metadata question of the server and fails unless a broker is listed.
func Ping(bootstrap string) error { return ping(bootstrap, 1) }

// ping fails unless the server lists so many brokers and a controller.
func ping(bootstrap string, brokers int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RequestRetries(0), kgo.DialTimeout(pingTimeout))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(resp.Brokers) < brokers || resp.ControllerID < 0 {
		return fmt.Errorf("%d of %d brokers are registered, and the controller is %d", len(resp.Brokers), brokers, resp.ControllerID)
	}
	return nil
}

// Kill ends the server as a power cut of the process would: no signal handler runs.
func (n *Node) Kill() {
	_ = n.proc.cmd.Process.Kill()
	<-n.proc.done
}

// Stop asks the server to stop and kills it if it does not. It reports an
// error when it had to be killed or ended badly.
func (n *Node) Stop() error {
	if !n.Own() || n.proc == nil {
		return nil
	}
	select {
	case <-n.proc.done:
		return fmt.Errorf("the server had already ended (%s); the end of its output:\n%s", n.proc.cmd.ProcessState, n.LogTail())
	default:
	}
	_ = n.proc.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.proc.done:
	case <-time.After(stopTimeout):
		n.Kill()
		return fmt.Errorf("the server did not stop within %s of SIGTERM", stopTimeout)
	}
	// The JVM reports a TERM as 143 although it stopped cleanly.
	if code := n.proc.cmd.ProcessState.ExitCode(); code != 0 && code != 143 {
		return fmt.Errorf("the server ended with code %d; the end of its output:\n%s", code, n.LogTail())
	}
	return nil
}

// Alive says whether the process still runs.
func (n *Node) Alive() bool {
	if !n.Own() {
		return true
	}
	select {
	case <-n.proc.done:
		return false
	default:
		return true
	}
}

func (n *Node) logPath() string { return filepath.Join(n.Dir, "server.log") }

// LogTail returns the end of what the server wrote.
func (n *Node) LogTail() string {
	b, err := os.ReadFile(n.logPath())
	if err != nil {
		return ""
	}
	if len(b) > logTailBytes {
		b = b[len(b)-logTailBytes:]
	}
	return string(b)
}

// RSSBytes reads the resident memory of the server.
func (n *Node) RSSBytes() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS line in the process status")
}

// Fleet keeps the nodes that a run has started, so that a signal can end them all.
type Fleet struct {
	mu    sync.Mutex
	nodes []*Node // guarded by mu
}

// Start is like the package's Start and remembers the node.
func (f *Fleet) Start(spec Spec, parent string) (*Node, error) {
	n, err := Start(spec, parent)
	if n != nil {
		f.mu.Lock()
		f.nodes = append(f.nodes, n)
		f.mu.Unlock()
	}
	return n, err
}

// KillAll ends every node that still runs.
func (f *Fleet) KillAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		if n.Own() && n.proc != nil && n.Alive() {
			n.Kill()
		}
	}
}
