package main

import (
	"regexp"
	"strings"
	"testing"
)

var (
	metricName = regexp.MustCompile("`((?:kafka|moldau)_[a-z_]+)`")
	familyName = regexp.MustCompile(`"((?:kafka|moldau)_[a-z_]+)"`)
)

// The alerts that operations.md advises ask for metrics that there are.
func TestTheAlertsAskForMetricsThatThereAre(t *testing.T) {
	var source strings.Builder
	for _, name := range filesBelow(t, "../../internal", ".go") {
		source.WriteString(readFile(t, name))
	}
	families := map[string]bool{}
	for _, m := range familyName.FindAllStringSubmatch(source.String(), -1) {
		families[m[1]] = true
	}
	names := metricName.FindAllStringSubmatch(readFile(t, "../../docs/operations.md"), -1)
	if len(names) < 8 {
		t.Errorf("only %d metrics are named", len(names))
	}
	for _, m := range names {
		if !families[m[1]] {
			t.Errorf("docs/operations.md: there is no metric %s", m[1])
		}
	}
}
