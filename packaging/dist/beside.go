package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	noticeFile     = "NOTICE.txt"      // what licence the program is under
	thirdPartyFile = "THIRD-PARTY.txt" // the licences of the modules that it is linked with
	// dataDirectory is what an image has besides files: the data's place, to be owned by the image's user.
	dataDirectory = "image/var/lib/moldau"
)

// beside writes what goes with every binary: the files about licences, and the empty directory of the image.
func (r *release) beside() error {
	var err error
	if r.notice, err = os.ReadFile(filepath.Join("packaging", noticeFile)); err != nil {
		return err
	}
	if r.thirdParty, err = thirdParties(); err != nil {
		return err
	}
	for name, data := range map[string][]byte{noticeFile: r.notice, thirdPartyFile: r.thirdParty} {
		if err := r.write(name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(r.out, dataDirectory), 0o755)
}

// licenceName matches the files in which modules have their licence and notices.
var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// thirdParties are the licences of all modules that any platform's binary is linked with, Go's own library among them: most
// of them ask that their text goes with the binary.
func thirdParties() ([]byte, error) {
	modules := map[string]string{} // path and version, directory
	for _, p := range platforms {
		c := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/moldau")
		c.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0", "GOFLAGS=")
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("cannot list what is linked for %s/%s: %w", p.os, p.arch, err)
		}
		for line := range strings.Lines(string(out)) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				modules[name] = dir
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	modules["The Go standard library"] = strings.TrimSpace(string(root))
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		if err := licencesOf(&b, name, modules[name]); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// licencesOf writes the licence files at the top of a module. A module without one may not be passed on.
func licencesOf(b *bytes.Buffer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenceName.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(b, "%s\n%s: %s\n\n%s\n\n", strings.Repeat("=", 80), name, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence file in %s: it cannot be passed on", name, dir)
	}
	return nil
}
