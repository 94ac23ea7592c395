// Package disks puts a server's data on small file systems of its own and takes them away from under it: the power
// is cut, as far as a machine without a switch can, the file system turns read-only, and the disk fills up. What was acknowledged must be there
// afterwards, and a server whose disk was full goes on by itself when there is room again.
//
// The runner calls it. It needs root, loop devices and mkfs.ext4, and says so where they are missing. It owns the mounts and
// takes them down. If it is wrong, a server that loses acknowledged records with the power passes.
package disks
