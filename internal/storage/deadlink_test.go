package storage

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// linkAway moves something elsewhere, and leaves a link to it.
func linkAway(t *testing.T, name, elsewhere string) {
	t.Helper()
	if err := errors.Join(os.Rename(name, elsewhere), os.Symlink(elsewhere, name)); err != nil {
		t.Skip("no links here:", err)
	}
}

// A partition's directory, or one of its segments, is a link to a volume that is not mounted: who asks is told just that, nothing is called lost,
// and when the volume is there again, all is.
func TestALinkThatLeadsNowhereIsCalledOne(t *testing.T) {
	for what, linked := range map[string]string{"a partition": "/t-0", "a segment": "/t-0/" + segmentName(0) + logSuffix} {
		t.Run(what, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			fsys := vfs.OS{}
			format(t, fsys, dir)
			here := func(o *ManagerOptions) { o.Dirs, o.OnDiffers = []string{dir}, func(TopicPartition) {} }
			mgr := openManager(t, fsys, newTestClock(), smallConfig(), here)
			l := mustCreate(t, mgr, testTP, 0)
			for range 30 {
				mustAppend(t, l, values(1, "one", "two"))
			}
			l.SetHighWatermark(60)
			if err := mgr.Close(true); err != nil {
				t.Fatal(err)
			}
			linkAway(t, dir+linked, elsewhere+"/away")
			if err := os.Rename(elsewhere+"/away", elsewhere+"/unmounted"); err != nil {
				t.Fatal(err)
			}
			said := false
			_, err := CheckDir(CheckOptions{FS: fsys, Dir: dir, Found: func(f Finding) {
				said = said || f.Damage && f.File == dir+linked
			}})
			if err != nil || !said {
				t.Fatal("a check does not tell of it", err)
			}
			var log logTo
			mgr = openManager(t, fsys, newTestClock(), smallConfig(), here, func(o *ManagerOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			if l := mgr.Log(testTP); l != nil {
				err = l.Wake()
			} else {
				_, err = mgr.CreateLog(testTP, testID, smallConfig(), [16]byte{})
			}
			if !errors.Is(err, errDeadLink) || !strings.Contains(err.Error(), dir+linked) || !strings.Contains(log.String(), "leads nowhere") || strings.Contains(log.String(), "records are lost") {
				t.Fatal(err, log.String())
			}
			_ = mgr.Close(true)
			if err := os.Rename(elsewhere+"/unmounted", elsewhere+"/away"); err != nil {
				t.Fatal(err)
			}
			mgr = openManager(t, fsys, newTestClock(), smallConfig(), here)
			defer func() { _ = mgr.Close(true) }()
			mgr.AwaitRecovery()
			if l := mgr.Log(testTP); l == nil || len(readFrom(t, l, 0)) != 60 || l.LostUpTo() != 0 {
				t.Fatal("it is not found again")
			}
		})
	}
}

// A log directory that is such a link says so too.
func TestALogDirectoryThatIsADeadLinkIsCalledOne(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir+"/unmounted", dir+"/d"); err != nil {
		t.Skip("no links here:", err)
	}
	_, err := OpenManager(ManagerOptions{FS: vfs.OS{}, Clock: newTestClock(), Logger: quiet(), Dirs: []string{dir + "/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig()})
	if !errors.Is(err, errDeadLink) {
		t.Fatal(err)
	}
}
