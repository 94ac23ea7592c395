package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moldau-stream/moldau/internal/obs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listenTCP(address string) (net.Listener, error) { return net.Listen("tcp", address) }

type fixture struct {
	t      *testing.T
	base   string
	health *obs.Health
	client *http.Client
}

func start(t *testing.T) *fixture {
	t.Helper()
	registry := obs.NewRegistry(obs.Options{Now: time.Now})
	health := obs.NewHealth(registry)
	s, err := Start(Options{Address: "127.0.0.1:0", Listen: listenTCP, Registry: registry, Health: health, Log: obs.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &fixture{t, "http://" + s.Addr().String(), health, client}
}

func (f *fixture) get(path string) (int, string) {
	f.t.Helper()
	resp, err := f.client.Get(f.base + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func (f *fixture) expect(path string, code int, part string) {
	f.t.Helper()
	if c, body := f.get(path); c != code || !strings.Contains(body, part) {
		f.t.Errorf("%s: %d %q, want %d %q", path, c, body, code, part)
	}
}

func TestANodeComesUpAndGoesDown(t *testing.T) {
	f := start(t)
	f.health.SetState(obs.StateRecovery)
	f.health.SetRecovery(obs.Recovery{RemainingLogs: 3, TotalLogs: 9, RemainingSegments: 12})
	f.expect("/livez", 200, "live") // a recovery is no illness
	f.expect("/readyz", 503, "not ready: RECOVERY")
	f.expect("/startupz", 503, `{"started":false,"state":"RECOVERY","totalLogs":9,"remainingLogs":3,"remainingSegments":12}`)
	f.expect("/v1/broker-state", 200, `{"brokerState":2,"recoveryState":{"remainingLogsToRecover":3,"remainingSegmentsToRecover":12}}`)
	f.health.SetState(obs.StateRunning)
	f.expect("/readyz", 204, "")
	f.expect("/v1/ready", 204, "")
	f.expect("/startupz", 200, `"started":true`)
	f.expect("/v1/broker-state", 200, `{"brokerState":3}`)
	f.expect("/metrics", 200, obs.BrokerStateMetric+" 3")
	f.expect("/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
	f.expect("/", 200, "/metrics")
	f.expect("/nothing", 404, "")
	f.health.SetState(obs.StateShuttingDown)
	f.expect("/readyz", 503, "SHUTTING_DOWN")
	f.health.Fail("the event loop stands still")
	f.expect("/livez", 503, "the event loop stands still")
}

func TestOnlyThisMachineIsServed(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0", "example.com:0", "9644"} {
		s, err := Start(Options{Address: address, Listen: listenTCP, Log: obs.Discard()})
		if err == nil {
			t.Errorf("%s was bound", address)
			_ = s.Close(context.Background())
		}
	}
	f := start(t)
	req, err := http.NewRequest(http.MethodGet, f.base+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example:9644"
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Error("a foreign name was served", resp.StatusCode)
	}
	resp, err = f.client.Post(f.base+"/metrics", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Error("POST", resp.StatusCode)
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(Options{Address: l.Addr().String(), Listen: listenTCP, Log: obs.Discard()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Error(err)
	}
}

func TestIdleConnectionsDoNotKeepOthersOut(t *testing.T) {
	f := start(t)
	address := strings.TrimPrefix(f.base, "http://")
	var idle []net.Conn
	for range maxConnections - 1 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	f.health.SetState(obs.StateRunning)
	f.expect("/readyz", 204, "")
	for _, c := range idle {
		_ = c.Close()
	}
}
