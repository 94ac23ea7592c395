package vfs

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Identity asks for the mount's unique id, which Linux 6.8 and later have: it is never used again while the kernel runs. The
// older ids, as in /proc/self/mountinfo, are given again to the next mount, and prove nothing.
func (OS) Identity(name string) (string, error) {
	var s unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_INO|unix.STATX_MNT_ID_UNIQUE, &s); err != nil {
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
			return "", errors.ErrUnsupported
		}
		return "", &fs.PathError{Op: "statx", Path: name, Err: err}
	}
	if s.Mask&unix.STATX_MNT_ID_UNIQUE == 0 || s.Mask&unix.STATX_INO == 0 {
		return "", errors.ErrUnsupported
	}
	return fmt.Sprintf("%x:%x:%x:%x", s.Mnt_id, s.Dev_major, s.Dev_minor, s.Ino), nil
}
