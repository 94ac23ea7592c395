package interop

import (
	"encoding/binary"
	"io"
	"net"
)

// The few words of ZooKeeper's protocol that Burrow needs to start: it does not run without a ZooKeeper, in which it makes
// its own node and which it uses for locks of its notifiers. None of that is Kafka.
const (
	zkCreate, zkExists, zkPing, zkClose = 1, 3, 11, -11
	// zkStatBytes is the size of what is told of a node.
	zkStatBytes = 68
	// zkUnimplemented refuses all other requests.
	zkUnimplemented = -6
	// zkNodeExists answers who wants to make a node: it is there.
	zkNodeExists = -110
	// zkFrameBytes bounds a frame.
	zkFrameBytes = 1 << 20
)

// serveZooKeeper answers on a free port of 127.0.0.1 until the listener is closed.
func serveZooKeeper() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = zkSession(c)
			}()
		}
	}()
	return l, nil
}

// zkSession answers one connection: the handshake, and then each request by itself.
func zkSession(c io.ReadWriter) error {
	if _, err := zkRead(c); err != nil {
		return err
	}
	const timeoutMs, passwordBytes = 10000, 16
	hello := binary.BigEndian.AppendUint32(nil, 0) // protocol
	hello = binary.BigEndian.AppendUint32(hello, timeoutMs)
	hello = binary.BigEndian.AppendUint64(hello, 1) // session
	hello = binary.BigEndian.AppendUint32(hello, passwordBytes)
	if err := zkWrite(c, append(hello, make([]byte, passwordBytes)...)); err != nil {
		return err
	}
	for {
		req, err := zkRead(c)
		if err != nil || len(req) < 8 {
			return err
		}
		xid, op := req[:4], int32(binary.BigEndian.Uint32(req[4:]))
		var code int32
		var body []byte
		switch op {
		case zkExists:
			body = make([]byte, zkStatBytes)
		case zkCreate:
			code = zkNodeExists
		case zkPing, zkClose:
		default:
			code = zkUnimplemented
		}
		answer := append([]byte(nil), xid...)
		answer = binary.BigEndian.AppendUint64(answer, 1) // zxid
		answer = binary.BigEndian.AppendUint32(answer, uint32(code))
		if err := zkWrite(c, append(answer, body...)); err != nil || op == zkClose {
			return err
		}
	}
}

func zkRead(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > zkFrameBytes {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func zkWrite(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}
