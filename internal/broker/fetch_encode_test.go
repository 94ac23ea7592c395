package broker

import (
	"bytes"
	"os"
	"testing"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The hand-written Fetch response must read, at every version, as what kmsg
// would have written for the same answer.
func TestFetchResponseReadsBackAtEveryVersion(t *testing.T) {
	file := fileWith(t, []byte("....records of a.records of b"))
	a, b := [16]byte{1}, [16]byte{2}
	for version := int16(4); version <= 18; version++ {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(version)
		req.IsolationLevel = 1
		f := &fetching{
			b: &Broker{}, r: &server.Request{Version: version}, req: req,
			ctx: &fetchContext{keys: []fetchKey{key(version, "a", a, 0), key(version, "a", a, 1), key(version, "b", b, 7), key(version, "a", a, 2)}},
			parts: []replica.FetchPart{
				{TP: storage.TopicPartition{Topic: "a"}, TopicID: a, HighWatermark: 10, LastStableOffset: 9, LogStartOffset: 3,
					Slice: &storage.Slice{File: file, Pos: 4, Len: 12}, Aborted: []storage.AbortedTxn{{ProducerID: 77, FirstOffset: 5}}},
				{TP: storage.TopicPartition{Topic: "a", Partition: 1}, TopicID: a, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
					Err: kerr.TopicAuthorizationFailed},
				{TP: storage.TopicPartition{Topic: "b", Partition: 7}, TopicID: b, HighWatermark: 1 << 40, LastStableOffset: 2, LogStartOffset: 1,
					Slice: &storage.Slice{File: file, Pos: 17, Len: 12}},
				{TP: storage.TopicPartition{Topic: "a", Partition: 2}, TopicID: a, HighWatermark: 8, LastStableOffset: 8, LogStartOffset: 0},
			},
		}
		if version >= 12 {
			f.parts[3].Diverging = &storage.EpochEndOffset{Epoch: 4, EndOffset: 6}
		}
		e := fetchEncoder{version: version}
		e.head(0, 1234)
		e.topics(f, []bool{true, true, true, true})
		got := kmsg.NewPtrFetchResponse()
		got.SetVersion(version)
		body := flatten(t, e.finish())
		if err := got.ReadFrom(body); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if again := got.AppendTo(nil); !bytes.Equal(again, body) {
			t.Fatalf("version %d: written\n%x, kmsg writes\n%x", version, body, again)
		}
		if len(got.Topics) != 3 || len(got.Topics[0].Partitions) != 2 || len(got.Topics[1].Partitions) != 1 {
			t.Fatalf("version %d: topics %+v", version, got.Topics)
		}
		first := got.Topics[0].Partitions[0]
		if string(first.RecordBatches) != "records of a" || first.HighWatermark != 10 || first.LastStableOffset != 9 ||
			len(first.AbortedTransactions) != 1 || first.AbortedTransactions[0].ProducerID != 77 {
			t.Fatalf("version %d: first partition %+v", version, first)
		}
		if got.Topics[0].Partitions[1].ErrorCode != kerr.TopicAuthorizationFailed.Code {
			t.Fatalf("version %d: %+v", version, got.Topics[0].Partitions[1])
		}
		if s := string(got.Topics[1].Partitions[0].RecordBatches); s != "records of b" {
			t.Fatalf("version %d: %q", version, s)
		}
		if version >= 12 {
			if d := got.Topics[2].Partitions[0].DivergingEpoch; d.Epoch != 4 || d.EndOffset != 6 {
				t.Fatalf("version %d: %+v", version, d)
			}
		}
		if version >= 7 && got.SessionID != 1234 {
			t.Fatalf("version %d: session %d", version, got.SessionID)
		}
	}
}

func TestFetchErrorReadsBackAtEveryVersion(t *testing.T) {
	for version := int16(7); version <= 18; version++ {
		e := fetchEncoder{version: version}
		e.head(kerr.FetchSessionIDNotFound.Code, 0)
		e.noTopics()
		got := kmsg.NewPtrFetchResponse()
		got.SetVersion(version)
		body := flatten(t, e.finish())
		if err := got.ReadFrom(body); err != nil || got.ErrorCode != kerr.FetchSessionIDNotFound.Code {
			t.Fatalf("version %d: %v, %+v", version, err, got)
		}
	}
}

func key(version int16, topic string, id [16]byte, partition int32) fetchKey {
	return keyOf(version, topic, id, partition)
}

func fileWith(t *testing.T, data []byte) vfs.File {
	t.Helper()
	f, err := vfs.NewMem().OpenFile("f", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func flatten(t *testing.T, parts []server.Part) []byte {
	t.Helper()
	var all []byte
	for _, p := range parts {
		if p.File == nil {
			all = append(all, p.Bytes...)
			continue
		}
		piece := make([]byte, p.Len)
		if _, err := p.File.ReadAt(piece, p.Pos); err != nil {
			t.Fatal(err)
		}
		all = append(all, piece...)
	}
	return all
}
