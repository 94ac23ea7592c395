//go:build realkafka

package node

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	storyPort  = 29892
	storyBound = 120 * time.Second // of one command, on a busy machine
)

// story is one directory that Apache Kafka and Moldau run on by turns, behind one address, and a Java client
// that lives through all of it: its producers go on with the ids and sequences that they have.
type story struct {
	*testing.T
	script, dir, moldau, classpath, classes string

	client *exec.Cmd
	say    io.WriteCloser
	hear   *bufio.Scanner
	node   *exec.Cmd // Moldau, while it runs
}

// Kafka writes a directory of everything; Moldau goes on with it, then Kafka again, then Moldau, with orderly stops
// and with kill -9. After each change the client sees the same cluster: topics, ids, configs, groups' offsets, and each
// record with its offset, epoch, time and headers, committed and uncommitted ones. Every file is printed alike by both dump tools.
func TestADirectoryGoesBackAndForthBetweenKafkaAndMoldau(t *testing.T) {
	s := newStory(t)
	s.startKafka()
	s.startClient()
	for _, line := range []string{
		"create codecs 2 retention.ms=-1 segment.bytes=1048576",
		"create compacted 1 cleanup.policy=compact segment.ms=1000 min.cleanable.dirty.ratio=0.01 delete.retention.ms=60000",
		"create txn 1", "create many 3 max.message.bytes=500000",
		"broker-config 1 message.max.bytes 2000000", "broker-config - num.io.threads 9",
	} {
		s.do(line)
	}
	s.produceAll("r1")
	s.do("produce c none compacted 200 c1")
	s.do("produce c none compacted 200 c2")
	s.do("tombstone compacted key-3")
	s.do("txn t1 txn 10 commit r1")
	s.do("txn t1 txn 10 abort r1")
	s.do("txn t2 txn 5 open r1")
	s.do("txn t1 txn 10 commit r1b")
	s.do("group g-classic classic codecs 500")
	s.do("group g-new consumer codecs 500")
	s.do("cleaned compacted 150")
	kafka := s.state("kafka")
	s.stopKafka()
	s.sound("of Kafka")
	s.sameDump()

	s.startMoldau()
	s.same("Moldau on Kafka's directory", kafka, s.state("moldau"))
	s.produceAll("r2")
	s.do("produce c none compacted 30 c3")
	s.do("end t2 commit") // begun on Kafka
	s.do("txn t1 txn 10 abort r2")
	s.do("txn t1 txn 10 commit r2")
	s.do("txn t3 txn 5 open r2")
	s.do("create ours 2 retention.ms=77777777")
	s.do("produce p-zstd zstd ours 100 r2")
	s.do("group g-classic classic codecs 500")
	s.do("group g-ours classic ours 100")
	ours := s.state("ours")
	s.killMoldau()
	s.startMoldau()
	s.same("Moldau after it was killed", ours, s.state("ours-killed"))
	s.stopMoldau()
	s.sound("of Moldau")
	s.sameDump()

	s.startKafka()
	s.same("Kafka on Moldau's directory", ours, s.state("kafka-again"))
	s.produceAll("r3")
	s.do("end t3 abort") // begun on Moldau
	s.do("txn t1 txn 10 commit r3")
	theirs := s.state("kafka-more")
	s.killKafka()
	s.startMoldau()
	s.same("Moldau after Kafka was killed", theirs, s.state("moldau-again"))
	s.produceAll("r4")
	s.stopMoldau()
	s.sound("at the end")
}

func newStory(t *testing.T) *story {
	s := newTurns(t)
	s.classes = filepath.Join(s.dir, "classes")
	s.classpath = strings.TrimSpace(s.run(s.script, "cp"))
	s.run("javac", "-nowarn", "-d", s.classes, "-cp", s.classpath, "testdata/java/Story.java")
	return s
}

// newTurns is a story without the Java client.
func newTurns(t *testing.T) *story {
	s := &story{T: t, script: os.Getenv("MOLDAU_REALKAFKA"), dir: t.TempDir()}
	if s.script == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	s.moldau = filepath.Join(s.dir, "moldau")
	s.run("go", "build", "-o", s.moldau, "../../cmd/moldau")
	props := "log.cleaner.backoff.ms=200\noffsets.topic.num.partitions=2\ntransaction.state.log.num.partitions=2\nlog.index.interval.bytes=1000\nauto.create.topics.enable=false\n"
	if err := os.WriteFile(filepath.Join(s.dir, "props"), []byte(props), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command to its end and returns what it printed.
func (s *story) run(name string, args ...string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), storyBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "RK_PROPS="+filepath.Join(s.dir, "props"), "RK_HEAP=300m", "RK_JVM=-XX:TieredStopAtLevel=1 -Xshare:auto")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *story) cluster() string { return filepath.Join(s.dir, "cluster") }
func (s *story) data() string    { return filepath.Join(s.cluster(), "data-1") }

func (s *story) startKafka() {
	s.Helper()
	s.run(s.script, "start", s.cluster(), "1", strconv.Itoa(storyPort))
	s.Cleanup(s.stopKafka)
}

func (s *story) stopKafka() { s.run(s.script, "stop", s.cluster()) }

