package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Properties are key-value pairs as a Java properties file holds them.
type Properties map[string]string

// MaxPropertiesBytes bounds a properties file: a hundred times the largest that
// a PEM key store inside one could need.
const MaxPropertiesBytes = 8 << 20

// Clone returns a copy that can be changed freely.
func (p Properties) Clone() Properties {
	c := make(Properties, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}

// Merge lays other over p, in place, and returns p.
func (p Properties) Merge(other Properties) Properties {
	for k, v := range other {
		p[k] = v
	}
	return p
}

// SetDefault sets key only if it is absent.
func (p Properties) SetDefault(key, value string) {
	if _, ok := p[key]; !ok {
		p[key] = value
	}
}

// Keys returns the keys, sorted.
func (p Properties) Keys() []string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// FileError is a file that could not be read. Kafka's tools print only the
// file's name (and the system's reason in a stack trace); Error keeps both.
type FileError struct {
	Path  string
	Cause error
}

func (e *FileError) Error() string {
	if errors.Is(e.Cause, fs.ErrNotExist) {
		return e.Path + " (No such file or directory)"
	}
	if errors.Is(e.Cause, fs.ErrPermission) {
		return e.Path + " (Permission denied)"
	}
	var pe *fs.PathError
	if errors.As(e.Cause, &pe) {
		return e.Path + " (" + pe.Err.Error() + ")"
	}
	return e.Path + " (" + e.Cause.Error() + ")"
}

func (e *FileError) Unwrap() error { return e.Cause }

// LoadProperties reads a properties file.
func LoadProperties(path string) (Properties, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &FileError{Path: path, Cause: err}
	}
	defer f.Close()
	p, err := ParseProperties(f)
	if err != nil {
		return nil, &FileError{Path: path, Cause: err}
	}
	return p, nil
}

// ParseProperties reads the format of java.util.Properties: comments with # or
// !, three kinds of separators, backslash escapes and continued lines.
func ParseProperties(r io.Reader) (Properties, error) {
	lines, err := logicalLines(r)
	if err != nil {
		return nil, err
	}
	p := make(Properties, len(lines))
	for _, l := range lines {
		k, v := splitProperty(l.text)
		key, err := unescapeProperty(k)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		val, err := unescapeProperty(v)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		p[key] = val
	}
	return p, nil
}

// ParseProperty reads one `key=value` as java.util.Properties would, which is
// how the tools' --override style arguments are read.
func ParseProperty(s string) (key, value string, err error) {
	p, err := ParseProperties(strings.NewReader(s))
	if err != nil {
		return "", "", err
	}
	for k, v := range p {
		return k, v, nil
	}
	return "", "", nil
}

type logicalLine struct {
	number int
	text   string
}

// logicalLines drops comments and blank lines and joins lines that end in an
// odd number of backslashes with the next one, less its leading white space.
func logicalLines(r io.Reader) ([]logicalLine, error) {
	sc := bufio.NewScanner(io.LimitReader(r, MaxPropertiesBytes+1))
	sc.Buffer(make([]byte, 0, 64<<10), MaxPropertiesBytes)
	var out []logicalLine
	var open *logicalLine
	number := 0
	for sc.Scan() {
		number++
		text := strings.TrimLeft(strings.TrimSuffix(sc.Text(), "\r"), " \t\f")
		if open == nil {
			if text == "" || text[0] == '#' || text[0] == '!' {
				continue
			}
			open = &logicalLine{number: number}
		}
		if trailingBackslashes(text)%2 == 1 {
			open.text += text[:len(text)-1]
			continue
		}
		open.text += text
		out = append(out, *open)
		open = nil
	}
	if open != nil {
		out = append(out, *open)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("cannot read properties: %w", err)
	}
	return out, nil
}

func trailingBackslashes(s string) int {
	n := 0
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n
}

// splitProperty cuts at the first unescaped '=', ':' or blank; blanks around
// one '=' or ':' belong to the separator.
func splitProperty(s string) (key, value string) {
	i := 0
	for i < len(s) && !strings.ContainsRune("=: \t\f", rune(s[i])) {
		if s[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(s) {
		return s, ""
	}
	key, rest := s[:i], strings.TrimLeft(s[i:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return key, rest
}

func unescapeProperty(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			r, n, err := unescapeUnicode(s[i-1:])
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			i += n - 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// unescapeUnicode reads \uXXXX, and a second one when the first is half of a
// surrogate pair; n is the number of bytes read.
func unescapeUnicode(s string) (r rune, n int, err error) {
	one, err := hexEscape(s)
	if err != nil {
		return 0, 0, err
	}
	if utf16.IsSurrogate(one) && len(s) >= 12 {
		if two, err := hexEscape(s[6:]); err == nil {
			if r := utf16.DecodeRune(one, two); r != '\uFFFD' {
				return r, 12, nil
			}
		}
	}
	return one, 6, nil
}

func hexEscape(s string) (rune, error) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, errors.New(`malformed \uxxxx encoding`)
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0, errors.New(`malformed \uxxxx encoding`)
	}
	return rune(v), nil
}
