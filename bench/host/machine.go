package host

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what a reader must know of where the figures come from.
type Machine struct {
	CPU, Kernel, Memory, FileSystem, Go string
	CPUs                                int
}

// ThisMachine looks at the machine; dir lies on the disk that is measured.
func ThisMachine(dir string) Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
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

func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// touchChunk is touched at a time.
const touchChunk = 64 << 20

// Touch writes to so much memory once: pages that a virtual machine's host has not backed yet cost twice as much.
func Touch(bytes int64) error {
	var kept [][]byte
	for ; bytes > 0; bytes -= touchChunk {
		b := make([]byte, touchChunk)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	if len(kept) > 0 && kept[0][0] != 1 {
		return fmt.Errorf("memory does not keep what is written to it")
	}
	return nil
}
