package cli

import (
	"strings"
	"testing"
)

// What goes wrong never stands among the JSON, also where Kafka's tool tells it on standard output.
func TestJSONHasStandardOutputForItself(t *testing.T) {
	s := newStage(t, "orders")
	for line, words := range map[string]string{
		"kafka-topics --bootstrap-server $B --describe --topic nothing --format json":          "Topic 'nothing' does not exist as expected",
		"kafka-consumer-groups --bootstrap-server $B --describe --group nothing --format json": "Error: Executing consumer group command failed",
		"kafka-configs --bootstrap-server $B --describe --topic nothing --format json":         "The topic 'nothing' doesn't exist",
		"kafka-acls --bootstrap-server $B --list --command-config $W/none --format json":       "Error while executing ACL command",
		"kafka-groups --bootstrap-server 127.0.0.1:0,x --list --format json":                   "Error while executing groups command",
		"kafka-client-metrics --bootstrap-server 127.0.0.1:0,x --list --format json":           "Error while executing client metrics command",
		"kafka-share-groups --bootstrap-server $B --describe --group nothing --format json":    "Error: Executing share group command failed",
	} {
		o := s.run(line, "")
		if o.stdout != "" || !strings.Contains(o.stderr, words) {
			t.Errorf("%s\nstdout: %q\nstderr: %q, wanted %q there", line, o.stdout, o.stderr, words)
		}
	}
}

func TestStrictFailsWhereWhatIsDescribedDoesNotExist(t *testing.T) {
	s := newStage(t, "orders")
	line := "kafka-configs --bootstrap-server $B --describe --topic nothing"
	if o := s.run(line, ""); o.code != 0 {
		t.Errorf("exit %d without MOLDAU_STRICT, Kafka's is 0", o.code)
	}
	s.env["MOLDAU_STRICT"] = "1"
	if o := s.run(line, ""); o.code != 1 {
		t.Errorf("exit %d with MOLDAU_STRICT", o.code)
	}
}

// Both in one client is refused; the tools that can ask controllers let the option win.
func TestTheFilesControllersBesideBootstrapServer(t *testing.T) {
	s := newStage(t, "orders")
	s.file("c.properties", "bootstrap.controllers=127.0.0.1:1\n")
	o := s.run("kafka-topics --bootstrap-server $B --list --command-config $W/c.properties", "")
	if o.code != 1 || !strings.Contains(o.stderr, "You cannot set both bootstrap.servers and bootstrap.controllers") {
		t.Errorf("topics: %+v", o)
	}
	if o := s.run("kafka-configs --bootstrap-server $B --describe --topic orders --command-config $W/c.properties", ""); o.code != 0 {
		t.Errorf("configs: %+v", o)
	}
}

func TestAConsumersValuesBeyondTheLibrarysBoundsAreTaken(t *testing.T) {
	s := newStage(t, "orders")
	for _, line := range []string{
		"kafka-console-consumer --bootstrap-server $B --topic orders --timeout-ms 100 --command-property fetch.max.bytes=2147483647",
		"kafka-console-consumer --bootstrap-server $B --topic orders --timeout-ms 100 --group g --command-property auto.commit.interval.ms=0",
	} {
		if o := s.run(line, ""); strings.Contains(o.stderr, "Failed to construct") {
			t.Errorf("%s: %s", line, o.stderr)
		}
	}
}
