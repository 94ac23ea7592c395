package config

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
)

const (
	zookeeperConnect = "zookeeper.connect" // a removed key that still tells that a file is of the older kind

	defaultNodeID         = "1"
	defaultControllerName = "CONTROLLER"
	defaultControllerPort = 9093
	defaultDataDir        = "./moldau-data"
	oneReplica            = "1"
)

// defaults are the settings of a node that is started without configuration.
func defaults() map[string]setting {
	written := map[string]string{
		ProcessRoles:                         "broker,controller",
		NodeID:                               defaultNodeID,
		BrokerID:                             defaultNodeID,
		Listeners:                            "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
		AdvertisedListeners:                  "PLAINTEXT://localhost:9092",
		ControllerListenerNames:              defaultControllerName,
		ControllerQuorumVoters:               defaultNodeID + "@localhost:9093",
		LogDirs:                              defaultDataDir,
		OffsetsTopicReplicationFactor:        oneReplica,
		TransactionStateLogReplicationFactor: oneReplica,
		TransactionStateLogMinISR:            oneReplica,
		ShareCoordinatorStateTopicReplicationFactor: oneReplica,
		ShareCoordinatorStateTopicMinISR:            oneReplica,
		// On a laptop nobody starts a hundred consumers at once: the first join need not wait for others.
		GroupInitialRebalanceDelayMs: "0",
		MoldauFlushAcks:              "true",
	}
	static := make(map[string]setting, len(written))
	for name, text := range written {
		static[name] = setting{text: text}
	}
	return static
}

// withoutFile puts what environment and overrides say over the defaults of a node that has no file.
// Settings that name the node or its addresses replace those of the defaults as a whole, since a
// part of each would contradict the other.
func withoutFile(static map[string]setting) map[string]setting {
	base := defaults()
	if setAny(static, ProcessRoles) { // a node of a cluster that is described elsewhere: Kafka's own defaults
		base = map[string]setting{LogDirs: base[LogDirs]}
	}
	if setAny(static, addressing()...) {
		for _, name := range addressing() {
			delete(base, name)
		}
	}
	maps.Copy(base, static)
	return base
}

// addressing are the keys that say who the node is and where.
func addressing() []string {
	return []string{
		ProcessRoles, NodeID, BrokerID, Listeners, AdvertisedListeners, ListenerSecurityProtocolMap, InterBrokerListenerName,
		ControllerListenerNames, ControllerQuorumVoters, ControllerQuorumBootstrapServers, zookeeperConnect,
	}
}

// complete fills in what follows from the rest: node.id from broker.id, and the whole of KRaft for
// a file that is of the older kind or says nothing about roles.
func complete(static map[string]setting, r *Report) {
	oldStyle := needsRoles(static)
	listenAsAdvertised(static, r)
	matchNodeAndBrokerID(static, oldStyle)
	if oldStyle {
		combine(static, r)
	}
	delete(static, zookeeperConnect)
}

// needsRoles is true for a file without process.roles, unless it speaks of controllers: such a one is
// a KRaft file with a line missing, which is for its writer to mend.
func needsRoles(static map[string]setting) bool {
	return !setAny(static, ProcessRoles, ControllerQuorumVoters, ControllerQuorumBootstrapServers, ControllerListenerNames)
}

// listenAsAdvertised gives a node that is configured by environment alone, and told only what to
// advertise, the same ports on all addresses, as the container images do.
func listenAsAdvertised(static map[string]setting, r *Report) {
	adv, ok := static[AdvertisedListeners]
	if _, has := static[Listeners]; has || !ok || adv.place.Env == "" {
		return
	}
	var all []string
	for _, s := range splitList(adv.text) {
		l, err := parseListener(s)
		if err != nil {
			return // the check of the value will say what is wrong
		}
		l.Host = "0.0.0.0"
		all = append(all, l.String())
	}
	text := strings.Join(all, ",")
	static[Listeners] = setting{text: text, place: adv.place}
	r.note(Understood, Listeners, adv.place, "%s is taken to be %s, from %s", Listeners, text, AdvertisedListeners)
}

