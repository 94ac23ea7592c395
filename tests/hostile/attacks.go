package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// attack is one kind of misbehaviour. run returns an error when the server's
// answer itself is wrong; the rest is watched by the caller.
type attack struct {
	name string
	run  func(addr string) error
	// claims: the attack is to announce much and send little.
	claims bool
}

// Sizes of the attacks.
const (
	idleConns     = 1000
	halfOpenConns = 200
	bigClaims     = 50
	garbageConns  = 300
	slowReaders   = 20
	bombTopic     = "bomb"
	// bombBytes is what each bomb holds when it is opened: more than the bound on the server's growth.
	bombBytes = 512 << 20
)

func attacks() []attack {
	return []attack{
		{name: fmt.Sprintf("%d idle connections", idleConns), run: idle},
		{name: fmt.Sprintf("%d half-sent frames", halfOpenConns), run: halfOpen},
		{name: fmt.Sprintf("%d connections that claim 100 MB and send little", bigClaims), run: claims, claims: true},
		{name: "random bytes", run: garbage},
		{name: "valid headers with random bodies", run: randomBodies},
		{name: "frames cut at every byte", run: truncated},
		{name: "arrays and strings that claim to be huge", run: hugeCounts},
		{name: "connections that come and go", run: churn},
		{name: "requests without reading the answers", run: slowReader},
		{name: "pipelined requests on one connection", run: pipeline},
		{name: "a gzip bomb to a compacted topic", run: func(addr string) error { return bomb(addr, 1) }},
		{name: "a zstd bomb to a compacted topic", run: func(addr string) error { return bomb(addr, 4) }},
	}
}

func dial(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, 10*time.Second) }

// many opens connections and does something with each; all stay open until the returned function is called.
func many(addr string, n int, do func(i int, c net.Conn) error) (closeAll func(), err error) {
	var conns []net.Conn
	closeAll = func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for i := range n {
		c, err := dial(addr)
		if err != nil {
			closeAll()
			return func() {}, fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, c)
		if do != nil {
			if err := do(i, c); err != nil {
				closeAll()
				return func() {}, fmt.Errorf("connection %d: %w", i, err)
			}
		}
	}
	return closeAll, nil
}

// hold is how long standing attacks last while the normal client works.
const hold = time.Second

func request(key kmsg.Key, version int16) []byte {
	req := key.Request()
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile")).AppendRequest(nil, req, 7)
}

// idle opens connections, speaks once on each and then says nothing.
func idle(addr string) error {
	closeAll, err := many(addr, idleConns, func(_ int, c net.Conn) error {
		if _, err := c.Write(request(kmsg.ApiVersions, 3)); err != nil {
			return err
		}
		return readAnswer(c)
	})
	if err != nil {
		return err
	}
	defer closeAll()
	time.Sleep(hold)
	return nil
}

func readAnswer(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:])))
	return err
}

// halfOpen leaves each connection in the middle of something: of the length, of
// the header, of the body; some close their sending side.
func halfOpen(addr string) error {
	frame := request(kmsg.Metadata, 9)
	closeAll, err := many(addr, halfOpenConns, func(i int, c net.Conn) error {
		_, err := c.Write(frame[:i%len(frame)])
		if err == nil && i%5 == 0 {
			err = c.(*net.TCPConn).CloseWrite()
		}
		return err
	})
	if err != nil {
		return err
	}
	defer closeAll()
	time.Sleep(hold)
	return nil
}

// claims announces frames of 100 MB, which are allowed, and sends 64 KiB of each.
func claims(addr string) error {
	start := binary.BigEndian.AppendUint32(nil, 100<<20)
	start = append(start, request(kmsg.Produce, 9)[4:20]...)
	start = append(start, make([]byte, 64<<10)...)
	closeAll, err := many(addr, bigClaims, func(_ int, c net.Conn) error {
		_, err := c.Write(start)
		return ignoreReset(err)
	})
	if err != nil {
		return err
	}
	defer closeAll()
	time.Sleep(hold)
	return nil
}

