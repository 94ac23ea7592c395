package broker

import (
	"math"

	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The types of endpoints (KIP-919); a broker listener knows the brokers' only.
const (
	endpointsOfBrokers     = 1
	endpointsOfControllers = 2
)

// describeCluster names the cluster and its brokers. v0-2; fenced brokers on demand from 2.
func (b *Broker) describeCluster(r *server.Request) {
	req := r.Body.(*kmsg.DescribeClusterRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	img := b.Image()
	resp.ControllerID, resp.EndpointType, resp.ClusterAuthorizedOperations = -1, endpointsOfBrokers, math.MinInt32
	if r.Version >= 1 && req.EndpointType != endpointsOfBrokers {
		resp.ErrorCode, resp.ErrorMessage = kerr.UnsupportedEndpointType.Code, text("there is no such type of endpoint")
		if req.EndpointType == endpointsOfControllers {
			resp.ErrorCode, resp.ErrorMessage = kerr.MismatchedEndpointType.Code, text("this listener serves brokers; controllers are asked on theirs")
		}
		r.Reply(resp)
		return
	}
	resp.ClusterID, resp.ControllerID = b.clusterID, b.aBrokerID(img)
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = b.clusterOperations(r)
	}
	for _, n := range img.Brokers() {
		if n.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		e, ok := endpointOf(n, r.Conn.Listener())
		if !ok {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack, out.IsFenced = n.ID, e.host, e.port, e.rack, n.Fenced
		resp.Brokers = append(resp.Brokers, out)
	}
	r.Reply(resp)
}
