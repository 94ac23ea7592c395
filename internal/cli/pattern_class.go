package cli

import (
	"strings"
	"unicode"
)

// class reads a class of characters, which stands in brackets and may hold others. The right side of && ends before the bracket
// that ends the whole.
func (p *patternParser) class(consume bool) func(rune) bool {
	var have func(rune) bool
	add := func(more func(rune) bool) {
		if have == nil {
			have = more
			return
		}
		before := have
		have = func(r rune) bool { return before(r) || more(r) }
	}
	r := p.next()
	negated := false
	if r == '^' && p.raw(p.at-1) == '[' {
		negated = true
		r = p.next()
	}
	for {
		switch {
		case r == '[':
			add(p.class(true))
			r = p.peek()
			continue
		case r == '&' && p.raw(p.at+1) == '&':
			p.at += 2
			have = p.intersection(have)
			r = p.peek()
			continue
		case r == 0 && p.at >= len(p.text):
			p.fail("Unclosed character class")
		case r == ']' && have != nil:
			if consume {
				p.at++
			}
			if negated {
				return func(r rune) bool { return !have(r) }
			}
			return have
		}
		add(p.classRange())
		r = p.peek()
	}
}

func (p *patternParser) intersection(left func(rune) bool) func(rune) bool {
	var right func(rune) bool
	for r := p.peek(); r != ']' && r != '&'; r = p.peek() {
		if r != '[' {
			p.at-- // class goes on by one first
		}
		more := p.class(r == '[')
		if before := right; before != nil {
			right = func(r rune) bool { return before(r) || more(r) }
		} else {
			right = more
		}
	}
	switch {
	case right == nil && left == nil:
		p.fail("Bad class syntax")
	case right == nil:
		return left
	case left == nil:
		return right
	}
	return func(r rune) bool { return left(r) && right(r) }
}

// classRange reads one character, or a range of them, or a class that has a name.
func (p *patternParser) classRange() func(rune) bool {
	from := p.peek()
	if from == '\\' {
		c, set := p.escaped(true)
		if set != nil {
			return set
		}
		from = c
	} else {
		p.at++
	}
	if p.peek() != '-' || p.raw(p.at+1) == '[' || p.raw(p.at+1) == ']' {
		return p.single(from)
	}
	p.at++
	to := p.peek()
	if to == '\\' {
		to, _ = p.escaped(true)
	} else {
		p.at++
	}
	if to < from {
		p.fail("Illegal character range")
	}
	return func(r rune) bool { return from <= r && r <= to }
}

// escape reads what a backslash makes of the characters behind it, outside of a class.
func (p *patternParser) escape() node {
	r := p.raw(p.at + 1)
	switch {
	case r >= '1' && r <= '9':
		p.at += 2
		return backReference(p.reference(int(r-'0')), p.same())
	case r == 'k':
		p.at += 2
		if p.raw(p.at) != '<' {
			p.at++
			p.fail("\\k is not followed by '<' for named capturing group")
		}
		p.at += 2
		name := p.name(p.raw(p.at - 1))
		number, there := p.names[name]
		if !there {
			p.fail("named capturing group <" + name + "> does not exist")
		}
		return backReference(number, p.same())
	}
	if is := boundary(r); is != nil {
		p.at += 2
		return where(is)
	}
	c, set := p.escaped(false)
	if set != nil {
		return one(set)
	}
	return one(p.single(c))
}

// reference takes more digits as long as there are so many groups.
func (p *patternParser) reference(n int) int {
	for isDigit(p.raw(p.at)) && n*10+int(p.raw(p.at)-'0') <= p.groups {
		n = n*10 + int(p.raw(p.at)-'0')
		p.at++
	}
	return n
}

func boundary(r rune) func(*subject, int) bool {
	word := func(m *subject, at int) bool {
		return at >= 0 && at < len(m.text) && isWord(m.text[at])
	}
	switch r {
	case 'b':
		return func(m *subject, at int) bool { return word(m, at-1) != word(m, at) }
	case 'B':
		return func(m *subject, at int) bool { return word(m, at-1) == word(m, at) }
	case 'A', 'G':
		return func(_ *subject, at int) bool { return at == 0 }
	case 'z':
		return func(m *subject, at int) bool { return at == len(m.text) }
	case 'Z':
		return (&patternParser{}).end()
	}
	return nil
}

// escaped reads a character or a class that is written with a backslash.
func (p *patternParser) escaped(inClass bool) (rune, func(rune) bool) {
	p.at++
	r := p.raw(p.at)
	p.at++
	if set := namedClass(asciiLower(r)); set != nil {
		if asciiLower(r) != r {
			return 0, func(r rune) bool { return !set(r) }
		}
		return 0, set
	}
	switch r {
	case 'p', 'P':
		set := p.property()
		if r == 'P' {
			return 0, func(r rune) bool { return !set(r) }
		}
		return 0, set
	case 'R':
		return 0, isLineEnd
	case 'X':
		return 0, func(rune) bool { return true }
	case 'N':
		p.at++
		p.fail("Illegal character name escape sequence")
	case '0':
		return p.octal(), nil
	case 'x':
		return p.hexadecimal(), nil
	case 'u':
		return p.fixedHex(4, "Illegal Unicode escape sequence"), nil
	case 'c':
		if p.at >= len(p.text) {
			p.fail("Illegal control escape sequence")
		}
		p.at++
		return p.raw(p.at-1) ^ 64, nil
	}
	if i := strings.IndexRune("aefnrt", r); i >= 0 && r != 0 {
		return rune("\a\x1b\f\n\r\t"[i]), nil
	}
	if r == 0 && p.at > len(p.text) {
		p.fail("Unexpected internal error")
	}
	if isLetter(r) || isDigit(r) {
		p.fail("Illegal/unsupported escape sequence")
	}
	return r, nil
}

