package netx

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// streamBytes is how much may be on its way in one direction before a write waits, as
// the socket buffers of a system together.
const streamBytes = 256 << 10

// stream is one direction of a connection.
type stream struct {
	m    *Mem
	link link

	mu       sync.Mutex
	moved    sync.Cond // on mu: anything below has changed, or time has passed
	packets  []packet  // guarded by mu
	bytes    int       // guarded by mu; in packets
	finished bool      // guarded by mu; the writer has ended, after packets
	finAt    time.Time // guarded by mu; when the reader may learn that
	vanished bool      // guarded by mu; nothing arrives any more
	orphan   *memConn  // guarded by mu; the connection, once the reader's host has come back without it
	knocks   bool      // guarded by mu; a timer tries again to reach that host
	readErr  error     // guarded by mu; what the reader gets at once
	writeErr error     // guarded by mu; what the writer gets at once
	readBy   deadline  // guarded by mu
	writeBy  deadline  // guarded by mu
}

// packet is what one write has sent, and when it arrives.
type packet struct {
	b  []byte
	at time.Time
}

type deadline struct {
	at    time.Time
	timer clock.Timer
}

// side says which end of a stream is meant.
type side struct{ reader, writer bool }

func newStream(m *Mem, l link) *stream {
	s := &stream{m: m, link: l}
	s.moved.L = &s.mu
	return s
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.readErr != nil {
			return 0, s.readErr
		}
		if s.readBy.passed(s.m.clock.Now()) {
			return 0, os.ErrDeadlineExceeded
		}
		if len(p) == 0 {
			return 0, nil
		}
		at, ok := s.nextArrivalLocked()
		wait := at.Sub(s.m.clock.Now())
		switch {
		case !ok:
			s.moved.Wait()
		case wait > 0:
			s.waitForLocked(wait)
		default:
			return s.takeLocked(p)
		}
	}
}

// nextArrivalLocked is when the next packet or the end arrives; false while nothing is on its way.
func (s *stream) nextArrivalLocked() (time.Time, bool) {
	if s.vanished || s.m.state(s.link).blocked {
		return time.Time{}, false
	}
	if len(s.packets) > 0 {
		return s.packets[0].at, true
	}
	return s.finAt, s.finished
}

func (s *stream) waitForLocked(d time.Duration) {
	t := s.m.clock.AfterFunc(d, s.wake)
	s.moved.Wait()
	t.Stop()
}

func (s *stream) takeLocked(p []byte) (int, error) {
	if len(s.packets) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.packets[0].b)
	if s.packets[0].b = s.packets[0].b[n:]; len(s.packets[0].b) == 0 {
		s.packets[0] = packet{}
		s.packets = s.packets[1:]
	}
	s.bytes -= n
	s.moved.Broadcast()
	return n, nil
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := 0
	for {
		if s.writeErr != nil {
			return sent, s.writeErr
		}
		if s.writeBy.passed(s.m.clock.Now()) {
			return sent, os.ErrDeadlineExceeded
		}
		if len(p) == 0 {
			return sent, nil
		}
		n := min(len(p), streamBytes-s.bytes)
		if n == 0 {
			s.moved.Wait()
			continue
		}
		s.sendLocked(p[:n])
		p, sent = p[n:], sent+n
	}
}

// sendLocked puts bytes on their way. What has vanished still fills the way, as an
// unacknowledged send fills a socket's buffer.
func (s *stream) sendLocked(b []byte) {
	s.packets = append(s.packets, packet{b: append([]byte(nil), b...), at: s.arrivalLocked()})
	s.bytes += len(b)
	s.moved.Broadcast()
	if s.orphan != nil {
		s.knockLocked()
	}
}

// arrivalLocked is when what is sent now arrives: never before what was sent earlier.
func (s *stream) arrivalLocked() time.Time {
	at := s.m.clock.Now().Add(s.m.state(s.link).delay)
	if n := len(s.packets); n > 0 && s.packets[n-1].at.After(at) {
		return s.packets[n-1].at
	}
	return at
}

// finish ends the stream behind what was written.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return
	}
	s.finished, s.finAt = true, s.arrivalLocked()
	if s.writeErr == nil {
		s.writeErr = io.ErrClosedPipe
	}
	s.moved.Broadcast()
}

// fail gives one side or both an error, unless they have one.
func (s *stream) fail(which side, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if which.reader && s.readErr == nil {
		s.readErr = err
	}
	if which.writer && (s.writeErr == nil || s.writeErr == io.ErrClosedPipe) {
		s.writeErr = err
	}
	s.moved.Broadcast()
}

func (s *stream) vanish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vanished = true
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved.Broadcast()
}

func (s *stream) setDeadline(d *deadline, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if wait := t.Sub(s.m.clock.Now()); !t.IsZero() && wait > 0 {
		d.timer = s.m.clock.AfterFunc(wait, s.wake)
	}
	s.moved.Broadcast()
}

func (d *deadline) passed(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }
