package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
	"github.com/moldau-stream/moldau/bench/roofline"
)

// kind is what is measured.
type kind string

const (
	kindRoofline kind = "roofline"
	kindMoldau   kind = "moldau"
	kindKafka    kind = "kafka"
)

// subject is one competitor.
type subject struct {
	name   string // in tables
	kind   kind
	binary string // of Moldau
}

// env is a run: what it may use and what it has started.
type env struct {
	opts     options
	dir      string
	kafka    *host.Kafka
	mu       sync.Mutex
	brokers  map[string]*host.Broker  // guarded by mu against a signal
	clusters map[string]*benchCluster // by subject; guarded in the same way
	kept     map[string]any
	topics   int
}

// benchProps is what every broker gets, so that runs do not fill the disk; the rest are defaults.
func benchProps() map[string]string {
	return map[string]string{"log.segment.delete.delay.ms": "1000"}
}

func newEnv(o options) (*env, error) {
	dir, err := os.MkdirTemp(o.work, "moldau-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a work directory: %w", err)
	}
	e := &env{opts: o, dir: dir, brokers: map[string]*host.Broker{}, clusters: map[string]*benchCluster{}, kept: map[string]any{}}
	e.closeOnSignal()
	return e, nil
}

// closeOnSignal leaves no broker behind when the run is broken off.
func (e *env) closeOnSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-c
		fmt.Fprintln(os.Stderr, "bench: broken off")
		e.mu.Lock() // and keeps it: nothing is started any more
		for _, b := range e.brokers {
			b.Process.Kill()
		}
		for _, c := range e.clusters {
			c.Kill()
		}
		os.RemoveAll(e.dir)
		os.Exit(1)
	}()
}

func (e *env) close() {
	for _, b := range e.brokers {
		for _, line := range b.Trouble() {
			fmt.Fprintf(os.Stderr, "  in a broker's log: %s\n", line)
		}
		b.Remove()
	}
	for _, c := range e.clusters {
		c.Remove()
	}
	os.RemoveAll(e.dir)
}

// spec says how a subject is started.
func (e *env) spec(s subject, props map[string]string) host.Spec {
	all := benchProps()
	for k, v := range props {
		all[k] = v
	}
	spec := host.Spec{Parent: e.dir, CPU: e.opts.brokerCPU, Props: all}
	if s.kind == kindKafka {
		spec.Kafka, spec.Heap = e.kafka, e.opts.heap
	} else {
		spec.Moldau = s.binary
	}
	return spec
}

// broker is the running broker of a subject in a variant; it is started on first use.
func (e *env) broker(s subject, variant string, props map[string]string) (*host.Broker, error) {
	key := s.name + "/" + variant
	if b := e.brokers[key]; b != nil {
		if b.Process.Ended() {
			return nil, fmt.Errorf("%s has ended: %s", s.name, b.Process.Tail())
		}
		return b, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := host.StartBroker(e.spec(s, props))
	if b != nil && b.Process != nil {
		e.brokers[key] = b
	}
	return b, err
}

// drop stops a broker that is no longer wanted.
func (e *env) drop(s subject, variant string) {
	key := s.name + "/" + variant
	if b := e.brokers[key]; b != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		b.Remove()
		delete(e.brokers, key)
	}
}

// loop starts a roofline process.
func (e *env) loop(o roofline.Options) (addr string, pid int, end func(), err error) {
	p, end, err := e.loopOn(e.opts.brokerCPU, o)
	return p.addr, p.pid, end, err
}

// loopProcess is a roofline that runs.
type loopProcess struct {
	addr, dir string
	pid       int
}

func (e *env) loopOn(cpu int, o roofline.Options) (l loopProcess, end func(), err error) {
	if l.dir, err = os.MkdirTemp(e.dir, "roofline-"); err != nil {
		return l, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return l, nil, err
	}
	cmd := host.Command(cpu, self, "loop", string(o.Mode), l.dir, strconv.Itoa(o.Files), strconv.Itoa(o.Bytes))
	p, addr, stop, err := host.StartPrinting(cmd, filepath.Join(l.dir, "log"))
	if err != nil {
		return l, nil, err
	}
	l.addr, l.pid = addr, p.PID()
	return l, func() { stop(); os.RemoveAll(l.dir) }, nil
}

// replicatingLoops starts as many as a cluster has nodes, which know each other.
func (e *env) replicatingLoops() (all []loopProcess, end func(), err error) {
	var ends []func()
	end = func() {
		for _, fn := range ends {
			fn()
		}
	}
	for range clusterSize {
		l, stop, err := e.loopOn(host.EveryCPU, roofline.Options{Mode: roofline.Replicate})
		if err != nil {
			end()
			return nil, nil, err
		}
		all, ends = append(all, l), append(ends, stop)
	}
	for i, l := range all {
		var others []string
		for j, o := range all {
			if j != i {
				others = append(others, o.addr)
			}
		}
		if err := roofline.TellPeers(l.dir, others); err != nil {
			end()
			return nil, nil, err
		}
	}
	return all, end, nil
}

// keep makes something once for the run.
func keep[T any](e *env, key string, make func() (T, error)) (T, error) {
	if v, ok := e.kept[key]; ok {
		return v.(T), nil
	}
	v, err := make()
	if err == nil {
		e.kept[key] = v
	}
	return v, err
}

// topic makes a topic with a name of its own.
func (e *env) topic(b *host.Broker, partitions int32, configs map[string]string) (name string, id [16]byte, remove func(), err error) {
	c, err := load.NewClient(b.Addr)
	if err != nil {
		return "", id, nil, err
	}
	defer c.Close()
	e.topics++
	name = fmt.Sprintf("bench-%d", e.topics)
	id, err = c.CreateTopic(name, partitions, configs)
	return name, id, func() {
		if c, err := load.NewClient(b.Addr); err == nil {
			c.DeleteTopic(name, id)
			c.Close()
		}
	}, err
}

// maxDirtyBytes is how much unwritten data a measured round may begin with.
const maxDirtyBytes = 256 << 20

// settle waits until what earlier rounds have left is written or gone.
func settle() {
	for end := time.Now().Add(20 * time.Second); host.DirtyBytes() > maxDirtyBytes && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}
