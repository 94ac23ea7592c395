package cli

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// known is what a broker tells of partitions of topic t: by partition the leader and its epoch.
func known(topic string, leaders ...[2]int32) *kmsg.MetadataResponse {
	md := kmsg.NewPtrMetadataResponse()
	t := kmsg.NewMetadataResponseTopic()
	t.Topic = &topic
	for i, l := range leaders {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = int32(i), l[0], l[1]
		t.Partitions = append(t.Partitions, p)
	}
	md.Topics = append(md.Topics, t)
	return md
}

// A broker that is behind is asked first: drain must not take it at its word that a node leads nothing.
func TestTheNewestWordOfSeveralBrokersCounts(t *testing.T) {
	behind := known("old", [2]int32{1, 4}, [2]int32{2, 1})
	ahead := known("old", [2]int32{3, 5}, [2]int32{2, 1})
	ahead.Topics = append(ahead.Topics, known("new", [2]int32{3, 0}).Topics...)
	refused := known("gone", [2]int32{3, 9})
	refused.Topics[0].ErrorCode = 3
	for _, all := range [][]*kmsg.MetadataResponse{{behind, ahead, refused}, {refused, ahead, behind}} {
		var got []int32
		md := newestOf(all)
		for _, topic := range md.Topics {
			for _, p := range topic.Partitions {
				got = append(got, p.Leader)
			}
		}
		if len(md.Topics) != 2 || !slices.Equal(got, []int32{3, 2, 3}) {
			t.Errorf("%d topics, leaders %v", len(md.Topics), got)
		}
	}
	if len(behind.Topics[0].Partitions) != 2 || behind.Topics[0].Partitions[0].Leader != 1 {
		t.Error("an answer was changed")
	}
}
