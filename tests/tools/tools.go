// Package tools puts foreign clients on this machine: from PyPI, npm, Maven
// Central and Debian, into a cache directory outside the tree, and only what is
// not there yet.
//
// The clients suite calls it; the Cache owns its directory. If it is wrong, a
// client is missing or is not of the version that the table says.
package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// installTimeout bounds one installation over a slow network.
const installTimeout = 10 * time.Minute

// Cache is a directory of installed things. Safe for concurrent use; each thing
// is installed once, and a stamp of its recipe beside it says that it is whole.
type Cache struct {
	Dir  string
	Logf func(format string, args ...any)

	apt   sync.Mutex // held while Debian's packages are installed
	mu    sync.Mutex
	locks map[string]*sync.Mutex // guarded by mu
}

// ensure runs install for a fresh directory unless one made by the same recipe is there.
func (c *Cache) ensure(name, recipe string, install func(ctx context.Context, dir string) error) (string, error) {
	c.mu.Lock()
	if c.locks == nil {
		c.locks = map[string]*sync.Mutex{}
	}
	if c.locks[name] == nil {
		c.locks[name] = &sync.Mutex{}
	}
	lock := c.locks[name]
	c.mu.Unlock()
	lock.Lock()
	defer lock.Unlock()

	sum := sha256.Sum256([]byte(recipe))
	dir := filepath.Join(c.Dir, name+"-"+hex.EncodeToString(sum[:6]))
	stamp := filepath.Join(dir, ".whole")
	// Another run may want the same at this moment.
	free, err := lockFile(dir + ".lock")
	if err != nil {
		return "", fmt.Errorf("cannot install %s: %w", name, err)
	}
	defer free()
	if _, err := os.Stat(stamp); err == nil {
		return dir, nil
	}
	c.Logf("installing %s", name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	if err := install(ctx, dir); err != nil {
		return "", fmt.Errorf("cannot install %s: %w", name, err)
	}
	return dir, os.WriteFile(stamp, []byte(recipe), 0o644)
}

// lockFile waits until no other process has the file locked; the end of this one lets go of it too.
func lockFile(path string) (free func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		if len(out) > 1500 {
			out = out[len(out)-1500:]
		}
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Python returns an interpreter that has the packages.
func (c *Cache) Python(packages ...string) (string, error) {
	dir, err := c.ensure("python", strings.Join(packages, " "), func(ctx context.Context, dir string) error {
		if err := run(ctx, dir, "python3", "-m", "venv", dir); err != nil {
			return err
		}
		return run(ctx, dir, filepath.Join(dir, "bin", "pip"), append([]string{"install", "-q", "--disable-pip-version-check"}, packages...)...)
	})
	return filepath.Join(dir, "bin", "python"), err
}

// Node returns a directory whose node_modules has the packages.
func (c *Cache) Node(packages ...string) (string, error) {
	return c.ensure("node", strings.Join(packages, " "), func(ctx context.Context, dir string) error {
		return run(ctx, dir, "npm", append([]string{"install", "--silent", "--no-audit", "--no-fund", "--prefix", dir}, packages...)...)
	})
}

// Build returns a directory in which the commands have run, one after the other. The recipe says which result this is.
func (c *Cache) Build(name, recipe string, commands [][]string) (string, error) {
	return c.ensure(name, recipe+fmt.Sprintf("%q", commands), func(ctx context.Context, dir string) error {
		for _, argv := range commands {
			if err := run(ctx, dir, argv[0], argv[1:]...); err != nil {
				return err
			}
		}
		return nil
	})
}

// pom asks for some artifacts of Maven Central and what they need.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>foreign</groupId><artifactId>clients</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
%s  </dependencies>
</project>
`

// pomOf is the pom for artifacts given as group:artifact:version.
func pomOf(artifacts []string) string {
	var b strings.Builder
	for _, a := range artifacts {
		f := strings.SplitN(a, ":", 3)
		fmt.Fprintf(&b, "    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n", f[0], f[1], f[2])
	}
	return fmt.Sprintf(pom, b.String())
}

// Java returns the class path of the Java client of that version, of a logger that says nothing, and of the sources compiled against it.
func (c *Cache) Java(version string, sources map[string][]byte) (string, error) {
	return c.JavaProject(version, []string{"org.apache.kafka:kafka-clients:" + version, "org.slf4j:slf4j-simple:1.7.36"}, sources)
}

// JavaProject returns the class path of artifacts, given as group:artifact:version, with the sources compiled against them.
func (c *Cache) JavaProject(name string, artifacts []string, sources map[string][]byte) (string, error) {
	project := pomOf(artifacts)
	recipe := project
	for _, name := range sortedKeys(sources) {
		recipe += name + "\n" + string(sources[name])
	}
	dir, err := c.ensure("java-"+name, recipe, func(ctx context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(project), 0o644); err != nil {
			return err
		}
		if err := run(ctx, dir, "mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=cp.txt"); err != nil {
			return err
		}
		cp, err := os.ReadFile(filepath.Join(dir, "cp.txt"))
		if err != nil {
			return err
		}
		if len(sources) == 0 {
			return nil
		}
		args := []string{"-nowarn", "-parameters", "-cp", strings.TrimSpace(string(cp)), "-d", dir}
		for _, name := range sortedKeys(sources) {
			if err := os.WriteFile(filepath.Join(dir, name), sources[name], 0o644); err != nil {
				return err
			}
			args = append(args, name)
		}
		return run(ctx, dir, "javac", args...)
	})
	if err != nil {
		return "", err
	}
	cp, err := os.ReadFile(filepath.Join(dir, "cp.txt"))
	return dir + ":" + strings.TrimSpace(string(cp)), err
}

// Maven compiles a project as its own pom says and returns its class path.
func (c *Cache) Maven(name string, project fs.FS) (string, error) {
	files, err := readTree(project)
	if err != nil {
		return "", fmt.Errorf("cannot read the project %s: %w", name, err)
	}
	recipe := recipeOf(files)
	dir, err := c.ensure(name, recipe, func(ctx context.Context, dir string) error {
		if err := writeFiles(dir, files); err != nil {
			return err
		}
		return run(ctx, dir, "mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=cp.txt")
	})
	if err != nil {
		return "", err
	}
	cp, err := os.ReadFile(filepath.Join(dir, "cp.txt"))
	return filepath.Join(dir, "target", "classes") + ":" + strings.TrimSpace(string(cp)), err
}

// readTree returns the files of a project by path, without what building it has left.
func readTree(project fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, fs.WalkDir(project, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "target/") {
			return err
		}
		files[path], err = fs.ReadFile(project, path)
		return err
	})
}

func writeFiles(dir string, files map[string][]byte) error {
	for path, text := range files {
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// recipeOf tells one state of a tree from another.
func recipeOf(files map[string][]byte) string {
	recipe := ""
	for _, path := range sortedKeys(files) {
		recipe += path + "\n" + string(files[path])
	}
	return recipe
}

// GoProgram builds a main package that is a module of its own and returns the binary.
func (c *Cache) GoProgram(name string, project fs.FS) (string, error) {
	return c.program(name, project, name, []string{"go", "build", "-o", name, "."})
}

// RustProgram builds a crate and returns the binary, which has the crate's name.
func (c *Cache) RustProgram(name string, project fs.FS) (string, error) {
	return c.program(name, project, filepath.Join("target", "release", name), []string{"cargo", "build", "--release", "--quiet"})
}

// program copies a project into the cache and builds it there.
func (c *Cache) program(name string, project fs.FS, binary string, build []string) (string, error) {
	files, err := readTree(project)
	if err != nil {
		return "", fmt.Errorf("cannot read the project %s: %w", name, err)
	}
	dir, err := c.ensure(name, recipeOf(files), func(ctx context.Context, dir string) error {
		if err := writeFiles(dir, files); err != nil {
			return err
		}
		return run(ctx, dir, build[0], build[1:]...)
	})
	return filepath.Join(dir, binary), err
}

func sortedKeys(m map[string][]byte) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Debian returns the path of a program, installing its package when it is missing and we are root.
func (c *Cache) Debian(program, pkg string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	if err := c.aptInstall(program, pkg); err != nil {
		return "", err
	}
	return exec.LookPath(program)
}

// DebianPackage installs the package unless the command, which needs it, succeeds.
func (c *Cache) DebianPackage(pkg string, command ...string) error {
	works := func() error { return run(context.Background(), "/", command[0], command[1:]...) }
	if works() == nil {
		return nil
	}
	if err := c.aptInstall(pkg, pkg); err != nil {
		return err
	}
	return works()
}

// aptInstall installs one package after the other.
func (c *Cache) aptInstall(what, pkg string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s is not installed (Debian's package %s has it)", what, pkg)
	}
	c.apt.Lock()
	defer c.apt.Unlock()
	c.Logf("installing %s", pkg)
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	if err := run(ctx, "/", "apt-get", "update", "-qq"); err != nil {
		return err
	}
	return run(ctx, "/", "apt-get", "install", "-y", "-qq", "--no-install-recommends", pkg)
}

// Unpack writes the files of an embedded directory into the cache and returns where.
func (c *Cache) Unpack(name string, files fs.FS, dir string) (string, error) {
	sources, err := Read(files, dir)
	if err != nil {
		return "", err
	}
	recipe := ""
	for _, k := range sortedKeys(sources) {
		recipe += k + "\n" + string(sources[k])
	}
	return c.ensure(name, recipe, func(_ context.Context, to string) error {
		for k, b := range sources {
			if err := os.WriteFile(filepath.Join(to, k), b, 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

// Read returns the files of one directory by name.
func Read(files fs.FS, dir string) (map[string][]byte, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = fs.ReadFile(files, dir+"/"+e.Name()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