// ignoreReset: the server may close a connection that misbehaves, at any moment.
func ignoreReset(err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func garbage(addr string) error {
	rnd := rand.New(rand.NewPCG(1, 1))
	return inTurn(addr, garbageConns, func(c net.Conn) {
		b := make([]byte, rnd.IntN(4096))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 && len(b) > 4 { // half of them with a length that fits
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		}
		_, _ = c.Write(b)
	})
}

// inTurn opens n connections, one after the other, and closes each.
func inTurn(addr string, n int, do func(c net.Conn)) error {
	for range n {
		c, err := dial(addr)
		if err != nil {
			return fmt.Errorf("the server takes no more connections: %w", err)
		}
		do(c)
		c.Close()
	}
	return nil
}

// randomBodies sends every API and version with a body of random bytes.
func randomBodies(addr string) error {
	rnd := rand.New(rand.NewPCG(2, 2))
	for key := range int16(kmsg.MaxKey + 1) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		err := inTurn(addr, 4, func(c net.Conn) {
			req.SetVersion(int16(rnd.IntN(int(req.MaxVersion()) + 1)))
			head := kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile")).AppendRequest(nil, emptyBody{req}, 9)
			body := make([]byte, rnd.IntN(300))
			for i := range body {
				body[i] = byte(rnd.Uint32() >> rnd.IntN(8)) // small numbers get further
			}
			frame := append(head, body...)
			binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
			_, _ = c.Write(frame)
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// emptyBody gives only a request's header.
type emptyBody struct{ kmsg.Request }

func (emptyBody) AppendTo(dst []byte) []byte { return dst }

func truncated(addr string) error {
	for _, frame := range [][]byte{request(kmsg.Metadata, 12), request(kmsg.Fetch, 11), request(kmsg.JoinGroup, 5)} {
		for cut := 5; cut < len(frame); cut++ {
			f := bytes.Clone(frame[:cut])
			binary.BigEndian.PutUint32(f, uint32(cut-4))
			if err := inTurn(addr, 1, func(c net.Conn) {
				_, _ = c.Write(f)
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = c.Read(make([]byte, 16))
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// hugeCounts sends small frames whose arrays or strings claim up to 2^31 elements, in the old and the compact encoding.
func hugeCounts(addr string) error {
	counts := [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0x00, 0x7f, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0x80, 0x80, 0x80, 0x08}}
	for _, kv := range [][2]int16{{3, 1}, {3, 12}, {0, 9}, {1, 12}, {2, 6}, {8, 8}, {9, 8}, {11, 6}, {15, 5}, {19, 5}, {20, 6}, {32, 4}, {44, 1}, {42, 2}, {75, 0}} {
		for _, count := range counts {
			for _, lead := range []int{0, 1, 2, 6, 8, 18} { // fields before the first array differ from API to API
				req := kmsg.RequestForKey(kv[0])
				req.SetVersion(kv[1])
				f := kmsg.NewRequestFormatter().AppendRequest(nil, emptyBody{req}, 9)
				f = append(f, make([]byte, lead)...)
				for range 20 { // nested: each element claims as much again
					f = append(f, count...)
				}
				binary.BigEndian.PutUint32(f, uint32(len(f)-4))
				if err := inTurn(addr, 1, func(c net.Conn) {
					_, _ = c.Write(f)
					_ = c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
					_, _ = c.Read(make([]byte, 16))
				}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func churn(addr string) error {
	return inTurn(addr, 2000, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0) // closes with a reset
	})
}

// slowReader asks for much and reads nothing: the answers must not pile up in the server.
func slowReader(addr string) error {
	frame := bytes.Repeat(request(kmsg.ApiVersions, 3), 500)
	closeAll, err := many(addr, slowReaders, func(_ int, c net.Conn) error {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for range 40 { // 20,000 requests, 10 MB of answers
			if _, err := c.Write(frame); err != nil {
				return nil // the server rightly stops reading, or gives up on us
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer closeAll()
	time.Sleep(hold)
	return nil
}

// pipeline sends many requests at once and reads all answers.
func pipeline(addr string) error {
	const n = 5000
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(bytes.Repeat(request(kmsg.ApiVersions, 3), n))
		sent <- err
	}()
	for i := range n {
		if err := readAnswer(c); err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
	}
	return <-sent
}

// bomb produces a small batch that opens into bombBytes. The server may take it
// or refuse it, but not swell.
func bomb(addr string, codec int16) error {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: bombTopic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: bombBatch(codec)}}}}
	req.Version = 9
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		return ignoreReset(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return errors.New("no answer within a minute")
		}
	}
	return nil
}

// bombBatch is one record with a key and a value of zeros.
func bombBatch(codec int16) []byte {
	var z bytes.Buffer
	var w io.WriteCloser
	if codec == 1 {
		w, _ = gzip.NewWriterLevel(&z, gzip.BestCompression)
	} else {
		w, _ = zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1))
	}
	body := []byte{0, 0, 0, 2, 'k'} // attributes, timestamp and offset deltas, key "k"
	body = binary.AppendVarint(body, bombBytes)
	_, _ = w.Write(binary.AppendVarint(nil, int64(len(body)+bombBytes+1)))
	_, _ = w.Write(body)
	zeros := make([]byte, 1<<20)
	for range bombBytes >> 20 {
		_, _ = w.Write(zeros)
	}
	_, _ = w.Write([]byte{0}) // no headers
	_ = w.Close()
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, Attributes: codec, FirstTimestamp: now, MaxTimestamp: now, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: 1, Records: z.Bytes()}
	b.Length = int32(49 + z.Len())
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}
