package storage

import (
	"testing"
)

// A torn topic id costs a log nothing that an orderly stop has listed: it is noted again, by a repair as by a node.
func TestATornTopicIDIsNotedAgain(t *testing.T) {
	for _, repair := range []bool{true, false} {
		m := leftInOrder(t)
		name := "/d/t-0/" + partitionMetadataFile
		mustWrite(t, m, name, []byte("version: 0\ntopic_id: AAAA\n"))
		found, sum := checkDir(t, m, repair)
		if len(found) != 1 || found[0].File != name || !found[0].Derived || sum.Repaired == 1 != repair {
			t.Error(found, sum)
		}
		mgr := openManager(t, m, newTestClock(), smallConfig())
		l := mgr.Log(testTP)
		if err := l.Wake(); err != nil || l.TopicID() != testID {
			t.Error(err, l.TopicID())
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
		mustBeSound(t, m)
	}
}

// What has the name of a partition's directory and is none is told.
func TestAFileInPlaceOfAPartitionIsTold(t *testing.T) {
	m := leftInOrder(t)
	mustWrite(t, m, "/d/u-0", nil)
	found, _ := checkDir(t, m, false)
	if len(found) != 1 || found[0].File != "/d/u-0" || !found[0].Damage {
		t.Error(found)
	}
}
