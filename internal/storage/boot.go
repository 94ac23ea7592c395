package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// bootFile says under which boot of the kernel and which mounting of the file system everything lies in the kernel's memory
// or on the disk that was ever written to the directory. Kafka does not know it. As long as neither ends, a process may die
// as it likes: only its last write can be torn. After a power cut, a mounting anew, in a copy of the directory, and
// wherever it cannot be told, each byte above the recovery point is in doubt.
//
//	<boot id> <identity of this file>
//
// It is written when every log is known to be sound, not before: a kill while the logs of a power cut are being checked
// leaves them as much in doubt as they were. And it goes when a sync fails (doubtPages): then the kernel may call pages
// written that are not on the disk, and shows them to whoever reads. A start that finds no such file writes everything above
// the recovery points anew before a sync of it counts.
const bootFile = "moldau-boot-id"

// takeBoot looks whether boot and mounting are those of the last run.
func (d *logDir) takeBoot() {
	name := path.Join(d.path, bootFile)
	data, err := readSmallFile(d.env.fs, name)
	if cannotBeUnderstood(err) {
		d.makeRoom(name) // or it would never be written again
	}
	noted := strings.TrimRight(string(data), "\n")
	d.pagesDoubted = err != nil || noted == ""
	d.mark = d.bootMark(name)
	d.sameBoot = !d.pagesDoubted && d.mark != "" && noted == d.mark
}

// bootMark is what the file must say; "" where boot or mounting cannot be told from others.
func (d *logDir) bootMark(name string) string {
	i, ok := d.env.fs.(vfs.Identifier)
	if !ok || d.m.opts.BootID == "" {
		return ""
	}
	id, err := i.Identity(name)
	if errors.Is(err, fs.ErrNotExist) { // it must be there to be named
		f, cerr := d.env.fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if cerr != nil || f.Close() != nil {
			return ""
		}
		id, err = i.Identity(name)
	}
	if err != nil {
		return ""
	}
	return d.m.opts.BootID + " " + id
}

// noteBoot says that every log is sound. From now on what this process writes is what a kill leaves.
func (d *logDir) noteBoot() {
	d.bootMu.Lock()
	defer d.bootMu.Unlock()
	if d.sameBoot || d.doubted || d.err() != nil {
		return
	}
	note := d.mark
	if note == "" {
		note = "unknown"
	}
	// Synced, or a power cut would look like a failed sync.
	err := writeFile(d.env.fs, path.Join(d.path, bootFile), []byte(note+"\n"), true)
	if err == nil {
		err = d.env.fs.SyncDir(d.path)
	}
	if err != nil {
		d.env.logger.Warn("cannot note the kernel's boot: after a kill, every log will be checked", "dir", d.path, "err", err)
	}
}

// doubtPages notes that a sync has failed. The note need not be durable: what it warns of lives as long as the mounting.
func (d *logDir) doubtPages() {
	d.bootMu.Lock()
	defer d.bootMu.Unlock()
	if d.doubted {
		return
	}
	d.doubted = true
	name := path.Join(d.path, bootFile)
	err := d.env.fs.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	if werr := writeFile(d.env.fs, name, nil, false); werr != nil {
		d.env.logger.Error("cannot note that a sync has failed: before the node is started again on this directory, have its file system mounted anew", "dir", d.path, "err", fmt.Errorf("%w; %w", err, werr))
	}
}
