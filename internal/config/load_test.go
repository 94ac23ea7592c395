package config

import (
	"strings"
	"testing"
)

func load(t *testing.T, text string, more ...string) *Config {
	t.Helper()
	c, r := Load(Sources{FileName: "server.properties", File: []byte(text), Overrides: more})
	if c == nil {
		t.Fatalf("refused: %v", r.Lines())
	}
	return c
}

func TestANodeWithoutConfigurationIsBrokerAndControllerOnLocalhost(t *testing.T) {
	c, r := Load(Sources{Environ: []string{"PATH=/bin", "KAFKA_HEAP_OPTS=-Xmx1g"}})
	if c == nil || len(r.Lines()) != 0 {
		t.Fatalf("%v", r.Lines())
	}
	if !c.IsBroker() || !c.IsController() || c.NodeNumber() != 1 || !c.Bool(MoldauFlushAcks) {
		t.Fatal("roles, number or flush")
	}
	b, k, a := c.BrokerListeners(), c.ControllerEndpoints(), c.Advertised()
	if len(b) != 1 || b[0].String() != "PLAINTEXT://localhost:9092" || len(k) != 1 || k[0].Address() != "localhost:9093" {
		t.Fatal(b, k)
	}
	if len(a) != 1 || a[0] != b[0] || c.DataDirs()[0] != "./moldau-data" || c.MetadataDir() != "./moldau-data" {
		t.Fatal(a, c.DataDirs())
	}
	if v := c.QuorumVoters(); len(v) != 1 || v[0] != (Voter{1, "localhost", 9093}) {
		t.Fatal(v)
	}
	if c.Int(OffsetsTopicReplicationFactor) != 1 || c.Int(OffsetsTopicNumPartitions) != 50 || c.RetentionMs() != 168*3600*1000 {
		t.Fatal("defaults")
	}
}

