package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kgo"
)

// FailoverOptions of a run.
type FailoverOptions struct {
	Runs      int    // of each fault
	Only      string // faults whose names contain this
	Record    string // a file that gets the figures as a table, or empty
	RealKafka string // the script by which Apache Kafka's own producer runs, or empty
	Logf      func(format string, args ...any)
}

// failovers are the faults that are measured, by name.
func failovers() []fault {
	return []fault{
		{"kill -9 of a leader", func(ctx context.Context, n *nemesis) error { return n.kill(absence, n.leader(ctx)) }},
		{"kill -9 of the active controller", func(ctx context.Context, n *nemesis) error { return n.kill(absence, n.controller(ctx)) }},
		{"SIGTERM of a leader", func(ctx context.Context, n *nemesis) error { return n.terminate(n.leader(ctx)) }},
		{"SIGTERM of the active controller", func(ctx context.Context, n *nemesis) error { return n.terminate(n.controller(ctx)) }},
		{rolling, func(ctx context.Context, n *nemesis) error { return n.roll(ctx) }},
	}
}

const (
	rolling = "rolling restart of all nodes"
	// absence is how long a killed node stays away: longer than the failover, or its return would end the gap.
	absence = 2 * time.Second
	// rollings is how often all nodes are restarted, of so many runs of the others.
	rollings = 10
	// patience is how long a default client may take to deliver what it was given.
	patience = 3 * time.Minute
)

