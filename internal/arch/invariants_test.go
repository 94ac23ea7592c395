package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/invariants.md says of each property which tests would see it broken. A test that it names and that is not there any more, or
// has another name, would leave a property to nobody.
func TestTheTestsOfTheInvariantsExist(t *testing.T) {
	const root = "../.."
	data, err := os.ReadFile(filepath.Join(root, "docs/invariants.md"))
	if err != nil {
		t.Fatal(err)
	}
	have := testsOfPackages(t, root)
	anywhere := map[string]bool{}
	for _, names := range have {
		for name := range names {
			anywhere[name] = true
		}
	}
	named := 0
	for number, line := range strings.Split(string(data), "\n") {
		for _, n := range namedTests(line) {
			named++
			if n.pkg == "" && !anywhere[n.name] || n.pkg != "" && !have[n.pkg][n.name] {
				t.Errorf("docs/invariants.md:%d: there is no %s in %s", number+1, n.name, orElse(n.pkg, "any package"))
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d tests are named: the page is written in another way", named)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// namedTest is a test with the package that it is said to be in; "" where the text does not say.
type namedTest struct{ pkg, name string }

// namedTests are those that a line names. In a table they are of internal/storage, but for those between the name of another package and
// the next semicolon.
func namedTests(line string) (out []namedTest) {
	quoted := regexp.MustCompile("`([^`]*)`|;")
	isTest := regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	inTable := strings.HasPrefix(line, "|")
	home := ""
	if inTable {
		home = "internal/storage"
	}
	pkg := home
	for _, m := range quoted.FindAllStringSubmatch(line, -1) {
		switch word := m[1]; {
		case m[0] == ";":
			pkg = home
		case inTable && strings.HasPrefix(word, "internal/"):
			pkg = word
		case isTest.MatchString(word):
			out = append(out, namedTest{pkg, word})
		}
	}
	return out
}

// testsOfPackages finds the tests and fuzz targets of each package below internal.
func testsOfPackages(t *testing.T, root string) map[string]map[string]bool {
	t.Helper()
	have := map[string]map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		if have[pkg] == nil {
			have[pkg] = map[string]bool{}
		}
		for _, m := range declared.FindAllStringSubmatch(string(data), -1) {
			have[pkg][m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}
