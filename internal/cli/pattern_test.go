package cli

import (
	"os"
	"strings"
	"testing"
)

// testdata/java-patterns.txt holds what java.util.regex of Java 17 makes of each pattern: which of these names it matches, or what it
// has against it.
func TestPatternsAreReadAsJavaReadsThem(t *testing.T) {
	names := []string{"lk.one", "lk.two", "LK3", "__consumer_offsets", "", "a", "aa", "aab", "abab", "x]", "lk}", "a-b", "주문", "ü", "_", "{1}lk", "lk", "&", "a&b", "1", "a\tb"}
	data, err := os.ReadFile("testdata/java-patterns.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, l := range lines {
		expr, want, ok := strings.Cut(l, "\t=> ")
		if !ok {
			t.Fatalf("%q is no line of a pattern", l)
		}
		got := ""
		p, err := compileJava(expr)
		if err != nil {
			got = strings.ReplaceAll(err.Error(), "\n", "|")
		}
		for _, name := range names {
			if err == nil && p.MatchString(name) {
				got += "<" + name + ">"
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", expr, got, want)
		}
	}
	if len(lines) < 150 {
		t.Errorf("only %d patterns", len(lines))
	}
}

// Java's decoder has its own words for what is no UUID.
func TestUUIDsAreDecodedAsJavaDoes(t *testing.T) {
	for text, want := range map[string]string{
		"AAAAAAAAAAAAAAAAAAAAAQ":   "",
		"AAAAAAAAAAAAAAAAAAAAAQ==": "",
		"AAAAAAAAAAAAAAAAAAAAAQ=":  "Input byte array has wrong 4-byte ending unit",
		"AAAAAAAAAAAAAAAAAAAAA":    "Last unit does not have enough valid bits",
		"A":                        "Input byte[] should at least have 2 bytes for base64 bytes",
		"AAAA":                     "Input string `AAAA` decoded as 3 bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID",
		"AA==A":                    "Input byte array has incorrect ending byte at 4",
		"AA/A":                     "Illegal base64 character 2f",
		"ünï":                      "Illegal base64 character -4",
		"주문":                       "Illegal base64 character 3f",
	} {
		got := ""
		if _, err := parseUUID(text); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestDoublesAreParsedAsJavaDoes(t *testing.T) {
	for text, want := range map[string]string{"5d": "5.0", " 6 ": "6.0", "0x1p3": "8.0", "-1.5F": "-1.5", "1e400": "Infinity", "NaN": "NaN", "+.5": "0.5"} {
		v, err := parseJavaDouble(text)
		if err != nil || javaDouble(v, 64) != want {
			t.Errorf("%q: got %v, %v, want %s", text, v, err, want)
		}
	}
	for _, text := range []string{"", "inf", "nan", "0x10", "1_0", "1 0", "d", "1e"} {
		if v, err := parseJavaDouble(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, v)
		}
	}
}

func TestAddConfigIsSplitWhereTheNextBracketOpens(t *testing.T) {
	for text, want := range map[string]string{
		",":                         "",
		"a=1,":                      "a=1",
		"=5":                        "=5",
		"a=[1,2],b=[3],c=4":         "a=1,2 b=3 c=4",
		"m=[client_id=a,version=b]": "m=client_id=a,version=b",
		"a=x[1,2]":                  "a=x1,2",
		"a=compact]":                "refused",
		"[a=5]":                     "refused",
		",a=1":                      "refused",
		"a=1=2":                     "refused",
	} {
		props, err := parseAddConfig(text)
		var parts []string
		for _, k := range props.Keys() {
			parts = append(parts, k+"="+props[k])
		}
		got := strings.Join(parts, " ")
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What matches nothing may be wanted any number of times. The verdicts are Java 17's on the whole of "a".
func TestAPatternThatRepeatsNothing(t *testing.T) {
	for expr, want := range map[string]bool{
		"{99999999}":       false,
		"(){99999999}a":    true,
		"(|a){2}":          true,
		"(|a){2}b":         false,
		"(a|){3}+":         true,
		"(?:){9999999,}?a": true,
		"a{0}":             false,
		"(a*)*":            true,
		"(|a)+":            true,
		"(a|b|){5}":        true,
	} {
		p, err := compileJava(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		if got := p.MatchString("a"); got != want {
			t.Errorf("%s: %v, Java's verdict is %v", expr, got, want)
		}
	}
}
