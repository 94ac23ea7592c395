package broker

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// autoCreateTimeout bounds how long a Metadata request may wait for the topics that it creates.
const autoCreateTimeout = 10 * time.Second

// metadata describes brokers and topics. v0-13: null for all topics from 1 (an
// empty list in 0), auto-creation by choice from 4, topic ids from 10, topics
// asked for by id from 12.
func (b *Broker) metadata(r *server.Request) {
	req := r.Body.(*kmsg.MetadataRequest)
	if !allTopics(req) {
		if r.Version >= 10 && r.Version < firstMetadataByID && asksByID(req) {
			r.Reply(refuseMetadata(req))
			return
		}
		req.Topics = namedOnce(req.Topics)
	}
	if missing := b.toCreate(r, req); len(missing) > 0 {
		go func() { // the controller's answer is waited for: not on the connection's goroutine
			b.autoCreate(r, missing)
			r.Reply(b.metadataResponse(r, req))
		}()
		return
	}
	r.Reply(b.metadataResponse(r, req))
}

// firstMetadataByID is the first version that may ask for topics by their ids, though 10 and 11 have the field.
const firstMetadataByID = 12

// asksByID says that some topic is asked for by its id, or not by its name.
func asksByID(req *kmsg.MetadataRequest) bool {
	return slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.Topic == nil || t.TopicID != [16]byte{} })
}

func refuseMetadata(req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	for _, t := range req.Topics {
		out := kmsg.NewMetadataResponseTopic()
		name := deref(t.Topic)
		out.Topic, out.TopicID, out.ErrorCode = &name, t.TopicID, kerr.InvalidRequest.Code
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// namedOnce drops what is named again. Where there are ids, only they count.
func namedOnce(topics []kmsg.MetadataRequestTopic) []kmsg.MetadataRequestTopic {
	type named struct {
		name string
		id   [16]byte
	}
	byID := slices.ContainsFunc(topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != [16]byte{} })
	seen := make(map[named]bool, len(topics))
	once := make([]kmsg.MetadataRequestTopic, 0, len(topics))
	for _, t := range topics {
		k := named{deref(t.Topic), t.TopicID}
		if byID {
			k.name = ""
			if t.TopicID == ([16]byte{}) {
				continue
			}
		}
		if !seen[k] {
			seen[k] = true
			once = append(once, t)
		}
	}
	return once
}

func (b *Broker) metadataResponse(r *server.Request, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	img := b.Image()
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	resp.ClusterID = &b.clusterID
	resp.ControllerID = b.aBrokerID(img)
	resp.AuthorizedOperations = math.MinInt32
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = b.clusterOperations(r)
	}
	for _, n := range img.Brokers() {
		if e, ok := endpointOf(n, r.Conn.Listener()); ok && !n.Fenced {
			out := kmsg.NewMetadataResponseBroker()
			out.NodeID, out.Host, out.Port, out.Rack = n.ID, e.host, e.port, e.rack
			resp.Brokers = append(resp.Brokers, out)
		}
	}
	resp.Topics = []kmsg.MetadataResponseTopic{}
	if allTopics(req) {
		img.Topics(func(t *meta.Topic) bool {
			if b.allowedQuietly(r, security.OperationDescribe, security.ResourceTopic, t.Name) {
				resp.Topics = append(resp.Topics, b.topicMetadata(r, req, img, t))
			}
			return true
		})
		return resp
	}
	for i := range req.Topics {
		resp.Topics = append(resp.Topics, b.namedTopic(r, req, img, &req.Topics[i]))
	}
	return resp
}

// aBrokerID is whom clients may take for the controller: any live broker forwards
// what is the controller's (KIP-590), so this one names itself.
func (b *Broker) aBrokerID(img *meta.Image) int32 {
	if n := img.Broker(b.nodeID); n != nil && !n.Fenced {
		return b.nodeID
	}
	for _, n := range img.Brokers() {
		if !n.Fenced {
			return n.ID
		}
	}
	return -1
}

