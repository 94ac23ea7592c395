package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moldau-stream/moldau/tests/examples"
	"github.com/moldau-stream/moldau/tests/node"
)

// runExamples runs the documentation's programs, on one node and on three.
func runExamples(ctx context.Context, s *session) error {
	only, err := s.selected()
	if err != nil {
		return err
	}
	source := os.Getenv("MOLDAU_TESTS_SOURCE")
	if source == "" {
		return fmt.Errorf("MOLDAU_TESTS_SOURCE is not set; start this program by tests/run")
	}
	o := examples.Options{Source: filepath.Join(source, "..", "examples"), Only: only, Cache: s.cache, Logf: s.logf}
	if s.spec.Kind == node.External {
		o.Bootstrap, o.Dir = s.spec.Bootstrap, s.dir
		return examples.Run(ctx, o, s.rep)
	}
	for _, size := range []int{1, clusterSize} {
		c, stop, err := s.cluster("examples", size, nil)
		if err != nil {
			return err
		}
		o.Bootstrap, o.On = c.Seeds[0], map[bool]string{true: "one node", false: fmt.Sprintf("%d nodes", size)}[size == 1]
		o.Dir = filepath.Join(s.dir, fmt.Sprintf("examples-%d", size))
		if err = os.MkdirAll(o.Dir, 0o755); err == nil {
			err = examples.Run(ctx, o, s.rep)
		}
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}
