package load

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// View is what one node tells of the cluster.
type View struct {
	Brokers    map[int32]string // addresses
	Partitions []Replicated     // of the topics that were asked for
}

// Replicated is one partition.
type Replicated struct {
	Topic            string
	Partition        int32
	Leader           int32 // -1: none
	Replicas, InSync int
}

// View asks for the brokers and some topics, or for all of them with none given.
func (c *Client) View(topics ...string) (View, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.Call(req)
	if err != nil {
		return View{}, err
	}
	meta := resp.(*kmsg.MetadataResponse)
	v := View{Brokers: map[int32]string{}}
	for _, b := range meta.Brokers {
		v.Brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	for _, t := range meta.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return v, fmt.Errorf("cannot learn of topic %s: %w", *t.Topic, err)
		}
		for _, p := range t.Partitions {
			r := Replicated{Topic: *t.Topic, Partition: p.Partition, Leader: p.Leader, Replicas: len(p.Replicas), InSync: len(p.ISR)}
			v.Partitions = append(v.Partitions, r)
		}
	}
	return v, nil
}

// Whole says what is missing until so many brokers are there and each of so many partitions has a leader and all replicas in sync.
func (v View) Whole(brokers, partitions int) error {
	if len(v.Brokers) != brokers {
		return fmt.Errorf("%d brokers of %d are there", len(v.Brokers), brokers)
	}
	if len(v.Partitions) != partitions {
		return fmt.Errorf("%d partitions of %d are there", len(v.Partitions), partitions)
	}
	for _, p := range v.Partitions {
		if p.Leader < 0 || p.InSync < p.Replicas {
			return fmt.Errorf("%s-%d is led by %d and has %d of %d replicas in sync", p.Topic, p.Partition, p.Leader, p.InSync, p.Replicas)
		}
	}
	return nil
}

// Led is the partitions that each broker leads.
func (v View) Led() map[int32][]Replicated {
	out := map[int32][]Replicated{}
	for _, p := range v.Partitions {
		out[p.Leader] = append(out[p.Leader], p)
	}
	return out
}

// Serves asks a node for the end of each of some partitions: one that does not act as their leader yet refuses.
func (c *Client) Serves(parts []Replicated) error {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 7, -1
	at := map[string]int{}
	for _, part := range parts {
		i, ok := at[part.Topic]
		if !ok {
			i, at[part.Topic] = len(req.Topics), len(req.Topics)
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = part.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = part.Partition, -1, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	resp, err := c.Call(req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s-%d does not serve: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// Controller is the id of the active controller.
func (c *Client) Controller() (int32, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Version = 1
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = "__cluster_metadata"
	t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	answer, err := c.Call(req)
	if err != nil {
		return 0, err
	}
	resp := answer.(*kmsg.DescribeQuorumResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return 0, fmt.Errorf("cannot describe the quorum: %w", err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, errors.New("cannot describe the quorum: the answer does not tell of one partition")
	}
	p := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return 0, fmt.Errorf("cannot describe the quorum: %w", err)
	}
	return p.LeaderID, nil
}

// ElectPreferred has leaders go back to where the partitions were placed.
func (c *Client) ElectPreferred() error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = 2, 30000
	resp, err := c.Call(req)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.ElectLeadersResponse).ErrorCode); err != nil {
		return fmt.Errorf("cannot elect leaders: %w", err)
	}
	return nil
}

// ProducerID gives an idempotent producer its id.
func (c *Client) ProducerID() (id int64, epoch int16, err error) {
	for end := time.Now().Add(leaderTimeout); ; time.Sleep(20 * time.Millisecond) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.ProducerID, req.ProducerEpoch = 4, -1, -1
		answer, err := c.Call(req)
		if err != nil {
			return 0, 0, err
		}
		resp := answer.(*kmsg.InitProducerIDResponse)
		err = kerr.ErrorForCode(resp.ErrorCode)
		if err == nil {
			return resp.ProducerID, resp.ProducerEpoch, nil
		}
		if !kerr.IsRetriable(err) || time.Now().After(end) {
			return 0, 0, fmt.Errorf("cannot get a producer id: %w", err)
		}
	}
}
