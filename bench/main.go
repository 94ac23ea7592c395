// Command bench measures Moldau: against the least that the machine must do, and against
// Apache Kafka. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/roofline"
)

// kafkaVersion is the Apache Kafka that we compare with.
const kafkaVersion = "4.3.1"

type options struct {
	quick                bool
	only                 string
	rounds               int
	length               time.Duration
	strikes              int // how often a node of a cluster is hurt, of Moldau
	kafkaStrikes         int // and of Apache Kafka
	moldau               string
	kafka                string
	heap                 string
	profile              string
	out, work            string
	brokerCPU, driverCPU int
	list                 bool
	given                bool // moldau was named
	args                 []string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "pin":
			return host.Pin(args[1:])
		case "loop":
			return loop(args[1:])
		case "compare":
			return withOptions(args[1:], compare)
		case "soak":
			return withOptions(args[1:], soak)
		case "tuning":
			os.Setenv(onDriverCPU, "1") // neither the node nor the lab is pinned
			return withOptions(args[1:], tuning)
		case "report":
			return withOptions(args[1:], rewrite)
		}
	}
	return withOptions(args, measure)
}

func loop(args []string) error {
	if len(args) != 4 {
		return errors.New("loop wants a mode, a directory, a number of files and of bytes")
	}
	files, err1 := strconv.Atoi(args[2])
	bytes, err2 := strconv.Atoi(args[3])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return roofline.Serve(roofline.Options{Mode: roofline.Mode(args[0]), Dir: args[1], Files: files, Bytes: bytes})
}

// onDriverCPU marks the process that has been bound to the driver's CPU.
const onDriverCPU = "MOLDAU_BENCH_PINNED"

func withOptions(args []string, do func(options) error) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	var o options
	f.BoolVar(&o.quick, "quick", false, "measure the main scenarios in two minutes, without Apache Kafka unless -kafka=on")
	f.StringVar(&o.only, "only", "", "scenarios to measure, separated by commas; what is not a name stands for all names that begin with it")
	f.IntVar(&o.rounds, "rounds", 0, "rounds that count (default 5, quick 3)")
	f.DurationVar(&o.length, "length", 0, "load of a round (default 3s, quick 1s)")
	f.IntVar(&o.strikes, "strikes", 30, "how often a node of three is killed or stopped, in each row that does so")
	f.IntVar(&o.kafkaStrikes, "kafka-strikes", 5, "the same of Apache Kafka, where one takes a minute")
	f.StringVar(&o.moldau, "moldau", "", "the binary to measure (default: built from the tree)")
	f.StringVar(&o.kafka, "kafka", "auto", "measure Apache Kafka beside: auto, on, off")
	f.StringVar(&o.heap, "kafka-heap", "2g", "heap of Apache Kafka")
	f.StringVar(&o.profile, "profile", os.Getenv("PROFILE"), "cpu or allocs: write a profile of each scenario")
	f.StringVar(&o.out, "out", "../docs", "directory of benchmarks.md and what belongs to it")
	f.StringVar(&o.work, "work", "", "directory for data (default: the system's for temporary files)")
	f.IntVar(&o.brokerCPU, "broker-cpu", 0, "CPU of the broker, -1: any")
	f.IntVar(&o.driverCPU, "driver-cpu", 1, "CPU of the driver, -1: any")
	f.BoolVar(&o.list, "list", false, "list the scenarios")
	f.DurationVar(&soakLength, "duration", time.Hour, "soak: how long")
	f.Float64Var(&soakRate, "rate", 1000, "soak: requests a second; 0: as fast as they go")
	f.DurationVar(&soakSlow, "latency-slack", time.Millisecond, "soak: what the p99 latency may grow by besides; more on a machine that has other things to do")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	o.args = f.Args()
	o.given = o.moldau != "" || len(o.args) > 0
	if o.profile != "" && profilePaths()[o.profile] == "" {
		return fmt.Errorf("cannot take a profile of %q: only of cpu or allocs", o.profile)
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 3
		}
	}
	if o.length == 0 {
		o.length = 3 * time.Second
		if o.quick {
			o.length = time.Second
		}
	}
	if o.driverCPU >= 0 && os.Getenv(onDriverCPU) == "" {
		return rebind(o.driverCPU)
	}
	return do(o)
}

// rebind runs this command again on the driver's CPU.
func rebind(cpu int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	os.Setenv(onDriverCPU, "1")
	return host.Pin(append([]string{strconv.Itoa(cpu), self}, os.Args[1:]...))
}

// build makes the binary of the tree that this command lies in.
func build(dir string) (string, error) {
	to := filepath.Join(dir, "moldau")
	cmd := exec.Command("go", "build", "-o", to, "./cmd/moldau")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build moldau: %w: %s", err, out)
	}
	return to, nil
}

// wanted are the scenarios that the options name.
func wanted(o options) ([]*scenario, error) {
	var out []*scenario
	for _, s := range allScenarios() {
		take := o.only == "" && (!o.quick || s.quick)
		for _, name := range strings.Split(o.only, ",") {
			exact := slices.ContainsFunc(allScenarios(), func(x *scenario) bool { return x.name == name })
			take = take || s.name == name || !exact && name != "" && strings.HasPrefix(s.name, name)
		}
		if take {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no scenario %q; -list names them", o.only)
	}
	return out, nil
}
