package quorum

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
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

// Any bytes in any file that the quorum keeps are looked at without a panic; a node's own files are sound.
func FuzzCheckFiles(f *testing.F) {
	names := []string{"/d/bootstrap.checkpoint", "/d/raft.wal", "/d/" + logDirName + "/quorum-state", "/d/" + logDirName + "/00000000000000000010-0000000001.checkpoint"}
	checkpoint := encodeCheckpoint(slices.Values(meta.BootstrapRecords()), meta.LatestMetadataVersion, 1, kraftState{}, 1, 1)
	f.Add(uint8(0), checkpoint)
	f.Add(uint8(1), frame(1, appendBase(nil, base{index: 3, term: 2, endOffset: 10, voters: []uint64{1}})))
	f.Add(uint8(2), []byte(`{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}`))
	f.Add(uint8(3), checkpoint)
	f.Add(uint8(1), []byte{'M', 'Q', 'W', '1', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := vfs.NewMem()
		if err := m.MkdirAll("/d/"+logDirName, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(m, names[int(which)%len(names)], data); err != nil {
			t.Fatal(err)
		}
		CheckFiles(m, "/d", func(string, string) {}, func(string, string) {})
		_, _ = readQuorumEpoch(m, "/d/"+logDirName)
	})
}

// FuzzCheckBatch unpacks what lies in the metadata log.
func FuzzCheckBatch(f *testing.F) {
	f.Add([]byte(record.ControlBatch(record.BuilderOptions{}, 1, record.LeaderChange{LeaderID: 1})))
	b := record.NewBuilder(record.BuilderOptions{})
	for _, r := range meta.BootstrapRecords() {
		b.Append(1, nil, meta.Append(nil, r), nil)
	}
	whole := b.Build()
	f.Add([]byte(whole))
	negative := bytes.Clone(whole)
	binary.BigEndian.PutUint32(negative[57:], 1<<31) // the header tells of -2^31 records
	f.Add(negative)
	f.Fuzz(func(_ *testing.T, data []byte) {
		if b, _, err := record.Next(data); err == nil {
			_ = CheckBatch(b)
		}
	})
}

// Any bytes in any file that topics are read off give topics or an error, and none of the files is changed.
func FuzzTopicIDs(f *testing.F) {
	mem := vfs.NewMem()
	mustMkdir(f, mem)
	n := startNode(f, testConfig(mem, newChance()))
	registerBroker(f, n, 1)
	createTopic(f, n, "a")
	closeNode(f, n)
	log, wal := "/"+logDirName+"/00000000000000000000.log", "/"+WALName
	names := []string{log, wal, "/" + logDirName + "/00000000000000000010-0000000001.checkpoint"}
	for i, name := range names[:2] {
		data, err := vfs.ReadFile(mem, testDir+name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
		f.Add(uint8(i), data[:len(data)*2/3])
	}
	f.Add(uint8(2), encodeCheckpoint(slices.Values(meta.BootstrapRecords()), meta.LatestMetadataVersion, 1, kraftState{}, 1, 1))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := mem.KillClone()
		name := testDir + names[int(which)%len(names)]
		if err := vfs.WriteFileAtomic(m, name, data); err != nil {
			t.Fatal(err)
		}
		topics, err := TopicIDs(m, testDir)
		if err != nil && topics != nil {
			t.Fatal(topics, err)
		}
		if after, err := vfs.ReadFile(m, name); err != nil || !bytes.Equal(after, data) {
			t.Fatal("a file was changed", err)
		}
	})
}
