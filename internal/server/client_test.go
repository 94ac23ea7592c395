package server

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestAForeignClientIsUnderstood lets franz-go negotiate versions and ask for metadata and records.
func TestAForeignClientIsUnderstood(t *testing.T) {
	var s *Server
	s = start(t, func(r *Request) {
		switch req := r.Body.(type) {
		case *kmsg.ApiVersionsRequest:
			resp := &kmsg.ApiVersionsResponse{ApiKeys: r.Conn.Table().ApiKeys()}
			if r.UnsupportedVersion { // as kgo's is, which is ahead of Kafka 4.3
				resp.ErrorCode, resp.ApiKeys = 35, r.Conn.Table().ApiVersionsOnly()
			}
			r.Reply(resp)
		case *kmsg.MetadataRequest:
			host, port, _ := net.SplitHostPort(s.Addr("PLAINTEXT").String())
			number, _ := strconv.Atoi(port)
			resp := kmsg.NewPtrMetadataResponse()
			resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: host, Port: int32(number)}}
			r.Reply(resp)
		case *kmsg.ListGroupsRequest:
			resp := kmsg.NewPtrListGroupsResponse()
			resp.Groups = []kmsg.ListGroupsResponseGroup{{Group: "of " + r.ClientID, ProtocolType: req.StatesFilter[0]}}
			r.Reply(resp)
		default:
			t.Errorf("%T", req)
			r.CloseConn(nil)
		}
	}, nil)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Addr("PLAINTEXT").String()), kgo.ClientID("gopher"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter = []string{"Stable"}
	resp, err := req.RequestWith(ctx, client)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].Group != "of gopher" || resp.Groups[0].ProtocolType != "Stable" {
		t.Fatalf("%+v, %v", resp, err)
	}
}
