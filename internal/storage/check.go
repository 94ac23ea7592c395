package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Finding is one thing that a check of a directory has to tell.
type Finding struct {
	// Damage says that something is wrong; without it the finding is only worth knowing.
	Damage bool
	// Derived says that what is wrong can be made anew from the records.
	Derived  bool
	Repaired bool
	File     string
	Position int64 // in the file, -1 for all of it
	Problem  string
}

func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Position >= 0 {
		fmt.Fprintf(&b, " at position %d", f.Position)
	}
	b.WriteString(": " + f.Problem)
	if f.Repaired {
		b.WriteString("; repaired")
	}
	return b.String()
}

// CheckOptions say what to check.
type CheckOptions struct {
	FS  vfs.FS
	Dir string // a log directory
	// Repair makes anew what can be derived from the records. The records are never touched.
	Repair bool
	// BootID names the boot of the kernel, "" where it is not known: then a log that ends below its high watermark may have lost
	// with the power what was not synced.
	BootID string
	// Topic limits the check to some topics; nil for all.
	Topic func(topic string) bool
	// MetadataBatch says what is wrong with a batch of the metadata log beyond what is checked of each log; nil for no check.
	MetadataBatch func(record.Batch) error
	// TopicIDs lists the topics that the metadata log in the directory knows of; it is nil, or gives nil, where nothing is known of them. It
	// is called while the directory is locked.
	TopicIDs func() (map[[16]byte]string, error)
	// Files looks at files that this package does not know, while the directory is locked; nil for none.
	Files func(damage, note func(file, problem string))
	// Found is told each finding, by one goroutine at a time.
	Found func(Finding)
	// Progress is told now and then how many bytes of how many have been looked at; nil for not at all.
	Progress func(doneBytes, totalBytes int64)
}

// CheckSummary is what was looked at.
type CheckSummary struct {
	Partitions, Segments, Batches, Records, Bytes int64
	Damages, Repaired, Notes                      int64
}

// dirChecker is one run of CheckDir.
type dirChecker struct {
	CheckOptions
	clean               bool // the directory was left in order
	sameBoot            bool // neither has the kernel stopped since nor was the file system mounted anew
	points, starts, hws map[TopicPartition]int64
	sums                checkpointSums              // what vouches for points and hws
	cleaned             map[TopicPartition]int64    // partitions that the cleaner has been in
	cleanedKnown        bool                        // which these are is known
	listed              map[TopicPartition][16]byte // topic ids as the last orderly stop has listed them; nil when it has not
	total               int64                       // bytes of all records
	topics              map[[16]byte]string         // of the metadata log; nil where that is not here

	done, segments, batches, records atomic.Int64

	mu      sync.Mutex // guards what follows, and the calls of Found and Progress
	summary CheckSummary
	ids     map[string]topicIDSeen
}

type topicIDSeen struct {
	id   [16]byte
	file string
}

// CheckDir looks at everything in a log directory that no node is running on. What is wrong is
// told to Found; the error is why the check could not be made.
func CheckDir(o CheckOptions) (CheckSummary, error) {
	c := &dirChecker{CheckOptions: o, ids: map[string]topicIDSeen{}}
	if _, err := o.FS.Stat(o.Dir); err != nil {
		return c.summary, fmt.Errorf("cannot check %s: %w", o.Dir, err)
	}
	unlock, err := c.lock()
	if err != nil {
		return c.summary, err
	}
	defer unlock()
	entries, err := o.FS.ReadDir(o.Dir)
	if err != nil {
		return c.summary, fmt.Errorf("cannot list %s: %w", o.Dir, err)
	}
	c.rootFiles(entries)
	if o.Files != nil && o.Topic == nil {
		o.Files(func(file, problem string) { c.damage(file, -1, "%s", problem) }, func(file, problem string) { c.note(file, "%s", problem) })
	}
	c.loadTopics()
	tps := c.partitions(entries)
	c.staleEntries(tps)
	err = c.checkAll(tps)
	c.summary.Segments, c.summary.Batches, c.summary.Records, c.summary.Bytes = c.segments.Load(), c.batches.Load(), c.records.Load(), c.done.Load()
	c.summary.Partitions = int64(len(tps))
	return c.summary, err
}

