package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/cli"
)

// listings are the lines that list something: each has --format json. Those of which the node of the test does not serve
// what they ask for are marked: there the answer is the node's own error and no empty list.
func listings() []string {
	const b = " --bootstrap-server $B "
	return []string{
		"kafka-topics" + b + "--list", "kafka-topics" + b + "--describe", "kafka-topics" + b + "--describe --unavailable-partitions",
		"kafka-topics" + b + "--describe --topics-with-overrides",
		"kafka-configs" + b + "--describe --topic t", "kafka-configs" + b + "--describe --broker 1 --all", "kafka-configs" + b + "--describe --broker-defaults",
		"kafka-configs" + b + "--describe --entity-type topics", "kafka-configs" + b + "--describe --group g", "kafka-configs" + b + "--describe --broker-logger 1",
		"kafka-configs" + b + "--describe --entity-type users", "kafka-configs" + b + "--describe --client-metrics m",
		"kafka-delegation-tokens" + b + "--describe --command-config empty.properties",
		"kafka-groups" + b + "--list",
		"kafka-consumer-groups" + b + "--list", "kafka-consumer-groups" + b + "--list --state", "kafka-consumer-groups" + b + "--list --type",
		"kafka-consumer-groups" + b + "--describe --group g", "kafka-consumer-groups" + b + "--describe --group g --members", "kafka-consumer-groups" + b + "--describe --group g --state",
		"kafka-consumer-groups" + b + "--describe --all-groups --offsets",
		"kafka-share-groups" + b + "--list", "kafka-share-groups" + b + "--list --state", "kafka-share-groups" + b + "--describe --all-groups",
		"kafka-streams-groups" + b + "--list", "kafka-streams-groups" + b + "--describe --all-groups",
		"kafka-get-offsets" + b, "kafka-get-offsets" + b + "--topic t --time earliest",
		"kafka-log-dirs" + b + "--describe", "kafka-log-dirs" + b + "--describe --topic-list t",
		"kafka-metadata-quorum" + b + "describe --status", "kafka-metadata-quorum" + b + "describe --replication",
		"kafka-metadata-quorum --bootstrap-controller $C describe --status",
		"kafka-features" + b + "describe", "kafka-features version-mapping", "kafka-features feature-dependencies --feature transaction.version=2 --feature metadata.version=25",
		"kafka-storage version-mapping", "kafka-storage feature-dependencies --feature group.version=1",
		"kafka-cluster cluster-id" + b, "kafka-cluster list-endpoints" + b, "kafka-cluster list-endpoints --bootstrap-controller $C",
		"kafka-broker-api-versions" + b, "kafka-reassign-partitions" + b + "--list",
		"kafka-transactions" + b + "list", "kafka-transactions" + b + "describe --transactional-id x", "kafka-transactions" + b + "describe-producers --topic t --partition 0",
		"kafka-transactions" + b + "find-hanging --broker-id 1",
		"kafka-client-metrics" + b + "--list", "kafka-client-metrics" + b + "--describe",
		"moldau status" + b,
	}
}

// TestEveryListingToolSpeaksJSON walks the listing tools: what stands on standard output is one JSON value, also where
// there is nothing to list, and nothing at all where the node does not serve what was asked for.
func TestEveryListingToolSpeaksJSON(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.write("empty.properties", "", 0o644)
	if res := w.shell("kafka-topics --bootstrap-server $B --create --topic t --config retention.ms=60000 && seq 1 5 | kafka-console-producer --bootstrap-server $B --topic t && "+
		"kafka-console-consumer --bootstrap-server $B --topic t --group g --from-beginning --max-messages 5 && "+
		"kafka-client-metrics --bootstrap-server $B --alter --name m --interval 10000 && "+
		"kafka-producer-perf-test --bootstrap-server $B --topic t --num-records 1 --record-size 1 --throughput -1 --transactional-id x", ""); res.code != 0 {
		t.Fatal(res)
	}
	for _, line := range listings() {
		cmd := w.strictly(append(w.words(line), "--format", "json"))
		res := finish(cmd)
		wellSaid(t, line, res)
		switch {
		case res.code != 0 && !strings.Contains(res.stdout+res.stderr, "does not support") && !strings.Contains(res.stderr, "not served"):
			t.Errorf("$ %s\nexit code %d\n%s%s", line, res.code, res.stdout, res.stderr)
		case res.code != 0 && strings.HasPrefix(res.stdout, "["):
			t.Errorf("$ %s\nfails, and lists nothing all the same:\n%s", line, res.stdout)
		case res.code == 0 && !json.Valid([]byte(res.stdout)):
			t.Errorf("$ %s\nprints no JSON:\n%s%s", line, res.stdout, res.stderr)
		}
		if again := finish(w.strictly(append(w.words(line), "--format", "xml"))); again.code == 0 || !strings.Contains(again.stdout+again.stderr, "format") {
			t.Errorf("$ %s --format xml\nis taken: %+v", line, again)
		}
	}
}

