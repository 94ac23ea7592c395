package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientID is the client id of every request.
const clientID = "moldau-bench"

// callTimeout bounds one request of the preparations.
const callTimeout = 120 * time.Second

// Frame is a whole request with its length in front.
func Frame(req kmsg.Request, correlationID int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, req, correlationID)
}

// Client makes the few requests of the preparations, one after the other.
type Client struct {
	nc   net.Conn
	corr int32
}

// NewClient connects.
func NewClient(addr string) (*Client, error) {
	nc, err := net.DialTimeout("tcp", addr, callTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	return &Client{nc: nc}, nil
}

// Close disconnects.
func (c *Client) Close() { c.nc.Close() }

// Call sends a request, whose version is set, and waits for its answer.
func (c *Client) Call(req kmsg.Request) (kmsg.Response, error) {
	c.corr++
	c.nc.SetDeadline(time.Now().Add(callTimeout))
	if _, err := c.nc.Write(Frame(req, c.corr)); err != nil {
		return nil, fmt.Errorf("cannot send %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.nc, b); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	r := kbin.Reader{Src: b}
	r.Int32()
	if resp.IsFlexible() && resp.Key() != 18 {
		kmsg.SkipTags(&r)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return resp, nil
}

// CreateTopic makes a topic and waits until every partition has a leader.
func (c *Client) CreateTopic(name string, partitions int32, configs map[string]string) (id [16]byte, err error) {
	ids, err := c.CreateTopics([]string{name}, partitions, 1, configs)
	if err != nil {
		return id, err
	}
	if err := c.awaitLeaders(name, int(partitions)); err != nil {
		return id, err
	}
	return ids[0], c.awaitServing(name, int(partitions))
}

// CreateTopics makes topics that are alike, with one request, and does not wait for their leaders.
func (c *Client) CreateTopics(names []string, partitions int32, replicas int16, configs map[string]string) (ids [][16]byte, err error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, 60000
	for _, name := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
		for k, v := range configs {
			o := kmsg.NewCreateTopicsRequestTopicConfig()
			o.Name, o.Value = k, kmsg.StringPtr(v)
			t.Configs = append(t.Configs, o)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.Call(req)
	if err != nil {
		return nil, err
	}
	for _, got := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
			return nil, fmt.Errorf("cannot create topic %s: %w", got.Topic, err)
		}
		ids = append(ids, got.TopicID)
	}
	return ids, nil
}

// leaderTimeout bounds the wait for leaders.
const leaderTimeout = 2 * time.Minute

func (c *Client) awaitLeaders(name string, partitions int) error {
	for end := time.Now().Add(leaderTimeout); ; time.Sleep(20 * time.Millisecond) {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
		resp, err := c.Call(req)
		if err != nil {
			return err
		}
		topic := resp.(*kmsg.MetadataResponse).Topics[0]
		led := slices.IndexFunc(topic.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 || p.ErrorCode != 0 }) < 0
		if topic.ErrorCode == 0 && len(topic.Partitions) == partitions && led {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("topic %s has no leaders after %s", name, leaderTimeout)
		}
	}
}

// DeleteTopic removes a topic.
func (c *Client) DeleteTopic(name string, id [16]byte) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = 6, 60000
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.TopicID = id
	req.Topics = append(req.Topics, t)
	resp, err := c.Call(req)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode); err != nil {
		return fmt.Errorf("cannot delete topic %s: %w", name, err)
	}
	return nil
}

// AlterTopic sets a topic's configs.
func (c *Client) AlterTopic(name string, configs map[string]string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	for k, v := range configs {
		o := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		o.Name, o.Value = k, kmsg.StringPtr(v)
		r.Configs = append(r.Configs, o)
	}
	req.Resources = append(req.Resources, r)
	resp, err := c.Call(req)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode); err != nil {
		return fmt.Errorf("cannot set configs of topic %s: %w", name, err)
	}
	return nil
}

// LogBytes is the size of a topic's logs as DescribeLogDirs tells it.
func (c *Client) LogBytes(name string, partitions int) (int64, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 4
	t := kmsg.NewDescribeLogDirsRequestTopic()
	t.Topic = name
	for i := range partitions {
		t.Partitions = append(t.Partitions, int32(i))
	}
	req.Topics = append(req.Topics, t)
	resp, err := c.Call(req)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, d := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				if !p.IsFuture {
					total += p.Size
				}
			}
		}
	}
	return total, nil
}

// Conn is the connection itself.
func (c *Client) Conn() net.Conn { return c.nc }

// Hello asks for the versions of the broker's APIs.
func (c *Client) Hello() error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 0
	_, err := c.Call(req)
	return err
}

// Produce sends one batch with acks=1.
func (c *Client) Produce(topicID [16]byte, partition int32, batch []byte) error {
	return c.ProduceAcks(topicID, partition, batch, 1)
}

// ProduceAcks sends one batch.
func (c *Client) ProduceAcks(topicID [16]byte, partition int32, batch []byte, acks int16) error {
	resp, err := c.Call(ProduceRequest(topicID, partition, batch, acks))
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// Refused tells an answer of the broker from a connection that has failed.
func Refused(err error) bool {
	var e *kerr.Error
	return errors.As(err, &e)
}

// awaitServing waits until each partition's leader acts as one: Apache Kafka tells of a leader before that.
func (c *Client) awaitServing(name string, partitions int) error {
	for end := time.Now().Add(leaderTimeout); ; time.Sleep(20 * time.Millisecond) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version, req.ReplicaID = 7, -1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for i := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = int32(i), -1, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
		resp, err := c.Call(req)
		if err != nil {
			return err
		}
		refused := slices.IndexFunc(resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions, func(p kmsg.ListOffsetsResponseTopicPartition) bool { return p.ErrorCode != 0 })
		if refused < 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("partition %d of topic %s does not serve after %s", refused, name, leaderTimeout)
		}
	}
}
