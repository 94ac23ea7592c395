package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	devUsage = `USAGE: moldau dev [--nodes N] [--dir DIRECTORY] [--port PORT] [--only NODE] [--override property=value]*

Starts a cluster on this machine for trying things out: N nodes (3), each a process of its own that is broker and
controller, with its data in DIRECTORY/node-1 and so on (moldau-dev). The first broker listens on localhost:PORT (9092),
the next ones 100 higher each; their controllers one above, their metrics and health checks 552 above (9644). One log shows
all nodes. Ctrl-C stops them in order. Another cluster beside it needs a PORT and a DIRECTORY of its own.

The process id of node 2 is in DIRECTORY/node-2.pid while it runs; --only 2 starts that node of the cluster alone, again.
`
	devDefaultNodes = 3
	// devMaxNodes is more than anybody tries out on one machine, and less than its ports.
	devMaxNodes    = 9
	devDefaultPort = 9092
	// devPortStep is between the ports of one node and the next; the controller listens one above the broker.
	devPortStep = 100
	// devAdminStep is from a node's port to its admin listener's, which makes that of the first node 9644, as elsewhere.
	devAdminStep = 552
	devMaxPort   = 65535 - devMaxNodes*devPortStep - devAdminStep
	// devGrace is how long the nodes may take to stop before they are ended: longer than a node's own patience.
	devGrace = 30 * time.Second
)

// devPlan is a parsed command line of moldau dev.
type devPlan struct {
	nodes, port int
	only        int // the one node to start; 0 for all
	dir         string
	overrides   []Override
}

func parseDev(args []string) (*devPlan, error) {
	p := &devPlan{nodes: devDefaultNodes, port: devDefaultPort, dir: "moldau-dev"}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		if !strings.HasPrefix(name, "--") {
			return nil, fmt.Errorf("Found non argument parameters: %s", args[i])
		}
		if name == "--override" && joined {
			return nil, errors.New("--override takes property=value as a word of its own")
		}
		if !joined {
			if i++; i >= len(args) {
				return nil, fmt.Errorf("%s needs a value", name)
			}
			value = args[i]
		}
		var err error
		switch name {
		case "--nodes":
			p.nodes, err = boundedNumber(name, value, 1, devMaxNodes)
		case "--port":
			p.port, err = boundedNumber(name, value, 1, devMaxPort)
		case "--only":
			p.only, err = boundedNumber(name, value, 1, devMaxNodes)
		case "--dir":
			p.dir = value
		case "--override":
			var o Override
			if o, err = parseOverride(value); err == nil {
				p.overrides = append(p.overrides, o)
			}
		default:
			err = fmt.Errorf("%s is not a recognized option", strings.TrimLeft(name, "-"))
		}
		if err != nil {
			return nil, err
		}
	}
	if p.only > p.nodes {
		return nil, fmt.Errorf("--only %d: the cluster has nodes 1 to %d", p.only, p.nodes)
	}
	return p, nil
}

// ids are the nodes to start.
func (p *devPlan) ids() []int {
	if p.only != 0 {
		return []int{p.only}
	}
	var out []int
	for id := range p.nodes {
		out = append(out, id+1)
	}
	return out
}

// pidFile holds the process id of node id while it runs, for who wants to see what happens when it is killed.
func (p *devPlan) pidFile(id int) string {
	return filepath.Join(p.dir, fmt.Sprintf("node-%d.pid", id))
}

func boundedNumber(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s takes a number from %d to %d, not %q", name, low, high, value)
	}
	return n, nil
}

// brokerPort is where node id (from 1) listens.
func (p *devPlan) brokerPort(id int) int { return p.port + (id-1)*devPortStep }

// portsAreFree looks for something else on the nodes' ports before any node is started: half a cluster helps nobody.
func (p *devPlan) portsAreFree() error {
	if slices.ContainsFunc(p.overrides, func(o Override) bool { return o.Key == "listeners" || o.Key == "moldau.admin.listener" }) {
		return nil // where the nodes listen is said elsewhere
	}
	for _, id := range p.ids() {
		for _, step := range []int{0, 1, devAdminStep} {
			port := p.brokerPort(id) + step
			l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", port))
			if err != nil {
				return fmt.Errorf("node %d cannot listen on localhost:%d: %w. If another cluster runs there, give this one ports and a directory of its own: --port %d --dir %s-2",
					id, port, errors.Unwrap(err), p.otherPort(), p.dir)
			}
			_ = l.Close()
		}
	}
	return nil
}

