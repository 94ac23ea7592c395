package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// clientLines are a line of each tool that speaks with a cluster and takes client properties, $B and $P for
// what connects: the addresses and a properties file with short timeouts. They may run side by side: the latency tool, which
// expects to read its own record, has a topic of its own.
func clientLines() map[string]string {
	const b = " --bootstrap-server $B --command-config $P "
	return map[string]string{
		"topics":                    "kafka-topics" + b + "--list",
		"configs":                   "kafka-configs" + b + "--describe --topic t",
		"acls":                      "kafka-acls" + b + "--list",
		"console-producer":          "kafka-console-producer" + b + "--topic t --max-block-ms 1000",
		"console-consumer":          "kafka-console-consumer" + b + "--topic t --timeout-ms 1500",
		"console-share-consumer":    "kafka-console-share-consumer" + b + "--topic t --timeout-ms 1500",
		"consumer-groups":           "kafka-consumer-groups" + b + "--list --timeout 1000",
		"share-groups":              "kafka-share-groups" + b + "--list --timeout 1000",
		"streams-groups":            "kafka-streams-groups" + b + "--list --timeout 1000",
		"groups":                    "kafka-groups" + b + "--list",
		"get-offsets":               "kafka-get-offsets" + b + "--topic t",
		"delete-records":            "kafka-delete-records" + b + "--offset-json-file dr.json",
		"log-dirs":                  "kafka-log-dirs" + b + "--describe",
		"metadata-quorum":           "kafka-metadata-quorum" + b + "describe --status",
		"features":                  "kafka-features" + b + "describe",
		"cluster":                   "kafka-cluster cluster-id" + b,
		"broker-api-versions":       "kafka-broker-api-versions" + b,
		"reassign-partitions":       "kafka-reassign-partitions" + b + "--list",
		"leader-election":           "kafka-leader-election" + b + "--election-type preferred --all-topic-partitions",
		"transactions":              "kafka-transactions" + b + "list",
		"delegation-tokens":         "kafka-delegation-tokens" + b + "--describe",
		"client-metrics":            "kafka-client-metrics" + b + "--list",
		"producer-perf-test":        "kafka-producer-perf-test" + b + "--topic t --num-records 1 --record-size 1 --throughput -1 --command-property max.block.ms=1000",
		"consumer-perf-test":        "kafka-consumer-perf-test" + b + "--topic t --num-records 1 --timeout 1500",
		"share-consumer-perf-test":  "kafka-share-consumer-perf-test" + b + "--topic t --num-records 1 --timeout 1500",
		"e2e-latency":               "kafka-e2e-latency" + b + "--topic alone --num-records 1 --producer-acks 1 --record-size 1",
		"verifiable-producer":       "kafka-verifiable-producer" + b + "--topic t --max-messages 1",
		"verifiable-share-consumer": "kafka-verifiable-share-consumer" + b + "--topic t --group-id v --max-messages 1",
		"streams-application-reset": "kafka-streams-application-reset" + b + "--application-id a --input-topics t",
	}
}

const shortTimeouts = "default.api.timeout.ms=1500\nrequest.timeout.ms=700\nmax.block.ms=1000\ndelivery.timeout.ms=1500\nlinger.ms=0\nretry.backoff.ms=50\nretry.backoff.max.ms=100\n"

// wellSaid fails the test if a program's own insides are in what it printed.
func wellSaid(t *testing.T, line string, res result) {
	t.Helper()
	for _, bad := range []string{"goroutine ", "panic:", "runtime error", "\tat org.", ".go:"} {
		if strings.Contains(res.stdout+res.stderr, bad) {
			t.Errorf("$ %s\nprints a stack trace:\n%s%s", line, res.stdout, res.stderr)
		}
	}
}

// listenFor answers each connection to a new address.
func listenFor(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	return listen(t, func(_ net.Listener, c net.Conn) { serve(c) })
}

// listen is listenFor for who may want to listen no longer.
func listen(t *testing.T, serve func(net.Listener, net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(l, c)
		}
	}()
	return l.Addr().String()
}

