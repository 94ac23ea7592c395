package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// value is a parsed setting. Which field means something follows from the key's type.
type value struct {
	kind Type
	text string // as Kafka shows it: trimmed, numbers in Java's form, lists joined by commas
	null bool
	num  int64
	real float64
	list []string
	yes  bool
}

// refusal says why a value cannot be, in Kafka's words.
type refusal struct {
	shown string // the part of the value that is wrong, as Kafka shows it
	why   string
	whole bool // why is a sentence of its own
}

// sentence is what Kafka says of a refused value of a key.
func (r *refusal) sentence(key string) string {
	if r.whole {
		return r.why
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", r.shown, key, r.why)
}

// parse reads text as the key's type and then asks the key's check.
func (k *Key) parse(text string) (value, *refusal) {
	v, no := parseType(k.Type, text)
	if no != nil {
		return v, no
	}
	for _, item := range v.list {
		if item == "" {
			return v, &refusal{whole: true, why: fmt.Sprintf("Configuration '%s' values must not be empty.", k.Name)}
		}
	}
	if k.Check != nil {
		if no := k.Check.verify(k, v); no != nil {
			return v, no
		}
	}
	return v, nil
}

// fallback is the key's default, parsed; a required key and one whose default is null have a null value.
func (k *Key) fallback() value {
	if k.Null || k.Required {
		return value{kind: k.Type, null: true}
	}
	v, no := parseType(k.Type, k.Default)
	if no != nil {
		panic(fmt.Sprintf("config: the default of %s does not parse: %s", k.Name, no.why))
	}
	return v
}

func parseType(t Type, text string) (value, *refusal) {
	if t != Password {
		text = strings.TrimFunc(text, javaSpace)
	}
	v := value{kind: t, text: text}
	switch t {
	case Boolean:
		return parseBool(v)
	case Int:
		return parseInteger(v, t, 32)
	case Short:
		return parseInteger(v, t, 16)
	case Long:
		return parseInteger(v, t, 64)
	case Double:
		return parseReal(v)
	case List:
		v.list = splitList(text)
		v.text = strings.Join(v.list, ",")
	}
	return v, nil
}

func parseBool(v value) (value, *refusal) {
	switch {
	case strings.EqualFold(v.text, "true"):
		v.yes, v.text = true, "true"
	case strings.EqualFold(v.text, "false"):
		v.text = "false"
	default:
		return v, &refusal{shown: v.text, why: "Expected value to be either true or false"}
	}
	return v, nil
}

func parseInteger(v value, t Type, bits int) (value, *refusal) {
	n, err := strconv.ParseInt(v.text, 10, bits)
	if err != nil {
		return v, &refusal{shown: v.text, why: "Not a number of type " + t.String()}
	}
	v.num, v.text = n, strconv.FormatInt(n, 10)
	return v, nil
}

func parseReal(v value) (value, *refusal) {
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || math.IsNaN(f) {
		return v, &refusal{shown: v.text, why: "Not a number of type DOUBLE"}
	}
	v.real, v.text = f, javaDouble(f)
	return v, nil
}

// javaDouble writes f as Java does: 0.5, 2.0, 1.7976931348623157E308.
func javaDouble(f float64) string {
	if f != 0 && (math.Abs(f) >= 1e7 || math.Abs(f) < 1e-3) {
		s := strconv.FormatFloat(f, 'E', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		sign := ""
		if strings.HasPrefix(exponent, "-") {
			sign = "-"
		}
		return mantissa + "E" + sign + strings.TrimLeft(exponent, "+-0")
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") && !math.IsInf(f, 0) {
		s += ".0"
	}
	return s
}

// splitList reads a comma-separated value; blanks around the commas do not count and an
// empty value is an empty list.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimFunc(parts[i], javaSpace)
	}
	return parts
}

// javaSpace is what Java's String.trim takes off: every character up to the blank.
func javaSpace(r rune) bool { return r <= ' ' }
