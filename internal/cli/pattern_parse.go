package cli

import (
	"math"
	"unicode"
)

// patternParser reads a pattern as java.util.regex.Pattern does, and complains as it does: where, is the place before the one
// that it has reached.
type patternParser struct {
	text   []rune
	at     int
	groups int
	names  map[string]int
	flags  patternFlags
}

type patternFlags struct{ fold, unicode, dotAll, multiline, comments bool }

func (p *patternParser) fail(what string) { panic(patternSlip{what, p.at - 1}) }

func (p *patternParser) raw(i int) rune {
	if i < len(p.text) {
		return p.text[i]
	}
	return 0
}

func (p *patternParser) done() bool { p.skip(); return p.at >= len(p.text) }

// skip passes blanks and remarks where they count for nothing.
func (p *patternParser) skip() {
	for p.flags.comments && p.at < len(p.text) {
		switch r := p.text[p.at]; {
		case r == ' ' || r >= '\t' && r <= '\r':
			p.at++
		case r == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' && p.text[p.at] != '\r' {
				p.at++
			}
		default:
			return
		}
	}
}

func (p *patternParser) peek() rune { p.skip(); return p.raw(p.at) }

// next goes on by one, and is what stands there.
func (p *patternParser) next() rune { p.at++; return p.peek() }

// read is what stands here, and goes on.
func (p *patternParser) read() rune { r := p.peek(); p.at++; return r }

func (p *patternParser) accept(want rune, complaint string) {
	if p.read() != want {
		p.fail(complaint)
	}
}

func (p *patternParser) alternatives() node {
	before := p.flags
	parts := []node{p.branch()}
	for !p.done() && p.peek() == '|' {
		p.next()
		parts = append(parts, p.branch())
	}
	p.flags = before
	if len(parts) == 1 {
		return parts[0]
	}
	return either(parts)
}

func (p *patternParser) branch() node {
	var parts []node
	for !p.done() {
		switch p.peek() {
		case '|', ')':
			return sequence(parts)
		case '(':
			n, bare := p.group()
			if !bare {
				n = p.quantified(n)
			}
			parts = append(parts, n)
		default:
			parts = append(parts, p.quantified(p.atom()))
		}
	}
	return sequence(parts)
}

func (p *patternParser) atom() node {
	switch r := p.peek(); r {
	case '[':
		return one(p.folded(p.class(true)))
	case '\\':
		return p.escape()
	case '^':
		p.next()
		return where(p.begin())
	case '$':
		p.next()
		return where(p.end())
	case '.':
		p.next()
		if p.flags.dotAll {
			return one(func(rune) bool { return true })
		}
		return one(func(r rune) bool { return !isLineEnd(r) })
	case '?', '*', '+':
		p.next()
		p.fail("Dangling meta character '" + string(r) + "'")
	case '{':
		return empty() // how often nothing is there, is what follows
	}
	r := p.peek()
	p.at++
	return one(p.single(r))
}

func (p *patternParser) begin() func(*subject, int) bool {
	if !p.flags.multiline {
		return func(_ *subject, at int) bool { return at == 0 }
	}
	return func(m *subject, at int) bool { return at == 0 || at < len(m.text) && isLineEnd(m.text[at-1]) }
}

func (p *patternParser) end() func(*subject, int) bool {
	multiline := p.flags.multiline
	return func(m *subject, at int) bool {
		left := len(m.text) - at
		return left == 0 || isLineEnd(m.text[at]) && (left == 1 || multiline || left == 2 && m.text[at] == '\r' && m.text[at+1] == '\n')
	}
}

// group reads what stands in parentheses. Flags alone are bare: nothing can be repeated.
func (p *patternParser) group() (n node, bare bool) {
	if p.next() != '?' {
		p.groups++
		return p.closed(p.groups), false
	}
	p.at++
	switch r := p.peek(); r {
	case ':':
		p.at++
		return p.closed(0), false
	case '=', '!':
		p.at++
		return lookAhead(p.closed(0), r == '='), false
	case '>':
		p.at++
		return whole(p.closed(0)), false
	case '<':
		p.at++
		return p.named(), false
	}
	before := p.flags
	p.addFlags()
	if p.raw(p.at) == ')' {
		p.at++
		return empty(), true
	}
	if p.raw(p.at) != ':' {
		p.at++
		p.fail("Unknown inline modifier")
	}
	p.at++
	n = p.closed(0)
	p.flags = before
	return n, false
}

