//go:build !unix

package main

// terminalSize is not known here: what is drawn is not cut.
func terminalSize() (columns, rows int) { return 0, 0 }
