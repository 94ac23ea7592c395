package franz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
)

const (
	module = "github.com/twmb/franz-go"
	// records is what each chain of consumers and producers hands on. The client's makers take ten times as many, which a
	// small machine does not do in a minute.
	records = 50_000
	// buildTimeout bounds download and compilation, testTimeout one run of the tests.
	buildTimeout, testTimeout = 5 * time.Minute, 8 * time.Minute
	// failureLines is how much is shown of a failed test.
	failureLines = 12
	// leastTests is fewer than there are: a run that ends early must not pass.
	leastTests = 140
)

// mayBeSkipped are tests that want what the cluster does not offer: share groups, SASL, or a broker of Kafka 0.10.
var mayBeSkipped = regexp.MustCompile(`Share|SCRAM|BrokerTooOld`)

// Options of a run.
type Options struct {
	Bootstrap string
	Replicas  int            // of each topic
	Only      *regexp.Regexp // names of the tests to run; nil: all
	CacheDir  string         // where the compiled tests are kept
	Log       string         // file that gets all that the tests print
	Logf      func(format string, args ...any)
}

// Run runs the tests once; the name says in the report on what.
func Run(ctx context.Context, name string, o Options, rep *report.Report) error {
	source, binary, err := build(ctx, o.CacheDir)
	if err != nil {
		return err
	}
	start := time.Now()
	out, err := test(ctx, source, binary, o)
	if len(out) == 0 && err != nil {
		return err
	}
	r := parse(string(out))
	for _, f := range r.failed {
		rep.Check("franz", name+": "+f, 0, errors.New(r.said(f)))
	}
	for _, s := range r.skipped {
		if !mayBeSkipped.MatchString(s) {
			rep.Check("franz", name+": "+s, 0, errors.New("it was skipped"))
		}
	}
	if err != nil && len(r.failed) == 0 {
		err = fmt.Errorf("%w; the end of the output: %s", err, tail(string(out)))
	} else if len(r.failed) > 0 {
		err = fmt.Errorf("%d tests fail", len(r.failed))
	} else if o.Only == nil && r.passed < leastTests {
		err = fmt.Errorf("only %d tests ran", r.passed)
	}
	rep.Check("franz", name+": franz-go's own tests", time.Since(start), err)
	rep.Note("franz, %s: %d tests passed, %d failed, %d skipped in %s", name, r.passed, len(r.failed), len(r.skipped), time.Since(start).Round(time.Second))
	return nil
}

// Install compiles the tests, which Run would do.
func Install(ctx context.Context, cache string) error {
	_, _, err := build(ctx, cache)
	return err
}

// build compiles the tests of the version that this program is built with, unless they are there.
func build(ctx context.Context, cache string) (source, binary string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	version, err := version()
	if err != nil {
		return "", "", err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = cache
	out, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("cannot download %s %s: %w", module, version, err)
	}
	var where struct{ Dir string }
	if err := json.Unmarshal(out, &where); err != nil {
		return "", "", fmt.Errorf("cannot read what go mod download says: %w", err)
	}
	source = filepath.Join(where.Dir, "pkg", "kgo")
	binary = filepath.Join(cache, "franz-go-"+version+".test")
	if _, err := os.Stat(binary); err == nil {
		return source, binary, nil
	}
	cmd = exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("cannot compile franz-go's tests: %w: %s", err, tail(string(out)))
	}
	return source, binary, nil
}

// version is the client's, of this program.
func version() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("this program does not know what it was built of")
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version, nil
		}
	}
	return "", fmt.Errorf("this program is not built with %s", module)
}

func test(ctx context.Context, source, binary string, o Options) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout+time.Minute)
	defer cancel()
	args := []string{"-test.v", "-test.timeout", testTimeout.String()}
	if o.Only != nil {
		args = append(args, "-test.run", o.Only.String())
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = source // one test reads its own sources
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+o.Bootstrap, "KGO_TEST_RF="+strconv.Itoa(o.Replicas), "KGO_TEST_RECORDS="+strconv.Itoa(records), "KGO_LOG_LEVEL=none")
	out, err := cmd.CombinedOutput()
	if bad := os.WriteFile(o.Log, out, 0o644); bad != nil {
		return nil, fmt.Errorf("cannot keep what the tests said: %w", bad)
	}
	o.Logf("franz-go's tests said %d lines, see %s", strings.Count(string(out), "\n"), o.Log)
	return out, err
}

// result is what a run of the tests printed, by whole tests.
type result struct {
	passed          int
	failed, skipped []string
	lines           []string
}

var verdict = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+)`)

func parse(out string) *result {
	r := &result{lines: strings.Split(out, "\n")}
	for _, line := range r.lines {
		m := verdict.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == "PASS":
			r.passed++
		case m[1] == "FAIL":
			r.failed = append(r.failed, m[2])
		default:
			r.skipped = append(r.skipped, m[2])
		}
	}
	return r
}

// housekeeping is what a test says of the topics and groups that it leaves.
var housekeeping = regexp.MustCompile(`NOT DELETING|deleting (topic|group)|completed in`)

// said is what a test printed before and after it failed.
func (r *result) said(test string) string {
	var said []string
	of := false
	for _, line := range r.lines {
		switch {
		case strings.HasPrefix(line, "=== ") && strings.Contains(line, test), strings.HasPrefix(line, "--- FAIL: "+test):
			of = true
		case strings.HasPrefix(line, "=== "), strings.HasPrefix(line, "--- "):
			of = false
		case of && strings.Contains(line, ".go:") && !housekeeping.MatchString(line):
			said = append(said, strings.TrimSpace(line))
		}
	}
	return strings.Join(said[max(0, len(said)-failureLines):], "\n")
}

// tail is the end of a text.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-failureLines):], "\n")
}