// strictly is a tool of ours whose failures all exit with 1.
func (w *world) strictly(words []string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(w.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Env = w.dir, append(w.environ(), "MOLDAU_STRICT=1")
	return cmd
}

// TestEveryToolHasHelpAndVersionUnderEachName asks every tool, with .sh and without, for its help and version. Tools without
// sub-commands and with Kafka's older parser know --version; the others answer that they do not, as Kafka's do.
func TestEveryToolHasHelpAndVersionUnderEachName(t *testing.T) {
	w := offlineWorld(t)
	for _, name := range cli.ToolNames() {
		for _, option := range []string{"--help", "--version"} {
			plain, script := w.tool([]string{name, option}, ""), w.tool([]string{name + ".sh", option}, "")
			long := w.tool([]string{"moldau", name, option}, "")
			short := w.tool([]string{"moldau", strings.TrimPrefix(name, "kafka-"), option}, "")
			for _, res := range []result{script, long, short} {
				if sameGroup(res) != sameGroup(plain) {
					t.Errorf("%s %s says something else under another name:\n%+v\n%+v", name, option, plain, res)
				}
			}
			text := plain.stdout + plain.stderr
			wellSaid(t, name+" "+option, plain)
			switch {
			case text == "":
				t.Errorf("%s %s says nothing", name, option)
			case option == "--version" && plain.code == 0 && plain.stdout != "dev\n":
				t.Errorf("%s --version: %+v", name, plain)
			case option == "--version" && plain.code != 0 && !strings.Contains(text, "version") && name != "kafka-e2e-latency": // which counts arguments first, as Kafka's
				t.Errorf("%s --version: %+v", name, plain)
			case option == "--help" && !strings.Contains(strings.ToLower(text), "usage") && !strings.Contains(text, "Option"):
				t.Errorf("%s --help: %+v", name, plain)
			}
		}
	}
}

// sameGroup leaves a made-up group's number out.
func sameGroup(r result) result {
	r.stderr = perfGroup.ReplaceAllString(r.stderr, "perf-consumer-N")
	return r
}

// TestShellsComplete runs each shell that is there through completions, with names that are looked up in a cluster.
func TestShellsComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.shell("for n in orders orders-eu payments; do kafka-topics --bootstrap-server $B --create --topic $n; done; "+
		"kafka-consumer-groups --bootstrap-server $B --reset-offsets --group billing --topic orders --to-earliest --execute", "")
	// How a shell is asked what would follow the line in $1, one candidate a line.
	shells := map[string]string{
		"bash": `source <(moldau completion bash); COMP_LINE=$1 COMP_POINT=${#1}; [[ $(complete -p "${1%% *}") == *_moldau* ]] && _moldau && printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh":  `compdef() { :; }; source <(moldau completion zsh); words=("${(@s: :)1}"); CURRENT=$#words; compadd() { print -l -- $found; }; _moldau`,
		"fish": `moldau completion fish | source; complete -C "$argv[1]"`,
	}
	for shell, script := range shells {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err)
			}
			for _, c := range []struct{ line, want string }{
				{"moldau consumer-g", "consumer-groups"},
				{"kafka-topics --bootstrap-server $B --describe --topic or", "orders orders-eu"},
				{"kafka-topics.sh --bootstrap-server $B --topic ", "__consumer_offsets orders orders-eu payments"},
				{"moldau console-consumer --bootstrap-server=$B --topic pay", "payments"},
				{"kafka-consumer-groups --bootstrap-server $B --describe --group b", "billing"},
				{"kafka-features up", "upgrade"},
				{"kafka-topics --bootstrap-server $B --partitions --repl", "--replica-assignment --replication-factor"},
				{"kafka-topics --bootstrap-server 127.0.0.1:1 --topic or", ""},
			} {
				args := []string{"-c", script, shell, w.fill(c.line)}
				if shell == "fish" {
					args = []string{"-c", script, w.fill(c.line)}
				}
				cmd := exec.Command(path, args...)
				cmd.Dir, cmd.Env = w.dir, w.environ()
				res := finish(cmd)
				if got := strings.Join(strings.Fields(res.stdout), " "); got != c.want {
					t.Errorf("%s: %q, wanted %q\n%s", c.line, got, c.want, res.stderr)
				}
			}
		})
	}
	if _, err := os.Stat("/bin/bash"); err != nil {
		return
	}
	// bash replaces what stands behind the last : or =, so that only this may be given.
	cmd := exec.Command("bash", "-c", shells["bash"], "bash", w.fill("kafka-topics --bootstrap-server $B --topic=or"))
	cmd.Dir, cmd.Env = w.dir, w.environ()
	if res := finish(cmd); res.stdout != "orders\norders-eu\n" {
		t.Errorf("--topic=or in bash: %+v", res)
	}
}

