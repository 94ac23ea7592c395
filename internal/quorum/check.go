package quorum

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// CheckBatch says why a batch cannot lie in the metadata log.
func CheckBatch(b record.Batch) error {
	if b.IsControl() {
		return readControls(b, &kraftState{})
	}
	_, err := readRecords(b)
	return err
}

// CheckFiles looks at the files of a metadata directory that are no partition log: snapshots, quorum-state,
// raft.wal and bootstrap.checkpoint. damage tells what is wrong of which file, note what is worth knowing.
// No node may be running on the directory. A directory without metadata has nothing wrong.
func CheckFiles(fsys vfs.FS, dir string, damage, note func(file, problem string)) {
	if _, err := ReadBootstrap(fsys, dir); err != nil {
		damage(path.Join(dir, BootstrapName), err.Error())
	}
	checkWAL(fsys, dir, damage, note)
	logDir := path.Join(dir, logDirName)
	entries, err := fsys.ReadDir(logDir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		damage(logDir, fmt.Sprintf("it cannot be listed: %v", err))
		return
	}
	if _, err := readQuorumEpoch(fsys, logDir); err != nil {
		damage(path.Join(logDir, quorumStateName), err.Error())
	}
	for _, e := range entries {
		name := path.Join(logDir, e.Name())
		switch id, ok := parseSnapshotName(e.Name()); {
		case strings.HasSuffix(e.Name(), partSuffix):
			note(name, "the snapshot was not finished; a node that starts removes it")
		case ok:
			checkSnapshot(fsys, name, id, damage)
		case strings.HasSuffix(e.Name(), checkpointSuffix):
			damage(name, "a snapshot's name is its end offset in 20 digits and its epoch in 10, and this is not")
		}
	}
}

func checkSnapshot(fsys vfs.FS, name string, id SnapshotID, damage func(file, problem string)) {
	data, err := vfs.ReadFile(fsys, name)
	if err == nil {
		_, _, err = loadSnapshot(data, id)
	}
	if err != nil {
		damage(name, fmt.Sprintf("the snapshot cannot be used: %v", err))
	}
}

func checkWAL(fsys vfs.FS, dir string, damage, note func(file, problem string)) {
	name := path.Join(dir, WALName)
	data, size, err := readWALFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return // Kafka's directory, or a broker's
	}
	if err != nil {
		damage(name, fmt.Sprintf("it cannot be read: %v", err))
		return
	}
	_, good, _, err := parseWAL(data)
	switch {
	case err != nil:
		damage(name, err.Error())
	case good < size:
		note(name, fmt.Sprintf("its last %d bytes are a frame that was not finished; a node that starts cuts them off", size-good))
	}
}
