package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/moldau-stream/moldau/tests/eos"
	"github.com/moldau-stream/moldau/tests/node"
)

// runEos kills Java applications and the nodes that they run on.
func runEos(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("a cluster that somebody else started is not ours to kill")
	}
	for _, program := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			s.rep.Note("eos: skipped, there is no %s", program)
			return nil
		}
	}
	c, stop, err := s.cluster("eos", clusterSize, nil)
	if err != nil {
		return err
	}
	defer stop()
	dir := filepath.Join(s.dir, "eos-applications")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return eos.Run(ctx, c, eos.Options{Duration: s.duration, Seed: s.seed, Dir: dir, Cache: s.cache, Moldau: s.spec.Binary, Logf: s.logf}, s.rep)
}