func answerWith(text string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		if _, err := c.Read(make([]byte, 512)); err == nil {
			io.WriteString(c, text)
		}
	}
}

// TestWhatIsNotABrokerIsNamedByEachTool sends each tool to what refuses, never
// answers, speaks HTTP, speaks TLS or sends garbage: it ends in its time, says what
// is there in a line of its own, and with MOLDAU_STRICT exits with 1 whatever
// Kafka's code is.
func TestWhatIsNotABrokerIsNamedByEachTool(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for timeouts")
	}
	w := offlineWorld(t)
	w.write("short.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":1}],"version":1}`, 0o644)
	for _, peer := range []struct{ name, address, says string }{
		{"nobody", "127.0.0.1:1", "127.0.0.1:1 refuses the connection"},
		{"silent", listenFor(t, func(c net.Conn) { io.Copy(io.Discard, c) }), "does not answer"},
		{"http", listenFor(t, answerWith("HTTP/1.1 400 Bad Request\r\n\r\n")), "speaks HTTP, not Kafka"},
		{"tls", listenFor(t, answerWith("\x15\x03\x03\x00\x02\x02\x0a")), "speaks TLS: set security.protocol=SSL"},
		{"closing", listenFor(t, answerWith("")), "closed the connection without an answer"},
	} {
		t.Run(peer.name, func(t *testing.T) {
			var all sync.WaitGroup
			places := make(chan struct{}, 10) // they wait most of their time
			for _, line := range clientLines() {
				all.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					one := *w
					one.bootstrap = peer.address
					one.meets(t, strings.ReplaceAll(line, "$P", "short.properties"), peer.says)
				})
			}
			all.Wait()
		})
	}
}

// meets runs a line against what is not a broker.
func (w *world) meets(t *testing.T, line, says string) {
	words := w.words(line)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, append(w.environ(), "MOLDAU_STRICT=1"), strings.NewReader("x\n")
	res := finish(cmd)
	wellSaid(t, line, res)
	if res.code != 1 {
		t.Errorf("$ %s\nexit code %d with MOLDAU_STRICT=1\n%s%s", line, res.code, res.stdout, res.stderr)
	}
	if !strings.Contains(res.stderr, says) {
		t.Errorf("$ %s\nstandard error does not say that it %s:\n%s%s", line, says, res.stdout, res.stderr)
	}
}

// TestGarbageFromTheServerHurtsNobody answers with random bytes.
func TestGarbageFromTheServerHurtsNobody(t *testing.T) {
	w := offlineWorld(t)
	w.write("short.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":1}],"version":1}`, 0o644)
	for i, garbage := range []string{strings.Repeat("\xff", 300), "\x00\x00\x00\x08" + strings.Repeat("\x7f", 8), "\x7f\xff\xff\xffabcdef", strings.Repeat("\x00", 64)} {
		w.bootstrap = listenFor(t, answerWith(garbage))
		for _, name := range []string{"topics", "console-consumer", "console-producer", "consumer-groups"} {
			line := strings.ReplaceAll(clientLines()[name], "$P", "short.properties")
			res := w.tool(w.words(line), "x\n")
			wellSaid(t, line, res)
			if res.code == 130 {
				t.Errorf("garbage %d: %s did not end by itself", i, name)
			}
		}
	}
}

