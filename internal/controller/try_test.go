package controller

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker forwards CreateTopics, the answer is lost, and it sends the request again: the second sending is told what the first has
// made, and nobody else is.
func TestACreationThatIsSentTwiceFindsItsOwnTopic(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	create := func(try Try) (kmsg.CreateTopicsResponseTopic, int) {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = req.MaxVersion()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "colours", 3, 1
		req.Topics = append(req.Topics, topic)
		a, ok := c.s.Handle(Call{Now: c.now, NextOffset: c.next, Try: try}, req)
		if !ok {
			t.Fatal("not served")
		}
		c.apply(a.Records)
		return a.Response.(*kmsg.CreateTopicsResponse).Topics[0], len(a.Records)
	}
	mine, other := [16]byte{1}, [16]byte{2}
	made, records := create(Try{mine, 1})
	if made.ErrorCode != 0 || records == 0 {
		t.Fatalf("%+v", made)
	}
	again, records := create(Try{mine, 2})
	if again.ErrorCode != 0 || again.TopicID != made.TopicID || again.NumPartitions != 3 || again.ReplicationFactor != 1 || records != 0 {
		t.Fatalf("%d records, %+v", records, again)
	}
	for _, try := range []Try{{other, 1}, {other, 2}, {}, {mine, 1}} {
		if got, _ := create(try); got.ErrorCode != kerr.TopicAlreadyExists.Code {
			t.Fatalf("%+v: %+v", try, got)
		}
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.Version = del.MaxVersion()
	gone := kmsg.NewDeleteTopicsRequestTopic()
	gone.TopicID = made.TopicID
	del.Topics = append(del.Topics, gone)
	ask[*kmsg.DeleteTopicsResponse](c, del)
	if anew, _ := create(Try{mine, 3}); anew.ErrorCode != 0 || anew.TopicID == made.TopicID {
		t.Fatalf("a topic that was deleted is back under its old id: %+v", anew)
	}
}

// A broker forwards a deletion or a growth, and again: the second sending finds done what the first was asked, and does not touch a
// topic that somebody has created since.
func TestADeletionAndAGrowthThatAreSentTwice(t *testing.T) {
	c := newCluster(t)
	c.start(1)
	c.mustCreate("colours 1 1", "shapes 1 1")
	first, again, other := Try{[16]byte{1}, 1}, Try{[16]byte{1}, 2}, Try{[16]byte{2}, 1}
	handle := func(try Try, req kmsg.Request) kmsg.Response {
		a, ok := c.s.Handle(Call{Now: c.now, NextOffset: c.next, Try: try}, req)
		if !ok {
			t.Fatal("not served")
		}
		c.apply(a.Records)
		return a.Response
	}
	grow := func(try Try, count int32) int16 {
		req := kmsg.NewPtrCreatePartitionsRequest()
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = "colours", count
		req.Topics = append(req.Topics, topic)
		return handle(try, req).(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode
	}
	remove := func(try Try, name string, id, expected meta.UUID) int16 {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = req.MaxVersion()
		topic := kmsg.NewDeleteTopicsRequestTopic()
		if topic.TopicID = id; name != "" {
			topic.Topic = &name
			ExpectTopic(&topic, expected)
		}
		req.Topics = append(req.Topics, topic)
		return handle(try, req).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode
	}
	colours, shapes, none := c.s.Image().Topic("colours").ID, c.s.Image().Topic("shapes").ID, meta.UUID{}
	stale := meta.UUID{7}
	for i, step := range []struct{ got, want int16 }{
		{grow(first, 3), 0},
		{grow(again, 3), 0},
		{grow(other, 3), kerr.InvalidPartitions.Code},
		{grow(again, 2), kerr.InvalidPartitions.Code},
		{remove(first, "colours", none, stale), 0}, // the broker knew an older one: the user means the one that there is
		{remove(again, "colours", none, stale), 0},
		{remove(other, "colours", none, colours), kerr.UnknownTopicOrPartition.Code},
		{remove(first, "", shapes, none), 0},
		{remove(again, "", shapes, none), 0},
		{remove(other, "", shapes, none), kerr.UnknownTopicID.Code},
	} {
		if step.got != step.want {
			t.Errorf("step %d: %d, want %d", i, step.got, step.want)
		}
	}
	c.mustCreate("colours 1 1")
	if got := remove(again, "colours", none, colours); got != kerr.InconsistentTopicID.Code || c.s.Image().Topic("colours") == nil {
		t.Errorf("a deletion that comes late has deleted the topic that was created since: %d", got)
	}
}
