package coord

import "time"

// loadWindow is for how long a load counts in the figures, as in Kafka.
const loadWindow = 30 * time.Second

// maxLoadSamples bounds how many loads are remembered: a failover of a whole topic within the window.
const maxLoadSamples = 1000

// loadSample is one load that has ended.
type loadSample struct {
	at time.Time
	ms int64
}

// noteLoad remembers how long a load has taken.
func (r *Runtime[M]) noteLoad(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.loaded) == maxLoadSamples {
		r.loaded = r.loaded[1:]
	}
	r.loaded = append(r.loaded, loadSample{r.cfg.Clock.Now(), took.Milliseconds()})
}

// LoadTimes are the average and the longest time of the loads of the last half minute; 0 without any.
func (r *Runtime[M]) LoadTimes() (avgMs, maxMs float64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	since := r.cfg.Clock.Now().Add(-loadWindow)
	n := 0
	for _, s := range r.loaded {
		if s.at.Before(since) {
			continue
		}
		n++
		avgMs += float64(s.ms)
		maxMs = max(maxMs, float64(s.ms))
	}
	if n > 0 {
		avgMs /= float64(n)
	}
	return avgMs, maxMs
}
