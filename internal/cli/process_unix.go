//go:build unix

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func killProcess(pid int, signal string) error {
	sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(signal), "SIG"))
	if n, err := strconv.Atoi(signal); err == nil {
		sig = syscall.Signal(n)
	}
	if sig == 0 {
		return fmt.Errorf("there is no signal %s", signal)
	}
	return syscall.Kill(pid, sig)
}

// apart gives a process a group of its own: the terminal's Ctrl-C comes to us alone, and we pass it on.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// detach starts this program in a session of its own, so that it outlives the
// terminal.
func detach(args []string, outputFile string) (int, error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(outputFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := exec.Command(exe, args...)
	cmd.Args[0] = "moldau"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, cmd.Process.Release()
}
