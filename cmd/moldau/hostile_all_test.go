package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/cli"
)

// waitingLines are a line of each tool that waits for its broker as long as there is none.
func waitingLines() map[string]string {
	return map[string]string{
		"verifiable-consumer":  "kafka-verifiable-consumer --bootstrap-server $B --topic t --group-id v",
		"replica-verification": "kafka-replica-verification --broker-list $B",
		"console-consumer":     "kafka-console-consumer --bootstrap-server $B --topic t",
		"group consumer":       "kafka-console-consumer --bootstrap-server $B --topic t --group g --command-property group.protocol=consumer",
		"message-copier":       "kafka-transactional-message-copier --broker-list $B --input-topic t --output-topic u --input-partition 0 --transactional-id x --consumer-group g",
	}
}

// withoutBroker are the tools that speak with no broker. What they read is garbage in TestGarbageInPlaceOfEachFile and
// in TestMetricsThatAreNone; server-start and server-stop have tests of their own.
func withoutBroker() []string {
	return []string{"kafka-dump-log", "kafka-jmx", "kafka-metadata-shell", "kafka-server-start", "kafka-server-stop", "kafka-storage"}
}

// A tool that nobody uses hostilely here would be forgotten when it is new.
func TestEachToolIsUsedHostilely(t *testing.T) {
	used := map[string]bool{}
	for _, lines := range []map[string]string{clientLines(), waitingLines()} {
		for _, line := range lines {
			used[strings.Fields(line)[0]] = true
		}
	}
	for _, name := range withoutBroker() {
		used[name] = true
	}
	for _, name := range cli.ToolNames() {
		if !used[name] {
			t.Errorf("%s is in no list of lines that are sent to what is no broker", name)
		}
	}
}

// TestToolsThatWaitSayForWhat sends the tools that wait to what is no broker: they say what is there, and end at SIGINT.
func TestToolsThatWaitSayForWhat(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for timeouts")
	}
	w := offlineWorld(t)
	for _, peer := range []struct{ name, address, says string }{
		{"nobody", "127.0.0.1:1", "127.0.0.1:1 refuses the connection"},
		{"http", listenFor(t, answerWith("HTTP/1.1 400 Bad Request\r\n\r\n")), "speaks HTTP, not Kafka"},
		{"tls", listenFor(t, answerWith("\x15\x03\x03\x00\x02\x02\x0a")), "speaks TLS: set security.protocol=SSL"},
		{"closing", listenFor(t, answerWith("")), "closed the connection without an answer"},
		{"garbage", listenFor(t, answerWith(strings.Repeat("\xff", 300))), "sends what is not Kafka's protocol"},
	} {
		t.Run(peer.name, func(t *testing.T) {
			eachLine(t, waitingLines(), func(line string) {
				one := *w
				one.t, one.bootstrap = t, peer.address
				r := one.start(line, "")
				r.errs.await(t, line, 0, func(s string) bool { return strings.Contains(s, peer.says) })
				r.cmd.Process.Signal(syscall.SIGINT)
				r.cmd.Wait()
				res := result{r.out.String(), r.errs.String(), exitCode(r.cmd.ProcessState)}
				wellSaid(t, line, res)
				if res.code != 130 && !strings.Contains(line, "copier") { // which may have given up before
					t.Errorf("$ %s\nexit code %d at SIGINT\n%s", line, res.code, res.stderr)
				}
			})
		})
	}
}

