package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Voice is what a client says beside its answers. Either may be nil; both may be called from any goroutine.
type Voice struct {
	Hint func(sentence string)               // what helps a human and is no error
	Log  func(level, logger, message string) // what Kafka's clients log, at WARN and above
}

func (v Voice) hint(sentence string) {
	if v.Hint != nil {
		v.Hint(sentence)
	}
}

const networkLogger = "org.apache.kafka.clients.NetworkClient"

// clientLog writes the lines that Kafka's clients log about their connections, in Kafka's words: people look for them.
type clientLog struct {
	write   func(level, logger, message string)
	who     *Settings
	admin   bool // admin clients say less of bootstrap servers
	sent    atomic.Int32
	knowing atomic.Bool // the cluster has told of its brokers
}

func newClientLog(s *Settings, v Voice) *clientLog {
	return &clientLog{write: v.Log, who: s, admin: s.Role == Admin}
}

func (l *clientLog) line(level, logger, format string, args ...any) {
	if l.write != nil {
		l.write(level, logger, l.who.logName()+" "+fmt.Sprintf(format, args...))
	}
}

// logName is how Kafka's clients begin each line of their log.
func (s *Settings) logName() string {
	if s.legacy {
		return "[LegacyAdminClient clientId=admin-1]"
	}
	id := s.Name()
	switch s.Role {
	case Producer:
		if txn := s.Producer.TransactionalID; txn != "" {
			return fmt.Sprintf("[Producer clientId=%s, transactionalId=%s]", id, txn)
		}
		return fmt.Sprintf("[Producer clientId=%s]", id)
	case Consumer:
		if g := s.Consumer.ShareGroup; g != "" {
			return fmt.Sprintf("[ShareConsumer clientId=%s, groupId=%s]", id, g)
		}
		instance := ""
		if i := s.Consumer.InstanceID; i != "" {
			instance = "instanceId=" + i + ", "
		}
		return fmt.Sprintf("[Consumer %sclientId=%s, groupId=%s]", instance, id, s.Consumer.GroupID)
	}
	return fmt.Sprintf("[AdminClient clientId=%s]", id)
}

// Name is client.id, or what Kafka's clients make up without one.
func (s *Settings) Name() string {
	group, end := s.Consumer.GroupID, "1"
	switch {
	case s.ClientID != "":
		return s.ClientID
	case s.Role == Admin:
		return "adminclient-1"
	case s.Role == Producer && s.Producer.TransactionalID != "":
		return "producer-" + s.Producer.TransactionalID
	case s.Role == Producer:
		return "producer-1"
	case s.Consumer.ShareGroup != "":
		group = s.Consumer.ShareGroup
	case s.Consumer.InstanceID != "":
		end = s.Consumer.InstanceID
	}
	return "consumer-" + group + "-" + end
}

// NameOption is the client's name, for who knows of its group only now.
func (s *Settings) NameOption() kgo.Opt { return kgo.ClientID(s.Name()) }

// connectFailed logs a connection that was not made.
func (l *clientLog) connectFailed(meta kgo.BrokerMetadata, addr string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	id := kafkaNodeID(meta.NodeID)
	var refused *net.OpError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		l.line("ERROR", networkLogger, "Connection to node %d (%s) failed authentication due to: %s", id, knownByName(addr), authMessage(err))
	case errors.As(err, new(*TLSError)):
		l.line("ERROR", networkLogger, "Connection to node %d (%s) failed authentication due to: %s", id, knownByName(addr), err)
	case errors.As(err, &refused) && refused.Op == "dial":
		l.line("WARN", networkLogger, "Connection to node %d (%s) could not be established. Node may not be available.", id, inetAddress(addr, err))
	}
	if id < 0 && !l.admin && !l.knowing.Load() {
		l.line("WARN", networkLogger, "Bootstrap broker %s (id: %d rack: null isFenced: false) disconnected", addr, id)
	}
}

// metadataTold logs what an answer has against some of the topics that were asked for.
func (l *clientLog) metadataTold(md *kmsg.MetadataResponse) {
	var issues, invalid, forbidden []string
	for _, t := range md.Topics {
		if t.ErrorCode == 0 || t.Topic == nil {
			continue
		}
		issues = append(issues, *t.Topic+"="+CodeName(t.ErrorCode))
		switch t.ErrorCode {
		case kerr.InvalidTopicException.Code:
			invalid = append(invalid, *t.Topic)
		case CodeTopicAuthFailed:
			forbidden = append(forbidden, *t.Topic)
		}
	}
	if len(issues) == 0 {
		return
	}
	sort.Strings(issues)
	l.line("WARN", networkLogger, "The metadata response from the cluster reported a recoverable issue with correlation id %d : {%s}", l.sent.Load()-1, strings.Join(issues, ", "))
	const logger = "org.apache.kafka.clients.Metadata"
	if len(invalid) > 0 {
		l.line("ERROR", logger, "Metadata response reported invalid topics [%s]", strings.Join(invalid, ", "))
	}
	if len(forbidden) > 0 {
		l.line("ERROR", logger, "Topic authorization failed for topics [%s]", strings.Join(forbidden, ", "))
	}
}

// kafkaNodeID is a bootstrap server's place, counted from -1 downward, or a broker's id.
func kafkaNodeID(id int32) int32 {
	if id < 0 {
		return -1 - (id - math.MinInt32)
	}
	return id
}

// inetAddress is an address as Java prints it: name/ip:port, the name left out where there is none.
func inetAddress(addr string, err error) string {
	host, port, splitErr := net.SplitHostPort(addr)
	if splitErr != nil || net.ParseIP(host) != nil {
		return "/" + addr
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return host + "/" + op.Addr.String()
	}
	return host + ":" + port
}

// knownByName is inetAddress of a server whose name had to be found for a handshake.
func knownByName(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "/" + addr
	}
	ctx, cancel := context.WithTimeout(context.Background(), nameTimeout)
	defer cancel()
	if net.ParseIP(host) != nil {
		if names, err := net.DefaultResolver.LookupAddr(ctx, host); err == nil && len(names) > 0 {
			return strings.TrimSuffix(names[0], ".") + "/" + addr
		}
		return "/" + addr
	}
	if ips, err := net.DefaultResolver.LookupHost(ctx, host); err == nil && len(ips) > 0 {
		return host + "/" + net.JoinHostPort(ips[0], port)
	}
	return addr
}

// nameTimeout bounds what is only for a line of log.
const nameTimeout = time.Second
