package netx

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/moldau-stream/moldau/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair connects host a to host b.
func pair(t *testing.T, m *Mem) (a, b net.Conn) {
	t.Helper()
	l, err := m.Host("b").Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = m.Host("a").Dial(context.Background(), l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func inBubble(t *testing.T, f func(t *testing.T, m *Mem)) {
	synctest.Test(t, func(t *testing.T) { f(t, NewMem(clock.Real{})) })
}

func TestBytesAndTheEndArriveInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		big := make([]byte, 3*streamBytes)
		for i := range big {
			big[i] = byte(i >> 8)
		}
		go func() { a.Write(big); a.Close() }()
		got, err := io.ReadAll(b)
		if err != nil || string(got) != string(big) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("a write to a closed peer: %v", err)
		}
		if host, _, _ := net.SplitHostPort(b.RemoteAddr().String()); host != "a" || a.RemoteAddr().String() != b.LocalAddr().String() {
			t.Fatalf("addresses: %v, %v", b.RemoteAddr(), a.RemoteAddr())
		}
	})
}

func TestDelayIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		m.SetDelay("a", "b", 30*time.Millisecond)
		start := time.Now()
		a, b := pair(t, m)
		if d := time.Since(start); d != 60*time.Millisecond {
			t.Fatalf("a connection took %v, one round trip is 60ms", d)
		}
		start = time.Now()
		a.Write([]byte("hello"))
		if _, err := io.ReadFull(b, make([]byte, 5)); err != nil || time.Since(start) != 30*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
	})
}

func TestAPartitionHoldsBackUntilItHeals(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		m.Partition("a", "b")
		a.Write([]byte("late"))
		b.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := b.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read across a partition: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := m.Host("a").Dial(ctx, "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial across a partition: %v", err)
		}
		b.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { m.Heal("a", "b") })
		got := make([]byte, 4)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "late" {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestWhatAClosedEndHasSentArrivesAfterAPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		m.Partition("a", "b")
		a.Write([]byte("last words"))
		a.Close()
		time.AfterFunc(time.Second, func() { m.Heal("a", "b") })
		if got, err := io.ReadAll(b); err != nil || string(got) != "last words" {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestABlockedLinkIsOneWay(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		m.Block("a", "b")
		b.Write([]byte("x"))
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		a.Write([]byte("y"))
		b.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func TestDroppedConnectionsFallSilentAndResetOnesFail(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		c, d := pair(t, m)
		m.Drop("a", "b")
		if _, err := a.Write([]byte("into the void")); err != nil {
			t.Fatal(err)
		}
		b.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		m.Reset("b", "a")
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if _, err := d.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	})
}

func TestRefusalsAreThoseOfASystem(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		b := m.Host("b")
		if _, err := m.Host("a").Dial(context.Background(), "b:9092"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		l, err := b.Listen("b:9092")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Listen("0.0.0.0:9092"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
		if _, err := b.Listen("a:9092"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Fatal(err)
		}
		waiting, err := m.Host("a").Dial(context.Background(), "b:9092")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestAReadWokenByItsDeadlineMayBeTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mem) {
		a, b := pair(t, m)
		time.AfterFunc(time.Second, func() { b.SetReadDeadline(time.Unix(1, 0)) })
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		b.SetReadDeadline(time.Time{})
		a.Write([]byte("z"))
		if n, err := b.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
}

func TestItRunsOnAFakeClock(t *testing.T) {
	fake := clock.NewFake(time.Unix(0, 0))
	m := NewMem(fake)
	a, b := pair(t, m)
	m.SetDelay("a", "b", time.Hour)
	a.Write([]byte("x"))
	done := make(chan error, 1)
	go func() { _, err := b.Read(make([]byte, 1)); done <- err }()
	for fake.Pending() == 0 {
		time.Sleep(time.Millisecond)
	}
	fake.Advance(time.Hour)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestTCPListensAndDials(t *testing.T) {
	l, err := TCP{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := TCP{}.Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
