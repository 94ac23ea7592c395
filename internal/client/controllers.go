package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	describeClusterKey = 60
	// endpointsOfControllers is the type of endpoints that DescribeCluster is asked for (KIP-919).
	endpointsOfControllers = 2
	// activeController stands for whichever controller leads.
	activeController = -1
)

// Kafka's codes of what is asked of the wrong kind of node.
const (
	codeMismatchedEndpoint  = 114
	codeUnsupportedEndpoint = 115
)

// forBrokersOnly tells of the APIs that Kafka's client never asks a controller for.
func forBrokersOnly(key int16) bool {
	const describeClientQuotas, describeUserScramCredentials, alterUserScramCredentials = 48, 50, 51
	return key == describeClientQuotas || key == describeUserScramCredentials || key == alterUserScramCredentials
}

// wrongEndpoint is what is to be said of controllers where brokers should be, or the other way about; nil if it is not that. A
// controller closes the connection on a request that is for brokers. Once is enough to ask.
func (c *Client) wrongEndpoint(ctx context.Context, err error, try int) error {
	var ke *KafkaError
	if errors.As(err, &ke) && ke.Code == codeMismatchedEndpoint {
		return ke
	}
	var op *net.OpError
	if try > 1 || c.Settings.BootstrapIsQuorum || errors.As(err, &op) && op.Op == "dial" {
		return nil
	}
	for _, seed := range c.Client.SeedBrokers() {
		if lacks(ctx, seed, int16(kmsg.Metadata)) {
			return noMetadata()
		}
	}
	return nil
}

// noMetadata is what Kafka's client says of a controller in a broker's place: it asks for metadata before all.
func noMetadata() error {
	return &KafkaError{Code: CodeUnsupportedVersion, Message: "The node does not support METADATA"}
}

// checkBroker refuses to send to a controller what is for brokers, though it may serve it.
func (c *Client) checkBroker(ctx context.Context, at int, seed *kgo.Broker) error {
	if c.Settings.Role != Admin || c.Settings.BootstrapIsQuorum {
		return nil
	}
	c.mu.Lock()
	seen := c.seen[at]
	c.mu.Unlock()
	if seen {
		return nil
	}
	if lacks(ctx, seed, int16(kmsg.Metadata)) {
		return noMetadata()
	}
	c.mu.Lock()
	c.seen[at] = true
	c.mu.Unlock()
	return nil
}

// onController sends req to one controller, or to the active one, as DescribeCluster names them at this moment: the
// client underneath knows brokers only.
func (c *Client) onController(ctx context.Context, call string, id int32, req kmsg.Request) (kmsg.Response, error) {
	resp, err := c.untilAnswered(ctx, call, func(ctx context.Context) (kmsg.Response, error) {
		address, err := c.controllerAddress(ctx, id)
		if err != nil {
			return nil, err
		}
		one, err := kgo.NewClient(append(append([]kgo.Opt{}, c.opts...), kgo.SeedBrokers(address))...)
		if err != nil {
			return nil, err
		}
		defer one.Close()
		resp, err := one.SeedBrokers()[0].Request(ctx, req)
		if err != nil && c.fatal(err) == nil && lacks(ctx, one.SeedBrokers()[0], req.Key()) {
			return nil, &KafkaError{Code: CodeUnsupportedVersion, Message: unsupportedRequest}
		}
		return resp, err
	})
	return resp, named(err, req)
}

// lacks reports whether a controller says that it does not serve an API. It closes the connection on a request for it:
// the client underneath, which would know better, takes a node that serves no Produce for one of before ApiVersions.
func lacks(ctx context.Context, controller *kgo.Broker, key int16) bool {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = softwareName, softwareVersion // without names the request is invalid
	resp, err := controller.Request(ctx, req)
	if err != nil {
		return false
	}
	served := resp.(*kmsg.ApiVersionsResponse)
	for _, k := range served.ApiKeys {
		if k.ApiKey == key {
			return false
		}
	}
	return served.ErrorCode == 0
}

// controllerAddress is where a controller listens.
func (c *Client) controllerAddress(ctx context.Context, id int32) (string, error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = endpointsOfControllers
	resp, err := c.anySeed(ctx, req)
	if err != nil {
		return "", err
	}
	known := resp.(*kmsg.DescribeClusterResponse)
	if err := CodeError(known.ErrorCode, known.ErrorMessage); err != nil {
		return "", err
	}
	if id == activeController {
		id = known.ControllerID
	}
	for _, n := range known.Brokers {
		if n.NodeID == id {
			return net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))), nil
		}
	}
	return "", fmt.Errorf("controller %d is not known to the quorum", id)
}
