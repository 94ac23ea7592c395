package main

import (
	"fmt"

	"github.com/moldau-stream/moldau/bench/roofline"
	"github.com/moldau-stream/moldau/internal/record"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// bulkBytes is written in a round where much is written in a short time: little enough to stay in memory that is
// in use already.
const bulkBytes = 512 << 20

var loadColumns = []string{cpuPerGB, cpuPerReq, mbPerSecond, reqPerSec, p50, p99, allocs}

// loadScenarios are those that the raw driver measures.
func loadScenarios() []*scenario {
	bulk := produceShape{conns: 4, depth: 5, partitions: 4, batchBytes: mib, recordBytes: kib, maxBytes: bulkBytes, perConn: true}
	many := produceShape{conns: 4, depth: 5, partitions: 100, batchBytes: 16 * kib, recordBytes: kib, maxBytes: bulkBytes}
	single := produceShape{conns: 16, depth: 5, partitions: 16, recordBytes: 100, one: true, perConn: true}
	turns := single
	turns.depth = 1
	read := fetchShape{conns: 4, depth: 2, bytes: mib}
	out := []*scenario{
		{
			name: "produce-1m", title: "Produce, 1 MiB batches of 1 KiB records", quick: true,
			how:     "4 connections, 5 requests under way on each, acks=1, one partition a connection",
			measure: cpuPerGB, columns: loadColumns, warm: jvmWarmUp, subjects: everyone, run: bulk.run,
			loop:    &roofline.Options{Mode: roofline.Append, Files: 4},
			targets: []target{{metric: cpuPerGB, against: kindRoofline, atMost: 1.25}, {metric: cpuPerGB, against: kindKafka, atLeast: 5}},
		},
		{
			name: "produce-16k", title: "Produce, 16 KiB batches over 100 partitions", quick: true,
			how:     "4 connections, depth 5, acks=1, one batch a request, the partitions in turn",
			measure: cpuPerGB, columns: loadColumns, warm: jvmWarmUp, subjects: everyone, run: many.run,
			loop:    &roofline.Options{Mode: roofline.Append, Files: 100},
			targets: []target{{metric: cpuPerGB, against: kindRoofline, atMost: 1.4}, {metric: cpuPerGB, against: kindKafka, atLeast: 10}},
		},
		{
			name: "produce-1rec", title: "One-record produce requests, 16 connections, depth 5", quick: true,
			how:     "one record of 100 bytes a request, acks=1, one partition a connection; the roofline writes all that has arrived with one write",
			measure: cpuPerReq, columns: loadColumns, warm: jvmWarmUp, subjects: everyone, run: single.run,
			loop:    &roofline.Options{Mode: roofline.Gather, Files: 16},
			targets: []target{{metric: cpuPerReq, atMost: 6}, {metric: cpuPerReq, against: kindKafka, atLeast: 4}},
		},
		{
			name: "produce-1rec-d1", title: "One-record produce requests, 16 connections, depth 1",
			how:     "as before with one request under way; the roofline is the small-request loop and one append a request",
			measure: cpuPerReq, columns: loadColumns, warm: jvmWarmUp, subjects: everyone, run: turns.run,
			loop:    &roofline.Options{Mode: roofline.Append, Files: 16},
			targets: []target{{metric: cpuPerReq, against: kindRoofline, atMost: 1.3}},
		},
		{
			name: "fetch-1m", title: "Fetch from the page cache, 1 MiB, plaintext", quick: true,
			how:     "4 connections, depth 2, a log of 512 MiB read over and over; the roofline is sendfile in pieces of 60 KiB",
			measure: cpuPerGB, columns: loadColumns, warm: jvmWarmUp, subjects: everyone, run: read.run,
			loop:    &roofline.Options{Mode: roofline.Send, Bytes: mib},
			targets: []target{{metric: cpuPerGB, against: kindRoofline, atMost: 1.3}, {metric: cpuPerGB, against: kindKafka, atLeast: 1.5}},
		},
		{
			name: "fetch-sessions", title: "Fetch of 1,000 partitions, 1 KiB each, in a session",
			how:     "4 connections, each with a fetch session of 1,000 partitions; every request moves all offsets on and gets a batch of each partition",
			measure: cpuPerReq, columns: loadColumns, warm: jvmWarmUp, subjects: brokersOnly,
			run:     sessionShape{conns: 4, partitions: 1000, busy: 1000, bytes: kib, turns: 8}.run,
			targets: []target{{metric: cpuPerReq, against: kindKafka, atLeast: 3}},
		},
		{
			name: "fetch-sessions-idle", title: "The same session with 10 busy partitions of 1,000",
			how:     "every request names 10 partitions; the other 990 have nothing new",
			measure: cpuPerReq, columns: loadColumns, warm: jvmWarmUp, subjects: brokersOnly,
			run:     sessionShape{conns: 4, partitions: 1000, busy: 10, bytes: kib, turns: 8}.run,
			targets: []target{{metric: cpuPerReq, against: kindKafka, atLeast: 3}},
		},
	}
	return append(out, codecScenarios()...)
}

// codecBatchBytes is the size on the wire of the batches of every codec.
const codecBatchBytes = 64 * kib

// codecScenarios send batches of one wire size, packed in different ways.
func codecScenarios() []*scenario {
	var out []*scenario
	for _, c := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		shape := codecShape(c)
		s := &scenario{
			name: "codec-" + c.String(), title: fmt.Sprintf("Produce, batches of 64 KiB on the wire, %s", c),
			how:     "4 connections, depth 5, acks=1; the GB are those on the wire",
			measure: cpuPerGB, columns: loadColumns, warm: jvmWarmUp / 3, subjects: everyone, run: shape.run,
			loop: &roofline.Options{Mode: roofline.Append, Files: 4},
		}
		if c != record.None {
			s.how += "; each round also sends batches of the same size that are not compressed, and the ratio is of the two"
			s.columns = append([]string{codecShare}, loadColumns...)
			s.targets = []target{{metric: codecShare, atMost: 1 + worseBy}}
			s.subjects, s.run = brokersOnly, packed(shape)
		}
		out = append(out, s)
	}
	return out
}

// codecShare is what compressed batches cost beside others of their size on the wire: no more, but for the noise.
const codecShare = "CPU, compressed / not"

func codecShape(c record.Codec) produceShape {
	return produceShape{conns: 4, depth: 5, partitions: 4, batchBytes: codecBatchBytes, recordBytes: kib, codec: c, repeat: 80, maxBytes: bulkBytes, perConn: true}
}

// packed measures compressed batches and such as are not, one right after the other, each first in every second round.
func packed(shape produceShape) func(*env, subject, round) (metrics, error) {
	plainFirst := map[string]bool{}
	return func(e *env, s subject, r round) (metrics, error) {
		if r.warming || r.profile != "" {
			return shape.run(e, s, r)
		}
		first, second := shape, codecShape(record.None)
		swap := plainFirst[s.name]
		plainFirst[s.name] = !swap
		if swap {
			first, second = second, first
		}
		m, err := first.run(e, s, r)
		if err != nil {
			return nil, err
		}
		plain, err := second.run(e, s, r)
		if err != nil {
			return nil, err
		}
		if swap {
			m, plain = plain, m
		}
		m[codecShare] = m[cpuPerGB] / plain[cpuPerGB]
		return m, nil
	}
}
