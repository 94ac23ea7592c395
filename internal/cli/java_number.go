package cli

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// parseJavaDouble is Double.parseDouble: blanks around a number and a letter of its type behind it are no part of it, and one that is
// too great is infinite.
func parseJavaDouble(s string) (float64, error) {
	text := strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	sign := 1.0
	bare := strings.TrimPrefix(text, "+")
	if strings.HasPrefix(text, "-") {
		bare, sign = text[1:], -1
	}
	switch bare {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(int(sign)), nil
	}
	decimal := regexp.MustCompile(`^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?$`)
	hexadecimal := regexp.MustCompile(`^0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+[fFdD]?$`)
	if !decimal.MatchString(bare) && !hexadecimal.MatchString(bare) {
		return 0, numberFormat(s)
	}
	v, err := strconv.ParseFloat(strings.TrimRight(bare, "fFdD"), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, numberFormat(s)
	}
	return sign * v, nil
}
