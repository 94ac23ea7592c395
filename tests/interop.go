package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moldau-stream/moldau/tests/interop"
	"github.com/moldau-stream/moldau/tests/node"
)

// runInterop fills the compatibility matrix of the target.
func runInterop(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("the matrix has clusters of its own, of one node and of three")
	}
	source := os.Getenv("MOLDAU_TESTS_SOURCE")
	if source == "" {
		return fmt.Errorf("MOLDAU_TESTS_SOURCE is not set; start this program by tests/run")
	}
	target, server := "moldau", ""
	if s.spec.Kind == node.Real {
		target, server = "kafka", "Apache Kafka 4.3.1"
		// These nodes serve for minutes and next to nothing: what the second compiler would take of few cores, the clients lack.
		s.spec.JVM = "-XX:TieredStopAtLevel=1"
	} else {
		out, err := exec.CommandContext(ctx, s.spec.Binary, "version").Output()
		if err != nil {
			return fmt.Errorf("cannot ask the binary for its version: %w", err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ") // and not the commit and the date
		server = "Moldau " + first
	}
	// The cleaner's rest would make the compacted topic wait.
	// librdkafka's tests want topics of four partitions when they do not create them.
	props := map[string]string{"log.cleaner.backoff.ms": "200", "num.partitions": "4"}
	return interop.Run(ctx, interop.Options{Target: target, Server: server, RealKafka: os.Getenv("MOLDAU_REALKAFKA"), Only: s.only, Jobs: s.jobs,
		Docs: filepath.Join(source, "..", "docs"), Dir: s.dir, Source: source, Cache: s.cache, Logf: s.say, Print: func(line string) { fmt.Println(line) },
		Cluster: func(nodes int) (*node.Cluster, func(), error) { return s.cluster("interop", nodes, props) }}, s.rep)
}
