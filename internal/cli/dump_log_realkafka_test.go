//go:build realkafka

package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// kafkaScript is the script whose "tool NAME ARGS..." runs a tool of Apache Kafka.
func kafkaScript(t *testing.T) string {
	t.Helper()
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	return script
}

// javaNoise is what Java puts around a message: the class, and where it was thrown.
var javaNoise = regexp.MustCompile(`(?m)^Exception in thread "main" (?:[a-zA-Z.$]+: )?|^\t(?:at|\.\.\.) .*\n|^Caused by.*\n`)

func kafkaDump(t *testing.T, script, dir string, args []string) string {
	t.Helper()
	cmd := exec.Command(script, append([]string{"tool", "kafka-dump-log"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RK_JVM=-XX:TieredStopAtLevel=1 -Xshare:auto", "RK_LOG_LEVEL=ERROR")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return recorded(dir, out.String(), javaNoise.ReplaceAllString(errs.String(), ""), cmd.ProcessState.ExitCode())
}

// What is recorded is what Kafka prints.
func TestKafkaPrintsWhatIsRecorded(t *testing.T) {
	script := kafkaScript(t)
	dir := dumpStage(t)
	for _, c := range dumpCases() {
		if c.other != "" {
			continue
		}
		want, err := os.ReadFile(filepath.Join("testdata/dumplog/golden", c.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if got := kafkaDump(t, script, dir, strings.Fields(c.args)); got != string(want) {
			t.Errorf("%s: Kafka prints something else\n%s", c.name, firstDifference(string(want), got))
		}
	}
}

// The table of stored records is Kafka's own, read out of its classes, and the two tools print alike what its classes write.
func TestRecordsOfEveryKindAreKafkas(t *testing.T) {
	script := kafkaScript(t)
	run := func(dir, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	source, err := filepath.Abs("testdata/dumplog/java/Capture.java")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cp := run(dir, script, "cp")
	run(dir, "javac", "-nowarn", "-d", dir, "-cp", cp, source)
	run(dir, "java", "-XX:TieredStopAtLevel=1", "-cp", cp+":"+dir, "Capture")
	table, err := os.ReadFile(filepath.Join(dir, "table.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if string(table) != storedRecordsText {
		t.Errorf("the table is not Kafka's\n%s", firstDifference(string(table), storedRecordsText))
	}
	s := offline(t)
	t.Chdir(dir)
	for topic, decoder := range map[string]string{"offsets": "--offsets-decoder", "transactions": "--transaction-log-decoder", "share": "--share-group-state-decoder",
		"metadata": "--cluster-metadata-decoder", "remote": "--remote-log-metadata-decoder", "control": "--cluster-metadata-decoder"} {
		args := []string{decoder, "--files", "cap/" + topic + "-0" + segmentZero + ".log"}
		out := s.args(append([]string{"kafka-dump-log"}, args...), "")
		if want, got := kafkaDump(t, script, dir, args), recorded(dir, out.stdout, out.stderr, out.code); got != want {
			t.Errorf("%s: Kafka prints something else\n%s", topic, firstDifference(want, got))
		}
	}
}
