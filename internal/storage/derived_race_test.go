package storage

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Many readers of committed records in a log that was found, whose transaction indexes are gone, while it is written to and
// its end is cut: each is answered, and nobody waits for another for ever. Run it with -race.
func TestManyReadersProveOneIndex(t *testing.T) {
	m := txnStory(t, true)
	for _, name := range filesOfDir(t, m, "/a/t-0", txnIndexSuffix) {
		if err := m.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	mgr := openManager(t, vfs.FS(m), newTestClock(), smallConfig(), inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for r := range 4 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 5))
			for {
				select {
				case <-stop:
					return
				default:
				}
				from := rng.Int64N(60)
				s, err := l.Read(from, 1+rng.IntN(500), l.LastStableOffset(), true)
				if err == nil {
					_, err = l.AbortedTxns(from, max(s.NextOffset, from+1))
					s.Release()
				}
				if err != nil && !errors.Is(err, ErrOffsetOutOfRange) {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range int32(200) {
		end := l.LogEndOffset()
		mustAppend(t, l, inTxn(9, int16(i), 0, "more"))
		mustCoordinate(t, l, marker(9, int16(i), i%2 == 0))
		l.SetHighWatermark(l.LogEndOffset())
		if i%3 == 0 {
			if err := l.TruncateTo(end - int64(i%2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	readers.Wait()
	if got := committedRecords(t, l, 0, 200); len(got) == 0 {
		t.Fatal("nothing is left")
	}
}
