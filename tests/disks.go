package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moldau-stream/moldau/tests/crash"
	"github.com/moldau-stream/moldau/tests/disks"
	"github.com/moldau-stream/moldau/tests/node"
)

const (
	// cutVolumeMB has room for what the load writes between some hundred cuts.
	cutVolumeMB = 1024
	// fullVolumeMB is soon full, and large enough for a journal.
	fullVolumeMB = 160
)

// runDisks takes the disk away from under the server, in several ways.
func runDisks(ctx context.Context, s *session) error {
	if s.spec.Kind != node.Moldau {
		s.rep.Note("disks: skipped, it is made for moldau: what it acknowledges with moldau.flush.acks=true is on the disk")
		return nil
	}
	if why := disks.Missing(); why != "" {
		s.rep.Note("disks: skipped, %s", why)
		return nil
	}
	if err := s.onVolume("power", cutVolumeMB, map[string]string{"log.cleaner.backoff.ms": "300"}, func(v *disks.Volume, n *node.Node) error {
		return crash.Run(ctx, n, crash.Options{Kills: s.cuts, Seed: s.seed, Logf: s.logf, Suite: "disks", Kill: v.CutUnder, DoubtfulKill: true}, s.rep)
	}); err != nil {
		return err
	}
	if err := s.onVolume("transactions", fullVolumeMB, map[string]string{"log.segment.delete.delay.ms": "500"}, func(v *disks.Volume, n *node.Node) error {
		disks.RunTransactions(ctx, v, n, s.rep)
		return nil
	}); err != nil {
		return err
	}
	plain := filepath.Join(s.dir, "disk-readonly", "plain") // the metadata lie here
	if err := s.onVolume("readonly", fullVolumeMB, map[string]string{"log.dirs": plain}, func(v *disks.Volume, n *node.Node) error {
		if why := v.CannotTurnReadOnly(); why != "" {
			s.rep.Note("disks: no file system turns read-only, %s", why)
			return nil
		}
		disks.RunReadOnly(ctx, v, n, s.rep)
		return nil
	}); err != nil {
		return err
	}
	return s.onVolume("full", fullVolumeMB, map[string]string{"log.segment.delete.delay.ms": "500"}, func(_ *disks.Volume, n *node.Node) error {
		disks.RunFull(ctx, n, s.rep)
		return nil
	})
}

// onVolume starts a node whose data lies on a volume of its own, or the second of its log directories if there is one already.
func (s *session) onVolume(name string, megabytes int64, props map[string]string, use func(*disks.Volume, *node.Node) error) error {
	dir := filepath.Join(s.dir, "disk-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	v, err := disks.Make(dir, megabytes)
	if err != nil {
		return fmt.Errorf("cannot make a volume: %w", err)
	}
	defer v.Drop()
	if props["log.dirs"] != "" {
		props["log.dirs"] += ","
	}
	props["log.dirs"] += filepath.Join(v.Path, "data")
	props["moldau.flush.acks"] = "true"
	n, stop, err := s.start("disks", props)
	if err != nil {
		return err
	}
	defer stop()
	return use(v, n)
}
