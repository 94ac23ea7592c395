package cli

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

func clientMetricsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client.")
	s.flag("alter", "Change a subscription, or make one.")
	s.flag("list", "List the names of the subscriptions.")
	s.flag("describe", "Show subscriptions.")
	s.flag("delete", "Delete a subscription.")
	s.arg("name", "name", "The subscription's name.")
	s.flag("generate-name", "With --alter: make up a name.")
	s.arg("interval", "push interval", "How often clients push, in ms; empty for the default.")
	s.arg("match", "k1=v1,k2=v2", "Which clients: client_id, client_instance_id, client_software_name, client_software_version, client_source_address, client_source_port, each with a regular expression; empty for all.")
	s.arg("metrics", "m1,m2", "Prefixes of the names of metrics; empty for none.")
	s.formatOption()
	return s
}

func runClientMetrics(r *run, args []string) int {
	set := clientMetricsOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, []string{"bootstrap-server"}, err.Error()))
		return code
	}
	t := &clientMetricsTool{configsTool{run: r, p: p, entities: []entity{{typ: "client-metrics"}}}}
	if err := t.check(); err != nil {
		return r.outcome(err)
	}
	if err := t.execute(); err != nil {
		if code, ok := exitCode(err); ok {
			return code
		}
		if fe := new(client.FileError); errors.As(err, &fe) {
			return r.outcome(err)
		}
		r.report("Error while executing client metrics command : %s\n", err)
		cause := withClass(err)
		if ce := new(client.ConstructError); errors.As(err, &ce) {
			cause = "org.apache.kafka.common.KafkaException: " + ce.Message
		}
		r.logError("org.apache.kafka.tools.ClientMetricsCommand", cause, nil)
		r.explainConstruct(err)
		return r.fail(1)
	}
	return 0
}

// clientMetricsTool is kafka-configs for one type of entity.
type clientMetricsTool struct{ configsTool }

func (t *clientMetricsTool) check() error {
	p, req := t.p, []string{"bootstrap-server"}
	if err := t.helpOrVersion(p, req, "This tool helps to manipulate and describe client metrics configurations."); err != nil {
		return err
	}
	if countGiven(p, "alter", "delete", "describe", "list") != 1 {
		return t.usage(p.set, req, "Command must include exactly one action: --alter, --delete, --describe or --list.")
	}
	if err := t.checkExclusions(p, req, []exclusion{
		{"alter", []string{"describe", "delete", "list"}},
		{"delete", []string{"describe", "alter", "list", "generate-name", "interval", "match", "metrics"}},
		{"describe", []string{"alter", "delete", "list", "generate-name", "interval", "match", "metrics"}},
		{"list", []string{"alter", "delete", "describe", "name", "generate-name", "interval", "match", "metrics"}},
	}); err != nil {
		return err
	}
	if !p.has("bootstrap-server") {
		return errors.New("--bootstrap-server must be specified.")
	}
	if p.has("alter") {
		if p.has("name") == p.has("generate-name") {
			return errors.New("One of --name or --generate-name must be specified with --alter.")
		}
		if v := p.value("interval"); p.has("interval") && v != "" {
			if _, err := strconv.ParseInt(v, 10, 32); err != nil {
				return errors.New("Invalid interval value. Enter an integer, or leave empty to reset.")
			}
		}
	}
	if p.has("delete") && !p.has("name") {
		return errors.New("A client metrics resource name must be specified with --delete.")
	}
	if err := t.readFormat(p, "list", "describe"); err != nil {
		return err
	}
	p.value("bootstrap-server")
	p.value("command-config")
	return p.err
}

func (t *clientMetricsTool) execute() error {
	var twice *consumerFailure
	if err := t.p.repeated("name", "interval"); errors.As(err, &twice) {
		return twice.error
	}
	c, err := t.openServers(t.p)
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	switch {
	case t.p.has("list"):
		return t.list()
	case t.p.has("alter"):
		return t.alterSubscription()
	case t.p.has("delete"):
		return t.deleteSubscription()
	}
	return t.describeSubscriptions()
}

func (t *clientMetricsTool) list() error {
	names, err := t.configured("client-metrics")
	for _, n := range names {
		if t.json {
			t.row("name", n)
			continue
		}
		t.println(n)
	}
	return err
}

func (t *clientMetricsTool) alterSubscription() error {
	name := t.p.value("name")
	if t.p.has("generate-name") {
		id, err := newUUID()
		if err != nil {
			return err
		}
		name = uuidString(id)
	}
	t.add = client.Properties{}
	for opt, key := range map[string]string{"interval": "interval.ms", "match": "match", "metrics": "metrics"} {
		switch v := t.p.value(opt); {
		case !t.p.has(opt):
		case v == "":
			t.del = append(t.del, key)
		default:
			t.add[key] = v
			if opt != "interval" { // a list, in which what is empty does not count
				t.add[key] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ',' }), ",")
			}
		}
	}
	sort.Strings(t.del)
	t.entities[0].name = name
	if err := t.alterResource(t.entities[0]); err != nil {
		return err
	}
	t.printf("Altered client metrics config for %s.\n", name)
	return nil
}

func (t *clientMetricsTool) deleteSubscription() error {
	name := t.p.value("name")
	configs, err := t.describeConfigs(t.c, resourceClientMetrics, []string{name}, true)
	if err != nil {
		return err
	}
	t.add = client.Properties{}
	for _, c := range configs[name] {
		t.del = append(t.del, c.Name)
	}
	t.entities[0].name = name
	if err := t.alterResource(t.entities[0]); err != nil {
		return err
	}
	t.printf("Deleted client metrics config for %s.\n", name)
	return nil
}

func (t *clientMetricsTool) describeSubscriptions() error {
	names, err := t.configured("client-metrics")
	if err != nil {
		return err
	}
	if t.p.has("name") {
		name := t.p.value("name")
		if !contains(names, name) {
			t.fail(0)
			t.report("The client metric resource %s doesn't exist and doesn't have dynamic config.\n", name)
			return nil
		}
		names = []string{name}
	}
	for _, name := range names {
		configs, err := t.describeConfigs(t.c, resourceClientMetrics, []string{name}, true)
		if err != nil {
			return err
		}
		if !t.json {
			t.printf("Client metrics configs for %s are:\n", name)
		}
		entries := configs[name]
		sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
		for _, c := range entries {
			if t.json {
				t.row("subscription", name, "name", c.Name, "value", c.Value)
				continue
			}
			t.printf("  %s=%s\n", c.Name, orNull(c.Value))
		}
	}
	return nil
}
