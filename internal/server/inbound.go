package server

import (
	"math"

	"github.com/moldau-stream/moldau/internal/wire"
)

// inbound is the read buffer of a connection: empty and without memory while
// nothing is expected, and never larger than what the peer has made believable.
type inbound struct {
	buf        *buffer // nil when nothing is buffered
	start, end int     // buf.b[start:end] has been read and not been taken
	wantClass  int     // size of the next buffer: grows when reads fill it, shrinks when they do not
	filled     int     // most bytes that have lain in the present buffer
	smallRuns  int     // how often in a row far less was used than there was
	readAt     int64   // when the last read returned, in the server's time
	nextAt     int64   // when the next request is taken up: then, or when the one before it was done
	trusted    int     // the largest frame that has arrived whole; up to twice that is allocated on the peer's word
}

const (
	// unprovenFrameBytes is allocated for a frame on the mere word of a peer.
	unprovenFrameBytes = 16 << 10
	// growthFactor bounds a buffer to a multiple of what has in fact arrived, so that
	// half-open connections cannot claim memory that they do not pay for.
	growthFactor = 4
	// shrinkAfterRuns is how often a buffer must have been far too large before the next is smaller.
	shrinkAfterRuns = 16
	// maxStartBytes is the largest buffer that is taken before a byte is there.
	maxStartBytes = 1 << 20
)

// next takes the next whole frame, or returns nil when more must be read first. The
// frame is valid until the next call of next or release.
func (in *inbound) next(maxFrameBytes int) ([]byte, error) {
	if in.end-in.start < wire.LengthBytes {
		return nil, nil
	}
	n, err := wire.FrameLength(in.buf.b[in.start:], maxFrameBytes)
	if err != nil {
		return nil, err
	}
	if in.end-in.start < wire.LengthBytes+n {
		return nil, nil
	}
	in.start += wire.LengthBytes
	frame := in.buf.b[in.start : in.start+n : in.start+n]
	in.start += n
	in.trusted = max(in.trusted, n)
	return frame, nil
}

// space is where the next read goes. It moves what is there to the front, or into a
// larger buffer, when the frame that has begun does not fit behind it.
func (in *inbound) space(pool *bufferPool) []byte {
	if in.buf == nil {
		in.buf = pool.get(min(classBytes(in.wantClass), maxStartBytes+bufferSlackBytes))
		in.start, in.end, in.filled = 0, 0, 0
	}
	in.fit(pool)
	return in.buf.b[in.end:]
}

// fit sees to it that there is room for the rest of the frame that has begun, as far as its
// claimed length is believed, and for at least one byte.
func (in *inbound) fit(pool *bufferPool) {
	have := in.end - in.start
	frame, believed := in.claimed(have)
	switch {
	case frame <= len(in.buf.b)-in.start:
	case frame <= len(in.buf.b):
		in.moveTo(in.buf)
	case believed:
		in.growTo(pool, frame)
	case in.end < len(in.buf.b): // let it fill first
	case in.start > 0:
		in.moveTo(in.buf)
	default:
		in.growTo(pool, min(frame, growthFactor*have))
	}
}

// claimed is how long the frame that has begun says it is, with its length, and whether that is believed.
func (in *inbound) claimed(have int) (frame int, believed bool) {
	if have < wire.LengthBytes {
		return minBufferBytes, true
	}
	n, err := wire.FrameLength(in.buf.b[in.start:], math.MaxInt32)
	if err != nil {
		return have + 1, true // next has refused it already
	}
	return wire.LengthBytes + n, n <= unprovenFrameBytes || n <= 2*in.trusted
}

func (in *inbound) growTo(pool *bufferPool, n int) {
	old := in.buf
	in.moveTo(pool.get(n))
	pool.put(old)
}

func (in *inbound) moveTo(to *buffer) {
	n := copy(to.b, in.buf.b[in.start:in.end])
	in.buf, in.start, in.end = to, 0, n
}

// advance notes that n bytes have been read into space.
func (in *inbound) advance(n int) {
	in.end += n
	in.filled = max(in.filled, in.end)
}

// empty says that nothing is buffered.
func (in *inbound) empty() bool { return in.start == in.end }

// release gives the buffer back, if nothing is in it, and learns from it how large the next should be.
func (in *inbound) release(pool *bufferPool) {
	if in.buf == nil || !in.empty() {
		return
	}
	in.learn()
	pool.put(in.buf)
	in.buf = nil
}

func (in *inbound) learn() {
	class := max(in.buf.class, 0)
	switch {
	case in.buf.class < 0 || in.filled == len(in.buf.b):
		in.wantClass, in.smallRuns = min(max(in.wantClass, class)+1, bufferClass(maxStartBytes)), 0
	case in.filled > len(in.buf.b)/4:
		in.wantClass, in.smallRuns = max(in.wantClass, class), 0
	default:
		if in.smallRuns++; in.smallRuns >= shrinkAfterRuns && in.wantClass > 0 {
			in.wantClass, in.smallRuns, in.trusted = in.wantClass-1, 0, in.trusted/2
		}
	}
}

// giveBackUnused gives back a buffer that space has just taken and nothing was read into.
func (in *inbound) giveBackUnused(pool *bufferPool) {
	if in.buf != nil && in.empty() {
		pool.put(in.buf)
		in.buf = nil
	}
}
