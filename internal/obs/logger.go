package obs

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The forms of the log.
const (
	FormatText = "text" // for people
	FormatJSON = "json" // for machines
)

// NewLogger makes the node's log. level may be changed while it runs.
func NewLogger(w io.Writer, format string, level *slog.LevelVar) (*slog.Logger, error) {
	switch format {
	case FormatText:
		return slog.New(newTextHandler(w, level)), nil
	case FormatJSON:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	return nil, fmt.Errorf("%q is no form of the log: use %s or %s", format, FormatText, FormatJSON)
}

// Discard is a log that nobody reads.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// ParseLevel reads debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is no level of the log: use debug, info, warn or error", s)
}
