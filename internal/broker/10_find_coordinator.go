package broker

import (
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of coordinator.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
	shareCoordinator       = 2
)

// firstShareVersion is the first version that knows share coordinators (KIP-932).
const firstShareVersion = 6

// isSharePartitionKey says whether a key names a partition of a share group: group:topicId:partition.
func isSharePartitionKey(key string) bool {
	parts := strings.Split(key, ":")
	if len(parts) != 3 || parts[0] == "" {
		return false
	}
	_, idErr := meta.ParseUUID(parts[1])
	_, numErr := strconv.ParseInt(parts[2], 10, 32)
	return idErr == nil && numErr == nil
}

// findCoordinator names the broker that coordinates a group or a transactional id. v0-6, several keys
// from 4 (KIP-699). Share groups have no coordinator here yet, and are told so with
// UNSUPPORTED_VERSION, which clients do not retry.
func (b *Broker) findCoordinator(r *server.Request) {
	req := r.Body.(*kmsg.FindCoordinatorRequest)
	keys := req.CoordinatorKeys
	if r.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	if topic := b.missingTopic(r, req.CoordinatorType, keys); topic != "" {
		go func() { // creating the topic waits for the controller
			b.autoCreate(r, []string{topic})
			r.Reply(b.coordinators(r, req, keys))
		}()
		return
	}
	r.Reply(b.coordinators(r, req, keys))
}

// missingTopic is the topic that must be created before a coordinator can be named; "" when it is
// there, and when who asks may not know of any of the keys.
func (b *Broker) missingTopic(r *server.Request, kind int8, keys []string) string {
	topic, resource := offsetsTopic, security.ResourceGroup
	switch kind {
	case groupCoordinator:
	case transactionCoordinator:
		topic, resource = transactionsTopic, security.ResourceTransactionalID
	default:
		return ""
	}
	if b.Image().Topic(topic) != nil {
		return ""
	}
	for _, k := range keys {
		if b.allowedQuietly(r, security.OperationDescribe, resource, k) {
			return topic
		}
	}
	return ""
}

func (b *Broker) coordinators(r *server.Request, req *kmsg.FindCoordinatorRequest, keys []string) *kmsg.FindCoordinatorResponse {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	resp.NodeID, resp.Port = -1, -1
	for _, key := range keys {
		c := b.coordinator(r, req.CoordinatorType, key)
		if r.Version < 4 {
			if c.ErrorCode == 0 {
				c.ErrorMessage = text("NONE") // the name of error 0, which is what these versions say
			}
			resp.ErrorCode, resp.ErrorMessage = c.ErrorCode, c.ErrorMessage
			resp.NodeID, resp.Host, resp.Port = c.NodeID, c.Host, c.Port
			return resp
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}

func (b *Broker) coordinator(r *server.Request, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port, c.ErrorMessage = key, -1, -1, new(string)
	fail := func(e *kerr.Error, why string) kmsg.FindCoordinatorResponseCoordinator {
		if why == "" {
			why = e.Description
		}
		c.ErrorCode, c.ErrorMessage = e.Code, &why
		return c
	}
	topic, partition, exists := offsetsTopic, int32(0), false
	switch kind {
	case groupCoordinator:
		if !b.allowedGroup(r, security.OperationDescribe, key) {
			return fail(kerr.GroupAuthorizationFailed, "")
		}
		partition, exists = b.groups.PartitionFor(key)
	case transactionCoordinator:
		if !b.allowed(r, security.OperationDescribe, security.ResourceTransactionalID, key) {
			return fail(kerr.TransactionalIDAuthorizationFailed, "")
		}
		topic = transactionsTopic
		partition, exists = b.txns.PartitionFor(key)
	case shareCoordinator:
		if r.Version < firstShareVersion || !isSharePartitionKey(key) {
			return fail(kerr.InvalidRequest, "the key of a share partition is group:topicId:partition, from version 6 on")
		}
		return fail(kerr.UnsupportedVersion, "this broker does not serve share groups yet")
	default:
		return fail(kerr.InvalidRequest, "no such kind of coordinator")
	}
	p := b.Image().Partition(topic, partition)
	if !exists || p == nil || p.Leader < 0 {
		return fail(kerr.CoordinatorNotAvailable, "")
	}
	e, ok := b.endpoint(p.Leader, r.Conn.Listener())
	if !ok {
		return fail(kerr.CoordinatorNotAvailable, "")
	}
	c.NodeID, c.Host, c.Port = p.Leader, e.host, e.port
	return c
}
