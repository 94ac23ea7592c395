package vfs

import (
	"os"
	"strings"
)

// BootID names the boot of the kernel, "" where the system does not say.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
