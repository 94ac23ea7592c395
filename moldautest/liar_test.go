package moldautest_test

import (
	"encoding/binary"
	"io"
	"net"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lie changes an answer. It may be called from several goroutines.
type lie func(resp kmsg.Response)

// liar is a proxy in front of a broker: it puts itself in the place of the broker's address, and lies.
type liar struct {
	t        *testing.T
	to       string
	lie      lie
	listener net.Listener
	host     string
	port     int32

	mu    sync.Mutex
	conns []net.Conn // mu
	done  sync.WaitGroup
}

// newLiar starts one; it ends with the test.
func newLiar(t *testing.T, to string, l lie) *liar {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	p := &liar{t: t, to: to, lie: l, listener: listener, host: host, port: int32(n)}
	p.done.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *liar) close() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}

func (p *liar) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, b)
		p.mu.Unlock()
		k := &lyingConn{liar: p, asked: map[int32]kmsg.Request{}}
		p.done.Go(func() { k.requests(c, b) })
		p.done.Go(func() { k.answers(b, c) })
	}
}

// lyingConn is one connection through the proxy.
type lyingConn struct {
	*liar
	mu    sync.Mutex
	asked map[int32]kmsg.Request // by correlation id, of what is understood; mu
}

// headerBytes of a request before its client id: key, version, correlation id.
const headerBytes = 8

// requests passes requests on as they are and keeps what they ask for.
func (k *lyingConn) requests(from, to net.Conn) {
	defer to.Close()
	for {
		f, err := frameOf(from)
		if err != nil {
			return
		}
		if len(f) >= headerBytes {
			key, version := int16(binary.BigEndian.Uint16(f)), int16(binary.BigEndian.Uint16(f[2:]))
			if req := kmsg.Key(key).Request(); req != nil && version >= 0 && version <= req.MaxVersion() {
				req.SetVersion(version)
				k.mu.Lock()
				k.asked[int32(binary.BigEndian.Uint32(f[4:]))] = req
				k.mu.Unlock()
			}
		}
		if _, err := to.Write(framed(f)); err != nil {
			return
		}
	}
}

// answers passes answers on, with other addresses and with the lie.
func (k *lyingConn) answers(from, to net.Conn) {
	defer to.Close()
	for {
		f, err := frameOf(from)
		if err != nil {
			return
		}
		if len(f) >= 4 {
			f = k.changed(f)
		}
		if _, err := to.Write(framed(f)); err != nil {
			return
		}
	}
}

func (k *lyingConn) changed(f []byte) []byte {
	id := int32(binary.BigEndian.Uint32(f))
	k.mu.Lock()
	req := k.asked[id]
	delete(k.asked, id)
	k.mu.Unlock()
	if req == nil {
		return f
	}
	flexible, body := req.IsFlexible() && req.Key() != int16(kmsg.ApiVersions), f[4:]
	if flexible {
		body = body[1:]
	}
	resp := req.ResponseKind()
	if resp.ReadFrom(body) != nil {
		return f
	}
	k.readdress(reflect.ValueOf(resp))
	k.lie(resp)
	out := wire.AppendResponseHeader(nil, req.Key(), flexible, id)
	return resp.AppendTo(out)
}

// readdress puts the proxy wherever an answer tells a broker's address.
func (k *lyingConn) readdress(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			k.readdress(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				k.readdress(v.Index(i))
			}
		}
	case reflect.Struct:
		host, port := v.FieldByName("Host"), v.FieldByName("Port")
		if host.IsValid() && port.IsValid() && host.Kind() == reflect.String && port.Kind() == reflect.Int32 && host.Len() > 0 {
			host.SetString(k.host)
			port.SetInt(int64(k.port))
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				k.readdress(v.Field(i))
			}
		}
	}
}

func frameOf(c net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 64<<20 { // a rule of the probe sends such sizes: the broker is to see them
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}

func framed(f []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(f))), f...) }
