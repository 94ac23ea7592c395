package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// aController answers ApiVersions and DescribeCluster, as a controller that is alone, and closes the connection on
// anything else, as controllers do on what they do not serve.
func aController(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	host, port, _ := net.SplitHostPort(l.Addr().String())
	number, _ := strconv.Atoi(port)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go controllerAnswers(c, host, int32(number))
		}
	}()
	return l.Addr().String()
}

func controllerAnswers(c net.Conn, host string, port int32) {
	defer c.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		key, version, correlation := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:])), frame[4:8]
		answer := kmsg.ResponseForKey(key)
		answer.SetVersion(version)
		head := append([]byte{}, correlation...)
		switch a := answer.(type) {
		case *kmsg.ApiVersionsResponse:
			if !bytes.Contains(frame, []byte(softwareName)) {
				a.ErrorCode = kerr.InvalidRequest.Code
				break
			}
			for _, k := range []struct{ key, most int16 }{{18, 4}, {60, 2}} {
				one := kmsg.NewApiVersionsResponseApiKey()
				one.ApiKey, one.MaxVersion = k.key, k.most
				a.ApiKeys = append(a.ApiKeys, one)
			}
		case *kmsg.DescribeClusterResponse:
			node := kmsg.NewDescribeClusterResponseBroker()
			node.NodeID, node.Host, node.Port = 1, host, port
			a.ControllerID, a.Brokers = 1, append(a.Brokers, node)
			head = append(head, 0) // no tags
		default:
			return
		}
		body := answer.AppendTo(head)
		if _, err := c.Write(append(kbin.AppendInt32(nil, int32(len(body))), body...)); err != nil {
			return
		}
	}
}

// A controller that lacks an API is said to lack it, at once: it does not become a wait for default.api.timeout.ms.
func TestWhatAControllerDoesNotServeIsSaidAtOnce(t *testing.T) {
	c, err := Open(Admin, Properties{"bootstrap.controllers": aController(t)}, Voice{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, req := range []kmsg.Request{kmsg.NewPtrDescribeACLsRequest(), kmsg.NewPtrDescribeTransactionsRequest()} {
		_, err := c.Any(ctx, "describe", req)
		var ke *KafkaError
		if want := "The node does not support " + apiConstant(kmsg.NameForKey(req.Key())); !errors.As(err, &ke) || ke.Code != CodeUnsupportedVersion || err.Error() != want {
			t.Errorf("%v, wanted: %s", err, want)
		}
	}
}

// Where brokers should be there is a controller: that is said at once, of what controllers serve too.
func TestAControllerInTheBrokersPlaceIsToldAtOnce(t *testing.T) {
	const want = "The node does not support METADATA"
	c, err := Open(Admin, Properties{"bootstrap.servers": aController(t)}, Voice{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := c.Metadata(ctx, "listTopics", nil, true); err == nil || err.Error() != want {
		t.Errorf("metadata: %v, wanted: %s", err, want)
	}
	if _, err := c.Any(ctx, "describeCluster", kmsg.NewPtrDescribeClusterRequest()); err == nil || err.Error() != want {
		t.Errorf("what a controller serves: %v, wanted: %s", err, want)
	}
}

// What Kafka's client never asks controllers for is refused before anything is sent.
func TestControllersAreNotAskedForQuotas(t *testing.T) {
	c, err := Open(Admin, Properties{"bootstrap.controllers": "127.0.0.1:1"}, Voice{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Any(context.Background(), "describeClientQuotas", kmsg.NewPtrDescribeClientQuotasRequest())
	if want := "This Admin API is not yet supported when communicating directly with the controller quorum."; err == nil || err.Error() != want {
		t.Errorf("%v, wanted: %s", err, want)
	}
}
