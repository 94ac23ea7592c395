package clients

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// busyBroker answers each request, but lets no transaction begin: one before it has not ended, for ever. It closes the channel when
// it says so first.
type busyBroker struct {
	net.Listener
	refused chan struct{}
}

func startBusyBroker(t *testing.T) *busyBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &busyBroker{Listener: l, refused: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b.answerOne(c) == nil {
				}
			}()
		}
	}()
	return b
}

// headBytes are the key, version and correlation id of a request.
const headBytes = 8

func (b *busyBroker) answerOne(c io.ReadWriter) error {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, frame); err != nil {
		return err
	}
	if len(frame) < headBytes {
		return io.ErrUnexpectedEOF
	}
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	resp := b.answer(kmsg.Key(key))
	resp.SetVersion(version)
	out := append(make([]byte, 4), frame[4:headBytes]...)
	if resp.IsFlexible() && key != kmsg.ApiVersions.Int16() {
		out = append(out, 0) // no tags
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := c.Write(out)
	return err
}

func (b *busyBroker) answer(key kmsg.Key) kmsg.Response {
	host, port, _ := net.SplitHostPort(b.Addr().String())
	number, _ := strconv.Atoi(port)
	switch key {
	case kmsg.ApiVersions:
		resp := kmsg.NewPtrApiVersionsResponse()
		for k, newest := range map[kmsg.Key]int16{kmsg.Produce: 9, kmsg.Metadata: 9, kmsg.FindCoordinator: 3, kmsg.ApiVersions: 3, kmsg.InitProducerID: 3, kmsg.EndTxn: 3} {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: k.Int16(), MaxVersion: newest})
		}
		return resp
	case kmsg.Metadata:
		resp := kmsg.NewPtrMetadataResponse()
		resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: host, Port: int32(number)}}
		resp.ControllerID = 1
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = kmsg.StringPtr("t")
		topic.Partitions = []kmsg.MetadataResponseTopicPartition{{Leader: 1, LeaderEpoch: -1, Replicas: []int32{1}, ISR: []int32{1}}}
		resp.Topics = []kmsg.MetadataResponseTopic{topic}
		return resp
	case kmsg.FindCoordinator:
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.NodeID, resp.Host, resp.Port = 1, host, int32(number)
		return resp
	case kmsg.InitProducerID:
		select {
		case b.refused <- struct{}{}:
		default:
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.ErrorCode = kerr.ConcurrentTransactions.Code
		return resp
	}
	return key.Response()
}

func TestATransactionThatCannotBeginEndsWithItsStep(t *testing.T) {
	b := startBusyBroker(t)
	ref, err := newReference(b.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ref.close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := ref.writeTransactions(ctx, "id", "t")
		ended <- err
	}()
	select {
	case <-b.refused:
	case err := <-ended:
		t.Fatalf("it has ended before it was refused: %v", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a transaction that was never begun is told as written")
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on although its step has ended")
	}
}
