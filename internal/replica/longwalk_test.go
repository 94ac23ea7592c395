package replica

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A reader of committed records in a log that was found makes the index of aborted transactions be held against the markers, which may
// take a walk over a cold disk. The broker loses the lead meanwhile: it does so at once, and the reader is told.
func TestARoleChangeDoesNotWaitForAWalkOverTransactions(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.shrink(1, me)
	r.put("t", "before")
	r.produce(1, never, Append{TP: tp("t", 0), Batches: inTxn(5, 0, "aborted")}).fails(nil)
	if _, err := r.m.AppendAsCoordinator(tp("t", 0), 0, record.EndTxnBatch(5, 0, 1_700_000_000_000, record.EndTxnMarker{})); err != nil {
		t.Fatal(err)
	}
	r.m.Stop()
	if err := r.logs.Close(true); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.m.ApplyMetadata(r.img, &meta.Delta{})
	wantTexts(t, r.read(FetchSpec{}, from("t", 0)), "before aborted \x00\x00\x00\x00\x00\x00")

	walking, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.setHook(func(op vfs.Op) error {
		if strings.HasSuffix(op.Name, ".txnindex") {
			once.Do(func() { close(walking) })
			<-goOn
		}
		return nil
	})
	answered := make(chan []FetchPart, 1)
	go func() { answered <- r.read(FetchSpec{Isolation: ReadCommitted}, from("t", 0)) }()
	await(t, walking, "nobody looks into the transaction index")
	r.change(1, func(c *meta.PartitionChangeRecord) { c.Leader, c.ISR = other, []int32{me, other} })
	if p, err := r.m.Partition(tp("t", 0)); err != nil || p.role != Follower {
		t.Fatal(p.role, err)
	}
	close(goOn)
	if parts := <-answered; !errors.Is(parts[0].Err, ErrNotLeader) || parts[0].Slice != nil || parts[0].Aborted != nil {
		t.Fatalf("%+v", parts[0])
	}
}
