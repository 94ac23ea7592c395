package config

import (
	"slices"
	"strings"
	"testing"
)

func allScopes() []Scope { return []Scope{Broker, Topic, Group, ClientMetrics, ClientQuota, IPQuota} }

func TestTablesAreSortedDocumentedAndSound(t *testing.T) {
	for _, scope := range allScopes() {
		keys := Keys(scope)
		for i := range keys {
			k := &keys[i]
			if i > 0 && keys[i-1].Name >= k.Name {
				t.Errorf("%s stands after %s", k.Name, keys[i-1].Name)
			}
			if len(k.Doc) < 10 || !strings.HasSuffix(k.Doc, ".") || strings.Count(k.Doc, ". ") > 0 {
				t.Errorf("%s is not documented in one sentence: %q", k.Name, k.Doc)
			}
			if found, ok := Lookup(scope, k.Name); !ok || found != k {
				t.Errorf("%s is not found", k.Name)
			}
			for _, s := range k.Synonyms {
				if b, ok := lookupExact(Broker, s); !ok || b.Type != k.Type && !strings.HasPrefix(s, "log.r") {
					t.Errorf("%s falls back to %s, which is no broker key of its type", k.Name, s)
				}
			}
			if k.Null || k.Required {
				continue
			}
			if v, no := k.parse(k.Default); no != nil {
				t.Errorf("the default of %s: %s", k.Name, no.why)
			} else if v.text != k.Default {
				t.Errorf("the default of %s is written %q but shown %q", k.Name, k.Default, v.text)
			}
		}
	}
	for i := 1; i < len(removedKeys); i++ {
		if removedKeys[i-1].name >= removedKeys[i].name {
			t.Errorf("%s is out of order", removedKeys[i].name)
		}
		if _, known := lookupExact(Broker, removedKeys[i].name); known {
			t.Errorf("%s is removed and known", removedKeys[i].name)
		}
	}
}

func TestAllKeysOfKafkaAreKnown(t *testing.T) {
	defined := 0
	for _, k := range Keys(Broker) {
		if k.Origin == Defined {
			defined++
		}
		if own := strings.HasPrefix(k.Name, "moldau.") || k.Name == MetricsStaticLabels; own != (k.Origin == Own) {
			t.Errorf("whose key is %s?", k.Name)
		}
	}
	if defined != 360 || len(Keys(Topic)) != 34 || len(Keys(Group)) != 17 || len(Keys(ClientMetrics)) != 3 {
		t.Errorf("%d broker keys, %d topic keys, %d group keys", defined, len(Keys(Topic)), len(Keys(Group)))
	}
}

// Security that is asked for and not given must stop the start, so a served listener protocol and a
// key "without effect" cannot hide it.
func TestSecurityThatIsNotServedStopsTheStart(t *testing.T) {
	kraft := "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n" +
		"controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n"
	for _, extra := range []string{
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT\nsecurity.inter.broker.protocol=SASL_SSL",
		"config.providers=env\nssl.keystore.password=${env:X}",
		"moldau.admin.listener=0.0.0.0:9644",
		"moldau.admin.listener=9644",
		"metrics.static.labels=a",
		"moldau.log.level=loud",
	} {
		if r := Check(Sources{FileName: "f", File: []byte(kraft + extra)}); len(r.Problems) == 0 {
			t.Errorf("%q starts", extra)
		}
	}
	c := load(t, kraft+"moldau.admin.listener=0.0.0.0:9644\nmoldau.admin.allow.remote=true\nmetrics.static.labels=a=b,c_d=e f")
	if labels, err := c.StaticLabels(); err != nil || labels["a"] != "b" || labels["c_d"] != "e f" {
		t.Error(labels, err)
	}
}

func TestDefaultsAreNotTurnedOff(t *testing.T) {
	c := Default()
	if !slices.Equal(c.List(LogCleanupPolicy), []string{"delete"}) || c.Double(LogCleanerMinCleanableRatio) != 0.5 ||
		c.Duration(LogRetentionCheckIntervalMs).Minutes() != 5 || c.Duration(LogFlushSchedulerIntervalMs) != Forever ||
		c.String(MoldauAdminListener) != "127.0.0.1:9644" || !c.IsNull(LogRetentionMs) || c.IsSet(NumPartitions) {
		t.Error("a default is not Kafka's")
	}
}
