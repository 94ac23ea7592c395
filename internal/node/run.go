package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// RunArgs is a node as it is started from a command line.
type RunArgs struct {
	ConfigFile  string // a Kafka properties file; empty: a node with the defaults
	Overrides   []string
	CheckConfig bool
	Environ     []string
	Stdout      io.Writer
	Stderr      io.Writer
	Signals     <-chan os.Signal
	Version     string
}

// Run starts a node, says where it is, and returns its exit code when a signal has
// stopped it. With CheckConfig it only says what is wrong with the configuration.
func Run(a RunArgs) int {
	src := config.Sources{Environ: a.Environ, Overrides: a.Overrides}
	if a.ConfigFile != "" {
		data, err := os.ReadFile(a.ConfigFile)
		if err != nil {
			fmt.Fprintf(a.Stderr, "cannot read the configuration: %v\n", err)
			return 1
		}
		src.FileName, src.File = a.ConfigFile, data
	}
	settings, report := config.Load(src)
	if a.CheckConfig {
		return checkConfig(a, report)
	}
	if settings == nil {
		for _, l := range report.Lines() {
			fmt.Fprintln(a.Stderr, l)
		}
		return 1
	}
	level := new(slog.LevelVar)
	l, err := obs.ParseLevel(settings.String(config.MoldauLogLevel))
	if err != nil {
		fmt.Fprintln(a.Stderr, err)
		return 1
	}
	level.Set(l)
	logger, err := obs.NewLogger(a.Stdout, settings.String(config.MoldauLogFormat), level)
	if err != nil {
		fmt.Fprintln(a.Stderr, err)
		return 1
	}
	for _, l := range report.NoteLines() {
		logger.Warn(l)
	}
	return serve(a, settings, logger)
}

func checkConfig(a RunArgs, report config.Report) int {
	for _, l := range report.Lines() {
		fmt.Fprintln(a.Stdout, l)
	}
	if len(report.Problems) > 0 {
		return 1
	}
	fmt.Fprintln(a.Stdout, "The configuration is valid.")
	return 0
}

func serve(a RunArgs, settings *config.Config, logger *slog.Logger) int {
	began := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type outcome struct {
		n   *Node
		err error
	}
	tidy := collectRarely()
	started := make(chan outcome, 1)
	go func() {
		n, err := Start(ctx, Options{
			Settings: settings, AutoFormat: formatsItself(a, settings), ClusterID: config.ClusterID(a.Environ),
			FS: vfs.OS{}, Network: netx.TCP{}, Clock: clock.Real{}, Logger: logger, Version: a.Version,
			BootID: vfs.BootID(),
		})
		started <- outcome{n, err}
	}()
	var n *Node
	select {
	case o := <-started:
		if o.err != nil {
			fmt.Fprintf(a.Stderr, "moldau cannot start: %v\n", o.err)
			return 1
		}
		n = o.n
	case <-a.Signals:
		cancel()
		if o := <-started; o.n != nil {
			_ = o.n.Stop()
		}
		return 130
	}
	n.banner(logger, time.Since(began))
	settled := time.AfterFunc(startupSettles, func() {
		tidy()
		if err := shedStartup(); err != nil {
			logger.Debug("the program's pages of the start are kept", "cause", err)
		}
	})
	defer settled.Stop()
	return n.await(a.Signals, logger)
}

// await serves until a signal comes or the node fails.
func (n *Node) await(signals <-chan os.Signal, logger *slog.Logger) int {
	code := 0
	select {
	case s := <-signals:
		logger.Info("stopping", "signal", s.String())
	case <-n.Failed():
		logger.Error("stopping: the node cannot go on", "cause", n.Err())
		code = 1
	}
	asked := time.Now()
	done := make(chan error, 1)
	go func() { done <- n.Stop() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				logger.Error("stopped, but not cleanly", "cause", err)
				return 1
			}
			logger.Info("stopped cleanly")
			return code
		case <-signals:
			if code == 0 && time.Since(asked) < sameWish {
				continue
			}
			logger.Warn("stopping at once: the next start will check the logs")
			return 130
		}
	}
}

