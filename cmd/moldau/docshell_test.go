//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// docPatience is how long a line that is shown may take to be printed, on a machine that does much else.
const docPatience = 90 * time.Second

// docPorts are the ports that the pages use, as steps from the first of each family. The test runs on ports of its own,
// with the same steps, and writes those of the pages where the output has them.
var docPorts = map[int][]int{
	9092:  {0, 1},                                    // a node, and its controller
	9644:  {0},                                       // its metrics
	29092: {0, 1, 100, 101, 200, 201, 552, 652, 752}, // moldau dev --nodes 3, with its metrics
	39092: {0, 1, 1000, 1001, 2000, 2001},            // three configuration files
}

// instead of a command that takes minutes, or is the program itself, the test does this.
var instead = map[string]string{
	"make build":    ":", // bin is there
	"go test ./...": ":", // that is what runs this
}

// reader is somebody who reads a page and types what it says, in a directory of their own.
type reader struct {
	t         *testing.T
	dir       string
	environ   []string
	real      map[string]string // a port of the pages, and ours
	shown     map[string]string // the other way
	terminals map[string]*terminal
	shell     *terminal // the one that waits for each command
}

// newReader has the tools of bin in ./bin and in the path.
func newReader(t *testing.T, bin string, environ []string) *reader {
	t.Helper()
	dir, err := os.MkdirTemp("", "moldau-docs") // a test's own folder may have a comma in its name, which log.dirs would take for two
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, dir: dir, environ: append(environ, "PATH="+bin+":"+os.Getenv("PATH")), real: map[string]string{}, shown: map[string]string{}, terminals: map[string]*terminal{}}
	for first, steps := range docPorts {
		ours := freePorts(t, steps)
		for _, s := range steps {
			r.real[strconv.Itoa(first+s)], r.shown[strconv.Itoa(ours+s)] = strconv.Itoa(ours+s), strconv.Itoa(first+s)
		}
	}
	t.Cleanup(func() {
		for name, term := range r.terminals {
			term.end()
			if t.Failed() {
				t.Logf("terminal %s:\n%s", name, indent(term.all))
			}
		}
		if r.shell != nil {
			r.shell.end()
		}
		os.RemoveAll(dir)
	})
	return r
}

// freePorts is a port with which all those at the steps from it are free; out of the range from which the system gives ports away,
// lest one of them is given to somebody meanwhile.
func freePorts(t *testing.T, steps []int) int {
	t.Helper()
	for range 1000 {
		first := 10000 + rand.IntN(20000)
		if !slices.ContainsFunc(steps, func(s int) bool {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+s))
			if err == nil {
				l.Close()
			}
			return err != nil
		}) {
			return first
		}
	}
	t.Fatal("there are no free ports")
	return 0
}

var anyPort = regexp.MustCompile(`\b\d{4,5}\b`)

func swapPorts(line string, by map[string]string) string {
	return anyPort.ReplaceAllStringFunc(line, func(p string) string {
		if other, ok := by[p]; ok {
			return other
		}
		return p
	})
}

// quietDev is what the test adds to moldau dev, whose nodes serve metrics on fixed ports otherwise.
const quietDev = " --override moldau.admin.listener="

var (
	devCommand  = regexp.MustCompile(`(^|; )(bin/)?moldau dev\b`)
	soleCommand = regexp.MustCompile(`^(bin/)?moldau$`)
)

// ours is a command of the page as the test runs it.
func (r *reader) ours(command string) string {
	if other, ok := instead[command]; ok {
		return other
	}
	command = swapPorts(command, r.real)
	if goRun := "go run ./cmd/moldau"; strings.HasPrefix(command, goRun) {
		command = "exec -a /tmp/go-build/exe/moldau moldau" + strings.TrimPrefix(command, goRun) // the name that go run gives
	}
	switch {
	case devCommand.MatchString(command):
		return command + quietDev
	case soleCommand.MatchString(command), strings.HasPrefix(command, "exec -a"):
		return "export " + strings.Join(r.soleNode(), " ") + "\n" + command
	}
	return command
}

// soleNode are the settings of a node that has none, on ports of ours: who names an address must name everything.
func (r *reader) soleNode() []string {
	broker, controller := "localhost:"+r.real["9092"], "localhost:"+r.real["9093"]
	return []string{
		"KAFKA_PROCESS_ROLES=broker,controller", "KAFKA_NODE_ID=1", "KAFKA_LISTENERS=PLAINTEXT://" + broker + ",CONTROLLER://" + controller,
		"KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER", "KAFKA_CONTROLLER_QUORUM_VOTERS=1@" + controller,
		"KAFKA_MOLDAU_ADMIN_LISTENER=127.0.0.1:" + r.real["9644"], "KAFKA_MOLDAU_FLUSH_ACKS=true", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0",
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1", "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1",
	}
}

// asShown is a line of output as the page would have it.
func (r *reader) asShown(line string) string {
	return swapPorts(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), quietDev, ""), r.shown)
}

// follow does what a page says. It returns the page with what commands have printed this time, but where lines are left out.
func (r *reader) follow(name, page string) string {
	r.t.Helper()
	blocks, err := docBlocks(page)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	lines := strings.Split(page, "\n")
	type change struct {
		at, of int
		by     []string
	}
	var changes []change
	for _, b := range blocks {
		for _, s := range b.steps {
			at := fmt.Sprintf("%s, line %d", name, s.line)
			if term := b.terminal(); term != "" {
				r.inTerminal(at, term, b, s)
				continue
			}
			got := r.run(at, b, s)
			if matchLines(s.shown, got, b.has("figures"), true) < 0 {
				r.t.Errorf("%s: $ %s\nshown:\n%s\nprinted:\n%s", at, s.command, indent(s.shown), indent(got))
			}
			if !slices.Contains(s.shown, "...") {
				changes = append(changes, change{s.line - 1, len(s.shown), got})
			}
		}
	}
	for _, c := range slices.Backward(changes) {
		lines = slices.Replace(lines, c.at, c.at+c.of, c.by...)
	}
	return strings.Join(lines, "\n")
}

