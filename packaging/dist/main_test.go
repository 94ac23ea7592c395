package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

func aRelease() *release {
	return &release{version: "1.2.3", commit: "abc", date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), notice: []byte("notice"), thirdParty: []byte("others")}
}

// An archive has the program and what there is to say about licences, and is the same each time.
func TestArchives(t *testing.T) {
	r := aRelease()
	files := r.packed("moldau", []byte("program"))
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := tarOf(w, files, r.date); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same release gives two archives")
	}
	z, err := gzip.NewReader(&first)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "moldau" && h.Mode != 0o755 || !h.ModTime.Equal(r.date) {
			t.Errorf("%s has mode %o and time %v", h.Name, h.Mode, h.ModTime)
		}
		names = append(names, h.Name)
	}
	if want := []string{"moldau", noticeFile, thirdPartyFile}; !slices.Equal(names, want) {
		t.Error(names)
	}
	var zipped bytes.Buffer
	if err := zipOf(&zipped, files, r.date); err != nil {
		t.Fatal(err)
	}
	zr, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	if err != nil || len(zr.File) != 3 || zr.File[0].Mode()&0o111 == 0 {
		t.Error(err, zr)
	}
}

func TestVersionsAsPackageManagersCompareThem(t *testing.T) {
	for version, want := range map[string]string{"1.2.3": "1.2.3", "0.1.0": "0.1.0", "8d9": "0.0.0~8d9", "abc": "0.0.0~abc", "": "0.0.0~"} {
		if got := (&release{version: version}).packageVersion(); got != want {
			t.Errorf("%q becomes %q, not %q", version, got, want)
		}
	}
}

// The SBOM names every module, the one that stands in for another by its own name, and Go itself.
func TestTheSBOMNamesEveryModule(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Path: "example.org/main"}, Deps: []*debug.Module{
		{Path: "example.org/a", Version: "v1.0.0"},
		{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0"}},
	}}
	doc := aRelease().spdx(info, "moldau-linux-amd64")
	var got []string
	for _, p := range doc["packages"].([]spdxPackage) {
		got = append(got, p.Name+" "+p.Version)
	}
	if want := "example.org/main 1.2.3,std 1.26.0,example.org/a v1.0.0,example.org/c v2.0.0"; strings.Join(got, ",") != want {
		t.Error(got)
	}
	if n := len(doc["relationships"].([]spdxRelation)); n != 4 {
		t.Error(n, "relations")
	}
}
