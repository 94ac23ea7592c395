package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/tools"
)

const (
	librdkafkaDoes = "librdkafka's own test programs in their quick mode, from the source that comes inside the npm package of Confluent's JavaScript client: all that want a broker, " +
		"without those for share groups, ACLs, SASL, TLS or a broker started in another way"
	// javascriptClient is the npm package that carries librdkafka's source.
	javascriptClient = "@confluentinc/kafka-javascript@1.10.1"
	// librdkafkaTime bounds the programs; leastLibrdkafka is fewer than there are, so that a run that ends early does not pass.
	librdkafkaTime, leastLibrdkafka = 5 * time.Minute, 40
)

// librdkafkaSkips are tests that are not about the broker or want one of another kind, with why.
func librdkafkaSkips(brokers int) map[string]string {
	skips := map[string]string{
		"0000": "unit tests", "0038": "a measurement", "0042": "hundreds of topics, a measurement", "0055": "measures latency",
		"0064": "wants a build with TLS", "0097": "TLS", "0126": "OAUTHBEARER", "0135": "SASL", "0142": "SASL",
		"0109": "wants an authorizer", "0115": "wants an authorizer", "0119": "wants an authorizer",
		"0081": "wants an authorizer; its other parts are among librdkafkaApart",
		"0076": "closes sockets under the library, by numbers that another test of the process may have by then; it is among librdkafkaApart",
		"0052": "starts Apache's scripts", "0077": "starts Apache's scripts",
		"0101": "wants racks",
		"0123": "waits for idle connections for half a minute", "0089": "waits for poll intervals for a minute", "0091": "waits for poll intervals for a minute",
	}
	if brokers < 3 {
		skips["0103"] = "wants topics of three replicas"
	}
	return skips
}

// librdkafkaApart selects tests that run in processes of their own, one after the other in each list: a test, and perhaps a part of
// the names of its parts. Of the test of the admin calls, those that want no authorizer.
func librdkafkaApart() [][][2]string {
	return [][][2]string{
		{{"0081", "Topics"}, {"0081", "Partitions"}, {"0081", "Configs"}, {"0081", "Records"}, {"0081", "ListOffsets"}, {"0081", "Cluster"}, {"0081", "Group"}},
		{{"0076_produce_retry", ""}},
	}
}

// librdkafkaTests builds the test programs and returns their directory.
func librdkafkaTests(c *tools.Cache) (string, error) {
	if err := needs("npm", "tar", "make", "gcc", "g++"); err != nil {
		return "", err
	}
	dir, err := c.Build("librdkafka", javascriptClient, [][]string{
		{"sh", "-c", "npm pack --silent " + javascriptClient + " && tar xzf *.tgz package/deps/librdkafka && rm *.tgz"},
		{"sh", "-c", "cd package/deps/librdkafka && ./configure --disable-gssapi --disable-sasl --disable-curl --disable-ssl"},
		{"sh", "-c", "cd package/deps/librdkafka && make -j2 libs && make -j2 -C tests build"},
	})
	return filepath.Join(dir, "package", "deps", "librdkafka", "tests"), err
}

// librdkafkaLine is a line of the summary that the programs print at the end.
var librdkafkaLine = regexp.MustCompile(`(?m)^\|\S* (\S+)\s+\|\s+(PASSED|FAILED|SKIPPED|RUNNING)\s+\|\s+([\d.]+)s [^|]*\|(.*)$`)

// colours are the terminal's escape sequences.
var colours = regexp.MustCompile(`\x1b[\[(][0-9;]*[A-Za-z]`)

// librdkafkaFailure is what a test says when it fails: where, and on the next line why.
var librdkafkaFailure = regexp.MustCompile(`(?m)^### (Test .*) failed at .*###\n(.*)$`)

