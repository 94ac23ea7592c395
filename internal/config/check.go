package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Validator allows or refuses values that already have the right type.
type Validator interface {
	// verify is nil for a value that is allowed.
	verify(k *Key, v value) *refusal
	// String says what is allowed, for people.
	String() string
}

type (
	atLeast           struct{ min float64 }
	between           struct{ min, max float64 }
	oneOf             []string
	oneOfFold         []string // letters of either case
	listOf            []string
	nonEmptyListOf    []string // without words, any
	nonEmptyString    struct{}
	gzipLevel         struct{}
	throttledReplicas struct{}
	offsetReset       struct{}
)

func plainNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (v value) number(t Type) float64 {
	if t == Double {
		return v.real
	}
	return float64(v.num)
}

func (c atLeast) verify(k *Key, v value) *refusal {
	if v.number(k.Type) < c.min {
		return &refusal{shown: v.text, why: "Value must be at least " + plainNumber(c.min)}
	}
	return nil
}

func (c atLeast) String() string { return "at least " + plainNumber(c.min) }

func (c between) verify(k *Key, v value) *refusal {
	if no := (atLeast{c.min}).verify(k, v); no != nil {
		return no
	}
	if v.number(k.Type) > c.max {
		return &refusal{shown: v.text, why: "Value must be no more than " + plainNumber(c.max)}
	}
	return nil
}

func (c between) String() string {
	return fmt.Sprintf("from %s to %s", plainNumber(c.min), plainNumber(c.max))
}

func (c oneOf) verify(_ *Key, v value) *refusal {
	if slices.Contains(c, v.text) {
		return nil
	}
	return &refusal{shown: v.text, why: "String must be one of: " + strings.Join(c, ", ")}
}

func (c oneOf) String() string { return strings.Join(c, ", ") }

func (c oneOfFold) verify(_ *Key, v value) *refusal {
	for _, word := range c {
		if strings.EqualFold(word, v.text) {
			return nil
		}
	}
	return &refusal{shown: v.text, why: "String must be one of (case insensitive): " + strings.Join(c, ", ")}
}

func (c oneOfFold) String() string { return strings.Join(c, ", ") + " in letters of either case" }

func (c listOf) verify(k *Key, v value) *refusal {
	for _, item := range v.list {
		if no := oneOf(c).verify(k, value{text: item}); no != nil {
			return no
		}
	}
	return nil
}

func (c listOf) String() string { return "a list of: " + strings.Join(c, ", ") }

func (c nonEmptyListOf) verify(k *Key, v value) *refusal {
	if len(v.list) == 0 {
		valid := "any non-empty value"
		if len(c) > 0 {
			valid = "[" + strings.Join(c, ", ") + "]"
		}
		why := fmt.Sprintf("Configuration '%s' must not be empty. Valid values include: %s", k.Name, valid)
		return &refusal{shown: v.text, why: why, whole: true}
	}
	if len(c) == 0 {
		return nil
	}
	return listOf(c).verify(k, v)
}

func (c nonEmptyListOf) String() string {
	if len(c) == 0 {
		return "a list with at least one entry"
	}
	return "one or more of: " + strings.Join(c, ", ")
}

func (nonEmptyString) verify(_ *Key, v value) *refusal {
	if v.text == "" {
		return &refusal{shown: v.text, why: "String must be non-empty"}
	}
	return nil
}

func (nonEmptyString) String() string { return "not empty" }

func (gzipLevel) verify(_ *Key, v value) *refusal {
	if v.num == -1 || v.num >= 1 && v.num <= 9 {
		return nil
	}
	return &refusal{shown: v.text, why: "Value must be between 1 and 9 or equal to -1"}
}

func (gzipLevel) String() string { return "from 1 to 9, or -1" }

func (throttledReplicas) verify(k *Key, v value) *refusal {
	if len(v.list) == 1 && v.list[0] == "*" {
		return nil
	}
	for _, item := range v.list {
		partition, broker, ok := strings.Cut(item, ":")
		if !ok || !digits(partition) || !digits(broker) {
			return &refusal{
				shown: "[" + strings.Join(v.list, ", ") + "]",
				why: k.Name + " must be the literal '*' or a list of replicas in the following format: " +
					"[partitionId]:[brokerId],[partitionId]:[brokerId],...",
			}
		}
	}
	return nil
}

func (throttledReplicas) String() string { return "* or a list of partition:broker" }

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (offsetReset) verify(k *Key, v value) *refusal {
	if v.text == "latest" || v.text == "earliest" {
		return nil
	}
	if iso, ok := strings.CutPrefix(v.text, "by_duration:"); ok && isoDuration(iso) {
		return nil
	}
	why := fmt.Sprintf("Invalid value `%s` for configuration %s. The value must be either 'earliest', 'latest' or of the format "+
		"'by_duration:<PnDTnHnMn.nS>'.", v.text, k.Name)
	return &refusal{shown: v.text, why: why}
}

func (offsetReset) String() string { return "latest, earliest or by_duration:PnDTnHnMn.nS" }

// isoDuration is true for a duration that is not negative, such as P1DT2H3M4.5S.
func isoDuration(s string) bool {
	ok, err := regexp.MatchString(`^(?i)P(\d+D)?(T(\d+H)?(\d+M)?(\d+([.,]\d{1,9})?S)?)?$`, s)
	return err == nil && ok && len(s) > 1 && !strings.HasSuffix(strings.ToUpper(s), "T")
}
