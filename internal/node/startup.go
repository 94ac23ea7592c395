package node

import (
	"os"
	"runtime/debug"
	"time"
)

const (
	// startupSettles is when after the start the clients that have waited for it have been served once.
	startupSettles = time.Second
	// startupGCPercent is how much garbage a start may leave before it is collected: nearly all that a start
	// allocates stays, and looking through it again and again is a quarter of the time that 100,000 partitions take.
	startupGCPercent = 200
)

// collectRarely has the garbage collector run less until tidy is called, which also gives back what it has left. Whoever
// has set GOGC knows better.
func collectRarely() (tidy func()) {
	if os.Getenv("GOGC") != "" {
		return debug.FreeOSMemory
	}
	usual := debug.SetGCPercent(startupGCPercent)
	return func() {
		debug.SetGCPercent(usual)
		debug.FreeOSMemory()
	}
}
