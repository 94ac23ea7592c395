// Seekback processes a record that fails at first: the consumer goes back to it instead of losing it.
package main

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	topic := tutorial.Topic(ctx, "seekback", 1, 6)
	group := topic + "-group"
	cl := tutorial.Client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()

	tries := map[int64]int{}
	process := func(r *kgo.Record) error {
		if tries[r.Offset]++; r.Offset == 3 && tries[r.Offset] < 3 {
			return errors.New("the database is away")
		}
		return nil
	}
	for done := 0; done < 6; {
		for _, r := range tutorial.Poll(ctx, cl, 10) {
			if err := process(r); err != nil {
				fmt.Printf("offset %d failed (%v): back to it\n", r.Offset, err)
				// The next poll begins again at the record that failed. The rest of this poll is left: it would be out of order.
				cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {r.Partition: {Epoch: r.LeaderEpoch, Offset: r.Offset}}})
				break
			}
			tutorial.Must(cl.CommitRecords(ctx, r))
			done++
			fmt.Printf("offset %d is done after %d time(s)\n", r.Offset, tries[r.Offset])
		}
	}
	tutorial.Expect(tries[3] == 3, "offset 3 was tried %d times", tries[3])
	tutorial.Expect(tutorial.Committed(ctx, group, topic, 0) == 6, "not everything is committed")
}