// otherPort is one that is likely to be free for a whole cluster.
func (p *devPlan) otherPort() int {
	if other := p.port + 10*devPortStep*devMaxNodes; other <= devMaxPort {
		return other
	}
	return devDefaultPort
}

// settings are the overrides with which node id is started.
func (p *devPlan) settings(id int) []string {
	var voters []string
	for v := 1; v <= p.nodes; v++ {
		voters = append(voters, fmt.Sprintf("%d@localhost:%d", v, p.brokerPort(v)+1))
	}
	copies, inSync := min(p.nodes, 3), 1
	if copies == 3 {
		inSync = 2
	}
	out := []string{
		"process.roles=broker,controller", fmt.Sprintf("node.id=%d", id),
		fmt.Sprintf("listeners=PLAINTEXT://localhost:%d,CONTROLLER://localhost:%d", p.brokerPort(id), p.brokerPort(id)+1),
		"controller.listener.names=CONTROLLER", "controller.quorum.voters=" + strings.Join(voters, ","),
		"log.dirs=" + filepath.Join(p.dir, fmt.Sprintf("node-%d", id)),
		fmt.Sprintf("default.replication.factor=%d", copies), fmt.Sprintf("min.insync.replicas=%d", inSync),
		fmt.Sprintf("offsets.topic.replication.factor=%d", copies),
		fmt.Sprintf("transaction.state.log.replication.factor=%d", copies), fmt.Sprintf("transaction.state.log.min.isr=%d", inSync),
		"group.initial.rebalance.delay.ms=0",
		fmt.Sprintf("moldau.admin.listener=127.0.0.1:%d", p.brokerPort(id)+devAdminStep),
	}
	for _, o := range p.overrides {
		out = append(out, o.Key+"="+o.Value)
	}
	return out
}

// devClusterFile keeps the id of the cluster beside its nodes, so that all of them are formatted with one.
const devClusterFile = "cluster-id"

func (p *devPlan) clusterID() (string, error) {
	name := filepath.Join(p.dir, devClusterFile)
	if data, err := os.ReadFile(name); err == nil {
		return strings.TrimSpace(string(data)), nil
	} else if !os.IsNotExist(err) {
		return "", err
	}
	id, err := newUUID()
	if err == nil {
		err = os.MkdirAll(p.dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, []byte(uuidString(id)+"\n"), 0o644)
	}
	return uuidString(id), err
}

// runDev is `moldau dev`.
func runDev(r *run, args []string) int {
	for _, a := range args {
		if a == "--help" || a == "-h" {
			r.printf("%s", devUsage)
			return 0
		}
	}
	p, err := parseDev(args)
	if err != nil {
		r.errorln(err.Error())
		return r.failln(devUsage, 1)
	}
	if err := p.portsAreFree(); err != nil {
		return r.failln(err.Error(), 1)
	}
	id, err := p.clusterID()
	if err != nil {
		return r.failln("cannot prepare the cluster's directory: "+err.Error(), 1)
	}
	exe, err := os.Executable()
	if err != nil {
		return r.failln("cannot find this program to start nodes with: "+err.Error(), 1)
	}
	return r.superviseDev(p, exe, id)
}

// devNode is a running node of the cluster.
type devNode struct {
	id  int
	cmd *exec.Cmd
}

