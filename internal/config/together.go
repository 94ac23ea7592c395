package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// checkTogether judges what depends on several values. The relations are Kafka's own, and a few
// that keep a setting which is not served yet from being dropped where that would be unsafe.
func checkTogether(c *Config, r *Report) {
	for _, rule := range []func(*Config, *Report){
		checkIdentity, checkListenerLists, checkQuorum, checkRolesAgainstListeners, checkAdvertised, checkInterBroker,
		checkStorage, checkTimeouts, checkConnections, checkGroupBounds, checkAssignors, checkNotServedButUnsafe, checkOwnKeys, advise,
	} {
		rule(c, r)
	}
}

// refuse adds a problem with the place and value of a key.
func (c *Config) refuse(r *Report, key, format string, args ...any) {
	s := c.static[key]
	r.problem(Problem{Key: key, Value: s.text, Place: s.place, Message: fmt.Sprintf(format, args...)})
}

func checkIdentity(c *Config, r *Report) {
	if c.Int(BrokerID) != c.Int(NodeID) {
		c.refuse(r, NodeID, "%s=%d and %s=%d differ: they are two names of one number", NodeID, c.Int(NodeID), BrokerID, c.Int(BrokerID))
	}
}

// checkAssignors refuses what Kafka would load as a class of its own.
func checkAssignors(c *Config, r *Report) {
	names := c.List(GroupConsumerAssignors)
	if len(names) == 0 {
		c.refuse(r, GroupConsumerAssignors, "%s names no assignor: there are uniform and range", GroupConsumerAssignors)
	}
	for i, name := range names {
		short := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "org.apache.kafka.coordinator.group.assignor."), "Assignor"))
		if (short != "uniform" && short != "range") || (name != short && !strings.HasPrefix(name, "org.")) {
			c.refuse(r, GroupConsumerAssignors, "%s names %s, and there are only uniform and range: Moldau runs no Java", GroupConsumerAssignors, name)
		}
		if slices.Contains(names[:i], name) {
			c.refuse(r, GroupConsumerAssignors, "%s names %s twice", GroupConsumerAssignors, name)
		}
	}
}

func checkListenerLists(c *Config, r *Report) {
	m, err := parseProtocolMap(c.String(ListenerSecurityProtocolMap))
	if err != nil {
		c.refuse(r, ListenerSecurityProtocolMap, "cannot use %s: %v", ListenerSecurityProtocolMap, err)
		return
	}
	all, err := c.listeners()
	if err != nil {
		c.refuse(r, Listeners, "cannot use %s: %v", Listeners, err)
	} else {
		checkDistinct(c, r, Listeners, all)
	}
	adv, err := c.advertised()
	if err != nil {
		c.refuse(r, AdvertisedListeners, "cannot use %s: %v", AdvertisedListeners, err)
	} else if !c.IsNull(AdvertisedListeners) {
		checkNames(c, r, AdvertisedListeners, adv)
	}
	if name := strings.ToUpper(c.String(InterBrokerListenerName)); name != "" && m[name] == "" {
		c.refuse(r, InterBrokerListenerName, "%s is listener %s, to which %s gives no protocol",
			InterBrokerListenerName, name, ListenerSecurityProtocolMap)
	}
	names := append(listenerNames(all), c.ControllerListeners()...)
	for _, name := range c.List(EarlyStartListeners) {
		if !slices.Contains(names, strings.ToUpper(name)) {
			c.refuse(r, EarlyStartListeners, "%s names listener %s, which is neither in %s nor in %s",
				EarlyStartListeners, name, Listeners, ControllerListenerNames)
		}
	}
}

func listenerNames(all []Listener) []string {
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
	}
	return names
}

func checkNames(c *Config, r *Report, key string, all []Listener) {
	seen := make(map[string]bool)
	for _, l := range all {
		if seen[l.Name] {
			c.refuse(r, key, "listener %s stands twice in %s: each needs a name of its own", l.Name, key)
		}
		seen[l.Name] = true
	}
}

