package quorum

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// TopicIDs is the topics that the metadata in a directory knows of, by their ids: those of the newest whole snapshot, of the log behind
// it, and of what the Raft log has beyond. Nothing is written. A directory without metadata gives nil. No node may be running on it.
func TopicIDs(fsys vfs.FS, dir string) (map[[16]byte]string, error) {
	d := &disk{dir: path.Join(dir, logDirName)}
	names, err := metadataSegments(fsys, d.dir)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	img, err := wholeSnapshot(fsys, d.dir)
	if err != nil {
		return nil, err
	}
	d.replay = meta.NewReplay(img)
	d.applied.endOffset = img.Offset() + 1
	for _, name := range names {
		if err := d.replaySegment(fsys, name); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
	}
	if err := d.replayEntries(fsys, dir); err != nil {
		return nil, err
	}
	ids := map[[16]byte]string{}
	d.replay.Image().Topics(func(t *meta.Topic) bool {
		ids[t.ID] = t.Name
		return true
	})
	return ids, nil
}

// metadataSegments lists the files of the metadata log, oldest first.
func metadataSegments(fsys vfs.FS, dir string) (names []string, err error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".log") {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, err
}

// wholeSnapshot is the image of the newest snapshot that can be read, an empty one without any.
func wholeSnapshot(fsys vfs.FS, dir string) (*meta.Image, error) {
	ids, err := listSnapshots(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Backward(ids) {
		data, err := vfs.ReadFile(fsys, path.Join(dir, id.name()))
		if err != nil {
			continue
		}
		if img, _, err := loadSnapshot(data, id); err == nil {
			return img, nil
		}
	}
	return meta.NewImage(), nil
}

// replaySegment takes in the batches of one file, up to the first that is not whole: that is told by who checks the log.
func (d *disk) replaySegment(fsys vfs.FS, name string) error {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	size, err := f.Size()
	if err != nil {
		return err
	}
	head := make([]byte, record.HeaderBytes)
	for pos := int64(0); pos+record.HeaderBytes <= size; {
		if _, err := f.ReadAt(head, pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		_, n, err := record.Peek(head)
		if err != nil || pos+n > size || n > maxFrameBytes {
			return nil
		}
		b := make(record.Batch, n)
		if _, err := f.ReadAt(b, pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if b.Validate() != nil {
			return nil
		}
		if err := d.takeNext(b); err != nil {
			return err
		}
		pos += n
	}
	return nil
}

// replayEntries takes in what the Raft log has beyond the metadata log: it is synced earlier.
func (d *disk) replayEntries(fsys vfs.FS, dir string) error {
	data, _, err := readWALFile(fsys, path.Join(dir, WALName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Kafka's directory, or a broker's
	}
	if err != nil {
		return err
	}
	st, _, _, err := parseWAL(data)
	if err != nil {
		return err
	}
	for _, e := range st.entries {
		data, err := batchIn(e)
		if err != nil || len(data) == 0 {
			continue
		}
		b, err := batchOf(e, data)
		if err != nil {
			return err
		}
		if err := d.takeNext(b); err != nil {
			return err
		}
	}
	return nil
}

// takeNext takes in a batch that follows what was taken in before; another one is passed over.
func (d *disk) takeNext(b record.Batch) error {
	if b.BaseOffset() < d.applied.endOffset {
		return nil
	}
	return d.takeBatch(b)
}
