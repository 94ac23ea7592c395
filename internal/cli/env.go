package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

// Env is the world of one run.
type Env struct {
	// Args are the process's arguments, the program's name first.
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// StdinIsTerminal and StdoutIsTerminal allow prompts and colours.
	StdinIsTerminal, StdoutIsTerminal bool
	// TerminalSize is how large the terminal of standard output is; zeros where it is none. Nil: not known.
	TerminalSize func() (columns, rows int)
	Getenv       func(string) string
	Now          func() time.Time
	// Version is what --version prints.
	Version string
	Build   string // commit and date of the binary, "" where they are not known

	// Signals delivers SIGINT and SIGTERM until stop is called. Nil: none come.
	Signals func() (c <-chan os.Signal, stop func())
	// Exit ends the process at once: a tool that sits in a read of standard
	// input cannot return when a signal comes.
	Exit func(code int)
	// Server runs a node and returns its exit code.
	Server func(ServerArgs) int
	// Storage writes what kafka-storage format must leave in a directory.
	Storage StorageWriter
	// Metadata checks what the quorum keeps in a directory.
	Metadata MetadataChecker
	// Processes and Kill are how kafka-server-stop finds and ends nodes.
	Processes func() ([]Process, error)
	Kill      func(pid int, signal string) error
	// Detach starts this program again in the background, its output in a file.
	Detach func(args []string, outputFile string) (pid int, err error)
}

// run is one run of one tool: the Env, buffered output and what went wrong.
type run struct {
	*Env
	tool   string
	out    *bufio.Writer
	ctx    context.Context
	failed bool // something failed, whatever Kafka's exit code says

	json bool // --format json: rows are written by row
	rows int  // so many are

	advice []string // helping lines that come after Kafka's own

	errMu sync.Mutex // hints come from the client's goroutines
	hints map[string]bool
}

// outBufferBytes is one write's worth of output when much is printed.
const outBufferBytes = 64 << 10

func newRun(env *Env, tool string, ctx context.Context) *run {
	return &run{Env: env, tool: tool, out: bufio.NewWriterSize(env.Stdout, outBufferBytes), ctx: ctx, hints: map[string]bool{}}
}

func (r *run) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }
func (r *run) println(s string)                  { r.out.WriteString(s); r.out.WriteByte('\n') }
func (r *run) errorf(format string, args ...any) { r.stderr(fmt.Sprintf(format, args...)) }
func (r *run) errorln(s string)                  { r.stderr(s + "\n") }

// report tells what went wrong on standard output, as some of Kafka's tools do; where JSON was asked for, that is for JSON alone.
func (r *run) report(format string, args ...any) {
	if r.json {
		r.errorf("%s", strings.TrimLeft(fmt.Sprintf(format, args...), "\n"))
		return
	}
	r.printf(format, args...)
}

func (r *run) fail(code int) int             { r.failed = true; return code }
func (r *run) failln(s string, code int) int { r.errorln(s); return r.fail(code) }

// logError logs a failure and, on a line of its own, its cause.
func (r *run) logError(logger, message string, cause error) {
	r.logLine("ERROR", logger, message)
	if cause != nil {
		r.errorln(withClass(cause))
	}
}

// stderr keeps the order of the two streams as the reader of a terminal sees it.
func (r *run) stderr(s string) {
	r.errMu.Lock()
	defer r.errMu.Unlock()
	r.out.Flush()
	io.WriteString(r.Stderr, s)
}

// logLine prints as Kafka's tools log: `[time] LEVEL message (logger)`.
func (r *run) logLine(level, logger, message string) { r.stderr(r.logText(level, logger, message)) }

// logApart is logLine from any goroutine: it does not touch the output buffer.
func (r *run) logApart(level, logger, message string) {
	r.errMu.Lock()
	defer r.errMu.Unlock()
	io.WriteString(r.Stderr, r.logText(level, logger, message))
}

