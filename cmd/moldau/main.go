// Command moldau.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/moldau-stream/moldau/internal/node"
)

func main() {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	f := ""
	if len(os.Args) > 1 {
		f = os.Args[1]
	}
	os.Exit(node.Run(node.RunArgs{ConfigFile: f, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Signals: c, Version: "dev"}))
}
