package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// checkedStage is a log directory of three logs that a node wrote and closed in order.
func checkedStage(t *testing.T) *stage {
	t.Helper()
	s := offline(t)
	for _, d := range []string{"codecs-0", "txn-0", "compacted-0"} {
		if err := os.CopyFS(filepath.Join(s.dir, "data", d), os.DirFS("testdata/dumplog/real/"+d)); err != nil {
			t.Fatal(err)
		}
	}
	s.file("data/meta.properties", "cluster.id=c\nnode.id=1\nversion=1\n")
	s.file("data/.kafka_cleanshutdown", `{"version":0,"brokerEpoch":5}`)
	for _, d := range []string{"codecs-0", "txn-0", "compacted-0"} {
		s.file("data/"+d+"/leader-epoch-checkpoint", "0\n1\n0 0\n")
	}
	return s
}

func TestLogCheck(t *testing.T) {
	s := checkedStage(t)
	out := s.run("moldau log check $W/data", "")
	if out.code != 0 || !strings.Contains(out.stdout, "3 partitions, 4 segments") || !strings.Contains(out.stdout, "nothing is wrong") {
		t.Fatalf("%+v", out)
	}
	index := "data/codecs-0/00000000000000000000.index"
	s.file(index, "damage")
	out = s.run("moldau log check --topic codecs $W/data", "")
	if out.code != 1 || !strings.Contains(out.stdout, "damage: "+filepath.Join(s.dir, index)+" at position 0: entry 0") {
		t.Fatalf("%+v", out)
	}
	if out = s.run("moldau log check --topic=txn $W/data", ""); out.code != 0 {
		t.Fatalf("%+v", out)
	}
	out = s.run("moldau log check --format json $W/data", "")
	lines := strings.Split(strings.TrimSpace(out.stdout), "\n")
	var last map[string]any
	for _, l := range lines {
		last = nil
		if err := json.Unmarshal([]byte(l), &last); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
	if out.code != 1 || last["damages"] != 1.0 || last["partitions"] != 3.0 {
		t.Fatalf("%d %v", out.code, last)
	}
	if out = s.run("moldau log check $W/data --repair", ""); out.code != 0 || !strings.Contains(out.stdout, "all repaired") {
		t.Fatalf("%+v", out)
	}
	if out = s.run("moldau log check $W/data --quiet", ""); out.code != 0 || strings.Count(out.stdout, "\n") != 1 {
		t.Fatalf("%+v", out)
	}
}

func TestLogCheckRefusals(t *testing.T) {
	s := checkedStage(t)
	for line, want := range map[string]string{
		"moldau log":                          "usage: moldau log check",
		"moldau log what":                     "usage: moldau log check",
		"moldau log check":                    "which directory?",
		"moldau log check $W/data $W/other":   "one directory at a time",
		"moldau log check $W/nothere":         "no such file",
		"moldau log check $W/data --fromat x": "there is no option --fromat",
		"moldau log check $W/data --format x": "there is no format",
		"moldau log check $W/data --topic":    "needs a value",

		"moldau log check $W/data --repair=false":    "option --repair takes no value",
		"moldau log check $W/data --quiet=yes":       "option --quiet takes no value",
		"moldau log check $W/data --topic txn,other": "no partition of topic other",
	} {
		if out := s.run(line, ""); out.code != 2 || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: %+v", line, out)
		}
	}
	lock, err := (vfs.OS{}).Lock(filepath.Join(s.dir, "data/.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if out := s.run("moldau log check $W/data", ""); out.code != 2 || !strings.Contains(out.stderr, "is a node running on it?") {
		t.Errorf("%+v", out)
	}
	if out := s.run("moldau log check --help", ""); out.code != 0 || !strings.Contains(out.stdout, "--repair") {
		t.Errorf("%+v", out)
	}
}
