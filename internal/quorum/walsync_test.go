package quorum

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A sync of the Raft log fails as disks do: the kernel tells of it once, and calls the pages written that it could not write. The
// node ends, and is started again while the kernel still shows them. What it acknowledges from then on is there after a power cut, and
// what rests on the pages is as well.
func TestNoAcknowledgementRestsOnPagesOfAFailedSyncOfTheRaftLog(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	var armed atomic.Bool
	cfg := testConfig(vfs.NewFault(mem, func(op vfs.Op) error {
		if op.Kind != vfs.OpSync || !strings.HasSuffix(op.Name, WALName) || !armed.CompareAndSwap(true, false) {
			return nil
		}
		if err := mem.Forget(op.Name); err != nil {
			return err
		}
		return syscall.EIO
	}), ids)
	fatal := make(chan error, 1)
	cfg.OnFatal = func(err error) { fatal <- err }
	n := startNode(t, cfg)
	registerBroker(t, n, 1)
	createTopic(t, n, "a")
	armed.Store(true)
	if _, err := n.Call(context.Background(), RequestContext{}, createRequest("b")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := <-fatal; !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	_ = n.Close() // it tells of the same

	killed := mem.KillClone()
	cfg = testConfig(killed, ids)
	n = startNode(t, cfg)
	createTopic(t, n, "c")
	had := topicNames(n.Image())
	cut := killed.CrashClone()
	closeNode(t, n)
	again := startNode(t, testConfig(cut, ids))
	defer closeNode(t, again)
	if got := topicNames(again.Image()); !slices.Equal(got, had) || !slices.Contains(got, "a") || !slices.Contains(got, "c") {
		t.Fatal(got, had)
	}
}
