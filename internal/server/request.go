package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/moldau-stream/moldau/internal/wire"
)

// Handler serves the requests of a listener.
type Handler interface {
	// Serve runs on the connection's goroutine and must not block. It answers r by
	// exactly one of Reply, ReplyAndClose, ReplyParts, NoReply and CloseConn, before it
	// returns or later, from any goroutine.
	Serve(r *Request)
}

// Request is one request and the place of its answer. Its fields do not change.
type Request struct {
	Conn          *Conn
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string
	// Body is the decoded request. It owns its memory, except that the records of a
	// Produce lie in the connection's read buffer: they are valid, and may be written to,
	// until Serve returns.
	Body       kmsg.Request
	SizeBytes  int // of the frame, without its length
	ReceivedAt time.Time
	// UnsupportedVersion marks an ApiVersions request at a version that is not served. It
	// stands here as version 0 with an empty body, and is to be answered with
	// UNSUPPORTED_VERSION and Table.ApiVersionsOnly.
	UnsupportedVersion bool

	flexible bool
	// home is the place of a Produce request that is used again when nobody holds it any more; nil for others.
	home  *produceRequest
	holds atomic.Int32 // who still does, where there is a home

	// Guarded by Conn.mu.
	answered bool
	taken    bool // a writer has it
	out      answer

	throttle time.Duration // set by the answering goroutine, before the answer

	// In the server's time, see Server.now.
	receivedAt int64
	startedAt  int64        // Serve was called
	servedAt   atomic.Int64 // Serve returned; 0 while it runs
	answeredAt int64        // guarded by Conn.mu until answered; 0 when that was in Serve
}

// produceRequest is a Produce request with its body, in one piece of memory that serves one after the other.
type produceRequest struct {
	r    Request
	body kmsg.ProduceRequest
}

// Who holds a request that is used again: the connection's goroutine until Serve has returned, the handler until
// Release, and the queue until the answer has left.
const holders = 3

// Release tells that the handler has answered and will not look at the request or its body again. A handler
// that answers many Produce requests saves their memory with it; it need not be called.
func (r *Request) Release() { r.letGo() }

func (r *Request) letGo() {
	if r.home != nil && r.holds.Add(-1) == 0 {
		r.Conn.srv.putProduce(r.home)
	}
}

func (s *Server) getProduce() *produceRequest {
	if p, ok := s.produces.Get().(*produceRequest); ok {
		return p
	}
	return new(produceRequest)
}

func (s *Server) putProduce(p *produceRequest) {
	p.r = Request{}
	if wire.ForgetProduce(&p.body) {
		s.produces.Put(p)
	}
}

// answer is what a request is answered with.
type answer struct {
	frame   *smallBuf // the whole frame, or the head of one whose body is parts; nil for no answer
	parts   []Part
	release func()
	bytes   int64 // in all
	close   error // close the connection after it, for this reason
}

// Part is a piece of a response's body: bytes, or a range of a file.
type Part struct {
	Bytes []byte
	File  vfs.File
	Pos   int64
	Len   int64 // of the range; not used with Bytes
	// Source is told when the range could not be read; may be nil.
	Source Source
}

// Source is where a range of a file comes from.
type Source interface {
	// Unreadable says that the file could not be read while the range was being sent. The answer has begun to leave
	// by then, so that nothing is left but to end the connection.
	Unreadable(err error)
}

func (p *Part) size() int64 {
	if p.File != nil {
		return p.Len
	}
	return int64(len(p.Bytes))
}

// SecurityContext is who asks, for the authorizer.
func (r *Request) SecurityContext() security.RequestContext {
	return security.RequestContext{
		Principal: r.Conn.Principal(), Host: r.Conn.host, Listener: r.Conn.Listener(), ClientID: r.ClientID, RequestKey: r.Key,
	}
}

// Reply answers with resp, whose version is set to the request's. resp may be used
// again when Reply returns.
func (r *Request) Reply(resp kmsg.Response) { r.reply(resp, nil) }

// ReplyAndClose answers and then closes the connection, for a reason that the log will show.
func (r *Request) ReplyAndClose(resp kmsg.Response, reason error) { r.reply(resp, reason) }

func (r *Request) reply(resp kmsg.Response, closeReason error) {
	if resp.Key() != r.Key {
		r.Conn.complete(r, answer{close: fmt.Errorf("cannot answer API %d with a response of API %d", r.Key, resp.Key())})
		return
	}
	resp.SetVersion(r.Version)
	buf := r.Conn.srv.getSmall()
	frame, err := wire.AppendResponse(buf.b[:0], r.CorrelationID, resp)
	if err != nil {
		r.Conn.srv.putSmall(buf)
		r.Conn.complete(r, answer{close: fmt.Errorf("cannot answer API %d: %w", r.Key, err)})
		return
	}
	buf.b = frame
	r.Conn.complete(r, answer{frame: buf, bytes: int64(len(frame)), close: closeReason})
}

// ReplyParts answers with a body that is framed already, as parts in order: the
// bytes of the response at the request's version, without length and header. release,
// when not nil, is called exactly once, when the parts have been sent or never will be: on any
// goroutine, perhaps before ReplyParts returns, so it must not want a lock that the caller holds.
func (r *Request) ReplyParts(parts []Part, release func()) {
	var body int64
	for i := range parts {
		body += parts[i].size()
	}
	buf := r.Conn.srv.getSmall()
	head, err := wire.AppendResponseHead(buf.b[:0], r.Key, r.flexible, r.CorrelationID, body)
	buf.b = head
	if err != nil {
		r.Conn.srv.putSmall(buf)
		r.Conn.complete(r, answer{release: release, close: fmt.Errorf("cannot answer API %d: %w", r.Key, err)})
		return
	}
	r.Conn.complete(r, answer{frame: buf, parts: parts, release: release, bytes: int64(len(head)) + body})
}

// NoReply answers with nothing, as a Produce with acks=0 wants.
func (r *Request) NoReply() { r.Conn.complete(r, answer{}) }

// CloseConn closes the connection once the answers before this one are out.
func (r *Request) CloseConn(reason error) { r.Conn.complete(r, answer{close: reason}) }

// Throttle stops the reading of the connection for d from now. It is called before the
// answer, which itself is sent at once.
func (r *Request) Throttle(d time.Duration) {
	if d > 0 {
		r.Conn.mute(r, d)
	}
}