// TestCtrlCEndsEachToolAtASilentServer sends SIGINT to each tool while it waits for a server that does not answer.
func TestCtrlCEndsEachToolAtASilentServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts every tool")
	}
	w := offlineWorld(t)
	asked := make(chan struct{}, 1000)
	w.bootstrap = listenFor(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		asked <- struct{}{}
		io.Copy(io.Discard, c)
	})
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":1}],"version":1}`, 0o644)
	w.write("patient.properties", "client.id=patient\n", 0o644)
	lines := waitingLines()
	for name, line := range clientLines() {
		lines[name+" "] = strings.ReplaceAll(line, "$P", "patient.properties")
	}
	for name, line := range lines {
		t.Run(strings.TrimSpace(name), func(t *testing.T) {
			one := *w
			one.t = t
			words := one.words(line)
			cmd := exec.Command(filepath.Join(one.bin, words[0]), words[1:]...)
			cmd.Dir, cmd.Env = one.dir, one.environ()
			stdin, err := cmd.StdinPipe() // stays open: the producer waits for a line
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			io.WriteString(stdin, "x\n")
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
			select {
			case <-asked:
			case <-time.After(30 * time.Second):
			}
			cmd.Process.Signal(syscall.SIGINT)
			cmd.Wait()
			late.Stop()
			res := result{out.String(), errs.String(), exitCode(cmd.ProcessState)}
			wellSaid(t, line, res)
			if res.code != 130 {
				t.Errorf("$ %s\nexit code %d at SIGINT\n%s%s", line, res.code, res.stdout, res.stderr)
			}
		})
	}
}

// fileLines are lines of each option that names a file, $F, with what makes the file's name right for it.
func fileLines() map[string]string {
	const b = " --bootstrap-server $B "
	lines := map[string]string{
		"metadata-shell":    "kafka-metadata-shell --snapshot $F ls /",
		"shell without it":  "kafka-metadata-shell -s $F cat /image",
		"storage info":      "kafka-storage info -c $F",
		"storage format":    "kafka-storage format -t AAAAAAAAAAAAAAAAAAAAAQ -c $F",
		"delete-records":    "kafka-delete-records" + b + "--offset-json-file $F",
		"reassign":          "kafka-reassign-partitions" + b + "--execute --reassignment-json-file $F",
		"reassign verify":   "kafka-reassign-partitions" + b + "--verify --reassignment-json-file $F",
		"reassign generate": "kafka-reassign-partitions" + b + "--generate --topics-to-move-json-file $F --broker-list 1",
		"reassign cancel":   "kafka-reassign-partitions" + b + "--cancel --reassignment-json-file $F",
		"leader-election":   "kafka-leader-election" + b + "--election-type preferred --path-to-json-file $F",
		"reset offsets":     "kafka-consumer-groups" + b + "--reset-offsets --group g --from-file $F --dry-run",
		"streams offsets":   "kafka-streams-application-reset" + b + "--application-id a --input-topics t --from-file $F",
		"config file":       "kafka-configs" + b + "--alter --topic t --add-config-file $F",
		"payload file":      "kafka-producer-perf-test" + b + "--topic t --num-records 1 --throughput -1 --payload-file $F",
		"reader config":     "kafka-console-producer" + b + "--topic t --reader-config $F",
		"formatter config":  "kafka-console-consumer" + b + "--topic t --timeout-ms 500 --formatter-config $F",
		"quorum":            "kafka-metadata-quorum" + b + "--command-config $F add-controller",
		"dump-log segments": "kafka-dump-log --files $D/00000000000000000000.log --print-data-log",
		"dump-log deep":     "kafka-dump-log --files $D/00000000000000000000.log --deep-iteration --offsets-decoder",
		"dump-log metadata": "kafka-dump-log --files $D/00000000000000000000.log --cluster-metadata-decoder",
		"dump-log index":    "kafka-dump-log --files $D/00000000000000000000.index",
		"dump-log times":    "kafka-dump-log --files $D/00000000000000000000.timeindex",
		"dump-log txn":      "kafka-dump-log --files $D/00000000000000000000.txnindex",
		"dump-log producer": "kafka-dump-log --files $D/00000000000000000000.snapshot",
		"dump-log snapshot": "kafka-dump-log --files $D/00000000000000000007-0000000001.checkpoint --cluster-metadata-decoder",
	}
	for name, line := range clientLines() {
		lines[name+" --command-config"] = strings.ReplaceAll(line, "$P", "$F")
	}
	return lines
}

