package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lineReader turns lines into records as Kafka's LineMessageReader does.
type lineReader struct {
	*run
	in            *lineScanner
	parseKey      bool
	parseHeaders  bool
	keySep        []byte
	headersDelim  []byte
	headersSep    string
	headersSplit  *regexp.Regexp
	headersKeySep string
	nullMarker    []byte
	hasNullMarker bool
	ignoreError   bool
	prompt        bool
	lineNumber    int
}

func (r *run) newLineReader(p *parsed) (*lineReader, error) {
	class, config := p.value("line-reader"), p.value("reader-config")
	if p.err != nil {
		return nil, p.err
	}
	if c := class[strings.LastIndexByte(class, '.')+1:]; c != "LineMessageReader" {
		r.hintNearest("line reader", class, []string{"org.apache.kafka.tools.LineMessageReader"})
		return nil, fmt.Errorf("%s\nmoldau: only Kafka's own line reader, org.apache.kafka.tools.LineMessageReader, is available", class)
	}
	props := client.Properties{}
	if config != "" {
		loaded, err := client.LoadProperties(config)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	props.Merge(keyValues(append(p.all("property"), p.all("reader-property")...)))
	l := &lineReader{run: r, in: newLineScanner(r.Stdin), prompt: r.StdinIsTerminal && r.StdoutIsTerminal}
	return l, l.configure(props)
}

func (l *lineReader) configure(props client.Properties) error {
	l.keySep, l.headersDelim, l.headersSep, l.headersKeySep = []byte("\t"), []byte("\t"), ",", ":"
	isTrue := func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "true") }
	for _, k := range props.Keys() {
		v := props[k]
		switch k {
		case "topic":
		case "parse.key":
			l.parseKey = isTrue(v)
		case "parse.headers":
			l.parseHeaders = isTrue(v)
		case "key.separator":
			l.keySep = []byte(v)
		case "headers.delimiter":
			l.headersDelim = []byte(v)
		case "headers.separator":
			l.headersSep = v
		case "headers.key.separator":
			l.headersKeySep = v
		case "null.marker":
			l.nullMarker, l.hasNullMarker = []byte(v), true
		case "ignore.error":
			l.ignoreError = isTrue(v)
		default:
			l.hint(fmt.Sprintf("the reader property %s is not known%s", k, meant(k, readerKeys())))
		}
	}
	re, err := compileJavaPart(l.headersSep) // of all the separators only this is a pattern
	if err != nil {
		return err
	}
	l.headersSplit = re
	return l.checkSeparators()
}

func readerKeys() []string {
	return []string{"parse.key", "parse.headers", "key.separator", "headers.delimiter", "headers.separator", "headers.key.separator", "null.marker", "ignore.error"}
}

func (l *lineReader) checkSeparators() error {
	same := func(a, b, na, nb string) error {
		if a == b {
			return fmt.Errorf("%s and %s may not be equal", na, nb)
		}
		return nil
	}
	if l.parseHeaders {
		if err := same(string(l.headersDelim), l.headersSep, "headers.delimiter", "headers.separator"); err != nil {
			return err
		}
		if err := same(string(l.headersDelim), l.headersKeySep, "headers.delimiter", "headers.key.separator"); err != nil {
			return err
		}
		if err := same(l.headersSep, l.headersKeySep, "headers.separator", "headers.key.separator"); err != nil {
			return err
		}
	}
	if l.hasNullMarker {
		for _, s := range []struct {
			name, v string
			used    bool
		}{{"key.separator", string(l.keySep), l.parseKey}, {"headers.delimiter", string(l.headersDelim), l.parseHeaders},
			{"headers.separator", l.headersSep, l.parseHeaders}, {"headers.key.separator", l.headersKeySep, l.parseHeaders}} {
			if s.used && s.v == string(l.nullMarker) {
				return fmt.Errorf("null.marker and %s may not be equal", s.name)
			}
		}
	}
	return nil
}

// each calls fn for every line until the input ends or fn fails.
func (l *lineReader) each(fn func(*kgo.Record) error) error {
	for {
		if l.prompt {
			l.out.WriteByte('>')
		}
		if l.out.Buffered() > 0 {
			l.out.Flush()
		}
		line, err := l.in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read standard input: %w", err)
		}
		l.lineNumber++
		rec, err := l.record(line)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
}

