package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestPropertiesAsJavaReadsThem(t *testing.T) {
	p, err := ParseProperties(strings.NewReader("# a comment\n! another\n\n  key = value \nk2:v2\nk3 v3\nempty=\nalone\nlong=one\\\n   two\nesc\\=aped=\\t\\u00e9\\ud83d\\ude00\\\\\nwin=x\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Properties{"key": "value ", "k2": "v2", "k3": "v3", "empty": "", "alone": "", "long": "onetwo", "esc=aped": "\té😀\\", "win": "x"}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
	if _, err := ParseProperties(strings.NewReader("a=b\nc=\\u12x4\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2:") {
		t.Errorf("a broken escape: %v", err)
	}
	if _, err := LoadProperties("/no/such/file"); err == nil || err.Error() != "/no/such/file (No such file or directory)" {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParseProperties(f *testing.F) {
	f.Add("a=b\\\nc\n\\u0041:x")
	f.Fuzz(func(t *testing.T, s string) {
		// Any text is either refused or read; nothing may panic.
		_, _ = ParseProperties(strings.NewReader(s))
	})
}

func TestJAAS(t *testing.T) {
	l, err := ParseJAAS(`org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="a\"b;c" ;`)
	if err != nil {
		t.Fatal(err)
	}
	if l.Options["username"] != "alice" || l.Options["password"] != `a"b;c` {
		t.Errorf("%+v", l)
	}
	for _, s := range []string{"Module required", "Module;", "Module maybe a=b;", "Module required a;", `Module required a="b;`} {
		if _, err := ParseJAAS(s); err == nil {
			t.Errorf("%s was accepted", s)
		}
	}
}

func TestWrongValuesAreNamedAsKafkaNamesThem(t *testing.T) {
	for _, c := range []struct {
		role       Role
		key, value string
		want       string
	}{
		{Producer, "acks", "5", "Invalid value 5 for configuration acks: String must be one of: all, -1, 0, 1"},
		{Producer, "compression.type", "brotli", "Invalid value brotli for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd"},
		{Admin, "request.timeout.ms", "soon", "Invalid value soon for configuration request.timeout.ms: Not a number of type INT"},
		{Consumer, "isolation.level", "foo", "Invalid value foo for configuration isolation.level: String must be one of: read_committed, read_uncommitted"},
		{Consumer, "enable.auto.commit", "maybe", "Invalid value maybe for configuration enable.auto.commit: Expected value to be either true or false"},
		{Consumer, "max.poll.records", "0", "Invalid value 0 for configuration max.poll.records: Value must be at least 1"},
	} {
		_, err := ReadSettings(c.role, Properties{c.key: c.value})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: %v, wanted %s", c.key, c.value, err, c.want)
		}
	}
}

func TestUnknownAndIdleKeysAreTold(t *testing.T) {
	s, err := ReadSettings(Producer, Properties{"bootsrap.servers": "x:1", "metric.reporters": "y", "group.id": "g", "linger.ms": "1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the property bootsrap.servers is not known; did you mean bootstrap.servers?",
		"the property group.id has no effect: a producer does not use it",
		"the property metric.reporters has no effect: the tools keep no client metrics",
	}
	if d := cmp.Diff(want, s.Remarks); d != "" {
		t.Error(d)
	}
}

func TestANodesOwnFileIsTakenWithoutRemarks(t *testing.T) {
	s, err := ReadSettings(Admin, Properties{"bootstrap.servers": "b:1", "process.roles": "controller", "node.id": "3", "controller.listener.names": "C"})
	if err != nil || len(s.Remarks) > 0 {
		t.Errorf("%q, %v", s.Remarks, err)
	}
}

func TestIdempotenceGivesWayOnlySilentlyWhenNotAskedFor(t *testing.T) {
	s, err := ReadSettings(Producer, Properties{"acks": "1"})
	if err != nil || s.Producer.Idempotence {
		t.Errorf("acks=1: idempotence %v, %v", s.Producer.Idempotence, err)
	}
	if _, err := ReadSettings(Producer, Properties{"acks": "1", "enable.idempotence": "true"}); err == nil {
		t.Error("acks=1 with idempotence by name was accepted")
	}
}

func TestMetadataIsLookedAtAgainAfterTheBackoff(t *testing.T) {
	c, err := Open(Producer, Properties{"bootstrap.servers": "127.0.0.1:1", "retry.backoff.ms": "150"}, Voice{}, (*Settings).ProducerOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if age := c.OptValue(kgo.MetadataMinAge); age != 150*time.Millisecond {
		t.Errorf("metadata is asked for again after %v: a leader that moves twice stops the producer for so long", age)
	}
}

func TestBackoffIsBounded(t *testing.T) {
	s := &Settings{RetryBackoff: 100 * time.Millisecond, RetryBackoffMax: time.Second}
	if s.Backoff(1) != 100*time.Millisecond || s.Backoff(3) != 400*time.Millisecond || s.Backoff(1000) != time.Second {
		t.Errorf("%v %v %v", s.Backoff(1), s.Backoff(3), s.Backoff(1000))
	}
	if Millis(1<<62) <= 0 {
		t.Error("a very long wait overflowed")
	}
}

// hints collects what a human would be told.
type hints struct {
	mu  sync.Mutex
	all []string
}

func (h *hints) add(s string) { h.mu.Lock(); h.all = append(h.all, s); h.mu.Unlock() }
func (h *hints) text() string { h.mu.Lock(); defer h.mu.Unlock(); return strings.Join(h.all, "\n") }

// speakers answer a connection with something that is not Kafka.
func speaker(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 512)
				if _, err := c.Read(buf); err != nil {
					return
				}
				io.WriteString(c, answer)
			}()
		}
	}()
	return l.Addr().String()
}

func TestForeignListenersAreNamed(t *testing.T) {
	closed := speaker(t, "")
	for _, c := range []struct{ addr, want string }{
		{speaker(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), "speaks HTTP, not Kafka"},
		{speaker(t, "\x15\x03\x03\x00\x02\x02\x0a"), "speaks TLS: set security.protocol=SSL"},
		{closed, "closed the connection without an answer"},
		{"127.0.0.1:1", "refuses the connection"},
	} {
		h := &hints{}
		cl, err := Open(Admin, Properties{"bootstrap.servers": c.addr, "default.api.timeout.ms": "300", "request.timeout.ms": "200", "retry.backoff.ms": "10"}, Voice{Hint: h.add}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cl.Any(context.Background(), "test", kmsg.NewPtrDescribeClusterRequest())
		cl.Close()
		var te *TimeoutError
		if !errors.As(err, &te) || te.Message != "Timed out waiting for a node assignment. Call: test" {
			t.Errorf("%s: %v", c.addr, err)
		}
		if !strings.Contains(h.text(), c.want) {
			t.Errorf("%s: wanted %q in %q", c.addr, c.want, h.text())
		}
	}
}

func TestAServerThatNeverAnswersIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hints{}
	cl, err := Open(Admin, Properties{"bootstrap.servers": l.Addr().String(), "default.api.timeout.ms": "300", "request.timeout.ms": "200"}, Voice{Hint: h.add}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err = cl.Any(context.Background(), "test", kmsg.NewPtrDescribeClusterRequest()); err == nil {
		t.Error("somebody answered")
	}
	if !strings.Contains(h.text(), "takes connections but does not answer") {
		t.Errorf("hints %q", h.text())
	}
}

func TestAnAdvertisedAddressThatFailsIsNamedWithItsBroker(t *testing.T) {
	h := &hints{}
	d := newDialer(&Settings{Bootstrap: []string{"127.0.0.1:9092"}}, Voice{Hint: h.add})
	_, err := d.dial(context.Background(), "tcp", "127.0.0.1:1")
	for range 3 {
		d.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 7, Host: "127.0.0.1", Port: 1}, 0, nil, err)
	}
	if want := "127.0.0.1:1 refuses the connection; it is the address that broker 7 advertises, as 127.0.0.1:9092 says: "; !strings.HasPrefix(h.text(), want) || len(h.all) != 1 {
		t.Errorf("%q, wanted once %q", h.text(), want)
	}
}

func TestTLSToAPlaintextPort(t *testing.T) {
	h := &hints{}
	cl, err := Open(Admin, Properties{"bootstrap.servers": speaker(t, "\x00\x00\x00\x00hello"), "security.protocol": "SSL", "default.api.timeout.ms": "1000", "request.timeout.ms": "1000"}, Voice{Hint: h.add}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	_, err = cl.Any(context.Background(), "test", kmsg.NewPtrDescribeClusterRequest())
	var te *TLSError
	if !errors.As(err, &te) || !strings.Contains(h.text(), "does not speak TLS") {
		t.Errorf("%v; hints %q", err, h.text())
	}
}

func TestBootstrapAddresses(t *testing.T) {
	for s, want := range map[string]bool{"a:1": true, "a:1,b:2": true, "[::1]:9092": true, "PLAINTEXT://h:1": true, "nohostport": false, "h:": false, "h:x": false, "": false} {
		if got := ValidHostPorts(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	_, err := Open(Admin, Properties{"bootstrap.servers": "nohostport"}, Voice{}, nil)
	var ce *ConstructError
	if !errors.As(err, &ce) || ce.Message != "Failed to create new KafkaAdminClient" || ce.Cause.Error() != "Invalid url in bootstrap.servers: nohostport" {
		t.Errorf("%v", err)
	}
}

func TestStoresThatAreNotPEMAreExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.jks")
	if err := os.WriteFile(path, []byte("\xfe\xed\xfe\xed"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadSettings(Admin, Properties{"security.protocol": "SSL", "ssl.truststore.location": path})
	if err == nil || !strings.Contains(err.Error(), "it is not a PEM file; convert it") {
		t.Errorf("%v", err)
	}
}

func TestABrokersRefusalOfALoginIsItsOwnSentence(t *testing.T) {
	c := &Client{}
	err := c.fatal(fmt.Errorf("unable to connect: %w", fmt.Errorf("%w: %s", kerr.SaslAuthenticationFailed, "Authentication failed: Invalid username or password")))
	if err == nil || err.Error() != "Authentication failed: Invalid username or password" {
		t.Errorf("%v", err)
	}
}

func TestExceptionClasses(t *testing.T) {
	for code, want := range map[int16]string{69: "GroupIdNotFoundException", 68: "GroupNotEmptyException", 3: "UnknownTopicOrPartitionException", 7: "TimeoutException", 58: "SaslAuthenticationException", 56: "KafkaStorageException", 37: "InvalidPartitionsException"} {
		if got := exceptionClass(code); got != want {
			t.Errorf("%d: %s, wanted %s", code, got, want)
		}
	}
}

// A server without a name is this machine, as Java resolves it.
func TestAServerWithoutANameIsThisMachine(t *testing.T) {
	host, port, err := splitHostPort(":9092")
	if err != nil || host != "localhost" || port != "9092" {
		t.Errorf("got %s, %s, %v", host, port, err)
	}
}

// Kafka's clients take each of these; the client library has bounds of its own.
func TestValuesBeyondTheLibrarysBoundsAreTaken(t *testing.T) {
	for _, c := range []struct {
		role  Role
		props Properties
	}{
		{Admin, Properties{"request.timeout.ms": "2147483647", "default.api.timeout.ms": "2147483647"}},
		{Admin, Properties{"connections.max.idle.ms": "1800000"}},
		{Admin, Properties{"metadata.max.age.ms": "7200000"}},
		{Producer, Properties{"connections.max.idle.ms": "9223372036854775807"}},
	} {
		c.props["bootstrap.servers"] = "127.0.0.1:1"
		cl, err := Open(c.role, c.props, Voice{}, nil)
		if err != nil {
			t.Errorf("%v: %v", c.props, err)
			continue
		}
		cl.Close()
	}
}

func TestServersAndControllersAreNotBothTaken(t *testing.T) {
	_, err := ReadSettings(Admin, Properties{"bootstrap.servers": "a:1", "bootstrap.controllers": "b:1"})
	if err == nil || err.Error() != "You cannot set both bootstrap.servers and bootstrap.controllers" {
		t.Error(err)
	}
}
