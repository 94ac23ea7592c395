package cli

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// storedRecordsText says how Kafka's stored records lie in the log and how they are shown as JSON:
//
//	record FAMILY TYPE NAME            what follows are its versions
//	VERSION FIELDS                     or "VERSION =": as the one before
//
//	FIELDS  name TYPE, name TYPE ...   in the order of the JSON; "tags" at the end: of the flexible kind
//	        name#N TYPE = DEFAULT      a tagged field; it is shown unless it has its default
//	TYPE    INT32 ... | COMPACT_NULLABLE_STRING ... | []TYPE | compact[]TYPE | {FIELDS}
//	        a ? before [] or { makes it nullable
//
//go:embed dump_log_records.txt
var storedRecordsText string

// storedField is one field of a stored record.
type storedField struct {
	name   string
	tagged bool
	tag    uint64
	def    string // of a tagged field
	typ    *storedType
}

// storedType is a field's type.
type storedType struct {
	base     string // INT8 ... BYTES, "array", "struct"
	compact  bool
	nullable bool
	elem     *storedType   // of an array
	fields   []storedField // of a struct
	flexible bool          // of a struct: tagged fields follow
	tagged   bool          // it is the type of a tagged field
}

// storedRecord is one kind of stored record.
type storedRecord struct {
	name     string
	lowest   int16
	versions []*storedType // from lowest on
}

// at is the record's schema in a version, or nil.
func (r *storedRecord) at(version int16) *storedType {
	i := int(version) - int(r.lowest)
	if i < 0 || i >= len(r.versions) {
		return nil
	}
	return r.versions[i]
}

// storedFamily is the records of one topic. Coordinators have a key and a value of
// each type, whose names end so.
type storedFamily struct {
	byType map[int16][]*storedRecord
	byName map[string]*storedRecord
}

func (f *storedFamily) named(keyType int16, suffix string) *storedRecord {
	for _, r := range f.byType[keyType] {
		if strings.HasSuffix(r.name, suffix) {
			return r
		}
	}
	return nil
}

// loadStoredRecords reads the table. It is ours, so an error in it is a mistake in the program.
func loadStoredRecords(text string) (map[string]*storedFamily, error) {
	families := map[string]*storedFamily{}
	var r *storedRecord
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		head, rest, _ := strings.Cut(line, " ")
		if head == "record" {
			var family string
			var typ int16
			r = &storedRecord{}
			if _, err := fmt.Sscan(rest, &family, &typ, &r.name); err != nil {
				return nil, fmt.Errorf("cannot read %q: %w", line, err)
			}
			f := families[family]
			if f == nil {
				f = &storedFamily{byType: map[int16][]*storedRecord{}, byName: map[string]*storedRecord{}}
				families[family] = f
			}
			f.byType[typ] = append(f.byType[typ], r)
			f.byName[r.name] = r
			continue
		}
		if err := r.addVersion(head, rest); err != nil {
			return nil, fmt.Errorf("cannot read %q of %s: %w", line, r.name, err)
		}
	}
	return families, nil
}

