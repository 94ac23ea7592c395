//go:build !linux

package node

// shedStartup has nothing to do where the system is not asked to take pages back.
func shedStartup() error { return nil }
