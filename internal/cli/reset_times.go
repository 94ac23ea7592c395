package cli

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	isoDuration  = regexp.MustCompile(`^(?i)([-+]?)P(?:([-+]?\d+)D)?(T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?$`)
	errDuration  = errors.New("Text cannot be parsed to a Duration")
	isoDateTime  = regexp.MustCompile(`^\s*(\d{1,9})-\s*(\d{1,9})-\s*(\d{1,9})T\s*(\d{1,9}):\s*(\d{1,9}):\s*(\d{1,9})\.\s*(\d{1,9})(.*)$`)
	isoZone      = regexp.MustCompile(`^(?:Z|([-+])([01]\d|2[0-3])(?::?([0-5]\d))?)`)
	instantUnits = []string{"days", "hours", "minutes", "seconds"}
)

// isoLength is a duration as exact as Java's, which may be far longer than Go's can be.
type isoLength struct {
	seconds int64
	nanos   int64 // of the same sign
}

// parseISODuration reads PnDTnHnMnS, the form of java.time.Duration.
func parseISODuration(s string) (time.Duration, error) {
	l, err := parseISOLength(s)
	if err != nil || l.seconds > math.MaxInt64/int64(time.Second)-1 || l.seconds < -math.MaxInt64/int64(time.Second)+1 {
		return 0, errDuration
	}
	return time.Duration(l.seconds)*time.Second + time.Duration(l.nanos), nil
}

func parseISOLength(s string) (isoLength, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || m[2] == "" && m[4] == "" && m[5] == "" && m[6] == "" || strings.EqualFold(m[3], "T") {
		return isoLength{}, errDuration
	}
	total := new(big.Int)
	for i, part := range []struct {
		text string
		unit int64
	}{{m[2], 86400}, {m[4], 3600}, {m[5], 60}, {m[6], 1}} {
		if part.text == "" {
			continue
		}
		n, err := strconv.ParseInt(part.text, 10, 64)
		seconds := new(big.Int).Mul(big.NewInt(n), big.NewInt(part.unit))
		if err != nil || !seconds.IsInt64() {
			return isoLength{}, fmt.Errorf("%w: %s", errDuration, instantUnits[i])
		}
		total.Add(total, seconds)
	}
	l := isoLength{}
	if m[7] != "" {
		l.nanos, _ = strconv.ParseInt((m[7] + "000000000")[:9], 10, 64) // nine digits
		if strings.HasPrefix(m[6], "-") {
			l.nanos = -l.nanos
		}
	}
	if m[1] == "-" {
		total.Neg(total)
		l.nanos = -l.nanos
	}
	if !total.IsInt64() {
		return isoLength{}, errDuration
	}
	l.seconds = total.Int64()
	return l, nil
}

// before is the time so long before another, in ms, with the bounds of Java's instants.
func (l isoLength) before(now time.Time) (int64, error) {
	at := new(big.Int).Sub(big.NewInt(now.Unix()), big.NewInt(l.seconds))
	if !at.IsInt64() || at.Int64() < -31557014167219200 || at.Int64() > 31556889864403199 {
		return 0, errors.New("Instant exceeds minimum or maximum instant")
	}
	ms := new(big.Int).Mul(at, big.NewInt(1000))
	ms.Add(ms, big.NewInt((int64(now.Nanosecond())-l.nanos)/int64(time.Millisecond)))
	if !ms.IsInt64() {
		return 0, errors.New("long overflow")
	}
	return ms.Int64(), nil
}

// parseDateTime reads 2026-01-31T15:30:00.000 with or without an offset; without one the time is UTC. As in Java a number may
// have fewer digits, or more, and what is behind the offset does not count.
func parseDateTime(s string) (int64, error) {
	_, clock, ok := strings.Cut(s, "T")
	if !ok || strings.Trim(clock, "T") == "" {
		const text = "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"
		return 0, &javaError{text: "java.text.ParseException: " + text, plain: text}
	}
	if !strings.ContainsAny(clock, "+-Z") {
		s += "Z"
	}
	if ms, ok := readDateTime(s); ok {
		return ms, nil
	}
	text := fmt.Sprintf("Unparseable date: \"%s\"", s)
	return 0, &javaError{text: "java.text.ParseException: " + text, plain: text}
}

func readDateTime(s string) (ms int64, ok bool) {
	m := isoDateTime.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	var n [7]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // nine digits at most
	}
	zone := isoZone.FindStringSubmatch(m[8])
	day := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	if zone == nil || n[0] < 1 || n[1] < 1 || n[1] > 12 || n[2] < 1 || day.Day() != n[2] || n[3] > 23 || n[4] > 59 || n[5] > 59 || n[6] > 999 {
		return 0, false
	}
	ms = day.UnixMilli() + int64(((n[3]*60+n[4])*60+n[5])*1000+n[6])
	if zone[1] != "" {
		hours, _ := strconv.Atoi(zone[2])
		minutes, _ := strconv.Atoi(zone[3]) // none is none
		offset := int64(hours*60+minutes) * 60000
		if zone[1] == "+" {
			offset = -offset
		}
		ms += offset
	}
	return ms, true
}
