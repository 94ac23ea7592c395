//go:build realkafka

package cli

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCLIDiff gives every line of testdata/lines.txt to Kafka's tool and to
// ours, on Apache Kafka and on Moldau, and compares exit code, standard output
// and standard error. On either broker the two tools must agree.
func TestCLIDiff(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	only := os.Getenv("MOLDAU_CLI_SECTION")
	for _, broker := range []struct {
		name  string
		start func(*testing.T) *world
	}{{"kafka", newWorld}, {"moldau", moldauWorld}} {
		if which := os.Getenv("MOLDAU_CLI_BROKER"); which != "" && which != broker.name {
			continue
		}
		t.Run(broker.name, func(t *testing.T) {
			w := broker.start(t)
			w.lineFiles()
			driver := startDriver(t, w.real, w.dir)
			lines, differ := 0, 0
			for _, s := range readSections(t) {
				if only != "" && !strings.Contains(s.name, only) {
					continue
				}
				n, d := w.compareSection(t, s, driver)
				lines, differ = lines+n, differ+d
			}
			t.Logf("%d command lines on %s, %d differ", lines, broker.name, differ)
		})
	}
}

func (w *world) compareSection(t *testing.T, s section, driver *javaDriver) (lines, differ int) {
	theirs := w.runSection(t, s, func(words []string, stdin string) result {
		res, err := driver.run(words, stdin)
		if err != nil {
			t.Fatal(err)
		}
		return res
	})
	ours := w.runSection(t, s, w.tool)
	for i, l := range s.lines {
		if l.setUp {
			continue
		}
		lines++
		if diff := w.difference(l, theirs[i], ours[i]); diff != "" {
			differ++
			t.Errorf("%s, line %d\n$ %s\n%s", s.name, l.number, l.command, diff)
		}
	}
	return lines, differ
}

// runSection runs a section from a clean cluster on.
func (w *world) runSection(t *testing.T, s section, tool func([]string, string) result) []result {
	w.cleanAll()
	out := make([]result, len(s.lines))
	for i, l := range s.lines {
		if l.setUp {
			if res := w.run(l.command, l.stdin, false); res.code != 0 {
				t.Logf("%s, line %d: set-up ends with %d: %s%s", s.name, l.number, res.code, res.stdout, res.stderr)
			}
			continue
		}
		out[i] = tool(w.words(l.command), l.stdin)
	}
	return out
}

// words splits a command as a shell would: by blanks, double quotes keep them.
func (w *world) words(command string) []string {
	command = strings.NewReplacer("$B", w.bootstrap, "$C", w.controller).Replace(command)
	var out []string
	word, open, quoted := "", false, false
	for _, r := range command {
		switch {
		case r == '"':
			quoted, open = !quoted, true
		case r == ' ' && !quoted:
			if open {
				out = append(out, word)
			}
			word, open = "", false
		default:
			word, open = word+string(r), true
		}
	}
	if open {
		out = append(out, word)
	}
	return out
}

// tool runs one of ours.
func (w *world) tool(words []string, stdin string) result {
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Stdin = w.dir, strings.NewReader(stdin)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return result{"", err.Error(), -1}
	}
	code := cmd.ProcessState.ExitCode()
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		code = 128 + int(s.Signal()) // as a shell says it, and a JVM that SIGINT ends
	}
	return result{out.String(), errs.String(), code}
}

func (w *world) difference(l line, theirs, ours result) string {
	var parts []string
	if theirs.code != ours.code {
		parts = append(parts, fmt.Sprintf("exit code: Kafka's %d, ours %d", theirs.code, ours.code))
	}
	if !strings.Contains(l.how, "code") {
		parts = append(parts, w.streamDifference("standard output", l.how, theirs.stdout, ours.stdout)...)
		if !strings.Contains(l.how, "out") {
			parts = append(parts, w.streamDifference("standard error", l.how, theirs.stderr, ours.stderr)...)
		}
	}
	return strings.Join(parts, "\n")
}

