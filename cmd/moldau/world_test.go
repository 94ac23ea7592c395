package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// toolSeconds is how long a tool may take before it is ended as by SIGINT.
const toolSeconds = 12

// sigintSeconds is when a line that is compared "sigint" is ended: after what a
// tool does in the beginning, on a slow machine too.
const sigintSeconds = 6

// shortLimits are for lines that wait in vain. Lines that nobody keeps waiting are as good with patientLimits, on a busy machine too.
const (
	shortLimits   = "default.api.timeout.ms=2000\nrequest.timeout.ms=1000\n"
	patientLimits = "default.api.timeout.ms=10000\nrequest.timeout.ms=5000\n"
)

// world is a cluster, a folder for files and the folder of our tools.
type world struct {
	t     *testing.T
	bin   string
	dir   string
	name  string
	nodes int

	bootstrap, controller, sasl string
	nodeProperties, metadataLog string // of the first node

	behind     *exec.Cmd // the line that runs in the background
	behindSays struct{ stdout, stderr *heard }
}

// noSASL is where nobody listens, in a world without logins. It begins many a real address, and is not looked for in output.
const noSASL = "127.0.0.1:3"

type result struct {
	stdout, stderr string
	code           int
}

// offlineWorld has no cluster.
func offlineWorld(t *testing.T) *world {
	return &world{t: t, bin: toolFolder(t), dir: t.TempDir(), bootstrap: "127.0.0.1:1", controller: "127.0.0.1:2", sasl: noSASL}
}

// fill puts addresses into a line: $B brokers, $B1, $B2, ... one of them, $C a
// controller, $S the broker's SASL listener, $W the folder.
func (w *world) fill(s string) string {
	pairs := []string{}
	for i, b := range strings.Split(w.bootstrap, ",") {
		pairs = append(pairs, fmt.Sprintf("$B%d", i+1), b)
	}
	return strings.NewReplacer(append(pairs, "$B", w.bootstrap, "$C", w.controller, "$S", w.sasl, "$W", w.dir)...).Replace(s)
}

func (w *world) environ() []string {
	return toolEnviron("PATH="+w.bin+":"+os.Getenv("PATH"), "B="+w.bootstrap, "C="+w.controller, "S="+w.sasl, "W="+w.dir)
}

// shell runs a line of shell.
func (w *world) shell(line, stdin string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, w.environ(), strings.NewReader(stdin)
	return finish(cmd)
}

// tool runs one of ours.
func (w *world) tool(words []string, stdin string) result {
	return w.toolFor(words, stdin, toolSeconds)
}

func (w *world) toolFor(words []string, stdin string, seconds int) result {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, w.environ(), strings.NewReader(stdin)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return finish(cmd)
}

func finish(cmd *exec.Cmd) result {
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return result{"", err.Error(), -1}
	}
	return result{out.String(), errs.String(), exitCode(cmd.ProcessState)}
}

// exitCode is the code as a shell says it.
func exitCode(p *os.ProcessState) int {
	if s, ok := p.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return p.ExitCode()
}

// background starts a line that goes on; it must be a tool and its arguments.
func (w *world) background(line string) {
	w.endBackground()
	words := w.words(line)
	cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Env = w.dir, w.environ()
	w.behindSays.stdout, w.behindSays.stderr = &heard{}, &heard{}
	cmd.Stdout, cmd.Stderr = w.behindSays.stdout, w.behindSays.stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.behind = cmd
}

// endBackground ends the line in the background by SIGINT and returns what it said.
func (w *world) endBackground() result {
	if w.behind == nil {
		return result{}
	}
	w.behind.Process.Signal(syscall.SIGINT)
	w.behind.Wait()
	code := exitCode(w.behind.ProcessState)
	w.behind = nil
	return result{w.behindSays.stdout.String(), w.behindSays.stderr.String(), code}
}

