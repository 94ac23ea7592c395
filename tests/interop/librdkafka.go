package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	librdkafkaDoes = "librdkafka's own test programs in their quick mode, from the source that comes inside the npm package of Confluent's JavaScript client: all that want a broker, " +
		"without those for share groups, SASL, TLS or a broker started in another way"
	// javascriptClient is the npm package that carries librdkafka's source.
	javascriptClient = "@confluentinc/kafka-javascript@1.10.1"
	// librdkafkaTime bounds the programs; leastLibrdkafka is fewer than there are, so that a run that ends early does not pass.
	librdkafkaTime, leastLibrdkafka = 5 * time.Minute, 40
)

// librdkafkaSkips are tests that are not about the broker, with why.
func librdkafkaSkips() map[string]string {
	return map[string]string{
		"0000": "unit tests", "0038": "a measurement", "0042": "hundreds of topics, a measurement", "0055": "measures latency",
		"0097": "TLS", "0126": "OAUTHBEARER", "0135": "SASL", "0142": "SASL",
		"0081": "starts Apache's scripts for ACLs", "0115": "starts Apache's scripts for ACLs", "0119": "starts Apache's scripts for ACLs",
		"0052": "starts Apache's scripts",
		"0101": "wants racks",
		"0123": "waits for idle connections for half a minute", "0089": "waits for poll intervals for a minute", "0091": "waits for poll intervals for a minute",
	}
}

// librdkafkaTests builds the test programs and returns their directory.
func (s *stage) librdkafkaTests() (string, error) {
	if err := needs("npm", "tar", "make", "gcc", "g++"); err != nil {
		return "", err
	}
	dir, err := s.Cache.Build("librdkafka", javascriptClient, [][]string{
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

func runLibrdkafka(ctx context.Context, s *stage, r *row) error {
	tests, err := s.librdkafkaTests()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	conf := filepath.Join(s.dir, "librdkafka.conf")
	if err := os.WriteFile(conf, []byte("metadata.broker.list="+s.bootstrap+"\ntest.timeout.multiplier=2\ntest.topic.random=true\n"), 0o644); err != nil {
		return err
	}
	var skips []string
	for n := range librdkafkaSkips() {
		skips = append(skips, n)
	}
	ctx, cancel := context.WithTimeout(ctx, librdkafkaTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(tests, "test-runner"), "-Q", "-L", "-K", "-p5")
	cmd.Dir = tests
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(tests, "..", "src")+":"+filepath.Join(tests, "..", "src-cpp"), "RDKAFKA_TEST_CONF="+conf,
		// A version before share groups, so that those are left out.
		"TEST_KAFKA_VERSION=4.1.0", "TESTS_SKIP="+strings.Join(skips, ","), "TEST_LEVEL=1")
	out, err := cmd.CombinedOutput()
	if bad := os.WriteFile(filepath.Join(s.dir, "librdkafka.log"), out, 0o644); bad != nil {
		return bad
	}
	passed, failed := librdkafkaSummary(string(out))
	switch {
	case len(failed) > 0:
		err = fmt.Errorf("%d pass, these fail: %s", passed, strings.Join(failed, "; "))
	case passed < leastLibrdkafka && err == nil:
		err = fmt.Errorf("only %d tests ran", passed)
	case passed < leastLibrdkafka:
		err = fmt.Errorf("%w after %d tests: %s", err, passed, tailOf(out))
	default:
		err = nil
	}
	s.Logf("librdkafka's tests: %d pass, %d fail", passed, len(failed))
	r.done(ownColumn, err)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not done within %s: %w", librdkafkaTime, err)
	}
	return nil
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
