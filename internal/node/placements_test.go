package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
)

// placed waits until the metadata knows the directory of every partition of a topic, and returns the directory ids.
func (r *rig) placed(topic string) [][16]byte {
	r.t.Helper()
	for range 1000 {
		known := map[[16]byte]bool{}
		for _, d := range r.node.directories {
			known[d] = true
		}
		var out [][16]byte
		for _, p := range r.node.broker.Image().Topic(topic).Partitions {
			if d := p.Directory(r.node.id); known[d] {
				out = append(out, d)
			}
		}
		if len(out) == len(r.node.broker.Image().Topic(topic).Partitions) {
			return out
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("the controller was never told where %s lies", topic)
	return nil
}

// A node with two directories that came back with one once served the partitions of the other empty.
func TestPartitionsOfALostDirectoryAreNotBegunAnew(t *testing.T) {
	const dirs = "log.dirs=/x,/y"
	fs := vfs.NewMem()
	r := start(t, fs, dirs)
	r.create("colours", 4)
	at := r.placed("colours")
	inY := 0
	for _, d := range at {
		if d == r.node.directories["/y"] {
			inY++
		}
	}
	if inY == 0 || inY == 4 {
		t.Fatalf("%d of 4 partitions are in the second directory", inY)
	}
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := fs.RemoveAll("/y"); err != nil {
		t.Fatal(err)
	}
	for _, again := range []string{dirs, "log.dirs=/x"} {
		r = start(t, fs, again)
		m, err := kadm.NewClient(r.client()).Metadata(context.Background(), "colours")
		if err != nil {
			t.Fatal(err)
		}
		without := 0
		for _, p := range m.Topics["colours"].Partitions {
			if p.Leader < 0 {
				without++
			}
		}
		if without != inY {
			t.Fatalf("%s: %d partitions are without a leader, %d were in the lost directory", again, without, inY)
		}
		if err := r.node.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// Another order of log.dirs once began an empty metadata log, and every topic was gone.
func TestMetadataLogIsNotBegunInAnotherDirectory(t *testing.T) {
	fs := vfs.NewMem()
	r := start(t, fs, "log.dirs=/x,/y")
	r.create("colours", 2)
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	for dirs, want := range map[string]string{
		"log.dirs=/y,/x": "metadata.log.dir=/x",
		"log.dirs=/y":    "but no metadata log",
	} {
		if _, err := Start(context.Background(), r.options(dirs)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dirs, err, want)
		}
	}
	start(t, fs, "log.dirs=/y,/x", "metadata.log.dir=/x")
}

func TestPlacementsAreToldInRequestsOfABoundedSize(t *testing.T) {
	p := newPlacements()
	for i := range int32(maxPlacements + 10) {
		p.note([16]byte{1}, i, [16]byte{9})
	}
	first := p.take()
	p.note([16]byte{1}, 0, [16]byte{8}) // it moved meanwhile
	p.putBack(first)
	if req := placementRequest(first); len(first) != maxPlacements || len(req.Directories) != 1 || len(req.Directories[0].Topics[0].Partitions) != maxPlacements {
		t.Fatal(len(first))
	}
	seen := map[replicaOf][16]byte{}
	for all := p.take(); len(all) > 0; all = p.take() {
		for r, d := range all {
			seen[r] = d
		}
	}
	if len(seen) != maxPlacements+10 || seen[replicaOf{[16]byte{1}, 0}] != [16]byte{8} {
		t.Fatalf("%d, %v", len(seen), seen[replicaOf{[16]byte{1}, 0}])
	}
}
