package server

import "time"

// Observer is told what happens, for metrics and audit. Its methods are called on the
// hot path, from many goroutines, and must be quick.
type Observer interface {
	ConnOpened(c *Conn)
	ConnClosed(c *Conn, reason error)
	// ConnRefused reports a connection that a limit turned away at accept.
	ConnRefused(listener, remoteHost string, reason error)
	// RequestDone reports a request whose answer has been sent, or cannot be any more.
	// s is valid during the call only.
	RequestDone(s *RequestStats)
}

// RequestStats is the account of one request. The times are Kafka's request metrics.
type RequestStats struct {
	Conn          *Conn
	Key           int16
	Version       int16
	RequestBytes  int // with header, without length
	ResponseBytes int64

	QueueTime         time.Duration // RequestQueueTimeMs: read, and behind others of its connection
	LocalTime         time.Duration // LocalTimeMs: in Handler.Serve
	RemoteTime        time.Duration // RemoteTimeMs: from there to the answer
	ThrottleTime      time.Duration // ThrottleTimeMs
	ResponseQueueTime time.Duration // ResponseQueueTimeMs: behind earlier answers
	ResponseSendTime  time.Duration // ResponseSendTimeMs
	TotalTime         time.Duration // TotalTimeMs

	Err error // why no answer was sent; nil when it was, or none is due
}

type silent struct{}

func (silent) ConnOpened(*Conn)                  {}
func (silent) ConnClosed(*Conn, error)           {}
func (silent) ConnRefused(string, string, error) {}
func (silent) RequestDone(*RequestStats)         {}
