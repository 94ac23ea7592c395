//go:build unix

package vfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe under the name of a file is refused. To open it would wait for somebody to write to it.
func TestAPipeIsNotOpened(t *testing.T) {
	name := filepath.ToSlash(t.TempDir()) + "/00000000000000000000.log"
	if err := unix.Mkfifo(name, 0o644); err != nil {
		t.Skip("no pipes here:", err)
	}
	for _, flag := range []int{os.O_RDONLY, os.O_WRONLY | os.O_CREATE | os.O_TRUNC, os.O_RDWR} {
		if _, err := (OS{}).OpenFile(name, flag, 0o644); err == nil {
			t.Errorf("opened a pipe with flags %#x", flag)
		}
	}
	if _, err := ReadFile(OS{}, name); err == nil {
		t.Error("read a pipe")
	}
}
