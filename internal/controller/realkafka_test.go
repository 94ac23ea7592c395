//go:build realkafka

package controller

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The same requests go to Apache Kafka and to this package; codes and sentences must be the same.
func TestAnswersAreKafkasOwn(t *testing.T) {
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	dir := t.TempDir()
	if out, err := exec.Command(script, "start", dir, "1", "29792").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() { _ = exec.Command(script, "stop", dir).Run() }()
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:29792"), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	c := newCluster(t)
	c.start(1)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, x := range questions() {
		ours := flat(ask[kmsg.Response](c, x.req))
		resp, err := cl.Request(ctx, x.req)
		if err != nil {
			t.Errorf("%s: Kafka: %v", x.name, err)
			continue
		}
		if theirs := flat(resp); theirs != ours {
			t.Errorf("%s\n  ours   %s\n  Kafka  %s", x.name, ours, theirs)
		}
	}
}

type question struct {
	name string
	req  kmsg.Request
}

func flat(r kmsg.Response) string {
	var out string
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			if f := v.FieldByName("ErrorCode"); f.IsValid() {
				m := "-"
				if g := v.FieldByName("ErrorMessage"); g.IsValid() && !g.IsNil() {
					m = g.Elem().String()
				}
				out += fmt.Sprintf("[%d %s]", f.Int(), m)
			}
			for i := range v.NumField() {
				if k := v.Field(i).Kind(); k == reflect.Slice || k == reflect.Struct {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(r))
	return out
}

func questions() []question {
	var out []question
	add := func(name string, req kmsg.Request) {
		out = append(out, question{name, req})
	}
	for _, spec := range []string{
		"there 1 1", "with.dot 1 1", "there 1 1", "with_dot 1 1", "bad! 1 1", "many 1 4", "none 0 1", "norf 1 0", "huge 10001 1", "stranger 7,", "twice 1,1",
		"uneven 1, 1,2", "both 2 1,", "__cluster_metadata 1 1", "defaults", "neg -5 1", "negrf 1 -5",
	} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		req.Topics = append(req.Topics, topic(spec))
		add("create "+spec, req)
	}
	dup := kmsg.NewPtrCreateTopicsRequest()
	dup.Version = 7
	dup.Topics = append(dup.Topics, topic("d 1 1"), topic("d 1 1"))
	add("create twice", dup)
	null := kmsg.NewPtrCreateTopicsRequest()
	null.Version = 7
	nt := topic("n 1 1 retention.ms=1")
	nt.Configs[0].Value = nil
	null.Topics = append(null.Topics, nt)
	add("create with a null config", null)
	for _, g := range []struct {
		name  string
		count int32
		as    [][]int32
	}{{"there", 1, nil}, {"there", 0, nil}, {"no", 2, nil}, {"there", 3, [][]int32{{1}}}, {"there", 2, [][]int32{{7}}}, {"there", 2, [][]int32{{1, 1}}}, {"there", 2, [][]int32{}}} {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.Version = 3
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = g.name, g.count
		for _, a := range g.as {
			ra := kmsg.NewCreatePartitionsRequestTopicAssignment()
			ra.Replicas = a
			rt.Assignment = append(rt.Assignment, ra)
		}
		req.Topics = append(req.Topics, rt)
		add(fmt.Sprint("grow ", g), req)
	}
	const set, del, app = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend
	for _, a := range []struct {
		typ   int8
		name  string
		op    kmsg.IncrementalAlterConfigOp
		key   string
		value *string
	}{
		{2, "there", set, "retention.ms", ptr("5")}, {2, "there", set, "retention.ms", nil}, {2, "none", set, "retention.ms", ptr("5")}, {2, "", set, "retention.ms", ptr("5")},
		{4, "one", set, "log.cleaner.threads", ptr("1")}, {32, "", set, "consumer.session.timeout.ms", ptr("50000")},
		{16, "", set, "interval.ms", ptr("1000")}, {4, "", del, minInsyncReplicas, nil}, {4, "1", set, minInsyncReplicas, ptr("2")}, {4, "", set, minInsyncReplicas, ptr("1")},
		{2, "there", app, "cleanup.policy", ptr("compact")}, {2, "there", del, "nothing.set", nil},
	} {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Version = 1
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(a.typ), a.name
		kv := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		kv.Name, kv.Op, kv.Value = a.key, a.op, a.value
		r.Configs = append(r.Configs, kv)
		req.Resources = append(req.Resources, r)
		add(fmt.Sprint("alter ", a.typ, " ", a.name, " ", a.op, " ", a.key), req)
	}
	for _, e := range []struct {
		kind int8
		t    string
		p    int32
	}{{0, "there", 0}, {1, "there", 0}, {0, "nosuch", 0}, {0, "with.dot", 9}, {7, "there", 0}} {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Version, req.ElectionType = 2, e.kind
		et := kmsg.NewElectLeadersRequestTopic()
		et.Topic, et.Partitions = e.t, []int32{e.p}
		req.Topics = append(req.Topics, et)
		add(fmt.Sprint("elect ", e), req)
	}
	for _, q := range []struct {
		key    string
		value  float64
		entity []string
	}{
		{"producer_byte_rate", 1024, []string{"user", "a"}}, {"producer_byte_rate", -1, []string{"user", "a"}}, {"producer_byte_rate", 9.5, []string{"user", "a"}},
		{"nothing", 1, []string{"user", "a"}}, {"producer_byte_rate", 1, []string{"planet", "a"}}, {"connection_creation_rate", 1, []string{"ip", "ten.invalid"}}, {"producer_byte_rate", 1, nil},
		{"connection_creation_rate", 1, []string{"ip", "1.2.3.4", "user", "a"}}, {"producer_byte_rate", 1, []string{"user", ""}},
		{"producer_byte_rate", 1, []string{"ip", "1.2.3.4"}}, {"connection_creation_rate", 1, []string{"user", "a"}},
	} {
		req := kmsg.NewPtrAlterClientQuotasRequest()
		req.Version = 1
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for i := 0; i < len(q.entity); i += 2 {
			part := kmsg.NewAlterClientQuotasRequestEntryEntity()
			part.Type, part.Name = q.entity[i], &q.entity[i+1]
			e.Entity = append(e.Entity, part)
		}
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Value = q.key, q.value
		e.Ops = append(e.Ops, op)
		req.Entries = append(req.Entries, e)
		add(fmt.Sprint("quota ", q), req)
	}
	for _, u := range []struct {
		name  string
		level int16
		way   int8
	}{{"no.such", 1, 1}, {meta.FeatureMetadataVersion, 25, 2}, {meta.FeatureMetadataVersion, 25, 3}, {meta.FeatureMetadataVersion, 25, 1}, {meta.FeatureMetadataVersion, 99, 1}, {meta.FeatureELR, 0, 1}, {meta.FeatureELR, -1, 1}, {meta.FeatureELR, 1, 9}, {meta.FeatureMetadataVersion, 30, 1}, {meta.FeatureMetadataVersion, 0, 2}} {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version = 2
		f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		f.Feature, f.MaxVersionLevel, f.UpgradeType = u.name, u.level, u.way
		req.FeatureUpdates = append(req.FeatureUpdates, f)
		add(fmt.Sprint("feature ", u), req)
	}
	un := kmsg.NewPtrUnregisterBrokerRequest()
	un.BrokerID = 44
	add("unregister 44", un)
	id := meta.UUID{1}
	for _, d := range []struct {
		name *string
		id   meta.UUID
	}{{ptr("none"), meta.UUID{}}, {nil, id}, {ptr("there"), id}, {nil, meta.UUID{}}, {ptr("there"), meta.UUID{}}} {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = 6
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic, rt.TopicID = d.name, d.id
		req.Topics = append(req.Topics, rt)
		add(fmt.Sprint("delete ", d.name != nil, d.id), req)
	}
	return out
}
