package server

import (
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// inUse is the memory that the process's live objects and stacks take.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func dialMany(t *testing.T, s *Server, n int, first []byte) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial(t, s)
		if len(first) > 0 {
			send(t, conns[i], first)
		}
	}
	eventually(t, "all are connected", func() bool { return s.Connections() == n })
	return conns
}

func TestAThousandIdleConnectionsAreCheap(t *testing.T) {
	const n = 1000
	s := start(t, ok, nil)
	before, goroutines := inUse(), runtime.NumGoroutine()
	conns := dialMany(t, s, n, nil)
	for _, nc := range conns { // none is merely new: each has been served, and has then fallen silent
		send(t, nc, heartbeat(1))
		wantAnswers(t, nc, 1)
	}
	eventually(t, "the buffers are given back", func() bool { return runtime.NumGoroutine() <= goroutines+n })
	each := (inUse() - before) / n
	t.Logf("%d bytes for each idle connection, with the client's end", each)
	if each > 10<<10 {
		t.Errorf("an idle connection costs %d bytes", each)
	}
	one := dial(t, s)
	send(t, one, heartbeat(2))
	wantAnswers(t, one, 2)
}

func TestTwoHundredHalfOpenConnectionsClaimNothing(t *testing.T) {
	const n = 200
	s := start(t, ok, nil)
	before := inUse()
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 9
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 50<<20)}}}}
	half := slices.Clone(frameOf(produce, 1)[:2000]) // of 50 MiB, as its length says
	produce = nil
	dialMany(t, s, n, half)
	time.Sleep(10 * time.Millisecond)
	each := (inUse() - before) / n
	t.Logf("%d bytes for each half-open connection, with the client's end", each)
	if each > 32<<10 {
		t.Errorf("a half-open connection that has sent 2,000 bytes costs %d", each)
	}
	one := dial(t, s)
	send(t, one, heartbeat(2))
	wantAnswers(t, one, 2)
}

func TestMemoryOfABigRequestIsGivenBack(t *testing.T) {
	s := start(t, func(r *Request) { r.Reply(&kmsg.ProduceResponse{}) }, nil)
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 9
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 40<<20)}}}}
	frame := frameOf(produce, 1)
	nc := dial(t, s)
	before := inUse()
	send(t, nc, frame)
	wantAnswers(t, nc, 1)
	eventually(t, "the memory is free", func() bool { s.buffers.trim(); return inUse()-before < 4<<20 })
}

func TestServingARequestAllocatesLittle(t *testing.T) {
	resp := &kmsg.HeartbeatResponse{} // the handler keeps its own
	s := start(t, func(r *Request) { r.Reply(resp) }, nil)
	nc := dial(t, s)
	frame := heartbeat(1)
	answer := make([]byte, 16)
	each := testing.AllocsPerRun(2000, func() {
		nc.Write(frame)
		for got := 0; got < len(answer); {
			n, err := nc.Read(answer[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	})
	// The Request, the kmsg request and its two strings; the race detector makes pools forget now and then.
	if each > 8 {
		t.Errorf("%v allocations for each request", each)
	}
}

func TestPooledBuffersAreBoundedAndTrimmed(t *testing.T) {
	var p bufferPool
	for class := range p.free {
		if n := classBytes(class); bufferClass(n) != class || bufferClass(n+1) != class+1 {
			t.Fatalf("class %d of %d bytes", class, n)
		}
	}
	var lent []*buffer
	for range 100 {
		lent = append(lent, p.get(1<<20))
	}
	for _, b := range lent {
		p.put(b)
	}
	if p.retained > maxRetainedBytes || p.retained < maxRetainedBytes/2 {
		t.Fatalf("%d bytes retained", p.retained)
	}
	p.trim() // notes what lies there
	p.put(p.get(1 << 20))
	p.trim()
	if p.retained != classBytes(bufferClass(1<<20)) {
		t.Fatalf("%d bytes retained, one buffer is in use", p.retained)
	}
	if b := p.get(maxPooledBytes + maxPooledBytes/2); b.class != -1 || len(b.b) != maxPooledBytes+maxPooledBytes/2 {
		t.Fatalf("class %d, %d bytes", b.class, len(b.b))
	}
}
