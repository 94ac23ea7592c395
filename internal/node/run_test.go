package node

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A signal that comes twice at once, as from timeout or docker, once ended the node without a clean shutdown.
func TestOneWishToStopMayComeAsTwoSignals(t *testing.T) {
	t.Chdir(t.TempDir())
	signals := make(chan os.Signal, 2)
	var out bytes.Buffer
	done := make(chan int)
	started := make(chan struct{})
	go func() {
		done <- Run(RunArgs{
			Overrides: []string{ // any port: what the usual ones serve on this machine is nobody's business
				"process.roles=broker,controller", "node.id=1", "controller.listener.names=CONTROLLER", "controller.quorum.voters=1@localhost:9093",
				"listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0", "advertised.listeners=PLAINTEXT://127.0.0.1:0", "moldau.admin.listener=",
			},
			Stdout: writerFunc(func(b []byte) (int, error) {
				if strings.Contains(out.String()+string(b), "try: ") && !strings.Contains(out.String(), "try: ") {
					close(started)
				}
				return out.Write(b)
			}),
			Stderr: os.Stderr, Signals: signals, Version: "test",
		})
	}()
	select {
	case <-started:
	case code := <-done:
		t.Fatalf("no start, exit code %d:\n%s", code, out.String())
	}
	signals <- syscall.SIGINT
	signals <- syscall.SIGINT
	if code := <-done; code != 0 || !strings.Contains(out.String(), "stopped cleanly") {
		t.Fatalf("exit code %d:\n%s", code, out.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// A listener without a host was once advertised without one, and no client could follow.
func TestAListenerWithoutHostIsAdvertisedByTheMachinesName(t *testing.T) {
	r := start(t, vfs.NewMem(), "listeners=PLAINTEXT://:9092")
	if l := r.node.advertised(); len(l) != 1 || l[0].Host != machineName() || l[0].Host == "" || l[0].Port != 9092 {
		t.Fatalf("%+v", l)
	}
	if b := r.node.broker.Image().Broker(1); len(b.Listeners) != 1 || b.Listeners[0].Host == "" {
		t.Fatalf("%+v", b)
	}
}
