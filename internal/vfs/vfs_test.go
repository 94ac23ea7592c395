package vfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func put(t *testing.T, fsys FS, name, data string) File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(data), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func content(fsys FS, name string) string {
	b, err := ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// What holds for each file system holds for both.
func TestFileSystemsBehaveAlike(t *testing.T) {
	for name, mk := range map[string]func(t *testing.T) (FS, string){
		"os":  func(t *testing.T) (FS, string) { return OS{}, filepath.ToSlash(t.TempDir()) },
		"mem": func(*testing.T) (FS, string) { return NewMem(), "" },
		"fault": func(t *testing.T) (FS, string) {
			return NewFault(OS{}, func(Op) error { return nil }), filepath.ToSlash(t.TempDir())
		},
	} {
		t.Run(name, func(t *testing.T) {
			fsys, root := mk(t)
			if err := fsys.MkdirAll(root+"/a/b", 0o755); err != nil {
				t.Fatal(err)
			}
			f := put(t, fsys, root+"/a/b/f", "hello world")
			if err := f.Truncate(5); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("!"), 7); err != nil {
				t.Fatal(err)
			}
			if got := content(fsys, root+"/a/b/f"); got != "hello\x00\x00!" {
				t.Fatalf("%q", got)
			}
			if n, err := f.Size(); n != 8 || err != nil {
				t.Fatal(n, err)
			}
			if err := errors.Join(f.Sync(), f.Close(), fsys.SyncDir(root+"/a/b")); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err == nil {
				t.Fatal("closed twice")
			}
			if _, err := fsys.OpenFile(root+"/a/b", os.O_RDONLY, 0); err == nil {
				t.Fatal("opened a directory")
			}
			if _, err := fsys.OpenFile(root+"/a/none", os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if err := fsys.Remove(root + "/a/b"); err == nil {
				t.Fatal("removed a directory that is not empty")
			}
			if err := fsys.Rename(root+"/a/b", root+"/a/c"); err != nil {
				t.Fatal(err)
			}
			entries, err := fsys.ReadDir(root + "/a")
			if err != nil || len(entries) != 1 || entries[0].Name() != "c" || !entries[0].IsDir() {
				t.Fatal(entries, err)
			}
			if info, err := fsys.Stat(root + "/a/c/f"); err != nil || info.Size() != 8 || info.IsDir() {
				t.Fatal(info, err)
			}
			if err := WriteFileAtomic(fsys, root+"/a/x", []byte("one")); err != nil {
				t.Fatal(err)
			}
			if err := WriteFileAtomic(fsys, root+"/a/x", []byte("2")); err != nil || content(fsys, root+"/a/x") != "2" {
				t.Fatal(err, content(fsys, root+"/a/x"))
			}
			l, err := fsys.Lock(root + "/a/.lock")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fsys.Lock(root + "/a/.lock"); !errors.Is(err, ErrLocked) {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = fsys.Lock(root + "/a/.lock"); err != nil || l.Close() != nil {
				t.Fatal(err)
			}
			if err := fsys.RemoveAll(root + "/a"); err != nil {
				t.Fatal(err)
			}
			if ok, err := Exists(fsys, root+"/a"); ok || err != nil {
				t.Fatal(ok, err)
			}
		})
	}
}

func TestAPowerCutKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	f := put(t, m, "f", "12345678")
	if got := content(m.CrashClone(), "f"); got != "(none)" {
		t.Fatalf("a name that was not synced survived: %q", got)
	}
	_ = m.SyncDir("/")
	if got := content(m.CrashClone(), "f"); got != "" {
		t.Fatalf("bytes that were not synced survived: %q", got)
	}
	_ = f.Sync()
	_, _ = f.WriteAt([]byte("xx"), 2)
	_, _ = f.WriteAt([]byte("tail"), 8)
	if got := content(m.CrashClone(), "f"); got != "12345678" {
		t.Fatalf("%q", got)
	}
	if got := content(m.KillClone(), "f"); got != "12xx5678tail" {
		t.Fatalf("%q", got)
	}
	_ = f.Sync()
	_ = f.Truncate(3)
	_, _ = f.WriteAt([]byte("Z"), 5)
	if got := content(m.CrashClone(), "f"); got != "12xx5678tail" {
		t.Fatalf("%q", got)
	}
	_ = f.Sync()
	if got := content(m.CrashClone(), "f"); got != "12x\x00\x00Z" {
		t.Fatalf("%q", got)
	}
	_ = m.Rename("f", "g")
	if c := m.CrashClone(); content(c, "f") == "(none)" || content(c, "g") != "(none)" {
		t.Fatal("a rename that was not synced survived")
	}
	_ = m.SyncDir("")
	if c := m.CrashClone(); content(c, "f") != "(none)" || content(c, "g") == "(none)" {
		t.Fatal("a rename that was synced did not survive")
	}
	for seed := range uint64(50) {
		_, _ = f.WriteAt([]byte("more"), 6)
		got := content(m.TornClone(rand.New(rand.NewPCG(seed, 1))), "g")
		if len(got) < 6 || got[:6] != "12x\x00\x00Z" {
			t.Fatalf("synced bytes are gone: %q", got)
		}
	}
}

func TestAtomicWriteAtEachPowerCut(t *testing.T) {
	m := NewMem()
	if err := WriteFileAtomic(m, "x", []byte("old")); err != nil {
		t.Fatal(err)
	}
	var seen []string
	f := NewFault(m, func(Op) error { seen = append(seen, content(m.CrashClone(), "x")); return nil })
	if err := WriteFileAtomic(f, "x", []byte("new")); err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		if s != "old" && s != "new" {
			t.Fatalf("a power cut leaves %q", s)
		}
	}
	if got := content(m.CrashClone(), "x"); got != "new" || len(seen) < 5 {
		t.Fatal(got, seen)
	}
}

func TestFaultsComeWhereTheyAreAskedFor(t *testing.T) {
	boom := errors.New("boom")
	m := NewMem()
	f := NewFault(m, FailNth(OpWrite, 2, false, boom))
	file := put(t, f, "x", "one")
	if n, err := file.WriteAt([]byte("abcd"), 3); !errors.Is(err, boom) || n != 2 {
		t.Fatal(n, err)
	}
	if _, err := file.WriteAt([]byte("abcd"), 3); err != nil || content(m, "x") != "oneabcd" {
		t.Fatal(err, content(m, "x"))
	}
	g := NewFault(m, FailNth(OpSync, 1, true, boom))
	file = put(t, g, "y", "")
	if err := file.Sync(); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := file.Sync(); !errors.Is(err, boom) {
		t.Fatal("the fault did not last")
	}
	if OpRead.Mutates() || !OpSync.Mutates() {
		t.Fatal("Mutates")
	}
}

// What is preallocated cannot be read, and what is not used of it is given back.
func TestPreallocateKeepsTheLength(t *testing.T) {
	f, err := OS{}.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, ok := f.(Preallocator)
	if !ok {
		t.Skip("this system has no such call")
	}
	if err := p.Preallocate(1 << 20); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this file system has no such call")
	} else if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Size(); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if err := f.Truncate(3); err != nil {
		t.Fatal(err)
	}
}
