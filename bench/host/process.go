package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Process is one that was started here.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  string
}

// Start starts cmd with its output in a file.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("cannot make the log: %w", err)
	}
	defer f.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{}), log: log}
	go func() { cmd.Wait(); close(p.done) }()
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended says whether it has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stopTimeout is how long a process may take over a clean stop: with 100,000 new partitions on a file system that has just deleted as many,
// ext4 looks for free inodes for minutes.
const stopTimeout = 5 * time.Minute

// Stop asks it to end, and kills it if it does not.
func (p *Process) Stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.Kill()
	}
}

// Signal sends it a signal and does not wait.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("cannot signal process %d: %w", p.PID(), err)
	}
	return nil
}

// Await waits until it has ended, or for so long.
func (p *Process) Await(most time.Duration) error {
	select {
	case <-p.done:
		return nil
	case <-time.After(most):
		return fmt.Errorf("process %d has not ended after %s: %s", p.PID(), most, p.Tail())
	}
}

// Kill ends it without notice.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Tail is the end of its output.
func (p *Process) Tail() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-2000):])
}

// ticksPerSecond is the unit of /proc/PID/stat on Linux.
const ticksPerSecond = 100

// CPUSeconds is the CPU time of a process with all its threads, as the scheduler counts it.
func CPUSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the CPU time: %w", err)
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, errors.New("cannot read the CPU time: /proc/PID/stat is short")
	}
	user, err1 := strconv.ParseFloat(string(f[11]), 64)
	system, err2 := strconv.ParseFloat(string(f[12]), 64)
	stat := (user + system) / ticksPerSecond
	return stat, errors.Join(err1, err2)
}

// ThreadSeconds is the same in nanosecond steps, of the threads that live.
func ThreadSeconds(pid int) float64 {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	total := 0.0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		ns, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseFloat(ns, 64)
		total += n / 1e9
	}
	return total
}

// Memory is a line of /proc/PID/status in bytes: VmRSS, VmHWM, RssAnon.
func Memory(pid int, line string) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// Descriptors is how many a process has open.
func Descriptors(pid int) int {
	e, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(e)
}

// BusySeconds is the CPU time of the whole machine that was not idle.
func BusySeconds() float64 {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	total := 0.0
	for i, f := range strings.Fields(line) {
		n, _ := strconv.ParseFloat(f, 64)
		if i >= 1 && i <= 8 && i != 4 && i != 5 { // not idle, not iowait
			total += n / ticksPerSecond
		}
	}
	return total
}

// DirtyBytes is what waits to be written to the disk.
func DirtyBytes() int64 {
	b, _ := os.ReadFile("/proc/meminfo")
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "Dirty:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// startRoofline bounds the start of a loop.
const startRoofline = 60 * time.Second

// StartPrinting starts a process that prints one line when it is ready, and returns the line.
// The process ends when its input does.
func StartPrinting(cmd *exec.Cmd, log string) (p *Process, line string, end func(), err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", nil, err
	}
	r, w := io.Pipe()
	cmd.Stdout = w
	if p, err = Start(cmd, log); err != nil {
		return nil, "", nil, err
	}
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 256)
		n, _ := r.Read(b)
		got <- strings.TrimSpace(string(b[:n]))
		io.Copy(io.Discard, r)
	}()
	end = func() { in.Close(); <-p.done }
	select {
	case line = <-got:
		return p, line, end, nil
	case <-p.done:
		return nil, "", nil, fmt.Errorf("%s ended: %s", cmd.Path, p.Tail())
	case <-time.After(startRoofline):
		p.Kill()
		return nil, "", nil, fmt.Errorf("%s did not get ready in %s", cmd.Path, startRoofline)
	}
}
