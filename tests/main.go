// Command run is what tests/run builds: it starts or finds a server, runs the
// suites against it and prints what they found.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/tests/chaos"
	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/crash"
	"github.com/moldau-stream/moldau/tests/hostile"
	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/moldau-stream/moldau/tests/wire"
)

const usage = `usage: tests/run [SUITE...] TARGET [OPTION...]

Suites (default: all that the target allows):
  clients    foreign clients: create, produce, consume, groups, commits, admin; one table
  wire       every API at every advertised version, and the visible behaviour in error cases, against a record of real Kafka
  hostile    garbage, oversized and half-sent frames, idle connections, compression bombs
  crash      kill -9 under load, again and again
  chaos      three nodes; leaders, controllers and coordinators are killed, stopped, paused and cut off (only when named)
  failover   three nodes; how long writes stand still when a leader or the active controller is killed or stopped (only when named)
  examples   the programs of examples/, in Go and Java
  franz      franz-go's own integration tests, on one node and on three
  eos        Java applications that process exactly once on three nodes are killed, and the nodes under them
  interop    the compatibility matrix: every client, and programs written for Apache Kafka, on one node and on three; writes docs/compatibility.md (only when named)
  disks      the power is cut under the server's file system, which also turns read-only, and is filled; needs root and loop devices

Target, one of:
  --moldau PATH            start this moldau binary (server FILE.properties) in a directory of its own
  --target real            start Apache Kafka by the script that MOLDAU_REALKAFKA names
  --bootstrap HOST:PORT    a cluster that is there already (clients, wire and examples only)

Options:
`

type options struct {
	suites                    []string
	bootstrap, moldau, target string
	only, record              string
	jobs, kills, cuts, rate   int
	duration                  time.Duration
	verbose, keep, timings    bool
	seed                      uint64
	timeout                   time.Duration
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("tests/run", flag.ContinueOnError)
	f.StringVar(&o.bootstrap, "bootstrap", "", "address of a running cluster")
	f.StringVar(&o.moldau, "moldau", "", "path of the moldau binary to start")
	f.StringVar(&o.target, "target", "", "'real' starts Apache Kafka")
	f.StringVar(&o.only, "only", "", "clients: only rows whose name matches this expression; wire, franz, examples: only such cases; chaos: only faults whose name contains it; interop: rows by comma, each a part of a name")
	f.IntVar(&o.jobs, "jobs", 3, "clients: how many clients run at once")
	f.IntVar(&o.kills, "n", 50, "crash, failover: how many times the server is killed")
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "crash, chaos, eos: decides the faults and their moments")
	f.DurationVar(&o.duration, "duration", time.Minute, "chaos, eos: for how long faults come")
	f.IntVar(&o.rate, "rate", 5000, "chaos: how many records a second are written")
	f.IntVar(&o.cuts, "cuts", 10, "disks: how many times the power is cut")
	f.BoolVar(&o.verbose, "v", false, "say what is being done")
	f.BoolVar(&o.keep, "keep", false, "keep the server's directory")
	f.StringVar(&o.record, "record", "", "wire: write the answers to this file instead of comparing them (tests/wire/testdata/kafka-4.3.1.txt, with --target real); failover: write the figures to it")
	f.BoolVar(&o.timings, "timings", false, "print how long each step took")
	f.DurationVar(&o.timeout, "timeout", 30*time.Minute, "bound of the whole run")
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	// Suites and options may come in any order.
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		args = f.Args()
		if len(args) > 0 {
			if _, ok := suites()[args[0]]; !ok {
				return nil, fmt.Errorf("no suite is called %q; there are %s", args[0], strings.Join(order, ", "))
			}
			o.suites = append(o.suites, args[0])
			args = args[1:]
		}
	}
	targets := 0
	for _, t := range []string{o.bootstrap, o.moldau, o.target} {
		if t != "" {
			targets++
		}
	}
	if targets != 1 {
		return nil, fmt.Errorf("give one of --moldau, --target real and --bootstrap; --help tells more")
	}
	if o.target != "" && o.target != "real" {
		return nil, fmt.Errorf("--target takes only 'real', not %q", o.target)
	}
	return o, nil
}

