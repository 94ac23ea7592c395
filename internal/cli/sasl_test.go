package cli

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestLoginBySASL(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "admin", "secret"), kfake.Superuser("SCRAM-SHA-256", "scrammy", "pw"), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := offline(t)
	s.bootstrap = c.ListenAddrs()[0]
	login := func(name, mechanism, module, user, password string) string {
		return s.file(name, "security.protocol=SASL_PLAINTEXT\nsasl.mechanism="+mechanism+"\nsasl.jaas.config=org.apache.kafka.common.security."+module+" required username=\""+user+"\" password=\""+password+"\";\n")
	}
	s.expect("kafka-topics --bootstrap-server $B --list --command-config "+login("plain", "PLAIN", "plain.PlainLoginModule", "admin", "secret"), "", "t\n", 0)
	s.expect("kafka-topics --bootstrap-server $B --list --command-config "+login("scram", "SCRAM-SHA-256", "scram.ScramLoginModule", "scrammy", "pw"), "", "t\n", 0)
}
