//go:build realkafka

package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// cleaner removes from a cluster what sections have left there. What the node does not serve cannot have been left.
type cleaner struct {
	w      *world
	ctx    context.Context
	cl     *kgo.Client
	served map[int16]bool
	found  []string
	first  *atFirst
}

// atFirst is what a cluster was before its first section.
type atFirst struct {
	brokers  map[string]map[string]string // configs that are not from files, by node, "" of all nodes
	loggers  map[string]map[string]string // levels, by node
	topics   map[string]map[string]string // configs of the cluster's own topics
	features map[string]int16
}

// firsts are what clusters were when they were looked at first, by their worlds.
var firsts sync.Map

func firstOf(w *world, c *cleaner) *atFirst {
	if first, known := firsts.Load(w); known {
		return first.(*atFirst)
	}
	first := c.atFirst()
	firsts.Store(w, first)
	return first
}

// cleanAll removes all that earlier sections left, and returns when nothing of it is seen any more.
func (w *world) cleanAll() {
	w.endBackground()
	c, done := w.newCleaner()
	defer done()
	c.first = firstOf(w, c)
	for {
		if c.found = nil; c.ctx.Err() == nil {
			c.pass()
		}
		if len(c.found) == 0 && c.ctx.Err() == nil {
			break
		}
		select {
		case <-c.ctx.Done():
			w.t.Fatalf("cannot be removed: %s", strings.Join(c.found, ", "))
		case <-time.After(50 * time.Millisecond):
		}
	}
	if now := c.features(); !maps.Equal(now, c.first.features) {
		w.t.Errorf("an earlier section has changed features, it needs a cluster of its own: %v, first %v", now, c.first.features)
	}
}

func (w *world) newCleaner() (c *cleaner, done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(w.bootstrap, ",")...))
	if err != nil {
		w.t.Fatal(err)
	}
	c = &cleaner{w: w, ctx: ctx, cl: cl, served: map[int16]bool{}}
	for _, k := range ask[*kmsg.ApiVersionsResponse](c, kmsg.NewPtrApiVersionsRequest()).ApiKeys {
		c.served[k.ApiKey] = true
	}
	return c, func() { cl.Close(); cancel() }
}

