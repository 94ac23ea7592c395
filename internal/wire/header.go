package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A request header, version 1 and 2 (version 0 belonged to ControlledShutdown v0, which is gone):
//
//	api key         int16
//	api version     int16
//	correlation id  int32
//	client id       int16 length or -1, bytes; never compact, so that any broker can read it
//	tagged fields   only in version 2, the "flexible" one
//
// A response header: the correlation id, and in version 1 tagged fields.

// minHeaderBytes is the part of every header that names the API.
const minHeaderBytes = 8

// RequestHeader is what precedes a request's body.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      []byte // within the frame; nil when null
}

// PeekAPI reads the key and version that begin a frame, which must be known before
// the rest of its header can be read.
func PeekAPI(frame []byte) (key, version int16, err error) {
	if len(frame) < minHeaderBytes {
		return 0, 0, fmt.Errorf("cannot read the request header: %w", ErrTruncated)
	}
	return int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:])), nil
}

// ParseRequestHeader splits a frame into header and body. flexible says whether the
// header carries tagged fields, as Version.Flexible and ApiVersionsHeaderFlexible know.
func ParseRequestHeader(frame []byte, flexible bool) (h RequestHeader, body []byte, err error) {
	if h.Key, h.Version, err = PeekAPI(frame); err != nil {
		return h, nil, err
	}
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	w := walker{buf: frame, pos: minHeaderBytes}
	start := w.pos + 2
	n, err := w.int16Length()
	if err == nil && n >= 0 {
		err = w.skip(n)
		h.ClientID = frame[start:w.pos:w.pos]
	}
	if err == nil && flexible {
		err = w.tags(nil)
	}
	if err != nil {
		return h, nil, fmt.Errorf("cannot read the request header: client id or tagged fields: %w", err)
	}
	return h, frame[w.pos:], nil
}

// ApiVersionsHeaderFlexible says how the header of an ApiVersions request reads at a
// version that nobody here knows: a client from the future still expects an answer.
func ApiVersionsHeaderFlexible(version int16) bool { return version >= 3 }

// AppendResponseHeader appends a response header. An ApiVersions response never has
// tagged fields in its header, whatever its version: the client does not yet know
// what the broker speaks.
func AppendResponseHeader(dst []byte, key int16, flexible bool, correlationID int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if flexible && key != int16(kmsg.ApiVersions) {
		dst = append(dst, 0)
	}
	return dst
}

// AppendResponse appends resp as a whole frame. resp's version must be set.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, resp.Key(), resp.IsFlexible(), correlationID)
	if p, ok := resp.(*kmsg.ProduceResponse); ok {
		return finishFrame(appendProduceResponse(dst, p), start)
	}
	return finishFrame(resp.AppendTo(dst), start)
}

// AppendResponseHead appends the length and header of a frame whose body of bodyBytes
// the caller sends after it.
func AppendResponseHead(dst []byte, key int16, flexible bool, correlationID int32, bodyBytes int64) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, key, flexible, correlationID)
	n := int64(len(dst)-start-LengthBytes) + bodyBytes
	if n > maxFrameBytes {
		return dst[:start], fmt.Errorf("%w: a response of %d bytes does not fit a frame", ErrFrameSize, n)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(n))
	return dst, nil
}
