package replica

import (
	"errors"
	"fmt"
	"math"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
)

// AppendAsCoordinator appends one batch of a coordinator's records to a partition that this
// broker leads in leaderEpoch and returns the log end offset after it. It is refused like a
// produce with acks -1; that it is committed is told by Config.OnHighWatermark.
func (m *Manager) AppendAsCoordinator(tp storage.TopicPartition, leaderEpoch int32, batch []byte) (int64, error) {
	return m.AppendForTransaction(tp, leaderEpoch, batch, storage.AppendOptions{})
}

// AppendForTransaction is AppendAsCoordinator for records of a transaction, and for its marker.
func (m *Manager) AppendForTransaction(tp storage.TopicPartition, leaderEpoch int32, batch []byte, opts storage.AppendOptions) (int64, error) {
	p, err := m.Partition(tp)
	if err != nil {
		return -1, err
	}
	r, err := p.append(batch, -1, storage.FromCoordinator, leaderEpoch, opts)
	switch {
	case errors.Is(err, ErrFencedLeaderEpoch), errors.Is(err, ErrUnknownLeaderEpoch):
		return -1, ErrNotLeader
	case err != nil:
		return -1, err
	}
	return r.info.LastOffset + 1, nil
}

// readAllBytes is the size of the pieces that ReadAll reads: a disk's good stride, and little memory.
const readAllBytes = 1 << 20

// ReadAll hands the log of a partition from its start to its end to fn, piece by piece: whole
// batches, valid until fn returns. It returns the end and the high watermark.
func (m *Manager) ReadAll(tp storage.TopicPartition, fn func(batches []byte) error) (end, hw int64, err error) {
	p, err := m.Partition(tp)
	if err != nil {
		return 0, 0, err
	}
	log := p.Log()
	if log == nil {
		return 0, 0, ErrOffline
	}
	end = log.LogEndOffset()
	var buf []byte
	for at := log.LogStartOffset(); at < end; {
		slice, err := log.Read(at, readAllBytes, end, true)
		if err != nil {
			return 0, 0, err
		}
		if slice.Len == 0 {
			if err := nothingLeft(log, at, end); err != nil {
				return 0, 0, err
			}
			break // compaction has left nothing behind at
		}
		at = slice.NextOffset
		if buf, err = readInto(buf, slice); err != nil {
			return 0, 0, err
		}
		if err := fn(buf); err != nil {
			return 0, 0, err
		}
	}
	return end, log.HighWatermark(), nil
}

// nothingLeft is an error unless the log, which gives nothing from offset at on, holds nothing up to
// end either: a log that was cut back meanwhile has not been read whole.
func nothingLeft(log *storage.Log, at, end int64) error {
	if now := log.LogEndOffset(); now < end {
		return fmt.Errorf("cannot read %s to its end: it was cut back from offset %d to %d meanwhile", log.TopicPartition(), end, now)
	}
	next, err := log.Read(at, 1, math.MaxInt64, true)
	if err != nil || next.Len == 0 {
		return err
	}
	b, err := readInto(nil, next)
	if err != nil {
		return err
	}
	first, _, err := record.Next(b)
	if err == nil && first.BaseOffset() < end {
		err = fmt.Errorf("cannot read %s to its end: the batch at offset %d reaches beyond the end at %d", log.TopicPartition(), first.BaseOffset(), end)
	}
	return err
}

// readInto reads a slice into buf, or a larger one, and releases it.
func readInto(buf []byte, s *storage.Slice) ([]byte, error) {
	defer s.Release()
	if int64(cap(buf)) < s.Len {
		buf = make([]byte, s.Len)
	}
	buf = buf[:s.Len]
	if data := s.Data(); data != nil {
		copy(buf, data)
		return buf, nil
	}
	_, err := s.File.ReadAt(buf, s.Pos)
	return buf, err
}