// superviseDev starts the nodes and waits: for a signal, or for one of them to end by itself.
func (r *run) superviseDev(p *devPlan, exe, clusterID string) int {
	var signals <-chan os.Signal
	if r.Signals != nil {
		c, stop := r.Signals()
		defer stop()
		signals = c
	}
	out := &prefixed{w: r.Stdout}
	ended := make(chan int, p.nodes)
	var nodes []*devNode
	running := map[int]bool{}
	code := 0
	var servers []string
	for id := range p.nodes {
		servers = append(servers, fmt.Sprintf("localhost:%d", p.brokerPort(id+1)))
	}
	who, them := fmt.Sprintf("%d nodes are", p.nodes), "them"
	if len(p.ids()) == 1 {
		who, them = fmt.Sprintf("node %d is", p.ids()[0]), "it"
	}
	out.line("dev", fmt.Sprintf("%s starting; clients use --bootstrap-server %s; Ctrl-C stops %s", who, strings.Join(servers, ","), them))
	for _, id := range p.ids() {
		n, err := startDevNode(p, r.Args[0], exe, clusterID, id, out, ended)
		if err != nil {
			code = r.failln(fmt.Sprintf("cannot start node %d: %v", id, err), 1)
			break
		}
		nodes = append(nodes, n)
		running[id] = true
	}
	for code == 0 && len(running) > 0 {
		select {
		case s := <-signals:
			out.line("dev", "stopping all nodes ("+s.String()+")")
			return r.stopDev(nodes, running, ended, signals, out)
		case id := <-ended:
			delete(running, id)
			out.line("dev", fmt.Sprintf("node %d has ended; the others go on, start it again with: %s", id, p.restartHint(r.Args[0], id)))
		}
	}
	if code != 0 {
		r.stopDev(nodes, running, ended, signals, out)
		return code
	}
	return r.failln("no node is left", 1)
}

// restartHint is the command line that starts one node of the cluster alone.
func (p *devPlan) restartHint(program string, id int) string {
	words := []string{program, "dev", "--nodes", strconv.Itoa(p.nodes), "--port", strconv.Itoa(p.port), "--dir", p.dir, "--only", strconv.Itoa(id)}
	for _, o := range p.overrides {
		words = append(words, "--override", o.Key+"="+o.Value)
	}
	return strings.Join(words, " ")
}

func startDevNode(p *devPlan, program, exe, clusterID string, id int, out *prefixed, ended chan<- int) (*devNode, error) {
	args := []string{"server"}
	for _, s := range p.settings(id) {
		args = append(args, "--override", s)
	}
	cmd := exec.Command(exe, args...)
	cmd.Args[0] = program // the nodes say how to start the tools, as this was started
	cmd.Env = append(os.Environ(), "CLUSTER_ID="+clusterID)
	apart(cmd)
	pipe, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, pipe.Close(), w.Close())
	}
	_ = w.Close()                                                              // the node holds it now
	_ = os.WriteFile(p.pidFile(id), fmt.Appendln(nil, cmd.Process.Pid), 0o644) // without it the node runs as well
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		out.copy(fmt.Sprintf("node-%d", id), pipe)
		_ = pipe.Close()
	}()
	go func() {
		_ = cmd.Wait() // how it ended, its own last lines have said
		<-copied
		_ = os.Remove(p.pidFile(id))
		ended <- id
	}()
	return &devNode{id, cmd}, nil
}

// stopDev asks all nodes to stop and waits for them; a second signal ends them at once.
func (r *run) stopDev(nodes []*devNode, running map[int]bool, ended <-chan int, signals <-chan os.Signal, out *prefixed) int {
	send := func(s os.Signal) {
		for _, n := range nodes {
			if running[n.id] {
				_ = n.cmd.Process.Signal(s) // one that has ended meanwhile needs none
			}
		}
	}
	send(syscall.SIGTERM)
	patience := time.NewTimer(devGrace)
	defer patience.Stop()
	code, asked := 0, time.Now()
	for len(running) > 0 {
		select {
		case id := <-ended:
			delete(running, id)
		case <-signals:
			if time.Since(asked) < devSameWish {
				continue
			}
			out.line("dev", "stopping at once: the next start will check the logs")
			code = 130
			send(os.Kill)
		case <-patience.C:
			out.line("dev", "nodes that have not stopped in time are ended")
			code = 1
			send(os.Kill)
		}
	}
	if code == 0 {
		out.line("dev", "all nodes have stopped")
	}
	return code
}

// devSameWish: signals so soon after each other are one wish, sent to the process and to its group.
const devSameWish = 500 * time.Millisecond

// prefixed writes the lines of several nodes to one place, each with its node's name.
type prefixed struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *prefixed) line(name, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%-6s | %s\n", name, text)
}

func (p *prefixed) copy(name string, from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.line(name, strings.TrimRight(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}