// record splits headers, then the key, and leaves the value.
func (l *lineReader) record(line []byte) (*kgo.Record, error) {
	rec := &kgo.Record{}
	rest := line
	if l.parseHeaders {
		head, tail, err := l.cut(rest, l.headersDelim, "headers delimiter")
		if err != nil {
			return nil, err
		}
		if rest = tail; head != nil {
			if rec.Headers, err = l.headers(head); err != nil {
				return nil, err
			}
		}
	}
	if l.parseKey {
		key, tail, err := l.cut(rest, l.keySep, "key separator")
		if err != nil {
			return nil, err
		}
		if rest = tail; key != nil && !l.isNull(key) {
			rec.Key = key
		}
	}
	if !l.isNull(rest) {
		rec.Value = rest
	}
	return rec, nil
}

func (l *lineReader) isNull(b []byte) bool {
	return l.hasNullMarker && bytes.Equal(b, l.nullMarker)
}

// cut splits at sep. Where it is missing the line is an error, unless errors
// are ignored: then head is nil and everything is the tail.
func (l *lineReader) cut(b, sep []byte, what string) (head, tail []byte, err error) {
	i := bytes.Index(b, sep)
	if i >= 0 {
		return b[:i:i], b[i+len(sep):], nil
	}
	if l.ignoreError {
		return nil, b, nil
	}
	return nil, nil, fmt.Errorf("No %s found on line number %d: '%s'", what, l.lineNumber, b)
}

func (l *lineReader) headers(b []byte) ([]kgo.RecordHeader, error) {
	if l.isNull(b) {
		return nil, nil
	}
	var out []kgo.RecordHeader
	for _, pair := range patternSplit(l.headersSplit, string(b)) {
		key, value, ok := strings.Cut(pair, l.headersKeySep)
		if !ok {
			if !l.ignoreError {
				return nil, fmt.Errorf("No header key separator found in pair '%s' on line number %d", pair, l.lineNumber)
			}
			out = append(out, kgo.RecordHeader{Key: pair})
			continue
		}
		if l.hasNullMarker && key == string(l.nullMarker) {
			return nil, fmt.Errorf("Header keys should not be equal to the null marker '%s' as they can't be null", l.nullMarker)
		}
		h := kgo.RecordHeader{Key: key}
		if !l.isNull([]byte(value)) {
			h.Value = []byte(value)
		}
		out = append(out, h)
	}
	return out, nil
}

// lineScanner splits a stream at \n, \r\n and \r, as Java's readLine does.
// Lines alias blocks that are never reused, so that a record can keep its line
// without a copy of its own.
type lineScanner struct {
	in    io.Reader
	block []byte // what has been read and not yet given away
	spare []byte // room behind block in the same allocation
	eof   bool
	cr    bool // the last line ended with \r: a \n that follows belongs to it
	err   error
}

// scanBlockBytes is one allocation and one read of the input: large enough that
// a fast pipe costs few system calls.
const scanBlockBytes = 256 << 10

// maxLineBytes bounds one line: no broker takes a larger record, since a batch's
// length is a signed 32-bit number.
const maxLineBytes = 1 << 30

func newLineScanner(in io.Reader) *lineScanner { return &lineScanner{in: in} }

func (s *lineScanner) next() ([]byte, error) {
	scanned := 0
	for {
		if s.cr && len(s.block) > 0 {
			if s.block[0] == '\n' {
				s.block = s.block[1:]
			}
			s.cr = false
		}
		if i := bytes.IndexByte(s.block[scanned:], '\n'); i >= 0 {
			if j := bytes.IndexByte(s.block[scanned:scanned+i], '\r'); j >= 0 {
				return s.give(scanned+j, '\r'), nil
			}
			return s.give(scanned+i, '\n'), nil
		}
		if j := bytes.IndexByte(s.block[scanned:], '\r'); j >= 0 {
			return s.give(scanned+j, '\r'), nil
		}
		scanned = len(s.block)
		if s.eof {
			return s.last()
		}
		if len(s.block) > maxLineBytes {
			return nil, errors.New("a line is longer than any record can be")
		}
		s.fill()
	}
}

func (s *lineScanner) give(end int, terminator byte) []byte {
	line := s.block[:end:end]
	s.block = s.block[end+1:]
	s.cr = terminator == '\r'
	return line
}

func (s *lineScanner) last() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	if len(s.block) == 0 {
		return nil, io.EOF
	}
	line := s.block
	s.block = nil
	return line, nil
}

// fill reads more, into the spare room or into a new block that begins with
// what is left of the old one.
func (s *lineScanner) fill() {
	if len(s.spare) == 0 {
		grown := make([]byte, max(scanBlockBytes, 2*len(s.block)))
		n := copy(grown, s.block)
		s.block, s.spare = grown[:n], grown[n:]
	}
	n, err := s.in.Read(s.spare)
	s.block = s.block[:len(s.block)+n]
	s.spare = s.spare[n:]
	if err != nil {
		s.eof = true
		if err != io.EOF {
			s.err = err
		}
	}
}
