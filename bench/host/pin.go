package host

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinCommand is the word by which the bench command runs Pin.
const pinCommand = "pin"

// Pin binds this thread to a CPU and becomes the command: bench pin CPU COMMAND ARGS...
func Pin(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("pin wants a CPU and a command")
	}
	cpu, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("cannot read the CPU: %w", err)
	}
	if err := bind(cpu); err != nil {
		return err
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return unix.Exec(path, args[1:], os.Environ())
}

func bind(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cannot run on CPU %d: %w", cpu, err)
	}
	return nil
}

// Command is a command pinned to a CPU; with a negative one it is not pinned.
func Command(cpu int, name string, args ...string) *exec.Cmd {
	if cpu < 0 {
		return exec.Command(name, args...)
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, append([]string{pinCommand, strconv.Itoa(cpu), name}, args...)...)
}