func (p *patternParser) closed(number int) node {
	n := p.alternatives()
	p.accept(')', "Unclosed group")
	if number > 0 {
		return group(n, number)
	}
	return n
}

// named is behind "(?<": a look behind, or a group that has a name.
func (p *patternParser) named() node {
	r := p.raw(p.at)
	p.at++
	if r == '=' || r == '!' {
		n := p.closed(0)
		if n.most < 0 {
			p.at--
			p.fail("Look-behind group does not have an obvious maximum length")
		}
		return lookBehind(n, r == '=')
	}
	if !isLetter(r) {
		p.fail("capturing group name does not start with a Latin letter")
	}
	name := p.name(r)
	if _, there := p.names[name]; there {
		p.fail("Named capturing group <" + name + "> is already defined")
	}
	p.groups++
	p.names[name] = p.groups
	return p.closed(p.groups)
}

func (p *patternParser) name(first rune) string {
	name := []rune{first}
	for r := p.raw(p.at); isLetter(r) || isDigit(r); r = p.raw(p.at) {
		name, p.at = append(name, r), p.at+1
	}
	p.at++
	if p.raw(p.at-1) != '>' {
		p.fail("named capturing group is missing trailing '>'")
	}
	return string(name)
}

func (p *patternParser) addFlags() {
	on := true
	for {
		switch p.raw(p.at) {
		case 'i':
			p.flags.fold = on
		case 'u', 'U':
			p.flags.unicode = on
		case 's':
			p.flags.dotAll = on
		case 'm':
			p.flags.multiline = on
		case 'x':
			p.flags.comments = on
		case 'd', 'c':
		case '-':
			if !on {
				return
			}
			on = false
		default:
			return
		}
		p.at++
	}
}

// quantified reads how often n may come.
func (p *patternParser) quantified(n node) node {
	if p.done() {
		return n
	}
	least, most := 0, noMost
	switch p.peek() {
	case '?':
		most = 1
		p.at++
	case '*', '+':
		if p.read() == '+' {
			least = 1
		}
		if n.char && p.peek() != '?' && p.peek() != '+' { // as far back as it may be
			many := repeat(n, least, most, greedy)
			many.most = farBack
			return many
		}
	case '{':
		least, most = p.counted()
	default:
		return n
	}
	switch p.peek() {
	case '?':
		p.at++
		return repeat(n, least, most, lazy)
	case '+':
		p.at++
		return repeat(n, least, most, possessive)
	}
	return repeat(n, least, most, greedy)
}

// farBack is more than there are characters in a text.
const farBack = 1 << 20

func (p *patternParser) counted() (least, most int) {
	if !isDigit(p.raw(p.at + 1)) {
		p.at += 2
		p.fail("Illegal repetition")
	}
	p.at++
	least = p.count()
	most = least
	if p.peek() == ',' {
		p.at++
		most = noMost
		if p.peek() != '}' {
			most = p.count()
		}
	}
	if p.read() != '}' {
		p.fail("Unclosed counted closure")
	}
	if most != noMost && most < least {
		p.fail("Illegal repetition range")
	}
	return least, most
}

func (p *patternParser) count() (n int) {
	for ; isDigit(p.peek()); p.at++ {
		if n = n*10 + int(p.peek()-'0'); n > math.MaxInt32 {
			p.at++
			p.fail("Illegal repetition range")
		}
	}
	return n
}

// single is one character, in either case if cases do not count.
func (p *patternParser) single(want rune) func(rune) bool {
	same := p.same()
	return func(r rune) bool { return same(r, want) }
}

func (p *patternParser) same() func(a, b rune) bool {
	switch {
	case p.flags.fold && p.flags.unicode:
		return func(a, b rune) bool {
			return unicode.ToLower(unicode.ToUpper(a)) == unicode.ToLower(unicode.ToUpper(b))
		}
	case p.flags.fold:
		return func(a, b rune) bool { return a == b || a < 0x80 && b < 0x80 && asciiLower(a) == asciiLower(b) }
	}
	return func(a, b rune) bool { return a == b }
}

// folded is a class in which either case is as good, if cases do not count.
func (p *patternParser) folded(is func(rune) bool) func(rune) bool {
	if !p.flags.fold {
		return is
	}
	wide := p.flags.unicode
	return func(r rune) bool {
		return is(r) || (wide || r < 0x80) && (is(unicode.ToLower(r)) || is(unicode.ToUpper(r)))
	}
}

func isLineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func asciiLower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}
