package cli

import (
	"context"
	"regexp"
	"sort"
	"strings"
	"time"
)

// requestRate is one kind of request, as the metrics of the nodes have it.
type requestRate struct {
	name        string
	count       float64
	perSecond   float64
	median, p99 float64 // of the slowest node
}

// requestRates tells how long requests take, from the metrics endpoints of --metrics-url: those of Moldau, or of an exporter
// beside Apache Kafka, whose names are the same. silent are those that could not be read.
func (t *topView) requestRates(now time.Time) (list []requestRate, silent []string) {
	rates := map[string]*requestRate{}
	for _, url := range t.p.all("metrics-url") {
		if err := t.readRequests(url, rates); err != nil {
			silent = append(silent, url+": "+rootCause(err).Error())
		}
	}
	before := t.requests
	t.requests = map[string]float64{}
	for _, name := range sortedKeys(rates) {
		r := rates[name]
		if old, ok := before[name]; ok && now.After(t.at) {
			r.perSecond = (r.count - old) / now.Sub(t.at).Seconds()
		}
		t.requests[name] = r.count
		list = append(list, *r)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].perSecond > list[j].perSecond })
	return list, silent
}

func (t *topView) readRequests(url string, rates map[string]*requestRate) error {
	address, err := metricsURL(url, false)
	if err != nil {
		return err
	}
	source := &jmxTool{run: t.run, p: t.p, url: address, names: []*regexp.Regexp{regexp.MustCompile(`(?i)^kafka_network_requestmetrics_totaltimems(_count)?\{`)}}
	ctx, cancel := context.WithTimeout(t.ctx, metricsTimeout)
	defer cancel()
	samples, err := source.read(ctx)
	for _, s := range samples {
		name := label(s.name, "request")
		if name == "" {
			continue
		}
		r := rates[name]
		if r == nil {
			r = &requestRate{name: name}
			rates[name] = r
		}
		switch quantile := label(s.name, "quantile"); {
		case quantile == "" && strings.Contains(s.name, "_count{"):
			r.count += s.value
		case quantile == "0.50" || quantile == "0.5":
			r.median = max(r.median, s.value)
		case quantile == "0.99":
			r.p99 = max(r.p99, s.value)
		}
	}
	return err
}

// metricsTimeout bounds one look at a node: a view that stands still says nothing.
const metricsTimeout = 2 * time.Second

// label is the value of a sample's label, "" without.
func label(sample, name string) string {
	_, rest, ok := strings.Cut(sample, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
