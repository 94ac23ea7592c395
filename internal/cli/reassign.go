package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

func reassignOptions() *optionSet {
	s := newOptions()
	s.flag("bootstrap-server", "The brokers to connect to, as host:port, several with commas.").takesMaybe("Server(s) to use for bootstrapping")
	s.flag("bootstrap-controller", "The controllers to connect to, as host:port, several with commas.").takesMaybe("bootstrap controller to connect to")
	s.arg("command-config", "Admin client property file", "A properties file for the admin client.")
	s.flag("generate", "Propose an assignment of --topics-to-move-json-file to --broker-list; changes nothing.")
	s.flag("execute", "Start what --reassignment-json-file says.")
	s.flag("verify", "Say how far --reassignment-json-file is, and take the throttles off when all of it is done.")
	s.flag("cancel", "Stop what --reassignment-json-file says and go back.")
	s.flag("list", "List the reassignments that go on.")
	s.arg("reassignment-json-file", "manual assignment json file path", `Where partitions should be: {"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/dir"]}]}; log_dirs may be left out.`)
	s.arg("topics-to-move-json-file", "topics to reassign json file path", `The topics to move: {"version":1,"topics":[{"topic":"t"}]}.`)
	s.arg("broker-list", "brokerlist", "The brokers to move to, with commas.")
	s.flag("disable-rack-aware", "Do not spread replicas over racks.")
	s.arg("throttle", "throttle", "The most bytes a second that replicas may copy between brokers.").ofKind(longValue).withDefault("-1")
	s.arg("replica-alter-log-dirs-throttle", "replicaAlterLogDirsThrottle", "The most bytes a second that replicas may copy between directories of a broker.").ofKind(longValue).withDefault("-1")
	s.arg("timeout", "timeout", "How long to wait for the brokers, in ms.").ofKind(longValue).withDefault("10000")
	s.flag("additional", "With --execute: beside others that go on.")
	s.flag("preserve-throttles", "Leave throttles as they are.")
	s.flag("disallow-replication-factor-change", "With --execute: refuse a plan that changes how many replicas a partition has.")
	s.formatOption()
	return s
}

type reassignTool struct {
	*run
	p *parsed
	c *client.Client
}

func runReassign(r *run, args []string) int {
	set := reassignOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, nil, err.Error()))
		return code
	}
	t := &reassignTool{run: r, p: p}
	action, err := t.check()
	if err == nil {
		err = t.execute(action)
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	text := withClass(err)
	var re *reassignError
	if errors.As(err, &re) {
		text = re.Error()
	}
	if !strings.HasPrefix(text, "Error ") && !strings.HasPrefix(text, "Cannot execute because") {
		text = "Error: " + text
	}
	r.println(text)
	r.explainConstruct(err)
	return r.fail(1)
}

// reassignError is a plan that cannot be followed.
type reassignError struct{ msg string }

func (e *reassignError) Error() string { return e.msg }

func badPlan(format string, args ...any) error { return &reassignError{fmt.Sprintf(format, args...)} }

// reassignActions are Kafka's, with what each needs and takes.
func reassignActions() []struct {
	name         string
	needs, takes []string
} {
	return []struct {
		name         string
		needs, takes []string
	}{
		{"verify", []string{"reassignment-json-file"}, []string{"preserve-throttles"}},
		{"generate", []string{"topics-to-move-json-file", "broker-list"}, []string{"disable-rack-aware"}},
		{"execute", []string{"reassignment-json-file"}, []string{"additional", "throttle", "replica-alter-log-dirs-throttle", "timeout", "disallow-replication-factor-change"}},
		{"cancel", []string{"reassignment-json-file"}, []string{"bootstrap-controller", "preserve-throttles", "timeout"}},
		{"list", nil, []string{"bootstrap-controller", "format"}},
	}
}

func (t *reassignTool) check() (string, error) {
	p := t.p
	if err := t.helpOrVersion(p, nil, "This tool helps to move topic partitions between replicas."); err != nil {
		return "", err
	}
	bad := func(format string, args ...any) (string, error) {
		return "", t.usage(p.set, nil, fmt.Sprintf(format, args...))
	}
	if countGiven(p, "generate", "execute", "verify", "cancel", "list") != 1 {
		return bad("Command must include exactly one action: --generate, --execute, --verify, --cancel, --list")
	}
	for _, a := range reassignActions() {
		if !p.has(a.name) {
			continue
		}
		switch {
		case p.has("bootstrap-server") && p.has("bootstrap-controller"):
			return bad("Please don't specify both --bootstrap-server and --bootstrap-controller")
		case !p.hasAny("bootstrap-server", "bootstrap-controller"):
			return bad("Please specify either --bootstrap-server or --bootstrap-controller")
		}
		if err := t.checkRequired(p, nil, a.needs...); err != nil {
			return "", err
		}
		allowed := append(append([]string{"bootstrap-server", "command-config", a.name}, a.needs...), a.takes...)
		for _, o := range p.order {
			if !contains(allowed, o) {
				return bad("Option \"[%s]\" can't be used with action \"[%s]\"", o, a.name)
			}
		}
		for _, o := range []string{"throttle", "replica-alter-log-dirs-throttle", "timeout"} {
			p.value(o)
		}
		return a.name, p.err
	}
	return "", nil
}

func (t *reassignTool) execute(action string) error {
	c, err := t.openEither(t.p, client.Properties{"client.id": "reassign-partitions-tool"})
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	switch action {
	case "verify":
		return t.verify()
	case "generate":
		return t.generate()
	case "execute":
		return t.start()
	case "cancel":
		return t.cancel()
	}
	return t.listReassignments()
}

func (t *reassignTool) listReassignments() error {
	going, err := t.ongoing(nil)
	if err != nil {
		return err
	}
	if err := t.readFormat(t.p); err != nil {
		return err
	}
	if t.json {
		for _, tp := range sortedPartitions(going) {
			g := going[tp]
			t.row("topic", tp.topic, "partition", tp.partition, "replicas", g.Replicas, "adding", g.AddingReplicas, "removing", g.RemovingReplicas)
		}
		return nil
	}
	if len(going) == 0 {
		t.println("No partition reassignments found.")
		return nil
	}
	t.println("Current partition reassignments:")
	for _, tp := range sortedPartitions(going) {
		g := going[tp]
		line := fmt.Sprintf("%s: replicas: %s.", tp, joinInts(g.Replicas, ","))
		if len(g.AddingReplicas) > 0 {
			line += " adding: " + joinInts(g.AddingReplicas, ",") + "."
		}
		if len(g.RemovingReplicas) > 0 {
			line += " removing: " + joinInts(g.RemovingReplicas, ",") + "."
		}
		t.println(line)
	}
	return nil
}

func partitionNames(tps []topicPartition) string {
	var out []string
	for _, tp := range tps {
		out = append(out, tp.String())
	}
	return strings.Join(out, ",")
}
