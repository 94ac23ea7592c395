package storage

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Many logs that have changed are made durable with one sync of the volume.
func TestAStopWithManyLogsSyncsOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			const logs = 2 * syncAtOnceFrom
			m := vfs.NewMem()
			format(t, m, "/d")
			if err := m.SyncDir("/"); err != nil {
				t.Fatal(err)
			}
			var syncs atomic.Int64
			mgr := openManager(t, vfs.NewFault(m, func(op vfs.Op) error {
				if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "/d/t-") {
					syncs.Add(1)
				}
				if op.Kind == vfs.OpSync && op.Name == "/d" && fails {
					return syscall.EIO
				}
				return nil
			}), newTestClock(), smallConfig())
			for i := range logs {
				l := mustCreate(t, mgr, TopicPartition{"t", int32(i)}, 0)
				mustAppend(t, l, from(9, 0, 0, "one"))
				l.AssignEpochStart(4, 1)
			}
			if err := mgr.Close(true); err != nil {
				t.Fatal(err)
			}
			if n := syncs.Load(); n != 0 && !fails {
				t.Fatalf("%d syncs", n)
			}
			if ok, err := vfs.Exists(m, "/d/"+cleanShutdownFile); ok == fails || err != nil {
				t.Fatal("the marker says otherwise", ok, err)
			}
			if fails {
				return
			}
			mgr = openManager(t, m.CrashClone(), newTestClock(), smallConfig())
			defer func() { _ = mgr.Close(true) }()
			for i := range logs {
				l := mgr.Log(TopicPartition{"t", int32(i)})
				if got := readFrom(t, l, 0); len(got) != 1 || len(l.ActiveProducers()) != 1 {
					t.Fatal(got)
				}
			}
		})
	}
}
