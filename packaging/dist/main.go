package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// platforms are those that a release is made for.
var platforms = [...]struct{ os, arch string }{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// nfpm makes packages without the tools of either distribution.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.0"

type release struct {
	version string
	commit  string
	date    time.Time
	out     string
	files   []string // in out

	notice, thirdParty []byte
}

func main() {
	version := flag.String("version", "", "the version; otherwise what git describe says")
	out := flag.String("out", "dist", "the directory to write to; it is emptied first")
	packages := flag.Bool("packages", true, "make Debian and RPM packages too, by "+nfpm)
	flag.Parse()
	if err := run(*version, *out, *packages); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(version, out string, packages bool) error {
	r, err := newRelease(version, out)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755)); err != nil {
		return err
	}
	if err := r.beside(); err != nil {
		return err
	}
	for _, p := range platforms {
		if err := r.platform(p.os, p.arch); err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
		}
		if p.os == "linux" && packages {
			if err := r.packages(p.arch); err != nil {
				return fmt.Errorf("packages for %s: %w", p.arch, err)
			}
		}
	}
	return r.checksums()
}

// newRelease takes version, commit and date from the work tree.
func newRelease(version, out string) (*release, error) {
	git := func(args ...string) (string, error) {
		b, err := exec.Command("git", args...).Output()
		return strings.TrimSpace(string(b)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return nil, fmt.Errorf("cannot ask git for the commit: %w", err)
	}
	when, err := git("log", "-1", "--format=%cI")
	if err != nil {
		return nil, err
	}
	date, err := time.Parse(time.RFC3339, when)
	if err != nil {
		return nil, err
	}
	if version == "" {
		if version, err = git("describe", "--tags", "--always", "--dirty"); err != nil {
			return nil, err
		}
	}
	return &release{version: strings.TrimPrefix(version, "v"), commit: commit, date: date.UTC(), out: out}, nil
}

func (r *release) platform(goos, arch string) error {
	name := "moldau-" + goos + "-" + arch
	binary := filepath.Join(r.out, name)
	inside := "moldau"
	if goos == "windows" {
		binary, inside = binary+".exe", "moldau.exe"
	}
	flags := fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.date=%s", r.version, r.commit, r.date.Format(time.RFC3339))
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", binary, "./cmd/moldau")
	build.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, b)
	}
	r.files = append(r.files, filepath.Base(binary))
	if err := r.sbom(binary, name); err != nil {
		return err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	if goos == "windows" {
		return r.write(name+".zip", func(w io.Writer) error { return zipOf(w, r.packed(inside, data), r.date) })
	}
	return r.write(name+".tar.gz", func(w io.Writer) error { return tarOf(w, r.packed(inside, data), r.date) })
}

func (r *release) write(name string, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return err
	}
	r.files = append(r.files, name)
	return os.WriteFile(filepath.Join(r.out, name), b.Bytes(), 0o644)
}

// packedFile is a file of an archive.
type packedFile struct {
	name string
	mode int64
	data []byte
}

// packed is what an archive holds: the program, and the files about licences.
func (r *release) packed(program string, data []byte) []packedFile {
	return []packedFile{{program, 0o755, data}, {noticeFile, 0o644, r.notice}, {thirdPartyFile, 0o644, r.thirdParty}}
}

func tarOf(w io.Writer, files []packedFile, when time.Time) error {
	z, _ := gzip.NewWriterLevel(w, gzip.BestCompression)
	t := tar.NewWriter(z)
	for _, f := range files {
		if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: when, Format: tar.FormatPAX}); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func zipOf(w io.Writer, files []packedFile, when time.Time) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: when}
		h.SetMode(fs.FileMode(f.mode))
		part, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(f.data); err != nil {
			return err
		}
	}
	return z.Close()
}

// sbom says of what modules a binary is made, from what the linker has noted in it (SPDX 2.3).
func (r *release) sbom(binary, name string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	return r.write(name+".spdx.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r.spdx(info, name))
	})
}

type spdxPackage struct {
	ID               string    `json:"SPDXID"`
	Name             string    `json:"name"`
	Version          string    `json:"versionInfo"`
	DownloadLocation string    `json:"downloadLocation"`
	FilesAnalyzed    bool      `json:"filesAnalyzed"`
	ExternalRefs     []spdxRef `json:"externalRefs,omitempty"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

func (r *release) spdx(info *debug.BuildInfo, name string) map[string]any {
	const root = "SPDXRef-moldau"
	packages := []spdxPackage{{ID: root, Name: info.Main.Path, Version: r.version, DownloadLocation: "NOASSERTION"}}
	relations := []spdxRelation{{"SPDXRef-DOCUMENT", "DESCRIBES", root}}
	add := func(path, version string) {
		id := fmt.Sprintf("SPDXRef-%d", len(packages))
		packages = append(packages, spdxPackage{ID: id, Name: path, Version: version, DownloadLocation: "NOASSERTION",
			ExternalRefs: []spdxRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}}})
		relations = append(relations, spdxRelation{root, "DEPENDS_ON", id})
	}
	add("std", strings.TrimPrefix(info.GoVersion, "go"))
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		add(d.Path, d.Version)
	}
	return map[string]any{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name + "-" + r.version,
		"documentNamespace": "https://github.com/moldau-stream/moldau/sbom/" + r.commit + "/" + name,
		"creationInfo":      map[string]any{"created": r.date.Format(time.RFC3339), "creators": []string{"Tool: moldau-dist"}},
		"packages":          packages, "relationships": relations,
	}
}

// packages makes the Debian and the RPM package of a linux binary.
func (r *release) packages(arch string) error {
	for _, format := range []string{"deb", "rpm"} {
		c := exec.Command("go", "run", nfpm, "package", "--config", "packaging/linux/nfpm.yaml", "--packager", format, "--target", r.out)
		c.Env = append(os.Environ(), "ARCH="+arch, "VERSION="+r.packageVersion(), "BINARY="+filepath.Join(r.out, "moldau-linux-"+arch),
			"THIRD_PARTY="+filepath.Join(r.out, thirdPartyFile),
			fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix()))
		if b, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, b)
		}
	}
	found, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	for _, f := range found {
		if ext := filepath.Ext(f.Name()); (ext == ".deb" || ext == ".rpm") && !slices.Contains(r.files, f.Name()) {
			r.files = append(r.files, f.Name())
		}
	}
	return nil
}

// packageVersion is the version as package managers compare it; one that does not begin with a digit comes before all others.
func (r *release) packageVersion() string {
	if r.version == "" || r.version[0] < '0' || r.version[0] > '9' || !strings.Contains(r.version, ".") {
		return "0.0.0~" + r.version
	}
	return r.version
}

func (r *release) checksums() error {
	slices.Sort(r.files)
	var b strings.Builder
	for _, f := range r.files {
		data, err := os.ReadFile(filepath.Join(r.out, f))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), f)
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(b.String()), 0o644)
}