func (w *world) streamDifference(name, how, theirs, ours string) []string {
	a, b := w.comparable(theirs, how), w.comparable(ours, how)
	if a == b {
		return nil
	}
	return []string{fmt.Sprintf("--- %s, Kafka's\n%s\n--- %s, ours\n%s", name, a, name, b)}
}

// cleanAll deletes what an earlier section left.
func (w *world) cleanAll() {
	const b = " --bootstrap-server $B "
	w.run("kafka-consumer-groups"+b+"--delete --all-groups; kafka-share-groups"+b+"--delete --all-groups; kafka-topics"+b+"--delete --topic '[^_].*' --if-exists; "+
		"for t in topic group transactional-id; do kafka-acls"+b+"--remove --force --$t '*' --resource-pattern-type any; done; kafka-acls"+b+"--remove --force --topic at1 --topic at2 --topic x --group g --user-principal foo; "+
		"kafka-client-metrics"+b+"--delete --name m1; kafka-client-metrics"+b+"--delete --name a", "", false)
}

// lineFiles writes the files that lines name.
func (w *world) lineFiles() {
	files := map[string]string{
		"short.properties": "default.api.timeout.ms=2000\nrequest.timeout.ms=1000\n",
		"rk.props":         "authorizer.class.name=a\nsuper.users=User:ANONYMOUS\nx=y\nz=w\n",
		"move.json":        `{"topics":[{"topic":"ra"}],"version":1}`,
		"plan.json":        `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1]},{"topic":"ra","partition":1,"replicas":[1]}]}`,
		"bad9.json":        `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1,9]}]}`,
		"badt.json":        `{"version":1,"partitions":[{"topic":"nosuch","partition":0,"replicas":[1]}]}`,
		"baddup.json":      `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1,1]}]}`,
		"badempty.json":    `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[]}]}`,
		"badtwice.json":    `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1]},{"topic":"ra","partition":0,"replicas":[2]}]}`,
		"badnone.json":     `{"version":1,"partitions":[]}`,
		"badver.json":      `{"version":7,"partitions":[{"topic":"ra","partition":0,"replicas":[1]}]}`,
		"badjson.json":     "nonsense",
		"nover.json":       `{"partitions":[{"topic":"ra","partition":0,"replicas":[1]}]}`,
		"dir.json":         `{"version":1,"partitions":[{"topic":"ra","partition":0,"replicas":[1],"log_dirs":["/nosuch"]}]}`,
		"dr.json":          `{"partitions":[{"topic":"d2","partition":0,"offset":4}],"version":1}`,
		"node.properties":  w.nodeProperties,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	if w.metadataLog != "" {
		w.run("kafka-topics --bootstrap-server $B --create --topic le1 --partitions 2; sleep 1; cp "+w.metadataLog+" metadata.log", "", false)
	}
}

// moldauWorld starts a Moldau node of its own.
func moldauWorld(t *testing.T) *world {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &world{t: t, bin: bin, dir: t.TempDir(), real: os.Getenv("MOLDAU_REALKAFKA")}
	w.bootstrap, w.controller = freeAddress(t), freeAddress(t)
	w.nodeProperties = fmt.Sprintf("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@%s\nlisteners=PLAINTEXT://%s,CONTROLLER://%s\ncontroller.listener.names=CONTROLLER\nlog.dirs=%s\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
		w.controller, w.bootstrap, w.controller, filepath.Join(dir, "data"))
	config := filepath.Join(dir, "node.properties")
	if err := os.WriteFile(config, []byte(w.nodeProperties), 0o644); err != nil {
		t.Fatal(err)
	}
	format := exec.Command(filepath.Join(bin, "kafka-storage"), "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("cannot format: %v\n%s", err, out)
	}
	logged, err := os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "moldau"), "server", config)
	cmd.Stdout, cmd.Stderr = logged, logged
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		logged.Close()
	})
	w.metadataLog = filepath.Join(dir, "data/__cluster_metadata-0/00000000000000000000.log")
	for try := 0; ; try++ {
		if conn, err := net.Dial("tcp", w.bootstrap); err == nil {
			conn.Close()
			return w
		}
		if try > 200 {
			t.Fatalf("the node does not answer:\n%s", tail(logged.Name()))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var lines []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
