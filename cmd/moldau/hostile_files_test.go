package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// eachLine runs lines side by side, a few at a time: most of them wait.
func eachLine(t *testing.T, lines map[string]string, do func(line string)) {
	t.Helper()
	var all sync.WaitGroup
	places := make(chan struct{}, 6)
	for _, line := range lines {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			do(line)
		})
	}
	all.Wait()
}

// TestFilesFromOtherSystemsAreReadByEachTool gives each tool its config file as Windows saves it, with a byte order mark and
// carriage returns, and empty: the tool does what it does with the plain one. A folder in its place is named.
func TestFilesFromOtherSystemsAreReadByEachTool(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.write("plain.properties", shortTimeouts, 0o644)
	// The carriage returns matter: a timeout of "1500\r" is no number.
	w.write("windows.properties", "\ufeff"+strings.ReplaceAll(shortTimeouts, "\n", "\r\n"), 0o644)
	w.write("empty.properties", "", 0o644)
	w.write("dr.json", "\ufeff{\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"offset\":0}],\r\n\"version\":1}\r\n", 0o644)
	if res := w.shell("kafka-topics --bootstrap-server $B --create --topic t && seq 1 5 | kafka-console-producer --bootstrap-server $B --topic t", ""); res.code != 0 {
		t.Fatal(res)
	}
	eachLine(t, clientLines(), func(line string) {
		run := func(file string) result {
			words := w.words(strings.ReplaceAll(line, "$P", file))
			cmd := w.strictly(words)
			cmd.Stdin = strings.NewReader("x\r\n")
			return finish(cmd)
		}
		plain := run("plain.properties")
		for _, file := range []string{"windows.properties", "empty.properties"} {
			if res := run(file); res.code != plain.code {
				t.Errorf("$ %s\nexit code %d with %s, %d with the plain file\n%s%s\n%s%s", line, res.code, file, plain.code, res.stdout, res.stderr, plain.stdout, plain.stderr)
			}
		}
		folder := run(".")
		wellSaid(t, line, folder)
		if folder.code != 1 || !strings.Contains(folder.stdout+folder.stderr, "directory") {
			t.Errorf("$ %s\nwith a folder for a config file: %d\n%s%s", line, folder.code, folder.stdout, folder.stderr)
		}
	})
}

// TestInputFilesOfWindowsAreRead gives the tools that read a file of their own one with a byte order mark and carriage returns.
func TestInputFilesOfWindowsAreRead(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	for name, text := range map[string]string{
		"dr.json":        `{"partitions":[{"topic":"t","partition":0,"offset":2}],"version":1}`,
		"le.json":        `{"partitions":[{"topic":"t","partition":0}]}`,
		"plan.json":      `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}`,
		"move.json":      `{"topics":[{"topic":"t"}],"version":1}`,
		"off.csv":        "\"t\",0,3",
		"set.properties": "retention.ms=60000",
	} {
		w.write(name, "\ufeff"+text+"\r\n", 0o644)
	}
	if res := w.shell("kafka-topics --bootstrap-server $B --create --topic t && seq 1 5 | kafka-console-producer --bootstrap-server $B --topic t", ""); res.code != 0 {
		t.Fatal(res)
	}
	const b = " --bootstrap-server $B "
	for _, c := range []struct{ line, says string }{
		{"kafka-delete-records" + b + "--offset-json-file dr.json", "low_watermark: 2"},
		{"kafka-leader-election" + b + "--election-type preferred --path-to-json-file le.json", "t-0"},
		{"kafka-reassign-partitions" + b + "--execute --reassignment-json-file plan.json", "Successfully started"},
		{"kafka-reassign-partitions" + b + "--generate --topics-to-move-json-file move.json --broker-list 1", "Proposed partition reassignment"},
		{"kafka-consumer-groups" + b + "--reset-offsets --group g --from-file off.csv --execute", "t               0          3"},
		{"kafka-configs" + b + "--alter --topic t --add-config-file set.properties", "Completed updating config"},
	} {
		res := finish(w.strictly(w.words(c.line)))
		if res.code != 0 || !strings.Contains(res.stdout, c.says) {
			t.Errorf("$ %s\n%d\n%s%s", c.line, res.code, res.stdout, res.stderr)
		}
	}
}

