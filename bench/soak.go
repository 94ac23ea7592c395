package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
	"github.com/moldau-stream/moldau/internal/record"
)

// soakLength is the -duration flag, soakRate the -rate flag.
var (
	soakLength time.Duration
	soakRate   float64
	soakSlow   time.Duration // the -latency-slack flag: how much slower is no verdict
)

const (
	// soakSamples is how often the node is looked at over the run.
	soakSamples = 24
	// The run passes when the last third, in the middle, is not more than this above the second.
	soakRSSGrowth     = 1.15
	soakLatencyGrowth = 2.0
	// soakSlack is what descriptors and goroutines may differ by.
	soakSlack = 16
	// soakRSSSlack is what memory may grow by without a verdict: a garbage collector breathes.
	soakRSSSlack = 8e6
)

// soakSample is what one look has seen.
type soakSample struct {
	at                                time.Duration
	rss, descriptors, goroutines, p99 float64
	requests                          float64
}

// soak loads one node with a mix for a long time and says whether anything grows.
func soak(o options) error {
	e, err := newEnv(o)
	if err != nil {
		return err
	}
	defer e.close()
	if o.moldau == "" {
		if o.moldau, err = build(e.dir); err != nil {
			return err
		}
	}
	o.moldau, _ = filepath.Abs(o.moldau)
	b, err := e.broker(subject{name: "moldau", kind: kindMoldau, binary: o.moldau}, "soak", map[string]string{
		"log.retention.bytes": "67108864", "log.segment.bytes": "16777216", "log.retention.check.interval.ms": "2000",
	})
	if err != nil {
		return err
	}
	d, err := e.soakLoad(b)
	if err != nil {
		return err
	}
	defer d.Close()
	d.Pace(soakRate)
	fmt.Printf("soak for %s: 4 producers of 64 KiB and 16 of single records, 4 readers, a new topic and connection at each look\n", soakLength)
	if soakRate > 0 {
		fmt.Printf("%s requests a second in all; -rate 0: as fast as they go\n", figure(soakRate))
	}
	fmt.Printf("%10s %10s %12s %12s %10s %12s\n", "at", "RSS MB", "descriptors", "goroutines", "p99 ms", "requests/s")
	var all []soakSample
	start := time.Now()
	for i := range soakSamples {
		stats, err := d.Run(time.Until(start.Add(soakLength*time.Duration(i+1)/soakSamples)), 0)
		if err != nil {
			return err
		}
		if err := e.churn(b); err != nil {
			return err
		}
		m := metrics{}
		percentiles(m, stats.Latencies)
		s := soakSample{
			at: time.Since(start), rss: float64(host.Memory(b.Process.PID(), "VmRSS")), descriptors: float64(host.Descriptors(b.Process.PID())),
			goroutines: scrape(b.Admin)["go_goroutines"], p99: m[p99], requests: float64(stats.Requests) / stats.Elapsed.Seconds(),
		}
		all = append(all, s)
		fmt.Printf("%10s %10s %12.0f %12.0f %10s %12s\n", s.at.Round(time.Second), figure(s.rss/1e6), s.descriptors, s.goroutines, figure(s.p99), figure(s.requests))
	}
	return soakVerdict(b, all)
}

func soakVerdict(b *host.Broker, all []soakSample) error {
	third := len(all) / 3
	grown := func(name string, of func(soakSample) float64, factor, slack float64) error {
		var before, after []float64
		for _, s := range all[third : 2*third] {
			before = append(before, of(s))
		}
		for _, s := range all[2*third:] {
			after = append(after, of(s))
		}
		if x, y := median(before), median(after); y > x*factor+slack {
			return fmt.Errorf("%s has grown from %s to %s", name, figure(x), figure(y))
		}
		return nil
	}
	err := errors.Join(
		grown("RSS", func(s soakSample) float64 { return s.rss }, soakRSSGrowth, soakRSSSlack),
		grown("the number of descriptors", func(s soakSample) float64 { return s.descriptors }, 1, soakSlack),
		grown("the number of goroutines", func(s soakSample) float64 { return s.goroutines }, 1, soakSlack),
		grown("p99 latency", func(s soakSample) float64 { return s.p99 }, soakLatencyGrowth, float64(soakSlow)/1e6),
	)
	for _, line := range b.Trouble() {
		err = errors.Join(err, fmt.Errorf("in the log: %s", line))
	}
	if err == nil {
		fmt.Println("flat: memory, descriptors, goroutines and latency do not grow")
	}
	return err
}

// soakLoad is the mix.
func (e *env) soakLoad(b *host.Broker) (*load.Driver, error) {
	_, id, _, err := e.topic(b, 20, nil)
	if err != nil {
		return nil, err
	}
	big, _ := load.BatchOfSize(64*kib, kib, record.None, 0, 1)
	small := load.Batch(load.BatchShape{Records: 1, RecordBytes: 100}, 1)
	var sources []load.Source
	for i := range 20 {
		batch := small
		if i < 4 {
			batch = big
		}
		sources = append(sources, load.NewProducer(id, []int32{int32(i)}, batch, 1, true))
	}
	log, err := e.fill(b.Addr, 64*kib, map[string]string{"retention.bytes": "-1"})
	if err != nil {
		return nil, err
	}
	for range 4 {
		sources = append(sources, load.NewFetcher(log.topicID, 0, log.offsets, 64*kib, 32*kib))
	}
	return load.Dial(b.Addr, 2, sources)
}

// churn makes and removes a topic over a connection of its own: what leaks there shows.
func (e *env) churn(b *host.Broker) error {
	_, _, remove, err := e.topic(b, 10, nil)
	if err == nil {
		remove()
	}
	return err
}
