//go:build realkafka

package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// pair is a command line for both tools. prepare runs once, with ours, before
// each of the two, so that both see the same cluster.
type pair struct {
	prepare string
	line    string
	stdin   string
	how     string
}

func pairs() []pair {
	fresh := "kafka-topics --bootstrap-server $B --delete --topic d1 --if-exists; kafka-topics --bootstrap-server $B --create --topic d1 --partitions 2 --config cleanup.policy=compact,delete --config retention.ms=1000000; sleep 0.5"
	filled := "kafka-topics --bootstrap-server $B --delete --topic d2 --if-exists; kafka-topics --bootstrap-server $B --create --topic d2 --partitions 1; seq 1 20 | kafka-console-producer --bootstrap-server $B --topic d2 --reader-property parse.key=false; kafka-consumer-groups --bootstrap-server $B --delete --group dg; kafka-consumer-groups --bootstrap-server $B --reset-offsets --group dg --topic d2 --to-offset 7 --execute"
	b := " --bootstrap-server $B "
	return []pair{
		{fresh, "kafka-topics" + b + "--list --exclude-internal", "", ""},
		{fresh, "kafka-topics" + b + "--describe --topic d1", "", "id"},
		{fresh, "kafka-topics" + b + "--describe --topic d1 --topics-with-overrides", "", "id"},
		{fresh, "kafka-topics" + b + "--describe --at-min-isr-partitions --topic d1", "", ""},
		{fresh, "kafka-topics" + b + "--create --topic d1", "", ""},
		{fresh, "kafka-topics" + b + "--create --topic d3 --replication-factor 5", "", ""},
		{fresh, "kafka-topics" + b + "--create --topic d3 --config retention.ms=abc", "", ""},
		{fresh, "kafka-topics" + b + "--alter --topic d1 --partitions 2", "", ""},
		{fresh, "kafka-topics" + b + "--alter --topic d1 --partitions 4 --replica-assignment 1,1", "", ""},
		{fresh, "kafka-topics" + b + "--delete --topic nosuch", "", ""},
		{fresh, "kafka-topics" + b + "--describe --topic-id abc", "", ""},
		{fresh, "kafka-configs" + b + "--describe --topic d1", "", ""},
		{fresh, "kafka-configs" + b + "--describe --topic d1 --all", "", ""},
		{fresh, "kafka-configs" + b + "--describe --entity-type brokers", "", ""},
		{fresh, "kafka-configs" + b + "--alter --user nobody --delete-config producer_byte_rate", "", ""},
		{fresh, "kafka-configs" + b + "--alter --topic d1", "", ""},
		{fresh, "kafka-configs" + b + "--alter --entity-type topics --add-config a=b", "", ""},
		{fresh, "kafka-configs" + b + "--describe --entity-type nonsense --entity-name x", "", ""},
		{filled, "kafka-console-consumer" + b + "--topic d2 --from-beginning --max-messages 20", "", ""},
		{filled, "kafka-console-consumer" + b + "--topic d2 --partition 0 --offset 15 --max-messages 5 --formatter-property print.offset=true --formatter-property print.key=true", "", ""},
		{filled, "kafka-get-offsets" + b + "--topic d2", "", ""},
		{filled, "kafka-get-offsets" + b + "--topic-partitions d2:0-1", "", ""},
		{filled, "kafka-consumer-groups" + b + "--describe --group dg", "", ""},
		{filled, "kafka-consumer-groups" + b + "--describe --group dg --state --verbose", "", ""},
		{filled, "kafka-consumer-groups" + b + "--describe --group dg --members --verbose", "", ""},
		{filled, "kafka-consumer-groups" + b + "--reset-offsets --group dg --topic d2 --shift-by -100 --dry-run", "", ""},
		{filled, "kafka-consumer-groups" + b + "--reset-offsets --group dg --topic d2 --to-datetime noon --dry-run", "", ""},
		{filled, "kafka-consumer-groups" + b + "--delete-offsets --group dg --topic nosuchtopic", "", ""},
		{filled, "kafka-consumer-groups" + b + "--delete-offsets --group dg --topic d2:0", "", ""},
		{filled, "kafka-consumer-groups" + b + "--delete --group dg --group nobody", "", ""},
		{filled, "kafka-consumer-groups" + b + "--list --type --state", "", "sort"},
		{filled, "kafka-cluster list-endpoints" + b, "", ""},
		{filled, "kafka-broker-api-versions" + b, "", ""},
		{"", "kafka-storage version-mapping --release-version 4.1", "", ""},
		{"", "kafka-storage feature-dependencies --feature share.version=1 --feature metadata.version=27", "", ""},
	}
}

// TestDifferential runs each line through Kafka's tool and ours on one broker
// and compares standard output and exit code.
func TestDifferential(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	w := newWorld(t)
	w.helpers()
	for _, p := range pairs() {
		t.Run(strings.Fields(p.line)[0], func(t *testing.T) {
			session := *w
			session.t = t
			w.run(p.prepare, "", false)
			theirs := session.apache(p)
			w.run(p.prepare, "", false)
			ours := session.run(p.line, p.stdin, false)
			how := p.how
			if a, b := session.normal(theirs.stdout, how), session.normal(ours.stdout, how); a != b || theirs.code != ours.code {
				t.Errorf("$ %s\n--- Kafka, exit %d\n%s\n--- Moldau, exit %d\n%s\n--- its standard error\n%s\n--- Kafka's\n%s", p.line, theirs.code, a, ours.code, b, ours.stderr, theirs.stderr)
			}
		})
	}
}

func (w *world) apache(p pair) result {
	line := w.real + " tool " + p.line
	if _, err := exec.LookPath("java"); err != nil {
		w.t.Skip("no java")
	}
	return w.run(line, p.stdin, false)
}
