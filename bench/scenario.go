package main

import (
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
	"github.com/moldau-stream/moldau/bench/roofline"
	"github.com/moldau-stream/moldau/internal/record"
)

// scenario is one row of the report: what is done, to whom, and what it should cost.
type scenario struct {
	name, title, how string
	measure          string   // the metric that the targets and plots are about
	columns          []string // what is printed beside it
	targets          []target
	unprofiled       bool                        // there is no load of which to take a profile
	quick            bool                        // part of a quick run
	rounds           int                         // 0: the run's
	turns            func(o options, k kind) int // rounds of each kind, where they differ; nil: as many for all
	unpinned         bool                        // neither the brokers nor the driver are bound to a CPU
	heap             string                      // of Apache Kafka; empty: the run's
	warm             time.Duration               // of load for a JVM
	subjects         []kind
	loop             *roofline.Options
	run              func(e *env, s subject, r round) (metrics, error)
}

// round is one turn of one subject.
type round struct {
	scenario *scenario
	length   time.Duration
	warming  bool
	profile  string // file to write a profile to, or empty
}

// target is a bound: of the measure itself, or of its ratio to another subject's.
type target struct {
	metric  string
	against kind    // empty: the figure itself
	atMost  float64 // ours <= atMost x theirs; 0: not asked
	atLeast float64 // theirs >= atLeast x ours, or, where more is better, ours >= atLeast x theirs
	more    bool    // more is better
	worst   bool    // the worst round counts, and not the one in the middle; only without against
}

var everyone = []kind{kindRoofline, kindMoldau, kindKafka}
var brokersOnly = []kind{kindMoldau, kindKafka}

const jvmWarmUp = 45 * time.Second

// produceShape says what producers send.
type produceShape struct {
	conns, depth, partitions int
	batchBytes, recordBytes  int
	one                      bool // one record a request
	codec                    record.Codec
	repeat                   int
	maxBytes                 int64
	variant                  string
	props                    map[kind]map[string]string
	perConn                  bool // each connection has a partition of its own
}

func (p produceShape) batch() []byte {
	if p.one {
		return load.Batch(load.BatchShape{Records: 1, RecordBytes: p.recordBytes}, 1)
	}
	b, _ := load.BatchOfSize(p.batchBytes, p.recordBytes, p.codec, p.repeat, 1)
	return b
}

func (p produceShape) run(e *env, s subject, r round) (metrics, error) {
	batch, err := keep(e, fmt.Sprintf("batch/%s/%d/%d/%v", p.codec, p.batchBytes, p.recordBytes, p.one), func() ([]byte, error) { return p.batch(), nil })
	if err != nil {
		return nil, err
	}
	var m measured
	var addr string
	var topicID [16]byte
	if s.kind == kindRoofline {
		a, pid, end, err := e.loop(*r.scenario.loop)
		if err != nil {
			return nil, err
		}
		defer end()
		addr, m.pids = a, []int{pid}
	} else {
		b, err := e.broker(s, p.variant, p.props[s.kind])
		if err != nil {
			return nil, err
		}
		_, id, remove, err := e.topic(b, int32(p.partitions), nil)
		if err != nil {
			return nil, err
		}
		defer remove()
		addr, topicID, m = b.Addr, id, only(b)
	}
	d, err := load.Dial(addr, p.depth, p.sources(s, topicID, batch))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Run(r.length/5, p.maxBytes/5); err != nil {
		return nil, err
	}
	settle()
	if p.maxBytes > 0 {
		if err := host.Touch(int(p.maxBytes)); err != nil {
			return nil, err
		}
	}
	return e.loadRound(m, d, r.length, p.maxBytes, r.profile)
}

func (p produceShape) sources(s subject, topicID [16]byte, batch []byte) []load.Source {
	var out []load.Source
	for c := range p.conns {
		var parts []int32
		for i := range p.partitions {
			if !p.perConn || i%p.conns == c {
				parts = append(parts, int32((i+c)%p.partitions))
			}
		}
		if p.perConn {
			parts = []int32{int32(c % p.partitions)}
		}
		var src load.Source = load.NewProducer(topicID, parts, batch, 1, p.perConn)
		if s.kind == kindRoofline {
			src = load.Plain{Source: src, Payload: len(batch)}
		}
		out = append(out, src)
	}
	return out
}

// fetchShape says what consumers read.
type fetchShape struct {
	conns, depth, bytes int
}

// logBytes is what is written to be read: far above the CPU's caches, far below memory.
const fetchLogBytes = 512 << 20

