package node

import "runtime"

// lockThread ties the calling goroutine to its thread. It is never released:
// the goroutine ends with the process it watches.
func lockThread() { runtime.LockOSThread() }
