package storage

import (
	"errors"
	"fmt"
	"path"
	"time"
)

// A log directory that cannot be written goes out of use while the node runs, as in Kafka: at the first write or sync
// in it that the operating system refuses, other than for want of space. A read that fails does not: one bad sector
// must not take thousands of partitions away. But it raises the suspicion that the disk is gone, and the directory is
// probed; and it is probed now and then when there is no traffic that would notice.

// probeFile is written, synced and read back. Kafka does not know it.
const probeFile = "moldau-probe"

// err is why the directory is out of use, or nil.
func (d *logDir) err() error {
	if e := d.why.Load(); e != nil {
		return *e
	}
	return nil
}

// setErr takes the directory out of use before the manager is handed out.
func (d *logDir) setErr(err error) { d.why.CompareAndSwap(nil, &err) }

// fail takes the directory out of use while the node runs. What it tells others is told by a goroutine of its own:
// the caller may hold locks of a log.
func (d *logDir) fail(cause error) {
	d.doubtPages()
	err := fmt.Errorf("%w: log directory %s is out of use until the node is started again: %w", ErrStorage, d.path, cause)
	if !d.why.CompareAndSwap(nil, &err) {
		return
	}
	d.m.opts.Logger.Error("a log directory has failed: its partitions are offline; the node goes on with what it has elsewhere. Mend or replace the disk and start the node again", "dir", d.path, "cause", cause)
	d.m.scheduler.after(0, func() { d.failLogs(cause) })
}

// failLogs takes every log of the directory out of use.
func (d *logDir) failLogs(cause error) {
	for _, l := range append(d.m.logsIn(d), d.futuresHere()...) {
		l.takeOffline(cause)
	}
	if f := d.m.opts.OnDirFailed; f != nil {
		f(DirInfo{Path: d.path, ID: d.props.DirectoryID, Err: d.err()}, len(d.m.usableDirs()))
	}
}

// takeOffline is failLog for a log that did nothing wrong itself.
func (l *Log) takeOffline(cause error) {
	err := fmt.Errorf("%w: %s is offline with its log directory: %w", ErrStorage, l.tp, cause)
	if l.closed.Load() || !l.failure.CompareAndSwap(nil, &err) {
		return
	}
	l.wakeWaiters()
}

// suspect asks for a probe soon: something in the directory could not be read.
func (d *logDir) suspect() {
	if d.suspected.CompareAndSwap(false, true) {
		d.m.scheduler.after(suspicionDelay, func() {
			d.suspected.Store(false)
			d.probe()
		})
	}
}

// suspicionDelay lets the failures of a dying disk be answered by one probe.
const suspicionDelay = 100 * time.Millisecond

// probe looks whether the directory is there, is still this node's, and can be written. A full disk is none of its concern.
func (d *logDir) probe() {
	d.probeMu.Lock()
	defer d.probeMu.Unlock()
	if d.err() != nil {
		return
	}
	if err := d.tryOut(); err != nil && !isDiskFull(err) {
		d.fail(err)
		return
	}
}

func (d *logDir) tryOut() error {
	p, err := ReadMetaProperties(d.env.fs, d.path)
	if err != nil {
		return err
	}
	if p.DirectoryID != d.props.DirectoryID {
		return fmt.Errorf("another directory has taken its place: its id is %s, it was %s", encodeUUID(p.DirectoryID), encodeUUID(d.props.DirectoryID))
	}
	name := path.Join(d.path, probeFile)
	want := []byte(d.path + "\n")
	if err := writeFile(d.env.fs, name, want, true); err != nil {
		return err
	}
	got, err := readSmallFile(d.env.fs, name)
	if err == nil && string(got) != string(want) {
		err = fmt.Errorf("%s does not hold what was just written to it", name)
	}
	return errors.Join(err, d.env.fs.Remove(name))
}
