package client

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
)

// Role says for which of Kafka's three client kinds properties are read: the
// kinds differ in their keys and defaults.
type Role int

// The roles.
const (
	Admin Role = iota
	Producer
	Consumer
)

func (r Role) String() string { return [...]string{"admin", "producer", "consumer"}[r] }

// constructFailure is the sentence with which Kafka's clients wrap what went
// wrong while they were built.
func (r Role) constructFailure() string {
	switch r {
	case Producer:
		return "Failed to construct kafka producer"
	case Consumer:
		return "Failed to construct kafka consumer"
	}
	return "Failed to create new KafkaAdminClient"
}

// reader reads typed values and keeps the first mistake.
type reader struct {
	props Properties
	used  map[string]bool
	err   error
}

func newReader(p Properties) *reader { return &reader{props: p, used: map[string]bool{}} }

func (r *reader) fail(key, value, why string) {
	if r.err == nil {
		r.err = &ConfigError{fmt.Sprintf("Invalid value %s for configuration %s: %s", value, key, why)}
	}
}

func (r *reader) str(key, def string) string {
	r.used[key] = true
	if v, ok := r.props[key]; ok {
		return strings.TrimSpace(v)
	}
	return def
}

// filled is a string that must have something in it where it is set.
func (r *reader) filled(key string) string {
	v := r.str(key, "")
	if _, set := r.props[key]; set && v == "" {
		r.fail(key, v, "String must be non-empty")
	}
	return v
}

func (r *reader) oneOf(key, def string, allowed ...string) string {
	v := r.str(key, def)
	for _, a := range allowed {
		if v == a {
			return v
		}
	}
	r.fail(key, v, "String must be one of: "+strings.Join(allowed, ", "))
	return def
}

func (r *reader) oneOfFold(key, def string, allowed ...string) string {
	v := r.str(key, def)
	for _, a := range allowed {
		if strings.EqualFold(v, a) {
			return a
		}
	}
	r.fail(key, v, "String must be one of (case insensitive): "+strings.Join(allowed, ", "))
	return def
}