func checkDistinct(c *Config, r *Report, key string, all []Listener) {
	checkNames(c, r, key, all)
	for i, a := range all {
		for _, b := range all[:i] {
			if a.Port != 0 && a.Port == b.Port && !oneOfEachFamily(a.Host, b.Host) {
				c.refuse(r, key, "%s and %s have the same port", b, a)
			}
		}
	}
}

// oneOfEachFamily is true for an IPv4 and an IPv6 address, which may share a port.
func oneOfEachFamily(a, b string) bool {
	x, y := net.ParseIP(a), net.ParseIP(b)
	return x != nil && y != nil && (x.To4() == nil) != (y.To4() == nil)
}

func checkQuorum(c *Config, r *Report) {
	voters, err := parseVoters(c.value(ControllerQuorumVoters).list)
	if err != nil {
		c.refuse(r, ControllerQuorumVoters, "cannot use %s: %v", ControllerQuorumVoters, err)
		return
	}
	for _, s := range c.QuorumBootstrapServers() {
		if _, _, err := parseHostPort(s); err != nil {
			c.refuse(r, ControllerQuorumBootstrapServers, "cannot use %s: %v", ControllerQuorumBootstrapServers, err)
		}
	}
	if len(voters) == 0 {
		if len(c.QuorumBootstrapServers()) == 0 {
			c.refuse(r, ControllerQuorumVoters, "nothing says who the controllers are: set %s or %s, for example %s=%d@localhost:%d",
				ControllerQuorumVoters, ControllerQuorumBootstrapServers, ControllerQuorumVoters, c.NodeNumber(), defaultControllerPort)
		}
		return
	}
	in := slices.ContainsFunc(voters, func(v Voter) bool { return v.ID == c.NodeNumber() })
	if c.IsController() && !in {
		c.refuse(r, ControllerQuorumVoters, "%s makes this node a controller, but node %d is not in %s=%s",
			ProcessRoles, c.NodeNumber(), ControllerQuorumVoters, c.value(ControllerQuorumVoters).text)
	}
	if !c.IsController() && in {
		c.refuse(r, ControllerQuorumVoters, "%s makes this node a broker only, but node %d is in %s=%s",
			ProcessRoles, c.NodeNumber(), ControllerQuorumVoters, c.value(ControllerQuorumVoters).text)
	}
}

func checkRolesAgainstListeners(c *Config, r *Report) {
	all, err := c.listeners()
	if err != nil {
		return // reported before
	}
	controllers := c.ControllerListeners()
	own := c.partOf(all, true)
	switch {
	case !c.IsController():
		if len(own) > 0 {
			c.refuse(r, ControllerListenerNames, "%s names %s, which this node opens as a broker: it is for listeners of controllers elsewhere",
				ControllerListenerNames, own[0].Name)
		}
	case len(own) == 0:
		c.refuse(r, ControllerListenerNames,
			"%s must contain at least one value appearing in the '%s' configuration when running the KRaft controller role",
			ControllerListenerNames, Listeners)
	case len(own) < len(controllers):
		c.refuse(r, ControllerListenerNames, "%s=%s names more than is in %s=%s",
			ControllerListenerNames, c.value(ControllerListenerNames).text, Listeners, c.value(Listeners).text)
	case !c.IsBroker() && len(own) < len(all):
		c.refuse(r, Listeners, "%s has a listener that is not in %s: a node that is only a controller has no other",
			Listeners, ControllerListenerNames)
	}
}

func checkAdvertised(c *Config, r *Report) {
	adv, err := c.advertised()
	if err != nil || !c.IsBroker() {
		return
	}
	key := AdvertisedListeners
	if c.IsNull(AdvertisedListeners) {
		key = Listeners
	}
	adv = c.partOf(adv, false)
	for _, l := range adv {
		if ip := net.ParseIP(l.Host); ip != nil && ip.IsUnspecified() {
			c.refuse(r, key, "clients cannot connect to %s: set %s to an address that they can reach, for example %s://localhost:%d",
				l.Host, AdvertisedListeners, l.Name, l.Port)
		}
	}
	if len(adv) == 0 {
		c.refuse(r, key, "there is no listener for clients: all are in %s", ControllerListenerNames)
		return
	}
	all, err := c.listeners()
	if err != nil {
		return
	}
	names := listenerNames(all)
	for _, l := range adv {
		if !slices.Contains(names, l.Name) {
			c.refuse(r, key, "%s names listener %s, which is not in %s=%s", AdvertisedListeners, l.Name, Listeners, c.value(Listeners).text)
		}
	}
}

