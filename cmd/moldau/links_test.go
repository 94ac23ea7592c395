package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Links between pages, and from pages to files, lead somewhere; those to a heading find it. The web is not asked.
func TestNoLinkIsDead(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range filesBelow(t, root, ".md") {
		text := fenced.ReplaceAllString(readFile(t, page), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			where, _ := filepath.Rel(root, page)
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s leads nowhere", where, m[1])
			} else if anchor != "" && !anchors(readFile(t, file))[anchor] {
				t.Errorf("%s: %s: there is no such heading", where, m[1])
			}
		}
	}
	if links < 40 {
		t.Errorf("only %d links were found: are these all pages?", links)
	}
}

// Every page of docs/ is in its index.
func TestTheIndexHasEveryPage(t *testing.T) {
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	index := readFile(t, filepath.Join(docs, "README.md"))
	for _, page := range filesBelow(t, docs, ".md") {
		name, _ := filepath.Rel(docs, page)
		if name = filepath.ToSlash(name); name != "README.md" && !strings.HasPrefix(name, "decisions/0") && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}

// filesBelow are the files below dir whose names end so, but for those of other people's packages and of builds.
func filesBelow(t *testing.T, dir, ext string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && name != dir && (strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" || e.Name() == "dist" || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ext {
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// anchors are the names of a page's headings in links: small letters, without punctuation, hyphens for spaces.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(m[1])) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				b.WriteRune(r)
			}
		}
		out[b.String()] = true
	}
	return out
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var figuresOfReadme = regexp.MustCompile(`(?m)^\| (\[[^|]*\])\(docs/benchmarks\.md(#[^|]*)\) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| [^|]* \|$`)

// The README's figures are those that were measured: each line is in the summary of the benchmarks.
func TestTheREADMEsFiguresAreMeasured(t *testing.T) {
	readme, bench := readFile(t, "../../README.md"), readFile(t, "../../docs/benchmarks.md")
	lines := figuresOfReadme.FindAllStringSubmatch(readme, -1)
	if len(lines) == 0 {
		t.Fatal("the README has no figures")
	}
	for _, m := range lines {
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(m[1]+"("+m[2]+") | "+m[3]+" | ") + `[^|]* \| ` + regexp.QuoteMeta(m[4]+" | "+m[5]+" |"))
		if !row.MatchString(bench) {
			t.Errorf("docs/benchmarks.md does not have: %s", m[0])
		}
	}
}
