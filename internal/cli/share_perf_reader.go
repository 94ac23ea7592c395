package cli

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shareReader is one of the consumers that are measured.
type shareReader struct {
	*sharePerf
	number   int
	clientID string
	c        *client.Client

	messages, bytes int64
	told            struct { // by the last line about this consumer
		at              time.Time
		messages, bytes int64
	}
}

func (t *sharePerf) newReader(number, of int) *shareReader {
	s := &shareReader{sharePerf: t, number: number, clientID: t.props["client.id"]}
	if of > 1 {
		s.clientID = fmt.Sprintf("%s-%d", s.clientID, number)
	}
	return s
}

// read consumes until all consumers together have read enough, or nothing comes to this one.
func (s *shareReader) read(ctx context.Context, enough context.CancelFunc) (err error) {
	props := maps.Clone(s.props)
	props["client.id"] = s.clientID
	last := s.now()
	s.told.at = last
	if s.c, err = s.openShare(ctx, props, s.p.value("topic"), s.p.value("group")); err != nil {
		return err
	}
	timeout := client.Millis(s.timeout)
	for now := last; ctx.Err() == nil && now.Sub(last) <= timeout; {
		fetches := s.poll(ctx)
		if err := shareFetchError(fetches); err != nil {
			return err
		}
		now = s.now()
		if fetches.NumRecords() > 0 {
			last = now
		}
		all, err := s.count(fetches.Records(), now)
		if err != nil {
			return err
		}
		if all {
			enough()
		}
	}
	return nil
}

func (s *shareReader) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	fetches := s.c.PollFetches(ctx)
	s.c.MarkAcks(kgo.AckAccept, fetches.Records()...) // the last ones too, which no further poll accepts
	return fetches
}

func (s *shareReader) count(records []*kgo.Record, now time.Time) (enough bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range records {
		size := int64(len(rec.Key) + len(rec.Value))
		s.messages, s.bytes = s.messages+1, s.bytes+size
		s.sharePerf.messages, s.sharePerf.bytes = s.sharePerf.messages+1, s.sharePerf.bytes+size
		if s.noReport != nil {
			return false, s.noReport
		}
		if now.Sub(s.told.at) >= s.interval {
			s.report(now)
		}
	}
	return s.sharePerf.messages >= s.wanted, nil
}

// report prints what has been read up to now, at what rate since the last report.
func (s *shareReader) report(now time.Time) {
	if s.p.has("show-detailed-stats") {
		from, mb := s.told.at, float64(s.bytes-s.told.bytes)/megabyte
		elapsed := now.Sub(from)
		s.printf("%s, %s, %.4f, %s, %s, %d, %d for share consumer %d\n", s.format.format(from), s.format.format(now), float64(s.bytes)/megabyte,
			rate(mb, elapsed), rate(float64(s.messages-s.told.messages), elapsed), s.messages, elapsed.Milliseconds(), s.number)
		s.out.Flush()
	}
	s.told.at, s.told.messages, s.told.bytes = now, s.messages, s.bytes
}

func (s *shareReader) close() {
	if s.c != nil {
		s.closeShare(s.c)
	}
}
