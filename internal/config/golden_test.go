package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The files in testdata are what Apache Kafka 4.3.1 answered: the same alterations, and then the same
// descriptions, are put to this package.

// session is the state that the alterations build up.
type session struct {
	t     *testing.T
	base  *Config
	layer map[string]map[string]string // "TOPIC t1", "BROKER 1", "BROKER ", ... -> overrides
}

func newSession(t *testing.T) *session {
	c, r := Load(Sources{FileName: "described.properties", File: read(t, "described.properties")})
	if c == nil {
		t.Fatal(r.Lines())
	}
	return &session{t: t, base: c, layer: map[string]map[string]string{
		"TOPIC t1": {"retention.ms": "60000", "cleanup.policy": "compact"},
		"BROKER ":  {"min.insync.replicas": "1"},
	}}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *session) config() *Config {
	c, errs := s.base.WithDynamic(s.layer["BROKER "], s.layer["BROKER 1"])
	if len(errs) > 0 {
		s.t.Fatal(errs)
	}
	return c
}

// alter puts one alteration to the package and gives its answer in the words of the file.
func (s *session) alter(resource string, op Alteration) string {
	kind, _, _ := strings.Cut(resource, " ")
	scope := map[string]Scope{"TOPIC": Topic, "BROKER": Broker, "GROUP": Group, "CLIENT_METRICS": ClientMetrics}[kind]
	next, err := Alter(scope, s.layer[resource], []Alteration{op})
	if err == nil {
		switch scope {
		case Topic:
			err = s.config().ValidateTopic(next)
		case Group:
			err = s.config().ValidateGroup(next)
		case ClientMetrics:
			err = ValidateClientMetrics(next)
		case Broker:
			err = s.config().ValidateBroker(next, resource == "BROKER ")
		}
	}
	if err == nil {
		s.layer[resource] = next
		return "OK"
	}
	name := map[int16]string{CodeInvalidConfig: "InvalidConfigurationException", CodeInvalidRequest: "InvalidRequestException"}
	return name[err.(*AlterError).Code] + ": " + err.Error()
}

func parseAlteration(line string) (resource string, op Alteration, answer string) {
	left, answer, _ := strings.Cut(line, " => ")
	kind, rest, _ := strings.Cut(left, " ")
	name, rest, _ := strings.Cut(rest, " ")
	verb, rest, _ := strings.Cut(rest, " ")
	key, val, _ := strings.Cut(rest, "=")
	op = Alteration{Name: key, Op: map[string]AlterOp{"SET": OpSet, "DELETE": OpDelete, "APPEND": OpAppend, "SUBTRACT": OpSubtract}[verb]}
	if val != "null" {
		op.Value = &val
	}
	return kind + " " + name, op, answer
}

// unwrap takes off what Kafka's own exceptions put around a message.
func unwrap(answer string) string {
	answer = strings.Replace(answer, "requirement failed: ", "", 1)
	answer = strings.Replace(answer, "Invalid value org.apache.kafka.common.config.ConfigException: ", "", 1)
	return strings.Replace(answer, " for configuration Invalid dynamic configuration", "", 1)
}