func (b *Broker) clusterOperations(r *server.Request) int32 {
	if !b.allowedCluster(r, security.OperationDescribe) {
		return 0
	}
	return b.operations(r, security.ResourceCluster, security.ClusterName)
}

// allTopics: null from version 1 on, and in version 0, which has no null, an empty list.
func allTopics(req *kmsg.MetadataRequest) bool {
	return req.Topics == nil || req.Version == 0 && len(req.Topics) == 0
}

// namedTopic describes a topic that the request names or gives the id of.
func (b *Broker) namedTopic(r *server.Request, req *kmsg.MetadataRequest, img *meta.Image, want *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	if want.TopicID != ([16]byte{}) {
		return b.topicByID(r, req, img, want)
	}
	out := kmsg.NewMetadataResponseTopic()
	name := deref(want.Topic)
	out.Topic, out.AuthorizedOperations = &name, math.MinInt32
	if !b.allowedTopic(r, security.OperationDescribe, name) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return out
	}
	if t := img.Topic(name); t != nil {
		return b.topicMetadata(r, req, img, t)
	}
	if b.autoCreates(r, req) && !b.mayCreate(r, name) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return out
	}
	out.IsInternal, out.ErrorCode = isInternal(name), kerr.UnknownTopicOrPartition.Code
	if meta.CheckTopicName(name) != nil {
		out.ErrorCode = kerr.InvalidTopicException.Code
	}
	return out
}

// topicByID hides the existence of a topic from those who may not see it.
func (b *Broker) topicByID(r *server.Request, req *kmsg.MetadataRequest, img *meta.Image, want *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.TopicID, out.AuthorizedOperations = want.TopicID, math.MinInt32
	t := img.TopicByID(want.TopicID)
	switch {
	case t == nil:
		out.ErrorCode = kerr.UnknownTopicID.Code
	case !b.allowedTopic(r, security.OperationDescribe, t.Name):
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
	default:
		return b.topicMetadata(r, req, img, t)
	}
	return out
}

func (b *Broker) topicMetadata(r *server.Request, req *kmsg.MetadataRequest, img *meta.Image, t *meta.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	name := t.Name
	out.Topic, out.TopicID, out.IsInternal = &name, t.ID, isInternal(name)
	out.AuthorizedOperations = math.MinInt32
	if req.IncludeTopicAuthorizedOperations {
		out.AuthorizedOperations = b.operations(r, security.ResourceTopic, name)
	}
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		b.partitionMetadata(&out.Partitions[i], r, img, int32(i), p)
	}
	return out
}

func (b *Broker) partitionMetadata(out *kmsg.MetadataResponseTopicPartition, r *server.Request, img *meta.Image, id int32, p *meta.Partition) {
	out.Default()
	out.Partition, out.Leader, out.LeaderEpoch = id, p.Leader, p.LeaderEpoch
	out.Replicas, out.ISR, out.OfflineReplicas = p.Replicas, p.ISR, offlineReplicas(img, p)
	leader := img.Broker(p.Leader)
	switch {
	case leader == nil || leader.Fenced:
		out.ErrorCode, out.Leader = kerr.LeaderNotAvailable.Code, -1
	default:
		if _, ok := endpointOf(leader, r.Conn.Listener()); !ok {
			out.ErrorCode, out.Leader = kerr.ListenerNotFound.Code, -1
			if r.Version < 6 {
				out.ErrorCode = kerr.LeaderNotAvailable.Code
			}
		}
	}
}

// autoCreates: the broker's settings and, from version 4, the client must both want it.
func (b *Broker) autoCreates(r *server.Request, req *kmsg.MetadataRequest) bool {
	return b.conf().Bool(config.AutoCreateTopicsEnable) && (r.Version < 4 || req.AllowAutoTopicCreation)
}

