package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinCommand is the word by which the bench command runs Pin.
const pinCommand = "pin"

// EveryCPU in the place of a CPU stands for all of them, whatever this process is bound to itself.
const EveryCPU = -2

// Pin binds this thread to a CPU and becomes the command: bench pin CPU COMMAND ARGS...
func Pin(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("pin wants a CPU and a command")
	}
	cpu, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("cannot read the CPU: %w", err)
	}
	if err := bind(0, cpu); err != nil {
		return err
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return unix.Exec(path, args[1:], os.Environ())
}

// bind binds a thread, 0 for the one that calls.
func bind(thread, cpu int) error {
	var set unix.CPUSet
	if cpu == EveryCPU {
		for i := range onlineCPUs() {
			set.Set(i)
		}
	} else {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("cannot run on CPU %d: %w", cpu, err)
	}
	return nil
}

// Rebind binds all threads of this process; those that it makes later have the CPUs of those that make them.
func Rebind(cpu int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("cannot list the threads of this process: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("cannot read a thread's id: %w", err)
		}
		if err := bind(id, cpu); err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended
			return err
		}
	}
	return nil
}

// Command is a command pinned to a CPU, or freed from the driver's with EveryCPU; with another negative one it is left as it is.
func Command(cpu int, name string, args ...string) *exec.Cmd {
	if cpu < 0 && cpu != EveryCPU {
		return exec.Command(name, args...)
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, append([]string{pinCommand, strconv.Itoa(cpu), name}, args...)...)
}
