package node

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// controllerLink is the way to the controller of this process.
type controllerLink struct{ n *Node }

// Call hands a request to the controller; see broker.Controller.
func (l controllerLink) Call(ctx context.Context, p security.Principal, req kmsg.Request) (kmsg.Response, error) {
	if _, own := req.(*kmsg.AllocateProducerIDsRequest); own { // the broker asks for itself
		return l.n.cluster.link.Call(ctx, "broker", req)
	}
	return l.n.cluster.link.Forward(ctx, p, nil, req)
}

// DescribeQuorum asks the controller of this process.
func (l controllerLink) DescribeQuorum(ctx context.Context) (kmsg.DescribeQuorumResponseTopicPartition, []kmsg.DescribeQuorumResponseNode, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.SetVersion(req.MaxVersion())
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic, t.Partitions = quorum.MetadataTopic, append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	r, err := l.n.cluster.link.Forward(ctx, self, nil, req)
	if err != nil {
		return kmsg.NewDescribeQuorumResponseTopicPartition(), nil, err
	}
	resp := r.(*kmsg.DescribeQuorumResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return kmsg.NewDescribeQuorumResponseTopicPartition(), nil, errors.Join(err, errors.New("the controller does not describe its quorum"))
	}
	return resp.Topics[0].Partitions[0], resp.Nodes, nil
}

// KRaftVersion is the level that stands in this node's copy of the metadata log.
func (l controllerLink) KRaftVersion() int16 { return l.n.metadata.Members().KRaftVersion }

// quorumConfig is how this node opens its part of the metadata log.
func (n *Node) quorumConfig() quorum.Config {
	s := n.o.Settings
	dir := s.MetadataDir()
	c := quorum.Config{
		FS: n.o.FS, Dir: dir, NodeID: n.id, DirectoryID: n.directoryID(dir), Clock: n.o.Clock, Logger: n.o.Logger,
		OpenLog:    quorum.StorageLog(n.o.FS, n.o.Clock, n.o.Logger, s.Int(config.MetadataLogSegmentBytes)),
		Controller: n.controllerConfig(),

		ElectionTimeout:  s.Duration(config.ControllerQuorumElectionTimeoutMs),
		SnapshotBytes:    s.Long(config.MetadataLogMaxRecordBytesBetweenSnapshots),
		SnapshotInterval: neverIfZero(s.Duration(config.MetadataLogMaxSnapshotIntervalMs)),
		RetentionBytes:   s.Long(config.MetadataMaxRetentionBytes),
		Retention:        s.Duration(config.MetadataMaxRetentionMs),
		OnFatal:          n.fail,
		OnLeader:         n.newLeader,
		OnMembers:        func(m quorum.Members) { n.cluster.directory.LearnMembers(m, n.controllerListenerName()) },
	}
	for _, v := range s.QuorumVoters() {
		c.Voters = append(c.Voters, v.ID)
	}
	c.Join = len(c.Voters) == 0 // voters are found in the log, or this node asks to be let in
	return c
}

// neverIfZero: 0 turns snapshots by time off in Kafka, a negative interval does here.
func neverIfZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func (n *Node) controllerConfig() controller.Config {
	s := n.o.Settings
	c := controller.Config{
		ClusterID: n.clusterID, NodeID: n.id, LocalBroker: s.IsBroker(),
		DefaultPartitions:        s.Int32(config.NumPartitions),
		DefaultReplicationFactor: int16(s.Int(config.DefaultReplicationFactor)),
		DeleteTopicEnable:        s.Bool(config.DeleteTopicEnable),
		SessionTimeout:           s.Duration(config.BrokerSessionTimeoutMs),
		MinInsyncReplicas:        s.Int(config.MinInsyncReplicas),
		UncleanLeaderElection:    s.Bool(config.UncleanLeaderElectionEnable),
		Configs:                  configSchema{s}, Random: chance{},
	}
	if s.Bool(config.AutoLeaderRebalanceEnable) {
		c.LeaderImbalanceCheckInterval = s.Duration(config.LeaderImbalanceCheckIntervalSeconds)
	}
	return c
}

// fail is called when the metadata log cannot go on: the node must stop, since it would serve what is not true any more.
func (n *Node) fail(err error) { n.failFor("the metadata log has failed", err) }

// failFor ends the node, which says what has happened.
func (n *Node) failFor(what string, err error) {
	n.o.Logger.Error(what+": the node stops", "cause", err)
	n.failOnce.Do(func() {
		n.failure = err
		n.health.Fail(what + ": " + err.Error())
		close(n.failed)
	})
}

// chance is the machine's randomness.
type chance struct{}

func (chance) UUID() meta.UUID { return newUUID() }

func (chance) IntN(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // the operating system's source does not fail
	}
	return int(i.Int64())
}

// configSchema lets the controller judge settings by the table of all keys.
type configSchema struct{ c *config.Config }

func scopeOf(resourceType int8) config.Scope {
	switch resourceType {
	case meta.ResourceTopic:
		return config.Topic
	case meta.ResourceGroup:
		return config.Group
	case meta.ResourceClientMetrics:
		return config.ClientMetrics
	}
	return config.Broker
}

// Validate judges the settings of a resource as they would be.
func (s configSchema) Validate(res meta.ConfigResource, values map[string]string) error {
	var err error
	switch res.Type {
	case meta.ResourceTopic:
		err = s.c.ValidateTopic(values)
	case meta.ResourceGroup:
		err = s.c.ValidateGroup(values)
	case meta.ResourceClientMetrics:
		err = config.ValidateClientMetrics(values)
	default:
		err = s.c.ValidateBroker(values, res.Name == "")
	}
	var refused *config.AlterError
	if errors.As(err, &refused) {
		return &controller.Error{Code: refused.Code, Message: refused.Message}
	}
	return err
}

// IsList says that a key holds a list.
func (s configSchema) IsList(resourceType int8, key string) bool {
	k, ok := config.Lookup(scopeOf(resourceType), key)
	return ok && k.Type == config.List
}

// Default is what a key holds where nobody has set it.
func (s configSchema) Default(resourceType int8, key string) (string, bool) {
	k, ok := config.Lookup(scopeOf(resourceType), key)
	if !ok {
		return "", false
	}
	if resourceType != meta.ResourceTopic {
		return k.Default, true
	}
	for _, e := range s.c.DescribeTopic(nil) {
		if e.Name == key && e.Value != nil {
			return *e.Value, true
		}
	}
	return "", true
}

// EffectiveTopic is every setting of a topic, for the answer to CreateTopics.
func (s configSchema) EffectiveTopic(topic, clusterDefaults map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	c, _ := s.c.WithDynamic(clusterDefaults, nil)
	var out []kmsg.CreateTopicsResponseTopicConfig
	for _, e := range c.DescribeTopic(topic) {
		o := kmsg.NewCreateTopicsResponseTopicConfig()
		o.Name, o.Value, o.ReadOnly, o.Source, o.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		out = append(out, o)
	}
	return out
}