// TestWhatTheNodeDoesNotServeIsRefusedInItsWords asks for what needs an API that the node does not have: the answer names
// it, on broker and controller, and is a failure. What the node comes to serve drops out by itself.
func TestWhatTheNodeDoesNotServeIsRefusedInItsWords(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	w.write("empty.properties", "", 0o644)
	served := w.tool(w.words("kafka-broker-api-versions --bootstrap-server $B"), "").stdout
	const b = " --bootstrap-server $B "
	for _, c := range []struct{ api, constant, line string }{
		{"DescribeClientQuotas", "DESCRIBE_CLIENT_QUOTAS", "kafka-configs" + b + "--describe --entity-type users"},
		{"DescribeClientQuotas", "DESCRIBE_CLIENT_QUOTAS", "kafka-configs" + b + "--alter --entity-type clients --entity-name a --add-config producer_byte_rate=1"},
		{"DescribeClientQuotas", "DESCRIBE_CLIENT_QUOTAS", "kafka-configs" + b + "--describe --user a"},
		{"DescribeDelegationToken", "DESCRIBE_DELEGATION_TOKEN", "kafka-delegation-tokens" + b + "--command-config empty.properties --describe"},
		{"CreateDelegationToken", "CREATE_DELEGATION_TOKEN", "kafka-delegation-tokens" + b + "--command-config empty.properties --create --max-life-time-period -1"},
		{"ShareGroupDescribe", "SHARE_GROUP_DESCRIBE", "kafka-share-groups" + b + "--describe --group g"},
		{"ShareGroupHeartbeat", "ShareGroupHeartbeat", "kafka-console-share-consumer" + b + "--topic t --timeout-ms 1000"},
	} {
		if l := lineOf(served, c.api+"("); l != "" && !strings.Contains(l, "UNSUPPORTED") {
			continue
		}
		res := finish(w.strictly(w.words(c.line)))
		wellSaid(t, c.line, res)
		text := res.stdout + res.stderr
		if res.code != 1 || !strings.Contains(text, "not support") || !strings.Contains(text, c.constant) {
			t.Errorf("$ %s\nexit code %d\n%s", c.line, res.code, text)
		}
	}
}

// TestACLsAreSaidToBeDisabled has what Kafka's tool prints where no authorizer is configured.
func TestACLsAreSaidToBeDisabled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node")
	}
	w := moldauWorld(t, 1)
	for line, why := range map[string]string{
		"kafka-acls --bootstrap-server $B --list":                                                    "No Authorizer is configured on the broker",
		"kafka-acls --bootstrap-server $B --add --allow-principal User:a --operation Read --topic t": "No Authorizer is configured on the broker",
		"kafka-acls --bootstrap-server $B --remove --force --topic t":                                "No Authorizer is configured.",
		"kafka-acls --bootstrap-controller $C --list":                                                "No Authorizer is configured on the broker",
		"kafka-acls --bootstrap-controller $C --remove --force --topic t":                            "No Authorizer is configured.",
	} {
		res := finish(w.strictly(w.words(line)))
		wellSaid(t, line, res)
		want := "Error while executing ACL command: org.apache.kafka.common.errors.SecurityDisabledException: " + why
		if said := strings.TrimSpace(res.stdout + res.stderr); res.code != 1 || said != want {
			t.Errorf("$ %s\nexit code %d\n%s\nwanted\n%s", line, res.code, said, want)
		}
	}
}

// lineOf is the line of a text in which words stand.
func lineOf(text, words string) string {
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, words) {
			return l
		}
	}
	return ""
}
