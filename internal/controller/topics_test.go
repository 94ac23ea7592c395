package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCreateTopicsSaysWhatKafkaSays(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("there 1 1", "with.dot 1 1")
	for spec, want := range map[string]string{
		"there 1 1":                     "TOPIC_ALREADY_EXISTS: Topic 'there' already exists.",
		"with_dot 1 1":                  "INVALID_TOPIC_EXCEPTION: Topic 'with_dot' collides with existing topic: with.dot",
		"bad! 1 1":                      "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'bad!' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		".. 1 1":                        "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '..' is not allowed",
		strings.Repeat("x", 250):        "INVALID_TOPIC_EXCEPTION: Topic name is invalid: the length of '" + strings.Repeat("x", 250) + "' is longer than the max allowed length 249",
		"many 1 4":                      "INVALID_REPLICATION_FACTOR: Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 3 broker(s) are registered or some brokers have all their log directories cordoned.",
		"none 0 1":                      "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value.",
		"norf 1 0":                      "INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.",
		"huge 10001 1":                  "POLICY_VIOLATION: Excessively large number of partitions per request.",
		"stranger 7,":                   "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 7, but no such broker is registered.",
		"twice 1,1":                     "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.",
		"uneven 1,2 1,":                 "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s).",
		"both 2 1,2":                    "INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1.",
		"__cluster_metadata 1 1":        "INVALID_REQUEST: Creation of internal topic __cluster_metadata is prohibited.",
		"fine 2 3":                      "ok",
		"defaults":                      "ok",
		"manual 1,2 2,3 cleanup=x":      "ok",
		strings.Repeat("y", 249) + " 1": "ok",
	} {
		if got := c.create(true, spec)[0]; got != want {
			t.Errorf("%s\n got %s\nwant %s", spec, got, want)
		}
	}
	if n := c.s.Image().NumTopics(); n != 2 {
		t.Errorf("validate-only created topics: %d", n)
	}
	got := c.create(false, "new 1 1", "there 1 1", "new 1 1", "other 1 1")
	want := []string{"INVALID_REQUEST: Duplicate topic name.", "TOPIC_ALREADY_EXISTS: Topic 'there' already exists.", "ok"}
	if !slices.Equal(got, want) {
		t.Errorf("each topic has its own answer: %q", got)
	}
	if got := c.create(false, "a.b 1 1", "a_b 1 1"); got[0] != "ok" || !strings.Contains(got[1], "collides") {
		t.Errorf("names that collide in one request: %q", got)
	}
}

func TestANewTopicIsWholeInOneStep(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 4 3 a=1 b=2")
	img := c.s.Image()
	tp := img.Topic("t")
	if len(tp.Partitions) != 4 || img.Config(meta.ResourceTopic, "t")["b"] != "2" {
		t.Fatalf("topic %+v", tp)
	}
	leaders := map[int32]int{}
	for _, p := range tp.Partitions {
		leaders[p.Leader]++
		if p.Leader != p.Replicas[0] || !slices.Equal(p.ISR, p.Replicas) || p.LeaderEpoch != 0 || p.PartitionEpoch != 0 || p.Directory(2) != dir(2) {
			t.Errorf("partition %+v", p)
		}
	}
	if len(leaders) != 3 {
		t.Errorf("4 partitions are led by %v", leaders)
	}
}

func TestReplicasSpreadOverRacksAndBrokers(t *testing.T) {
	c := newCluster(t)
	racks := map[int32]string{1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 6: "c"}
	for id := int32(1); id <= 6; id++ {
		r := registration(id, 1)
		rack := racks[id]
		r.Rack = &rack
		ask[*kmsg.BrokerRegistrationResponse](c, r)
		c.beat(id, "")
	}
	c.mustCreate("t 60 3")
	leads, holds := map[int32]int{}, map[int32]int{}
	for _, p := range c.s.Image().Topic("t").Partitions {
		seen := map[string]bool{}
		for _, r := range p.Replicas {
			seen[racks[r]] = true
			holds[r]++
		}
		if len(seen) != 3 {
			t.Fatalf("replicas %v do not stand in three racks", p.Replicas)
		}
		leads[p.Leader]++
	}
	for id := int32(1); id <= 6; id++ {
		if leads[id] != 10 || holds[id] < 25 || holds[id] > 35 {
			t.Errorf("broker %d leads %d and holds %d of 60 partitions with 3 replicas on 6 brokers", id, leads[id], holds[id])
		}
	}
}