func (r *run) logText(level, logger, message string) string {
	return fmt.Sprintf("[%s] %s %s (%s)\n", strings.Replace(r.Now().Format("2006-01-02 15:04:05.000"), ".", ",", 1), level, message, logger)
}

// hint prints a helping line, once. It may come from any goroutine, so it does
// not touch the output buffer.
func (r *run) hint(s string) {
	r.errMu.Lock()
	defer r.errMu.Unlock()
	if r.hints[s] {
		return
	}
	r.hints[s] = true
	io.WriteString(r.Stderr, "moldau: "+s+"\n")
}

// exitError ends a tool early with everything already printed.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// exitCode is the code inside err if err is an exitError.
func exitCode(err error) (int, bool) {
	var e *exitError
	if errors.As(err, &e) {
		return e.code, true
	}
	return 0, false
}

// open makes a client from --command-config and the bootstrap servers.
func (r *run) open(role client.Role, bootstrap, configFile string, overrides ...client.Properties) (*client.Client, error) {
	props := client.Properties{}
	if configFile != "" {
		p, err := client.LoadProperties(configFile)
		if err != nil {
			return nil, err
		}
		props.Merge(p)
	}
	for _, o := range overrides {
		props.Merge(o)
		if o["bootstrap.controllers"] != "" {
			delete(props, "bootstrap.servers")
		}
	}
	if bootstrap != "" {
		props["bootstrap.servers"] = bootstrap
		if r.asksEither() {
			delete(props, "bootstrap.controllers")
		}
	}
	return client.Open(role, props, r.voice(), nil)
}

// asksEither says whether the tool lets --bootstrap-server take the place of the file's bootstrap.controllers, as some of
// Kafka's tools do; the others refuse both.
func (r *run) asksEither() bool {
	switch r.tool {
	case "configs", "cluster", "features", "metadata-quorum", "broker-api-versions":
		return true
	}
	return false
}

// voice is what a client of this run says: Kafka's tools log as Kafka's do, the others only help.
func (r *run) voice() client.Voice {
	v := client.Voice{Hint: r.hint}
	if _, kafkas := tools()[r.tool]; kafkas {
		v.Log = r.logApart
	}
	return v
}

// openEither opens an admin client to the brokers of --bootstrap-server or the controllers of --bootstrap-controller.
func (r *run) openEither(p *parsed, own ...client.Properties) (*client.Client, error) {
	props := client.Properties{}
	for _, o := range own {
		props.Merge(o)
	}
	if p.has("bootstrap-controller") {
		props["bootstrap.controllers"] = p.value("bootstrap-controller")
	}
	return r.openServers(p, props)
}

// openServers opens an admin client to the brokers of --bootstrap-server.
func (r *run) openServers(p *parsed, own ...client.Properties) (*client.Client, error) {
	bootstrap, config := p.value("bootstrap-server"), p.value("command-config")
	if p.err != nil {
		return nil, p.err
	}
	return r.open(client.Admin, bootstrap, config, own...)
}

// explainConstruct adds the cause of a "Failed to create new KafkaAdminClient",
// which Kafka hides in a stack trace.
func (r *run) explainConstruct(err error) {
	if fe := new(client.FileError); errors.As(err, &fe) && fe.Hint() != "" {
		r.hint(fe.Hint())
	}
	var ce *client.ConstructError
	if errors.As(err, &ce) {
		r.hint(ce.Cause.Error())
	}
}

// readerGone tells a reader that has seen enough (| head -1) from output that is
// lost. Kafka's tools end well then, and so do ours.
func readerGone(err error) bool { return errors.Is(err, syscall.EPIPE) }

func rootCause(err error) error {
	for u := errors.Unwrap(err); u != nil; u = errors.Unwrap(err) {
		err = u
	}
	return err
}

func (r *run) strict() bool {
	v := r.Getenv("MOLDAU_STRICT")
	return v != "" && v != "0" && !strings.EqualFold(v, "false")
}
