package broker

import (
	"os"
	"testing"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The answer is bytes with file ranges between them; put together it must read as
// the response of its version.
func TestFetchAnswerReadsBackAtEveryVersion(t *testing.T) {
	file := fileWith(t, []byte("....records of a.records of b"))
	a, b := [16]byte{1}, [16]byte{2}
	for version := int16(4); version <= 18; version++ {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(version)
		req.IsolationLevel = 1
		keys := []fetchKey{keyOf(version, "a", a, 0), keyOf(version, "a", a, 1), keyOf(version, "b", b, 7), keyOf(version, "a", a, 2)}
		f := &fetching{b: &Broker{}, r: &server.Request{Version: version}, req: req, ctx: fetchContext{keys: keys}, parts: []replica.FetchPart{
			{TP: storage.TopicPartition{Topic: "a"}, HighWatermark: 10, LastStableOffset: 9, LogStartOffset: 3,
				Slice: &storage.Slice{File: file, Pos: 4, Len: 12}, Aborted: []storage.AbortedTxn{{ProducerID: 77, FirstOffset: 5}}},
			{TP: storage.TopicPartition{Topic: "a", Partition: 1}, HighWatermark: -1, Err: kerr.TopicAuthorizationFailed},
			{TP: storage.TopicPartition{Topic: "b", Partition: 7}, HighWatermark: 1 << 40, Slice: &storage.Slice{File: file, Pos: 17, Len: 12}},
			{TP: storage.TopicPartition{Topic: "a", Partition: 2}, HighWatermark: 8, Diverging: &storage.EpochEndOffset{Epoch: 4, EndOffset: 6}},
		}}
		answer := f.newAnswer(1) // it grows
		answer.resp.SessionID = 1234
		for i := range f.parts {
			answer.add(i)
		}
		got := kmsg.NewPtrFetchResponse()
		got.SetVersion(version)
		if err := got.ReadFrom(flatten(t, answer.parts())); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if len(got.Topics) != 3 || len(got.Topics[0].Partitions) != 2 || len(got.Topics[1].Partitions) != 1 {
			t.Fatalf("version %d: topics %+v", version, got.Topics)
		}
		first, refused, other, last := got.Topics[0].Partitions[0], got.Topics[0].Partitions[1], got.Topics[1].Partitions[0], got.Topics[2].Partitions[0]
		if string(first.RecordBatches) != "records of a" || first.HighWatermark != 10 || first.LastStableOffset != 9 ||
			len(first.AbortedTransactions) != 1 || first.AbortedTransactions[0].ProducerID != 77 {
			t.Fatalf("version %d: %+v", version, first)
		}
		if refused.ErrorCode != kerr.TopicAuthorizationFailed.Code || len(refused.RecordBatches) != 0 {
			t.Fatalf("version %d: %+v", version, refused)
		}
		if string(other.RecordBatches) != "records of b" || other.Partition != 7 {
			t.Fatalf("version %d: %+v", version, other)
		}
		if d := last.DivergingEpoch; version >= 12 && (d.Epoch != 4 || d.EndOffset != 6) {
			t.Fatalf("version %d: %+v", version, d)
		}
		if version >= 7 && got.SessionID != 1234 {
			t.Fatalf("version %d: session %d", version, got.SessionID)
		}
	}
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