// otherWords are refusals that we express in a better way, or for another reason, than Kafka.
func otherWords(line string) bool {
	for _, part := range []string{"begin 0, end -1", "/ by zero", "Log cleaner threads cannot", "DynamicMetricsReporters", "could not be found"} {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// notOurs are answers that need what is outside of this package: whether a resource exists, or Java's
// classes. And Kafka accepts a dynamic super.users without heeding it, which we refuse.
func notOurs(line string) bool {
	return strings.Contains(line, "Default group resources") || strings.Contains(line, "Subscription name") ||
		strings.Contains(line, "super.users") || strings.Contains(line, "principal.builder.class") || strings.Contains(line, "metric.reporters")
}

func TestAlterationsAreAnsweredAsKafkaAnswersThem(t *testing.T) {
	s := newSession(t)
	for line := range strings.Lines(string(read(t, "alter-kafka-4.3.1.txt"))) {
		line = strings.TrimSuffix(line, "\n")
		if notOurs(line) {
			continue
		}
		resource, op, want := parseAlteration(line)
		got := s.alter(resource, op)
		if otherWords(line) {
			if got == "OK" {
				t.Errorf("%s\n  was allowed", line)
			}
			continue
		}
		if got != unwrap(want) {
			t.Errorf("%s\n  got %s", line, got)
		}
	}
}

func TestDescriptionsAreThoseOfKafka(t *testing.T) {
	s := newSession(t)
	topicDescribed := false
	for line := range strings.Lines(string(read(t, "alter-kafka-4.3.1.txt"))) {
		if resource, op, answer := parseAlteration(strings.TrimSuffix(line, "\n")); answer == "OK" {
			if strings.HasPrefix(resource, "BROKER") && !topicDescribed {
				s.describe("TOPIC t1") // Kafka was asked before its broker was altered
				topicDescribed = true
			}
			s.alter(resource, op)
		}
	}
	for _, resource := range []string{"BROKER 1", "BROKER ", "GROUP g1", "GROUP nogroup", "CLIENT_METRICS m1", "CLIENT_METRICS zz"} {
		s.describe(resource)
	}
}

// describe compares one description with that in the file.
func (s *session) describe(resource string) {
	kind, _, _ := strings.Cut(resource, " ")
	var entries []Entry
	switch overrides := s.layer[resource]; {
	case kind == "TOPIC":
		entries = s.config().DescribeTopic(overrides)
	case kind == "GROUP":
		entries = s.config().DescribeGroup(overrides)
	case kind == "CLIENT_METRICS":
		entries = s.config().DescribeClientMetrics(overrides)
	case resource == "BROKER ":
		entries = s.config().DescribeBrokerDefault()
	default:
		entries = s.config().DescribeBroker()
	}
	got := make(map[string]string)
	for _, e := range entries {
		got[e.Name] = row(e)
		if k, known := Lookup(scopeOf(kind), e.Name); known && e.Documentation != k.Doc {
			s.t.Errorf("%s: %s is described without its documentation", resource, e.Name)
		}
	}
	_, section, _ := strings.Cut(string(read(s.t, "describe-kafka-4.3.1.tsv")), "## "+strings.TrimSpace(resource)+"\n")
	section, _, _ = strings.Cut(section, "## ")
	rows := 0
	for want := range strings.Lines(section) {
		want = strings.TrimSuffix(want, "\n")
		name, _, _ := strings.Cut(want, "\t")
		rows++
		if kafkaForgets(name) || shownOtherwise(name) {
			delete(got, name)
			continue
		}
		if got[name] != want {
			s.t.Errorf("%s:\n want %s\n  got %s", resource, want, got[name])
		}
		delete(got, name)
	}
	if rows == 0 {
		s.t.Errorf("%s: nothing to compare with", resource)
	}
	for name := range got {
		s.t.Errorf("%s: %s is described, but not by Kafka", resource, name)
	}
}

func scopeOf(kind string) Scope {
	return map[string]Scope{"TOPIC": Topic, "GROUP": Group, "CLIENT_METRICS": ClientMetrics, "BROKER": Broker}[kind]
}

// kafkaForgets: once log.retention.ms is dynamic, Kafka shows the other two with their defaults, not with what the file says.
func kafkaForgets(name string) bool { return name == LogRetentionHours || name == LogRetentionMinutes }

// shownOtherwise: we know super.users by name, and do not keep what a file says of ZooKeeper.
func shownOtherwise(name string) bool { return name == SuperUsers || name == zookeeperConnect }

func row(e Entry) string {
	sources := [...]string{"UNKNOWN", "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_BROKER_CONFIG", "DYNAMIC_DEFAULT_BROKER_CONFIG", "STATIC_BROKER_CONFIG",
		"DEFAULT_CONFIG", "DYNAMIC_BROKER_LOGGER_CONFIG", "DYNAMIC_CLIENT_METRICS_CONFIG", "DYNAMIC_GROUP_CONFIG"}
	var synonyms []string
	for _, s := range e.Synonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", sources[s.Source], s.Name, orNull(s.Value)))
	}
	access, sensitive := "rw", "plain"
	if e.ReadOnly {
		access = "ro"
	}
	if e.Sensitive {
		sensitive = "sensitive"
	}
	return strings.Join([]string{e.Name, orNull(e.Value), sources[e.Source], e.Type.String(), access, sensitive, strings.Join(synonyms, ", ")}, "\t")
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
