package quorum

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// What format has left is damaged. Before the first start that is an error which says what to do, and the file put back is
// all it takes; afterwards the metadata log holds it all, and the node starts.
func TestADamagedBootstrapFile(t *testing.T) {
	for what, damage := range map[string]func([]byte) []byte{
		"empty": func([]byte) []byte { return nil },
		"a bit": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
	} {
		m := vfs.NewMem()
		cfg := testConfig(m, newChance())
		if err := m.MkdirAll(testDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := WriteBootstrap(m, testDir, 1, meta.BootstrapRecords()); err != nil {
			t.Fatal(err)
		}
		name := testDir + "/" + BootstrapName
		whole, err := vfs.ReadFile(m, name)
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) {
			if err := vfs.WriteFileAtomic(m, name, b); err != nil {
				t.Fatal(err)
			}
		}
		write(damage(bytes.Clone(whole)))
		n, err := Start(cfg)
		if err == nil {
			closeNode(t, n)
			t.Fatal(what, "a node starts otherwise than it was formatted")
		}
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Fatal(what, err)
		}
		write(whole)
		n = startNode(t, cfg)
		features := len(n.Image().Features())
		closeNode(t, n)
		write(damage(bytes.Clone(whole)))
		n = startNode(t, cfg)
		if got := len(n.Image().Features()); got != features || got == 0 {
			t.Fatal(what, got, features)
		}
		closeNode(t, n)
	}
}

// The Raft log was grown from outside, by zeros without end: its frames are read, the rest is cut off, and the size
// costs no memory.
func TestARaftLogThatWasGrown(t *testing.T) {
	const grown = 192 << 20
	dir := t.TempDir()
	fsys := vfs.OS{}
	cfg := testConfig(fsys, newChance())
	cfg.Dir = dir
	n := startNode(t, cfg)
	closeNode(t, n)
	name := dir + "/" + WALName
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, grown); err != nil {
		t.Skip("no sparse files here:", err)
	}
	var from, to runtime.MemStats
	runtime.ReadMemStats(&from)
	var notes []string
	CheckFiles(fsys, dir, func(file, problem string) { t.Error(file, problem) }, func(_, problem string) { notes = append(notes, problem) })
	runtime.ReadMemStats(&to)
	if len(notes) != 1 || to.TotalAlloc-from.TotalAlloc > grown/4 {
		t.Fatal(notes, to.TotalAlloc-from.TotalAlloc)
	}
	n = startNode(t, cfg)
	closeNode(t, n)
	if after, err := os.Stat(name); err != nil || after.Size() < before.Size() || after.Size() > before.Size()+1<<20 {
		t.Fatal(after.Size(), err)
	}
}

// Whatever zeros lie within or behind a Raft log, what is read is the file, but for zeros at its end.
func TestARaftLogIsReadPieceByPiece(t *testing.T) {
	m := vfs.NewMem()
	for _, at := range [][]int{{}, {0}, {5}, {walReadBytes - 1}, {walReadBytes}, {3 * walReadBytes}, {2, 2*walReadBytes + 7}, {walReadBytes, 4*walReadBytes - 1}} {
		for _, size := range []int{4 * walReadBytes, 4*walReadBytes + 9} {
			want := make([]byte, size)
			for _, i := range at {
				binary.BigEndian.PutUint16(want[min(i, size-2):], 0x0101)
			}
			if err := vfs.WriteFileAtomic(m, "/w", want); err != nil {
				t.Fatal(err)
			}
			got, n, err := readWALFile(m, "/w")
			if err != nil || n != int64(size) || len(bytes.TrimRight(want, "\x00")) > len(got) || !bytes.Equal(got, want[:len(got)]) {
				t.Fatal(at, size, len(got), n, err)
			}
		}
	}
	if err := vfs.WriteFileAtomic(m, "/w", nil); err != nil {
		t.Fatal(err)
	}
	if got, n, err := readWALFile(m, "/w"); err != nil || n != 0 || len(got) != 0 {
		t.Fatal(got, n, err)
	}
}
