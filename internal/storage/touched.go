package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// touchedFile names the logs of a directory that were changed since its last orderly stop, each before its first
// change. Kafka does not know the file.
//
//	<boot id> <checksum of moldau-clean-logs>
//	<topic> <partition>
//	...
//
// It is not synced, so it tells the truth only as long as the kernel runs: after a kill, logs that the list of the
// last orderly stop names and this file does not are as that stop has left them, and need no recovery. After a power
// cut, and where either file is missing or does not fit the other, every log is checked.
const touchedFile = "moldau-touched-logs"

// beginTouched begins a new file after an orderly stop.
func (d *logDir) beginTouched() error {
	list, err := vfs.ReadFile(d.env.fs, path.Join(d.path, cleanStateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.openTouched([]byte(d.touchedHead(list)), true)
}

func (d *logDir) touchedHead(list []byte) string {
	return fmt.Sprintf("%s %08x\n", d.m.opts.BootID, crc32.Checksum(list, castagnoli))
}

// openTouched opens the file, with head in place of what it holds if it is new, or else to go on behind head.
func (d *logDir) openTouched(head []byte, isNew bool) error {
	flag := os.O_RDWR | os.O_CREATE
	if isNew {
		flag |= os.O_TRUNC
	}
	f, err := d.env.fs.OpenFile(path.Join(d.path, touchedFile), flag, 0o644)
	if err != nil {
		return err
	}
	if isNew {
		_, err = f.WriteAt(head, 0)
	} else {
		err = f.Truncate(int64(len(head))) // a line that was torn goes
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.touchedMu.Lock()
	defer d.touchedMu.Unlock()
	d.touchedLog, d.touchedEnd = f, int64(len(head))
	return nil
}

// readTouched finds, after a stop that was not orderly, the topic ids of the logs that an orderly one before has
// listed, and which of them have been touched since. ok is false when nothing can be said.
func (d *logDir) readTouched() (ids map[TopicPartition][16]byte, touched map[TopicPartition]struct{}, ok bool) {
	data, err := vfs.ReadFile(d.env.fs, path.Join(d.path, touchedFile))
	if err != nil || d.m.opts.BootID == "" {
		return nil, nil, false
	}
	list, err := vfs.ReadFile(d.env.fs, path.Join(d.path, cleanStateFile))
	head := d.touchedHead(list)
	if err != nil || !strings.HasPrefix(string(data), head) {
		return nil, nil, false
	}
	if ids = parseCleanList(list); ids == nil {
		return nil, nil, false
	}
	touched = map[TopicPartition]struct{}{}
	good := len(head)
	for line := range strings.Lines(string(data[good:])) {
		topic, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		p, err := strconv.ParseInt(number, 10, 32)
		if err != nil || !strings.HasSuffix(line, "\n") {
			break // torn: what it would have named was not changed yet
		}
		touched[TopicPartition{topic, int32(p)}] = struct{}{}
		good += len(line)
	}
	return ids, touched, d.openTouched(data[:good], false) == nil
}

// touch notes that a log is about to be changed.
func (d *logDir) touch(l *Log) error {
	d.touchedMu.Lock()
	defer d.touchedMu.Unlock()
	if d.touchedLog == nil {
		return nil // the whole directory will be checked
	}
	line := l.tp.Topic + " " + strconv.Itoa(int(l.tp.Partition)) + "\n"
	if _, err := d.touchedLog.WriteAt([]byte(line), d.touchedEnd); err != nil {
		return fmt.Errorf("cannot note that the log of %s changes: %w", l.tp, err)
	}
	d.touchedEnd += int64(len(line))
	return nil
}

func (d *logDir) closeTouched() {
	d.touchedMu.Lock()
	defer d.touchedMu.Unlock()
	if d.touchedLog != nil {
		_ = d.touchedLog.Close() // it matters only if this stop does not come to its end
		d.touchedLog = nil
	}
}

// touch is called before the first change of the log since it was opened. appendMu is held.
func (l *Log) touch() error {
	if l.changed.Load() {
		return nil
	}
	if err := l.env.touch(l); err != nil {
		return l.failUnlessFull(err)
	}
	l.changed.Store(true)
	return nil
}