type filled struct {
	topicID [16]byte
	offsets []int64
}

func (f fetchShape) run(e *env, s subject, r round) (metrics, error) {
	var m measured
	var addr string
	var log filled
	if s.kind == kindRoofline {
		a, pid, end, err := e.loop(*r.scenario.loop)
		if err != nil {
			return nil, err
		}
		defer end()
		addr, m.pids = a, []int{pid}
		log.offsets = []int64{0}
	} else {
		b, err := e.broker(s, "", nil)
		if err != nil {
			return nil, err
		}
		if log, err = keep(e, "fetch/"+s.name, func() (filled, error) { return e.fill(b.Addr, f.bytes, nil) }); err != nil {
			return nil, err
		}
		addr, m = b.Addr, only(b)
	}
	var sources []load.Source
	for c := range f.conns {
		shift := len(log.offsets) * c / f.conns
		offsets := append(append([]int64{}, log.offsets[shift:]...), log.offsets[:shift]...)
		var src load.Source = load.NewFetcher(log.topicID, 0, offsets, f.bytes, f.bytes*9/10)
		if s.kind == kindRoofline {
			src = load.Plain{Source: src, Payload: f.bytes}
		}
		sources = append(sources, src)
	}
	d, err := load.Dial(addr, f.depth, sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Run(r.length/5, 0); err != nil {
		return nil, err
	}
	return e.loadRound(m, d, r.length, 0, r.profile)
}

// fill writes a log of batches of so many bytes.
func (e *env) fill(addr string, batchBytes int, configs map[string]string) (filled, error) {
	batch, n := load.BatchOfSize(batchBytes, 1024, record.None, 0, 1)
	c, err := load.NewClient(addr)
	if err != nil {
		return filled{}, err
	}
	defer c.Close()
	e.topics++
	id, err := c.CreateTopic(fmt.Sprintf("bench-%d", e.topics), 1, configs)
	if err != nil {
		return filled{}, err
	}
	d, err := load.Dial(addr, 2, []load.Source{load.NewProducer(id, []int32{0}, batch, 1, true)})
	if err != nil {
		return filled{}, err
	}
	defer d.Close()
	stats, err := d.Run(time.Minute, fetchLogBytes)
	f := filled{topicID: id}
	for i := range stats.Requests {
		f.offsets = append(f.offsets, i*int64(n))
	}
	return f, err
}

// sessionShape is a reader of many partitions in one fetch session.
type sessionShape struct {
	conns, partitions, busy, bytes, turns int
}

func (f sessionShape) run(e *env, s subject, r round) (metrics, error) {
	b, err := e.broker(s, "", nil)
	if err != nil {
		return nil, err
	}
	log, err := keep(e, fmt.Sprintf("sessions/%s/%d", s.name, f.partitions), func() (filled, error) { return f.fill(e, b.Addr) })
	if err != nil {
		return nil, err
	}
	var sources []load.Source
	for range f.conns {
		sources = append(sources, load.NewSessionFetcher(log.topicID, f.partitions, f.busy, log.offsets, int64(f.turns), f.batchBytes()))
	}
	d, err := load.Dial(b.Addr, 1, sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Run(r.length/5, 0); err != nil {
		return nil, err
	}
	return e.loadRound(only(b), d, r.length, 0, r.profile)
}

func (f sessionShape) batch() []byte {
	return load.Batch(load.BatchShape{Records: 1, RecordBytes: f.bytes}, 1)
}
func (f sessionShape) batchBytes() int { return len(f.batch()) }

func (f sessionShape) fill(e *env, addr string) (filled, error) {
	c, err := load.NewClient(addr)
	if err != nil {
		return filled{}, err
	}
	defer c.Close()
	e.topics++
	id, err := c.CreateTopic(fmt.Sprintf("bench-%d", e.topics), int32(f.partitions), nil)
	if err != nil {
		return filled{}, err
	}
	out := filled{topicID: id}
	all := make([]int32, f.partitions)
	for i := range all {
		all[i] = int32(i)
	}
	batch := f.batch()
	d, err := load.Dial(addr, 5, []load.Source{load.NewProducer(id, all, batch, 1, true).Limit(f.partitions * f.turns)})
	if err != nil {
		return filled{}, err
	}
	defer d.Close()
	_, err = d.Run(time.Minute, 0)
	for i := range f.turns {
		out.offsets = append(out.offsets, int64(i))
	}
	return out, err
}
