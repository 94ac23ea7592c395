package server

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestFramesComeOutAsTheyWentIn cuts frames of any size at any places, and watches what the buffer claims.
func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	var pool bufferPool
	rapid.Check(t, func(rt *rapid.T) {
		var in inbound
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(8, 300), rapid.IntRange(8, 300_000)), 1, 12).Draw(rt, "sizes")
		var stream []byte
		for i, n := range sizes {
			stream = binary.BigEndian.AppendUint32(stream, uint32(n))
			stream = append(stream, bytes.Repeat([]byte{byte(i + 1)}, n)...)
		}
		frames, read, largest := 0, 0, 0
		for read < len(stream) {
			space := in.space(&pool)
			if len(space) == 0 {
				rt.Fatal("no space to read into")
			}
			have := in.end - in.start
			if bound := max(classBytes(in.wantClass), classBytes(bufferClass(unprovenFrameBytes+4)), 2*growthFactor*have+bufferSlackBytes, classBytes(bufferClass(2*largest+4))); len(in.buf.b) > bound {
				rt.Fatalf("a buffer of %d bytes after %d of a frame, the largest before had %d", len(in.buf.b), have, largest)
			}
			n := copy(space, stream[read:read+rapid.IntRange(1, min(len(space), len(stream)-read)).Draw(rt, "read")])
			read += n
			in.advance(n)
			for {
				frame, err := in.next(1 << 20)
				if err != nil {
					rt.Fatal(err)
				}
				if frame == nil {
					break
				}
				if len(frame) != sizes[frames] || !bytes.Equal(frame, bytes.Repeat([]byte{byte(frames + 1)}, len(frame))) {
					rt.Fatalf("frame %d is not what was sent", frames)
				}
				largest = max(largest, len(frame))
				frames++
			}
			in.release(&pool)
			if in.empty() != (in.buf == nil) {
				rt.Fatal("an empty connection keeps its buffer")
			}
		}
		if frames != len(sizes) {
			rt.Fatalf("%d frames of %d", frames, len(sizes))
		}
	})
}
