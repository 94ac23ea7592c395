// Command moldau is a Kafka-compatible event streaming platform: a node, and
// every one of Kafka's command-line tools, in one binary.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/moldau-stream/moldau/internal/cli"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/moldau-stream/moldau/internal/quorum"
)

func main() {
	// A closed pipe is an error of the write and not the end of the process: tools
	// that send or change things finish them, as Kafka's do.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(cli.Run(cli.Env{
		Args:             os.Args,
		Stdin:            os.Stdin,
		Stdout:           os.Stdout,
		Stderr:           os.Stderr,
		StdinIsTerminal:  isTerminal(os.Stdin),
		StdoutIsTerminal: isTerminal(os.Stdout),
		TerminalSize:     terminalSize,
		Version:          builtVersion(),
		Build:            build(),
		Signals:          signals,
		Server:           server,
		Storage:          storageWriter(),
		Metadata:         cli.MetadataChecker{Batch: quorum.CheckBatch, Files: quorum.CheckFiles, TopicIDs: quorum.TopicIDs},
	}))
}

// server runs a node until a signal ends it.
func server(a cli.ServerArgs) int {
	c, stop := signals()
	defer stop()
	args := node.RunArgs{
		ConfigFile: a.ConfigFile, CheckConfig: a.CheckConfig, Environ: os.Environ(),
		Stdout: os.Stdout, Stderr: os.Stderr, Signals: c, Version: builtVersion(),
	}
	for _, o := range a.Overrides {
		args.Overrides = append(args.Overrides, o.Key+"="+o.Value)
	}
	return node.Run(args)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull && !isNull(info)
}

// isNull tells the null device, a character device too, from a terminal.
func isNull(info os.FileInfo) bool {
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(null, info)
}

func signals() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c, func() { signal.Stop(c) }
}
