package meta

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The fixture was written by Apache Kafka 4.3.1's own classes: every metadata record at every version, once with a
// distinct value in each field and once with the defaults, as bytes and as the JSON that its dump tool shows.
func TestEveryRecordAtEveryVersionIsKafkasBytes(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(readFixture(t, "records-4.3.1.tsv")), "\n")
	seen := map[Type]int16{}
	for _, line := range lines {
		col := strings.Split(line, "\t")
		number, version := atoi(t, col[0]), atoi(t, col[1])
		raw, err := hex.DecodeString(col[3])
		if err != nil {
			t.Fatal(err)
		}
		r, got, err := ParseVersioned(raw)
		if err != nil {
			t.Errorf("%s v%d: %v", col[2], version, err)
			continue
		}
		if r.Type() != Type(number) || int(got) != version || r.Type().String() != col[2] {
			t.Errorf("%s v%d was read as %s v%d", col[2], version, r.Type(), got)
		}
		if out := appendVersion(nil, r, int16(version)); !bytes.Equal(out, raw) {
			t.Errorf("%s v%d\nwritten %x\nKafka's %x", col[2], version, out, raw)
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(col[4]), &want); err != nil {
			t.Fatal(err)
		}
		compareJSON(t, col[2]+" v"+col[1], reflect.ValueOf(r).Elem(), want)
		seen[Type(number)] = max(seen[Type(number)], int16(version))
		cutAndPad(t, col[2], raw)
	}
	for n := Type(0); n < 40; n++ {
		if k, ok := kindOf(n); ok && seen[n] != k.maxVersion {
			t.Errorf("%s: the fixture goes to version %d, the table to %d", k.name, seen[n], k.maxVersion)
		}
	}
}

// cutAndPad breaks a record's bytes in the simple ways.
func cutAndPad(t *testing.T, name string, raw []byte) {
	t.Helper()
	for i := range raw {
		if _, err := Parse(raw[:i]); err == nil {
			t.Errorf("%s cut to %d of %d bytes is accepted", name, i, len(raw))
		}
	}
	if _, err := Parse(append(bytes.Clone(raw), 0)); err == nil {
		t.Errorf("%s with a byte too many is accepted", name)
	}
}

// compareJSON looks for each field of Kafka's JSON in the struct, by name without regard to case.
func compareJSON(t *testing.T, at string, v reflect.Value, want map[string]any) {
	t.Helper()
	alias := map[string]string{"lastKnownElr": "LastKnownELR"}
	for key, w := range want {
		name := key
		if a, ok := alias[key]; ok {
			name = a
		}
		f := v.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
		if !f.IsValid() {
			t.Errorf("%s: no field %s", at, key)
			continue
		}
		compareValue(t, at+"."+key, f, w)
	}
}

func compareValue(t *testing.T, at string, f reflect.Value, want any) {
	t.Helper()
	if f.Kind() == reflect.Pointer {
		if f.IsNil() != (want == nil) {
			t.Errorf("%s: nil is %v, want %v", at, f.IsNil(), want)
		} else if want != nil {
			compareValue(t, at, f.Elem(), want)
		}
		return
	}
	var got any
	switch v := f.Interface().(type) {
	case UUID:
		got = FormatUUID(v)
	case []byte:
		got = base64.StdEncoding.EncodeToString(v)
	case string:
		got = v
	case bool:
		got = v
	case float64:
		got = v
	default:
		switch f.Kind() {
		case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			got = float64(f.Int())
		case reflect.Uint16:
			got = float64(f.Uint())
		case reflect.Struct:
			compareJSON(t, at, f, want.(map[string]any))
			return
		case reflect.Slice:
			list, _ := want.([]any)
			if f.Len() != len(list) {
				t.Errorf("%s: %d elements, want %d", at, f.Len(), len(list))
				return
			}
			for i := range list {
				compareValue(t, at+"["+strconv.Itoa(i)+"]", f.Index(i), list[i])
			}
			return
		}
	}
	if got != want {
		t.Errorf("%s: %v, want %v", at, got, want)
	}
}

func TestRecordsAreWrittenInTheVersionOfTheLevel(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		level int16
		want  int16
	}{
		{TypeRegisterBroker, 7, 1}, {TypeRegisterBroker, 8, 2}, {TypeRegisterBroker, 17, 3}, {TypeRegisterBroker, 29, 3}, {TypeRegisterBroker, 30, 4},
		{TypePartition, 16, 0}, {TypePartition, 17, 1}, {TypePartition, 23, 2}, {TypePartitionChange, 22, 1},
		{TypeBrokerRegistrationChange, 7, 1}, {TypeBrokerRegistrationChange, 30, 3}, {TypeTopic, 30, 0},
	} {
		if got := c.typ.VersionAt(c.level); got != c.want {
			t.Errorf("%s at level %d: version %d, want %d", c.typ, c.level, got, c.want)
		}
	}
	if got := Append(nil, &BrokerRegistrationChangeRecord{Fenced: 1})[2]; got != 0 {
		t.Errorf("fencing is written in version %d; Kafka writes 0", got)
	}
}

func TestLevelsHaveKafkasNames(t *testing.T) {
	for level, want := range map[int16]string{7: "3.3-IV3", 17: "3.7-IV2", 25: "4.0-IV3", 30: "4.3-IV0"} {
		if got, ok := MetadataVersionName(level); !ok || got != want {
			t.Errorf("level %d: %q", level, got)
		}
	}
	for _, level := range []int16{6, 31} {
		if _, ok := MetadataVersionName(level); ok {
			t.Errorf("level %d has a name", level)
		}
	}
}

func FuzzParse(f *testing.F) {
	lines, err := os.ReadFile("testdata/records-4.3.1.tsv")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		raw, _ := hex.DecodeString(strings.Split(line, "\t")[3])
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, v, err := ParseVersioned(b)
		if err != nil {
			return
		}
		out := appendVersion(nil, r, v) // what was read once must be read again as the same
		again, _, err := ParseVersioned(out)
		if err != nil || !bytes.Equal(appendVersion(nil, again, v), out) {
			t.Fatalf("%x was read, written as %x, and then: %v", b, out, err)
		}
	})
}

func readFixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
