package eos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// saidBytes is how much of an application's output is shown when it has failed.
const saidBytes = 2 << 10

// app is one process of an application. Its methods are called from one goroutine.
type app struct {
	name string
	flow string
	log  string
	args []string
	cmd  *exec.Cmd
}

func (s *stage) startApp(classPath string, f flow, i int) (*app, error) {
	name := f.in + "-" + strconv.Itoa(i)
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args := []string{"-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classPath}
	a := &app{name: name, flow: f.in, log: filepath.Join(dir, "log"), args: append(args, f.command(s.c.Bootstrap(), dir, i)...)}
	return a, a.start()
}

func (a *app) start() error {
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	a.cmd = exec.Command("java", a.args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", a.name, err)
	}
	return nil
}

// kill ends the process as a power cut would.
func (a *app) kill() {
	_ = a.cmd.Process.Signal(syscall.SIGKILL)
	_ = a.cmd.Wait()
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
