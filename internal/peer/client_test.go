package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is a peer that serves ApiVersions and BrokerHeartbeat, which it answers with the epoch it was given as an error code.
type far struct {
	t      *testing.T
	l      net.Listener
	mute   bool // takes requests and says nothing
	mu     sync.Mutex
	seen   []int64 // broker epochs, in the order of arrival
	wg     sync.WaitGroup
	conns  []net.Conn
	greets int
}

func startFar(t *testing.T, n netx.Network, address string) *far {
	t.Helper()
	l, err := n.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, l: l}
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(f.close)
	return f
}

func (f *far) close() {
	_ = f.l.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *far) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		id := binary.BigEndian.Uint32(frame[4:])
		at := 10 + int(binary.BigEndian.Uint16(frame[8:])) + 1
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if err := req.ReadFrom(frame[at:]); err != nil {
			f.t.Errorf("request %d cannot be read: %v", key, err)
			return
		}
		out := binary.BigEndian.AppendUint32(make([]byte, 4), id)
		switch r := req.(type) {
		case *kmsg.ApiVersionsRequest:
			resp := r.ResponseKind().(*kmsg.ApiVersionsResponse)
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = int16(kmsg.BrokerHeartbeat), 1
			resp.ApiKeys = append(resp.ApiKeys, k)
			k.ApiKey, k.MaxVersion = int16(kmsg.Fetch), 12
			resp.ApiKeys = append(resp.ApiKeys, k)
			out = resp.AppendTo(out)
			f.mu.Lock()
			f.greets++
			f.mu.Unlock()
		case *kmsg.BrokerHeartbeatRequest:
			f.mu.Lock()
			f.seen = append(f.seen, r.BrokerEpoch)
			mute := f.mute
			f.mu.Unlock()
			if mute {
				continue
			}
			resp := r.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
			resp.ErrorCode = int16(r.BrokerEpoch)
			out = resp.AppendTo(append(out, 0))
		case *kmsg.FetchRequest: // so many bytes, all of which say how many
			resp := r.ResponseKind().(*kmsg.FetchResponse)
			p := kmsg.NewFetchResponseTopicPartition()
			p.RecordBatches = bytes.Repeat([]byte{byte(r.MaxBytes & 0x7f)}, int(r.MaxBytes))
			resp.Topics = append(resp.Topics, kmsg.FetchResponseTopic{Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{p}})
			out = resp.AppendTo(append(out, 0))
		}
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func (f *far) arrived() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int64(nil), f.seen...)
}

