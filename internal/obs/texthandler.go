package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode"
)

// textHandler writes one line a record:
//
//	2026-11-22 10:11:12.345 INFO  listening on localhost:9092 listener=PLAINTEXT
//
// The level takes five places, so that messages stand under each other.
type textHandler struct {
	level  slog.Leveler
	out    *lockedWriter
	given  []byte // attributes of With, written already
	prefix string // names of open groups, each with a dot
}

// lockedWriter keeps lines whole; it is shared by all loggers that come from one.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func newTextHandler(w io.Writer, level slog.Leveler) *textHandler {
	return &textHandler{level: level, out: &lockedWriter{w: w}}
}

func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

const lineTime = "2006-01-02 15:04:05.000"

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	line := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		line = r.Time.AppendFormat(line, lineTime)
		line = append(line, ' ')
	}
	line = fmt.Appendf(line, "%-5s ", r.Level)
	line = append(line, oneLine(r.Message)...)
	line = append(line, h.given...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	line = append(line, '\n')
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(line)
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.given = append([]byte(nil), h.given...)
	for _, a := range attrs {
		next.given = appendAttr(next.given, h.prefix, a)
	}
	return &next
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.prefix += name + "."
	return &next
}

func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			line = appendAttr(line, prefix, inner)
		}
		return line
	}
	if a.Equal(slog.Attr{}) {
		return line
	}
	line = append(line, ' ')
	line = append(line, prefix...)
	line = append(line, a.Key...)
	line = append(line, '=')
	return append(line, quoted(text(v))...)
}

func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case nil:
			return "none"
		case error:
			return x.Error()
		case []byte:
			return string(x)
		}
	}
	return v.String()
}

// quoted leaves a plain word as it is and quotes what has blanks or would not show.
func quoted(s string) string {
	if s == "" {
		return `""`
	}
	for _, r := range s {
		if r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// oneLine keeps a message from forging a second line: what does not show is written as an escape.
func oneLine(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}