func checkInterBroker(c *Config, r *Report) {
	if c.IsSet(InterBrokerListenerName) && c.IsSet(SecurityInterBrokerProtocol) && c.String(InterBrokerListenerName) != "" {
		c.refuse(r, InterBrokerListenerName, "%s and %s are both set: one of them says all", InterBrokerListenerName, SecurityInterBrokerProtocol)
		return
	}
	adv, err := c.advertised()
	if err != nil || !c.IsBroker() {
		return
	}
	names := listenerNames(c.partOf(adv, false))
	if len(names) > 0 && !slices.Contains(names, c.InterBrokerListener()) {
		c.refuse(r, InterBrokerListenerName,
			"brokers are to talk over listener %s, which is not advertised: set %s to one of %s",
			c.InterBrokerListener(), InterBrokerListenerName, strings.Join(names, ", "))
	}
}

const (
	bytesPerCleaner = 1 << 20 // the least that one cleaner's key map can work with
	maxCodec        = 4       // none, gzip, snappy, lz4, zstd
)

func checkStorage(c *Config, r *Report) {
	if c.IsSet(LogRollMs) && c.Long(LogRollMs) < 1 && !c.IsNull(LogRollMs) {
		c.refuse(r, LogRollMs, "%s must be greater than or equal to 1", LogRollMs)
	}
	if c.RetentionMs() == 0 {
		key := LogRetentionHours
		for _, k := range []string{LogRetentionMinutes, LogRetentionMs} {
			if c.IsSet(k) {
				key = k
			}
		}
		c.refuse(r, key, "%s must be unlimited (-1) or, greater than or equal to 1", LogRetentionMs)
	}
	if n := c.Long(LogCleanerThreads); c.Bool(LogCleanerEnable) && n > 0 && c.Long(LogCleanerDedupeBufferSize)/n <= bytesPerCleaner {
		c.refuse(r, LogCleanerDedupeBufferSize, "%s must leave more than 1 MiB to each of %d cleaner threads", LogCleanerDedupeBufferSize, n)
	}
	for _, key := range []string{OffsetsTopicCompressionCodec, ShareCoordinatorStateTopicCompressionCodec} {
		if n := c.Int(key); n < 0 || n > maxCodec {
			c.refuse(r, key, "%s=%d is no codec: 0 is none, 1 gzip, 2 snappy, 3 lz4, 4 zstd", key, n)
		}
	}
	dirs := c.DataDirs()
	for _, d := range c.List(CordonedLogDirs) {
		if d != "*" && !slices.Contains(dirs, d) {
			c.refuse(r, CordonedLogDirs, "All entries in %s must be present in %s or %s. Missing entries : %s", CordonedLogDirs, LogDirs, LogDir, d)
		}
	}
}

func checkTimeouts(c *Config, r *Report) {
	if c.Int(ReplicaFetchWaitMaxMs) > c.Int(ReplicaSocketTimeoutMs) {
		c.refuse(r, ReplicaFetchWaitMaxMs, "%s must not be longer than %s, or each idle fetch ends in a time-out",
			ReplicaFetchWaitMaxMs, ReplicaSocketTimeoutMs)
	}
	if c.Long(ReplicaFetchWaitMaxMs) > c.Long(ReplicaLagTimeMaxMs) {
		c.refuse(r, ReplicaFetchWaitMaxMs, "%s must not be longer than %s, or idle followers leave the ISR",
			ReplicaFetchWaitMaxMs, ReplicaLagTimeMaxMs)
	}
	if n := c.Long(QueuedMaxRequestBytes); n > 0 && n < c.Long(SocketRequestMaxBytes) {
		c.refuse(r, QueuedMaxRequestBytes, "%s must not be smaller than %s", QueuedMaxRequestBytes, SocketRequestMaxBytes)
	}
	if c.Int(GroupMinSessionTimeoutMs) > c.Int(GroupMaxSessionTimeoutMs) {
		c.refuse(r, GroupMinSessionTimeoutMs, "%s must not be greater than %s", GroupMinSessionTimeoutMs, GroupMaxSessionTimeoutMs)
	}
}

