package host

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what a reader must know of where the figures come from.
type Machine struct {
	CPU, Kernel, Memory, FileSystem, Go string
	CPUs                                int
}

// ThisMachine looks at the machine; dir lies on the disk that is measured.
func ThisMachine(dir string) Machine {
	m := Machine{CPUs: onlineCPUs(), Go: runtime.Version()}
	m.CPU = field("/proc/cpuinfo", "model name")
	m.Memory = field("/proc/meminfo", "MemTotal")
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = "Linux " + strings.TrimSpace(string(b))
	if out, err := exec.Command("df", "--output=fstype", dir).Output(); err == nil {
		if f := strings.Fields(string(out)); len(f) > 1 {
			m.FileSystem = f[1]
		}
	}
	return m
}

// onlineCPUs counts those of the machine; runtime.NumCPU counts those that this process, which is pinned, may use.
func onlineCPUs() int {
	b, _ := os.ReadFile("/proc/cpuinfo")
	n := 0
	for l := range strings.Lines(string(b)) {
		if k, _, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "processor" {
			n++
		}
	}
	return n
}

func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// Touch has the kernel put so much memory to use once and give it back: what a virtual machine's host has
// not backed yet, or has taken away again, costs the first who writes to it twice as much.
func Touch(bytes int) error {
	b, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("cannot touch %d bytes of memory: %w", bytes, err)
	}
	return unix.Munmap(b)
}
