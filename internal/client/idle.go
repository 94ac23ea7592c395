package client

import (
	"fmt"
	"math"
	"strconv"
)

// idleKey is a key that does nothing here and is checked all the same, as Kafka's clients check it: a value that no client of
// Kafka's takes is a mistake in a file that is shared with them.
type idleKey struct {
	name    string
	kind    string // INT, LONG, SHORT, DOUBLE, BOOLEAN; "" for one of choices
	least   float64
	most    float64 // 0 where there is none
	choices []string
	folded  bool // whether the choices' case does not count
}

// anyNumber is the least of numbers that have no bound.
const anyNumber = -math.MaxFloat64

func idleKeys(role Role) []idleKey {
	keys := []idleKey{
		{name: "client.dns.lookup", choices: []string{"use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"}},
		{name: "send.buffer.bytes", kind: "INT", least: -1},
		{name: "receive.buffer.bytes", kind: "INT", least: -1},
		{name: "reconnect.backoff.ms", kind: "LONG"},
		{name: "reconnect.backoff.max.ms", kind: "LONG"},
		{name: "metrics.sample.window.ms", kind: "LONG"},
		{name: "metrics.num.samples", kind: "INT", least: 1},
		{name: "metrics.recording.level", choices: []string{"INFO", "DEBUG", "TRACE"}},
		{name: "metadata.recovery.strategy", choices: []string{"REBOOTSTRAP", "NONE"}, folded: true},
		{name: "metadata.recovery.rebootstrap.trigger.ms", kind: "LONG"},
		{name: "enable.metrics.push", kind: "BOOLEAN"},
		{name: "sasl.kerberos.min.time.before.relogin", kind: "LONG", least: anyNumber},
		{name: "sasl.kerberos.ticket.renew.jitter", kind: "DOUBLE", least: anyNumber},
		{name: "sasl.kerberos.ticket.renew.window.factor", kind: "DOUBLE", least: anyNumber},
		{name: "sasl.login.refresh.window.factor", kind: "DOUBLE", least: 0.5, most: 1},
		{name: "sasl.login.refresh.window.jitter", kind: "DOUBLE", most: 0.25},
		{name: "sasl.login.refresh.min.period.seconds", kind: "SHORT", most: 900},
		{name: "sasl.login.refresh.buffer.seconds", kind: "SHORT", most: 3600},
		{name: "sasl.login.connect.timeout.ms", kind: "INT", least: anyNumber},
		{name: "sasl.login.read.timeout.ms", kind: "INT", least: anyNumber},
		{name: "sasl.login.retry.backoff.ms", kind: "LONG", least: anyNumber},
		{name: "sasl.login.retry.backoff.max.ms", kind: "LONG", least: anyNumber},
		{name: "sasl.oauthbearer.clock.skew.seconds", kind: "INT", least: anyNumber},
		{name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", kind: "LONG", least: anyNumber},
	}
	switch role {
	case Producer:
		keys = append(keys,
			idleKey{name: "metadata.max.idle.ms", kind: "LONG", least: 5000},
			idleKey{name: "partitioner.availability.timeout.ms", kind: "LONG"},
			idleKey{name: "transaction.two.phase.commit.enable", kind: "BOOLEAN"})
	case Consumer:
		keys = append(keys,
			idleKey{name: "share.acknowledgement.mode", choices: []string{"implicit", "explicit"}},
			idleKey{name: "internal.throw.on.fetch.stable.offset.unsupported", kind: "BOOLEAN"})
	}
	return keys
}

// checkIdle checks the values of keys that do nothing. They stay unused: the user is told why.
func (r *reader) checkIdle(role Role) {
	for _, k := range idleKeys(role) {
		if _, set := r.props[k.name]; !set {
			continue
		}
		k.check(r)
		delete(r.used, k.name)
	}
}

func (k *idleKey) check(r *reader) {
	switch {
	case k.folded:
		r.oneOfFold(k.name, "", k.choices...)
	case k.kind == "":
		r.oneOf(k.name, "", k.choices...)
	case k.kind == "BOOLEAN":
		r.bool(k.name, false)
	default:
		k.checkNumber(r)
	}
}

func (k *idleKey) checkNumber(r *reader) {
	text := r.str(k.name, "")
	var n float64
	var err error
	if bits := map[string]int{"SHORT": 16, "INT": 32, "LONG": 64}[k.kind]; bits != 0 {
		var whole int64
		whole, err = strconv.ParseInt(text, 10, bits)
		n = float64(whole)
	} else {
		n, err = strconv.ParseFloat(text, 64)
	}
	switch {
	case err != nil:
		r.fail(k.name, text, "Not a number of type "+k.kind)
	case n < k.least:
		r.fail(k.name, text, "Value must be at least "+k.bound(k.least))
	case k.most != 0 && n > k.most:
		r.fail(k.name, text, "Value must be no more than "+k.bound(k.most))
	}
}

// bound is a bound as Java prints it.
func (k *idleKey) bound(n float64) string {
	if k.kind == "DOUBLE" && n == math.Trunc(n) {
		return fmt.Sprintf("%.1f", n)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
