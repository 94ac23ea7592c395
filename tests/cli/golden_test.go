//go:build realkafka

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// step is one command of a recorded session.
type step struct {
	line       string
	stdin      string
	setUp      bool
	sigint     bool
	background bool
	endBG      bool
	how        string
	stdout     []string
	stderr     []string
	onStderr   bool
	code       string
}

// TestGolden replays recorded sessions of Kafka's tools with ours.
func TestGolden(t *testing.T) {
	dir := os.Getenv("MOLDAU_GOLDEN_CLI")
	if dir == "" {
		t.Skip("MOLDAU_GOLDEN_CLI is not set")
	}
	w := newWorld(t)
	for _, tool := range []string{"topics", "console-producer", "console-consumer", "storage", "consumer-groups", "get-offsets", "configs", "delete-records", "log-dirs", "broker-api-versions", "cluster", "groups"} {
		text, err := os.ReadFile(filepath.Join(dir, "kafka-"+tool+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range strings.Split(string(text), "######## ")[1:] {
			title, body, _ := strings.Cut(section, "\n")
			if !strings.Contains(title, "(one node)") && !strings.Contains(title, "(no cluster)") {
				continue
			}
			t.Run(tool+"/"+strings.Fields(title)[0], func(t *testing.T) {
				session := *w
				session.t, session.dir = t, t.TempDir()
				session.replay(parseSteps(body), strings.Contains(title, "(one node)"))
			})
		}
	}
}

var comment = regexp.MustCompile(`    # (set-up|compared after: (.*)|then SIGINT|goes on in the background)$`)

func parseSteps(body string) []step {
	var steps []step
	for _, l := range strings.Split(body, "\n") {
		var cur *step
		if len(steps) > 0 {
			cur = &steps[len(steps)-1]
		}
		switch {
		case strings.HasPrefix(l, "$ "):
			s := step{line: l[2:]}
			if m := comment.FindStringSubmatch(l); m != nil {
				s.line = strings.TrimSuffix(l[2:], m[0])
				s.setUp, s.sigint, s.background, s.how = m[1] == "set-up", m[1] == "then SIGINT", strings.HasPrefix(m[1], "goes on"), m[2]
			}
			steps = append(steps, s)
		case strings.Contains(l, "# the background command is ended"):
			steps = append(steps, step{endBG: true})
		case cur == nil:
		case strings.HasPrefix(l, "< "):
			cur.stdin += l[2:] + "\n"
		case strings.HasPrefix(l, "2> "):
			cur.stderr = append(cur.stderr, l[3:])
		case strings.HasPrefix(l, "log> "):
			cur.stderr = append(cur.stderr, l[5:])
		case strings.HasSuffix(l, "[all of it on stderr]"):
			cur.onStderr = true
		case strings.HasPrefix(l, "[exit "):
			cur.code = strings.TrimSuffix(l[6:], "]")
		case strings.HasPrefix(l, "<here the option table"):
		case cur.code == "":
			cur.stdout = append(cur.stdout, l)
		}
	}
	return steps
}

func (w *world) replay(steps []step, cluster bool) {
	w.helpers()
	if cluster {
		w.clean()
	}
	defer w.endBackground()
	for _, s := range steps {
		switch {
		case s.endBG:
			w.endBackground()
		case s.background:
			w.startBackground(s.line)
		case strings.Contains(s.line, "--help"), strings.Contains(s.line, "<") && strings.Contains(s.line, "perf-test"):
		default:
			res := w.run(s.line, s.stdin, s.sigint)
			if !s.setUp && s.code != "" {
				w.compare(s, res)
			}
		}
	}
}

// helpers writes the files and scripts that the sessions use.
func (w *world) helpers() {
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), mode); err != nil {
			w.t.Fatal(err)
		}
	}
	write("short.properties", "default.api.timeout.ms=2000\nrequest.timeout.ms=1000\n", 0o644)
	write("idem-off.properties", "enable.idempotence=false\n", 0o644)
	write("wait-any", "#!/bin/bash\nfor i in $(seq 50); do kafka-consumer-groups --bootstrap-server $1 --describe --all-groups 2>/dev/null | grep -q \" $2 .*console-consumer\" && exit; sleep 0.2; done\n", 0o755)
	write("wait-member", "#!/bin/bash\nfor i in $(seq 50); do kafka-consumer-groups --bootstrap-server $1 --describe --group $2 2>/dev/null | grep -q '/127' && exit; sleep 0.2; done\n", 0o755)
}

func (w *world) compare(s step, res result) {
	w.t.Helper()
	want, got := strings.Join(s.stdout, "\n"), res.stdout
	if s.onStderr {
		first := strings.TrimSpace(strings.Split(want+"\n", "\n")[0])
		if !strings.Contains(res.stderr, first) {
			w.t.Errorf("$ %s\nstandard error lacks %q:\n%s", s.line, first, res.stderr)
		}
		want = ""
	}
	if strings.Contains(want, "<VERSION>") {
		want, got = "", ""
	}
	if !strings.Contains(s.how, "json") {
		if a, b := w.normal(want, s.how), w.normal(got, s.how); a != b {
			w.t.Errorf("$ %s\n--- Kafka\n%s\n--- Moldau\n%s\n--- its standard error\n%s", s.line, a, b, res.stderr)
		}
	}
	for _, l := range s.stderr {
		if l = strings.TrimSpace(w.normal(l, "")); l != "" && !strings.HasPrefix(l, "LOG|") && !strings.HasPrefix(l, "<here") && !strings.Contains(w.normal(res.stderr, ""), strings.TrimSpace(l)) {
			w.t.Errorf("$ %s\nstandard error lacks %q:\n%s", s.line, l, res.stderr)
		}
	}
	if code := strings.TrimSpace(s.code); code != itoa(res.code) {
		w.t.Errorf("$ %s\nexit code %d, Kafka's is %s\n%s%s", s.line, res.code, code, res.stdout, res.stderr)
	}
}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
