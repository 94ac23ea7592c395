package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Listener is an address with a name and the security protocol that the name stands for.
type Listener struct {
	Name             string // in capitals
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host             string // empty: all addresses where it listens, the host's own name where it is advertised
	Port             int
}

// Address is host:port, as Listen and Dial take it.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(l.Port)) }

// String is the form of a properties file, NAME://host:port.
func (l Listener) String() string { return l.Name + "://" + l.Address() }

// maxPort is the highest port of TCP.
const maxPort = 65535

// parseListener reads NAME://host:port; an IPv6 address stands in brackets.
func parseListener(s string) (Listener, error) {
	name, address, ok := strings.Cut(s, "://")
	colon := strings.LastIndexByte(address, ':')
	if !ok || name == "" || colon < 0 {
		return Listener{}, fmt.Errorf("unable to parse %s to a broker endpoint: write it as NAME://host:port", s)
	}
	port, err := strconv.Atoi(address[colon+1:])
	if err != nil || port < 0 || port > maxPort {
		return Listener{}, fmt.Errorf("the port of %s is not a number from 0 to %d", s, maxPort)
	}
	host, err := hostOf(address[:colon])
	if err != nil {
		return Listener{}, fmt.Errorf("unable to parse %s to a broker endpoint: %w", s, err)
	}
	return Listener{Name: strings.ToUpper(name), Host: host, Port: port}, nil
}

func hostOf(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		if !closed {
			return "", errors.New("a bracket is not closed")
		}
		return inner, nil
	}
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-%._:", r)) {
			return "", fmt.Errorf("%q does not occur in a host name", r)
		}
	}
	return s, nil
}

// parseListeners reads a list of listeners and gives each its security protocol.
func parseListeners(list []string, protocols map[string]string) ([]Listener, error) {
	all := make([]Listener, 0, len(list))
	for _, s := range list {
		l, err := parseListener(s)
		if err != nil {
			return nil, err
		}
		protocol, ok := protocols[l.Name]
		if !ok {
			return nil, fmt.Errorf("no security protocol defined for listener %s: add %s:PLAINTEXT, or another protocol, to %s",
				l.Name, l.Name, ListenerSecurityProtocolMap)
		}
		l.SecurityProtocol = protocol
		all = append(all, l)
	}
	return all, nil
}

// parseProtocolMap reads NAME:PROTOCOL,...
func parseProtocolMap(s string) (map[string]string, error) {
	m := make(map[string]string)
	for _, item := range splitList(s) {
		colon := strings.LastIndexByte(item, ':')
		if colon < 1 {
			return nil, fmt.Errorf("%q is not of the form NAME:PROTOCOL", item)
		}
		name, protocol := strings.ToUpper(strings.TrimSpace(item[:colon])), strings.ToUpper(strings.TrimSpace(item[colon+1:]))
		if !slices.Contains(securityProtocols(), protocol) {
			return nil, fmt.Errorf("invalid security protocol `%s`", protocol)
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("listener %s stands in it twice", name)
		}
		m[name] = protocol
	}
	return m, nil
}

