//go:build unix

package vfs

import "golang.org/x/sys/unix"

// Space is the size of the file system that holds a path, and what of it ordinary users may still fill, in bytes.
func Space(path string) (total, free int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), nil
}
