package netx

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// A host that has crashed says nothing more, hears nothing more, and can come back under its name.
func TestAHostThatHasCrashedIsSilent(t *testing.T) {
	for _, reset := range []bool{true, false} {
		m := NewMem(clock.Real{})
		a, b := m.Host("a"), m.Host("b")
		l, err := b.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		out, err := a.Dial(context.Background(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		m.Crash("a", reset)
		_, _ = out.Write([]byte("a promise"))
		if reset {
			if n, err := in.Read(make([]byte, 10)); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the other end reads %d bytes: %v", n, err)
			}
		} else {
			_ = in.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, _ := in.Read(make([]byte, 10)); n > 0 {
				t.Errorf("the other end reads %d bytes", n)
			}
		}
		if _, err := a.Dial(context.Background(), "b:1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("a dead host dials: %v", err)
		}
		if _, err := a.Listen("a:1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("a dead host listens: %v", err)
		}
		if _, err := m.Host("a").Dial(context.Background(), "b:1"); err != nil {
			t.Errorf("the next life cannot dial: %v", err)
		}
		m.Crash("b", reset)
		if _, err := m.Host("a").Dial(context.Background(), "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a dead host is reached: %v", err)
		}
		if _, err := m.Host("b").Listen("b:1"); err != nil {
			t.Errorf("the next life cannot listen: %v", err)
		}
	}
}

// A machine that has lost power and come back answers what is sent on its old connections with a reset.
func TestAHostThatIsBackResetsWhatItDoesNotKnow(t *testing.T) {
	dialled := func(m *Mem) (out, in net.Conn) {
		l, err := m.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		if out, err = m.Host("a").Dial(context.Background(), "b:1"); err != nil {
			t.Fatal(err)
		}
		if in, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return out, in
	}
	for name, c := range map[string]struct {
		before bool // it was sent before the host was back
		cut    bool // and cannot reach it for a while
	}{"sent later": {}, "sent before": {before: true}, "cut off": {cut: true}} {
		t.Run(name, func(t *testing.T) {
			m := NewMem(clock.Real{})
			out, _ := dialled(m)
			m.Crash("b", false)
			if c.before {
				_, _ = out.Write([]byte("x"))
			}
			_ = m.Host("b")
			if c.cut {
				m.Partition("a", "b")
			}
			if !c.before {
				_, _ = out.Write([]byte("x"))
			}
			if c.cut {
				_ = out.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				if _, err := out.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("what is cut off hears: %v", err)
				}
				m.Heal("a", "b")
			}
			_ = out.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := out.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
		})
	}
	t.Run("silent", func(t *testing.T) { // who sends nothing learns nothing
		m := NewMem(clock.Real{})
		_, in := dialled(m)
		m.Crash("a", false)
		_ = m.Host("a")
		_ = in.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}
