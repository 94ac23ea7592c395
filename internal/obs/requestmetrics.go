package obs

import (
	"strconv"
	"sync"
	"time"
)

// RequestTimes is where the time of one request went. What was not measured is 0.
type RequestTimes struct {
	Total         time.Duration
	Queue         time.Duration // read, and not begun
	Local         time.Duration // at work
	Remote        time.Duration // parked, waiting for others
	Throttle      time.Duration
	ResponseQueue time.Duration // done, and not sent
	ResponseSend  time.Duration
}

// RequestMetrics counts by request: Produce, FetchConsumer, FetchFollower, Metadata and so on.
type RequestMetrics struct {
	registry *Registry
	now      func() time.Time

	mu    sync.RWMutex
	named map[string]*RequestMeter
}

// RequestMeter counts one kind of request. Whoever answers requests keeps it.
type RequestMeter struct {
	name     string
	registry *Registry

	total, queue, local, remote, throttle, responseQueue, responseSend Histogram
	requestBytes, responseBytes                                        Histogram

	mu       sync.RWMutex
	versions map[int16]*Counter
	errors   map[string]*Counter
}

// NewRequestMetrics makes the meters and shows them in r.
func NewRequestMetrics(r *Registry) *RequestMetrics {
	m := &RequestMetrics{registry: r, now: r.now, named: make(map[string]*RequestMeter)}
	r.Register(m)
	return m
}

// For is the meter of a request by its name.
func (m *RequestMetrics) For(name string) *RequestMeter {
	m.mu.RLock()
	r := m.named[name]
	m.mu.RUnlock()
	if r != nil {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r = m.named[name]; r == nil {
		r = &RequestMeter{name: name, registry: m.registry, versions: make(map[int16]*Counter), errors: make(map[string]*Counter)}
		m.named[name] = r
	}
	return r
}

// Done counts one request that has been answered.
func (r *RequestMeter) Done(version int16, t RequestTimes, requestBytes, responseBytes int) {
	r.version(version).Inc()
	r.total.ObserveDuration(t.Total)
	r.queue.ObserveDuration(t.Queue)
	r.local.ObserveDuration(t.Local)
	r.remote.ObserveDuration(t.Remote)
	r.throttle.ObserveDuration(t.Throttle)
	r.responseQueue.ObserveDuration(t.ResponseQueue)
	r.responseSend.ObserveDuration(t.ResponseSend)
	r.requestBytes.Observe(int64(requestBytes))
	r.responseBytes.Observe(int64(responseBytes))
}

// Error counts n answers with Kafka's name of an error, NONE among them.
func (r *RequestMeter) Error(name string, n int64) {
	r.mu.RLock()
	c := r.errors[name]
	r.mu.RUnlock()
	if c == nil {
		c = r.registry.Counter(RequestErrors, "Answers by their error.", "request", r.name, "error", name)
		r.mu.Lock()
		r.errors[name] = c
		r.mu.Unlock()
	}
	c.Add(n)
}

func (r *RequestMeter) version(v int16) *Counter {
	r.mu.RLock()
	c := r.versions[v]
	r.mu.RUnlock()
	if c == nil {
		c = r.registry.Counter(Requests, "Requests by their version.", "request", r.name, "version", strconv.Itoa(int(v)))
		r.mu.Lock()
		r.versions[v] = c
		r.mu.Unlock()
	}
	return c
}

const msPerMicrosecond = 0.001

// WriteMetrics writes the histograms; the counters are the registry's own.
func (m *RequestMetrics) WriteMetrics(w *Writer) {
	m.mu.RLock()
	meters := make([]*RequestMeter, 0, len(m.named))
	for _, r := range m.named {
		meters = append(meters, r)
	}
	m.mu.RUnlock()
	now := m.now()
	for _, r := range meters {
		for _, x := range []struct {
			name, help string
			h          *Histogram
			scale      float64
		}{
			{TotalTimeMs, "Time from the request's arrival to its answer.", &r.total, msPerMicrosecond},
			{RequestQueueTimeMs, "Time before work on the request began.", &r.queue, msPerMicrosecond},
			{LocalTimeMs, "Time of work on the request.", &r.local, msPerMicrosecond},
			{RemoteTimeMs, "Time the request was parked.", &r.remote, msPerMicrosecond},
			{ThrottleTimeMs, "Time the client was held back.", &r.throttle, msPerMicrosecond},
			{ResponseQueueTimeMs, "Time the answer waited for its turn.", &r.responseQueue, msPerMicrosecond},
			{ResponseSendTimeMs, "Time of sending the answer.", &r.responseSend, msPerMicrosecond},
			{RequestBytes, "Size of the request.", &r.requestBytes, 1},
			{ResponseBytes, "Size of the answer.", &r.responseBytes, 1},
		} {
			w.Histogram(x.name, x.help, now, x.h, x.scale, "request", r.name)
		}
	}
}
