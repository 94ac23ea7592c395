package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// AlterOp is what IncrementalAlterConfigs does to a key; the numbers are those of the protocol.
type AlterOp int8

// The operations.
const (
	OpSet      AlterOp = 0
	OpDelete   AlterOp = 1
	OpAppend   AlterOp = 2
	OpSubtract AlterOp = 3
)

// Alteration is one change of one key.
type Alteration struct {
	Name  string
	Op    AlterOp
	Value *string // nothing is needed for OpDelete
}

// Kafka's error codes of a refused alteration.
const (
	CodeInvalidConfig  int16 = 40
	CodeInvalidRequest int16 = 42
)

// AlterError refuses an alteration, in Kafka's words.
type AlterError struct {
	Code    int16
	Message string
}

func (e *AlterError) Error() string { return e.Message }

func invalidConfig(format string, args ...any) *AlterError {
	return &AlterError{Code: CodeInvalidConfig, Message: fmt.Sprintf(format, args...)}
}

func invalidRequest(format string, args ...any) *AlterError {
	return &AlterError{Code: CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// Alter applies alterations to the present overrides of a resource and returns the new ones. Whether
// they are allowed is for the Validate functions to say. The error is an *AlterError.
func Alter(scope Scope, present map[string]string, ops []Alteration) (map[string]string, error) {
	next := make(map[string]string, len(present)+len(ops))
	maps.Copy(next, present)
	seen := make(map[string]bool, len(ops))
	for _, op := range ops {
		if seen[op.Name] {
			return nil, invalidRequest("Error due to duplicate config keys : %s", op.Name)
		}
		seen[op.Name] = true
		if op.Op != OpDelete && op.Value == nil {
			return nil, invalidRequest("Null value not supported for : %s", op.Name)
		}
		if err := alterOne(scope, next, op); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func alterOne(scope Scope, next map[string]string, op Alteration) error {
	switch op.Op {
	case OpSet:
		next[op.Name] = *op.Value
	case OpDelete:
		delete(next, op.Name)
	case OpAppend, OpSubtract:
		k, known := Lookup(scope, op.Name)
		if !known || k.Type != List {
			return notAList(scope, op)
		}
		text, set := next[op.Name]
		if !set {
			text = k.fallback().text
		}
		items, change := splitList(text), splitList(*op.Value)
		if op.Op == OpAppend {
			items = appendMissing(items, change)
		} else {
			items = removeEach(items, change)
		}
		next[op.Name] = strings.Join(items, ",")
	default:
		return invalidRequest("Unsupported operation type %d", op.Op)
	}
	return nil
}

func notAList(scope Scope, op Alteration) error {
	if scope == Broker {
		verb := map[AlterOp]string{OpAppend: "append", OpSubtract: "subtract"}[op.Op]
		return invalidConfig("Config value %s is not allowed for config key: %s", verb, op.Name)
	}
	verb := map[AlterOp]string{OpAppend: "APPEND", OpSubtract: "SUBTRACT"}[op.Op]
	return invalidConfig("Can't %s to key %s because its type is not LIST.", verb, op.Name)
}

func appendMissing(items, more []string) []string {
	for _, m := range more {
		if !slices.Contains(items, m) {
			items = append(items, m)
		}
	}
	return items
}

func removeEach(items, less []string) []string {
	for _, l := range less {
		if i := slices.Index(items, l); i >= 0 {
			items = slices.Delete(items, i, i+1)
		}
	}
	return items
}

// ValidateTopic judges all overrides of a topic together. c is the configuration of the node that
// decides. The error is an *AlterError.
func (c *Config) ValidateTopic(overrides map[string]string) error {
	values, err := parseTopic(overrides)
	if err != nil {
		return err
	}
	if err := checkLags(c.lagOf(values, TopicMinCompactionLagMs), c.lagOf(values, TopicMaxCompactionLagMs)); err != nil {
		return err
	}
	if values[TopicRemoteStorageEnable].yes {
		return invalidConfig("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")
	}
	return nil
}

// CheckTopic judges the configs of a topic without a node that decides: as a tool can. The error is an *AlterError.
func CheckTopic(overrides map[string]string) error {
	values, err := parseTopic(overrides)
	if err != nil {
		return err
	}
	lag := func(name string) int64 {
		if v, ok := values[name]; ok {
			return v.num
		}
		k, _ := lookupExact(Topic, name)
		return k.fallback().num
	}
	return checkLags(lag(TopicMinCompactionLagMs), lag(TopicMaxCompactionLagMs))
}

// CheckNode judges each value of a node's properties alone, as a tool can. The error is an *AlterError.
func CheckNode(properties map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		k, known := Lookup(Broker, name)
		if !known {
			continue
		}
		if _, no := k.parse(strings.TrimSpace(properties[name])); no != nil {
			return invalidConfig("%s", no.sentence(name))
		}
	}
	return nil
}

func parseTopic(overrides map[string]string) (map[string]value, error) {
	return parseOverrides(Topic, overrides, func(name string) *AlterError {
		return invalidConfig("Unknown topic config name: %s", name)
	})
}

func checkLags(least, most int64) error {
	if least > most {
		return invalidConfig("conflict topic config setting %s (%d) > %s (%d)", TopicMinCompactionLagMs, least, TopicMaxCompactionLagMs, most)
	}
	return nil
}

func (c *Config) lagOf(values map[string]value, name string) int64 {
	if v, ok := values[name]; ok {
		return v.num
	}
	k, _ := lookupExact(Topic, name)
	return c.topicFallback(k).num
}

// parseOverrides parses each value of a resource, in the order of the names.
func parseOverrides(scope Scope, overrides map[string]string, unknown func(string) *AlterError) (map[string]value, error) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if _, known := lookupExact(scope, name); !known {
			return nil, unknown(name)
		}
	}
	values := make(map[string]value, len(overrides))
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		k, _ := lookupExact(scope, name)
		v, no := k.parse(overrides[name])
		if no != nil {
			return nil, invalidConfig("%s", no.sentence(name))
		}
		values[name] = v
	}
	return values, nil
}

