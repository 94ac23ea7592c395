package vfs

import "golang.org/x/sys/windows"

// Space is the size of the file system that holds a path, and what of it ordinary users may still fill, in bytes.
func Space(path string) (total, free int64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var avail, size, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &avail, &size, &all); err != nil {
		return 0, 0, err
	}
	return int64(size), int64(avail), nil
}
