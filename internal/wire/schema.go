package wire

import (
	"fmt"
	"strings"
)

// The notation of requests.txt:
//
//	api KEY NAME LISTENERS MIN-MAX     LISTENERS is B (broker), C (controller) or both
//	VERSION hHEADER FIELDS             or "= VERSION" when nothing has changed since
//
//	FIELDS  name TYPE, name TYPE ...   tags = tagged fields, tags{0=name TYPE ...} known ones
//	TYPE    INT32 ... | COMPACT_NULLABLE_STRING ... | []TYPE | compact[]TYPE | {FIELDS}
//	        a ? before [] or { makes it nullable

// parser compiles one line of fields into ops. The text is ours, so a mistake in it
// is a mistake in the program; it still comes back as an error, for the test to find.
type parser struct {
	rest string
}

func compile(text string) (ops []op, err error) {
	p := parser{rest: text}
	ops, err = p.fields("")
	if err == nil && p.rest != "" {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	return ops, err
}

// fields parses up to the closing mark, which it leaves.
func (p *parser) fields(closing string) ([]op, error) {
	var ops []op
	for p.rest != "" && (closing == "" || !strings.HasPrefix(p.rest, closing)) {
		o, err := p.field()
		if err != nil {
			return nil, err
		}
		if last := len(ops) - 1; last >= 0 && ops[last].kind == opFixed && o.kind == opFixed {
			ops[last].n += o.n
		} else {
			ops = append(ops, o)
		}
		p.take(", ")
	}
	return ops, nil
}

func (p *parser) field() (op, error) {
	if p.take("tags") {
		return p.tagged()
	}
	name, ok := p.until(' ')
	if !ok {
		return op{}, fmt.Errorf("no field name in %q", p.rest)
	}
	o, err := p.typ()
	o.name = name
	return o, err
}

func (p *parser) tagged() (op, error) {
	o := op{kind: opTags}
	if !p.take("{") {
		return o, nil
	}
	for !p.take("}") {
		number, ok := p.until('=')
		if !ok {
			return o, fmt.Errorf("no tag in %q", p.rest)
		}
		var tag uint32
		if _, err := fmt.Sscan(number, &tag); err != nil {
			return o, fmt.Errorf("tag %q: %w", number, err)
		}
		f, err := p.field()
		if err != nil {
			return o, err
		}
		o.known = append(o.known, knownTag{tag: tag, fields: []op{f}})
		p.take(", ")
	}
	return o, nil
}

func (p *parser) typ() (op, error) {
	o := op{nullable: p.take("?")}
	o.compact = p.take("compact")
	if p.take("[]") {
		o.kind = opArray
		element, err := p.typ()
		if element.kind == opStruct && !element.nullable {
			o.fields = element.fields
		} else {
			o.fields = []op{element}
		}
		o.n = minBytes(o.fields)
		return o, err
	}
	if p.take("{") {
		o.kind = opStruct
		var err error
		if o.fields, err = p.fields("}"); err == nil && !p.take("}") {
			err = fmt.Errorf("no closing brace in %q", p.rest)
		}
		return o, err
	}
	return p.scalar()
}

func (p *parser) scalar() (op, error) {
	end := strings.IndexAny(p.rest, ",}")
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	var o op
	switch name {
	case "BOOLEAN", "INT8":
		return op{kind: opFixed, n: 1}, nil
	case "INT16", "UINT16":
		return op{kind: opFixed, n: 2}, nil
	case "INT32":
		return op{kind: opFixed, n: 4}, nil
	case "INT64", "FLOAT64":
		return op{kind: opFixed, n: 8}, nil
	case "UUID":
		return op{kind: opFixed, n: 16}, nil
	}
	name, o.compact = strings.CutPrefix(name, "COMPACT_")
	name, o.nullable = strings.CutPrefix(name, "NULLABLE_")
	switch name {
	case "STRING":
		o.kind = opString
	case "BYTES", "RECORDS":
		o.kind = opBytes
	default:
		return o, fmt.Errorf("unknown type %q", name)
	}
	return o, nil
}

// minBytes is the fewest bytes in which the fields can be written.
func minBytes(ops []op) int {
	sum := 0
	for i := range ops {
		switch o := &ops[i]; o.kind {
		case opFixed:
			sum += o.n
		case opTags:
			sum++
		case opStruct:
			if o.nullable {
				sum++
			} else {
				sum += minBytes(o.fields)
			}
		case opString:
			sum += lengthBytes(o, 2)
		default:
			sum += lengthBytes(o, 4)
		}
	}
	return sum
}

func lengthBytes(o *op, plain int) int {
	if o.compact {
		return 1
	}
	return plain
}

// take removes a prefix, if it is there.
func (p *parser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *parser) until(mark byte) (string, bool) {
	i := strings.IndexByte(p.rest, mark)
	if i < 0 {
		return "", false
	}
	s := p.rest[:i]
	p.rest = p.rest[i+1:]
	return s, true
}