func TestAFencedBrokerGetsReplicasOnlyWhenNeededAndNeverLeads(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.beat(3, "fence")
	c.mustCreate("two 10 2", "three 10 3")
	for i := range int32(10) {
		two, three := c.s.Image().Partition("two", i), c.s.Image().Partition("three", i)
		if slices.Contains(two.Replicas, 3) || !sameSet(three.Replicas, []int32{1, 2, 3}) || three.Replicas[2] != 3 || slices.Contains(three.ISR, 3) {
			t.Errorf("replicas %v and %v, in sync %v", two.Replicas, three.Replicas, three.ISR)
		}
	}
	c.beat(1, "fence")
	c.beat(2, "fence")
	if got := c.create(false, "x 1 1")[0]; !strings.Contains(got, "All brokers are currently fenced") {
		t.Errorf("with no active broker: %s", got)
	}
	if got := c.create(false, "x 1,2")[0]; !strings.Contains(got, "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.") {
		t.Errorf("with a fenced assignment: %s", got)
	}
}

func TestCreatePartitions(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 2 2")
	grow := func(name string, count int32, assignment ...[]int32) string {
		req := kmsg.NewPtrCreatePartitionsRequest()
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = name, count
		for _, a := range assignment {
			ra := kmsg.NewCreatePartitionsRequestTopicAssignment()
			ra.Replicas = a
			rt.Assignment = append(rt.Assignment, ra)
		}
		req.Topics = append(req.Topics, rt)
		r := ask[*kmsg.CreatePartitionsResponse](c, req).Topics[0]
		return outcome(r.ErrorCode, r.ErrorMessage)
	}
	for _, step := range []struct {
		got, want string
	}{
		{grow("t", 4), "ok"},
		{grow("t", 4), "INVALID_PARTITIONS: Topic already has 4 partition(s)."},
		{grow("t", 2), "INVALID_PARTITIONS: The topic t currently has 4 partition(s); 2 would not be an increase."},
		{grow("no", 2), "UNKNOWN_TOPIC_OR_PARTITION"},
		{grow("t", 6, []int32{1, 2}), "INVALID_REPLICA_ASSIGNMENT: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."},
		{grow("t", 5, []int32{1}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s)."},
		{grow("t", 5, []int32{3, 1}), "ok"},
		{grow("t", 20_000), "POLICY_VIOLATION: Excessively large number of partitions per request."},
	} {
		if step.got != step.want {
			t.Errorf("got %s, want %s", step.got, step.want)
		}
	}
	if p := c.s.Image().Topic("t").Partitions; len(p) != 5 || p[4].Leader != 3 {
		t.Errorf("%d partitions, the last %+v", len(p), p[len(p)-1])
	}
}

func TestDeleteTopics(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	c.mustCreate("a 1 1", "b 1 1", "c 1 1")
	idOfB := c.s.Image().Topic("b").ID
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	add := func(name *string, id meta.UUID) {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic, rt.TopicID = name, id
		req.Topics = append(req.Topics, rt)
	}
	add(ptr("a"), meta.UUID{})
	add(nil, idOfB)
	add(ptr("c"), idOfB)
	add(nil, meta.UUID{})
	add(ptr("none"), meta.UUID{})
	add(nil, meta.UUID{1})
	var got []string
	for _, r := range ask[*kmsg.DeleteTopicsResponse](c, req).Topics {
		got = append(got, outcome(r.ErrorCode, r.ErrorMessage))
	}
	want := []string{
		"ok", "ok", "INVALID_REQUEST: You may not specify both topic name and topic id.", "INVALID_REQUEST: Neither topic name nor id were specified.",
		"UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.", "UNKNOWN_TOPIC_ID: This server does not host this topic ID.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if c.s.Image().NumTopics() != 1 {
		t.Errorf("%d topics are left", c.s.Image().NumTopics())
	}
	off := newCluster(t, func(cfg *Config) { cfg.DeleteTopicEnable = false })
	off.start(1)
	off.mustCreate("a 1 1")
	old := kmsg.NewPtrDeleteTopicsRequest()
	old.Version, old.TopicNames = 5, []string{"a"}
	if r := ask[*kmsg.DeleteTopicsResponse](off, old).Topics[0]; outcome(r.ErrorCode, r.ErrorMessage) != "TOPIC_DELETION_DISABLED: Topic deletion is disabled." {
		t.Errorf("deletion that is switched off: %d", r.ErrorCode)
	}
}

// strict is a config schema with two keys.
type strict struct{}

func (strict) Validate(res meta.ConfigResource, values map[string]string) error {
	for k, v := range values {
		if k != "list" && k != "word" && k != minInsyncReplicas {
			return errors.New("Unknown topic config name: " + k)
		}
		if v == "readonly" {
			return &Error{42, "Cannot update these configs dynamically: [" + k + "]"}
		}
	}
	return nil
}
func (strict) IsList(_ int8, key string) bool { return key == "list" }
func (strict) Default(_ int8, key string) (string, bool) {
	return map[string]string{"list": "base", "word": "w"}[key], true
}
func (strict) EffectiveTopic(topic, _ map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	out := kmsg.NewCreateTopicsResponseTopicConfig()
	out.Name = "word"
	if v, ok := topic["word"]; ok {
		out.Value = &v
	}
	return []kmsg.CreateTopicsResponseTopicConfig{out}
}

func TestIncrementalAlterConfigs(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.Configs = strict{} })
	c.start(1)
	c.mustCreate("t 1 1")
	const set, del, app, sub = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract
	alter := func(typ int8, name string, op kmsg.IncrementalAlterConfigOp, key string, value *string) string {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(typ), name
		kv := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		kv.Name, kv.Op, kv.Value = key, op, value
		r.Configs = append(r.Configs, kv)
		req.Resources = append(req.Resources, r)
		out := ask[*kmsg.IncrementalAlterConfigsResponse](c, req).Resources[0]
		if out.ErrorCode != 0 {
			return outcome(out.ErrorCode, out.ErrorMessage)
		}
		return c.s.Image().Config(typ, name)[key]
	}
	for i, step := range []struct{ got, want string }{
		{alter(2, "t", set, "word", ptr("x")), "x"},
		{alter(2, "t", app, "list", ptr("one,two")), "base,one,two"},
		{alter(2, "t", app, "list", ptr("two")), "base,one,two"},
		{alter(2, "t", sub, "list", ptr("base,two")), "one"},
		{alter(2, "t", app, "word", ptr("y")), "INVALID_CONFIG: Can't APPEND to key word because its type is not LIST."},
		{alter(2, "t", del, "word", nil), ""},
		{alter(2, "t", set, "word", nil), "INVALID_REQUEST: Null value not supported for : word"},
		{alter(2, "t", set, "nokey", ptr("1")), "INVALID_CONFIG: Unknown topic config name: nokey"},
		{alter(4, "1", set, "word", ptr("readonly")), "INVALID_REQUEST: Cannot update these configs dynamically: [word]"},
		{alter(2, "none", set, "word", ptr("x")), "UNKNOWN_TOPIC_OR_PARTITION: The topic 'none' does not exist."},
		{alter(4, "", set, "word", ptr("x")), "x"},
		{alter(4, "1", set, "word", ptr("x")), "x"},
		{alter(4, "9", set, "word", ptr("x")), "BROKER_ID_NOT_REGISTERED: No broker with id 9 found."},
		{alter(4, "one", set, "word", ptr("x")), "INVALID_REQUEST: Node id must be an integer, but it is: one"},
		{alter(32, "group", set, "word", ptr("x")), "x"},
		{alter(16, "metrics", set, "word", ptr("x")), "x"},
		{alter(8, "1", set, "word", ptr("x")), "INVALID_REQUEST: Unexpected resource type 8."},
		{alter(4, "", del, minInsyncReplicas, nil), "INVALID_CONFIG: Cluster-level min.insync.replicas cannot be removed while ELR is enabled."},
		{alter(4, "1", set, minInsyncReplicas, ptr("2")), "INVALID_CONFIG: Broker-level min.insync.replicas cannot be altered while ELR is enabled."},
	} {
		if step.got != step.want {
			t.Errorf("step %d: got %s, want %s", i, step.got, step.want)
		}
	}
}

func TestAlterConfigsReplacesAll(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	c.mustCreate("t 1 1 a=1 b=2")
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	kv := kmsg.NewAlterConfigsRequestResourceConfig()
	kv.Name, kv.Value = "b", ptr("3")
	r.Configs = append(r.Configs, kv)
	req.Resources = append(req.Resources, r)
	req.ValidateOnly = true
	ask[*kmsg.AlterConfigsResponse](c, req)
	if got := c.s.Image().Config(meta.ResourceTopic, "t"); len(got) != 2 {
		t.Errorf("validate-only changed %v", got)
	}
	req.ValidateOnly = false
	ask[*kmsg.AlterConfigsResponse](c, req)
	if got := c.s.Image().Config(meta.ResourceTopic, "t"); len(got) != 1 || got["b"] != "3" {
		t.Errorf("configs are %v", got)
	}
}
