package quorum

import (
	"slices"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"go.etcd.io/raft/v3/raftpb"
)

func FuzzParseWAL(f *testing.F) {
	body := appendHard(appendBase(nil, base{index: 3, term: 2, endOffset: 10, voters: []uint64{1, 2}}), hardState{term: 2, vote: 1, commit: 3})
	entry := &raftpb.Entry{Term: new(uint64(2)), Index: new(uint64(4)), Data: []byte("batch")}
	whole := append(frame(1, body), frame(2, appendEntry(nil, entry))...)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		st, good, _, err := parseWAL(data)
		if err != nil {
			return
		}
		if good < 0 || good > int64(len(data)) {
			t.Fatalf("good up to %d of %d", good, len(data))
		}
		again, _, _, err := parseWAL(data[:good]) // what is kept after a torn end was cut reads the same
		if err != nil || len(again.entries) != len(st.entries) || again.hard != st.hard || again.base.index != st.base.index {
			t.Fatalf("after the cut %+v, before %+v: %v", again, st, err)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	f.Add(encodeCheckpoint(slices.Values(meta.BootstrapRecords()), meta.LatestMetadataVersion, 1, kraftState{}, 1, 1))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _, _ = loadSnapshot(data, SnapshotID{10, 1}) // an image or an error, never a panic
	})
}
