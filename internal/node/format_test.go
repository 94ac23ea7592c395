package node

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A directory whose meta.properties was lost is not a new one: it was once formatted over, under another cluster id,
// and its topics were without leaders from then on.
func TestDataWithoutMetaPropertiesIsNotFormattedOver(t *testing.T) {
	fs := vfs.NewMem()
	r := start(t, fs)
	r.create("colours", 1)
	r.produce("colours", "red")
	dir := r.node.dirs()[0]
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	name := dir + "/meta.properties"
	kept, err := vfs.ReadFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), r.options()); err == nil || !strings.Contains(err.Error(), "but no meta.properties") {
		t.Fatalf("%v", err)
	}
	for _, left := range []string{"", string(kept[:len(kept)/2])} { // a disk was full, an editor was killed
		if err := vfs.WriteFileAtomic(fs, name, []byte(left)); err != nil {
			t.Fatal(err)
		}
		_, err := Start(context.Background(), r.options())
		wantError(t, err, name, "put the file back from a backup", "node.id=1", "directory.id as it was")
	}
	if err := vfs.WriteFileAtomic(fs, name, kept); err != nil {
		t.Fatal(err)
	}
	again := start(t, fs)
	if got := again.consume("colours", 1); got[0] != "red" {
		t.Fatal(got)
	}
}

// What a node that was killed while it formatted has left is formatted by the next.
func TestHalfFormattedDirectoryIsFormatted(t *testing.T) {
	fs := vfs.NewMem()
	dir := settings(t).MetadataDir()
	if err := fs.MkdirAll(dir+"/lost+found", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile(dir+"/bootstrap.checkpoint", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	start(t, fs).create("colours", 1)
}

func TestMetaPropertiesWithoutDirectoryIDAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	r := start(t, fs)
	dir := r.node.dirs()[0]
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := storage.WriteMetaProperties(fs, dir, storage.MetaProperties{ClusterID: r.node.ClusterID(), NodeID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), r.options()); err == nil || !strings.Contains(err.Error(), "directory.id=") {
		t.Fatalf("%v", err)
	}
}