// ValidateGroup judges all overrides of a group together, against the bounds that the broker sets.
func (c *Config) ValidateGroup(overrides map[string]string) error {
	values, err := parseOverrides(Group, overrides, func(name string) *AlterError {
		return invalidConfig("Unknown group config name: %s", name)
	})
	if err != nil {
		return err
	}
	for _, b := range groupBounds() {
		v, set := values[b.group]
		if !set {
			continue
		}
		if b.min != "" && v.num < c.Long(b.min) {
			return invalidConfig("%s must be greater than or equal to %s", b.group, b.min)
		}
		if b.max != "" && v.num > c.Long(b.max) {
			return invalidConfig("%s must be less than or equal to %s", b.group, b.max)
		}
	}
	effective := c.groupValues(overrides)
	for _, p := range []string{"consumer.", "share.", "streams."} {
		session, heartbeat := p+"session.timeout.ms", p+"heartbeat.interval.ms"
		if effective[session].num <= effective[heartbeat].num {
			return invalidConfig("%s must be greater than %s", session, heartbeat)
		}
	}
	return nil
}

const (
	minPushIntervalMs = 100
	maxPushIntervalMs = 3600000
)

// ValidateClientMetrics judges all overrides of a client metrics subscription.
func ValidateClientMetrics(overrides map[string]string) error {
	values, err := parseOverrides(ClientMetrics, overrides, func(name string) *AlterError {
		return invalidRequest("Unknown client metrics configuration: %s", name)
	})
	if err != nil {
		return err
	}
	if v, set := values[ClientMetricsIntervalMs]; set && (v.num < minPushIntervalMs || v.num > maxPushIntervalMs) {
		return invalidRequest("Invalid value %s for %s, interval must be between %d and %d (1 hour)",
			v.text, ClientMetricsIntervalMs, minPushIntervalMs, maxPushIntervalMs)
	}
	for _, pattern := range values[ClientMetricsMatch].list {
		if !clientPattern(pattern) {
			return invalidConfig("Illegal client matching pattern: %s", pattern)
		}
	}
	return nil
}

