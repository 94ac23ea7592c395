package node

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/peer"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// asks is a connection to a listener of the rig's node.
func (r *rig) asks(address string) func(kmsg.Request) kmsg.Response {
	r.t.Helper()
	c := peer.New(peer.Options{
		Network: r.net.Host("localhost"), Addr: address, ClientID: "test", Clock: clock.Real{}, Logger: obs.Discard(), RequestTimeout: 10 * time.Second,
	})
	r.t.Cleanup(c.Close)
	return func(req kmsg.Request) kmsg.Response {
		r.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		resp, err := c.Call(ctx, req)
		if err != nil {
			r.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
		}
		return resp
	}
}

func describeControllers() *kmsg.DescribeClusterRequest {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 2
	return req
}

// said is a log that is read while it is written.
type said struct {
	mu  sync.Mutex
	all []byte
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, b...)
	return len(b), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.all)
}

// A second program at 9093 once kept the controller of a node that nobody had configured from being reached at all.
func TestATakenPortThatNobodyAskedForIsReplaced(t *testing.T) {
	r := &rig{t: t, fs: vfs.NewMem(), net: netx.NewMem(clock.Real{})}
	other, err := r.net.Host("localhost").Listen("localhost:9093")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var out said
	o := r.options()
	if o.Logger, err = obs.NewLogger(&out, obs.FormatText, new(slog.LevelVar)); err != nil {
		t.Fatal(err)
	}
	if r.node, err = Start(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.node.Stop() })
	at := r.node.Addr("CONTROLLER").String()
	if !strings.Contains(out.String(), "CONTROLLER on "+at) || strings.Count(out.String(), "WARN") != 1 {
		t.Errorf("the log does not say once that the controller is at %s:\n%s", at, out.String())
	}
	resp := r.asks(at)(describeControllers()).(*kmsg.DescribeClusterResponse)
	if l := r.node.controllerListeners(); resp.ErrorCode != 0 || len(resp.Brokers) != 1 || int(resp.Brokers[0].Port) != l[0].Port || l[0].Port == 9093 {
		t.Errorf("%+v, listening on %+v", resp, l)
	}
	r.create("t", 1)
	r.produce("t", "served")
}

func TestATakenPortThatWasAskedForIsAnError(t *testing.T) {
	r := &rig{t: t, fs: vfs.NewMem(), net: netx.NewMem(clock.Real{})}
	other, err := r.net.Host("localhost").Listen("localhost:9093")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = Start(context.Background(), r.options("process.roles=broker,controller", "node.id=1", "controller.listener.names=CONTROLLER",
		"listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093", "controller.quorum.voters=1@localhost:9093"))
	wantError(t, err, "9093", "another process listens there")
}

// The admin client's --bootstrap-controller.
func TestAControllerAnswersAdminClients(t *testing.T) {
	r := start(t, vfs.NewMem())
	r.create("t", 1)
	ask := r.asks("localhost:9093")
	cluster := ask(describeControllers()).(*kmsg.DescribeClusterResponse)
	if cluster.ErrorCode != 0 || cluster.ControllerID != 1 || cluster.EndpointType != 2 || cluster.ClusterID != r.node.ClusterID() || len(cluster.Brokers) != 1 {
		t.Errorf("%+v", cluster)
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	for _, of := range []struct {
		kind kmsg.ConfigResourceType
		name string
	}{{kmsg.ConfigResourceTypeTopic, "t"}, {kmsg.ConfigResourceTypeBroker, "1"}, {kmsg.ConfigResourceTypeBroker, "2"}} {
		res := kmsg.NewDescribeConfigsRequestResource()
		res.ResourceType, res.ResourceName = of.kind, of.name
		configs.Resources = append(configs.Resources, res)
	}
	described := ask(configs).(*kmsg.DescribeConfigsResponse).Resources
	if len(described) != 3 || len(described[0].Configs) == 0 || len(described[1].Configs) == 0 || described[2].ErrorCode == 0 {
		t.Errorf("%+v", described)
	}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	change.Name, change.Value = "retention.ms", kmsg.StringPtr("12345")
	res.Configs = append(res.Configs, change)
	alter.Resources = append(alter.Resources, res)
	if resp := ask(alter).(*kmsg.IncrementalAlterConfigsResponse); resp.Resources[0].ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	configs.Resources = configs.Resources[:1]
	configs.Resources[0].ConfigNames = []string{"retention.ms"}
	if got := ask(configs).(*kmsg.DescribeConfigsResponse).Resources[0].Configs; len(got) != 1 || *got[0].Value != "12345" {
		t.Errorf("%+v", got)
	}
}
