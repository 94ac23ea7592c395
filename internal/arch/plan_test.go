package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/moldau-stream/moldau"

// floors is the plan: a package may import only packages of this module that
// stand on a lower floor. A package that is not listed fails the test.
var floors = map[string]int{
	"internal/invariant": 0, "internal/clock": 0, "internal/obs": 0, "internal/config": 0, "connect": 0,
	"internal/vfs": 1, "internal/netx": 1, "internal/wire": 1, "internal/record": 1, "internal/admin": 1,
	"internal/meta": 2, "internal/keyring": 2, "internal/client": 2, "internal/peer": 2,
	"internal/storage": 3, "internal/controller": 3, "internal/coord": 3, "internal/security": 3,
	"internal/worker": 3, "internal/console": 3, "internal/verify": 3, "streams": 3,
	"internal/quorum": 4, "internal/replica": 4, "internal/group": 4, "internal/txn": 4,
	"internal/server": 4, "internal/cli": 4,
	"internal/broker": 5, "internal/kraft": 5,
	"internal/node": 6,
	"internal/sim":  7, "moldautest": 7, "packaging/dist": 7,
	"internal/arch": 8, "cmd/moldau": 8, // its tests run the tools against moldautest
}

// pure packages take now as an argument and give effects back as values: they
// may not reach for the world by themselves.
var pure = []string{"internal/meta", "internal/controller", "internal/group", "internal/txn"}

var forbiddenInPure = map[string]bool{
	"os": true, "net": true, "net/http": true, "sync": true, "sync/atomic": true,
	"math/rand": true, "math/rand/v2": true, "crypto/rand": true,
	module + "/internal/vfs": true, module + "/internal/netx": true,
}

// onlyImporter lists third-party modules that one package alone may know.
var onlyImporter = map[string][]string{
	"github.com/prometheus/": {"internal/obs"},
	"go.etcd.io/raft/":       {"internal/quorum"},
}

type source struct {
	pkg     string // path below the module, "cmd/moldau"
	file    string
	test    bool
	imports []string
}

func TestImportsFollowThePlan(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasPrefix(s.pkg, "tests/") || s.pkg == "tests" || strings.HasPrefix(s.pkg, "bench") {
			continue // outside the house: they speak to it as clients do
		}
		floor, ok := floors[s.pkg]
		if !ok {
			t.Errorf("%s: package %s is not in the plan: give it a floor in internal/arch", s.file, s.pkg)
			continue
		}
		for _, imp := range s.imports {
			checkFloor(t, s, floor, imp)
			checkPurity(t, s, imp)
			checkOnlyImporter(t, s, imp)
		}
	}
}

func checkFloor(t *testing.T, s source, floor int, imp string) {
	below, inside := strings.CutPrefix(imp, module+"/")
	if !inside || below == s.pkg {
		return
	}
	f, ok := floors[below]
	switch {
	case !ok:
		t.Errorf("%s: imports %s, which is not in the plan", s.file, below)
	case s.test && f < 7 && f <= floor:
		// a test may look sideways, never up
	case f >= floor:
		t.Errorf("%s: %s (floor %d) imports %s (floor %d): only lower floors are allowed", s.file, s.pkg, floor, below, f)
	}
}

func checkPurity(t *testing.T, s source, imp string) {
	if s.test || !forbiddenInPure[imp] {
		return
	}
	for _, p := range pure {
		if s.pkg == p {
			t.Errorf("%s: %s is pure and may not import %s", s.file, s.pkg, imp)
		}
	}
}

func checkOnlyImporter(t *testing.T, s source, imp string) {
	if s.test {
		return
	}
	for prefix, allowed := range onlyImporter {
		if !strings.HasPrefix(imp, prefix) {
			continue
		}
		ok := false
		for _, a := range allowed {
			ok = ok || a == s.pkg
		}
		if !ok {
			t.Errorf("%s: only %v may import %s", s.file, allowed, imp)
		}
	}
}

// sources reads the imports of every Go file of the main module.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var out []source
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || isNestedModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		s := source{pkg: filepath.ToSlash(filepath.Dir(rel)), file: rel, test: strings.HasSuffix(path, "_test.go")}
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("found only %d Go files below %s", len(out), root)
	}
	return out
}

func isNestedModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// TestEveryPackageHasADocFile holds rule one of the style: begin each package with doc.go.
func TestEveryPackageHasADocFile(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || seen[s.pkg] || strings.HasPrefix(s.pkg, "tests") || strings.HasPrefix(s.pkg, "bench") || strings.HasPrefix(s.pkg, "cmd/") {
			continue
		}
		seen[s.pkg] = true
		if _, err := os.Stat(filepath.Join("../..", s.pkg, "doc.go")); err != nil {
			t.Errorf("package %s has no doc.go", s.pkg)
		}
	}
}
