package config

// removedKey is a key of an older Kafka. It is read over with one note that says what to use instead.
type removedKey struct {
	name string
	// instead ends the sentence "KEY was removed from Kafka: ...".
	instead string
}

const (
	zkGone       = "there is no ZooKeeper any more, the node is its own controller"
	useListeners = "write the address in listeners"
	useAdvertise = "write the address in advertised.listeners"
	formatGone   = "records have one format, version 2"
	noOldClients = "old consumers that it was for are not supported"
)

// removedKeys are in the order of their names; never written.
var removedKeys = [...]removedKey{
	{"advertised.host.name", useAdvertise},
	{"advertised.port", useAdvertise},
	{"broker.id.generation.enable", "give each node its number in node.id"},
	{"control.plane.listener.name", "controllers have listeners of their own, see controller.listener.names"},
	{"controlled.shutdown.max.retries", "the controller moves leaders away before the broker stops"},
	{"controlled.shutdown.retry.backoff.ms", "the controller moves leaders away before the broker stops"},
	{"delegation.token.master.key", "use delegation.token.secret.key"},
	{"fetch.message.max.bytes", noOldClients},
	{"host.name", useListeners},
	{"inter.broker.protocol.version", "the version of the cluster is a feature, see kafka-features"},
	{"kafka.csv.metrics.dir", noJavaMetrics},
	{"kafka.csv.metrics.reporter.enabled", noJavaMetrics},
	{"log.cleaner.hash.algorithm", "it cannot be chosen"},
	{"log.message.downconversion.enable", formatGone},
	{"log.message.format.version", formatGone},
	{"log.message.timestamp.difference.max.ms", "use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"},
	{"metrics.jmx.blacklist", "use metrics.jmx.exclude"},
	{"metrics.jmx.whitelist", "use metrics.jmx.include"},
	{"offsets.commit.required.acks", "a commit is answered when it is replicated"},
	{"password.encoder.cipher.algorithm", zkGone},
	{"password.encoder.iterations", zkGone},
	{"password.encoder.key.length", zkGone},
	{"password.encoder.keyfactory.algorithm", zkGone},
	{"password.encoder.old.secret", zkGone},
	{"password.encoder.secret", zkGone},
	{"port", useListeners},
	{"quota.consumer.default", "set the default quota with kafka-configs"},
	{"quota.producer.default", "set the default quota with kafka-configs"},
	{"replica.lag.max.messages", "use replica.lag.time.max.ms"},
	{"replication.factor", "it was never a broker key: use default.replication.factor"},
	{"reserved.broker.max.id", "there is no id generation to reserve numbers from"},
	{"zookeeper.clientCnxnSocket", zkGone},
	{"zookeeper.connect", "understood, without effect: this node is its own controller"},
	{"zookeeper.connection.timeout.ms", zkGone},
	{"zookeeper.max.in.flight.requests", zkGone},
	{"zookeeper.metadata.migration.enable", zkGone},
	{"zookeeper.metadata.migration.min.batch.size", zkGone},
	{"zookeeper.session.timeout.ms", zkGone},
	{"zookeeper.set.acl", zkGone},
	{"zookeeper.ssl.cipher.suites", zkGone},
	{"zookeeper.ssl.client.enable", zkGone},
	{"zookeeper.ssl.crl.enable", zkGone},
	{"zookeeper.ssl.enabled.protocols", zkGone},
	{"zookeeper.ssl.endpoint.identification.algorithm", zkGone},
	{"zookeeper.ssl.keystore.location", zkGone},
	{"zookeeper.ssl.keystore.password", zkGone},
	{"zookeeper.ssl.keystore.type", zkGone},
	{"zookeeper.ssl.ocsp.enable", zkGone},
	{"zookeeper.ssl.protocol", zkGone},
	{"zookeeper.ssl.truststore.location", zkGone},
	{"zookeeper.ssl.truststore.password", zkGone},
	{"zookeeper.ssl.truststore.type", zkGone},
	{"zookeeper.sync.time.ms", zkGone},
}

// foreignPrefixes are keys of other makers that stand in many files; they mean nothing to Kafka either.
var foreignPrefixes = [...]string{"confluent.", "metrics.jmx.", "strimzi.", "rlmm.config.", "rsm.config."}
