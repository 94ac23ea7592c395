package client

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) write(level, logger, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, level+" "+message+" ("+logger+")")
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Compact(slices.Clone(l.lines))
}

// Who connects to where nobody listens reads what Kafka's clients say then.
func TestAFailedConnectionIsLoggedAsKafkasClientsDo(t *testing.T) {
	const refused = "Connection to node -1 (/127.0.0.1:1) could not be established. Node may not be available. (org.apache.kafka.clients.NetworkClient)"
	const gone = "Bootstrap broker 127.0.0.1:1 (id: -1 rack: null isFenced: false) disconnected (org.apache.kafka.clients.NetworkClient)"
	for _, c := range []struct {
		role  Role
		props Properties
		want  []string
	}{
		{Admin, Properties{}, []string{"WARN [AdminClient clientId=adminclient-1] " + refused}},
		{Producer, Properties{"client.id": "p"}, []string{"WARN [Producer clientId=p] " + refused, "WARN [Producer clientId=p] " + gone}},
	} {
		said := &logged{}
		c.props.Merge(Properties{"bootstrap.servers": "127.0.0.1:1", "request.timeout.ms": "200", "retry.backoff.ms": "500", "delivery.timeout.ms": "300", "linger.ms": "0"})
		if c.role == Admin {
			c.props["default.api.timeout.ms"] = "300"
		}
		cl, err := Open(c.role, c.props, Voice{Log: said.write}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if _, err := cl.SeedBrokers()[0].Request(ctx, kmsg.NewPtrMetadataRequest()); err == nil {
			t.Error("somebody answered")
		}
		cancel()
		cl.Close()
		if got := said.all(); len(got) < len(c.want) || !slices.Equal(got[:len(c.want)], c.want) {
			t.Errorf("%v logs\n%s", c.role, strings.Join(got, "\n"))
		}
	}
}

func TestEachRoleLogsUnderItsName(t *testing.T) {
	for _, c := range []struct {
		s    *Settings
		want string
	}{
		{&Settings{Role: Admin}, "[AdminClient clientId=adminclient-1]"},
		{&Settings{Role: Admin, ClientID: "a"}, "[AdminClient clientId=a]"},
		{&Settings{Role: Producer}, "[Producer clientId=producer-1]"},
		{&Settings{Role: Producer, Producer: ProducerSettings{TransactionalID: "x"}}, "[Producer clientId=producer-x, transactionalId=x]"},
		{&Settings{Role: Consumer, Consumer: ConsumerSettings{GroupID: "g"}}, "[Consumer clientId=consumer-g-1, groupId=g]"},
		{&Settings{Role: Consumer, Consumer: ConsumerSettings{GroupID: "g", InstanceID: "i"}}, "[Consumer instanceId=i, clientId=consumer-g-i, groupId=g]"},
		{&Settings{Role: Consumer, ClientID: "console-share-consumer", Consumer: ConsumerSettings{ShareGroup: "g"}}, "[ShareConsumer clientId=console-share-consumer, groupId=g]"},
		{&Settings{Role: Consumer, Consumer: ConsumerSettings{ShareGroup: "g"}}, "[ShareConsumer clientId=consumer-g-1, groupId=g]"},
	} {
		if got := c.s.logName(); got != c.want {
			t.Errorf("%s, wanted %s", got, c.want)
		}
	}
}

func TestTopicsThatMetadataComplainsOfAreLogged(t *testing.T) {
	said := &logged{}
	l := newClientLog(&Settings{Role: Producer, ClientID: "p"}, Voice{Log: said.write})
	l.sent.Store(2)
	md := kmsg.NewPtrMetadataResponse()
	for topic, e := range map[string]*kerr.Error{"b": kerr.InvalidTopicException, "a": kerr.UnknownTopicOrPartition, "c": kerr.TopicAuthorizationFailed} {
		mt := kmsg.NewMetadataResponseTopic()
		mt.Topic, mt.ErrorCode = kmsg.StringPtr(topic), e.Code
		md.Topics = append(md.Topics, mt)
	}
	l.metadataTold(md)
	want := []string{
		"WARN [Producer clientId=p] The metadata response from the cluster reported a recoverable issue with correlation id 1 : {a=UNKNOWN_TOPIC_OR_PARTITION, b=INVALID_TOPIC_EXCEPTION, c=TOPIC_AUTHORIZATION_FAILED} (org.apache.kafka.clients.NetworkClient)",
		"ERROR [Producer clientId=p] Metadata response reported invalid topics [b] (org.apache.kafka.clients.Metadata)",
		"ERROR [Producer clientId=p] Topic authorization failed for topics [c] (org.apache.kafka.clients.Metadata)",
	}
	if got := said.all(); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// A refused login is an error, and once a broker is known its bootstrap address is no news.
func TestARefusedLoginIsLogged(t *testing.T) {
	said := &logged{}
	l := newClientLog(&Settings{Role: Consumer, ClientID: "c", Consumer: ConsumerSettings{GroupID: "g"}}, Voice{Log: said.write})
	l.knowing.Store(true)
	l.connectFailed(kgo.BrokerMetadata{NodeID: 4, Host: "broker.invalid", Port: 9092}, "broker.invalid:9092", kerr.SaslAuthenticationFailed)
	l.connectFailed(kgo.BrokerMetadata{NodeID: 4}, "broker.invalid:9092", context.Canceled)
	want := []string{"ERROR [Consumer clientId=c, groupId=g] Connection to node 4 (broker.invalid:9092) failed authentication due to: " + kerr.SaslAuthenticationFailed.Description + " (org.apache.kafka.clients.NetworkClient)"}
	if got := said.all(); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// kafka-broker-api-versions asks each server once, and logs as a client of its own.
func TestTheOldAdminClientAsksEachServerOnce(t *testing.T) {
	said := &logged{}
	c, err := Open(Admin, Properties{"bootstrap.servers": "127.0.0.1:1,127.0.0.1:2", "client.id": "mine"}, Voice{Log: said.write}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.OnceEach(context.Background(), kmsg.NewPtrMetadataRequest())
	if err == nil || !strings.HasPrefix(err.Error(), "Request METADATA failed on brokers [127.0.0.1:") {
		t.Errorf("%v, wanted that the request failed", err)
	}
	lines := said.all()
	slices.Sort(lines)
	var want []string
	for _, n := range []string{"1", "2"} {
		want = append(want, "WARN [LegacyAdminClient clientId=admin-1] Bootstrap broker 127.0.0.1:"+n+" (id: -"+n+" rack: null isFenced: false) disconnected ("+networkLogger+")",
			"WARN [LegacyAdminClient clientId=admin-1] Connection to node -"+n+" (/127.0.0.1:"+n+") could not be established. Node may not be available. ("+networkLogger+")")
	}
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("logged\n%s\nwanted\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A name that does not resolve is logged too, by no client yet.
func TestANameThatDoesNotResolveIsLogged(t *testing.T) {
	said := &logged{}
	if _, err := Open(Admin, Properties{"bootstrap.servers": "no.such.host.invalid:9092"}, Voice{Log: said.write}, nil); err == nil {
		t.Error("a name that does not resolve was taken")
	}
	const want = "WARN Couldn't resolve server no.such.host.invalid:9092 from bootstrap.servers as DNS resolution failed for no.such.host.invalid (org.apache.kafka.clients.ClientUtils)"
	if got := strings.Join(said.all(), "\n"); got != want {
		t.Errorf("logged %s, wanted %s", got, want)
	}
}