func TestAnOldFileStartsAsOneNodeAndSaysSo(t *testing.T) {
	text := "broker.id=0\nlisteners=PLAINTEXT://localhost:9093\nlog.dirs=/data\nzookeeper.connect=zk:2181\noffsets.topic.replication.factor=2\n"
	c, r := Load(Sources{FileName: "old.properties", File: []byte(text)})
	if c == nil {
		t.Fatal(r.Lines())
	}
	if c.NodeNumber() != 0 || !c.IsController() || c.ControllerEndpoints()[0].Address() != "localhost:9094" || c.Int(OffsetsTopicReplicationFactor) != 1 {
		t.Fatal("not combined", c.ControllerEndpoints())
	}
	all := strings.Join(r.Lines(), "\n")
	for _, want := range []string{
		"old.properties:4: there is no process.roles: started as node 0, broker and controller in one",
		"old.properties:5: offsets.topic.replication.factor is lowered from 2 to 1",
		"old.properties:4: zookeeper.connect was removed from Kafka: understood, without effect",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

const kraft = `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
controller.quorum.voters=1@localhost:9093
`

func TestAWrongValueNamesKeyValueLineAndWhatIsAllowed(t *testing.T) {
	r := Check(Sources{
		FileName: "etc/server.properties", File: []byte(kraft + "num.partitions=0\ncompression.type=brotli\nssl.key.password=x\nlog.retention.ms=soon\n"),
		Environ: []string{"KAFKA_NUM_IO_THREADS=many"}, Overrides: []string{"log.cleanup.policy=forget", "nonsense"},
	})
	want := []string{
		`--override: "nonsense" is not of the form key=value`,
		`etc/server.properties:6: Invalid value 0 for configuration num.partitions: Value must be at least 1 (allowed: at least 1)`,
		`etc/server.properties:7: Invalid value brotli for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer ` +
			`(allowed: uncompressed, zstd, lz4, snappy, gzip, producer)`,
		`etc/server.properties:9: Invalid value soon for configuration log.retention.ms: Not a number of type LONG`,
		`--override: Invalid value forget for configuration log.cleanup.policy: String must be one of: compact, delete (allowed: a list of: compact, delete)`,
		`environment variable KAFKA_NUM_IO_THREADS: Invalid value many for configuration num.io.threads: Not a number of type INT (allowed: at least 1)`,
	}
	var got []string
	for _, p := range r.Problems {
		got = append(got, p.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNamesThatAreNotKnownGetTheNearestOne(t *testing.T) {
	for name, want := range map[string]string{
		"num.partition":                    "did you mean num.partitions?",
		"log.retension.hours":              "did you mean log.retention.hours?",
		"advertised.listener":              "did you mean advertised.listeners?",
		"ofsets.topic.replication.factor":  "did you mean offsets.topic.replication.factor?",
		"retention.ms":                     "the default of all topics is log.retention.ms",
		"min.cleanable.dirty.ratio":        "the default of all topics is log.cleaner.min.cleanable.ratio",
		"qwertyuiop.asdfghjkl":             "qwertyuiop.asdfghjkl is not known and is ignored",
		"port":                             "port was removed from Kafka: write the address in listeners",
		"inter.broker.protocol.version":    "was removed from Kafka: the version of the cluster is a feature",
		"confluent.support.metrics.enable": "has no effect: it is not a key of Kafka",
		"num.io.threads":                   "num.io.threads has no effect: each connection has its own goroutine",
	} {
		r := Check(Sources{FileName: "f", File: []byte(kraft + name + "=1\n")})
		all := strings.Join(r.Lines(), "\n")
		if len(r.Problems) > 0 || !strings.Contains(all, want) {
			t.Errorf("%s: %s", name, all)
		}
	}
}

func TestLaterSourcesWinAndDuplicatesAreSaid(t *testing.T) {
	c, r := Load(Sources{
		FileName: "f", File: []byte(kraft + "num.partitions=2\nnum.partitions=3\nlog.segment.bytes=2000000\nlog.roll.hours=5\n"),
		Environ:   []string{"KAFKA_LOG_SEGMENT_BYTES=3000000", "KAFKA_LOG_ROLL_HOURS=6"},
		Overrides: []string{"log.roll.hours=7"},
	})
	if c == nil || c.Int(NumPartitions) != 3 || c.Int(LogSegmentBytes) != 3000000 || c.RollMs() != 7*3600*1000 {
		t.Fatal(r.Lines())
	}
	if lines := r.Lines(); lines[0] != "f:7: num.partitions is set again: this value counts, the one in line 6 does not" {
		t.Error(lines)
	}
	if c.Place(LogRollHours).String() != "--override" || c.Place(NumPartitions) != (Place{File: "f", Line: 7}) {
		t.Error(c.Place(LogRollHours), c.Place(NumPartitions))
	}
}

func TestVariablesOfContainerImages(t *testing.T) {
	for variable, want := range map[string]string{
		"KAFKA_LOG_DIRS": "log.dirs", "KAFKA_A__B___C_D": "a_b-c.d", "KAFKA_LISTENER_NAME_SASL__SSL_PLAIN_SASL_JAAS_CONFIG": "listener.name.sasl_ssl.plain.sasl.jaas.config",
	} {
		if got := keyOfVariable(variable); got != want {
			t.Errorf("%s is %s, want %s", variable, got, want)
		}
	}
	skipped := []string{
		"KAFKA_HEAP_OPTS=1", "KAFKA_OPTS=1", "KAFKA_LOG4J_ROOT_LOGLEVEL=INFO", "KAFKA_JMX_PORT=1", "KAFKA_HOME=/x", "CLUSTER_ID=x", "PATH=/",
		"KAFKA_PORT=tcp://10.0.0.1:9092", "KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_PORT_9092_TCP_ADDR=10.0.0.1", "KAFKA_=1",
	}
	if got := fromEnvironment(skipped[:2]); len(got) != 0 {
		t.Error(got)
	}
	got := fromEnvironment(append(skipped, "KAFKA_CFG_NODE_ID=3", "KAFKA_CFG_EMPTY="))
	if len(got) != 2 || got[0].name != NodeID || got[1].name != MoldauLogLevel || got[1].text != "info" {
		t.Error(got)
	}
	if ClusterID([]string{"A=b", "CLUSTER_ID=x"}) != "x" || ClusterID(nil) != "" {
		t.Error("cluster id")
	}
}

func TestAContainerOfATutorialStarts(t *testing.T) {
	c, r := Load(Sources{Environ: []string{
		"KAFKA_BROKER_ID=2", "KAFKA_ZOOKEEPER_CONNECT=zookeeper:2181", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://kafka2:19092,EXTERNAL://localhost:9092",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=2",
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=2", "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE=false", "KAFKA_DEFAULT_REPLICATION_FACTOR=2",
	}})
	if c == nil {
		t.Fatal(r.Lines())
	}
	if got := c.BrokerListeners(); len(got) != 2 || got[0].Address() != "0.0.0.0:19092" || got[1].String() != "EXTERNAL://0.0.0.0:9092" {
		t.Error(got)
	}
	if got := c.Advertised(); len(got) != 2 || got[0].String() != "PLAINTEXT://kafka2:19092" {
		t.Error(got)
	}
	if c.NodeNumber() != 2 || c.Int(OffsetsTopicReplicationFactor) != 1 || c.Int(DefaultReplicationFactor) != 1 || !c.Bool(MoldauFlushAcks) {
		t.Error("not one node")
	}
}

func TestOverridesAloneKeepTheDefaultNode(t *testing.T) {
	c, r := Load(Sources{Overrides: []string{"num.partitions=4", "moldau.flush.acks=false"}})
	if c == nil || len(r.Notes) > 0 || c.Int(NumPartitions) != 4 || c.Bool(MoldauFlushAcks) || c.BrokerListeners()[0].Host != "localhost" {
		t.Fatal(r.Lines())
	}
	c, r = Load(Sources{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:19092"}})
	if c == nil || c.BrokerListeners()[0].Port != 19092 || len(c.ControllerEndpoints()) != 1 || c.NodeNumber() != 1 {
		t.Fatal(r.Lines())
	}
}

func TestOldAddressesAreKept(t *testing.T) {
	c := load(t, "broker.id=3\nhost.name=127.0.0.1\nport=9999\nadvertised.host.name=kafka.example\nadvertised.port=9998\nlog.dir=/d\n")
	if got := c.BrokerListeners()[0].String(); got != "PLAINTEXT://127.0.0.1:9999" {
		t.Error(got)
	}
	if got := c.Advertised()[0].String(); got != "PLAINTEXT://kafka.example:9998" {
		t.Error(got)
	}
	if got := c.DataDirs(); len(got) != 1 || got[0] != "/d" {
		t.Error(got)
	}
}

func TestRetentionTakesTheStrongestKey(t *testing.T) {
	for text, want := range map[string]int64{
		"":                       168 * 3600 * 1000,
		"log.retention.hours=2":  2 * 3600 * 1000,
		"log.retention.hours=-1": -1,
		"log.retention.minutes=3\nlog.retention.hours=2":                     3 * 60 * 1000,
		"log.retention.ms=4\nlog.retention.minutes=3\nlog.retention.hours=2": 4,
		"log.retention.ms=-1\nlog.retention.minutes=3":                       -1,
	} {
		if got := load(t, kraft+text).RetentionMs(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestATopicIsItsOverridesOverTheBroker(t *testing.T) {
	c := load(t, kraft+"log.segment.bytes=2000000\nlog.roll.ms=70000\nlog.cleanup.policy=compact,delete\nmessage.max.bytes=77\nlog.flush.interval.ms=9\n")
	topic, errs := c.Topic(map[string]string{"cleanup.policy": "compact", "retention.ms": " 5 ", "min.insync.replicas": "2"})
	if len(errs) > 0 || !topic.Compact || topic.Delete || topic.RetentionMs != 5 || topic.MinInsyncReplicas != 2 ||
		topic.SegmentBytes != 2000000 || topic.SegmentMs != 70000 || topic.MaxMessageBytes != 77 || topic.FlushMs != 9 ||
		topic.FileDeleteDelayMs != 60000 || topic.MinCleanableDirtyRatio != 0.5 || topic.CompressionType != "producer" {
		t.Fatalf("%v %+v", errs, topic)
	}
	topic, errs = c.Topic(map[string]string{"retention.ms": "x", "nope": "1", "segment.bytes": "3000000"})
	if len(errs) != 2 || topic.SegmentBytes != 3000000 || topic.RetentionMs != 168*3600*1000 {
		t.Fatalf("%v %+v", errs, topic)
	}
}

func TestDynamicLayersLieOverTheFile(t *testing.T) {
	c := load(t, kraft+"message.max.bytes=77\nlog.retention.hours=1\n")
	next, errs := c.WithDynamic(
		map[string]string{"message.max.bytes": "88", "log.retention.ms": "99", "log.segment.bytes": "bad"},
		map[string]string{"message.max.bytes": "100", "num.partitions": "9", "unknown": "x"})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "log.segment.bytes") {
		t.Error(errs)
	}
	if next.Int(MessageMaxBytes) != 100 || next.RetentionMs() != 99 || next.Int(NumPartitions) != 1 || c.Int(MessageMaxBytes) != 77 {
		t.Error("layers")
	}
	again, _ := next.WithDynamic(nil, nil)
	if again.Int(MessageMaxBytes) != 77 || again.RetentionMs() != 3600*1000 {
		t.Error("a layer that is gone still counts")
	}
}

func TestAKeyMayBeSetForOneListener(t *testing.T) {
	c := load(t, kraft+"listener.name.plaintext.max.connections=7\nlistener.name.plaintext.plain.sasl.jaas.config=secret\n")
	if c.Int(c.ForListener("PLAINTEXT", MaxConnections)) != 7 || c.Int(c.ForListener("CONTROLLER", MaxConnections)) != 1<<31-1 {
		t.Error("max.connections")
	}
	if c.String("listener.name.plaintext.plain.sasl.jaas.config") != "secret" {
		t.Error("a mechanism's key is not known")
	}
	r := Check(Sources{FileName: "f", File: []byte(kraft + "listener.name.plaintext.max.connections=x\nlistener.name.plaintext.no.such=1")})
	all := strings.Join(Check(Sources{FileName: "f", File: []byte(kraft + "listener.name.plaintext.num.partitions=3\n")}).NoteLines(), "\n")
	if !strings.Contains(all, "num.partitions cannot be set for one listener alone") {
		t.Error(all)
	}
	if len(r.Problems) != 1 || !strings.Contains(strings.Join(r.NoteLines(), "\n"), "listener.name.plaintext.no.such is not known") {
		t.Error(r.Lines())
	}
}

func TestAControllerListenerMayBeAdvertisedElsewhere(t *testing.T) {
	text := "node.id=1\nprocess.roles=broker,controller\ncontroller.quorum.voters=1@proxy:19093\ncontroller.listener.names=CONTROLLER\n" +
		"listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
	load := func(more string) *Config {
		c, r := Load(Sources{FileName: "server.properties", File: []byte(text + more)})
		if c == nil {
			t.Fatal(r.Lines())
		}
		return c
	}
	c := load("advertised.listeners=PLAINTEXT://proxy:19092,CONTROLLER://proxy:19093\n")
	if l := c.AdvertisedControllers(); len(l) != 1 || l[0].Address() != "proxy:19093" || c.ControllerEndpoints()[0].Address() != "localhost:9093" || len(c.Advertised()) != 1 {
		t.Fatal(l)
	}
	if l := load("advertised.listeners=PLAINTEXT://proxy:19092\n").AdvertisedControllers(); len(l) != 1 || l[0].Address() != "localhost:9093" {
		t.Fatal(l)
	}
}
