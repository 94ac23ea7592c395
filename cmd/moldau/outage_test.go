package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/moldautest"
)

// heard is the output of a tool that runs.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// await waits until what has been heard behind from satisfies done.
func (h *heard) await(t *testing.T, line string, from int, done func(string) bool) {
	t.Helper()
	for range 1200 {
		if text := h.String(); len(text) >= from && done(text[from:]) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("$ %s\nsays only\n%s", line, h.String())
}

// longRunning are tools that run until they are told to end, with what shows in their output that they do their work.
func longRunning() map[string]string {
	return map[string]string{
		"kafka-console-consumer --bootstrap-server $B --topic numbers --from-beginning --command-config short":                                                                                          "\n",
		"kafka-console-consumer --bootstrap-server $B --topic numbers --from-beginning --group g --command-config short":                                                                                "\n",
		"kafka-console-consumer --bootstrap-server $B --topic numbers --partition 0 --offset earliest --command-config short":                                                                           "\n",
		"kafka-console-consumer --bootstrap-server $B --include num.* --from-beginning --command-property group.protocol=consumer --command-config short":                                               "\n",
		"kafka-verifiable-producer --bootstrap-server $B --topic numbers --throughput 20 --command-config short":                                                                                        "producer_send_success",
		"kafka-verifiable-consumer --bootstrap-server $B --topic numbers --group-id v --reset-policy earliest --command-config short":                                                                   "records_consumed",
		"kafka-producer-perf-test --bootstrap-server $B --topic other --num-records 1000000 --record-size 10 --throughput 20 --reporting-interval 300 --command-config short":                           "records sent",
		"kafka-producer-perf-test --bootstrap-server $B --topic other --num-records 1000000 --record-size 10 --throughput 20 --reporting-interval 300 --command-config short --command-property acks=1": "records sent",
		"kafka-consumer-perf-test --bootstrap-server $B --topic numbers --num-records 1000000 --timeout 90000 --show-detailed-stats --reporting-interval 300 --command-config short":                    ", 0, ",
		"kafka-e2e-latency --bootstrap-server $B --topic alone --num-records 100000000 --producer-acks all --record-size 20 --command-config short":                                                     "000\t",
		"kafka-replica-verification --broker-list $B --report-interval-ms 300":                                                                                                                          "max lag is",
	}
}

// TestToolsOutliveTheirBroker kills a broker, or lets it fall silent, in the middle of what the tools do. Each waits, and goes
// on when the broker is back, as Kafka's do: nothing is printed twice, nothing is given up that was never sent, and what
// they say is no stack trace.
func TestToolsOutliveTheirBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for brokers")
	}
	for _, outage := range []struct {
		name         string
		begins, ends func(*moldautest.Broker)
	}{
		{"killed", (*moldautest.Broker).Kill, (*moldautest.Broker).Start},
		{"silent", (*moldautest.Broker).CutOff, (*moldautest.Broker).Reconnect},
	} {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			kafka := moldautest.New(t)
			for _, topic := range []string{"numbers", "other", "alone"} {
				kafka.CreateTopic(topic, 1)
			}
			w := &world{t: t, bin: toolFolder(t), dir: t.TempDir(), bootstrap: kafka.Bootstrap(), sasl: noSASL}
			w.write("short", "request.timeout.ms=2000\ndefault.api.timeout.ms=2000\nretry.backoff.ms=50\nretry.backoff.max.ms=200\n", 0o644)
			var tools []*running
			for line, work := range longRunning() {
				tools = append(tools, w.start(line, work))
			}
			for _, r := range tools {
				r.out.await(t, r.line, 0, func(s string) bool { return strings.Contains(s, r.work) })
			}
			outage.begins(kafka.Broker(1))
			time.Sleep(1500 * time.Millisecond) // more than connections need to be found dead
			outage.ends(kafka.Broker(1))
			for _, r := range tools {
				r.out.await(t, r.line, len(r.out.String()), func(s string) bool { return strings.Contains(s, r.work) })
			}
			for _, r := range tools {
				r.end(t)
			}
		})
	}
}

// running is a tool that runs.
type running struct {
	line, work string
	cmd        *exec.Cmd
	out, errs  heard
}

