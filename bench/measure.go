package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
)

// metrics are the figures of one round, by name; see columns.
type metrics map[string]float64

// Names of metrics.
const (
	cpuPerGB    = "broker CPU-s/GB"
	cpuPerReq   = "broker CPU us/request"
	mbPerSecond = "MB/s"
	reqPerSec   = "requests/s"
	p50         = "p50 ms"
	p99         = "p99 ms"
	p999        = "p99.9 ms"
	allocs      = "allocations/request"
	allocBytes  = "bytes allocated/request"
	otherCPU    = "other CPU %"
)

// measured is what a driver drives: the processes whose CPU time counts together.
type measured struct {
	pids  []int
	admin string // of ours, for allocations and profiles
}

func only(b *host.Broker) measured { return measured{[]int{b.Process.PID()}, b.Admin} }

// profileMargin is how much longer than its profile a load lasts.
const profileMargin = 200 * time.Millisecond

// loadRound drives for so long and measures.
func (e *env) loadRound(m measured, d *load.Driver, length time.Duration, maxBytes int64, profile string) (metrics, error) {
	out := metrics{}
	if profile != "" && m.admin != "" {
		if maxBytes > 0 {
			length = time.Second // longer, and it would show a disk that cannot follow
		}
		done := make(chan error, 1)
		go func() { done <- takeProfile(m.admin, e.opts.profile, profile, length) }()
		if _, err := d.Run(length+profileMargin, maxBytes); err != nil {
			return nil, err
		}
		return out, <-done
	}
	heap := newHeapMeter(m.admin)
	busy, self := host.BusySeconds(), host.ThreadSeconds(os.Getpid())
	cpu := newCPUMeters(m.pids)
	stats, err := d.Run(length, maxBytes)
	used := cpu.used()
	if err != nil {
		return nil, err
	}
	busy, self = host.BusySeconds()-busy, host.ThreadSeconds(os.Getpid())-self
	n, secs := float64(stats.Requests), stats.Elapsed.Seconds()
	if n == 0 {
		return nil, fmt.Errorf("no request was answered in %s", length)
	}
	if stats.Bytes > 0 {
		out[cpuPerGB] = used / (float64(stats.Bytes) / 1e9)
		out[mbPerSecond] = float64(stats.Bytes) / 1e6 / secs
	}
	out[cpuPerReq] = used / n * 1e6
	out[reqPerSec] = n / secs
	out[otherCPU] = max(0, (busy-self-used)/secs*100)
	percentiles(out, stats.Latencies)
	heap.into(out, n)
	return out, nil
}

func percentiles(out metrics, l []time.Duration) {
	if len(l) == 0 {
		return
	}
	slices.Sort(l)
	at := func(q float64) float64 { return float64(l[min(len(l)-1, int(q*float64(len(l))))].Nanoseconds()) / 1e6 }
	out[p50], out[p99], out[p999] = at(.5), at(.99), at(.999)
}

// cpuMeter is the CPU time of a process from now on.
type cpuMeter struct {
	pid          int
	stat, thread float64
}

func newCPUMeter(pid int) cpuMeter {
	stat, _ := host.CPUSeconds(pid)
	return cpuMeter{pid, stat, host.ThreadSeconds(pid)}
}

// tickError is how far the coarse clock may be off.
const tickError = 0.03

// used is exact as long as no thread has ended; then it is right to a tick.
func (c cpuMeter) used() float64 {
	thread := host.ThreadSeconds(c.pid) - c.thread
	stat, err := host.CPUSeconds(c.pid)
	if err == nil && math.Abs(stat-c.stat-thread) > tickError+0.05*thread {
		return stat - c.stat
	}
	return thread
}

// cpuMeters is the CPU time of several processes.
type cpuMeters []cpuMeter

func newCPUMeters(pids []int) (all cpuMeters) {
	for _, pid := range pids {
		all = append(all, newCPUMeter(pid))
	}
	return all
}

func (all cpuMeters) used() (sum float64) {
	for _, c := range all {
		sum += c.used()
	}
	return sum
}

// heapMeter counts allocations of a Moldau broker, less those of asking.
type heapMeter struct {
	admin                          string
	mallocs, bytes, each, eachByte float64
}

func newHeapMeter(admin string) *heapMeter {
	h := &heapMeter{admin: admin}
	if admin == "" {
		return h
	}
	scrape(admin)
	m0, b0 := heapOf(scrape(admin))
	h.mallocs, h.bytes = heapOf(scrape(admin))
	h.each, h.eachByte = h.mallocs-m0, h.bytes-b0
	return h
}

func (h *heapMeter) into(out metrics, requests float64) {
	if h.admin == "" {
		return
	}
	m, b := heapOf(scrape(h.admin))
	out[allocs] = max(0, m-h.mallocs-h.each) / requests
	out[allocBytes] = max(0, b-h.bytes-h.eachByte) / requests
}

func heapOf(s map[string]float64) (mallocs, bytes float64) {
	return s["go_memstats_mallocs_total"], s["go_memstats_alloc_bytes_total"]
}

// scrape is the unlabelled metrics of a broker.
func scrape(admin string) map[string]float64 {
	out := map[string]float64{}
	resp, err := http.Get(admin + "/metrics")
	if err != nil {
		return out
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for l := range strings.Lines(string(b)) {
		if name, v, ok := strings.Cut(strings.TrimSpace(l), " "); ok && !strings.HasPrefix(l, "#") && !strings.Contains(name, "{") {
			out[name], _ = strconv.ParseFloat(v, 64)
		}
	}
	return out
}

// profilePaths are the kinds of profiles that a broker can take of itself.
func profilePaths() map[string]string {
	return map[string]string{"cpu": "profile", "allocs": "allocs"}
}

func takeProfile(admin, kind, file string, length time.Duration) error {
	secs := max(1, int(length.Seconds()+0.5))
	resp, err := http.Get(fmt.Sprintf("%s/debug/pprof/%s?seconds=%d", admin, profilePaths()[kind], secs))
	if err != nil {
		return fmt.Errorf("cannot take a profile: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot take a profile: %s %w", b, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// median of a list that is not empty.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
