package storage

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A full disk hurts most what would make room on it: retention, checkpoints, commits of groups, a clean stop. So
// clients' records are refused, with an error that they retry, while there is still a reserve; they are taken again as
// soon as there is more.

const (
	// AutoReserve lets the reserve follow the size of the volume.
	AutoReserve = -1
	// minReserveBytes and maxReserveBytes bound it to what checkpoints, indexes and a new segment of some logs take.
	minReserveBytes, maxReserveBytes = 64 << 20, 1 << 30
	// reserveFraction is how much of a volume is kept, and tinyFraction the most of a small one.
	reserveFraction, tinyFraction = 100, 20
	// maxGrantBytes is appended at most before the volume is asked again: others write to it as well.
	maxGrantBytes = 16 << 20
	// spaceCheckEvery is how often a full volume is asked again.
	spaceCheckEvery = 100 * time.Millisecond
)

// space knows how much may be appended in a directory.
type space struct {
	usage  vfs.Usage
	clock  clock.Clock
	dir    string
	bytes  int64 // the reserve, or AutoReserve
	logger *slog.Logger

	mu      sync.Mutex
	granted int64     // bytes that may be appended before the volume is asked again
	asked   time.Time // when it was found full
	full    bool
}

// newSpace is nil where the file system does not know its size, or no reserve is wanted.
func newSpace(fsys vfs.FS, clk clock.Clock, dir string, reserve int64, logger *slog.Logger) *space {
	u, ok := fsys.(vfs.Usage)
	if !ok || reserve == 0 {
		return nil
	}
	return &space{usage: u, clock: clk, dir: dir, bytes: reserve, logger: logger}
}

// reserveOf is how much of a volume is kept back.
func reserveOf(configured, total int64) int64 {
	if configured >= 0 {
		return configured
	}
	return min(max(total/reserveFraction, minReserveBytes), maxReserveBytes, total/tinyFraction)
}

// take says why n bytes more may not be appended.
func (s *space) take(n int) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.granted >= int64(n) {
		s.granted -= int64(n)
		return nil
	}
	now := s.clock.Now()
	if s.full && now.Sub(s.asked) < spaceCheckEvery {
		return s.refusal(n)
	}
	total, usable, err := s.usage.Usage(s.dir)
	if err != nil {
		return nil // the write will tell
	}
	free := usable - reserveOf(s.bytes, total)
	s.granted = min(free/2, maxGrantBytes)
	if free < int64(n) {
		s.asked, s.granted = now, 0
		if !s.full {
			s.full = true
			s.logger.Error("the disk is almost full: records are refused until there is space; reads and deletions go on. Delete data, lower retention or enlarge the disk",
				"dir", s.dir, "freeBytes", usable, "reserveBytes", reserveOf(s.bytes, total))
		}
		return s.refusal(n)
	}
	if s.full {
		s.full = false
		s.logger.Info("there is space on the disk again: records are taken", "dir", s.dir, "freeBytes", usable)
	}
	s.granted = max(s.granted-int64(n), 0)
	return nil
}

// leaves says why n bytes may not be written by who can wait: what is kept back for those who cannot would be touched.
func (s *space) leaves(n int64) error {
	if s == nil {
		return nil
	}
	total, usable, err := s.usage.Usage(s.dir)
	if err != nil {
		return nil // the write will tell
	}
	if reserve := reserveOf(s.bytes, total); usable-reserve < n {
		return fmt.Errorf("%w: %d bytes are wanted, and the volume of %s has %d, of which %d are its reserve (moldau.disk.reserve.bytes)", ErrDiskFull, n, s.dir, usable, reserve)
	}
	return nil
}

func (s *space) refusal(n int) error {
	return fmt.Errorf("%w: %w: %d bytes are not taken while the volume of %s has no more free than its reserve (moldau.disk.reserve.bytes)", ErrStorage, ErrDiskFull, n, s.dir)
}
