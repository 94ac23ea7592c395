package wire

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// requests.txt holds the request schemas of Apache Kafka 4.3.1, every stable version,
// as the running software tells them.
//
//go:embed requests.txt
var requestsText string

// Listener is the kind of a listener, which decides what may be served on it.
type Listener byte

const (
	// Broker listeners serve clients and other brokers.
	Broker Listener = 'B'
	// Controller listeners serve brokers, other controllers and admin clients.
	Controller Listener = 'C'
)

func (l Listener) String() string {
	if l == Controller {
		return "controller"
	}
	return "broker"
}

// Range is the versions of one API.
type Range struct {
	Key int16
	Min int16
	Max int16
	// AdvertisedMin is what ApiVersions says instead of Min. It differs only for
	// Produce on brokers: old librdkafka looks for version 0 before it compresses,
	// and never sends it.
	AdvertisedMin int16
}

// KafkaRanges is what Kafka 4.3 serves on a listener of a kind, sorted by key: the
// most that a Table may hold.
func KafkaRanges(l Listener) []Range {
	var out []Range
	for _, a := range catalog() {
		if a.serves(l) {
			out = append(out, a.kafkaRange(l))
		}
	}
	return out
}

// api is one paragraph of requests.txt.
type api struct {
	Range
	name      string
	listeners string
	lines     []string // for the versions from Min on
}

func (a *api) serves(l Listener) bool { return strings.IndexByte(a.listeners, byte(l)) >= 0 }

func (a *api) kafkaRange(l Listener) Range {
	r := a.Range
	if a.name == "Produce" && l == Broker {
		r.AdvertisedMin = 0
	}
	return r
}

// catalog splits requests.txt. A line that it cannot read leaves its API out, which
// the package's tests and NewTable notice.
func catalog() []api { return parseCatalog(requestsText) }

func parseCatalog(text string) []api {
	var out []api
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if head, ok := strings.CutPrefix(line, "api "); ok {
			if a, ok := parseHead(head); ok {
				out = append(out, a)
			}
		} else if len(out) > 0 {
			last := &out[len(out)-1]
			last.lines = append(last.lines, line)
		}
	}
	return out
}

// parseHead reads "KEY NAME LISTENERS MIN-MAX".
func parseHead(head string) (a api, ok bool) {
	f := strings.Fields(head)
	if len(f) != 4 {
		return a, false
	}
	low, high, _ := strings.Cut(f[3], "-")
	for _, n := range []struct {
		text string
		to   *int16
	}{{f[0], &a.Key}, {low, &a.Min}, {high, &a.Max}} {
		v, err := strconv.ParseInt(n.text, 10, 16)
		if err != nil {
			return a, false
		}
		*n.to = int16(v)
	}
	a.name, a.listeners, a.AdvertisedMin = f[1], f[2], a.Min
	return a, true
}

// versions compiles the lines of an API for the versions from minVersion to maxVersion,
// which are within its own. Versions that read the same share their ops.
func (a *api) versions(minVersion, maxVersion int16) ([]Version, error) {
	var text string
	var ops []op
	out := make([]Version, 0, maxVersion-minVersion+1)
	for v := a.Min; v <= maxVersion; v++ {
		flexible, fields, same, err := a.line(v)
		if err != nil {
			return nil, err
		}
		if !same {
			text, ops = fields, nil
		}
		if v < minVersion {
			continue
		}
		if ops == nil {
			if ops, err = compile(text); err != nil {
				return nil, fmt.Errorf("cannot compile the schema of %s v%d: %w", a.name, v, err)
			}
		}
		out = append(out, Version{Key: a.Key, Version: v, Name: a.name, Flexible: flexible, ops: ops})
	}
	return out, nil
}

// line reads the line of one version; same means that its fields are those of the version before.
func (a *api) line(v int16) (flexible bool, fields string, same bool, err error) {
	if i := int(v - a.Min); i < len(a.lines) {
		number, rest, _ := strings.Cut(a.lines[i], " ")
		header, fields, _ := strings.Cut(rest, " ")
		if number == strconv.Itoa(int(v)) && (header == "h1" || header == "h2") {
			same := fields == "= "+strconv.Itoa(int(v)-1)
			return header == "h2", fields, same, nil
		}
	}
	return false, "", false, fmt.Errorf("requests.txt has no line for %s v%d", a.name, v)
}