// Failover measures how long writes stand still when a node goes, and whether clients with default settings see an error when all
// nodes are restarted in turn.
func Failover(ctx context.Context, spec node.Spec, fleet *node.Fleet, dir string, o FailoverOptions, rep *report.Report) error {
	named := func(f fault) bool { return strings.Contains(f.name, o.Only) }
	if !slices.ContainsFunc(failovers(), named) && !strings.Contains(manyGroups, o.Only) {
		return fmt.Errorf("no fault is called %q", o.Only)
	}
	c, err := startCluster(spec, fleet, dir)
	if err != nil {
		return fmt.Errorf("cannot start the cluster: %w", err)
	}
	defer c.links.close()
	for topic, n := range map[string]int32{probeTopic: probePartitions, mainTopic: partitions} {
		if err := c.create(ctx, topic, n); err != nil {
			return err
		}
	}
	if _, err := c.untilWhole(ctx); err != nil {
		return fmt.Errorf("the cluster never became whole: %w", err)
	}
	p, err := newProbe(c)
	if err != nil {
		return err
	}
	defer p.cl.Close()
	writing := &crowd{}
	write, stop := context.WithCancel(ctx)
	writing.stop = stop
	writing.start(func() error { p.run(write); return nil })
	n := &nemesis{c: c, probe: p, rnd: rand.New(rand.NewPCG(1, 6)), logf: o.Logf, gaps: map[string][]time.Duration{}}
	time.Sleep(calm) // the first acknowledgements
	var order []string
	for _, f := range failovers() {
		if o.Only != "" && !strings.Contains(f.name, o.Only) {
			continue
		}
		order = append(order, f.name)
		runs, clients := o.Runs, []*defaultClient(nil)
		if f.name == rolling {
			runs = max(1, runs/rollings)
			if clients, err = startDefaultClients(c, dir, o.RealKafka); err != nil {
				return errors.Join(err, writing.end())
			}
		}
		began := time.Now()
		err := n.measure(ctx, f, runs)
		rep.Check("failover", fmt.Sprintf("%s, %d times", f.name, runs), time.Since(began), err)
		for _, cl := range clients {
			acked, err := cl.finish()
			if err == nil && acked == 0 {
				err = errors.New("nothing was acknowledged")
			}
			rep.Check("failover", cl.name+" with default settings sees no error in a "+rolling, 0, err)
			rep.Note("failover: %s had %d records acknowledged through the %s", cl.name, acked, rolling)
		}
		if err != nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil && ctx.Err() == nil && strings.Contains(manyGroups, o.Only) {
		began := time.Now()
		err = n.timeGroups(ctx, rep)
		rep.Check("failover", manyGroups, time.Since(began), err)
	}
	rep.Check("failover", "the probe's clients are given no error", 0, errors.Join(append([]error{writing.end()}, p.errs...)...))
	rep.Check("failover", "the nodes stop in order", 0, c.stop())
	return n.record(order, spec, o.Record, rep)
}

// measure strikes so many times, each time on a cluster that is whole.
func (n *nemesis) measure(ctx context.Context, f fault, runs int) error {
	for i := range runs {
		if _, err := n.c.untilWhole(ctx); err != nil {
			return fmt.Errorf("before run %d the cluster is not whole: %w", i+1, err)
		}
		time.Sleep(calm)
		n.probe.reset()
		if err := f.strike(ctx, n); err != nil {
			return err
		}
		if _, err := n.c.untilWhole(ctx); err != nil {
			return fmt.Errorf("after run %d the cluster is not whole: %w", i+1, err)
		}
		gap := n.probe.gap()
		n.gaps[f.name] = append(n.gaps[f.name], gap)
		n.logf("%s %d of %d: no acknowledgement for %s", f.name, i+1, runs, gap.Round(time.Millisecond))
	}
	return nil
}

// record writes the figures to the report, and to a file as a table.
func (n *nemesis) record(order []string, spec node.Spec, file string, rep *report.Report) error {
	who := map[node.Kind]string{node.Moldau: "Moldau", node.Real: "Apache Kafka"}[spec.Kind]
	var out strings.Builder
	fmt.Fprintf(&out, "| %s, %d nodes: time without an acknowledgement | runs | median ms | p99 ms | worst ms |\n|---|---|---|---|---|\n", who, size)
	for _, name := range order {
		g := slices.Clone(n.gaps[name])
		if len(g) == 0 {
			continue
		}
		slices.Sort(g)
		p99 := g[(len(g)*99+99)/100-1]
		fmt.Fprintf(&out, "| %s | %d | %d | %d | %d |\n", name, len(g), g[len(g)/2].Milliseconds(), p99.Milliseconds(), g[len(g)-1].Milliseconds())
		rep.Note("failover: %-34s %3d runs: median %s, p99 %s, worst %s", name, len(g),
			g[len(g)/2].Round(time.Millisecond), p99.Round(time.Millisecond), g[len(g)-1].Round(time.Millisecond))
	}
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}

// defaultClient is a producer that somebody else wrote, with the settings that it comes with.
type defaultClient struct {
	name   string
	finish func() (acked int64, err error)
}

// defaultEvery is the pause between two records of a default client.
const defaultEvery = 5 * time.Millisecond

// startDefaultClients starts those that are there. What they say about their connections goes to files in dir.
func startDefaultClients(c *cluster, dir, realKafka string) ([]*defaultClient, error) {
	franz, err := franzByDefault(c)
	if err != nil {
		return nil, err
	}
	out := []*defaultClient{franz}
	if path, err := exec.LookPath("kcat"); err == nil {
		kcat, err := librdkafkaByDefault(c, dir, path)
		if err != nil {
			return nil, err
		}
		out = append(out, kcat)
	}
	if realKafka != "" {
		java, err := javaByDefault(c, dir, realKafka)
		if err != nil {
			return nil, err
		}
		out = append(out, java)
	}
	return out, nil
}

func franzByDefault(c *cluster) (*defaultClient, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.seeds...), kgo.DefaultProduceTopic(mainTopic))
	if err != nil {
		return nil, err
	}
	var acked atomic.Int64
	failed := make(chan error, 1)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every(stop, func(i int) {
			cl.Produce(context.Background(), kgo.StringRecord(strconv.Itoa(i)), func(_ *kgo.Record, err error) {
				if err == nil {
					acked.Add(1)
					return
				}
				select {
				case failed <- err:
				default:
				}
			})
		})
	}()
	return &defaultClient{"franz-go", func() (int64, error) {
		close(stop)
		<-ended
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := cl.Flush(ctx)
		cl.Close()
		select {
		case e := <-failed:
			err = errors.Join(err, e)
		default:
		}
		return acked.Load(), err
	}}, nil
}