func ask[R kmsg.Response](c *cleaner, req kmsg.Request) R {
	c.w.t.Helper()
	resp, err := c.cl.Request(c.ctx, req)
	if err != nil {
		c.w.t.Fatalf("cleaning, %s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp.(R)
}

func (c *cleaner) pass() {
	for _, s := range []struct {
		lists kmsg.Key
		clean func()
	}{
		{kmsg.ListPartitionReassignments, c.reassignments},
		{kmsg.ListTransactions, c.transactions},
		{kmsg.ListGroups, c.groups},
		{kmsg.Metadata, c.madeTopics},
		{kmsg.DescribeACLs, c.acls},
		{kmsg.DescribeClientQuotas, c.quotas},
		{kmsg.DescribeUserSCRAMCredentials, c.credentials},
		{kmsg.ListConfigResources, c.configsOfNames},
		{kmsg.DescribeConfigs, c.configsOfNodes},
		{kmsg.DescribeDelegationToken, c.tokens},
	} {
		if c.served[int16(s.lists)] {
			s.clean()
		}
	}
}

// has notes what is still there, and is to go.
func (c *cleaner) has(kind, name string) { c.found = append(c.found, kind+" "+name) }

func (c *cleaner) reassignments() {
	listed := ask[*kmsg.ListPartitionReassignmentsResponse](c, kmsg.NewPtrListPartitionReassignmentsRequest())
	cancel := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	for _, topic := range listed.Topics {
		c.has("reassignment of", topic.Topic)
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic = topic.Topic
		for _, partition := range topic.Partitions {
			p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			p.Partition = partition.Partition
			t.Partitions = append(t.Partitions, p)
		}
		cancel.Topics = append(cancel.Topics, t)
	}
	if len(cancel.Topics) > 0 {
		ask[*kmsg.AlterPartitionAssignmentsResponse](c, cancel)
	}
}

// transactions ends those that are open, by a new epoch of the producer's.
func (c *cleaner) transactions() {
	listed := ask[*kmsg.ListTransactionsResponse](c, kmsg.NewPtrListTransactionsRequest())
	for _, tx := range listed.TransactionStates {
		if !slices.Contains([]string{"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"}, tx.TransactionState) {
			continue
		}
		c.has("transaction", tx.TransactionalID)
		fence := kmsg.NewPtrInitProducerIDRequest()
		fence.TransactionalID, fence.TransactionTimeoutMillis = &tx.TransactionalID, 1000
		ask[*kmsg.InitProducerIDResponse](c, fence)
	}
}

// topics are the cluster's own, or those that sections made.
func (c *cleaner) topics(internal bool) []string {
	all := kmsg.NewPtrMetadataRequest()
	all.Topics = nil
	var out []string
	for _, t := range ask[*kmsg.MetadataResponse](c, all).Topics {
		if (t.IsInternal || *t.Topic == "__share_group_state") == internal {
			out = append(out, *t.Topic)
		}
	}
	return out
}

func (c *cleaner) madeTopics() {
	names := c.topics(false)
	if len(names) == 0 {
		return
	}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TimeoutMillis, remove.TopicNames = 10_000, names
	for _, name := range names {
		c.has("topic", name)
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		remove.Topics = append(remove.Topics, t)
	}
	ask[*kmsg.DeleteTopicsResponse](c, remove)
}

func (c *cleaner) acls() {
	list := kmsg.NewPtrDescribeACLsRequest()
	list.ResourceType, list.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	list.Operation, list.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	for _, r := range ask[*kmsg.DescribeACLsResponse](c, list).Resources {
		c.has("ACLs of", r.ResourceName)
	}
	every := kmsg.NewDeleteACLsRequestFilter()
	every.ResourceType, every.ResourcePatternType = list.ResourceType, list.ResourcePatternType
	every.Operation, every.PermissionType = list.Operation, list.PermissionType
	remove := kmsg.NewPtrDeleteACLsRequest()
	remove.Filters = append(remove.Filters, every)
	ask[*kmsg.DeleteACLsResponse](c, remove)
}

func (c *cleaner) quotas() {
	remove := kmsg.NewPtrAlterClientQuotasRequest()
	for _, entry := range ask[*kmsg.DescribeClientQuotasResponse](c, kmsg.NewPtrDescribeClientQuotasRequest()).Entries {
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for _, part := range entry.Entity {
			p := kmsg.NewAlterClientQuotasRequestEntryEntity()
			p.Type, p.Name = part.Type, part.Name
			e.Entity = append(e.Entity, p)
		}
		for _, v := range entry.Values {
			c.has("quota", v.Key)
			op := kmsg.NewAlterClientQuotasRequestEntryOp()
			op.Key, op.Remove = v.Key, true
			e.Ops = append(e.Ops, op)
		}
		remove.Entries = append(remove.Entries, e)
	}
	if len(remove.Entries) > 0 {
		ask[*kmsg.AlterClientQuotasResponse](c, remove)
	}
}

func (c *cleaner) credentials() {
	list := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	list.Users = nil
	remove := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, user := range ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, list).Results {
		for _, credential := range user.CredentialInfos {
			c.has("credential of", user.User)
			d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
			d.Name, d.Mechanism = user.User, credential.Mechanism
			remove.Deletions = append(remove.Deletions, d)
		}
	}
	if len(remove.Deletions) > 0 {
		ask[*kmsg.AlterUserSCRAMCredentialsResponse](c, remove)
	}
}

// tokens has each user who can log in expire his own: nobody else may.
func (c *cleaner) tokens() {
	if c.w.sasl == noSASL || c.w.nodes > 1 {
		return
	}
	for _, user := range []string{"alice", "bob", "admin"} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.w.sasl), kgo.SASL(plain.Auth{User: user, Pass: user + "-secret"}.AsMechanism()))
		if err != nil {
			c.w.t.Fatal(err)
		}
		u := &cleaner{w: c.w, ctx: c.ctx, cl: cl}
		list := kmsg.NewPtrDescribeDelegationTokenRequest()
		list.Owners = nil
		for _, token := range ask[*kmsg.DescribeDelegationTokenResponse](u, list).TokenDetails {
			if token.PrincipalName != user {
				continue
			}
			c.has("token of", user)
			expire := kmsg.NewPtrExpireDelegationTokenRequest()
			expire.HMAC, expire.ExpiryPeriodMillis = token.HMAC, -1
			ask[*kmsg.ExpireDelegationTokenResponse](u, expire)
		}
		cl.Close()
	}
}

func (c *cleaner) features() map[string]int16 {
	out := map[string]int16{}
	for _, f := range ask[*kmsg.ApiVersionsResponse](c, kmsg.NewPtrApiVersionsRequest()).FinalizedFeatures {
		out[f.Name] = f.MaxVersionLevel
	}
	return out
}

// groups deletes groups, whose members may still be there as nobody told that they have ended.
func (c *cleaner) groups() {
	remove := kmsg.NewPtrDeleteGroupsRequest()
	for _, g := range ask[*kmsg.ListGroupsResponse](c, kmsg.NewPtrListGroupsRequest()).Groups {
		if g.GroupState == "Dead" {
			continue
		}
		c.has("group", g.Group)
		if g.GroupState != "Empty" {
			c.expelMembers(g.GroupType, g.Group)
		}
		remove.Groups = append(remove.Groups, g.Group)
	}
	if len(remove.Groups) > 0 {
		resp, err := c.cl.Request(c.ctx, remove)
		if err == nil {
			for _, g := range resp.(*kmsg.DeleteGroupsResponse).Groups {
				if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
					c.has("still", g.Group+": "+err.Error())
				}
			}
		}
	}
}