func runLibrdkafka(ctx context.Context, s *stage, r *row, tests string) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	conf := filepath.Join(s.dir, "librdkafka.conf")
	if err := os.WriteFile(conf, []byte("metadata.broker.list="+s.bootstrap+"\ntest.topic.random=true\n"), 0o644); err != nil {
		return err
	}
	var skips []string
	for n := range librdkafkaSkips(s.replicas) {
		skips = append(skips, n)
	}
	ctx, cancel := context.WithTimeout(ctx, librdkafkaTime)
	defer cancel()
	runner := &librdkafkaRunner{tests: tests, conf: conf, log: filepath.Join(s.dir, "librdkafka")}
	// What those apart do is wait, so they run beside the rest.
	var apart sync.WaitGroup
	lists := librdkafkaApart()
	doubtful := make([][][2]string, len(lists))
	for i, list := range lists {
		apart.Go(func() {
			for _, sel := range list {
				if f := runner.alone(ctx, sel[0], sel[1]); len(f) > 0 {
					s.Logf("librdkafka's tests: %s; alone once more", strings.Join(f, "; "))
					doubtful[i] = append(doubtful[i], sel)
				}
			}
		})
	}
	passed, failed, err := runner.run(ctx, "", "TESTS_SKIP="+strings.Join(skips, ","))
	if err == nil && passed < leastLibrdkafka {
		err = fmt.Errorf("only %d tests ran", passed)
	}
	apart.Wait()
	// Many of these tests measure time: what fails among the others has to fail alone too.
	suspects := slices.Concat(doubtful...)
	for _, f := range failed {
		name, _, _ := strings.Cut(f, " ")
		s.Logf("librdkafka's tests: %s; alone once more", f)
		suspects = append(suspects, [2]string{name})
	}
	failed = nil
	for _, sel := range suspects {
		failed = append(failed, runner.alone(ctx, sel[0], sel[1])...)
	}
	s.Logf("librdkafka's tests: %d pass, %d fail", passed, len(failed))
	if len(failed) > 0 {
		err = fmt.Errorf("these fail: %s", strings.Join(failed, "; "))
	}
	r.done(ownColumn, err)
	return nil
}

// librdkafkaRunner starts the program that all the tests are in.
type librdkafkaRunner struct{ tests, conf, log string }

// alone runs one test, or a part of it, in a process of its own, and tells what failed.
func (l *librdkafkaRunner) alone(ctx context.Context, test, part string) []string {
	passed, failed, err := l.run(ctx, "-"+test+part, "TESTS="+test, "SUBTESTS="+part)
	switch {
	case err != nil:
		return []string{strings.TrimSpace(test+" "+part) + " (" + err.Error() + ")"}
	case len(failed) > 0:
		return failed
	case passed == 0:
		return []string{strings.TrimSpace(test+" "+part) + " (it did not run)"}
	}
	return nil
}

// run tells how many tests passed, and what failed and why. An error: the program ended before its summary.
func (l *librdkafkaRunner) run(ctx context.Context, name string, env ...string) (passed int, failed []string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(l.tests, "test-runner"), "-Q", "-L", "-K", "-p5")
	cmd.Dir = l.tests
	cmd.Env = append(os.Environ(), append(env, "LD_LIBRARY_PATH="+filepath.Join(l.tests, "..", "src")+":"+filepath.Join(l.tests, "..", "src-cpp"), "RDKAFKA_TEST_CONF="+l.conf,
		// A version before share groups, so that those are left out.
		"TEST_KAFKA_VERSION=4.1.0", "TEST_LEVEL=1",
		// The tests are then made for a loaded machine: they wait three times as long, and how long a call took is a warning only.
		"CI=true")...)
	out, err := cmd.CombinedOutput()
	if bad := os.WriteFile(l.log+name+".log", out, 0o644); bad != nil {
		return 0, nil, bad
	}
	passed, failed = librdkafkaSummary(string(out))
	switch {
	case passed+len(failed) > 0:
		return passed, failed, nil
	case ctx.Err() != nil:
		return 0, nil, fmt.Errorf("not done within %s: %s", librdkafkaTime, librdkafkaEnd(string(out)))
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %s", err, librdkafkaEnd(string(out)))
	}
	return 0, nil, fmt.Errorf("no test ran: %s", librdkafkaEnd(string(out)))
}

// librdkafkaEnd is why the programs have ended without a summary: what failed last, or else the end of what they said.
func librdkafkaEnd(out string) string {
	out = colours.ReplaceAllString(out, "")
	said := librdkafkaFailure.FindAllStringSubmatch(out, -1)
	if len(said) == 0 {
		return strings.TrimSpace(out[max(0, len(out)-sentenceBytes/2):])
	}
	last := said[len(said)-1]
	return last[1] + ": " + strings.TrimSpace(last[2])
}

// librdkafkaSummary reads how many passed, and what failed and why.
func librdkafkaSummary(out string) (passed int, failed []string) {
	for _, m := range librdkafkaLine.FindAllStringSubmatch(colours.ReplaceAllString(out, ""), -1) {
		switch {
		case m[1] == "<MAIN>":
		case m[2] == "PASSED":
			passed++
		case m[2] != "SKIPPED":
			failed = append(failed, m[1]+" ("+strings.TrimSpace(m[4])+")")
		}
	}
	return passed, failed
}