// every calls fn again and again until stop is closed.
func every(stop chan struct{}, fn func(i int)) {
	tick := time.NewTicker(defaultEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			fn(i)
		}
	}
}

// librdkafkaByDefault is kcat: it ends with 0 when each line that it was given has been acknowledged.
func librdkafkaByDefault(c *cluster, dir, path string) (*defaultClient, error) {
	cmd := exec.Command(path, "-P", "-b", strings.Join(c.seeds, ","), "-t", mainTopic)
	said, err := os.Create(filepath.Join(dir, "kcat.log"))
	if err != nil {
		return nil, err
	}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start kcat: %w", err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	var given int64
	go func() {
		defer close(ended)
		every(stop, func(i int) {
			if _, err := fmt.Fprintln(in, i); err == nil {
				given++
			}
		})
	}()
	return &defaultClient{"librdkafka (kcat)", func() (int64, error) {
		close(stop)
		<-ended
		_ = in.Close() // what it has not read by then it says itself
		err := waitFor(cmd)
		errs, readErr := os.ReadFile(said.Name())
		if failed := failures(string(errs)); err != nil || failed != "" {
			err = errors.Join(err, errors.New("it said: "+failed))
		}
		return given, errors.Join(err, readErr, said.Close())
	}}, nil
}

// failures are the lines in which kcat tells that a record was not delivered, or why it ends. It also tells of each connection that
// breaks, though its library makes another and sends again.
func failures(said string) string {
	var out []string
	for _, line := range strings.Split(said, "\n") {
		if strings.Contains(line, "Delivery failed") || strings.HasSuffix(line, ": terminating") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// javaDefault is what the verifiable producer sets otherwise than a producer comes: it does not send again, and is then
// not idempotent, so that it tells of every change of leaders as an error.
const javaDefault = "retries=2147483647\nenable.idempotence=true\n"

// javaByDefault is Apache Kafka's own verifiable producer, which tells of each record what became of it.
func javaByDefault(c *cluster, dir, script string) (*defaultClient, error) {
	settings := filepath.Join(dir, "java-producer.properties")
	if err := os.WriteFile(settings, []byte(javaDefault), 0o644); err != nil {
		return nil, err
	}
	errs, err := os.Create(filepath.Join(dir, "java-producer.log"))
	if err != nil {
		return nil, err
	}
	defer errs.Close() // the program has its own
	cmd := exec.Command(script, "tool", "kafka-verifiable-producer", "--bootstrap-server", strings.Join(c.seeds, ","), "--topic", mainTopic,
		"--acks", "-1", "--throughput", strconv.Itoa(int(time.Second/defaultEvery)), "--command-config", settings)
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start the Java producer: %w", err)
	}
	var acked atomic.Int64
	begun := make(chan struct{})
	said := make(chan error, 1)
	go func() { said <- readVerifiable(out, &acked, begun) }()
	select {
	case <-begun:
	case err := <-said:
		return nil, errors.Join(errors.New("the Java producer wrote nothing"), err, cmd.Wait())
	case <-time.After(patience):
		return nil, errors.Join(errors.New("the Java producer does not begin"), cmd.Process.Kill(), cmd.Wait())
	}
	return &defaultClient{"the Java producer", func() (int64, error) {
		_ = cmd.Process.Signal(os.Interrupt) // it ends by itself, and tells
		err := <-said
		_ = waitFor(cmd) // its exit status tells of the signal
		return acked.Load(), err
	}}, nil
}

func readVerifiable(r io.Reader, acked *atomic.Int64, begun chan struct{}) error {
	var failed error
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e struct{ Name, Exception, Message string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Name {
		case "producer_send_success":
			if acked.Add(1) == 1 {
				close(begun)
			}
		case "producer_send_error":
			if failed == nil {
				failed = fmt.Errorf("%s: %s", e.Exception, e.Message)
			}
		}
	}
	return failed
}

// waitFor waits for a program that has been told to end.
func waitFor(cmd *exec.Cmd) error {
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	return cmd.Wait()
}