// matchNodeAndBrokerID writes the one number under both of its names.
func matchNodeAndBrokerID(static map[string]setting, oldStyle bool) {
	node, hasNode := static[NodeID]
	broker, hasBroker := static[BrokerID]
	generated := hasBroker && strings.TrimSpace(broker.text) == "-1"
	switch {
	case hasNode && (!hasBroker || generated):
		static[BrokerID] = setting{text: node.text, place: node.place}
	case hasBroker && !hasNode && !generated:
		static[NodeID] = setting{text: broker.text, place: broker.place}
	case oldStyle && !hasNode:
		static[NodeID] = setting{text: defaultNodeID}
		static[BrokerID] = setting{text: defaultNodeID}
	}
}

// combine makes a broker and controller in one of a configuration that names no roles.
func combine(static map[string]setting, r *Report) {
	at := static[zookeeperConnect].place
	id := strings.TrimSpace(static[NodeID].text)
	port := freeControllerPort(static)
	address := net.JoinHostPort("localhost", strconv.Itoa(port))

	static[ProcessRoles] = setting{text: "broker,controller"}
	listeners, ok := static[Listeners]
	if !ok {
		listeners.text = "PLAINTEXT://:9092"
	}
	listeners.text += "," + defaultControllerName + "://" + address
	static[Listeners] = listeners
	static[ControllerListenerNames] = setting{text: defaultControllerName}
	static[ControllerQuorumVoters] = setting{text: id + "@" + address}
	if m, ok := static[ListenerSecurityProtocolMap]; ok {
		m.text += "," + defaultControllerName + ":PLAINTEXT"
		static[ListenerSecurityProtocolMap] = m
	} else {
		k, _ := Lookup(Broker, ListenerSecurityProtocolMap)
		static[ListenerSecurityProtocolMap] = setting{text: k.Default + "," + defaultControllerName + ":PLAINTEXT"}
	}
	if !setAny(static, LogDirs, LogDir) {
		static[LogDirs] = setting{text: defaultDataDir}
	}
	lowerReplicas(static, r)
	r.note(Understood, ProcessRoles, at,
		"there is no %s: started as node %s, broker and controller in one, with the controller on %s", ProcessRoles, id, address)
}

func setAny(static map[string]setting, names ...string) bool {
	for _, name := range names {
		if _, ok := static[name]; ok {
			return true
		}
	}
	return false
}

// freeControllerPort is the first port from 9093 that no listener of the file uses.
func freeControllerPort(static map[string]setting) int {
	used := make(map[int]bool)
	for _, s := range splitList(static[Listeners].text) {
		if l, err := parseListener(s); err == nil {
			used[l.Port] = true
		}
	}
	port := defaultControllerPort
	for used[port] {
		port++
	}
	return port
}

// lowerReplicas sets the replicas of internal topics to the one that a cluster of one node can have.
func lowerReplicas(static map[string]setting, r *Report) {
	for _, name := range []string{
		OffsetsTopicReplicationFactor, TransactionStateLogReplicationFactor, TransactionStateLogMinISR,
		ShareCoordinatorStateTopicReplicationFactor, ShareCoordinatorStateTopicMinISR,
		DefaultReplicationFactor, MinInsyncReplicas,
	} {
		s, written := static[name]
		if !written && (name == DefaultReplicationFactor || name == MinInsyncReplicas) {
			continue // one is their default
		}
		if n, err := strconv.Atoi(strings.TrimSpace(s.text)); written && err == nil && n > 1 {
			r.note(Understood, name, s.place, "%s is lowered from %d to 1: this cluster has one node", name, n)
		} else if written {
			continue // 1 already, or wrong, which its own check will say
		}
		static[name] = setting{text: oneReplica, place: s.place}
	}
}

// missing says that a required key is absent.
func missing(name string) Problem {
	hints := map[string]string{
		ProcessRoles:            "add process.roles=broker,controller for a node that is both",
		NodeID:                  "add node.id=1, or another number that no other node has",
		ControllerListenerNames: "add controller.listener.names=CONTROLLER and a listener of that name",
	}
	return Problem{Key: name, Message: fmt.Sprintf("%s is required and has no default: %s", name, hints[name])}
}