func (r *storedRecord) addVersion(version, fields string) error {
	v, err := strconv.ParseInt(version, 10, 16)
	if err != nil {
		return err
	}
	if len(r.versions) == 0 {
		r.lowest = int16(v)
	}
	if fields == "=" {
		r.versions = append(r.versions, r.versions[len(r.versions)-1])
		return nil
	}
	p := storedParser{rest: fields}
	t, err := p.fields("")
	if err == nil && p.rest != "" {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	r.versions = append(r.versions, t)
	return err
}

// storedParser reads the notation of FIELDS.
type storedParser struct{ rest string }

func (p *storedParser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

// word takes everything up to one of the marks.
func (p *storedParser) word(marks string) string {
	i := strings.IndexAny(p.rest, marks)
	if i < 0 {
		i = len(p.rest)
	}
	w := p.rest[:i]
	p.rest = p.rest[i:]
	return w
}

func (p *storedParser) fields(closing string) (*storedType, error) {
	t := &storedType{base: "struct"}
	for p.rest != "" && (closing == "" || !strings.HasPrefix(p.rest, closing)) {
		if p.rest == "tags" || strings.HasPrefix(p.rest, "tags"+closing) && closing != "" {
			p.take("tags")
			t.flexible = true
			break
		}
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		t.fields = append(t.fields, f)
		p.take(", ")
	}
	if !p.take(closing) {
		return nil, fmt.Errorf("no %s before %q", closing, p.rest)
	}
	return t, nil
}

func (p *storedParser) field() (f storedField, err error) {
	f.name = p.word(" #")
	if p.take("#") {
		f.tagged = true
		if f.tag, err = strconv.ParseUint(p.word(" "), 10, 32); err != nil {
			return f, err
		}
	}
	p.take(" ")
	if f.typ, err = p.typ(); err != nil || !f.tagged {
		return f, err
	}
	f.typ.tagged = true
	if !p.take(" = ") {
		return f, fmt.Errorf("tagged field %s has no default", f.name)
	}
	if p.take("{}") { // a writer leaves an empty structure out, so it never has to be told from others
		return f, nil
	}
	f.def = p.word(",}")
	return f, nil
}

func (p *storedParser) typ() (t *storedType, err error) {
	nullable := p.take("?")
	compact := p.take("compact")
	switch {
	case p.take("[]"):
		t = &storedType{base: "array", compact: compact, nullable: nullable}
		t.elem, err = p.typ()
		return t, err
	case p.take("{"):
		t, err = p.fields("}")
		if t != nil {
			t.nullable = nullable
		}
		return t, err
	}
	name := p.word(",} ")
	t = &storedType{}
	name, t.compact = strings.CutPrefix(name, "COMPACT_")
	t.base, t.nullable = strings.CutPrefix(name, "NULLABLE_")
	switch t.base {
	case "BOOLEAN", "INT8", "INT16", "UINT16", "INT32", "INT64", "FLOAT64", "UUID", "STRING", "BYTES":
		return t, nil
	}
	return nil, fmt.Errorf("type %q is not known", name)
}

// storedReader reads a stored record and writes it as JSON, field by field. Its errors
// are those of Kafka's reader, since the tool shows them.
type storedReader struct {
	b []byte
	// replace may show a field of bytes in another way; nil for never.
	replace func(field string, value []byte) (json []byte, ok bool)
	// flat refuses structures inside the record.
	flat bool
	// protocolType is a field of that name, which decides how others are shown.
	protocolType string
	err          error
}

// errUnderflow is what Java's buffers say when they end too early: nothing.
var errUnderflow = errors.New("null")

func (r *storedReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *storedReader) fixed(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = errUnderflow
	}
	if r.err != nil {
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *storedReader) int16() int16 { return int16(binary.BigEndian.Uint16(r.fixed(2))) }
func (r *storedReader) int32() int32 { return int32(binary.BigEndian.Uint32(r.fixed(4))) }

// bytes takes n bytes of a text or of bytes.
func (r *storedReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.fail("Error reading byte array of %d byte(s): only %d byte(s) available", n, len(r.b))
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// uvarint is Java's readUnsignedVarint: 32 bits, of which the top one is the sign.
func (r *storedReader) uvarint() int32 {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.fixed(1)[0]
		if r.err != nil {
			return 0
		}
		if shift == 28 && b&0x80 != 0 {
			v |= uint32(b&0x7f) << shift
			r.fail("Varint is too long, the most significant bit in the 5th byte is set, converted value: %x", v)
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
	}
	return int32(v)
}

// length reads the length of a text, bytes or a list; -1 is null.
func (r *storedReader) length(t *storedType) int {
	switch {
	case t.compact:
		return int(r.uvarint()) - 1
	case t.base == "STRING":
		return int(r.int16())
	}
	return int(r.int32())
}

// structure appends the JSON of a struct.
func (r *storedReader) structure(dst []byte, t *storedType) []byte {
	values := make([][]byte, len(t.fields))
	for i := range t.fields {
		if f := &t.fields[i]; !f.tagged && r.err == nil {
			values[i] = r.value(f.name, f.typ)
		}
	}
	if t.flexible {
		r.tags(t, values)
	}
	dst = append(dst, '{')
	first := true
	for i, v := range values {
		if v == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(append(dst, t.fields[i].name...), '"', ':')
		dst = append(dst, v...)
	}
	return append(dst, '}')
}

func (r *storedReader) tags(t *storedType, values [][]byte) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag, size := uint64(uint32(r.uvarint())), r.uvarint()
		known := false
		for i := range t.fields {
			f := &t.fields[i]
			if !f.tagged || f.tag != tag {
				continue
			}
			known = true
			if v := r.value(f.name, f.typ); string(v) != f.defaultJSON() {
				values[i] = v
			}
		}
		if !known {
			r.bytes(int(size))
		}
	}
}

// defaultJSON is how the default of a tagged field would be shown.
func (f *storedField) defaultJSON() string {
	switch f.typ.base {
	case "STRING", "UUID":
		if f.def != "null" {
			return strconv.Quote(f.def)
		}
	}
	return f.def
}

// value reads one value and returns its JSON.
func (r *storedReader) value(name string, t *storedType) []byte {
	switch t.base {
	case "BOOLEAN":
		return strconv.AppendBool(nil, r.fixed(1)[0] != 0)
	case "INT8":
		return strconv.AppendInt(nil, int64(int8(r.fixed(1)[0])), 10)
	case "INT16":
		return strconv.AppendInt(nil, int64(r.int16()), 10)
	case "UINT16":
		return strconv.AppendUint(nil, uint64(uint16(r.int16())), 10)
	case "INT32":
		return strconv.AppendInt(nil, int64(r.int32()), 10)
	case "INT64":
		return strconv.AppendInt(nil, int64(binary.BigEndian.Uint64(r.fixed(8))), 10)
	case "FLOAT64":
		return []byte(javaDouble(math.Float64frombits(binary.BigEndian.Uint64(r.fixed(8))), 64))
	case "UUID":
		return appendJSONString(nil, uuidString([16]byte(r.fixed(16))))
	case "STRING":
		return r.text(name, t)
	case "BYTES":
		return r.blob(name, t)
	case "array":
		return r.array(name, t)
	}
	if t.nullable && r.nullStructure(t) {
		return []byte("null")
	}
	if r.flat {
		r.fail("Can't read this version of %s", name)
	}
	return r.structure(nil, t)
}

// nullStructure says whether a structure that may be null is: a tagged one has an unsigned
// varint before it, others a signed byte.
func (r *storedReader) nullStructure(t *storedType) bool {
	if t.tagged {
		return r.uvarint() <= 0
	}
	return int8(r.fixed(1)[0]) < 0
}

func (r *storedReader) isNull(name string, t *storedType, n int) bool {
	if n >= 0 || r.err != nil {
		return false
	}
	if !t.nullable {
		r.fail("non-nullable field %s was serialized as null", name)
	}
	return true
}

func (r *storedReader) text(name string, t *storedType) []byte {
	n := r.length(t)
	if r.isNull(name, t, n) {
		return []byte("null")
	}
	if n > math.MaxInt16 {
		r.fail("string field %s had invalid length %d", name, n)
	}
	s := javaString(r.bytes(n))
	if name == "protocolType" {
		r.protocolType = s
	}
	return appendJSONString(nil, s)
}

func (r *storedReader) blob(name string, t *storedType) []byte {
	n := r.length(t)
	if r.isNull(name, t, n) {
		return []byte("null")
	}
	v := r.bytes(n)
	if r.replace != nil && r.err == nil {
		if json, ok := r.replace(name, v); ok {
			return json
		}
	}
	out := append([]byte(nil), '"')
	return append(base64.StdEncoding.AppendEncode(out, v), '"')
}

func (r *storedReader) array(name string, t *storedType) []byte {
	n := r.length(t)
	if r.isNull(name, t, n) {
		return []byte("null")
	}
	if r.err == nil && n > len(r.b) { // each element takes a byte at least, which bounds what is read
		r.fail("Tried to allocate a collection of size %d, but there are only %d bytes remaining.", n, len(r.b))
	}
	out := []byte{'['}
	for i := 0; i < n && r.err == nil; i++ {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, r.value(name, t.elem)...)
	}
	return append(out, ']')
}

