package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moldau-stream/moldau/tests/examples"
)

// runExamples runs the documentation's programs.
func runExamples(ctx context.Context, s *session) error {
	only, err := s.selected()
	if err != nil {
		return err
	}
	source := os.Getenv("MOLDAU_TESTS_SOURCE")
	if source == "" {
		return fmt.Errorf("MOLDAU_TESTS_SOURCE is not set; start this program by tests/run")
	}
	n, stop, err := s.start("examples", nil)
	if err != nil {
		return err
	}
	defer stop()
	dir := filepath.Join(s.dir, "examples")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return examples.Run(ctx, examples.Options{Bootstrap: n.Bootstrap, Source: filepath.Join(source, "..", "examples"), Dir: dir, Only: only, Cache: s.cache, Logf: s.logf}, s.rep)
}