// TestCtrlCEndsEachLongRunningTool sends SIGINT in the middle of the work: each
// ends at once with 130, as a JVM does.
func TestCtrlCEndsEachLongRunningTool(t *testing.T) {
	w := moldauWorld(t, 1)
	if res := w.shell("kafka-topics --bootstrap-server $B --create --topic t && seq 1 100 | kafka-console-producer --bootstrap-server $B --topic t", ""); res.code != 0 {
		t.Fatal(res)
	}
	silent := listenFor(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for _, line := range []string{
		"kafka-console-consumer --bootstrap-server $B --topic t --from-beginning",
		"kafka-console-consumer --bootstrap-server $B --topic t --group g1",
		"kafka-console-consumer --bootstrap-server $B --topic t --group g2 --command-property group.protocol=consumer",
		"kafka-console-consumer --bootstrap-server $B --include t.*",
		"kafka-console-producer --bootstrap-server $B --topic t",
		"kafka-consumer-perf-test --bootstrap-server $B --topic t --num-records 100000000 --timeout 600000",
		"kafka-producer-perf-test --bootstrap-server $B --topic t --num-records 100000000 --record-size 10 --throughput 10",
		"kafka-producer-perf-test --bootstrap-server $B --topic t --num-records 100000000 --record-size 10 --throughput 10 --transactional-id x",
		"kafka-e2e-latency --bootstrap-server $B --topic alone --num-records 100000000 --producer-acks all --record-size 10",
		"kafka-verifiable-producer --bootstrap-server $B --topic t --throughput 5",
		"kafka-verifiable-consumer --bootstrap-server $B --topic t --group-id v",
		"kafka-replica-verification --broker-list $B",
		"moldau top --bootstrap-server $B --interval-ms 100",
		"kafka-topics --bootstrap-server " + silent + " --list",
		"kafka-console-consumer --bootstrap-server " + silent + " --topic t",
		"kafka-console-producer --bootstrap-server " + silent + " --topic t",
		"kafka-consumer-groups --bootstrap-server " + silent + " --list",
		"kafka-consumer-groups --bootstrap-server " + silent + " --describe --all-groups",
		"kafka-configs --bootstrap-server " + silent + " --describe --topic t",
		"kafka-acls --bootstrap-server " + silent + " --list",
		"kafka-reassign-partitions --bootstrap-server " + silent + " --list",
		"kafka-transactions --bootstrap-server " + silent + " list",
		"kafka-producer-perf-test --bootstrap-server " + silent + " --topic t --num-records 5 --record-size 1 --throughput -1",
		"kafka-consumer-perf-test --bootstrap-server " + silent + " --topic t --num-records 5",
		"kafka-e2e-latency --bootstrap-server " + silent + " --topic t --num-records 5 --producer-acks 1 --record-size 1",
		"kafka-verifiable-producer --bootstrap-server " + silent + " --topic t",
		"kafka-verifiable-consumer --bootstrap-server " + silent + " --topic t --group-id v",
	} {
		t.Run(line[:min(len(line), 60)], func(t *testing.T) {
			t.Parallel()
			words := w.words(line)
			cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
			cmd.Dir, cmd.Env = w.dir, w.environ()
			stdin, err := cmd.StdinPipe() // stays open: a producer waits for more
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(700 * time.Millisecond) // into the middle of the work; a signal that comes earlier must end it as well
			cmd.Process.Signal(syscall.SIGINT)
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				cmd.Process.Kill()
				<-ended
				t.Errorf("$ %s\ndoes not end at SIGINT", line)
			}
			res := result{out.String(), errs.String(), exitCode(cmd.ProcessState)}
			wellSaid(t, line, res)
			if res.code != 130 {
				t.Errorf("$ %s\nexit code %d at SIGINT\n%s%s", line, res.code, res.stdout, res.stderr)
			}
		})
	}
}

