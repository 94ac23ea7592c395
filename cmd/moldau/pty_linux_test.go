package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ptyTerminal is a pseudo-terminal in which a tool of ours runs.
type ptyTerminal struct {
	t     *testing.T
	keys  *os.File // what is written here is typed
	cmd   *exec.Cmd
	ended chan struct{}

	mu   sync.Mutex
	seen strings.Builder // guarded by mu
}

// onTerminal starts a line on a terminal of its own.
func (w *world) onTerminal(t *testing.T, line string) *ptyTerminal {
	t.Helper()
	words := w.words(line)
	return w.programOnTerminal(t, exec.Command(filepath.Join(w.bin, words[0]), words[1:]...))
}

func (w *world) programOnTerminal(t *testing.T, cmd *exec.Cmd) *ptyTerminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer slave.Close()
	cmd.Dir, cmd.Env = w.dir, append(w.environ(), cmd.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &ptyTerminal{t: t, keys: master, cmd: cmd, ended: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			term.mu.Lock()
			term.seen.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return // EIO: nobody has the other side open any more
			}
		}
	}()
	go func() { cmd.Wait(); <-read; close(term.ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-term.ended; master.Close() })
	return term
}

func (x *ptyTerminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// shows waits until the screen has shown words.
func (x *ptyTerminal) shows(words string) { x.t.Helper(); x.showsAfter(0, words) }

// showsAfter waits until the screen shows words behind its first so many bytes.
func (x *ptyTerminal) showsAfter(bytes int, words string) {
	x.t.Helper()
	for range 1200 {
		if strings.Contains(x.text()[bytes:], words) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.t.Fatalf("the terminal does not show %q:\n%s", words, x.text())
}

func (x *ptyTerminal) types(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.keys, keys); err != nil {
		x.t.Fatal(err)
	}
}

// endsWith waits for the end of the tool.
func (x *ptyTerminal) endsWith(code int) {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(30 * time.Second):
		x.t.Fatalf("the tool does not end:\n%s", x.text())
	}
	if got := exitCode(x.cmd.ProcessState); got != code {
		x.t.Errorf("exit code %d, wanted %d:\n%s", got, code, x.text())
	}
}

// TestToolsOnATerminal looks at what only a terminal gets: histograms behind the lines of performance tools, a view that
// is drawn anew, prompts, and Ctrl-C as a key.
func TestToolsOnATerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.shell("kafka-topics --bootstrap-server $B --create --topic t", "")

	const perf = "kafka-producer-perf-test --bootstrap-server $B --topic t --num-records 200 --record-size 10 --throughput -1"
	x := w.onTerminal(t, perf)
	x.endsWith(0)
	if text := x.text(); !strings.Contains(text, "200 records sent, ") || !strings.Contains(text, "99.9th.\r\n") || !strings.Contains(text, "▇") {
		t.Errorf("$ %s\n%s", perf, text)
	}
	if res := w.tool(w.words(perf), ""); strings.Contains(res.stdout, "▇") || strings.Count(res.stdout, "\n") != 1 {
		t.Errorf("a pipe gets more than Kafka's line:\n%s", res.stdout)
	}
	const e2e = "kafka-e2e-latency --bootstrap-server $B --topic t --num-records 20 --producer-acks 1 --record-size 10"
	x = w.onTerminal(t, e2e)
	x.endsWith(0)
	if text := x.text(); !strings.Contains(text, "Percentiles: 50th = ") || !strings.Contains(text, "▇") {
		t.Errorf("$ %s\n%s", e2e, text)
	}

	x = w.onTerminal(t, "moldau top --bootstrap-server $B --interval-ms 100")
	x.shows("\x1b[H\x1b[2J\x1b[1m")
	x.shows("RECORDS/S IN")
	x.shows("metadata request")
	x.types("\x03")
	x.endsWith(130)

	x = w.onTerminal(t, "kafka-console-producer --bootstrap-server $B --topic t")
	x.shows(">")
	x.types("hello\n")
	x.shows("hello\r\n>")
	x.types("\x04") // the end of input
	x.endsWith(0)

	x = w.onTerminal(t, "kafka-acls --bootstrap-server $B --remove --topic t")
	x.shows("(y/n)")
	x.types("n\n")
	x.endsWith(0)
}

// TestTheTabKeyCompletesInEachShell types into each shell that is there, as somebody does who has put the line of `moldau
// completion` into the shell's file.
func TestTheTabKeyCompletesInEachShell(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.shell("kafka-topics --bootstrap-server $B --create --topic orders-of-europe; kafka-topics --bootstrap-server $B --create --topic payments; "+
		"kafka-consumer-groups --bootstrap-server $B --reset-offsets --group billing --topic payments --to-earliest --execute", "")
	for shell, c := range map[string]struct {
		args  []string
		setUp string
	}{
		"bash": {[]string{"--norc", "--noprofile", "-i"}, "source <(moldau completion bash); PS1='rea''dy> '"},
		"zsh":  {[]string{"-f", "-i"}, "autoload -U compinit; compinit -u -D; source <(moldau completion zsh); PS1='rea''dy> '"},
		"fish": {[]string{"--no-config", "-i"}, "moldau completion fish | source; function fish_prompt; echo -n rea''dy'> '; end"},
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(path, c.args...)
			cmd.Env = []string{"TERM=dumb", "HOME=" + t.TempDir()}
			x := w.programOnTerminal(t, cmd)
			x.types(c.setUp + "\n")
			x.shows("ready> ")
			for _, k := range []struct{ typed, becomes string }{
				{"moldau consumer-g\t", "roups"},
				{w.fill("kafka-topics --bootstrap-server $B --describe --topic or\t"), "ders-of-europe"},
				{w.fill("kafka-topics.sh --bootstrap-server=$B --describe --topic pa\t"), "yments"},
				{w.fill("moldau consumer-groups --bootstrap-server $B --describe --group bi\t"), "lling"},
				{"kafka-topics --replica-as\t", "signment"},
				{"moldau completion z\t", "sh"},
			} {
				seen := len(x.text())
				x.types(k.typed)
				x.showsAfter(seen, k.becomes)
				seen = len(x.text())
				x.types("\x15\n") // nothing of it is to be run
				x.showsAfter(seen, "ready> ")
			}
			x.types("exit\n")
			x.endsWith(0)
		})
	}
}
