package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A file keeps its identity through a kill, and loses it with the mounting; a copy has its own.
func TestIdentityOutlivesAKillAndNotAPowerCut(t *testing.T) {
	m := NewMem()
	for _, name := range []string{"/a", "/b"} {
		if err := writeSynced(m, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	id := func(fsys Identifier, name string) string {
		s, err := fsys.Identity(name)
		if err != nil || s == "" {
			t.Fatal(s, err)
		}
		return s
	}
	a := id(m, "/a")
	if a != id(m, "/a") || a == id(m, "/b") || a != id(m.KillClone(), "/a") || a != id(NewFault(m, func(Op) error { return nil }), "/a") {
		t.Fatal(a)
	}
	if a == id(m.CrashClone(), "/a") || a == id(m.MixedClone(true, true), "/a") {
		t.Fatal("a power cut keeps the mounting")
	}
	if _, err := m.Identity("/nosuch"); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestIdentityOfTheMachinesFiles(t *testing.T) {
	var fsys FS = OS{}
	i, ok := fsys.(Identifier)
	if !ok {
		t.Skip("this system tells no mounting from the next")
	}
	dir := t.TempDir()
	names := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	var ids []string
	for _, name := range names {
		if err := writeSynced(fsys, name, nil); err != nil {
			t.Fatal(err)
		}
		id, err := i.Identity(name)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this kernel tells no mounting from the next")
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	again, err := i.Identity(names[0])
	if ids[0] == ids[1] || again != ids[0] || err != nil {
		t.Fatal(ids, again, err)
	}
}
