package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
)

// The offsets topic is compacted while a group commits, and a restarted coordinator finds the last commit of each partition.
func TestOffsetsAreFoundInACompactedTopic(t *testing.T) {
	const partitions, commits = 20, 40
	overrides := []string{"offsets.topic.num.partitions=1", "offsets.topic.segment.bytes=1048576", "log.cleaner.backoff.ms=50"}
	fs := vfs.NewMem()
	r := start(t, fs, overrides...)
	r.create("t", partitions)
	adm := kadm.NewClient(r.client())
	note := strings.Repeat("n", 4000) // as much as a commit may carry
	for i := range commits {
		offsets := kadm.Offsets{}
		for p := range int32(partitions) {
			offsets.Add(kadm.Offset{Topic: "t", Partition: p, At: int64(i), LeaderEpoch: -1, Metadata: fmt.Sprint(i, " ", note[10:])})
		}
		if err := adm.CommitAllOffsets(context.Background(), "g", offsets); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for r.node.logs.CleanerMetrics().RecopyPercent == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the offsets topic is not compacted")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, fs, overrides...)
	got, err := kadm.NewClient(r.client()).FetchOffsets(context.Background(), "g")
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(partitions) {
		o, ok := got.Lookup("t", p)
		if !ok || o.At != commits-1 || !strings.HasPrefix(o.Metadata, fmt.Sprint(commits-1, " ")) {
			t.Errorf("partition %d: %v %d", p, ok, o.At)
		}
	}
}
