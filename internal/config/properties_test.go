package config

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// tricky.expected is what Java's own Properties.load made of tricky.properties.
func TestPropertiesAreReadAsByJava(t *testing.T) {
	entries, err := ParseProperties(read(t, "tricky.properties"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&got, "%s => %s|\n", java(e.Key), java(e.Value))
	}
	if want := string(read(t, "tricky.expected")); got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// java writes s in ASCII, the rest as \uXXXX.
func java(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if u < ' ' || u > 126 || u == '\\' {
			fmt.Fprintf(&b, "\\u%04x", u)
		} else {
			b.WriteByte(byte(u))
		}
	}
	return b.String()
}

func TestPropertiesKeepTheirLines(t *testing.T) {
	entries, err := ParseProperties([]byte("\n# c\na=1\nb=2,\\\n  3\n\nc=4"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Property{{"a", "1", 3}, {"b", "2,3", 4}, {"c", "4", 7}}
	if len(entries) != len(want) {
		t.Fatal(entries)
	}
	for i := range want {
		if entries[i] != want[i] {
			t.Errorf("got %v, want %v", entries[i], want[i])
		}
	}
}

func TestPropertiesThatCannotBeReadSayWhere(t *testing.T) {
	for text, want := range map[string]string{
		"a=1\nb=\\u12":     "line 2",
		"a=1\n\nb=\\uzzzz": "line 3",
		"a=1\nb=\xff\xfe":  "line 2 is not UTF-8",
		"\\u=1":            "line 1",
		strings.Repeat("#", maxPropertiesBytes+1): "at most",
	} {
		if _, err := ParseProperties([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzParseProperties(f *testing.F) {
	f.Add([]byte("a=b\nc:d\\\n e\\u0041"))
	f.Add([]byte("\\"))
	f.Add([]byte("a\\ b = \\uD83D\\uDE00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := ParseProperties(text)
		if err != nil {
			return
		}
		line := 0
		for _, e := range entries {
			if e.Line <= line {
				t.Fatalf("line %d after %d", e.Line, line)
			}
			line = e.Line
			// What was read, written plainly, is read again as the same.
			again, err := ParseProperties([]byte(escapeAll(e.Key) + "=" + escapeAll(e.Value)))
			if err != nil || len(again) != 1 || again[0].Key != e.Key || again[0].Value != e.Value {
				t.Fatalf("%+q became %v, %v", e.Key+"="+e.Value, again, err)
			}
		}
	})
}

func escapeAll(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "\\u%04x", u)
	}
	return b.String()
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n"))
	f.Add([]byte("broker.id=1\nzookeeper.connect=z\nlisteners=PLAINTEXT://[::1]:9092\nmax.connections.per.ip.overrides=a:1"))
	f.Add([]byte("advertised.host.name=x\nport=y"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, r := Load(Sources{FileName: "f", File: text})
		if (c == nil) != (len(r.Problems) > 0) {
			t.Fatal("a configuration with problems, or none without")
		}
		r.Lines()
		if c != nil { // what was accepted answers every question
			c.AllListeners()
			c.Advertised()
			c.QuorumVoters()
			c.DescribeBroker()
			c.IPOverrides()
			c.MetadataDir()
			if _, errs := c.Topic(nil); len(errs) > 0 {
				t.Fatal(errs)
			}
		}
	})
}
