package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A frame on the wire:
//
//	length  int32   bytes that follow
//	header          see header.go
//	body            kmsg's

// LengthBytes is the size of the length that begins each frame.
const LengthBytes = 4

// maxFrameBytes is what the length can say.
const maxFrameBytes = math.MaxInt32

// MaxFrameBytesBeforeAuth bounds a frame from a peer that has not yet said who it
// is: room for any SASL token in use (Kerberos tickets reach some 48 KiB), and no more.
const MaxFrameBytesBeforeAuth = 64 << 10

// FrameLength reads the length that begins a frame and checks it against the
// smallest header and maxBytes.
func FrameLength(prefix []byte, maxBytes int) (int, error) {
	n := int32(binary.BigEndian.Uint32(prefix))
	if n < minHeaderBytes {
		return 0, fmt.Errorf("%w: %d bytes, the smallest request header has %d%s", ErrFrameSize, n, minHeaderBytes, foreignHint(prefix))
	}
	if int(n) > maxBytes {
		return 0, fmt.Errorf("%w: %d bytes, at most %d are accepted%s", ErrFrameSize, n, maxBytes, foreignHint(prefix))
	}
	return int(n), nil
}

// foreignHint names the protocol that the first bytes of a mistaken peer give away.
func foreignHint(prefix []byte) string {
	switch string(prefix[:LengthBytes]) {
	case "GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PRI ":
		return " (the peer speaks HTTP)"
	case "SSH-":
		return " (the peer speaks SSH)"
	}
	if prefix[0] == 0x16 && prefix[1] == 0x03 { // a TLS record: handshake, version 3.x
		return " (the peer speaks TLS, this listener does not)"
	}
	return ""
}

// finishFrame writes the length of the frame that begins at start.
func finishFrame(dst []byte, start int) ([]byte, error) {
	n := len(dst) - start - LengthBytes
	if n > maxFrameBytes {
		return dst[:start], fmt.Errorf("%w: a response of %d bytes does not fit a frame", ErrFrameSize, n)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(n))
	return dst, nil
}
