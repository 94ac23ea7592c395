package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a properties file.
type Property struct {
	Key   string
	Value string
	Line  int // on which the entry begins, from 1
}

// maxPropertiesBytes bounds a properties file; real ones have some kilobytes.
const maxPropertiesBytes = 4 << 20

// ParseProperties reads the entries of a Java properties file in their order,
// duplicates included. What Java would refuse or garble (a broken \u escape, a
// value that is not UTF-8) is an error with its line.
func ParseProperties(text []byte) ([]Property, error) {
	if len(text) > maxPropertiesBytes {
		return nil, fmt.Errorf("a properties file has at most %d bytes, this one has %d", maxPropertiesBytes, len(text))
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("line %d is not UTF-8", firstInvalidLine(text))
	}
	s := strings.TrimPrefix(string(text), "\ufeff")
	p := propertiesParser{lines: splitLines(s)}
	return p.parse()
}

func firstInvalidLine(text []byte) int {
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		text = text[size:]
	}
	return line
}

// splitLines splits at \n, \r and \r\n.
func splitLines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}

type propertiesParser struct {
	lines []string
	next  int // index of the natural line that comes next
}

func (p *propertiesParser) parse() ([]Property, error) {
	var all []Property
	for p.next < len(p.lines) {
		number := p.next + 1
		line := trimBlank(p.lines[p.next])
		p.next++
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, val := splitEntry(p.join(line))
		k, err := unescape(key)
		if err == nil {
			val, err = unescape(val)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, Property{Key: k, Value: val, Line: number})
	}
	return all, nil
}

// join appends the lines that a backslash at the end continues; their leading blanks do not count.
func (p *propertiesParser) join(line string) string {
	if !continues(line) {
		return line
	}
	var b strings.Builder
	for continues(line) {
		b.WriteString(line[:len(line)-1])
		line = ""
		if p.next < len(p.lines) {
			line = trimBlank(p.lines[p.next])
			p.next++
		}
	}
	b.WriteString(line)
	return b.String()
}

// continues is true when the line ends in an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

func trimBlank(s string) string { return strings.TrimLeft(s, " \t\f") }

// splitEntry parts a line at the first =, : or blank that no backslash escapes. Blanks around
// the separator do not count, and one = or : after blanks is still the separator.
func splitEntry(line string) (key, val string) {
	i := 0
	for i < len(line) && !strings.ContainsRune("=: \t\f", rune(line[i])) {
		if line[i] == '\\' {
			i++
		}
		i++
	}
	i = min(i, len(line))
	key, val = line[:i], trimBlank(line[i:])
	if val != "" && (val[0] == '=' || val[0] == ':') {
		val = trimBlank(val[1:])
	}
	return key, val
}

// unescape resolves \t, \n, \r, \f and \u with four hexadecimal digits; a backslash before anything else disappears.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var units []uint16 // Java's strings are UTF-16: two escapes may form one character
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			r, size := utf8.DecodeRuneInString(s[i:])
			units = utf16.AppendRune(units, r)
			i += size
			continue
		}
		i++
		if i == len(s) {
			break // a lone backslash at the end of the file
		}
		if s[i] == 'u' {
			unit, err := unicodeEscape(s[i+1:])
			if err != nil {
				return "", err
			}
			units = append(units, unit)
			i += 5
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		units = utf16.AppendRune(units, escaped(r))
		i += size
	}
	return string(utf16.Decode(units)), nil
}

func unicodeEscape(s string) (uint16, error) {
	if len(s) >= 4 {
		if n, err := strconv.ParseUint(s[:4], 16, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf(`a \u needs four hexadecimal digits after it, not %q`, s[:min(len(s), 4)])
}

func escaped(r rune) rune {
	switch r {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return r
}