func indent(lines []string) string { return "\t" + strings.Join(lines, "\n\t") }

// run types a command into the shell and waits for its end.
func (r *reader) run(at string, b docBlock, s docStep) []string {
	r.t.Helper()
	if s.command == "" {
		r.t.Fatalf("%s: output without a command", at)
	}
	if r.shell == nil {
		r.shell = r.open("bash", nil)
	}
	deadline := time.Now().Add(docPatience)
	before := ""
	for {
		const mark = "--- that was it ---"
		fmt.Fprintf(r.shell.in, "{ %s\n} </dev/null\necho; echo '%s'\n", r.ours(s.command), mark)
		var got []string
		ended := r.shell.await(docPatience, func(lines []string) int {
			if i := slices.Index(lines, mark); i >= 0 {
				got = slices.Clone(lines[:i])
				return i + 1
			}
			return -1
		})
		if !ended {
			r.t.Fatalf("%s: $ %s\ndoes not end, or ends the shell; printed:\n%s", at, s.command, indent(r.shell.left()))
		}
		if n := len(got); n > 0 && got[n-1] == "" { // the line break that goes before the mark
			got = got[:n-1]
		}
		for i := range got {
			got[i] = r.asShown(got[i])
		}
		if !b.has("again") || matchLines(s.shown, got, b.has("figures"), true) >= 0 || time.Now().After(deadline) {
			return got
		}
		if text := indent(got); text != before {
			r.t.Logf("%s: $ %s\nis run again, since it printed:\n%s", at, s.command, text)
			before = text
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// inTerminal starts a command that goes on, or awaits more of its output, or stops it.
func (r *reader) inTerminal(at, name string, b docBlock, s docStep) {
	r.t.Helper()
	if s.command != "" {
		if old := r.terminals[name]; old != nil {
			old.end()
		}
		r.terminals[name] = r.open("bash", []string{"-c", r.ours(s.command)})
	}
	term := r.terminals[name]
	if term == nil {
		r.t.Fatalf("%s: nothing was started in %s", at, name)
	}
	if s.stop {
		term.signal(syscall.SIGINT)
		if !term.awaitEnd() {
			r.t.Fatalf("%s: ^C does not end it", at)
		}
	}
	var seen []string
	if !term.await(docPatience, func(lines []string) int {
		seen = seen[:0]
		for _, l := range lines {
			seen = append(seen, r.asShown(l))
		}
		return matchLines(s.shown, seen, b.has("figures"), s.stop)
	}) {
		r.t.Fatalf("%s: in terminal %s\nshown:\n%s\nprinted:\n%s", at, name, indent(s.shown), indent(seen))
	}
}

// terminal is a process and what it has printed, to standard output and standard error alike.
type terminal struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{}

	mu    sync.Mutex
	lines []string // those not yet shown by the page
	all   []string
	more  chan struct{}
}

func (r *reader) open(program string, args []string) *terminal {
	r.t.Helper()
	term := &terminal{cmd: exec.Command(program, args...), ended: make(chan struct{}), more: make(chan struct{}, 1)}
	term.cmd.Dir, term.cmd.Env = r.dir, r.environ
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal goes to all that runs there, as from a keyboard
	in, err := term.cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	term.in, term.cmd.Stdout, term.cmd.Stderr = in, w, w
	if err := term.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	w.Close()
	go func() {
		defer close(term.ended)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if line != "" {
				term.add(strings.TrimRight(line, "\n"))
			}
			if err != nil {
				out.Close()
				_ = term.cmd.Wait() // how it ended is not asked
				return
			}
		}
	}()
	return term
}

func (t *terminal) add(line string) {
	t.mu.Lock()
	t.lines, t.all = append(t.lines, line), append(t.all, line)
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default:
	}
}

func (t *terminal) left() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// await waits until take takes some of the lines, the first ones; it returns how many, -1 to wait for more.
func (t *terminal) await(patience time.Duration, take func([]string) int) bool {
	late := time.After(patience)
	for {
		over := false
		select {
		case <-t.ended:
			over = true
		default:
		}
		t.mu.Lock()
		n := take(t.lines)
		if n >= 0 {
			t.lines = t.lines[n:]
		}
		t.mu.Unlock()
		if n >= 0 || over {
			return n >= 0
		}
		select {
		case <-t.more:
		case <-t.ended:
		case <-late:
			return false
		}
	}
}

func (t *terminal) signal(s syscall.Signal) { _ = syscall.Kill(-t.cmd.Process.Pid, s) }

func (t *terminal) awaitEnd() bool {
	select {
	case <-t.ended:
		return true
	case <-time.After(docPatience):
		return false
	}
}

// end ends what still runs.
func (t *terminal) end() {
	select {
	case <-t.ended:
		return
	default:
	}
	t.in.Close()
	t.signal(syscall.SIGTERM)
	select {
	case <-t.ended:
	case <-time.After(20 * time.Second):
		t.signal(syscall.SIGKILL)
		<-t.ended
	}
}
