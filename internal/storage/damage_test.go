package storage

import (
	"bytes"
	"log/slog"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// heal opens a log of 60 batches that was closed in order and then damaged, and returns what was logged.
func heal(t *testing.T, damage func(m *vfs.Mem, dir string)) (l *Log, logged string) {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l, err := mgr.CreateLog(testTP, testID, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		mustAppend(t, l, values(epochStart.UnixMilli(), strings.Repeat("v", 40)))
	}
	if l.NumSegments() < 3 {
		t.Fatalf("%d segments are too few for this test", l.NumSegments())
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	damage(m, "/d/t-0")
	var out bytes.Buffer
	mgr = openManager(t, m, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	t.Cleanup(func() { _ = mgr.Close(true) })
	mgr.Log(testTP).LogEndOffset() // a log that was left in order opens when it is needed
	return mgr.Log(testTP), out.String()
}

// filesOf are the names of the files in dir with this ending, in order.
func filesOf(t *testing.T, m *vfs.Mem, dir, suffix string) (names []string) {
	t.Helper()
	entries, err := m.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

func overwrite(t *testing.T, m *vfs.Mem, name string, data []byte) {
	t.Helper()
	f, err := m.OpenFile(name, os.O_RDWR|os.O_TRUNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
}

// An index full of garbage once hid the records behind it after a clean stop, and their offsets were given again.
func TestAGarbageIndexHidesNothing(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"random":       bytes.Repeat([]byte{0x7d, 0x3a, 0x11, 0x52}, 2),
		"in the file":  {0, 0, 0, 3, 0, 0, 0, 7},
		"wrong offset": {0, 0, 0, 100, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l, logged := heal(t, func(m *vfs.Mem, dir string) {
				names := filesOf(t, m, dir, indexSuffix)
				overwrite(t, m, names[len(names)-1], garbage)
			})
			if got := readFrom(t, l, 0); len(got) != 60 || l.LogEndOffset() != 60 {
				t.Fatalf("%d records, the log ends at %d", len(got), l.LogEndOffset())
			}
			if !strings.Contains(logged, "checking all of it") || strings.Contains(logged, "are lost") {
				t.Fatal(logged)
			}
		})
	}
}

// Records that were synced and are gone are told, with the file or the offsets.
func TestLossIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, m *vfs.Mem, logs []string)
		want   string
	}{
		"the active segment is cut": {func(t *testing.T, m *vfs.Mem, logs []string) {
			overwrite(t, m, logs[len(logs)-1], nil)
		}, "syncedTo=60"},
		"the active segment is gone": {func(t *testing.T, m *vfs.Mem, logs []string) {
			if err := m.Remove(logs[len(logs)-1]); err != nil {
				t.Fatal(err)
			}
		}, "syncedTo=60"},
		"a closed segment is cut": {func(t *testing.T, m *vfs.Mem, logs []string) {
			overwrite(t, m, logs[1], nil)
		}, "a segment that others follow is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, logged := heal(t, func(m *vfs.Mem, dir string) { c.damage(t, m, filesOf(t, m, dir, logSuffix)) })
			if !strings.Contains(logged, "records are lost") || !strings.Contains(logged, c.want) {
				t.Fatalf("nobody is told: %s", logged)
			}
		})
	}
}
