package cli

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// javaHash is String.hashCode.
func javaHash(s string) int32 {
	var h int32
	for _, u := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(u)
	}
	return h
}

// hashMapOrder sorts keys as iterating a java.util.HashMap that they were put
// into one by one does. Some of the tools print in that order.
func hashMapOrder(keys []string) []string { return mapOrder(keys, 16) }

// sizedMapOrder is hashMapOrder for a map that was made for as many keys.
func sizedMapOrder(keys []string) []string {
	buckets := uint32(1)
	for buckets < uint32(len(keys)) {
		buckets *= 2
	}
	return mapOrder(keys, buckets)
}

func mapOrder(keys []string, buckets uint32) []string { return orderByHash(keys, javaHash, buckets) }

// hashMapOrderOfPartitions is hashMapOrder for keys that are TopicPartitions;
// those of one bucket come by topic and number.
func hashMapOrderOfPartitions[V any](m map[topicPartition]V) []topicPartition {
	return orderByHash(sortedPartitions(m), func(tp topicPartition) int32 { return 31*(31+tp.partition) + javaHash(tp.topic) }, 16)
}

func orderByHash[K any](keys []K, hash func(K) int32, buckets uint32) []K {
	for float64(len(keys)) > 0.75*float64(buckets) {
		buckets *= 2
	}
	slot := func(k K) uint32 {
		h := uint32(hash(k))
		return (h ^ h>>16) & (buckets - 1)
	}
	out := slices.Clone(keys)
	slices.SortStableFunc(out, func(a, b K) int { return cmp.Compare(slot(a), slot(b)) })
	return out
}

// uuidString is Kafka's form of a UUID: URL-safe base64 without padding.
func uuidString(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseUUID reads Kafka's form; the errors are Kafka's.
func parseUUID(s string) (id [16]byte, err error) {
	if len(s) > 24 {
		return id, fmt.Errorf("Input string with prefix `%s` is too long to be decoded as a base64 UUID", s[:24])
	}
	b, err := javaBase64URL(s)
	if err != nil {
		return id, err
	}
	if len(b) != 16 {
		return id, fmt.Errorf("Input string `%s` decoded as %d bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID", s, len(b))
	}
	copy(id[:], b)
	return id, nil
}

// compileSubscription compiles a Java regular expression for the client underneath, which subscribes by Go's: look-around and
// back references are refused by name.
func compileSubscription(expr string) (*regexp.Regexp, error) {
	if _, err := compileJava(expr); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, &patternError{fmt.Sprintf("the regular expression %s uses what is not available here, such as look-around: %s", expr, strings.TrimPrefix(err.Error(), "error parsing regexp: "))}
	}
	return re, nil
}

// topicFilter is Kafka's IncludeList: a Java pattern in which a comma means "or".
type topicFilter struct{ re *javaPattern }

func newTopicFilter(expr string) (*topicFilter, error) {
	s := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(expr), ",", "|"), " ", "")
	s = strings.TrimRight(strings.TrimLeft(s, `"'`), `"'`)
	re, err := compileJava(s)
	if err != nil {
		says := s + " is an invalid regex."
		return nil, &javaError{text: "java.lang.RuntimeException: " + says, plain: says, cause: err}
	}
	return &topicFilter{re}, nil
}

func (f *topicFilter) allows(topic string, excludeInternal bool) bool {
	return f.re.MatchString(topic) && !(excludeInternal && isInternalTopic(topic))
}

func isInternalTopic(topic string) bool {
	switch topic {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// javaDouble prints as Double.toString (bits 64) and Float.toString (32) do.
func javaDouble(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case v == 0:
		if math.Signbit(v) {
			return "-0.0"
		}
		return "0.0"
	}
	if a := math.Abs(v); a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(v, 'f', -1, bits)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, bits), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, err := strconv.Atoi(exp)
	if err != nil {
		return mantissa + "E" + exp
	}
	return fmt.Sprintf("%sE%d", mantissa, n)
}

// numberFormat is the message of Java's NumberFormatException.
func numberFormat(s string) error { return fmt.Errorf("For input string: \"%s\"", s) }

// joinInts prints ids as Kafka does: separated by commas.
func joinInts(ids []int32, sep string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(parts, sep)
}

// javaSplit splits as Java does: empty strings at the end are not there, but for a text that is empty itself.
func javaSplit(s, sep string) []string {
	parts := strings.Split(s, sep)
	for len(parts) > 0 && parts[len(parts)-1] == "" && s != "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}