func (p *patternParser) octal() rune {
	n, digits := rune(0), 0
	for digits < 3 && p.raw(p.at) >= '0' && p.raw(p.at) <= '7' && n*8 <= 0377 {
		n, digits, p.at = n*8+p.raw(p.at)-'0', digits+1, p.at+1
	}
	if digits == 0 {
		p.at++
		p.fail("Illegal octal escape sequence")
	}
	return n
}

func (p *patternParser) hexadecimal() rune {
	if p.raw(p.at) != '{' {
		return p.fixedHex(2, "Illegal hexadecimal escape sequence")
	}
	n, from := rune(0), p.at
	for p.at++; hexValue(p.raw(p.at)) >= 0; p.at++ {
		if n = n<<4 + hexValue(p.raw(p.at)); n > unicode.MaxRune {
			p.fail("Hexadecimal codepoint is too big")
		}
	}
	if p.at == from+1 {
		p.fail("Illegal hexadecimal escape sequence")
	}
	if p.raw(p.at) != '}' {
		p.fail("Unclosed hexadecimal escape sequence")
	}
	p.at++
	return n
}

func (p *patternParser) fixedHex(digits int, complaint string) rune {
	n := rune(0)
	for range digits {
		d := hexValue(p.raw(p.at))
		p.at++
		if d < 0 {
			p.fail(complaint)
		}
		n = n<<4 + d
	}
	return n
}

func hexValue(r rune) rune {
	switch r = asciiLower(r); {
	case isDigit(r):
		return r - '0'
	case r >= 'a' && r <= 'f':
		return r - 'a' + 10
	}
	return -1
}

// property reads the name of a class behind \p: a letter, or a word in braces.
func (p *patternParser) property() func(rune) bool {
	name := string(p.raw(p.at))
	if name == "{" {
		from := p.at + 1
		for p.at < len(p.text) && p.text[p.at] != '}' {
			p.at++
		}
		if p.at >= len(p.text) {
			p.at++
			p.fail("Unclosed character family")
		}
		if name = string(p.text[from:p.at]); name == "" {
			p.at++
			p.fail("Empty character family")
		}
	}
	p.at++
	set := propertyOf(name)
	if set == nil {
		p.fail("Unknown character property name {" + name + "}")
	}
	return set
}

func isWord(r rune) bool { return isLetter(r) || isDigit(r) || r == '_' }

// namedClass is one of those that have a letter.
func namedClass(letter rune) func(rune) bool {
	switch letter {
	case 'd':
		return isDigit
	case 'w':
		return isWord
	case 's':
		return func(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }
	case 'h':
		return func(r rune) bool {
			return strings.ContainsRune(" \t\u00a0\u1680\u180e\u202f\u205f\u3000", r) || r >= 0x2000 && r <= 0x200a
		}
	case 'v':
		return func(r rune) bool { return r >= '\n' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029 }
	}
	return nil
}

// propertyOf knows POSIX names, categories and scripts.
func propertyOf(name string) func(rune) bool {
	ascii := func(is func(rune) bool) func(rune) bool { return func(r rune) bool { return r < 0x80 && is(r) } }
	switch name {
	case "Lower":
		return ascii(unicode.IsLower)
	case "Upper":
		return ascii(unicode.IsUpper)
	case "ASCII":
		return ascii(func(rune) bool { return true })
	case "Alpha":
		return isLetter
	case "Digit":
		return isDigit
	case "Alnum":
		return func(r rune) bool { return isLetter(r) || isDigit(r) }
	case "Punct":
		return func(r rune) bool { return r > ' ' && r < 0x7f && !isLetter(r) && !isDigit(r) }
	case "Graph":
		return func(r rune) bool { return r > ' ' && r < 0x7f }
	case "Print":
		return func(r rune) bool { return r >= ' ' && r < 0x7f }
	case "Blank":
		return func(r rune) bool { return r == ' ' || r == '\t' }
	case "Cntrl":
		return func(r rune) bool { return r < ' ' || r == 0x7f }
	case "XDigit":
		return func(r rune) bool { return hexValue(r) >= 0 }
	case "Space":
		return namedClass('s')
	case "javaLowerCase", "IsLowercase":
		return unicode.IsLower
	case "javaUpperCase", "IsUppercase":
		return unicode.IsUpper
	case "javaWhitespace", "IsWhite_Space":
		return unicode.IsSpace
	case "IsAlphabetic", "javaLetter", "javaAlphabetic":
		return unicode.IsLetter
	case "IsDigit", "javaDigit":
		return unicode.IsDigit
	case "L1":
		return func(r rune) bool { return r <= 0xff }
	case "all":
		return func(rune) bool { return true }
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "Is"), "script="), "sc=")
	if table, ok := unicode.Categories[bare]; ok {
		return func(r rune) bool { return unicode.Is(table, r) }
	}
	if table, ok := unicode.Scripts[bare]; ok && bare != name {
		return func(r rune) bool { return unicode.Is(table, r) }
	}
	return nil
}
