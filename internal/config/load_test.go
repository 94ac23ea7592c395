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
