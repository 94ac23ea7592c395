package main

import (
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

// nodeFile writes the properties of a node of one, under addresses of its own, and formats its directory.
// The id is one that no other node of the machine has: kafka-server-stop goes by it.
func (w *world) nodeFile(name string, id int, format bool) (file, broker string) {
	a := freeAddresses(w.t, 2)
	file = filepath.Join(w.dir, name+".properties")
	w.write(name+".properties", fmt.Sprintf("process.roles=broker,controller\nnode.id=%d\ncontroller.quorum.voters=%d@%s\nlisteners=PLAINTEXT://%s,CONTROLLER://%s\ncontroller.listener.names=CONTROLLER\nlog.dirs=%s\nmoldau.admin.listener=\n",
		id, id, a[1], a[0], a[1], name+"-data"), 0o644)
	if format {
		if res := w.tool([]string{"kafka-storage", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", file}, ""); res.code != 0 {
			w.t.Fatalf("cannot format: %s%s", res.stdout, res.stderr)
		}
	}
	return file, a[0]
}

// serverWorld has a folder without a comma, which log.dirs would take for two.
func serverWorld(t *testing.T) *world {
	if testing.Short() {
		t.Skip("starts nodes")
	}
	w := offlineWorld(t)
	dir, err := os.MkdirTemp("", "moldau-server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.dir = dir
	return w
}

func ownNodeID() int { return 100000 + os.Getpid() }

func (w *world) awaitNobody(address string) {
	w.t.Helper()
	for range 400 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("the node on %s goes on", address)
}

// awaitOutput waits until the node in the background has written words.
func (w *world) awaitOutput(words string) {
	w.t.Helper()
	var text []byte
	for range 600 {
		if text, _ = os.ReadFile(filepath.Join(w.dir, "logs", "mine.out")); strings.Contains(string(text), words) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("logs/mine.out does not come to %q:\n%s", words, text)
}

// A node in the foreground: --override wins over the file, also twice, and SIGTERM ends it well.
func TestServerStartAndSIGTERM(t *testing.T) {
	w := serverWorld(t)
	id := ownNodeID()
	file, broker := w.nodeFile("n", id, true)
	other := freeAddresses(t, 1)[0]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, listeners, _ := strings.Cut(string(text), "listeners=")
	listeners, _, _ = strings.Cut(listeners, "\n")
	cmd := exec.Command(filepath.Join(w.bin, "kafka-server-start.sh"), "-loggc", "n.properties",
		"--override", "listeners=nonsense", "--override", "listeners="+strings.Replace(listeners, broker, other, 1))
	cmd.Dir, cmd.Env = w.dir, w.environ()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.awaitAddress(other)
	if res := w.tool(w.words("kafka-topics --bootstrap-server "+other+" --create --topic t"), ""); res.stdout != "Created topic t.\n" {
		t.Errorf("%+v", res)
	}
	// The same directory under other addresses, and the same address with another directory, while this node runs.
	held := w.tool(w.words("kafka-server-start n.properties --override listeners=PLAINTEXT://"+freeAddresses(t, 1)[0]+",CONTROLLER://"+freeAddresses(t, 1)[0]), "")
	if held.code != 1 || !strings.Contains(held.stderr, "n-data") || !strings.Contains(held.stderr, "another") {
		t.Errorf("the directory of a running node: %+v", held)
	}
	wellSaid(t, "kafka-server-start n.properties", held)
	w.nodeFile("m", id+1, true)
	busy := w.tool(w.words("kafka-server-start m.properties --override listeners=PLAINTEXT://"+other+",CONTROLLER://"+freeAddresses(t, 1)[0]), "")
	if busy.code != 1 || !strings.Contains(busy.stderr, other) || !strings.Contains(busy.stderr, "address already in use") {
		t.Errorf("the address of a running node: %+v", busy)
	}
	wellSaid(t, "kafka-server-start m.properties", busy)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "stopped cleanly") {
		t.Errorf("at SIGTERM: %v\n%s", err, out.String())
	}
}

// -daemon comes back at once and leaves a node, its output in $LOG_DIR; kafka-server-stop finds it by its id, by its
// role only where that is its role, and tells when there is nobody to stop.
func TestServerStartInTheBackgroundAndServerStop(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("processes are listed by /proc")
	}
	w := serverWorld(t)
	id := ownNodeID()
	_, broker := w.nodeFile("n", id, true)
	run := func(line string) result {
		words := w.words(line)
		cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
		cmd.Dir, cmd.Env = w.dir, append(w.environ(), "LOG_DIR="+filepath.Join(w.dir, "logs"))
		return finish(cmd)
	}
	if res := run("kafka-server-start -daemon -name mine n.properties"); res != (result{}) {
		t.Fatalf("%+v", res)
	}
	stop := fmt.Sprintf("kafka-server-stop --node-id=%d", id)
	t.Cleanup(func() { run(stop) })
	w.awaitOutput("ready in") // before that a signal may meet a process that does not listen to it yet
	w.awaitAddress(broker)
	if res := run(fmt.Sprintf("kafka-server-stop --node-id=%d", id+7)); res.code != 1 || !strings.Contains(res.stderr+res.stdout, "No kafka server to stop") {
		t.Errorf("another id: %+v", res)
	}
	if res := run(stop); res != (result{}) {
		t.Errorf("$ %s\n%+v", stop, res)
	}
	w.awaitNobody(broker)
	w.awaitOutput("stopped cleanly") // it is written after the listeners are closed
	if res := run(stop); res.code != 1 || !strings.Contains(res.stderr+res.stdout, "No kafka server to stop") {
		t.Errorf("nobody left: %+v", res)
	}
}

// What cannot start says why in a sentence, and exits with 1.
func TestServerStartOnWhatIsWrong(t *testing.T) {
	w := serverWorld(t)
	w.nodeFile("unformatted", ownNodeID(), false)
	w.nodeFile("n", ownNodeID(), true)
	w.write("role.properties", "node.id=1\nprocess.roles=x\ncontroller.listener.names=C\n", 0o644)
	w.write("binary.properties", "\xff\xfe\x00", 0o644)
	for _, c := range []struct{ line, says string }{
		{"kafka-server-start", "USAGE:"},
		{"kafka-server-start none.properties", "none.properties (No such file or directory)"},
		{"kafka-server-start -daemon none.properties", "none.properties (No such file or directory)"},
		{"kafka-server-start .", "is a directory"},
		{"kafka-server-start binary.properties", "binary.properties: line 1"},
		{"kafka-server-start role.properties", "Invalid value x for configuration process.roles"},
		{"kafka-server-start unformatted.properties", "kafka-storage format"},
		{"kafka-server-start n.properties n.properties", "Found non argument parameters: n.properties"},
		{"kafka-server-start n.properties --nonsense", "nonsense is not a recognized option"},
		{"kafka-server-start n.properties --override", "--override needs a value"},
		{"kafka-server-start n.properties --override foo", `--override takes property=value, not "foo"`},
		{"kafka-server-start n.properties --override num.io.threads=x", "Invalid value x for configuration num.io.threads"},
		{"kafka-server-start n.properties --override node.id=7", "node"},
		{"kafka-server-stop --node", "is not a recognized option"},
		{"kafka-server-stop --node-id", "--node-id needs a value"},
	} {
		res := w.tool(w.words(c.line), "")
		wellSaid(t, c.line, res)
		if res.code != 1 || !strings.Contains(res.stderr, c.says) {
			t.Errorf("$ %s\nexit code %d\n%s%s", c.line, res.code, res.stdout, res.stderr)
		}
	}
}