func checkConnections(c *Config, r *Report) {
	overrides, err := parseIPOverrides(c.String(MaxConnectionsPerIPOverrides))
	if err != nil {
		c.refuse(r, MaxConnectionsPerIPOverrides, "cannot use %s: %v", MaxConnectionsPerIPOverrides, err)
	}
	if c.Int(MaxConnectionsPerIP) == 0 && len(overrides) == 0 && err == nil {
		c.refuse(r, MaxConnectionsPerIP, "%s=0 lets nobody in unless %s is set", MaxConnectionsPerIP, MaxConnectionsPerIPOverrides)
	}
}

// IPOverrides is max.connections.per.ip.overrides: a limit for each host that has its own.
func (c *Config) IPOverrides() map[string]int {
	m, err := parseIPOverrides(c.String(MaxConnectionsPerIPOverrides))
	if err != nil {
		panic("config: a checked configuration has bad connection limits: " + err.Error())
	}
	return m
}

func parseIPOverrides(s string) (map[string]int, error) {
	m := make(map[string]int)
	for _, item := range splitList(strings.TrimSpace(s)) {
		colon := strings.LastIndexByte(item, ':')
		if colon < 1 {
			return nil, fmt.Errorf("%q is not of the form host:limit", item)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(item[colon+1:]), 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("the limit of %q is not a number", item)
		}
		m[strings.Trim(strings.TrimSpace(item[:colon]), "[]")] = int(n)
	}
	return m, nil
}

// checkGroupBounds holds each group setting between its lower and upper bound.
func checkGroupBounds(c *Config, r *Report) {
	for _, b := range groupBounds() {
		if b.min != "" && b.max != "" && c.Long(b.max) < c.Long(b.min) {
			c.refuse(r, b.max, "%s must be greater than or equal to %s", b.max, b.min)
			continue
		}
		if b.min != "" && c.Long(b.key) < c.Long(b.min) {
			c.refuse(r, b.key, "%s must be greater than or equal to %s", b.key, b.min)
		}
		if b.max != "" && c.Long(b.key) > c.Long(b.max) {
			c.refuse(r, b.key, "%s must be less than or equal to %s", b.key, b.max)
		}
	}
	for _, p := range []string{"group.consumer.", "group.share.", "group.streams."} {
		session, heartbeat := p+"session.timeout.ms", p+"heartbeat.interval.ms"
		if c.Int(heartbeat) >= c.Int(session) {
			c.refuse(r, heartbeat, "%s must be less than %s", heartbeat, session)
		}
	}
	protocols := c.List(GroupCoordinatorRebalanceProtocols)
	if !slices.Contains(protocols, "classic") {
		c.refuse(r, GroupCoordinatorRebalanceProtocols, "%s must contain classic", GroupCoordinatorRebalanceProtocols)
	}
}

// bound is a broker key that a group may override, with the keys of its limits.
type bound struct {
	key, min, max string
	group         string // the group's own key
}

func groupBounds() []bound {
	var all []bound
	for _, p := range []string{"consumer", "share", "streams"} {
		for _, what := range []string{"session.timeout.ms", "heartbeat.interval.ms", "assignment.interval.ms"} {
			all = append(all, bound{
				key: "group." + p + "." + what, min: "group." + p + ".min." + what, max: "group." + p + ".max." + what,
				group: p + "." + what,
			})
		}
	}
	for _, what := range []string{"record.lock.duration.ms", "partition.max.record.locks", "delivery.count.limit"} {
		all = append(all, bound{
			key: "group.share." + what, min: "group.share.min." + what, max: "group.share.max." + what, group: "share." + what,
		})
	}
	return append(all, bound{
		key: GroupStreamsNumStandbyReplicas, max: GroupStreamsMaxStandbyReplicas, group: GroupKeyStreamsNumStandbyReplicas,
	})
}

