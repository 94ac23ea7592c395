package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A move that a kill has interrupted meets its log while that is still being checked. It waits, and goes on.
func TestAMoveWaitsForTheRecoveryOfItsLog(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 20 {
		mustAppend(t, l, values(1, fmt.Sprint(i)))
	}
	l.SetHighWatermark(20)
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Copy(300, false); err != nil {
		t.Fatal(err)
	}
	killed := m.KillClone()
	_ = mgr.Close(false)

	goOn := make(chan struct{})
	fsys := vfs.NewFault(killed, func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.HasPrefix(op.Name, "/a/t-0/") && strings.HasSuffix(op.Name, logSuffix) {
			<-goOn
		}
		return nil
	})
	mgr = openManager(t, fsys, newTestClock(), smallConfig(), twoDirs, func(o *ManagerOptions) { o.BackgroundRecovery = true })
	defer func() { _ = mgr.Close(true) }()
	moves := mgr.ResumeMoves()
	if len(moves) != 1 {
		t.Fatal(moves)
	}
	f = moves[0]
	if n, err := f.Copy(1<<20, false); !errors.Is(err, ErrNotReady) {
		t.Fatal("a log that is not checked yet seems to be empty", n, err)
	}
	if _, err := f.Swap(); !errors.Is(err, ErrNotReady) {
		t.Fatal(err)
	}
	close(goOn)
	mgr.AwaitRecovery()
	mgr.Log(testTP).SetHighWatermark(20)
	copyAll(t, f)
	l, err = f.Swap()
	if err != nil || l.LogDir() != "/b" {
		t.Fatal(err)
	}
	if got := readFrom(t, l, 0); len(got) != 20 {
		t.Fatal(got)
	}
}
