package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// saidBytes is how much of a program's output is shown when it has failed.
	saidBytes = 1 << 10
	// endTimeout is how long a program may take to end when it is asked to, dumpTimeout how long to write down what it does instead.
	endTimeout, dumpTimeout = 30 * time.Second, 2 * time.Second
	// lookEvery is the rest between two looks at something that takes a while.
	lookEvery = 250 * time.Millisecond
)

// process is a program that runs beside the checks. Its methods are called from one goroutine.
type process struct {
	name, log string
	logf      func(format string, args ...any)
	cmd       *exec.Cmd
	ended     chan struct{}
}

// start runs a program whose output goes to a file of its name in the stage's directory.
func (s *stage) start(name string, argv ...string) (*process, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	p := &process{name: name, logf: s.Logf, log: filepath.Join(s.dir, name+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, s.dir
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startJava runs a class of a class path.
func (s *stage) startJava(name, classPath, class string, args ...string) (*process, error) {
	return s.start(name, append([]string{"java", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		"-Dlog4j2.level=ERROR", "-cp", classPath, class}, args...)...)
}

// stop asks the program to end, and makes it. One that does not writes what its threads do to its log first.
func (p *process) stop() {
	if p.endsBy(syscall.SIGTERM, endTimeout) {
		return
	}
	p.logf("%s: %s has not ended within %s", p.log, p.name, endTimeout)
	if !p.endsBy(syscall.SIGQUIT, dumpTimeout) {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// endsBy sends a signal and waits for the end, for so long.
func (p *process) endsBy(sig syscall.Signal, limit time.Duration) bool {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.ended:
		return true
	case <-time.After(limit):
		return false
	}
}

// said is the end of what the program printed.
func (p *process) said() string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-saidBytes):])
}

// until looks again and again until there is no problem left, the program has ended, or the time is up.
func (p *process) until(ctx context.Context, look func() error) error {
	for {
		problem := look()
		if problem == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended: %w; it said: %s", p.name, problem, p.said())
		case <-ctx.Done():
			return fmt.Errorf("not in time: %w; %s said: %s", problem, p.name, p.said())
		case <-time.After(lookEvery):
		}
	}
}

// needs says which program of the machine is missing.
func needs(programs ...string) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return errMissing{name + " is not on this machine"}
		}
	}
	return nil
}
