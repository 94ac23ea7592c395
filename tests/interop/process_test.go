package interop

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAProgramThatDoesNotHearTheFirstSignalEndsByTheNext(t *testing.T) {
	s := &stage{dir: t.TempDir(), Options: Options{Logf: t.Logf}}
	p, err := s.start("deaf", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	err = p.until(t.Context(), func() error {
		if !strings.Contains(p.said(), "ready") {
			return errors.New("it is not ready")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.endsBy(syscall.SIGTERM, 10*time.Millisecond) {
		t.Error("it has ended although it ignores the signal")
	}
	if !p.endsBy(syscall.SIGQUIT, time.Minute) {
		t.Error("it goes on after a signal that it does not ignore")
	}
}
