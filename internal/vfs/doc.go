// Package vfs is the seam to the file system. Storage, quorum and the tools reach
// files only through FS, so that tests run on memory, cut the power after any
// operation, and inject faults.
//
// What the operating system promises, and no more, is what FS promises: a write
// is durable after Sync of its file; a created, renamed or removed name is durable
// after SyncDir of its directory.
//
// OS is the machine's file system. Mem keeps everything in memory and knows what
// is durable: CrashClone is what a power cut would leave, KillClone what the death
// of the process would leave. Fault asks a hook before each operation.
// WriteFileAtomic is the way to replace a small file.
package vfs
