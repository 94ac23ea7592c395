// Package vfs is the seam to the file system. Storage, quorum and the tools reach
// files only through FS, so that tests run on memory, cut the power after any
// operation, and inject faults.
//
// What the operating system promises, and no more, is what FS promises: a write
// is durable after Sync of its file; a created, renamed or removed name is durable
// after SyncDir of its directory.
package vfs
