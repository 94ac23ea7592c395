package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A partition's directory, or a segment, may be a link to another volume. Where that is not mounted the link leads nowhere, and "no such
// file" would be told of what everybody can see there.

var errDeadLink = errors.New("it is a link that leads nowhere: is the volume mounted that it leads to?")

// isDeadLink says that a directory's entry is a link to what is not there.
func isDeadLink(fsys vfs.FS, e fs.DirEntry, full string) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	_, err := fsys.Stat(full)
	return errors.Is(err, fs.ErrNotExist)
}

// explainDeadLink says so of a name at which an operation has failed; with err nil, of one that is looked at before.
func explainDeadLink(fsys vfs.FS, full string, err error) error {
	entries, rerr := fsys.ReadDir(path.Dir(full))
	if rerr != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == path.Base(full) && isDeadLink(fsys, e, full) {
			return errors.Join(err, fmt.Errorf("%s: %w", full, errDeadLink))
		}
	}
	return err
}

// infoOf is what is known of a directory's entry: of a link, of what it leads to.
func infoOf(fsys vfs.FS, e fs.DirEntry, full string) (fs.FileInfo, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Info()
	}
	info, err := fsys.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", full, errDeadLink)
	}
	return info, err
}