func (r *reader) number(key string, def, min, max int64, typ string) int64 {
	v := r.str(key, "")
	if v == "" {
		if _, set := r.props[key]; set {
			r.fail(key, v, "Not a number of type "+typ)
		}
		return def
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > max {
		r.fail(key, v, "Not a number of type "+typ)
		return def
	}
	if n < min {
		r.fail(key, v, fmt.Sprintf("Value must be at least %d", min))
		return def
	}
	return n
}

func (r *reader) int(key string, def, min int64) int64 {
	return r.number(key, def, min, math.MaxInt32, "INT")
}

func (r *reader) long(key string, def, min int64) int64 {
	return r.number(key, def, min, math.MaxInt64, "LONG")
}

// ms reads a duration. Kafka allows Long.MAX_VALUE to mean for ever; so that
// arithmetic stays safe it is cut to a century.
func (r *reader) ms(key string, def, min int64) time.Duration {
	return Millis(r.long(key, def, min))
}

// maxMillis is a hundred years: longer waits are for ever, and the bound keeps
// sums of durations from overflowing.
const maxMillis = 100 * 365 * 24 * 3600 * 1000

// Millis turns milliseconds into a duration without overflow.
func Millis(ms int64) time.Duration {
	if ms > maxMillis {
		ms = maxMillis
	}
	return time.Duration(ms) * time.Millisecond
}

func (r *reader) bool(key string, def bool) bool {
	v := r.str(key, "")
	if _, set := r.props[key]; !set {
		return def
	}
	switch strings.ToLower(v) {
	case "true":
		return true
	case "false":
		return false
	}
	r.fail(key, v, "Expected value to be either true or false")
	return def
}

func (r *reader) list(key string) []string {
	var out []string
	for _, s := range strings.Split(r.str(key, ""), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// withoutEffect lists client keys that Kafka has and that do nothing here, with
// the reason that a user is told when he sets one.
func withoutEffect() map[string]string {
	const (
		jvm     = "it configures the JVM client's internals"
		metrics = "the tools keep no client metrics"
		sockets = "the operating system sizes socket buffers"
		classes = "Java classes cannot be loaded"
		krb     = "Kerberos (GSSAPI) is not available"
		oauth   = "only static tokens and the client-credentials flow are available for OAUTHBEARER"
	)
	return map[string]string{
		"client.dns.lookup": "all addresses of a name are always tried", "config.providers": classes,
		"enable.metrics.push": metrics, "metric.reporters": metrics, "metrics.num.samples": metrics,
		"metrics.recording.level": metrics, "metrics.sample.window.ms": metrics, "auto.include.jmx.reporter": metrics,
		"metadata.recovery.rebootstrap.trigger.ms": jvm, "metadata.recovery.strategy": jvm, "metadata.max.idle.ms": jvm,
		"receive.buffer.bytes": sockets, "send.buffer.bytes": sockets,
		"reconnect.backoff.ms": "retry.backoff.ms paces reconnects", "reconnect.backoff.max.ms": "retry.backoff.max.ms paces reconnects",
		"interceptor.classes": classes, "key.serializer": classes, "value.serializer": classes,
		"security.providers": classes, "ssl.engine.factory.class": classes, "ssl.keymanager.algorithm": jvm,
		"ssl.provider": jvm, "ssl.secure.random.implementation": jvm, "ssl.trustmanager.algorithm": jvm, "ssl.protocol": "ssl.enabled.protocols decides",
		"sasl.client.callback.handler.class": classes, "sasl.login.callback.handler.class": classes, "sasl.login.class": classes,
		"sasl.kerberos.kinit.cmd": krb, "sasl.kerberos.min.time.before.relogin": krb, "sasl.kerberos.service.name": krb,
		"sasl.kerberos.ticket.renew.jitter": krb, "sasl.kerberos.ticket.renew.window.factor": krb,
		"sasl.login.connect.timeout.ms": oauth, "sasl.login.read.timeout.ms": oauth, "sasl.login.refresh.buffer.seconds": oauth,
		"sasl.login.refresh.min.period.seconds": oauth, "sasl.login.refresh.window.factor": oauth, "sasl.login.refresh.window.jitter": oauth,
		"sasl.login.retry.backoff.max.ms": oauth, "sasl.login.retry.backoff.ms": oauth,
		"partitioner.availability.timeout.ms": jvm, "transaction.two.phase.commit.enable": "two-phase commit is not available",
		"internal.throw.on.fetch.stable.offset.unsupported": jvm, "share.acknowledgement.mode": "only share consumers use it",
		"share.acquire.mode": "only share consumers use it",
	}
}

// unknownOrIdle explains each set key that the settings did not use.
func (r *reader) unknownOrIdle(role Role) []string {
	idle := withoutEffect()
	foreign := foreignKeys()
	var out []string
	for _, k := range r.props.Keys() {
		if r.used[k] {
			continue
		}
		switch reason, ok := idle[k]; {
		case ok:
			out = append(out, fmt.Sprintf("the property %s has no effect: %s", k, reason))
		case strings.HasPrefix(k, "sasl.oauthbearer."):
			out = append(out, fmt.Sprintf("the property %s has no effect: only static tokens and the client-credentials flow are available for OAUTHBEARER", k))
		case foreign[k]:
			out = append(out, fmt.Sprintf("the property %s has no effect: %s does not use it", k, withArticle(role)))
		case r.props["process.roles"] != "": // a node's own file, as add-controller takes it: most of it is not for clients
		default:
			out = append(out, fmt.Sprintf("the property %s is not known%s", k, r.nearest(k)))
		}
	}
	return out
}

// foreignKeys are known to some client kind; a shared properties file often
// holds keys of several.
func foreignKeys() map[string]bool {
	m := map[string]bool{}
	for _, k := range strings.Fields(`acks batch.size buffer.memory compression.type compression.gzip.level compression.lz4.level
		compression.zstd.level delivery.timeout.ms enable.idempotence linger.ms max.block.ms max.in.flight.requests.per.connection
		max.request.size partitioner.class partitioner.ignore.keys partitioner.adaptive.partitioning.enable transaction.timeout.ms
		transactional.id retries allow.auto.create.topics auto.commit.interval.ms auto.offset.reset check.crcs client.rack
		enable.auto.commit exclude.internal.topics fetch.max.bytes fetch.max.wait.ms fetch.min.bytes group.id group.instance.id
		group.protocol heartbeat.interval.ms isolation.level key.deserializer value.deserializer max.partition.fetch.bytes
		max.poll.interval.ms max.poll.records partition.assignment.strategy session.timeout.ms default.api.timeout.ms
		bootstrap.servers bootstrap.controllers`) {
		m[k] = true
	}
	return m
}

// nearest suggests the known key that a typing mistake probably meant.
func (r *reader) nearest(key string) string {
	const tooFar = 3 // more than two slips is a different word
	best, bestDist := "", tooFar
	consider := func(k string) {
		if d := config.EditDistance(key, k, tooFar); d < bestDist || d < tooFar && d == bestDist && k < best {
			best, bestDist = k, d
		}
	}
	for k := range r.used {
		consider(k)
	}
	for k := range foreignKeys() {
		consider(k)
	}
	for k := range withoutEffect() {
		consider(k)
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func withArticle(role Role) string {
	if role == Admin {
		return "an admin client"
	}
	return fmt.Sprintf("a %s", role)
}
