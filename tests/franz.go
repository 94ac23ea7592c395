package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moldau-stream/moldau/tests/franz"
	"github.com/moldau-stream/moldau/tests/node"
)

// clusterSize is how many nodes a suite has that runs on several.
const clusterSize = 3

// cluster starts a cluster of its own for a suite, which stops it by the function.
func (s *session) cluster(suite string, size int, props map[string]string) (*node.Cluster, func(), error) {
	dir, err := os.MkdirTemp(s.dir, suite+"-")
	if err != nil {
		return nil, nil, err
	}
	spec := s.spec
	spec.Props = props
	c, err := s.fleet.StartCluster(spec, dir, size)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start %d nodes: %w", size, err)
	}
	return c, func() { s.rep.Check(suite, fmt.Sprintf("%d nodes stop cleanly", size), 0, c.Stop()) }, nil
}

// runFranz runs the client's tests on one node and on three.
func runFranz(ctx context.Context, s *session) error {
	only, err := s.selected()
	if err != nil {
		return err
	}
	for _, size := range []int{1, clusterSize} {
		c, stop, err := s.cluster("franz", size, nil)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d nodes", size)
		err = franz.Run(ctx, name, franz.Options{Bootstrap: c.Bootstrap(), Replicas: size, Only: only, CacheDir: s.cache.Dir, Log: filepath.Join(s.dir, fmt.Sprintf("franz-%d.log", size)), Logf: s.logf}, s.rep)
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}
