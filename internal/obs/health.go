package obs

import "sync/atomic"

// BrokerState is where a node is in its life; the numbers are those of Kafka's metric.
type BrokerState int32

// The states.
const (
	StateNotRunning      BrokerState = 0
	StateStarting        BrokerState = 1
	StateRecovery        BrokerState = 2
	StateRunning         BrokerState = 3
	StatePendingShutdown BrokerState = 6 // leaders are being moved away
	StateShuttingDown    BrokerState = 7
	StateUnknown         BrokerState = 127
)

// String is Kafka's name of the state.
func (s BrokerState) String() string {
	switch s {
	case StateNotRunning:
		return "NOT_RUNNING"
	case StateStarting:
		return "STARTING"
	case StateRecovery:
		return "RECOVERY"
	case StateRunning:
		return "RUNNING"
	case StatePendingShutdown:
		return "PENDING_CONTROLLED_SHUTDOWN"
	case StateShuttingDown:
		return "SHUTTING_DOWN"
	}
	return "UNKNOWN"
}

// Health is what the node says of itself to health checks. The node writes it, the admin listener reads
// it. The zero value is a node that does not run.
type Health struct {
	state                    atomic.Int32
	remainingLogs, totalLogs atomic.Int64
	remainingSegments        atomic.Int64
	failure                  atomic.Pointer[string]
}

// NewHealth makes a Health and shows its state in r.
func NewHealth(r *Registry) *Health {
	h := new(Health)
	r.GaugeFunc(BrokerStateMetric, "Where the node is in its life: 0 stopped, 1 starting, 2 recovering, 3 running, 6 leaving, 7 stopping.",
		func() float64 { return float64(h.State()) })
	return h
}

// SetState moves the node on.
func (h *Health) SetState(s BrokerState) { h.state.Store(int32(s)) }

// State is where the node is.
func (h *Health) State() BrokerState { return BrokerState(h.state.Load()) }

// Recovery is how far the logs have been recovered.
type Recovery struct {
	RemainingLogs, TotalLogs, RemainingSegments int64
}

// SetRecovery tells how far the logs have been recovered.
func (h *Health) SetRecovery(r Recovery) {
	h.remainingLogs.Store(r.RemainingLogs)
	h.totalLogs.Store(r.TotalLogs)
	h.remainingSegments.Store(r.RemainingSegments)
}

// Recovery is how far the logs have been recovered.
func (h *Health) Recovery() Recovery {
	return Recovery{h.remainingLogs.Load(), h.totalLogs.Load(), h.remainingSegments.Load()}
}

// Fail says that the node cannot go on living: a supervisor should start it anew.
func (h *Health) Fail(reason string) { h.failure.Store(&reason) }

// Failure is why the node cannot go on living; empty while it can.
func (h *Health) Failure() string {
	if p := h.failure.Load(); p != nil {
		return *p
	}
	return ""
}