func securityProtocols() []string { return []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"} }

// protocols is listener.security.protocol.map. Where nobody has set it and no listener is
// secure, the controllers' listener names stand for PLAINTEXT, as in Kafka.
func (c *Config) protocols() (map[string]string, error) {
	m, err := parseProtocolMap(c.String(ListenerSecurityProtocolMap))
	if err != nil || c.IsSet(ListenerSecurityProtocolMap) {
		return m, err
	}
	for _, s := range c.value(Listeners).list {
		name, _, _ := strings.Cut(s, ":")
		if p, known := m[strings.ToUpper(name)]; known && p != "PLAINTEXT" {
			return m, nil
		}
	}
	for _, name := range c.ControllerListeners() {
		if _, known := m[name]; !known {
			m[name] = "PLAINTEXT"
		}
	}
	return m, nil
}

// ControllerListeners are the names in controller.listener.names, in capitals.
func (c *Config) ControllerListeners() []string {
	names := c.List(ControllerListenerNames)
	for i := range names {
		names[i] = strings.ToUpper(names[i])
	}
	return names
}

// AllListeners are the listeners that this node opens.
func (c *Config) AllListeners() []Listener {
	all, err := c.listeners()
	if err != nil {
		panic("config: a checked configuration has bad listeners: " + err.Error())
	}
	return all
}

// listeners is AllListeners for a configuration that has not been checked yet.
func (c *Config) listeners() ([]Listener, error) {
	m, err := c.protocols()
	if err != nil {
		return nil, err
	}
	return parseListeners(c.value(Listeners).list, m)
}

// BrokerListeners are those that clients and brokers use.
func (c *Config) BrokerListeners() []Listener { return c.partOf(c.AllListeners(), false) }

// ControllerEndpoints are those of AllListeners that controllers use.
func (c *Config) ControllerEndpoints() []Listener { return c.partOf(c.AllListeners(), true) }

func (c *Config) partOf(all []Listener, controllers bool) []Listener {
	names := c.ControllerListeners()
	var part []Listener
	for _, l := range all {
		if slices.Contains(names, l.Name) == controllers {
			part = append(part, l)
		}
	}
	return part
}

// Advertised are the addresses that clients and brokers are told: advertised.listeners,
// or else the broker listeners. An empty Host is for the node to fill in.
func (c *Config) Advertised() []Listener {
	all, err := c.advertised()
	if err != nil {
		panic("config: a checked configuration has bad advertised listeners: " + err.Error())
	}
	return c.partOf(all, false)
}

// AdvertisedControllers are the controller listeners as other nodes are told: advertised.listeners where it names one, or
// else as it listens. An empty Host is for the node to fill in.
func (c *Config) AdvertisedControllers() []Listener {
	all, err := c.advertised()
	if err != nil {
		panic("config: a checked configuration has bad advertised listeners: " + err.Error())
	}
	out := c.ControllerEndpoints()
	for i, l := range out {
		for _, a := range c.partOf(all, true) {
			if a.Name == l.Name {
				out[i] = a
			}
		}
	}
	return out
}

// advertised is Advertised for a configuration that has not been checked yet, controllers' included.
func (c *Config) advertised() ([]Listener, error) {
	if c.IsNull(AdvertisedListeners) {
		return c.listeners()
	}
	m, err := c.protocols()
	if err != nil {
		return nil, err
	}
	return parseListeners(c.value(AdvertisedListeners).list, m)
}

// InterBrokerListener is the name of the listener by which brokers talk to each other:
// inter.broker.listener.name, or the protocol of security.inter.broker.protocol.
func (c *Config) InterBrokerListener() string {
	if name := c.String(InterBrokerListenerName); name != "" {
		return strings.ToUpper(name)
	}
	return c.String(SecurityInterBrokerProtocol)
}

// listenerPrefix begins a key that counts for one listener only.
const listenerPrefix = "listener.name."

// withoutListenerPrefix takes listener.name.NAME. off a key.
func withoutListenerPrefix(name string) (base string, ok bool) {
	rest, ok := strings.CutPrefix(name, listenerPrefix)
	if !ok {
		return "", false
	}
	_, base, ok = strings.Cut(rest, ".")
	if ok && isMechanism(base) {
		_, base, _ = strings.Cut(base, ".") // listener.name.NAME.MECHANISM.sasl...
	}
	return base, ok && base != ""
}

// isMechanism is true for what follows the listener's name in a key of one SASL mechanism.
func isMechanism(base string) bool {
	mechanism, rest, ok := strings.Cut(base, ".")
	if !ok || !(strings.HasPrefix(rest, "sasl.") || strings.HasPrefix(rest, "connections.max.reauth")) {
		return false
	}
	return slices.Contains([]string{"gssapi", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"}, mechanism)
}

// perListener is true for a broker key that Kafka reads with a listener prefix.
func perListener(name string) bool {
	return strings.HasPrefix(name, "ssl.") || strings.HasPrefix(name, "sasl.") || slices.Contains([]string{
		MaxConnections, MaxConnectionCreationRate, ConnectionsMaxReauthMs, PrincipalBuilderClass, NumNetworkThreads,
	}, name)
}

// ForListener is the name of the key that counts for a listener: the prefixed one where it is set, or else the plain one.
func (c *Config) ForListener(listener, key string) string {
	if name := listenerPrefix + strings.ToLower(listener) + "." + key; c.IsSet(name) {
		return name
	}
	return key
}