// appendJSONString writes a text as Jackson does: control characters as \u00XX in
// capitals, nothing else escaped but quotes and backslashes.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20:
			dst = append(dst, c)
		default:
			if j := strings.IndexByte("\b\t\n\f\r", c); j >= 0 {
				dst = append(dst, '\\', "btnfr"[j])
			} else {
				dst = fmt.Appendf(dst, "\\u%04X", c)
			}
		}
	}
	return append(dst, '"')
}

// javaString decodes UTF-8 as Java does: each ill-formed run, cut where it ceases to be
// the beginning of a character, becomes one U+FFFD.
func javaString(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := wellFormed(b)
		if n > 0 {
			out.Write(b[:n])
		} else {
			n = -n
			out.WriteRune('\uFFFD')
		}
		b = b[n:]
	}
	return out.String()
}

// wellFormed is the size of the character that b begins with, or minus the size of
// what is to be replaced.
func wellFormed(b []byte) int {
	c := b[0]
	lo, hi, size := byte(0x80), byte(0xBF), 0
	switch {
	case c < 0x80:
		return 1
	case c < 0xC2 || c > 0xF4:
		return -1
	case c < 0xE0:
		size = 2
	case c < 0xF0:
		size = 3
		if c == 0xE0 {
			lo = 0xA0
		} else if c == 0xED {
			hi = 0x9F
		}
	default:
		size = 4
		if c == 0xF0 {
			lo = 0x90
		} else if c == 0xF4 {
			hi = 0x8F
		}
	}
	for i := 1; i < size; i++ {
		if i >= len(b) || b[i] < lo || b[i] > hi {
			return -i
		}
		lo, hi = 0x80, 0xBF
	}
	return size
}
