package storage

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// findUnreplicated brings back to mind which transactions ended by markers that are not below the high watermark yet. A producer
// snapshot does not tell: taken after such a marker it calls the transaction decided. But the marker may still be cut
// off, and what readers were shown, or the cleaner has removed, by its word would be wrong.
// It is called where the log opens or with appendMu held.
func (l *Log) findUnreplicated() error {
	hw, end := l.hw.Load(), l.leo.Load()
	if any, err := l.hasMarkers(hw, end); !any || err != nil {
		return err
	}
	offsets, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	var then producers
	then.reset(l.segments[0].base)
	for i := len(offsets) - 1; i >= 0; i-- {
		if offsets[i] > hw {
			continue
		}
		if found, ok := l.loadSnapshot(offsets[i]); ok {
			then = found
			break
		}
	}
	l.mu.Lock()
	now := l.producers
	l.producers = then
	l.mu.Unlock()
	err = l.replayProducers(end)
	l.mu.Lock()
	defer l.mu.Unlock()
	now.unreplicated = l.producers.unreplicated
	l.producers = now
	l.setHighWatermarkLocked(hw)
	return err
}

// hasMarkers says whether there is a marker of a transaction in [from, to).
func (l *Log) hasMarkers(from, to int64) (found bool, err error) {
	if from >= to {
		return false, nil
	}
	for _, v := range l.views() {
		if v.end <= from || found {
			continue
		}
		err := v.seg.with(kindLog, func(f vfs.File) error {
			return l.eachHeader(v, f, from, func(b record.Batch, _, _ int64) error {
				if found = b.IsControl() && b.HasProducerID(); found {
					return errStop
				}
				return nil
			})
		})
		if errors.Is(err, errStop) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return found, nil
}