func (w *world) start(line, work string) *running {
	r := &running{line: line, work: work}
	words := w.words(line)
	r.cmd = exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = w.dir, w.environ(), &r.out, &r.errs
	if err := r.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.cmd.Process.Kill() })
	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	r.cmd.Process.Signal(syscall.SIGINT)
	r.cmd.Wait()
	res := result{r.out.String(), r.errs.String(), exitCode(r.cmd.ProcessState)}
	wellSaid(t, r.line, res)
	if res.code != 130 {
		t.Errorf("$ %s\nexit code %d at SIGINT\n%s", r.line, res.code, res.stderr)
	}
	const onTheWay = 3 // so many records may be, of which nobody knows whether they arrived
	if strings.Count(res.stdout, "producer_send_error") > onTheWay {
		t.Errorf("$ %s\ngave records up that it had not sent:\n%s", r.line, lineOf(res.stdout, "producer_send_error"))
	}
	if !strings.HasPrefix(r.line, "kafka-console-consumer") {
		return
	}
	seen := map[string]bool{}
	for _, number := range strings.Fields(res.stdout) {
		if seen[number] {
			t.Errorf("$ %s\nprinted %s twice", r.line, number)
			return
		}
		seen[number] = true
	}
}

// forgetful passes on what is said between clients and a node, and advertises itself in the node's place. After so many
// requests it closes each connection and takes no more, or is silent.
func forgetful(t *testing.T, node string, requests int64, silent bool) string {
	t.Helper()
	port := func(address string) []byte {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.AppendUint32(nil, uint32(n))
	}
	var asked atomic.Int64
	return listen(t, func(l net.Listener, c net.Conn) {
		defer c.Close()
		real, own := port(node), port(l.Addr().String())
		up, err := net.Dial("tcp", node)
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := up.Read(buf)
				if err != nil {
					c.Close()
					return
				}
				c.Write(bytes.ReplaceAll(buf[:n], real, own))
			}
		}()
		for {
			size := make([]byte, 4)
			if _, err := io.ReadFull(c, size); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint32(size))
			if _, err := io.ReadFull(c, body); err != nil {
				return
			}
			if asked.Add(1) > requests {
				if silent {
					io.Copy(io.Discard, c)
				} else {
					l.Close()
				}
				return
			}
			up.Write(append(size, body...))
		}
	})
}

// TestABrokerThatGoesInTheMiddleOfACommand lets a broker answer the first requests of each tool and then die, or fall silent.
// The tool ends in its time: it has got what it wanted, or says what is wrong and fails under MOLDAU_STRICT.
func TestABrokerThatGoesInTheMiddleOfACommand(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for timeouts")
	}
	kafka := moldautest.New(t)
	for _, topic := range []string{"t", "alone"} {
		kafka.CreateTopic(topic, 1)
	}
	w := &world{t: t, bin: toolFolder(t), dir: t.TempDir(), bootstrap: kafka.Bootstrap(), sasl: noSASL}
	w.write("p.properties", shortTimeouts, 0o644)
	w.write("dr.json", `{"partitions":[{"topic":"t","partition":0,"offset":0}],"version":1}`, 0o644)
	w.write("plan.json", `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}`, 0o644)
	const b = " --bootstrap-server $B --command-config $P "
	lines := clientLines()
	lines["reassign --verify"] = "kafka-reassign-partitions" + b + "--verify --reassignment-json-file plan.json"
	lines["reassign --execute"] = "kafka-reassign-partitions" + b + "--execute --reassignment-json-file plan.json"
	lines["groups --describe"] = "kafka-consumer-groups" + b + "--describe --all-groups --timeout 1000"
	lines["reset-offsets"] = "kafka-consumer-groups" + b + "--reset-offsets --group r --topic t --to-earliest --execute --timeout 1000"
	lines["transactions find-hanging"] = "kafka-transactions" + b + "find-hanging --topic t"
	lines["transactions describe-producers"] = "kafka-transactions" + b + "describe-producers --topic t --partition 0"
	for _, silent := range []bool{false, true} {
		for _, requests := range []int64{2, 5} {
			t.Run(fmt.Sprintf("after %d, silent %v", requests, silent), func(t *testing.T) {
				eachLine(t, lines, func(line string) {
					one := *w
					one.bootstrap = forgetful(t, kafka.Bootstrap(), requests, silent)
					one.endsInItsTime(t, strings.ReplaceAll(line, "$P", "p.properties"))
				})
			})
		}
	}
}

func (w *world) endsInItsTime(t *testing.T, line string) {
	words := w.words(line)
	cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.dir, append(w.environ(), "MOLDAU_STRICT=1"), strings.NewReader("x\n")
	late := time.AfterFunc(90*time.Second, func() { cmd.Process.Kill() })
	res := finish(cmd)
	if !late.Stop() {
		t.Errorf("$ %s\ndoes not end by itself\n%s%s", line, res.stdout, res.stderr)
	}
	wellSaid(t, line, res)
	if res.code != 0 && res.code != 1 || res.code == 1 && res.stdout+res.stderr == "" {
		t.Errorf("$ %s\nexit code %d\n%s%s", line, res.code, res.stdout, res.stderr)
	}
}
