package wire

import "errors"

// What can be wrong with a frame. Each is wrapped with the place where it was found.
var (
	ErrUnknownAPI         = errors.New("no such API on this listener")
	ErrUnsupportedVersion = errors.New("unsupported API version")
	ErrFrameSize          = errors.New("invalid frame size")
	ErrTruncated          = errors.New("the frame ends too early")
	ErrTrailingBytes      = errors.New("bytes trail the request")
	ErrNull               = errors.New("null where Kafka allows none")
	ErrLength             = errors.New("invalid length")
	ErrTooManyElements    = errors.New("too many array elements")
)