// TestAFullDeviceIsToldByEachTool sends what each tool prints to a full device.
func TestAFullDeviceIsToldByEachTool(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.write("p.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":0}],"version":1}`, 0o644)
	w.shell("kafka-topics --bootstrap-server $B --create --topic t && seq 1 5 | kafka-console-producer --bootstrap-server $B --topic t", "")
	lines := clientLines()
	lines["console-consumer"] += " --from-beginning"
	lines["consumer-perf-test"] += " --from-latest=false"
	eachLine(t, lines, func(line string) {
		words := w.words(strings.ReplaceAll(line, "$P", "p.properties"))
		usual := w.strictly(words)
		usual.Stdin = strings.NewReader("x\n")
		before := finish(usual)
		cmd := w.strictly(words)
		var errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("x\n"), full, &errs
		cmd.Run()
		res := result{"", errs.String(), exitCode(cmd.ProcessState)}
		wellSaid(t, line, res)
		if before.stdout != "" && res.code == 0 {
			t.Errorf("$ %s >/dev/full\nexit code 0, with MOLDAU_STRICT=1\n%s", line, res.stderr)
		}
	})
}

// TestClosedDescriptorsHurtNobody starts each tool without standard input, or output, or either: the numbers of the missing ones
// must not become a connection's, into which output would go.
func TestClosedDescriptorsHurtNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.write("p.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":0}],"version":1}`, 0o644)
	w.shell("kafka-topics --bootstrap-server $B --create --topic t", "")
	eachLine(t, clientLines(), func(line string) {
		line = strings.ReplaceAll(line, "$P", "p.properties")
		want := w.shell(line+" </dev/null >/dev/null 2>/dev/null", "").code
		for _, closed := range []string{" <&- >&- 2>&-", " <&- >/dev/null 2>/dev/null", " </dev/null >&- 2>/dev/null"} {
			if res := w.shell(line+closed, ""); res.code != want {
				t.Errorf("$ %s %s\nexit code %d, %d otherwise", line, closed, res.code, want)
			}
		}
	})
}

// TestTermEndsEachLongRunningTool sends SIGTERM: scripts see 143, as they do from a JVM.
func TestTermEndsEachLongRunningTool(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.shell("kafka-topics --bootstrap-server $B --create --topic t && seq 1 100 | kafka-console-producer --bootstrap-server $B --topic t", "")
	for _, line := range []string{
		"kafka-console-consumer --bootstrap-server $B --topic t --from-beginning",
		"kafka-console-consumer --bootstrap-server $B --topic t --group g1",
		"kafka-console-producer --bootstrap-server $B --topic t",
		"kafka-producer-perf-test --bootstrap-server $B --topic t --num-records 100000000 --record-size 10 --throughput 10",
		"kafka-verifiable-producer --bootstrap-server $B --topic t --throughput 5",
		"kafka-verifiable-consumer --bootstrap-server $B --topic t --group-id v",
		"moldau top --bootstrap-server $B --interval-ms 100",
	} {
		t.Run(line[:min(len(line), 60)], func(t *testing.T) {
			t.Parallel()
			words := w.words(line)
			cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
			cmd.Dir, cmd.Env = w.dir, w.environ()
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(700 * time.Millisecond)
			cmd.Process.Signal(syscall.SIGTERM)
			timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
			timer.Stop()
			if code := exitCode(cmd.ProcessState); code != 143 {
				t.Errorf("$ %s\nexit code %d at SIGTERM", line, code)
			}
		})
	}
}

// stranger is a broker whose advertised port nobody can reach: it passes on what is said between its clients and a node, but
// puts another port into the node's answers.
func stranger(t *testing.T, node string, advertised uint32) string {
	_, text, err := net.SplitHostPort(node)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	real, other := binary.BigEndian.AppendUint32(nil, uint32(port)), binary.BigEndian.AppendUint32(nil, advertised)
	return listenFor(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", node)
		if err != nil {
			return
		}
		defer up.Close()
		go io.Copy(up, c)
		buf := make([]byte, 64<<10)
		for {
			n, err := up.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(bytes.ReplaceAll(buf[:n], real, other)); err != nil {
				return
			}
		}
	})
}

// TestAnAdvertisedNameThatCannotBeReachedIsTracedToItsBroker connects to a broker that advertises an address at which nobody
// listens: each tool that needs it says which address that is, and which broker gave it.
func TestAnAdvertisedNameThatCannotBeReachedIsTracedToItsBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.internalTopics()
	w.write("p.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":0}],"version":1}`, 0o644)
	w.shell("kafka-topics --bootstrap-server $B --create --topic t", "")
	proxied := *w
	proxied.bootstrap = stranger(t, w.bootstrap, 1)
	lines := map[string]string{}
	for name, line := range clientLines() {
		switch name {
		case "console-producer", "console-consumer", "get-offsets", "delete-records", "log-dirs", "consumer-groups", "groups", "producer-perf-test", "transactions":
			lines[name] = line // those that go to the leader, the coordinator or every broker
		}
	}
	eachLine(t, lines, func(line string) {
		one := proxied
		one.meets(t, strings.ReplaceAll(line, "$P", "p.properties"), "127.0.0.1:1 refuses the connection; it is the address that broker 1 advertises, as "+proxied.bootstrap+" says")
	})
}
