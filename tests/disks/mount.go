package disks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"github.com/moldau-stream/moldau/tests/node"
)

// Volume is an ext4 file system in a file.
type Volume struct {
	image string
	Path  string // where it is mounted
}

// Missing says why this machine can have no volumes, or "".
func Missing() string {
	if os.Geteuid() != 0 {
		return "it needs root to mount file systems"
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return "the machine has no loop devices"
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed"
		}
	}
	return ""
}

// Make makes a volume of some megabytes below dir and mounts it.
func Make(dir string, megabytes int64) (*Volume, error) {
	v := &Volume{image: filepath.Join(dir, "volume.img"), Path: filepath.Join(dir, "volume")}
	f, err := os.Create(v.image)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(megabytes << 20)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.MkdirAll(v.Path, 0o755)
	}
	if err == nil {
		err = command("mkfs.ext4", "-q", "-F", "-m", "0", v.image)
	}
	if err != nil {
		return nil, err
	}
	return v, v.Mount()
}

// Mount mounts the volume; the journal is replayed as after a power cut.
func (v *Volume) Mount() error { return command("mount", "-o", "loop", v.image, v.Path) }

// Unmount takes it down.
func (v *Volume) Unmount() error { return command("umount", v.Path) }

// Drop takes the volume down for good, however it stands.
func (v *Volume) Drop() {
	if err := v.Unmount(); err != nil {
		_ = command("umount", "-l", v.Path) // it may be unmounted already
	}
	_ = os.Remove(v.image) // the directory goes with the run
}

// ext4Shutdown is EXT4_IOC_SHUTDOWN: the file system stops at once. With noLogFlush, what its journal holds in memory is lost, as
// with the power; with logFlush, the journal is written first, so that names survive and data does not.
const (
	ext4Shutdown = 0x8004587d
	logFlush     = 1
	noLogFlush   = 2
)

// Cut stops the file system under whoever uses it.
func (v *Volume) Cut(flag uint32) error {
	d, err := os.Open(v.Path)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, d.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		return fmt.Errorf("cannot shut the file system on %s down: %w", v.Path, errno)
	}
	return nil
}

// CutUnder cuts the power under a node, every third time with the journal written, and brings the volume back. What the node says
// while this is under way proves nothing: an fdatasync that Linux 6.18 lets overtake the shutdown of its ext4 may return without an
// error though the journal was thrown away. A loop of write and fdatasync in four files, without any server, was told of bytes that
// were gone then in 54 of 1,200 files; each of those calls ended after the shutdown had begun, and none of those that ended before.
func (v *Volume) CutUnder(n *node.Node, i int) error {
	flag := uint32(noLogFlush)
	if i%3 == 2 {
		flag = logFlush
	}
	if err := v.Cut(flag); err != nil {
		return err
	}
	n.Kill()
	if err := v.Unmount(); err != nil {
		return err
	}
	return v.Mount()
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), errors.New(string(out)))
	}
	return nil
}
