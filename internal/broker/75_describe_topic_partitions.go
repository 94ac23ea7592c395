package broker

import (
	"math"
	"slices"
	"sort"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTopicPartitions describes topics page by page, sorted by name, with
// eligible leader replicas (KIP-966). v0.
func (b *Broker) describeTopicPartitions(r *server.Request) {
	req := r.Body.(*kmsg.DescribeTopicPartitionsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	d := &describing{b: b, r: r, img: b.Image(), resp: resp}
	d.left = max(min(int(req.ResponsePartitionLimit), b.conf().Int(config.MaxRequestPartitionSizeLimit)), 1)
	if c := req.Cursor; c != nil {
		atTopic := func(t kmsg.DescribeTopicPartitionsRequestTopic) bool { return t.Topic == c.Topic }
		if c.Partition < 0 || len(req.Topics) > 0 && !slices.ContainsFunc(req.Topics, atTopic) {
			for _, t := range req.Topics {
				resp.Topics = append(resp.Topics, d.failed(t.Topic, kerr.InvalidRequest))
			}
			r.Reply(resp)
			return
		}
		d.startTopic, d.startPartition = c.Topic, c.Partition
	}
	names, refused := d.names(req)
	for _, name := range names {
		if !d.topic(name) {
			break
		}
	}
	resp.Topics = append(resp.Topics, refused...)
	r.Reply(resp)
}

// describing is one request under way.
type describing struct {
	b              *Broker
	r              *server.Request
	img            *meta.Image
	resp           *kmsg.DescribeTopicPartitionsResponse
	left           int // partitions that still fit
	startTopic     string
	startPartition int32
}

// names is the sorted list of topics to describe from the cursor on, and the answers for those that may not be.
func (d *describing) names(req *kmsg.DescribeTopicPartitionsRequest) (names []string, refused []kmsg.DescribeTopicPartitionsResponseTopic) {
	from := ""
	if req.Cursor != nil {
		from = req.Cursor.Topic
	}
	if len(req.Topics) == 0 {
		d.img.Topics(func(t *meta.Topic) bool {
			if t.Name >= from && d.b.allowedQuietly(d.r, security.OperationDescribe, security.ResourceTopic, t.Name) {
				names = append(names, t.Name)
			}
			return true
		})
		return names, nil
	}
	for _, t := range req.Topics {
		switch {
		case t.Topic < from:
		case d.b.allowedTopic(d.r, security.OperationDescribe, t.Topic):
			names = append(names, t.Topic)
		default:
			refused = append(refused, d.failed(t.Topic, kerr.TopicAuthorizationFailed))
		}
	}
	sort.Strings(names)
	return slices.Compact(names), refused
}

func (d *describing) failed(name string, e *kerr.Error) kmsg.DescribeTopicPartitionsResponseTopic {
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.ErrorCode, out.IsInternal = &name, e.Code, isInternal(name)
	out.AuthorizedOperations = math.MinInt32
	return out
}

// topic adds one topic; false means that the page is full and the cursor is set.
func (d *describing) topic(name string) bool {
	first := int32(0)
	if name == d.startTopic {
		first = d.startPartition
	}
	if d.left == 0 {
		d.stopAt(name, first)
		return false
	}
	t := d.img.Topic(name)
	if t == nil {
		e := kerr.UnknownTopicOrPartition
		if meta.CheckTopicName(name) != nil {
			e = kerr.InvalidTopicException
		}
		out := d.failed(name, e)
		out.AuthorizedOperations = d.b.operations(d.r, security.ResourceTopic, name)
		d.resp.Topics = append(d.resp.Topics, out)
		return true
	}
	out := d.failed(name, &kerr.Error{})
	out.TopicID, out.AuthorizedOperations = t.ID, d.b.operations(d.r, security.ResourceTopic, name)
	for i := first; int(i) < len(t.Partitions); i++ {
		if d.left == 0 {
			d.resp.Topics = append(d.resp.Topics, out)
			d.stopAt(name, i)
			return false
		}
		out.Partitions = append(out.Partitions, d.partition(i, t.Partitions[i]))
		d.left--
	}
	d.resp.Topics = append(d.resp.Topics, out)
	return true
}

func (d *describing) stopAt(topic string, partition int32) {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	d.resp.NextCursor = &c
}

func (d *describing) partition(id int32, p *meta.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	out := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	out.Partition, out.LeaderID, out.LeaderEpoch = id, p.Leader, p.LeaderEpoch
	out.Replicas, out.ISR, out.OfflineReplicas = p.Replicas, p.ISR, offlineReplicas(d.img, p)
	out.EligibleLeaderReplicas, out.LastKnownELR = orEmpty(p.ELR), orEmpty(p.LastKnownELR)
	leader := d.img.Broker(p.Leader)
	if leader == nil || leader.Fenced {
		out.ErrorCode, out.LeaderID = kerr.LeaderNotAvailable.Code, -1
		return out
	}
	if _, ok := endpointOf(leader, d.r.Conn.Listener()); !ok {
		out.ErrorCode, out.LeaderID = kerr.ListenerNotFound.Code, -1
	}
	return out
}

// orEmpty: null would mean that the controller does not know of eligible leader replicas.
func orEmpty(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}