// sameWish: signals so soon after each other are one wish to stop that came twice, as timeout, docker and shells send it
// to the process and to its group; nobody loses patience so fast.
const sameWish = 500 * time.Millisecond

// banner says in a few lines where the node is and how to try it.
func (n *Node) banner(logger *slog.Logger, took time.Duration) {
	s := n.o.Settings
	var at, bound []string
	if s.IsBroker() {
		for _, l := range n.advertised() {
			at = append(at, l.Address())
		}
	}
	for _, l := range s.BrokerListeners() {
		bound = append(bound, n.boundTo(l))
	}
	if !s.IsBroker() {
		for _, l := range n.controllerListeners() {
			bound, at = append(bound, n.boundTo(l)), append(at, l.Address())
		}
	}
	flush := "acknowledges when the records are in the page cache (Kafka's way); moldau.flush.acks=true syncs first"
	if s.Bool(config.MoldauFlushAcks) {
		flush = "acknowledges when the records are synced to disk"
	}
	var dirs []string
	for _, d := range n.dirs() {
		if abs, err := filepath.Abs(d); err == nil {
			d = abs
		}
		dirs = append(dirs, d)
	}
	logger.Info(fmt.Sprintf("moldau %s, node %d of cluster %s, ready in %d ms", n.o.Version, n.id, n.clusterID, took.Milliseconds()))
	where := "listening on " + strings.Join(bound, ", ")
	if !slices.Equal(at, bound) {
		where += ", and sends clients to " + strings.Join(at, ", ")
	}
	logger.Info(where)
	logger.Info("data in " + strings.Join(dirs, ", "))
	logger.Info(flush)
	if a := n.AdminAddr(); a != nil {
		logger.Info("metrics and health on http://" + a.String() + "/metrics")
	}
	if len(at) > 0 && s.IsBroker() {
		logger.Info("try: " + topicsTool() + " --create --topic my-topic --bootstrap-server " + at[0])
	}
	n.warnAdvertised(logger)
}

// boundTo is a listener's address as it is configured, with the port that it was given where it asked for any.
func (n *Node) boundTo(l config.Listener) string {
	if a, ok := n.Addr(l.Name).(*net.TCPAddr); ok && l.Port == 0 {
		l.Port = a.Port
	}
	return l.Address()
}

// topicsTool is how the user, who has started this program somehow, can start the topics tool.
func topicsTool() string {
	exe := os.Args[0]
	switch name := filepath.Base(exe); {
	case strings.Contains(exe, "go-build"): // a temporary file of go run
		return "go run ./cmd/moldau topics"
	case strings.HasPrefix(name, "kafka-"):
		return strings.TrimSuffix(exe, name) + "kafka-topics"
	}
	return exe + " topics"
}

// warnAdvertised tells of advertised names that do not resolve here: clients are sent to them.
func (n *Node) warnAdvertised(logger *slog.Logger) {
	if !n.o.Settings.IsBroker() {
		return
	}
	for _, l := range n.advertised() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := net.DefaultResolver.LookupHost(ctx, l.Host)
		cancel()
		if err != nil {
			logger.Warn(fmt.Sprintf("the advertised name %s of listener %s does not resolve on this machine: clients that are told to go there will fail; correct advertised.listeners or the name service", l.Host, l.Name))
		}
	}
}

// formatsItself: a node without a file, one whose file is of the time before formatting (it names no
// process.roles), and one that is given a cluster id as Kafka's container images are.
func formatsItself(a RunArgs, s *config.Config) bool {
	return a.ConfigFile == "" || s.Place(config.ProcessRoles) == (config.Place{}) || config.ClusterID(a.Environ) != ""
}

// explainListen adds what to do to the commonest failure of all.
func explainListen(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another process listens there, perhaps another Kafka or Moldau; stop it, or set listeners to a free port", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: ports below 1024 need privileges; choose another", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine has no such address; listeners takes the machine's own addresses, advertised.listeners what clients should use", err)
	}
	return err
}
