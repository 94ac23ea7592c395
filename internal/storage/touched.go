package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// touchedFile names the logs of a directory that were changed since its last orderly stop, each before its first
// change. Kafka does not know the file.
//
//	<boot and mounting, as in moldau-boot-id> <checksum of moldau-clean-logs>
//	<topic> <partition>
//	...
//
// After a kill, logs that the list of the last orderly stop names and this file does not are as that stop has left them, and
// need no recovery. After a power cut, and where either file is missing or does not fit the other, every log is checked.
// A line is on the disk before the log that it names changes: a page of this file that the disk refuses, and the kernel
// drops, must not make a log seem untouched. A log that the list does not name needs no line.
const touchedFile = "moldau-touched-logs"

// beginTouched begins a new file after an orderly stop.
func (d *logDir) beginTouched() error {
	if d.mark == "" {
		return nil // nobody would believe it
	}
	list, err := readSmallFile(d.env.fs, path.Join(d.path, cleanStateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.openTouched([]byte(d.touchedHead(list)), true)
}

// dropTouched removes a file that this run does not go on with: the next one could believe it, of which a file system has given the
// boot file the same number again, and take for untouched what was changed without a line.
func (d *logDir) dropTouched() error {
	d.touchedMu.Lock()
	inUse := d.touchedLog != nil
	d.touchedMu.Unlock()
	if inUse {
		return nil
	}
	if err := d.env.fs.Remove(path.Join(d.path, touchedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove what an earlier run has noted of changed logs: %w", err)
	}
	return nil
}

func (d *logDir) touchedHead(list []byte) string {
	return fmt.Sprintf("%s %08x\n", d.mark, crc32.Checksum(list, castagnoli))
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
	data, err := readSmallFile(d.env.fs, path.Join(d.path, touchedFile))
	if err != nil || d.mark == "" {
		return nil, nil, false
	}
	list, err := readSmallFile(d.env.fs, path.Join(d.path, cleanStateFile))
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

// listed remembers, in little memory, which logs an orderly stop has listed.
type listed struct {
	seed   maphash.Seed
	hashes []uint64 // in order
}

func newListed(ids map[TopicPartition][16]byte) listed {
	out := listed{seed: maphash.MakeSeed(), hashes: make([]uint64, 0, len(ids))}
	for tp := range ids {
		out.hashes = append(out.hashes, maphash.Comparable(out.seed, tp))
	}
	slices.Sort(out.hashes)
	return out
}

// mayHave is true for each log that is listed, and hardly for any other.
func (l listed) mayHave(tp TopicPartition) bool {
	if len(l.hashes) == 0 {
		return false
	}
	_, ok := slices.BinarySearch(l.hashes, maphash.Comparable(l.seed, tp))
	return ok
}

// touch notes that a log is about to be changed. Those that come together share one sync.
func (d *logDir) touch(l *Log) error {
	d.touchedMu.Lock()
	if d.touchedLog == nil || !d.listed.mayHave(l.tp) {
		d.touchedMu.Unlock()
		return nil // it will be checked in any case
	}
	line := l.tp.Topic + " " + strconv.Itoa(int(l.tp.Partition)) + "\n"
	_, err := d.touchedLog.WriteAt([]byte(line), d.touchedEnd)
	if err == nil {
		d.touchedEnd += int64(len(line))
	}
	end := d.touchedEnd
	d.touchedMu.Unlock()
	if err == nil {
		err = d.syncTouched(end)
	}
	if err != nil {
		return fmt.Errorf("cannot note that the log of %s changes: %w", l.tp, err)
	}
	return nil
}

// syncTouched makes the file durable up to a place. While one syncs, the others' lines wait for the next, which is for them all.
func (d *logDir) syncTouched(upTo int64) error {
	d.touchedSync.Lock()
	defer d.touchedSync.Unlock()
	d.touchedMu.Lock()
	f, end := d.touchedLog, d.touchedEnd
	d.touchedMu.Unlock()
	if f == nil || d.touchedSynced >= upTo {
		return nil
	}
	err := f.Sync()
	if err == nil {
		d.touchedSynced = end
		return nil
	}
	// Which of the lines are lost nobody can tell: the next start checks every log.
	d.doubtPages()
	d.closeTouchedLocked()
	if isDiskFull(err) {
		return nil
	}
	return err
}

func (d *logDir) closeTouched() {
	d.touchedSync.Lock()
	defer d.touchedSync.Unlock()
	d.closeTouchedLocked()
}

// closeTouchedLocked is closeTouched; touchedSync is held.
func (d *logDir) closeTouchedLocked() {
	d.touchedMu.Lock()
	defer d.touchedMu.Unlock()
	if d.touchedLog != nil {
		_ = d.touchedLog.Close() // it matters only if this stop does not come to its end
		d.touchedLog = nil
	}
}

// touch is called before the first change of the log since it was opened. appendMu is held, or replaceMu: both may come at
// once, and then both write the line.
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
