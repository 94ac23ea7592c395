package netx

import (
	"context"
	"errors"
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
