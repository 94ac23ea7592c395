package quorum

import (
	"fmt"
	"log/slog"
	"strings"
)

// raftLogger takes what Raft says into the structured log. Its chatter about elections is for debugging.
type raftLogger struct{ l *slog.Logger }

func (r raftLogger) Debug(v ...any)                 { r.l.Debug(text(v...)) }
func (r raftLogger) Debugf(format string, v ...any) { r.l.Debug(textf(format, v...)) }
func (r raftLogger) Info(v ...any)                  { r.l.Debug(text(v...)) }
func (r raftLogger) Infof(format string, v ...any)  { r.l.Debug(textf(format, v...)) }
func (r raftLogger) Warning(v ...any)               { r.l.Warn(text(v...)) }
func (r raftLogger) Warningf(format string, v ...any) {
	r.l.Warn(textf(format, v...))
}
func (r raftLogger) Error(v ...any)                 { r.l.Error(text(v...)) }
func (r raftLogger) Errorf(format string, v ...any) { r.l.Error(textf(format, v...)) }

// Fatal and Panic mean that Raft found its own rules broken: going on could lose what was acknowledged.
func (r raftLogger) Fatal(v ...any)                 { panic("raft: " + text(v...)) }
func (r raftLogger) Fatalf(format string, v ...any) { panic("raft: " + textf(format, v...)) }
func (r raftLogger) Panic(v ...any)                 { panic("raft: " + text(v...)) }
func (r raftLogger) Panicf(format string, v ...any) { panic("raft: " + textf(format, v...)) }

func text(v ...any) string { return "raft: " + strings.TrimSpace(fmt.Sprint(v...)) }
func textf(format string, v ...any) string {
	return "raft: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}