func beat(epoch int64) *kmsg.BrokerHeartbeatRequest {
	r := kmsg.NewPtrBrokerHeartbeatRequest()
	r.BrokerEpoch = epoch
	return r
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func ask(t *testing.T, c *Client, epoch int64) error {
	t.Helper()
	resp, err := c.Call(within(t), beat(epoch))
	if err == nil && resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode != int16(epoch) {
		t.Fatalf("the answer to %d is %+v", epoch, resp)
	}
	return err
}

func newClient(t *testing.T, o Options) *Client {
	o.ClientID = "test"
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func TestManyRequestsAreAnsweredInTheirOrder(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	f := startFar(t, m.Host("b"), "b:9093")
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	const n = 1000
	var wg sync.WaitGroup
	var order []int64
	for i := range int64(n) {
		wg.Add(1)
		c.Do(beat(i), func(resp kmsg.Response, err error) {
			defer wg.Done()
			if err != nil || resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode != int16(i) {
				t.Errorf("request %d: %v %v", i, resp, err)
			}
			order = append(order, i) // answers come from one goroutine
		})
	}
	wg.Wait()
	for i, got := range f.arrived() {
		if got != int64(i) || order[i] != int64(i) {
			t.Fatalf("request %d stands at place %d", got, i)
		}
	}
}

func TestOverTCP(t *testing.T) {
	f := startFar(t, netx.TCP{}, "127.0.0.1:0")
	c := newClient(t, Options{Network: netx.TCP{}, Addr: f.l.Addr().String()})
	if err := ask(t, c, 7); err != nil {
		t.Fatal(err)
	}
}

func TestALostConnectionIsToldAndMadeAnew(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	f := startFar(t, m.Host("b"), "b:9093")
	lost := make(chan error, 1)
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093", OnDisconnect: func(err error) { lost <- err }})
	if err := ask(t, c, 1); err != nil {
		t.Fatal(err)
	}
	m.Reset("a", "b")
	if err := <-lost; err == nil {
		t.Fatal("no cause")
	}
	if err := ask(t, c, 2); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.greets != 2 {
		t.Fatalf("%d handshakes", f.greets)
	}
}

// A request that was in flight may have been carried out: it is never sent again by itself.
func TestWhatWasInFlightFails(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	f := startFar(t, m.Host("b"), "b:9093")
	f.mute = true
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	failed := make(chan error, 1)
	c.Do(beat(1), func(_ kmsg.Response, err error) { failed <- err })
	for len(f.arrived()) == 0 {
		time.Sleep(time.Millisecond)
	}
	m.Reset("a", "b")
	if err := <-failed; err == nil {
		t.Fatal("it was answered")
	}
	f.mu.Lock()
	f.mute = false
	f.mu.Unlock()
	if err := ask(t, c, 2); err != nil {
		t.Fatal(err)
	}
	if got := f.arrived(); len(got) != 2 {
		t.Fatalf("arrived: %v", got)
	}
}

func TestNobodyListens(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	m.Host("b")
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	if err := ask(t, c, 1); err == nil || !strings.Contains(err.Error(), "cannot connect to b:9093") {
		t.Fatal(err)
	}
	startFar(t, m.Host("b"), "b:9093")
	if err := ask(t, c, 2); err != nil {
		t.Fatal(err)
	}
}

func TestAPIThatThePeerDoesNotServe(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	startFar(t, m.Host("b"), "b:9093")
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	_, err := c.Call(within(t), kmsg.NewPtrMetadataRequest())
	if err == nil || !strings.Contains(err.Error(), "does not serve Metadata") {
		t.Fatal(err)
	}
	if err := ask(t, c, 2); err != nil {
		t.Fatal(err)
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	fake := clock.NewFake(time.Unix(1000, 0))
	m := netx.NewMem(clock.Real{})
	f := startFar(t, m.Host("b"), "b:9093")
	f.mute = true
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093", Clock: fake, RequestTimeout: 5 * time.Second})
	failed := make(chan error, 1)
	c.Do(beat(1), func(_ kmsg.Response, err error) { failed <- err })
	for len(f.arrived()) == 0 {
		time.Sleep(time.Millisecond)
	}
	fake.Advance(6 * time.Second)
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "within 5s") {
		t.Fatal(err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	f := startFar(t, m.Host("b"), "b:9093")
	f.mute = true
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	failed := make(chan error, 1)
	c.Do(beat(1), func(_ kmsg.Response, err error) { failed <- err })
	for len(f.arrived()) == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := ask(t, c, 2); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

// A peer behind a partition is neither answered nor refused: Close must not wait for it.
func TestCloseWhileConnecting(t *testing.T) {
	m := netx.NewMem(clock.Real{})
	startFar(t, m.Host("b"), "b:9093")
	m.Partition("a", "b")
	defer m.Heal("a", "b")
	c := newClient(t, Options{Network: m.Host("a"), Addr: "b:9093"})
	failed := make(chan error, 1)
	c.Do(beat(1), func(_ kmsg.Response, err error) { failed <- err })
	c.Close()
	if err := <-failed; err == nil {
		t.Fatal("answered")
	}
}

// A fetcher asks for more from within the answer, as others ask for other things meanwhile; everybody gets what is theirs, whole,
// whether the answers' memory is lent or not.
func TestAnswersOfAllLengthsOneAfterTheOther(t *testing.T) {
	for _, lend := range []bool{false, true} {
		f := startFar(t, netx.TCP{}, "127.0.0.1:0")
		c := newClient(t, Options{Network: netx.TCP{}, Addr: f.l.Addr().String(), LendAnswers: lend})
		sizes := []int32{1, 100, 64 << 10, 1 << 20, 5, 300_000, 2_000_001, 65_537, 7, 262_144}
		var wg sync.WaitGroup
		wg.Add(1)
		var fetch func(i int)
		fetch = func(i int) {
			if i == 3*len(sizes) {
				wg.Done()
				return
			}
			want := sizes[i%len(sizes)]
			req := kmsg.NewPtrFetchRequest()
			req.MaxBytes = want
			c.Do(req, func(resp kmsg.Response, err error) {
				if err != nil {
					t.Error(err)
					wg.Done()
					return
				}
				got := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
				if len(got) != int(want) || len(bytes.TrimLeft(got, string(rune(want&0x7f)))) > 0 {
					t.Errorf("fetch %d of %d bytes got %d, or others", i, want, len(got))
				}
				fetch(i + 1)
			})
		}
		fetch(0)
		for range 4 {
			wg.Go(func() {
				for i := range int64(200) {
					if err := ask(t, c, i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
}