func (s *story) killKafka() {
	s.Helper()
	b, err := os.ReadFile(filepath.Join(s.cluster(), "1.pid"))
	if err != nil {
		s.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		s.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	s.stopKafka() // it waits until the process is gone
}

func (s *story) startMoldau() {
	s.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "moldau.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.Fatal(err)
	}
	s.node = exec.Command(s.moldau, "server", filepath.Join(s.cluster(), "1.properties"))
	s.node.Stdout, s.node.Stderr = log, log
	if err := s.node.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.endMoldau(syscall.SIGKILL) })
	deadline := time.Now().Add(storyBound)
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", storyPort))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("Moldau does not answer: %s", s.moldauLog())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *story) moldauLog() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "moldau.log"))
	if err != nil {
		return err.Error()
	}
	const tail = 8000
	return string(b[max(0, len(b)-tail):])
}

func (s *story) endMoldau(sig syscall.Signal) error {
	if s.node == nil {
		return nil
	}
	_ = s.node.Process.Signal(sig) // it may have ended
	err := s.node.Wait()
	s.node = nil
	return err
}

func (s *story) killMoldau() { _ = s.endMoldau(syscall.SIGKILL) } // it ends as killed

func (s *story) stopMoldau() {
	s.Helper()
	if err := s.endMoldau(syscall.SIGTERM); err != nil {
		s.Fatalf("Moldau did not stop in order: %v\n%s", err, s.moldauLog())
	}
}

func (s *story) startClient() {
	s.Helper()
	s.client = exec.Command("java", "-Xmx200m", "-XX:TieredStopAtLevel=1", "-cp", s.classpath+":"+s.classes, "Story", fmt.Sprintf("127.0.0.1:%d", storyPort))
	var err error
	if s.say, err = s.client.StdinPipe(); err != nil {
		s.Fatal(err)
	}
	out, err := s.client.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	s.hear = bufio.NewScanner(out)
	s.hear.Buffer(nil, 1<<20)
	if err := s.client.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { // it does not outlive the test
		_ = s.client.Process.Kill()
		_ = s.client.Wait()
	})
}

// do has the client carry out a command.
func (s *story) do(command string) {
	s.Helper()
	watchdog := time.AfterFunc(2*storyBound, func() { _ = s.client.Process.Kill() })
	defer watchdog.Stop()
	if _, err := fmt.Fprintln(s.say, command); err != nil {
		s.Fatalf("%s: %v", command, err)
	}
	for s.hear.Scan() {
		switch line := s.hear.Text(); {
		case line == "ok":
			return
		case strings.HasPrefix(line, "error"):
			s.Fatalf("%s: %s\nMoldau's log: %s", command, strings.ReplaceAll(line, " | ", "\n"), s.moldauLog())
		}
	}
	s.Fatalf("%s: the client has ended: %v", command, s.hear.Err())
}

// produceAll goes on with a producer for each codec.
func (s *story) produceAll(tag string) {
	s.Helper()
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.do("produce p-" + codec + " " + codec + " codecs 200 " + tag)
	}
}

// state is all that the client can see.
func (s *story) state(name string) string {
	s.Helper()
	file := filepath.Join(s.dir, "state-"+name)
	s.do("state " + file)
	b, err := os.ReadFile(file)
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// same fails with the lines that are only in one of two states.
func (s *story) same(what, want, got string) {
	s.Helper()
	if want == got {
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var lines []string
	for i := 0; i < max(len(a), len(b)) && len(lines) < 20; i++ {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			lines = append(lines, "- "+x, "+ "+y)
		}
	}
	s.Errorf("%s shows another cluster (%d lines, %d before):\n%s", what, len(b), len(a), strings.Join(lines, "\n"))
}

// sound has our own check look at the whole directory.
func (s *story) sound(whose string) {
	s.Helper()
	if out, err := exec.Command(s.moldau, "log", "check", s.data()).CombinedOutput(); err != nil {
		s.Errorf("the directory %s is damaged: %v\n%s", whose, err, out)
	}
}

// sameDump has both dump tools print every file of the directory.
func (s *story) sameDump() {
	s.Helper()
	var plain, offsets, txns, metadata []string
	err := filepath.WalkDir(s.data(), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(name) {
		case ".index", ".timeindex", ".txnindex", ".snapshot":
			plain = append(plain, name)
		case ".log", ".checkpoint":
			switch topic := filepath.Base(filepath.Dir(name)); {
			case strings.HasPrefix(topic, "__consumer_offsets-"):
				offsets = append(offsets, name)
			case strings.HasPrefix(topic, "__transaction_state-"):
				txns = append(txns, name)
			case topic == "__cluster_metadata-0", filepath.Ext(name) == ".checkpoint":
				metadata = append(metadata, name)
			default:
				plain = append(plain, name)
			}
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	for _, c := range []struct {
		decoder string
		files   []string
	}{{"--print-data-log", plain}, {"--offsets-decoder", offsets}, {"--transaction-log-decoder", txns}, {"--cluster-metadata-decoder", metadata}} {
		args := []string{c.decoder, "--files", strings.Join(c.files, ",")}
		theirs := s.dump(s.script, append([]string{"tool", "kafka-dump-log"}, args...))
		ours := s.dump(s.moldau, append([]string{"dump-log"}, args...))
		s.same("our dump tool "+c.decoder, theirs, ours)
		for _, bad := range []string{"isvalid: false", "Exception", "Mismatches", "mismatch", "out of order", "not found", "Error at", "invalid bytes"} {
			if i := strings.Index(theirs, bad); i >= 0 {
				s.Errorf("Kafka's dump tool is not content %s: ...%.300s", c.decoder, theirs[max(0, i-200):])
			}
		}
	}
}

func (s *story) dump(name string, args []string) string {
	s.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "RK_JVM=-XX:TieredStopAtLevel=1 -Xshare:auto", "RK_LOG_LEVEL=ERROR")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.Fatalf("%s: %v: %s", name, err, errs.Bytes())
	}
	return out.String()
}