// TestGarbageInPlaceOfEachFile gives each option that names a file random bytes, nothing but zeros, nothing at all, a
// folder, and a file that is not there: the tool ends in its time with 0 or 1, says something where it fails, and
// prints nothing of its own insides.
func TestGarbageInPlaceOfEachFile(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.shell("kafka-topics --bootstrap-server $B --create --topic t; kafka-topics --bootstrap-server $B --create --topic alone", "")
	random := make([]byte, 5000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	for name, content := range map[string]string{"random": string(random), "zeros": strings.Repeat("\x00", 5000), "empty": "", "text": "\xff\xfe=\n{{{\n\\u12"} {
		w.write(name, content, 0o644)
		folder := name + ".d"
		if err := os.Mkdir(filepath.Join(w.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000000.txnindex", "00000000000000000000.snapshot", "00000000000000000007-0000000001.checkpoint"} {
			w.write(filepath.Join(folder, part), content, 0o644)
		}
	}
	for _, file := range []string{"random", "zeros", "empty", "text", ".", "none"} {
		t.Run(file, func(t *testing.T) {
			eachLine(t, fileLines(), func(line string) {
				words := w.words(strings.NewReplacer("$F", file, "$D", file+".d").Replace(line))
				cmd := w.strictly(words)
				cmd.Stdin = strings.NewReader("x\n")
				late := time.AfterFunc(90*time.Second, func() { cmd.Process.Kill() })
				res := finish(cmd)
				if !late.Stop() {
					t.Errorf("$ %s\ndoes not end", words)
				}
				wellSaid(t, strings.Join(words, " "), res)
				if res.code != 0 && res.code != 1 || res.code == 1 && res.stdout+res.stderr == "" {
					t.Errorf("$ %s\nexit code %d\n%s%s", words, res.code, res.stdout, res.stderr)
				}
			})
		})
	}
}

// TestMetricsThatAreNone sends the tool that reads a node's metrics to what has none.
func TestMetricsThatAreNone(t *testing.T) {
	w := offlineWorld(t)
	page := func(text string) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + text
	}
	for _, c := range []struct{ name, address, says string }{
		{"nobody", "127.0.0.1:1", "connection refused"},
		{"tls", listenFor(t, answerWith("\x15\x03\x03\x00\x02\x02\x0a")), "it does not speak HTTP"},
		{"closing", listenFor(t, answerWith("")), "it closed the connection before its answer was whole"},
		{"garbage", listenFor(t, answerWith(strings.Repeat("\xff", 300))), "it does not speak HTTP"},
		{"another page", listenFor(t, answerWith(page("<html>"+strings.Repeat("x", 34)))), "No matched attributes"},
		{"binary page", listenFor(t, answerWith(page(strings.Repeat("\xff\x00", 20)))), "No matched attributes"},
		{"half a page", listenFor(t, answerWith(page("a 1\n"))), "it closed the connection"},
		{"an error", listenFor(t, answerWith("HTTP/1.1 503 "+http.StatusText(http.StatusServiceUnavailable)+"\r\nContent-Length: 0\r\n\r\n")), "answers 503"},
	} {
		line := "kafka-jmx --one-time --jmx-url service:jmx:rmi:///jndi/rmi://" + c.address + "/jmxrmi"
		res := finish(w.strictly(w.words(line)))
		wellSaid(t, line, res)
		for _, insides := range []string{"net/http", "dial tcp", `Get "`, "unexpected EOF"} {
			if strings.Contains(res.stderr, insides) {
				t.Errorf("%s: %q is nothing for a reader", c.name, res.stderr)
			}
		}
		if res.code != 1 || !strings.Contains(res.stderr, c.says) {
			t.Errorf("%s: exit code %d\n%s%s", c.name, res.code, res.stdout, res.stderr)
		}
	}
}
