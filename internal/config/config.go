package config

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Config is the configuration of one node at one moment. It never changes and may
// be read from any goroutine. A getter for a name that is no broker key, or of
// another type, is a mistake in the program and panics.
type Config struct {
	static         map[string]setting // what the operator wrote, by key
	dynamicDefault map[string]string  // the cluster-wide default of all brokers
	dynamicBroker  map[string]string  // this broker's own
	values         map[string]value   // the effective value of each key, and of each prefixed one that is set
	set            map[string]bool    // the names that a layer other than the default sets
}

// newConfig parses the static layer, which has been checked before.
func newConfig(static map[string]setting) *Config {
	c := &Config{
		static: static,
		values: make(map[string]value, len(brokerKeys)+len(static)),
		set:    make(map[string]bool, len(static)),
	}
	for i := range brokerKeys {
		c.values[brokerKeys[i].Name] = brokerKeys[i].fallback()
	}
	for name, s := range static {
		if k, known := Lookup(Broker, name); known {
			if v, no := k.parse(s.text); no == nil {
				c.put(name, v)
			}
		}
	}
	return c
}

func (c *Config) put(name string, v value) {
	c.values[name] = v
	c.set[name] = true
}

// Default is the configuration of a node that is started without any: broker and
// controller in one, on localhost, with each acknowledged record synced.
func Default() *Config {
	c, report := Load(Sources{})
	if c == nil {
		panic("config: the default configuration is refused: " + report.Problems[0].String())
	}
	return c
}

// WithDynamic is c under the dynamic broker configuration of the cluster: the
// default of all brokers, and this broker's own. A value that cannot be is left
// out, with an error that says so; the rest takes effect.
func (c *Config) WithDynamic(clusterDefault, broker map[string]string) (*Config, []error) {
	next := newConfig(c.static)
	next.dynamicDefault, next.dynamicBroker = maps.Clone(clusterDefault), maps.Clone(broker)
	var errs []error
	for _, layer := range []map[string]string{clusterDefault, broker} {
		for _, name := range slices.Sorted(maps.Keys(layer)) {
			k, known := Lookup(Broker, name)
			if !known || k.Mode == ReadOnly {
				continue // shown by DescribeConfigs, without meaning for the node
			}
			v, no := k.parse(layer[name])
			if no != nil {
				errs = append(errs, fmt.Errorf("cannot apply dynamic broker configuration: %s", no.sentence(name)))
				continue
			}
			next.put(name, v)
		}
	}
	return next, errs
}

// value is the effective value of a key, which must be of one of these types, where any are given. A key
// with a listener prefix falls back to the key without it.
func (c *Config) value(name string, types ...Type) value {
	v, ok := c.values[name]
	if !ok {
		base, prefixed := withoutListenerPrefix(name)
		if !prefixed {
			panic("config: " + name + " is not a broker key")
		}
		return c.value(base, types...)
	}
	if len(types) > 0 && !slices.Contains(types, v.kind) {
		panic(fmt.Sprintf("config: %s is of type %s", name, v.kind))
	}
	return v
}

// IsSet is true when a layer other than the default sets the key.
func (c *Config) IsSet(name string) bool { return c.set[name] }

// IsNull is true when the key has no value at all.
func (c *Config) IsNull(name string) bool { return c.value(name).null }

// Place is where the operator set the key; the zero Place when nowhere.
func (c *Config) Place(name string) Place { return c.static[name].place }

// Bool is the value of a BOOLEAN key.
func (c *Config) Bool(name string) bool { return c.value(name, Boolean).yes }

// Int is the value of an INT or SHORT key; 0 when it is null.
func (c *Config) Int(name string) int { return int(c.value(name, Int, Short).num) }

// Int32 is the value of an INT or SHORT key, in the width of the protocol.
func (c *Config) Int32(name string) int32 { return int32(c.value(name, Int, Short).num) }

// Long is the value of a LONG, INT or SHORT key; 0 when it is null.
func (c *Config) Long(name string) int64 { return c.value(name, Long, Int, Short).num }

// Double is the value of a DOUBLE key.
func (c *Config) Double(name string) float64 { return c.value(name, Double).real }

// String is the value of a STRING, CLASS or PASSWORD key; empty when it is null.
func (c *Config) String(name string) string { return c.value(name, String, Class, Password).text }

// List is the value of a LIST key; nil when it is null or empty.
func (c *Config) List(name string) []string { return slices.Clone(c.value(name, List).list) }

// Duration is the value of a numeric key whose name ends in its unit: .ms, .seconds,
// .minutes or .hours. A value longer than a Duration can hold, which Kafka writes for
// "never", is the longest Duration.
func (c *Config) Duration(name string) time.Duration {
	unit, ok := unitOf(name)
	if !ok {
		panic("config: " + name + " does not end in a unit of time")
	}
	return scaled(c.Long(name), unit)
}

func unitOf(name string) (time.Duration, bool) {
	units := []struct {
		suffix string
		unit   time.Duration
	}{
		{".ms", time.Millisecond}, {".millis", time.Millisecond}, {".seconds", time.Second},
		{".secs", time.Second}, {".minutes", time.Minute}, {".hours", time.Hour},
	}
	for _, u := range units {
		if len(name) > len(u.suffix) && name[len(name)-len(u.suffix):] == u.suffix {
			return u.unit, true
		}
	}
	return 0, false
}

// Forever is what Duration gives for a time that is too long to count.
const Forever = time.Duration(1<<63 - 1)

func scaled(n int64, unit time.Duration) time.Duration {
	if n > int64(Forever/unit) {
		return Forever
	}
	return time.Duration(n) * unit
}

// Explain lists what is set, for --check-config: each key with its value and where it was written.
func (c *Config) Explain() []string {
	var lines []string
	for _, name := range inOrder(c.static) {
		k, known := Lookup(Broker, name)
		if !known {
			continue
		}
		text := c.values[name].text
		if k.Sensitive() {
			text = "(hidden)"
		}
		from := c.static[name].place.String()
		if from == "" {
			from = "chosen by the node"
		}
		lines = append(lines, fmt.Sprintf("%s=%s (%s)", name, text, from))
	}
	return lines
}
