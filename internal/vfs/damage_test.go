package vfs

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestDisksFail(t *testing.T) {
	m := NewMem()
	f := put(t, m, "d", "0123456789")
	if err := errors.Join(f.Sync(), m.SyncDir("/"), m.FlipBit("d", 3, 0)); err != nil {
		t.Fatal(err)
	}
	if got, kept := content(m, "d"), content(m.CrashClone(), "d"); got != "0122456789" || kept != got {
		t.Fatal(got, kept)
	}
	m.SetQuota(14)
	if n, err := f.WriteAt([]byte("abcdef"), 10); n != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if total, free, err := m.Usage("/"); total != 14 || free != 0 || err != nil {
		t.Fatal(total, free, err)
	}
	if n, err := f.WriteAt([]byte("xy"), 0); n != 2 || err != nil {
		t.Fatal("what needs no space was refused", n, err)
	}
	if err := f.Truncate(2); err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt([]byte("abcdef"), 2); n != 6 || err != nil {
		t.Fatal(n, err)
	}

	gone := NewFault(m, Vanished("/a"))
	if _, err := gone.Stat("/a/b"); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if content(gone, "d") != "xyabcdef" {
		t.Fatal("another directory has vanished too")
	}
	ro := NewFault(m, ReadOnly("d"))
	if content(ro, "d") != "xyabcdef" {
		t.Fatal("it cannot be read")
	}
	if err := ro.Remove("d"); !errors.Is(err, syscall.EROFS) {
		t.Fatal(err)
	}
}
