package quorum

import (
	"maps"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// What topics there are is read off a directory that no node is running on: from the snapshot, the log and Raft's log, also as a kill
// leaves them, and without a trace.
func TestTopicsAreReadOffADirectory(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	if topics, err := TopicIDs(mem, testDir); topics != nil || err != nil {
		t.Fatal(topics, err)
	}
	cfg := testConfig(mem, ids)
	n := startNode(t, cfg)
	registerBroker(t, n, 1)
	for _, name := range []string{"a", "b", "c"} {
		createTopic(t, n, name)
	}
	want := map[[16]byte]string{}
	for _, name := range topicNames(n.Image()) {
		want[n.Image().Topic(name).ID] = name
	}
	left := []*vfs.Mem{mem.KillClone(), mem.CrashClone()}
	closeNode(t, n)
	for i, m := range append(left, mem) {
		before := treeOf(t, m)
		topics, err := TopicIDs(m, testDir)
		if err != nil || !maps.Equal(topics, want) || len(want) != 3 {
			t.Fatal(i, topics, want, err)
		}
		if after := treeOf(t, m); !maps.Equal(after, before) {
			t.Fatal(after, before)
		}
	}
}

// treeOf is the sizes of all files of the metadata directory.
func treeOf(t *testing.T, m *vfs.Mem) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	for _, dir := range []string{testDir, testDir + "/" + logDirName} {
		entries, err := m.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			sizes[dir+"/"+e.Name()] = info.Size()
		}
	}
	return sizes
}
