package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync"

	"github.com/moldau-stream/moldau/internal/invariant"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// apiVersionsVersion is the version of the first request, which every peer of ours and of Kafka's serves.
	apiVersionsVersion = 3
	// SoftwareName is what nodes and tools call themselves.
	SoftwareName = "moldau"
	// readBufferBytes takes small answers in one read.
	readBufferBytes = 64 << 10
)

// session is one connection that stands.
type session struct {
	c        *Client
	conn     net.Conn
	r        *bufio.Reader
	low      lowWater
	versions map[int16][2]int16
	nextID   int32

	writing sync.Mutex // held while requests are taken from the queue and written
	out     []byte     // guarded by writing
}

// connect dials, secures the connection and asks for the versions.
func (c *Client) connect() (*session, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t := c.o.Clock.AfterFunc(c.o.SetupTimeout, cancel)
	defer t.Stop()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.quit:
			cancel()
		case <-stop:
		}
	}()
	fail := func(err error) (*session, error) {
		if ctx.Err() != nil {
			err = fmt.Errorf("not within %s: %w", c.o.SetupTimeout, err)
		}
		return nil, fmt.Errorf("cannot connect to %s: %w", c.o.Addr, err)
	}
	plain, err := c.o.Network.Dial(ctx, c.o.Addr)
	if err != nil {
		return fail(err)
	}
	unwatch := context.AfterFunc(ctx, func() { _ = plain.Close() })
	conn := plain
	if c.o.Secure != nil {
		if conn, err = c.o.Secure(ctx, plain); err != nil {
			_ = plain.Close()
			return fail(err)
		}
	}
	s := &session{c: c, conn: conn, r: bufio.NewReaderSize(conn, readBufferBytes), low: newLowWater(conn)}
	if err := s.handshake(); err != nil {
		_ = conn.Close()
		return fail(err)
	}
	if !unwatch() {
		_ = conn.Close()
		return fail(ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, ErrClosed
	}
	c.conn, c.connErr, c.telling = conn, nil, false
	return s, nil
}

// handshake asks which versions the peer serves.
func (s *session) handshake() error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = apiVersionsVersion
	req.ClientSoftwareName, req.ClientSoftwareVersion = SoftwareName, "1"
	if _, err := s.conn.Write(appendRequest(nil, req, s.nextID, s.c.o.ClientID)); err != nil {
		return err
	}
	id, body, err := s.frame()
	if err != nil {
		return fmt.Errorf("no answer to the first request: %w", err)
	}
	if id != s.nextID {
		return fmt.Errorf("the first answer carries correlation id %d instead of %d", id, s.nextID)
	}
	s.nextID++
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("the first answer is not Kafka's: %w", err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("the peer refuses the first request: %w", err)
	}
	s.versions = make(map[int16][2]int16, len(resp.ApiKeys))
	for _, k := range resp.ApiKeys {
		s.versions[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return nil
}

// choose sets the newest version that both sides know.
func (s *session) choose(req kmsg.Request) error {
	if req.Key() >= wire.PrivateKeys { // not told in ApiVersions
		req.SetVersion(req.MaxVersion())
		return nil
	}
	r, ok := s.versions[req.Key()]
	if !ok {
		return fmt.Errorf("%s does not serve %s", s.c.o.Addr, kmsg.NameForKey(req.Key()))
	}
	v := min(req.MaxVersion(), r[1])
	if v < r[0] {
		return fmt.Errorf("%s serves %s from version %d on, this node only up to %d", s.c.o.Addr, kmsg.NameForKey(req.Key()), r[0], req.MaxVersion())
	}
	req.SetVersion(v)
	return nil
}

// appendRequest frames a request with its header.
func appendRequest(dst []byte, req kmsg.Request, id int32, clientID string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(id))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(clientID)))
	dst = append(dst, clientID...)
	if req.IsFlexible() {
		dst = append(dst, 0)
	}
	dst = req.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// serve writes what is queued until the connection fails, and returns why it did.
func (s *session) serve() error {
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		s.fail(s.read())
	}()
	for {
		s.writing.Lock()
		sent, refused, err := s.sendQueued()
		s.writing.Unlock()
		refuse(refused)
		if err != nil {
			<-reader
			return err
		}
		if !sent {
			<-s.c.wake
		}
	}
}

// sendQueued sends what is queued; the error says that the connection is at its end. writing must be held, so that requests leave in
// the order in which their answers are expected.
func (s *session) sendQueued() (sent bool, refused []refusal, err error) {
	batch, refused, err := s.take()
	if err != nil || len(batch) == 0 {
		return false, refused, err
	}
	buf := s.out[:0]
	for _, x := range batch {
		buf = appendRequest(buf, x.req, x.id, s.c.o.ClientID)
	}
	if _, werr := s.conn.Write(buf); werr != nil {
		s.fail(fmt.Errorf("cannot send to %s: %w", s.c.o.Addr, werr))
	}
	if s.out = buf; cap(buf) > readBufferBytes {
		s.out = nil
	}
	return true, refused, nil
}

func refuse(refused []refusal) {
	for _, x := range refused {
		x.call.done(nil, x.err)
	}
}

