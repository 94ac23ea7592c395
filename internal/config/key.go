package config

import "slices"

// Type is the type of a key's value, with Kafka's name for it.
type Type int8

// The types; the numbers are those of DescribeConfigs.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// String is Kafka's name of the type.
func (t Type) String() string {
	names := [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}
	if t < 0 || int(t) >= len(names) {
		return names[0]
	}
	return names[t]
}

// Importance is how much a key matters to most users.
type Importance int8

// The importances.
const (
	Low Importance = iota
	Medium
	High
)

// String is Kafka's name of the importance.
func (i Importance) String() string { return [...]string{"LOW", "MEDIUM", "HIGH"}[i] }

// Mode says whether a broker key may be altered while the node runs.
type Mode int8

// The modes.
const (
	ReadOnly    Mode = iota // only by a restart
	PerBroker               // for one broker at a time
	ClusterWide             // for one broker, or as the default of all
)

// String is Kafka's name of the mode.
func (m Mode) String() string { return [...]string{"read-only", "per-broker", "cluster-wide"}[m] }

// Scope is the kind of thing that a key configures.
type Scope int8

// The scopes.
const (
	Broker Scope = iota
	Topic
	Group
	ClientMetrics
	ClientQuota
	IPQuota
)

// String is the scope's name in the documentation.
func (s Scope) String() string {
	return [...]string{"broker", "topic", "group", "client-metrics", "client quota", "IP quota"}[s]
}

// Origin says whose key it is.
type Origin int8

// The origins.
const (
	Defined Origin = iota // in Kafka's definition of the scope
	Beside                // read by Kafka, but outside its definition
	Own                   // Moldau's
)

// Key is one configuration key.
type Key struct {
	Name string
	Type Type
	// Default is the value in force when nothing sets one, in the form of a properties file. It means
	// something only when Null and Required are false.
	Default  string
	Null     bool // without a setting the value is null
	Required bool // there is no default at all
	// Check allows or refuses values of the right type; nil allows all.
	Check      Validator
	Origin     Origin
	Importance Importance
	Internal   bool // not shown to users by Kafka
	Mode       Mode // broker keys only
	// Synonyms are the broker keys that a topic or group key falls back to, strongest first.
	Synonyms []string
	Doc      string // one sentence
	// NoEffect says why setting the key changes nothing; empty for a key that is served.
	NoEffect string
}

// Sensitive is true for a value that must never be shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// Lookup finds a key by its name. The name of a broker key may carry a listener
// prefix (listener.name.NAME.), which is taken off first where Kafka allows it.
func Lookup(s Scope, name string) (*Key, bool) {
	if k, ok := lookupExact(s, name); ok {
		return k, true
	}
	if s != Broker {
		return nil, false
	}
	if base, ok := withoutListenerPrefix(name); ok {
		return lookupExact(s, base)
	}
	return nil, false
}

func lookupExact(s Scope, name string) (*Key, bool) {
	keys := Keys(s)
	i, ok := slices.BinarySearchFunc(keys, name, func(k Key, name string) int { return compare(k.Name, name) })
	if !ok {
		return nil, false
	}
	return &keys[i], true
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Keys are all keys of a scope in the order of their names. The slice is shared: read it only.
func Keys(s Scope) []Key {
	switch s {
	case Broker:
		return brokerKeys
	case Topic:
		return topicKeys[:]
	case Group:
		return groupKeys[:]
	case ClientMetrics:
		return clientMetricsKeys[:]
	case ClientQuota:
		return clientQuotaKeys[:]
	case IPQuota:
		return ipQuotaKeys[:]
	}
	return nil
}
