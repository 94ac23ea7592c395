package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moldau-stream/moldau/tests/chaos"
	"github.com/moldau-stream/moldau/tests/node"
)

// runFailover has a cluster of its own.
func runFailover(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("a cluster that somebody else started is not ours to hurt")
	}
	dir, err := os.MkdirTemp(s.dir, "failover-")
	if err != nil {
		return err
	}
	return chaos.Failover(ctx, s.spec, s.fleet, dir, chaos.FailoverOptions{
		Runs: s.kills, Only: s.only, Record: s.record, RealKafka: os.Getenv("MOLDAU_REALKAFKA"), Logf: s.logf,
	}, s.rep)
}
