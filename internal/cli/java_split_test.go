package cli

import (
	"regexp"
	"slices"
	"testing"
)

func TestTextsAreSplitAsInJava(t *testing.T) {
	for _, c := range []struct {
		pattern, text   string
		pieces, scanned []string
	}{
		{",", "a,b", []string{"a", "b"}, []string{"a", "b"}},
		{",", "a:b,", []string{"a:b"}, []string{"a:b"}},
		{",", ",a,,b,,", []string{"", "a", "", "b"}, []string{"a", "", "b", ""}},
		{"|", "a.b", []string{"a", ".", "b"}, []string{"a", ".", "b"}},
		{`\n`, "x\ny\n", []string{"x", "y"}, []string{"x", "y"}},
		{`\n`, "", []string{""}, nil},
	} {
		re := regexp.MustCompile(c.pattern)
		if got := patternSplit(re, c.text); !slices.Equal(got, c.pieces) {
			t.Errorf("%q by %q: %q", c.text, c.pattern, got)
		}
		if got := scannerTokens(re, c.text); !slices.Equal(got, c.scanned) {
			t.Errorf("what is scanned of %q by %q: %q", c.text, c.pattern, got)
		}
	}
}

func TestColumnsOfAResetPlan(t *testing.T) {
	for line, want := range map[string][]string{`그룹,"a,b",0`: {"그룹", "a,b", "0"}, `"a""b",`: {`a"b`, ""}} {
		if got := csvCells(line); !slices.Equal(got, want) {
			t.Errorf("%s: %q", line, got)
		}
	}
	row, err := parseResetLine("t, 3", false)
	if err != nil || row != (resetRow{tp: topicPartition{"t", 3}}) {
		t.Errorf("%v, %v", row, err)
	}
	if _, err := parseResetLine("t,0,1,5", false); err == nil || err.Error() != `Too many entries: expected at most 3 (value #3 (1 chars) "5")` {
		t.Error(err)
	}
}