func clientPattern(s string) bool {
	names := []string{
		"client_instance_id", "client_id", "client_software_name", "client_software_version", "client_source_address", "client_source_port",
	}
	name, pattern, ok := strings.Cut(s, "=")
	if !ok || !slices.Contains(names, strings.TrimSpace(name)) {
		return false
	}
	_, err := regexp.Compile(strings.TrimSpace(pattern))
	return err == nil
}

// ValidateBroker judges all dynamic settings of one broker, or of the default of all brokers, on top
// of the rest of c. The error is an *AlterError.
func (c *Config) ValidateBroker(settings map[string]string, clusterDefault bool) error {
	if err := checkModes(settings, clusterDefault); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		k, known := Lookup(Broker, name)
		if !known {
			continue // Kafka keeps what it does not know
		}
		if _, no := k.parse(settings[name]); no != nil {
			return invalidRequest("%s", no.sentence(name))
		}
	}
	next, errs := c.WithDynamic(c.dynamicDefault, settings)
	if clusterDefault {
		next, errs = c.WithDynamic(settings, c.dynamicBroker)
	}
	if len(errs) > 0 {
		return invalidRequest("%s", errs[0].Error())
	}
	var r Report
	checkTogether(next, &r)
	if len(r.Problems) > 0 {
		return invalidRequest("%s", r.Problems[0].Message)
	}
	return checkThreads(c, next)
}

// checkModes refuses keys that may not change at run time, or not in this place.
func checkModes(settings map[string]string, clusterDefault bool) error {
	var fixed, perListener, perBroker []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		k, known := Lookup(Broker, name)
		switch {
		case !known:
		case k.Mode == ReadOnly:
			fixed = append(fixed, name)
		case k.Name == name && isKeyStore(name):
			perListener = append(perListener, name)
		case k.Mode == PerBroker && clusterDefault:
			perBroker = append(perBroker, name)
		}
	}
	switch {
	case fixed != nil:
		return invalidRequest("Cannot update these configs dynamically: [%s]", strings.Join(fixed, ", "))
	case perListener != nil:
		return invalidRequest("These security configs can be dynamically updated only per-listener using the listener prefix: [%s]",
			strings.Join(perListener, ", "))
	case perBroker != nil:
		return invalidRequest("Cannot update these configs at default cluster level, broker id must be specified: [%s]",
			strings.Join(perBroker, ", "))
	}
	return nil
}

// isKeyStore is true for the keys of a listener's own certificate and trust.
func isKeyStore(name string) bool {
	return name == SSLKeyPassword || strings.HasPrefix(name, "ssl.keystore.") || strings.HasPrefix(name, "ssl.truststore.")
}

// checkThreads holds a pool to at most double and at least half of its size, as Kafka does.
func checkThreads(c, next *Config) error {
	for _, name := range []string{BackgroundThreads, NumIOThreads, NumNetworkThreads, NumRecoveryThreadsPerDataDir, NumReplicaFetchers, LogCleanerThreads} {
		now, then := c.Long(name), next.Long(name)
		if then > now*2 {
			return invalidRequest("Dynamic thread count update validation failed for %s=%d, value should not be greater than double the current value %d",
				name, then, now)
		}
		if then < now/2 {
			return invalidRequest("Dynamic thread count update validation failed for %s=%d, value should be at least half the current value %d",
				name, then, now)
		}
	}
	return nil
}

// ValidateQuota judges one value of AlterClientQuotas; ip is for the quotas of an address.
func ValidateQuota(name string, quota float64, ip bool) error {
	scope := ClientQuota
	if ip {
		scope = IPQuota
	}
	k, known := lookupExact(scope, name)
	if !known {
		return invalidRequest("Invalid configuration key %s", name)
	}
	if quota <= 0 {
		return invalidRequest("Quota %s must be greater than 0", name)
	}
	if k.Type == Double {
		return nil
	}
	limit := map[Type]float64{Int: 1<<31 - 1, Long: 1<<63 - 1}[k.Type]
	if quota > limit {
		return invalidRequest("Proposed value for %s is too large for a %s.", name, k.Type)
	}
	if quota != math.Trunc(quota) {
		return invalidRequest("%s cannot be a fractional value.", name)
	}
	return nil
}