// refusal is a call that the peer does not serve.
type refusal struct {
	call *call
	err  error
}

// take moves what is queued to what is in flight; the error says that the connection is at its end.
func (s *session) take() (batch []*call, refused []refusal, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if c.connErr != nil {
		return nil, nil, c.connErr
	}
	for _, x := range c.queue {
		if err := s.choose(x.req); err != nil {
			refused = append(refused, refusal{x, err})
			continue
		}
		x.id, x.version = s.nextID, x.req.GetVersion()
		s.nextID++
		batch = append(batch, x)
	}
	c.queue = nil
	c.inFlight = append(c.inFlight, batch...)
	return batch, refused, nil
}

// fail gives the connection up.
func (s *session) fail(err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.giveUpLocked(s.conn, err)
}

// read hands answers to their callers until the connection fails.
func (s *session) read() error {
	for {
		id, body, err := s.frame()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%s closed the connection", s.c.o.Addr)
			}
			return fmt.Errorf("the connection to %s failed: %w", s.c.o.Addr, err)
		}
		x, err := s.match(id)
		if err != nil {
			return err
		}
		resp, err := decode(x, body)
		x.done(resp, err)
		if err != nil {
			return err
		}
		s.c.giveBack(body)
		s.sendOn()
	}
}

// match finds the oldest call, which the next answer must be for.
func (s *session) match(id int32) (*call, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inFlight) == 0 || c.inFlight[0].id != id {
		return nil, fmt.Errorf("%s answers with a correlation id, %d, that is not due", c.o.Addr, id)
	}
	x := c.inFlight[0]
	c.inFlight[0] = nil
	c.inFlight = c.inFlight[1:]
	c.telling = len(c.inFlight) == 0
	return x, nil
}

// sendOn sends what has been queued while the last call in flight was told of its answer: a fetcher's next request for the most part,
// for which the writer need not be woken. The peer owes nothing then, so it reads, and the write waits for nobody.
func (s *session) sendOn() {
	c := s.c
	c.mu.Lock()
	told := c.telling
	c.telling = false
	more := len(c.queue) > 0
	alone := len(c.inFlight) == 0
	c.mu.Unlock()
	if !told || !more {
		return
	}
	if alone && s.writing.TryLock() {
		_, refused, _ := s.sendQueued() // what fails, the writer is told of as well
		s.writing.Unlock()
		refuse(refused)
		return
	}
	c.mu.Lock()
	c.signal()
	c.mu.Unlock()
}

func decode(x *call, body []byte) (kmsg.Response, error) {
	resp := x.req.ResponseKind()
	resp.SetVersion(x.version)
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		n, err := skipTags(body)
		if err != nil {
			return nil, err
		}
		body = body[n:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", kmsg.NameForKey(x.req.Key()), err)
	}
	return resp, nil
}

// skipTags is the length of the tagged fields of a response header.
func skipTags(b []byte) (int, error) {
	short := errors.New("the header of an answer is cut short")
	pos := 0
	number := func() (uint64, bool) {
		v, n := binary.Uvarint(b[pos:])
		if n <= 0 {
			return 0, false
		}
		pos += n
		return v, true
	}
	count, ok := number()
	if !ok {
		return 0, short
	}
	for range count {
		_, ok1 := number()
		size, ok2 := number()
		if !ok1 || !ok2 || size > uint64(len(b)-pos) {
			return 0, short
		}
		pos += int(size)
	}
	return pos, nil
}

// memory is where an answer is read to.
func (c *Client) memory(n int) []byte {
	if !c.o.LendAnswers {
		return make([]byte, n)
	}
	if b, ok := c.spare.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]byte, n, 1<<bits.Len(uint(max(n, readBufferBytes)-1))) // the next one may be a little larger
}

// giveBack takes the memory of an answer back that was lent.
func (c *Client) giveBack(b []byte) {
	if !c.o.LendAnswers {
		return
	}
	if invariant.Costly {
		for i := range b {
			b[i] = spoilt
		}
	}
	c.spare.Put(&b)
}

// spoilt is what whoever keeps memory finds there that was lent.
const spoilt = 0xdb

// frame reads one answer, into memory that nobody else has: what is decoded keeps slices of it.
func (s *session) frame() (id int32, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > int64(s.c.o.MaxResponseBytes) {
		return 0, nil, fmt.Errorf("an answer claims a length of %d bytes; at most %d are accepted", size, s.c.o.MaxResponseBytes)
	}
	body = s.c.memory(int(size - 4))
	if err := s.fill(body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(head[4:])), body, nil
}

// fill reads the rest of an answer. The buffer of the reader is empty as soon as more is wanted than it held.
func (s *session) fill(b []byte) error {
	n := min(len(b), s.r.Buffered())
	if _, err := io.ReadFull(s.r, b[:n]); err != nil {
		return err
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		s.low.want(min(len(b), lowWaterBytes))
		var err error
		if n, err = s.conn.Read(b); n == 0 && err != nil {
			return err
		}
	}
	s.low.want(1)
	return nil
}

// lowWaterBytes is what a reader waits for that wants much more: a part of what the kernel holds for a connection at most.
const lowWaterBytes = 256 << 10
