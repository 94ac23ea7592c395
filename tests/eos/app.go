package eos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// saidBytes is how much of an application's output is shown when it has failed.
const saidBytes = 2 << 10

// restartPause lies between the end of a process and the next one of its kind.
const restartPause = 200 * time.Millisecond

// app is one process of an application, and those that follow it.
type app struct {
	name string
	flow string
	log  string
	argv []string
	// finite: the program ends by itself, when it has come to where the input ended at its start, and is started again.
	finite bool

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has ended
	over bool
}

func (s *stage) startApp(classPath string, f flow, i int) (*app, error) {
	name := f.in + "-" + strconv.Itoa(i)
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args := f.command(s.c.Bootstrap(), dir, i)
	if f.native {
		args = append([]string{s.Moldau}, args...)
	} else {
		args = append([]string{"java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classPath}, args...)
	}
	a := &app{name: name, flow: f.in, log: filepath.Join(dir, "log"), argv: args, finite: f.finite}
	return a, a.start()
}

func (a *app) start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.startLocked()
}

func (a *app) startLocked() error {
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, gone := exec.Command(a.argv[0], a.argv[1:]...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", a.name, err)
	}
	a.cmd, a.gone, a.over = cmd, gone, false
	go func() {
		_ = cmd.Wait()
		close(gone)
		if a.finite {
			a.follow(cmd)
		}
	}()
	return nil
}

// follow starts the next process when one has ended by itself.
func (a *app) follow(cmd *exec.Cmd) {
	time.Sleep(restartPause)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cmd == cmd && !a.over {
		_ = a.startLocked() // what is not copied then, the check finds
	}
}

// kill ends the process as a power cut would.
func (a *app) kill() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	_ = a.cmd.Process.Kill()
	<-a.gone
}

// again kills the process and starts it anew; it finds its state directory as it was.
func (a *app) again() error {
	a.kill()
	return a.start()
}

func (s *stage) endApps() {
	for _, a := range s.apps {
		a.kill()
	}
}

// said is the end of what the applications of a flow printed.
func (s *stage) said(f flow) string {
	var out strings.Builder
	for _, a := range s.apps {
		if a.flow == f.in {
			b, _ := os.ReadFile(a.log)
			fmt.Fprintf(&out, "%s: %s\n", a.name, b[max(0, len(b)-saidBytes):])
		}
	}
	return out.String()
}