// checkNotServedButUnsafe refuses settings that this build does not serve and that would, if they were
// merely without effect, leave a cluster open that was meant to be closed, or take a secret's place.
func checkNotServedButUnsafe(c *Config, r *Report) {
	if name := c.String(AuthorizerClassName); name != "" {
		c.refuse(r, AuthorizerClassName,
			"%s asks for an authorizer, but ACLs are not served yet: the node does not start rather than let everybody in", AuthorizerClassName)
	}
	if all, err := c.listeners(); err == nil {
		for _, l := range all {
			if l.SecurityProtocol != "PLAINTEXT" {
				c.refuse(r, Listeners, "listener %s uses %s, which is not served yet: only PLAINTEXT is", l.Name, l.SecurityProtocol)
			}
		}
	}
	if len(c.List(ConfigProviders)) > 0 {
		for _, name := range inOrder(c.static) {
			if s := c.static[name]; strings.Contains(s.text, "${") {
				c.refuse(r, name, "the value of %s comes from one of %s, which are Java classes and not run: write the value itself",
					name, ConfigProviders)
			}
		}
	}
}

func checkOwnKeys(c *Config, r *Report) {
	if _, err := c.StaticLabels(); err != nil {
		c.refuse(r, MetricsStaticLabels, "cannot use %s: %v", MetricsStaticLabels, err)
	}
	address := c.String(MoldauAdminListener)
	if address == "" {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > maxPort {
		c.refuse(r, MoldauAdminListener, "%s is not of the form host:port", address)
		return
	}
	if !c.Bool(MoldauAdminAllowRemote) && !IsLoopback(host) {
		c.refuse(r, MoldauAdminListener, "%s is not a loopback address, and the admin listener asks nobody for a password: "+
			"set %s=true if that is meant", address, MoldauAdminAllowRemote)
	}
}

// IsLoopback is true for a host that only this machine reaches.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// StaticLabels are the labels of metrics.static.labels.
func (c *Config) StaticLabels() (map[string]string, error) {
	labels := make(map[string]string)
	for _, item := range splitList(strings.TrimSpace(c.String(MetricsStaticLabels))) {
		name, val, ok := strings.Cut(item, "=")
		if !ok || !labelName(name) {
			return nil, fmt.Errorf("%q is not of the form name=value, with a name of letters, digits and _", item)
		}
		labels[name] = val
	}
	return labels, nil
}

func labelName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "__")
}

// advise notes what is allowed but hardly meant.
func advise(c *Config, r *Report) {
	for _, dir := range c.DataDirs() {
		if strings.HasPrefix(dir, "/tmp/") {
			r.note(Advice, LogDirs, c.Place(LogDirs), "%s is in a directory that many systems empty when they start: choose another for data that matters", dir)
		}
	}
	if heartbeat, session := c.Int(BrokerHeartbeatIntervalMs), c.Int(BrokerSessionTimeoutMs); heartbeat > session/2 {
		r.note(Advice, BrokerHeartbeatIntervalMs, c.Place(BrokerHeartbeatIntervalMs),
			"%s=%d is more than half of %s=%d: one late heartbeat takes the broker for dead",
			BrokerHeartbeatIntervalMs, heartbeat, BrokerSessionTimeoutMs, session)
	}
	if c.IsSet(UncleanLeaderElectionEnable) && c.Bool(UncleanLeaderElectionEnable) {
		r.note(Advice, UncleanLeaderElectionEnable, c.Place(UncleanLeaderElectionEnable),
			"%s=true: a replica that lacks acknowledged records may become leader, and they are then lost", UncleanLeaderElectionEnable)
	}
}
