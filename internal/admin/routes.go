package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/moldau-stream/moldau/internal/obs"
)

// routes are the paths of the listener. Those under /v1 are what Strimzi's agent beside a Kafka answers.
func routes(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /metrics", a.metrics)
	mux.HandleFunc("GET /livez", a.live)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /v1/ready", a.ready)
	mux.HandleFunc("GET /v1/broker-state", a.brokerState)
	mux.HandleFunc("GET /startupz", a.startup)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if o.AllowRemote {
		return mux
	}
	return localOnly(mux)
}

// localOnly refuses what did not address this machine by itself: a name that somebody else's DNS points
// at 127.0.0.1 would let a web page read what is here.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask for this by a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type api struct{ Options }

func (a *api) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, "/metrics\n/livez\n/readyz\n/startupz\n/v1/ready\n/v1/broker-state\n/debug/pprof/\n")
}

func (a *api) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", obs.ContentType)
	if err := a.Registry.Write(w); err != nil {
		a.Log.Debug("a scrape has failed", "err", err) // the scraper has gone away, or sees a torn answer
	}
}

// live fails only for what a restart mends: never for a recovery, however long it takes.
func (a *api) live(w http.ResponseWriter, _ *http.Request) {
	if why := a.Health.Failure(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "live")
}

// ready is true while the broker serves clients; it answers 204, as Strimzi's agent does.
func (a *api) ready(w http.ResponseWriter, _ *http.Request) {
	if s := a.Health.State(); s != obs.StateRunning {
		http.Error(w, "not ready: "+s.String(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

type brokerState struct {
	BrokerState   int32          `json:"brokerState"`
	RecoveryState *recoveryState `json:"recoveryState,omitempty"`
}

type recoveryState struct {
	RemainingLogsToRecover     int64 `json:"remainingLogsToRecover"`
	RemainingSegmentsToRecover int64 `json:"remainingSegmentsToRecover"`
}

func (a *api) brokerState(w http.ResponseWriter, _ *http.Request) {
	s := brokerState{BrokerState: int32(a.Health.State())}
	if a.Health.State() == obs.StateRecovery {
		r := a.Health.Recovery()
		s.RecoveryState = &recoveryState{r.RemainingLogs, r.RemainingSegments}
	}
	writeJSON(w, http.StatusOK, s)
}

type startupState struct {
	Started           bool   `json:"started"`
	State             string `json:"state"`
	TotalLogs         int64  `json:"totalLogs"`
	RemainingLogs     int64  `json:"remainingLogs"`
	RemainingSegments int64  `json:"remainingSegments"`
}

// startup is true once the node has come up, and shows until then how far the recovery is.
func (a *api) startup(w http.ResponseWriter, _ *http.Request) {
	state, r := a.Health.State(), a.Health.Recovery()
	s := startupState{state >= obs.StateRunning && state != obs.StateUnknown, state.String(), r.TotalLogs, r.RemainingLogs, r.RemainingSegments}
	code := http.StatusServiceUnavailable
	if s.Started {
		code = http.StatusOK
	}
	writeJSON(w, code, s)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // who asked may have gone away
}