// session is what the suites of one run share.
type session struct {
	*options
	spec  node.Spec
	fleet *node.Fleet
	dir   string
	rep   *report.Report
	cache *tools.Cache
}

// suites are the names that may be given.
func suites() map[string]func(context.Context, *session) error {
	return map[string]func(context.Context, *session) error{"clients": runClients, "wire": runWire, "crash": runCrash, "hostile": runHostile, "chaos": runChaos, "failover": runFailover, "disks": runDisks, "franz": runFranz, "eos": runEos, "examples": runExamples, "interop": runInterop}
}

// watchdogGrace is what the suites get to wind up after the time limit.
const watchdogGrace = 90 * time.Second

// order is how suites follow each other; the short ones first.
var order = []string{"wire", "clients", "hostile", "examples", "franz", "eos", "crash", "chaos", "failover", "disks", "interop"}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args)
	if err != nil {
		if err != flag.ErrHelp {
			fmt.Fprintln(os.Stderr, "tests/run:", err)
		}
		return 2
	}
	s := &session{options: o, fleet: &node.Fleet{}, rep: &report.Report{}}
	if err := s.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "tests/run:", err)
		return 2
	}
	defer s.fleet.KillAll()
	if !o.keep {
		defer os.RemoveAll(s.dir)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A client library that ignores its context must not hang the run.
	watchdog := time.AfterFunc(o.timeout+watchdogGrace, func() {
		fmt.Fprintf(os.Stderr, "tests/run: something still hangs %s after the time limit of %s; giving up\n", watchdogGrace, o.timeout)
		s.rep.Check("run", "ends within its time", o.timeout, fmt.Errorf("it hangs"))
		s.rep.Print(os.Stdout)
		s.fleet.KillAll()
		os.Exit(1)
	})
	defer watchdog.Stop()
	start := time.Now()
	for _, name := range order {
		if !slices.Contains(o.suites, name) {
			continue
		}
		began := time.Now()
		if err := suites()[name](ctx, s); err != nil {
			s.rep.Check(name, "the suite", time.Since(began), err)
		}
		s.logf("suite %s took %s", name, time.Since(began).Round(time.Second))
	}
	if o.timings {
		s.rep.Timings(os.Stdout)
	}
	fmt.Printf("\ntook %s\n", time.Since(start).Round(time.Second))
	if s.rep.Print(os.Stdout) > 0 {
		return 1
	}
	return 0
}

func (s *session) prepare() error {
	realKafka := os.Getenv("MOLDAU_REALKAFKA")
	switch {
	case s.moldau != "":
		path, err := filepath.Abs(s.moldau)
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("cannot find the moldau binary: %w", err)
		}
		s.spec = node.Spec{Kind: node.Moldau, Binary: path}
	case s.target == "real":
		if realKafka == "" {
			return fmt.Errorf("--target real needs MOLDAU_REALKAFKA, the path of the realkafka script")
		}
		s.spec = node.Spec{Kind: node.Real, RealKafka: realKafka}
	default:
		s.spec = node.Spec{Kind: node.External, Bootstrap: s.bootstrap}
	}
	if len(s.suites) == 0 {
		for _, name := range order {
			if name != "chaos" && name != "failover" && name != "interop" && (s.spec.Kind != node.External || name == "clients" || name == "wire" || name == "examples") {
				s.suites = append(s.suites, name)
			}
		}
	}
	cache := os.Getenv("MOLDAU_TESTS_CACHE")
	if cache == "" {
		return fmt.Errorf("MOLDAU_TESTS_CACHE is not set; start this program by tests/run")
	}
	s.cache = &tools.Cache{Dir: cache, Logf: s.say}
	dir, err := os.MkdirTemp("", "moldau-tests-")
	if err != nil {
		return err
	}
	s.dir = dir
	return nil
}