// TestAClosedPipeIsNoFailure reads one line of each tool's output and closes the
// pipe, as head -1 does: Kafka's tools exit with 0 then.
func TestAClosedPipeIsNoFailure(t *testing.T) {
	w := moldauWorld(t, 1)
	w.shell("for i in 1 2 3; do kafka-topics --bootstrap-server $B --create --topic t$i --partitions 30; done; seq 1 50000 | kafka-console-producer --bootstrap-server $B --topic t1; "+
		"for g in a b; do kafka-consumer-groups --bootstrap-server $B --reset-offsets --group $g --topic t1 --to-earliest --execute; done", "")
	for _, line := range []string{
		"kafka-topics --bootstrap-server $B --list",
		"kafka-topics --bootstrap-server $B --describe",
		"kafka-topics --bootstrap-server $B --describe --format json",
		"kafka-configs --bootstrap-server $B --describe --broker 1 --all",
		"kafka-console-consumer --bootstrap-server $B --topic t1 --from-beginning",
		"kafka-consumer-groups --bootstrap-server $B --describe --all-groups",
		"kafka-groups --bootstrap-server $B --list",
		"kafka-get-offsets --bootstrap-server $B",
		"kafka-log-dirs --bootstrap-server $B --describe",
		"kafka-broker-api-versions --bootstrap-server $B",
		"kafka-verifiable-consumer --bootstrap-server $B --topic t1 --group-id v --reset-policy earliest",
		"kafka-verifiable-producer --bootstrap-server $B --topic t2 --max-messages 2000",
		"kafka-replica-verification --broker-list $B --report-interval-ms 100",
		"moldau top --bootstrap-server $B --interval-ms 100",
		"moldau help",
		"moldau completion bash",
	} {
		t.Run(line[:min(len(line), 60)], func(t *testing.T) {
			t.Parallel()
			words := w.words(line)
			cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
			cmd.Dir, cmd.Env = w.dir, w.environ()
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = write, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			write.Close()
			read.Read(make([]byte, 1))
			read.Close()
			timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
			timer.Stop()
			res := result{"", errs.String(), exitCode(cmd.ProcessState)}
			wellSaid(t, line, res)
			if res.code != 0 {
				t.Errorf("$ %s\nexit code %d when its pipe is closed\n%s", line, res.code, res.stderr)
			}
		})
	}
}

// TestOutputThatIsLostIsTold writes to a full device.
func TestOutputThatIsLostIsTold(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	w := offlineWorld(t)
	for _, line := range []string{"moldau help", "kafka-storage random-uuid", "kafka-features version-mapping", "kafka-topics --version"} {
		words := w.words(line)
		cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
		var errs bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = w.environ(), full, &errs
		cmd.Run()
		if code := exitCode(cmd.ProcessState); code != 1 || !strings.Contains(errs.String(), "cannot write to standard output: no space left on device") {
			t.Errorf("$ %s >/dev/full\nexit code %d, %q", line, code, errs.String())
		}
	}
}

// TestPropertyFilesAsJavaReadsThem puts every liberty of Java's format into a
// node's properties: the directory that is formatted is the one meant only if all
// are understood.
func TestPropertyFilesAsJavaReadsThem(t *testing.T) {
	w := offlineWorld(t)
	lines := []string{
		"# a comment \\", "! another", "", "  \t ",
		`process.roles \`, `   = broker,\`, "\t controller",
		`node.id : \u0031`, `controller.quorum.voters 1@127.0.0.1:9`,
		`listeners=PLAINTEXT://127.0.0.1:8,\`, `  CONTROLLER://127.0.0.1:9`, `controller.listener.names=CONTROLLER`,
		`log.dirs=d\u00e9p\u00f4t-NAME`, `unknown\ key\==a\tb`, `empty`, `last=\`, "",
	}
	for name, end := range map[string]string{"unix": "\n", "dos": "\r\n", "mac": "\r"} {
		w.write(name+".properties", strings.ReplaceAll(strings.Join(lines, end), "NAME", name), 0o644)
		res := w.tool(w.words("kafka-storage format -t AAAAAAAAAAAAAAAAAAAAAQ -c "+name+".properties"), "")
		if _, err := os.Stat(filepath.Join(w.dir, "d\u00e9p\u00f4t-"+name, "meta.properties")); res.code != 0 || err != nil {
			t.Errorf("%s: %d %s%s %v", name, res.code, res.stdout, res.stderr, err)
		}
	}
	w.write("bad.properties", "a=\\u12g4\n", 0o644)
	res := w.tool(w.words("kafka-topics --bootstrap-server $B --list --command-config bad.properties"), "")
	if res.code != 1 || !strings.Contains(res.stdout+res.stderr, "Malformed \\uxxxx encoding.") || !strings.Contains(res.stderr, "moldau: bad.properties: line 1") {
		t.Errorf("%d %s%s", res.code, res.stdout, res.stderr)
	}
}
