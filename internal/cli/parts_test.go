package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

func TestLinesSplitAsJavaSplitsThem(t *testing.T) {
	const input = "a\nb\r\n\r\nc\rd\r\r\ne"
	want := []string{"a", "b", "", "c", "d", "", "e"}
	for name, in := range map[string]io.Reader{"whole": strings.NewReader(input), "byte by byte": iotest.OneByteReader(strings.NewReader(input))} {
		sc := newLineScanner(in)
		var got []string
		for {
			l, err := sc.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(l))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, wanted %q", name, got, want)
		}
	}
}

func TestLinesKeepTheirBytesWhileReadingGoesOn(t *testing.T) {
	long := strings.Repeat("x", 3*scanBlockBytes)
	sc := newLineScanner(strings.NewReader("first\n" + long + "\n" + "last"))
	first, _ := sc.next()
	second, _ := sc.next()
	last, _ := sc.next()
	if string(first) != "first" || string(second) != long || string(last) != "last" {
		t.Error("a line changed after the next was read")
	}
}

func TestAFailingInputIsReported(t *testing.T) {
	sc := newLineScanner(iotest.ErrReader(errors.New("broken")))
	if _, err := sc.next(); err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestDurationsAndDates(t *testing.T) {
	for s, want := range map[string]time.Duration{"P1D": 24 * time.Hour, "PT1H30M": 90 * time.Minute, "PT0.5S": 500 * time.Millisecond, "-PT2S": -2 * time.Second, "P2DT3M4.5S": 48*time.Hour + 3*time.Minute + 4500*time.Millisecond} {
		if got, err := parseISODuration(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "P", "PT", "1day", "P1DT", "P1H", "P99999999999999D"} {
		if d, err := parseISODuration(s); err == nil {
			t.Errorf("%q was read as %v", s, d)
		}
	}
	for s, want := range map[string]int64{"1970-01-01T00:00:01.000": 1000, "1970-01-01T09:00:00.000+09:00": 0, "1970-01-01T00:00:00.250Z": 250, "1970-01-01T09:00:00.000+0900": 0} {
		if got, err := parseDateTime(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for s, want := range map[string]int64{"2020-1-1T0:0:0.5": 1577836800005, "2020-01-01T00:00:00.000+09:30": 1577802600000, "2020-01-01T00:00:00.000+09": 1577804400000, "2020-01-01T00:00:00.000+0960": 1577804400000,
		"2020-01-01T00:00:00.000Zfoo": 1577836800000, "12020-01-01T00:00:00.000Z": 317147356800000, "2020-01-01T00:00: 5.0001Z": 1577836805001} {
		if got, err := parseDateTime(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"2020-02-30T00:00:00.000", "2020-01-01T24:00:00.000", "2020-01-01T00:00:60.000", "2020-01-01T00:00:00.1234", "2020-01-01T00:00:00.", "2020-01-01T00:00:00.000+9", "2020-01-01T00:00:00.000+2500", "-2020-01-01T00:00:00.000Z"} {
		if got, err := parseDateTime(s); err == nil {
			t.Errorf("%s was read as %d", s, got)
		}
	}
	now := time.UnixMilli(1795460020279)
	for s, want := range map[string]int64{"P99999D": 1795460020279 - 99999*86400000, "PT1.5S": 1795460018779, "PT-1H": 1795463620279, "P106751991168D": 1795460020279 - 106751991168*86400000} {
		l, err := parseISOLength(s)
		if got, beyond := l.before(now); err != nil || beyond != nil || got != want {
			t.Errorf("%s: %d, %v, %v", s, got, err, beyond)
		}
	}
	if l, err := parseISOLength("P999999999999D"); err != nil {
		t.Error(err)
	} else if _, err := l.before(now); err == nil || err.Error() != "Instant exceeds minimum or maximum instant" {
		t.Error(err)
	}
	if _, err := parseDateTime("noon"); err == nil {
		t.Error("noon is no date")
	}
}

func TestJavaText(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 7: "7.0", 1.5: "1.5", 1e7: "1.0E7", 1.25e-5: "1.25E-5", 0.001: "0.001", 123456.789: "123456.789"} {
		if got := javaDouble(v, 64); got != want {
			t.Errorf("%v: %s, wanted %s", v, got, want)
		}
	}
	if got := javaDouble(float64(float32(0.1)), 32); got != "0.1" {
		t.Errorf("float 0.1: %s", got)
	}
	if javaHash("t1") != 3645 || javaHash("세번째") == 0 {
		t.Error("String.hashCode differs")
	}
	tps := map[topicPartition]int{{"mga", 0}: 0, {"mga", 1}: 0}
	if got := fmt.Sprint(hashMapOrderOfPartitions(tps)); got != "[mga-1 mga-0]" {
		t.Errorf("a HashMap's order of partitions: %s", got)
	}
	if got := strings.Join(hashMapOrder([]string{"my.topic_x", "t1", "t2", "t3", "t4"}), " "); got != "t4 my.topic_x t1 t2 t3" {
		t.Errorf("a HashMap's order: %s", got)
	}
	if _, err := compileJava("["); err == nil || err.Error() != "Unclosed character class near index 0\n[\n^" {
		t.Errorf("pattern: %v", err)
	}
}

func TestDeserializers(t *testing.T) {
	for _, c := range []struct{ class, in, want, fails string }{
		{"LongDeserializer", "\x00\x00\x00\x00\x00\x00\x01\x00", "256", ""},
		{"LongDeserializer", "abc", "", "Size of data received by LongDeserializer is not 8"},
		{"IntegerDeserializer", "\xff\xff\xff\xff", "-1", ""},
		{"ShortDeserializer", "\x00\x07", "7", ""},
		{"DoubleDeserializer", "\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5", ""},
		{"FloatDeserializer", "\x3f\x80\x00\x00", "1.0", ""},
		{"BooleanDeserializer", "\x01", "true", ""},
		{"BooleanDeserializer", "a", "", "Unexpected byte received by BooleanDeserializer: 97"},
		{"UUIDDeserializer", "123E4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000", ""},
		{"UUIDDeserializer", "a", "", "Error parsing data into UUID"},
		{"BytesDeserializer", "a\x00\\", `a\x00\x5C`, ""},
		{"VoidDeserializer", "a", "", "Data should be null for a VoidDeserializer."},
	} {
		got, err := deserializers()[c.class](nil, []byte(c.in))
		if c.fails != "" {
			if err == nil || err.Error() != c.fails {
				t.Errorf("%s: %v, wanted %s", c.class, err, c.fails)
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.class, got, err)
		}
	}
}

func TestOptionRules(t *testing.T) {
	set := newOptions()
	set.flag("state", "").takesMaybe("x")
	set.arg("n", "", "").ofKind(intValue)
	set.arg("keys", "", "").separatedBy(",")
	p, err := set.parse([]string{"stray", "--state", "--n", "-5", "--keys", "a,b", "-keys=c", "--", "--nonsense"})
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := p.number("n"); !ok || n != -5 || p.err != nil {
		t.Errorf("n is %d, %v", n, p.err)
	}
	if !p.has("state") || len(p.all("state")) != 0 || strings.Join(p.all("keys"), "+") != "a+b+c" {
		t.Errorf("parsed %+v", p)
	}
	p, _ = set.parse([]string{"--state", "Empty", "--n", "99999999999"})
	if p.number("n"); p.err == nil || p.value("state") != "Empty" {
		t.Errorf("parsed %+v", p)
	}
}

func TestFormatterColumns(t *testing.T) {
	r := newRun(&Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}, "x", nil)
	f := r.newDefaultFormatter(client.Properties{"print.value": "false"})
	if err := f.write(r.out, nil); err == nil && r.out.Buffered() != 0 {
		t.Error("nothing to print printed something")
	}
}