// say prints progress that is worth knowing while one waits.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "tests/run: %s\n", fmt.Sprintf(format, args...))
}

// logf is for those who asked for more.
func (s *session) logf(format string, args ...any) {
	if s.verbose {
		s.say(format, args...)
	}
}

// start starts a fresh node for a suite. The suite stops it by the function.
func (s *session) start(suite string, props map[string]string) (*node.Node, func(), error) {
	spec := s.spec
	spec.Props = props
	n, err := s.fleet.Start(spec, s.dir)
	if err != nil {
		return nil, nil, err
	}
	return n, func() {
		if err := n.Stop(); err != nil {
			s.rep.Check(suite, "the server stops cleanly", 0, err)
		} else if n.Own() {
			s.rep.Check(suite, "the server stops cleanly", 0, nil)
		}
	}, nil
}

// selected compiles --only.
func (s *session) selected() (*regexp.Regexp, error) {
	if s.only == "" {
		return nil, nil
	}
	re, err := regexp.Compile("(?i)" + s.only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	return re, nil
}

func runWire(ctx context.Context, s *session) error {
	only, err := s.selected()
	if err != nil {
		return err
	}
	n, stop, err := s.start("wire", nil)
	if err != nil {
		return err
	}
	defer stop()
	return wire.Run(ctx, wire.Options{Bootstrap: n.Bootstrap, Only: only, Record: s.record}, s.rep)
}

// runCrash kills the server; it is restarted on the same directory and port.
func runCrash(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("a cluster that somebody else started is not ours to kill")
	}
	var props map[string]string
	if s.spec.Kind == node.Moldau {
		props = map[string]string{"moldau.flush.acks": "true", "log.cleaner.backoff.ms": "300"}
	}
	n, stop, err := s.start("crash", props)
	if err != nil {
		return err
	}
	defer stop()
	return crash.Run(ctx, n, crash.Options{Kills: s.kills, Seed: s.seed, Logf: s.logf}, s.rep)
}

// runChaos has a cluster of its own.
func runChaos(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("a cluster that somebody else started is not ours to hurt")
	}
	dir, err := os.MkdirTemp(s.dir, "chaos-")
	if err != nil {
		return err
	}
	return chaos.Run(ctx, s.spec, s.fleet, dir, chaos.Options{Duration: s.duration, Seed: s.seed, Rate: s.rate, Only: s.only, Logf: s.logf}, s.rep)
}

// realGrowthBytes allows for a Java heap that fills before it is collected.
const realGrowthBytes = 1 << 30

func runHostile(ctx context.Context, s *session) error {
	if s.spec.Kind == node.External {
		return fmt.Errorf("a cluster that somebody else started is not ours to attack")
	}
	n, stop, err := s.start("hostile", nil)
	if err != nil {
		return err
	}
	defer stop()
	honest, growth := true, int64(0)
	if s.spec.Kind == node.Real {
		honest, growth = false, realGrowthBytes
	}
	return hostile.Run(ctx, n, honest, growth, s.logf, s.rep)
}

func runClients(ctx context.Context, s *session) error {
	only, err := s.selected()
	if err != nil {
		return err
	}
	// The cleaner's rest would make the compacted topic wait.
	n, stop, err := s.start("clients", map[string]string{"log.cleaner.backoff.ms": "200"})
	if err != nil {
		return err
	}
	defer stop()
	return clients.Run(ctx, clients.Options{Bootstrap: n.Bootstrap, RealKafka: os.Getenv("MOLDAU_REALKAFKA"), Only: only, Jobs: s.jobs, Replicas: 1, Source: os.Getenv("MOLDAU_TESTS_SOURCE"), Cache: s.cache,
		Logf: s.logf}, s.rep)
}
