package node

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// shedStartup has the kernel take the pages of the program's file out of this process: most of them were only
// wanted to start, and what is wanted again comes back from the page cache, 64 KiB at a fault. An idle node
// is mostly the program itself.
func shedStartup() error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for line := range bytes.Lines(maps) {
		// address           perms offset  dev   inode  pathname
		// 00400000-00eae000 r-xp 00000000 fe:00 123456 /usr/bin/moldau
		f := strings.Fields(string(line))
		if len(f) != 6 || f[5] != self || f[1] != "r-xp" && f[1] != "r--p" {
			continue // what can be written to would lose what was written
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(f[0], "%x-%x", &from, &to); err != nil {
			return fmt.Errorf("cannot read /proc/self/maps: %w", err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("cannot give up the program's pages: %w", errno)
		}
	}
	return nil
}