// runSection runs a section with the tools of tool, which gets a line's words,
// its standard input and the seconds after which it is ended.
func (w *world) runSection(s section, tool func([]string, string, int) result) []result {
	out := make([]result, len(s.lines))
	defer w.endBackground()
	for i, l := range s.lines {
		switch l.kind {
		case background:
			w.background(l.command)
		case endOfIt:
			w.endBackground()
		case setUp:
			if res := w.shell(l.command, l.stdin); res.code != 0 {
				w.t.Logf("%s, line %d: set-up ends with %d: %s%s", s.name, l.number, res.code, res.stdout, res.stderr)
			}
		default:
			seconds := toolSeconds
			if l.how["sigint"] {
				seconds = sigintSeconds
			}
			if l.how["patient"] {
				w.write("short.properties", patientLimits, 0o644)
			}
			out[i] = tool(w.words(l.command), l.stdin, seconds)
			if l.how["patient"] {
				w.write("short.properties", shortLimits, 0o644)
			}
		}
	}
	return out
}

// writeFiles writes the files that lines name.
func (w *world) writeFiles() {
	login := func(user string) string {
		return "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n  username=\"" + user + "\" \\\n  password=\"" + user + "-secret\";\ndefault.api.timeout.ms=5000\nrequest.timeout.ms=3000\n"
	}
	files := map[string]string{
		"alice.properties":    login("alice"),
		"bob.properties":      login("bob"),
		"admin.properties":    login("admin"),
		"mallory.properties":  strings.ReplaceAll(login("alice"), "alice-secret", "wrong"),
		"short.properties":    shortLimits,
		"named.properties":    "client.id=mine\ndefault.api.timeout.ms=2000\nrequest.timeout.ms=1000\n",
		"idem-off.properties": "enable.idempotence=false\n",
		"rk.props":            "authorizer.class.name=a\nsuper.users=User:ANONYMOUS\nx=y\nz=w\n",
		"move.json":           `{"topics":[{"topic":"ra"}],"version":1}`,
		"plan.json":           `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1]},{"topic":"ra","partition":1,"replicas":[1]}]}`,
		"bad9.json":           `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1,9]}]}`,
		"badt.json":           `{"version":1,"partitions":[{"topic":"nosuch","partition":0,"replicas":[1]}]}`,
		"baddup.json":         `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1,1]}]}`,
		"badempty.json":       `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[]}]}`,
		"badtwice.json":       `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1]},{"topic":"ra","partition":0,"replicas":[2]}]}`,
		"badnone.json":        `{"version":1,"partitions":[]}`,
		"badver.json":         `{"version":7,"partitions":[{"topic":"ra","partition":0,"replicas":[1]}]}`,
		"badjson.json":        "nonsense",
		"nover.json":          `{"partitions":[{"topic":"ra","partition":0,"replicas":[1]}]}`,
		"dir.json":            `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1],"log_dirs":["/nosuch"]}]}`,
		"dr.json":             `{"partitions":[{"topic":"d2","partition":0,"offset":4}],"version":1}`,
		"node.properties":     w.nodeProperties,
	}
	for name, text := range files {
		w.write(name, text, 0o644)
	}
	w.write("wait-any", "#!/bin/bash\nfor i in $(seq 50); do kafka-consumer-groups --bootstrap-server $1 --describe --all-groups 2>/dev/null | grep -q \" $2 .*console-consumer\" && exit; sleep 0.2; done\n", 0o755)
	w.write("wait-member", "#!/bin/bash\nfor i in $(seq 50); do kafka-${3:-consumer}-groups --bootstrap-server $1 --describe --members --group $2 2>/dev/null | grep -q '127.0.0' && exit; sleep 0.2; done\n", 0o755)
	if w.metadataLog != "" {
		w.shell("kafka-topics --bootstrap-server $B --create --topic le1 --partitions 2; sleep 0.3; cp "+w.metadataLog+" metadata.log; kafka-topics --bootstrap-server $B --delete --topic le1", "")
	}
}

func (w *world) write(name, text string, mode os.FileMode) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