// lock keeps nodes out. Who only looks makes no file for it, and also looks where nothing can be written: at a file system
// that is read-only after an error, or a snapshot.
func (c *dirChecker) lock() (unlock func(), err error) {
	name := path.Join(c.Dir, lockFile)
	if !c.Repair {
		if ok, err := vfs.Exists(c.FS, name); err == nil && !ok {
			return func() {}, nil // no node has been here
		}
	}
	lock, err := c.FS.Lock(name)
	if !c.Repair && (errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)) {
		c.note(name, "the directory cannot be locked (%v): that no node is running on it you must know yourself", err)
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s, is a node running on it? %w", c.Dir, err)
	}
	return func() { _ = lock.Close() }, nil // nothing was written through it
}

// checkAll checks partitions, as many at once as there are processors.
func (c *dirChecker) checkAll(tps []TopicPartition) error {
	work := make(chan TopicPartition)
	var wg sync.WaitGroup
	var errs []error
	for range min(runtime.GOMAXPROCS(0), max(1, len(tps))) {
		wg.Go(func() {
			for tp := range work {
				if err := c.partition(tp); err != nil {
					c.mu.Lock()
					errs = append(errs, err)
					c.mu.Unlock()
				}
			}
		})
	}
	for _, tp := range tps {
		work <- tp
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

func (c *dirChecker) report(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !f.Damage:
		c.summary.Notes++
	case f.Repaired:
		c.summary.Repaired++
		c.summary.Damages++
	default:
		c.summary.Damages++
	}
	c.Found(f)
}

func (c *dirChecker) damage(file string, position int64, format string, args ...any) {
	c.report(Finding{Damage: true, File: file, Position: position, Problem: fmt.Sprintf(format, args...)})
}

func (c *dirChecker) note(file, format string, args ...any) {
	c.report(Finding{File: file, Position: -1, Problem: fmt.Sprintf(format, args...)})
}

// derived tells of damage to something that can be made anew, and does so if that was asked for. expected
// says that a stop may have left it so: then a node that starts makes it anew anyway.
func (c *dirChecker) derived(expected bool, file string, position int64, repair func() error, format string, args ...any) {
	f := Finding{Damage: !expected, Derived: true, File: file, Position: position, Problem: fmt.Sprintf(format, args...)}
	if expected && !c.Repair {
		f.Problem += "; the directory was not closed in order, and a node that starts makes this anew"
	}
	if c.Repair {
		err := clearPlace(c.FS, file)
		if err == nil {
			err = repair()
		}
		if err != nil {
			f.Problem += fmt.Sprintf("; it could not be repaired: %v", err)
		} else {
			f.Repaired = true
		}
	}
	c.report(f)
}

func (c *dirChecker) advance(n int64) {
	done := c.done.Add(n)
	if c.Progress != nil {
		c.mu.Lock()
		c.Progress(done, c.total)
		c.mu.Unlock()
	}
}

// checkCleanMarker says why the marker of an orderly stop does not name a broker epoch.
func checkCleanMarker(data []byte) error {
	var c cleanShutdown
	return json.Unmarshal(data, &c)
}

// readSmall reads a small file whole; ok is false when it is not there or was reported.
func (c *dirChecker) readSmall(name string) ([]byte, bool) {
	data, err := readSmallFile(c.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		c.damage(name, -1, "it cannot be read: %v", err)
		return nil, false
	}
	return data, true
}

// rootFiles looks at the files of the log directory itself.
func (c *dirChecker) rootFiles(entries []fs.DirEntry) {
	meta := path.Join(c.Dir, metaPropertiesFile)
	if data, ok := c.readSmall(meta); ok {
		if _, err := parseMetaProperties(data); err != nil {
			c.damage(meta, -1, "it does not say whose directory this is: %v", err)
		}
	} else if _, err := c.FS.Stat(meta); errors.Is(err, fs.ErrNotExist) {
		c.damage(meta, -1, "it is missing: a node will not start on this directory before it is formatted again with its cluster id and node id")
	}
	marker := path.Join(c.Dir, cleanShutdownFile)
	if data, ok := c.readSmall(marker); ok {
		c.clean = true
		if err := checkCleanMarker(data); err != nil {
			c.note(marker, "it marks an orderly stop, but does not say of which broker epoch: %v", err)
		}
	}
	c.sameBoot = c.isSameBoot()
	c.sums = readSums(c.FS, c.Dir)
	c.points, _ = c.checkpoint(recoveryPointFile)
	c.starts, _ = c.checkpoint(logStartFile)
	c.hws, _ = c.checkpoint(highWatermarkFile)
	c.cleaned, c.cleanedKnown = c.checkpoint(cleanerFile)
	c.cleanLogs()
	c.undecidedLosses()
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			c.note(path.Join(c.Dir, e.Name()), "it was not finished when the process or the power went; the file that it was to replace is the one that counts")
		}
	}
}

