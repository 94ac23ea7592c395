package cli

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"
)

// maxSamples bounds the latencies that are kept for the percentiles; with more
// records every n-th is kept.
const maxSamples = 500_000

// sendStats counts what a performance test has sent. The client's goroutines add.
type sendStats struct {
	mu       sync.Mutex
	r        *run
	steady   bool
	interval time.Duration

	start     time.Time
	every     int64
	iteration int64
	latencies []int32
	count     int64
	bytes     int64
	max       int64
	total     int64

	windowStart                                   time.Time
	windowCount, windowBytes, windowMax, windowMs int64
}

func newSendStats(r *run, records int64, interval time.Duration, steady bool) *sendStats {
	now := r.Now()
	return &sendStats{r: r, steady: steady, interval: interval, start: now, windowStart: now, every: max(1, (records+maxSamples-1)/maxSamples)}
}

// record counts one record that was acknowledged; it prints a line when a
// reporting interval is over.
func (s *sendStats) record(latencyMs, bytes int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.bytes += bytes
	s.total += latencyMs
	s.max = max(s.max, latencyMs)
	s.windowCount++
	s.windowBytes += bytes
	s.windowMs += latencyMs
	s.windowMax = max(s.windowMax, latencyMs)
	if s.iteration%s.every == 0 {
		s.latencies = append(s.latencies, int32(min(latencyMs, math.MaxInt32)))
	}
	s.iteration++
	if now.Sub(s.windowStart) >= s.interval {
		if s.steady {
			s.r.printf("In steady state. ")
		}
		s.printWindow(now)
		s.r.out.Flush()
		s.windowStart, s.windowCount, s.windowBytes, s.windowMax, s.windowMs = now, 0, 0, 0, 0
	}
}

func (s *sendStats) printWindow(now time.Time) {
	elapsed := now.Sub(s.windowStart).Milliseconds()
	recs := 1000 * float64(s.windowCount) / float64(elapsed)
	mb := 1000 * float64(s.windowBytes) / float64(elapsed) / (1024 * 1024)
	s.r.printf("%d records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms max latency.\n",
		s.windowCount, recs, mb, float64(s.windowMs)/float64(s.windowCount), float64(s.windowMax))
}

func (s *sendStats) printTotal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := max(s.r.Now().Sub(s.start).Milliseconds(), 1)
	recs := 1000 * float64(s.count) / float64(elapsed)
	mb := 1000 * float64(s.bytes) / float64(elapsed) / (1024 * 1024)
	avg := "NaN"
	if s.count > 0 {
		avg = fmt.Sprintf("%.2f", float64(s.total)/float64(s.count))
	}
	sort.Slice(s.latencies, func(i, j int) bool { return s.latencies[i] < s.latencies[j] })
	state := ""
	if s.steady {
		state = " steady state"
	}
	s.r.printf("%d%s records sent, %f records/sec (%.2f MB/sec), %s ms avg latency, %.2f ms max latency, %d ms 50th, %d ms 95th, %d ms 99th, %d ms 99.9th.\n",
		s.count, state, recs, mb, avg, float64(s.max), percentile(s.latencies, 0.5), percentile(s.latencies, 0.95), percentile(s.latencies, 0.99), percentile(s.latencies, 0.999))
	if s.r.StdoutIsTerminal {
		histogram(s.r, s.latencies)
	}
}

// percentile of sorted values, as Kafka's tools index them.
func percentile[T int32 | int64](sorted []T, p float64) T {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// histogramBars is the width of the longest bar.
const histogramBars = 50

// histogram draws sorted latencies in ms, each row twice as wide as the one above.
func histogram[T int32 | int64](r *run, sorted []T) {
	if len(sorted) == 0 {
		return
	}
	type row struct{ from, to, n int64 }
	var rows []row
	for from, to := int64(0), int64(1); ; from, to = to, to*2 {
		rows = append(rows, row{from: from, to: to})
		if to > int64(sorted[len(sorted)-1]) || to > math.MaxInt64/2 {
			break
		}
	}
	at, most := 0, int64(1)
	for _, v := range sorted {
		for int64(v) >= rows[at].to && at < len(rows)-1 {
			at++
		}
		rows[at].n++
		most = max(most, rows[at].n)
	}
	r.println("")
	for _, w := range rows {
		if w.n > 0 || w.from > 0 {
			r.printf("%6d ms ..%6d ms %10d %s\n", w.from, w.to, w.n, strings.Repeat("▇", int(w.n*histogramBars/most)))
		}
	}
}

// throttle holds a rate of events.
type throttle struct {
	perSecond float64
	start     time.Time
}

// wait is how long to wait before event number n (from 1), so that the rate holds.
func (t *throttle) wait(n int64, now time.Time) time.Duration {
	switch {
	case t.perSecond < 0:
		return 0
	case t.perSecond == 0:
		return math.MaxInt64 // Kafka's tools take it at its word
	}
	due := t.start.Add(time.Duration(float64(n) / t.perSecond * float64(time.Second)))
	return due.Sub(now)
}