// internalTopics makes the cluster create its own topics, so that each section finds them.
func (w *world) internalTopics() {
	w.shell("kafka-topics --bootstrap-server $B --create --topic warm-up; echo x | kafka-console-producer --bootstrap-server $B --topic warm-up; "+
		"kafka-console-consumer --bootstrap-server $B --topic warm-up --group warm-up --from-beginning --max-messages 1 --timeout-ms 20000; "+
		"kafka-configs --bootstrap-server $B --alter --group warm-share --add-config share.auto.offset.reset=earliest; "+
		"kafka-console-share-consumer --bootstrap-server $B --topic warm-up --group warm-share --max-messages 1 --timeout-ms 20000; "+
		"kafka-producer-perf-test --bootstrap-server $B --topic warm-up --num-records 1 --record-size 1 --throughput -1 --transactional-id warm-up; "+
		"kafka-consumer-groups --bootstrap-server $B --delete --group warm-up; kafka-share-groups --bootstrap-server $B --delete --group warm-share; "+
		"kafka-configs --bootstrap-server $B --alter --group warm-share --delete-config share.auto.offset.reset; kafka-topics --bootstrap-server $B --delete --topic warm-up", "")
}

// moldauWorld starts nodes of Moldau.
func moldauWorld(t *testing.T, nodes int) *world {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the lines' set-up needs bash")
	}
	w := &world{t: t, bin: toolFolder(t), dir: t.TempDir(), name: "moldau", nodes: nodes}
	addresses := freeAddresses(t, 2*nodes)
	brokers, controllers := addresses[:nodes], addresses[nodes:]
	w.bootstrap, w.controller, w.sasl = strings.Join(brokers, ","), controllers[0], noSASL
	var voters []string
	for i, c := range controllers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, c))
	}
	copies := min(nodes, 3)
	data, err := os.MkdirTemp("", "moldau-nodes") // a test's own folder may have a comma in its name, which log.dirs would take for two
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	for i := range nodes {
		properties := fmt.Sprintf("process.roles=broker,controller\nnode.id=%d\ncontroller.quorum.voters=%s\nlisteners=PLAINTEXT://%s,CONTROLLER://%s\ncontroller.listener.names=CONTROLLER\nlog.dirs=%s\noffsets.topic.replication.factor=%d\ntransaction.state.log.replication.factor=%d\ntransaction.state.log.min.isr=%d\nshare.coordinator.state.topic.replication.factor=%d\nshare.coordinator.state.topic.min.isr=%d\ngroup.initial.rebalance.delay.ms=0\n",
			i+1, strings.Join(voters, ","), brokers[i], controllers[i], filepath.Join(data, fmt.Sprintf("data-%d", i+1)), copies, copies, max(1, copies-1), copies, max(1, copies-1))
		w.startNode(filepath.Join(data, fmt.Sprintf("%d.properties", i+1)), properties)
		if i == 0 {
			w.nodeProperties = properties
			w.metadataLog = filepath.Join(data, "data-1/__cluster_metadata-0/00000000000000000000.log")
		}
	}
	for _, b := range brokers {
		w.awaitAddress(b)
	}
	return w
}

func (w *world) startNode(config, properties string) {
	if err := os.WriteFile(config, []byte(properties), 0o644); err != nil {
		w.t.Fatal(err)
	}
	if res := w.tool([]string{"kafka-storage", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config}, ""); res.code != 0 {
		w.t.Fatalf("cannot format: %s%s", res.stdout, res.stderr)
	}
	logged, err := os.Create(config + ".log")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(w.bin, "moldau"), "server", config)
	cmd.Env, cmd.Stdout, cmd.Stderr = toolEnviron(), logged, logged
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		logged.Close()
		if w.t.Failed() && os.Getenv("MOLDAU_CLI_LOGS") != "" {
			text, _ := os.ReadFile(logged.Name())
			w.t.Logf("%s", text)
		}
	})
}

func (w *world) awaitAddress(address string) {
	for range 400 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("the node on %s does not answer", address)
}

// freeAddresses are addresses at which nobody listens.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		a := fmt.Sprintf("127.0.0.1:%d", freePorts(t, []int{0}))
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