// toCreate lists the named topics that are missing and may be created by asking for them.
func (b *Broker) toCreate(r *server.Request, req *kmsg.MetadataRequest) []string {
	if allTopics(req) || !b.autoCreates(r, req) {
		return nil
	}
	img := b.Image()
	var missing []string
	for i := range req.Topics {
		t := &req.Topics[i]
		if t.Topic == nil || t.TopicID != ([16]byte{}) || img.Topic(*t.Topic) != nil || meta.CheckTopicName(*t.Topic) != nil {
			continue
		}
		if !b.allowedTopic(r, security.OperationDescribe, *t.Topic) || !b.mayCreate(r, *t.Topic) {
			continue
		}
		missing = append(missing, *t.Topic)
	}
	return missing
}

// mayCreate: CREATE on the cluster or on the topic.
func (b *Broker) mayCreate(r *server.Request, topic string) bool {
	return b.allowedQuietly(r, security.OperationCreate, security.ResourceCluster, security.ClusterName) ||
		b.allowedTopic(r, security.OperationCreate, topic)
}

// autoCreate asks the controller for topics with the cluster's defaults. Failures
// show in the answer, where the topic is still unknown; the client asks again.
func (b *Broker) autoCreate(r *server.Request, topics []string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	req.TimeoutMillis = int32(autoCreateTimeout / time.Millisecond)
	for _, name := range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
		if isInternal(name) {
			t = b.internalTopic(name)
		}
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), autoCreateTimeout)
	defer cancel()
	resp, err := b.controller.Call(ctx, r.Conn.Principal(), req)
	if err != nil {
		b.logger.Warn("cannot create topics that a client asked for", "topics", topics, "client", r.ClientID, "cause", err)
		return
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		switch t.ErrorCode {
		case 0:
			b.logger.Info("created a topic because a client asked for it", "topic", t.Topic, "client", r.ClientID)
		case kerr.TopicAlreadyExists.Code:
		default:
			b.logger.Warn("cannot create a topic that a client asked for", "topic", t.Topic, "client", r.ClientID,
				"error", kerr.ErrorForCode(t.ErrorCode), "cause", deref(t.ErrorMessage))
		}
	}
}

// internalTopic is how an internal topic is made: as its own settings say, not the cluster's defaults.
func (b *Broker) internalTopic(name string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic = name
	set := func(key, value string) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, &value
		t.Configs = append(t.Configs, c)
	}
	set("cleanup.policy", "compact")
	switch name {
	case offsetsTopic:
		t.NumPartitions = int32(b.conf().Int(config.OffsetsTopicNumPartitions))
		t.ReplicationFactor = int16(b.conf().Int(config.OffsetsTopicReplicationFactor))
		set("segment.bytes", b.number(config.OffsetsTopicSegmentBytes))
		set("compression.type", "producer")
	case transactionsTopic:
		t.NumPartitions = int32(b.conf().Int(config.TransactionStateLogNumPartitions))
		t.ReplicationFactor = int16(b.conf().Int(config.TransactionStateLogReplicationFactor))
		set("segment.bytes", b.number(config.TransactionStateLogSegmentBytes))
		set("min.insync.replicas", b.number(config.TransactionStateLogMinISR))
		set("compression.type", "uncompressed")
		set("unclean.leader.election.enable", "false")
	default:
		t.NumPartitions = int32(b.conf().Int(config.ShareCoordinatorStateTopicNumPartitions))
		t.ReplicationFactor = int16(b.conf().Int(config.ShareCoordinatorStateTopicReplicationFactor))
		set("segment.bytes", b.number(config.ShareCoordinatorStateTopicSegmentBytes))
		set("min.insync.replicas", b.number(config.ShareCoordinatorStateTopicMinISR))
	}
	return t
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// number is a whole-number setting as text.
func (b *Broker) number(key string) string { return strconv.FormatInt(b.conf().Long(key), 10) }