// isSameBoot says that neither has the kernel stopped since a node wrote to the directory nor was the file system mounted anew.
func (c *dirChecker) isSameBoot() bool {
	name := path.Join(c.Dir, bootFile)
	i, ok := c.FS.(vfs.Identifier)
	data, found := c.readSmall(name)
	if !ok || !found || c.BootID == "" {
		return false
	}
	id, err := i.Identity(name)
	return err == nil && strings.TrimRight(string(data), "\n") == c.BootID+" "+id
}

// checkpoint reads one of the offset files; whole is false when some of what it said is not known.
func (c *dirChecker) checkpoint(name string) (offsets map[TopicPartition]int64, whole bool) {
	full := path.Join(c.Dir, name)
	data, err := readSmallFile(c.FS, full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true
	}
	if was, ok := c.sums.mended(name, data); err == nil && ok {
		c.derived(false, full, -1, func() error { return vfs.WriteFileAtomic(c.FS, full, was) },
			"a digit of it was changed since it was written: it says %q, and said %q; a node that starts finds it out", changedLine(data, was), changedLine(was, data))
		data = was
	}
	if err == nil {
		if offsets, err = parseOffsets(data); err == nil {
			return offsets, true
		}
	}
	if name == logStartFile {
		c.damage(full, -1, "it cannot be understood: %v; a node passes over it, and records that were deleted by a request may be there again", err)
		return nil, false
	}
	// What a node goes by instead it finds in the logs: it looks at more of them.
	good, _ := parseCleaned(string(data))
	c.derived(false, full, -1, func() error { return WriteOffsetCheckpoint(c.FS, full, good) }, "it cannot be understood: %v; a node passes over it and checks more of the logs", err)
	return nil, false
}

// cleanLogs reads the topic ids that belong to the last orderly stop.
func (c *dirChecker) cleanLogs() {
	marker, err := readSmallFile(c.FS, path.Join(c.Dir, cleanShutdownFile))
	if err != nil {
		return
	}
	d := &logDir{path: c.Dir, env: &env{fs: c.FS}}
	c.listed = d.readCleanState(marker)
}

