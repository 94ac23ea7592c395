package controller

import (
	"testing"

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
