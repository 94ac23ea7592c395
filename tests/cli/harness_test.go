//go:build realkafka

package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandTimeout is above the longest wait of any tool in these sessions.
const commandTimeout = 90 * time.Second

// world is a broker, a folder and the folder of our tools.
type world struct {
	t         *testing.T
	bootstrap string
	bin       string
	dir       string
	real      string
	bg        *exec.Cmd
	bgOut     *bytes.Buffer

	controller     string
	nodeProperties string // of the broker
	metadataLog    string // the broker's metadata log
}

func newWorld(t *testing.T) *world {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "kafka-topics")); err != nil {
		t.Skip("the tools are not built: run make build")
	}
	w := &world{t: t, bin: bin, dir: t.TempDir(), real: os.Getenv("MOLDAU_REALKAFKA"), bootstrap: os.Getenv("MOLDAU_TEST_BOOTSTRAP")}
	if w.bootstrap != "" {
		return w
	}
	if w.real == "" {
		t.Skip("neither MOLDAU_REALKAFKA nor MOLDAU_TEST_BOOTSTRAP is set")
	}
	cluster := filepath.Join(t.TempDir(), "cluster")
	more := filepath.Join(t.TempDir(), "more.properties")
	if err := os.WriteFile(more, []byte("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\ndelegation.token.secret.key=abc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	start := exec.Command(w.real, "start", cluster, "1", "29592")
	if t.Name() != "TestGolden" {
		start.Env = append(os.Environ(), "RK_PROPS="+more)
	}
	out, err := start.Output()
	if err != nil {
		t.Fatalf("cannot start Kafka: %v", err)
	}
	w.controller = "127.0.0.1:29692"
	w.metadataLog = filepath.Join(cluster, "data-1/__cluster_metadata-0/00000000000000000000.log")
	if b, err := os.ReadFile(filepath.Join(cluster, "1.properties")); err == nil {
		w.nodeProperties = string(b)
	}
	t.Cleanup(func() { exec.Command(w.real, "stop", cluster).Run() })
	w.bootstrap = strings.TrimSpace(string(out))
	return w
}

type result struct {
	stdout, stderr string
	code           int
}

func (w *world) command(ctx context.Context, line, stdin string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "PATH="+w.bin+":"+os.Getenv("PATH"), "B="+w.bootstrap, "W="+w.dir, "C=127.0.0.1:2")
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a line of shell; sigint ends it after a moment.
func (w *world) run(line, stdin string, sigint bool) result {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if sigint {
		line = "exec " + line
	}
	cmd := w.command(ctx, line, stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	if sigint {
		time.Sleep(5 * time.Second)
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
	err := cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if err != nil && ctx.Err() != nil {
		errs.WriteString(fmt.Sprintf("\n[did not end within %s]", commandTimeout))
	}
	return result{out.String(), errs.String(), code}
}

func (w *world) startBackground(line string) {
	w.bgOut = &bytes.Buffer{}
	w.bg = w.command(context.Background(), "exec "+strings.TrimSuffix(strings.TrimSpace(line), "&"), "")
	w.bg.Stdout = w.bgOut
	if err := w.bg.Start(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) endBackground() {
	if w.bg == nil {
		return
	}
	syscall.Kill(-w.bg.Process.Pid, syscall.SIGINT)
	w.bg.Wait()
	w.bg = nil
}

// clean deletes what an earlier session left.
func (w *world) clean() {
	w.run("kafka-consumer-groups --bootstrap-server $B --delete --all-groups; kafka-topics --bootstrap-server $B --delete --topic '[^_].*' --if-exists; kafka-configs --bootstrap-server $B --alter --broker-defaults --delete-config message.max.bytes", "", false)
}

var substitutions = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<UUID>"},
	{regexp.MustCompile(`(TopicId: |\.id=|Cluster ID: )[A-Za-z0-9_-]{20,22}\b`), "$1<ID>"},
	{regexp.MustCompile(`(CreateTime:)\d{13}`), "$1<MS>"},
	{regexp.MustCompile(`\b[A-Za-z0-9_-]{22} (/127)`), "<ID> $1"},
}

// normal makes two outputs comparable; how lists Kafka's marks of the recording.
func (w *world) normal(s, how string) string {
	s = strings.ReplaceAll(s, w.bootstrap, "<BROKERS>")
	s = strings.ReplaceAll(s, w.dir, "$W")
	for _, sub := range substitutions {
		s = sub.re.ReplaceAllString(s, sub.to)
	}
	var lines []string
	for _, l := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		l = strings.TrimRight(l, " \t\r")
		if strings.Contains(how, "ws") || strings.Contains(how, "topics") {
			l = strings.Join(strings.Fields(l), " ")
		}
		if strings.Contains(how, "num") {
			l = regexp.MustCompile(`\d+`).ReplaceAllString(l, "N")
		}
		lines = append(lines, l)
	}
	if strings.Contains(how, "sort") || strings.Contains(how, "topics") {
		sort.Strings(lines)
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