// partitions are the directories that are to be checked; what else is there is told.
func (c *dirChecker) partitions(entries []fs.DirEntry) []TopicPartition {
	var tps []TopicPartition
	for _, e := range entries {
		name, full := e.Name(), path.Join(c.Dir, e.Name())
		if !isDirectory(c.FS, e, full) {
			if tp, err := ParseTopicPartition(name); err == nil && (c.Topic == nil || c.Topic(tp.Topic)) {
				c.damage(full, -1, "it has the name of a partition's directory, and is none, nor leads to one: the partition cannot be opened")
			}
			continue
		}
		switch {
		case strings.HasSuffix(name, deleteDirSuffix):
			c.note(full, "its topic was deleted; a node that starts removes it")
			continue
		case strings.HasSuffix(name, futureDirSuffix):
			c.note(full, "it is a copy that was on its way to this directory; it is not checked")
			continue
		case strings.HasSuffix(name, strayDirSuffix):
			c.note(full, "a node has set it aside, since no topic claimed it; it is not checked")
			continue
		}
		tp, err := ParseTopicPartition(name)
		if err != nil {
			c.note(full, "it is no partition's directory, and no node looks into it")
			continue
		}
		if c.Topic == nil || c.Topic(tp.Topic) {
			tps = append(tps, tp)
			c.total += c.bytesOf(full)
		}
	}
	slices.SortFunc(tps, func(a, b TopicPartition) int { return strings.Compare(a.String(), b.String()) })
	return tps
}

func (c *dirChecker) bytesOf(dir string) (n int64) {
	entries, err := c.FS.ReadDir(dir)
	if err != nil {
		return 0 // it is told when the partition is checked
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), logSuffix) {
			n += info.Size()
		}
	}
	return n
}

// staleEntries tells of checkpoints that name logs which are not there.
func (c *dirChecker) staleEntries(tps []TopicPartition) {
	if c.Topic != nil {
		return
	}
	have := map[TopicPartition]bool{}
	for _, tp := range tps {
		have[tp] = true
	}
	files := map[string]map[TopicPartition]int64{recoveryPointFile: c.points, logStartFile: c.starts, highWatermarkFile: c.hws}
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile} {
		for tp := range files[name] {
			if have[tp] {
				continue
			}
			// After an orderly stop nothing can have been deleted since the list was made.
			if _, listed := c.listed[tp]; listed && c.clean && files[name][tp] > 0 && name != logStartFile {
				c.damage(path.Join(c.Dir, name), -1, "%s was here at the last orderly stop, with records up to offset %d, and its directory is gone: records are lost. If there is a backup, restore the directory before the node starts", tp, files[name][tp])
			} else {
				c.note(path.Join(c.Dir, name), "it names %s, whose directory is not here: the topic was deleted, or the directory was lost", tp)
			}
		}
	}
}

// sameTopicID holds the ids that partitions of a topic name against each other, and against what the last stop has listed.
func (c *dirChecker) sameTopicID(topic string, id [16]byte, file string) {
	c.mu.Lock()
	seen, ok := c.ids[topic]
	if !ok {
		c.ids[topic] = topicIDSeen{id, file}
	}
	c.mu.Unlock()
	if ok && seen.id != id {
		c.damage(file, -1, "it names topic id %s, and %s names %s: one of the directories belongs to a deleted topic of the same name", encodeUUID(id), seen.file, encodeUUID(seen.id))
	}
}

// loadTopics asks which topics there are. Why the metadata cannot be read is told with its files.
func (c *dirChecker) loadTopics() {
	if c.TopicIDs == nil {
		return
	}
	topics, err := c.TopicIDs()
	if err != nil {
		c.note(path.Join(c.Dir, MetadataLogDir), "which topics there are cannot be read (%v): partitions are not held against it", err)
		return
	}
	c.topics = topics
}

// isTopic holds a topic's id that a partition's directory names against the metadata log. After a stop that was not in order that log may
// lag behind the partitions.
func (c *dirChecker) isTopic(tp TopicPartition, id [16]byte, file string) {
	name, known := c.topics[id]
	if c.topics == nil || known && name == tp.Topic || tp.String() == MetadataLogDir {
		return
	}
	problem := fmt.Sprintf("it names topic id %s, which is no topic of the metadata log: the topic was deleted, or the directory comes from elsewhere; a node that starts sets it aside", encodeUUID(id))
	if known {
		problem = fmt.Sprintf("it names topic id %s, which the metadata log gives to topic %s: the directory was renamed, or comes from there", encodeUUID(id), name)
	}
	c.report(Finding{Damage: c.clean || known, File: file, Position: -1, Problem: problem})
}
