package examples

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
)

const (
	// runTimeout bounds one example: it has a minute of its own, and a JVM starts.
	runTimeout = 90 * time.Second
	// buildTimeout bounds the compilation of the Go examples with their modules' download.
	buildTimeout = 5 * time.Minute
	// saidBytes is how much is shown of an example that failed.
	saidBytes = 1500
	// jobs is how many examples run at once.
	jobs = 2
	// needsDatabase is in the names of examples that want PostgreSQL.
	needsDatabase = "database"
)

// Options of a run.
type Options struct {
	Bootstrap string
	On        string // what cluster that is, for the report
	Source    string // the directory examples/
	Dir       string // for what is built
	Only      *regexp.Regexp
	Cache     *tools.Cache
	Logf      func(format string, args ...any)
}

// example is a program and the arguments before the cluster's address.
type example struct {
	name string
	argv []string
}

// Run builds the examples and runs each.
func Run(ctx context.Context, o Options, rep *report.Report) error {
	all, err := goExamples(ctx, o)
	if err != nil {
		return err
	}
	if missing := missingPrograms("java", "mvn"); missing != "" {
		rep.Note("examples: those in Java are skipped, there is no %s", missing)
	} else {
		java, err := javaExamples(o)
		if err != nil {
			return err
		}
		all = append(all, java...)
	}
	database, stop, err := startDatabase(ctx, o.Cache)
	if err != nil {
		rep.Note("examples: those with a database are skipped: %v", err)
	} else {
		defer stop()
	}
	limit := make(chan struct{}, jobs)
	var wg sync.WaitGroup
	for _, e := range all {
		args := []string{o.Bootstrap}
		if strings.Contains(strings.ToLower(e.name), needsDatabase) {
			args = append(args, database)
		}
		if o.Only != nil && !o.Only.MatchString(e.name) || args[len(args)-1] == "" {
			continue
		}
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			start := time.Now()
			err := e.run(ctx, args)
			name := e.name
			if o.On != "" {
				name += ", " + o.On
			}
			rep.Check("examples", name, time.Since(start), err)
			o.Logf("%s took %s", e.name, time.Since(start).Round(100*time.Millisecond))
		})
	}
	wg.Wait()
	return nil
}

func missingPrograms(names ...string) string {
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			return n
		}
	}
	return ""
}

func (e *example) run(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, e.argv[0], append(e.argv[1:], args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out[max(0, len(out)-saidBytes):])
	}
	if len(out) == 0 {
		return fmt.Errorf("it says nothing")
	}
	return nil
}

// goExamples builds the programs of examples/go.
func goExamples(ctx context.Context, o Options) ([]example, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	bin := filepath.Join(o.Dir, "go")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./...")
	cmd.Dir = filepath.Join(o.Source, "go")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the Go examples: %w: %s", err, out)
	}
	programs, err := os.ReadDir(bin)
	if err != nil {
		return nil, err
	}
	var all []example
	for _, p := range programs {
		all = append(all, example{"Go: " + p.Name(), []string{filepath.Join(bin, p.Name())}})
	}
	return all, nil
}

// hasMain finds the classes that can be run.
var hasMain = regexp.MustCompile(`public static void main`)

// javaExamples builds examples/java and examples/spring.
func javaExamples(o Options) ([]example, error) {
	var all []example
	for _, project := range []string{"java", "spring"} {
		source := filepath.Join(o.Source, project)
		classPath, err := o.Cache.Maven("examples-"+project, os.DirFS(source))
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(filepath.Join(source, "src/main/java/examples/*.java"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			if hasMain.Match(text) {
				class := strings.TrimSuffix(filepath.Base(f), ".java")
				all = append(all, example{"Java: " + class, []string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classPath, "examples." + class}})
			}
		}
	}
	return all, nil
}
