package quorum

import (
	"fmt"
	"log/slog"
	"strings"
)

// raftFault is what Raft says when it finds its own rules broken.
type raftFault string

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
func (r raftLogger) Fatal(v ...any)                 { panic(raftFault(text(v...))) }
func (r raftLogger) Fatalf(format string, v ...any) { panic(raftFault(textf(format, v...))) }
func (r raftLogger) Panic(v ...any)                 { panic(raftFault(text(v...))) }
func (r raftLogger) Panicf(format string, v ...any) { panic(raftFault(textf(format, v...))) }

func text(v ...any) string { return "raft: " + strings.TrimSpace(fmt.Sprint(v...)) }
func textf(format string, v ...any) string {
	return "raft: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}

// guarded runs the loop. Raft ends with a panic when what it is told cannot be, such as a log that a voter had and has no
// more; that ends this controller and says why, and not the process in the middle of other work.
func (l *loop) guarded() (err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case raftFault:
			err = l.rulesBroken(string(x))
		default:
			panic(x)
		}
	}()
	return l.run()
}

// rulesBroken says how to go on.
func (l *loop) rulesBroken(what string) error {
	way := "remove it from the quorum and add it again with an empty directory"
	if !l.disk.kraft.dynamic() {
		way = fixedWayOut
	}
	return fmt.Errorf("the quorum's rules are broken: %s: this controller may have lost what it had promised to keep (its disk, or a copy of an old one); %s", what, way)
}
