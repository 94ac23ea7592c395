package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// maxSmallFileBytes bounds what is read at once of files that are small when they are sound: a checkpoint of a million
// partitions has a fifth of it, an index of 10 MiB as well. One that has grown beyond is damage, and must not
// cost the memory that it says.
const maxSmallFileBytes = 256 << 20

// errTooLarge says that a file has more bytes than any such file.
var errTooLarge = errors.New("it is larger than such a file ever is")

// readSmallFile reads a small file whole.
func readSmallFile(fsys vfs.FS, name string) ([]byte, error) {
	info, err := fsys.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSmallFileBytes && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s has %d bytes", errTooLarge, name, info.Size())
	}
	return vfs.ReadFile(fsys, name)
}

// cannotBeUnderstood says that a small file is there, but that what is in its place is not such a file: another read would
// not help.
func cannotBeUnderstood(err error) bool { return errors.Is(err, errTooLarge) || isUnreadable(err) }

// clearPlace makes room for a file where something lies that is no file: a directory, with whatever it holds, or a pipe is set aside.
func clearPlace(fsys vfs.FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() {
		return nil
	}
	for i := 0; err == nil && i < maxAsideNames; i++ {
		aside := fmt.Sprintf("%s.%d%s", name, i, damagedSuffix)
		if taken, xerr := vfs.Exists(fsys, aside); xerr == nil && taken {
			continue
		}
		return fsys.Rename(name, aside)
	}
	if err == nil {
		err = errors.New("too much was set aside there already")
	}
	return fmt.Errorf("cannot set %s aside, which is no file: %w", name, err)
}

// setNoFileAside clears the place of what is derived from the records, and is there made anew. What is wrong with a file that a log needs
// only now and then would else be noticed late: by a sync, whose failure costs the whole directory, or by a cleaning.
func (o *opener) setNoFileAside(e fs.DirEntry) (moved bool, err error) {
	if e.Type().IsRegular() || !slices.Contains([]string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix}, path.Ext(e.Name())) {
		return false, nil
	}
	name := path.Join(o.dir, e.Name())
	if info, err := o.env.fs.Stat(name); err == nil && info.Mode().IsRegular() {
		return false, nil // a link to one
	}
	o.env.logger.Error("what lies in the place of a file is none: it is set aside, and the file made anew from the records", "partition", o.tp.String(), "file", name)
	return true, clearPlace(o.env.fs, name)
}

// removeIfThere removes a file whose place may have been cleared.
func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// maxAsideNames bounds the search for a free name.
const maxAsideNames = 1000

func sortedPartitions[V any](m map[TopicPartition]V) []TopicPartition {
	out := make([]TopicPartition, 0, len(m))
	for tp := range m {
		out = append(out, tp)
	}
	slices.SortFunc(out, TopicPartition.Compare)
	return out
}
