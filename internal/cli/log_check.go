package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// MetadataChecker checks what the quorum keeps in a directory; nil fields check nothing.
type MetadataChecker struct {
	// Batch says why a batch cannot lie in the metadata log.
	Batch func(record.Batch) error
	// Files tells what is wrong with snapshots, quorum-state and raft.wal.
	Files func(fsys vfs.FS, dir string, damage, note func(file, problem string))
	// TopicIDs lists the topics that the metadata in a directory knows of; nil where there is none.
	TopicIDs func(fsys vfs.FS, dir string) (map[[16]byte]string, error)
}

const logCheckUsage = `usage: moldau log check DIR [--repair] [--topic TOPIC[,TOPIC...]] [--format text|json] [--quiet]

Verifies a log directory that no node is running on: each batch of each log, unpacked; offsets and leader epochs;
indexes, transaction indexes and producer snapshots against the records; checkpoints, topic ids and the metadata.

  --repair    make anew what can be derived from the records; the records themselves are never touched
  --topic     only these topics
  --format    text (default), or json: an object a line
  --quiet     tell only damage, not what is merely worth knowing

Exit code: 0 when all is well or was repaired, 1 when there is damage, 2 when the check could not be made.`

// logCheckArgs are the arguments of moldau log check.
type logCheckArgs struct {
	dir           string
	repair, quiet bool
	json          bool
	topics        map[string]bool
}

func parseLogCheck(args []string) (a logCheckArgs, err error) {
	value := func(i *int, name, inline string, ok bool) (string, error) {
		if ok {
			return inline, nil
		}
		if *i++; *i >= len(args) {
			return "", fmt.Errorf("option %s needs a value", name)
		}
		return args[*i], nil
	}
	for i := 0; i < len(args); i++ {
		name, inline, hasInline := strings.Cut(args[i], "=")
		var v string
		if hasInline && (name == "--repair" || name == "--quiet") {
			return a, fmt.Errorf("option %s takes no value", name)
		}
		switch name {
		case "--repair":
			a.repair = true
		case "--quiet":
			a.quiet = true
		case "--topic":
			if v, err = value(&i, name, inline, hasInline); err != nil {
				return a, err
			}
			if a.topics == nil {
				a.topics = map[string]bool{}
			}
			for t := range strings.SplitSeq(v, ",") {
				a.topics[t] = true
			}
		case "--format":
			if v, err = value(&i, name, inline, hasInline); err != nil {
				return a, err
			}
			if v != "json" && v != "text" {
				return a, fmt.Errorf("there is no format %q, only text and json", v)
			}
			a.json = v == "json"
		default:
			if strings.HasPrefix(name, "-") {
				return a, fmt.Errorf("there is no option %s", name)
			}
			if a.dir != "" {
				return a, fmt.Errorf("one directory at a time: %s and %s were given", a.dir, args[i])
			}
			a.dir = args[i]
		}
	}
	if a.dir == "" {
		return a, fmt.Errorf("which directory? Name one of the node's log.dirs")
	}
	return a, nil
}

// The exit codes of moldau log check.
const (
	checkDamaged  = 1
	checkUnusable = 2
)

func runLog(r *run, args []string) int {
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") || len(args) > 1 && args[0] == "check" && (args[1] == "--help" || args[1] == "-h") {
		r.println(logCheckUsage)
		return 0
	}
	if len(args) == 0 || args[0] != "check" {
		r.errorln(logCheckUsage)
		return r.fail(checkUnusable)
	}
	a, err := parseLogCheck(args[1:])
	if err != nil {
		r.errorln("moldau log check: " + err.Error())
		r.errorln(logCheckUsage)
		return r.fail(checkUnusable)
	}
	return r.logCheck(vfs.OS{}, a)
}

// logCheck checks a directory and prints what it finds as it finds it.
func (r *run) logCheck(fsys vfs.FS, a logCheckArgs) int {
	bar := progressBar{run: r, on: r.StdoutIsTerminal && !a.json}
	o := storage.CheckOptions{FS: fsys, Dir: path.Clean(a.dir), Repair: a.repair, BootID: vfs.BootID(), MetadataBatch: r.Metadata.Batch, Progress: bar.show}
	missing := maps.Clone(a.topics)
	if a.topics != nil {
		o.Topic = func(topic string) bool { delete(missing, topic); return a.topics[topic] }
	}
	if r.Metadata.Files != nil {
		o.Files = func(damage, note func(file, problem string)) { r.Metadata.Files(fsys, o.Dir, damage, note) }
	}
	if r.Metadata.TopicIDs != nil {
		o.TopicIDs = func() (map[[16]byte]string, error) { return r.Metadata.TopicIDs(fsys, o.Dir) }
	}
	o.Found = func(f storage.Finding) {
		if a.quiet && !f.Damage {
			return
		}
		bar.clear()
		r.printFinding(f, a.json)
	}
	sum, err := storage.CheckDir(o)
	bar.clear()
	if err != nil {
		r.errorln("moldau log check: " + err.Error())
		return r.fail(checkUnusable)
	}
	if len(missing) > 0 {
		r.errorln("moldau log check: no partition of topic " + strings.Join(slices.Sorted(maps.Keys(missing)), ", ") + " lies in " + o.Dir)
		return r.fail(checkUnusable)
	}
	left := sum.Damages - sum.Repaired
	if a.json {
		r.printJSON(map[string]any{"partitions": sum.Partitions, "segments": sum.Segments, "batches": sum.Batches, "records": sum.Records, "bytes": sum.Bytes, "damages": sum.Damages, "repaired": sum.Repaired, "notes": sum.Notes})
	} else {
		r.printf("%s: %d partitions, %d segments, %d batches, %d records, %d bytes; ", o.Dir, sum.Partitions, sum.Segments, sum.Batches, sum.Records, sum.Bytes)
		switch {
		case sum.Damages == 0:
			r.println("nothing is wrong")
		case left == 0:
			r.printf("%d damage%s, all repaired\n", sum.Damages, plural(int(sum.Damages)))
		default:
			r.printf("%d damage%s, %d repaired\n", sum.Damages, plural(int(sum.Damages)), sum.Repaired)
		}
	}
	if left > 0 {
		return r.fail(checkDamaged)
	}
	return 0
}

func (r *run) printFinding(f storage.Finding, asJSON bool) {
	if !asJSON {
		kind := "note: "
		if f.Damage {
			kind = "damage: "
		}
		r.println(kind + f.String())
		return
	}
	m := map[string]any{"damage": f.Damage, "derived": f.Derived, "repaired": f.Repaired, "file": f.File, "problem": f.Problem}
	if f.Position >= 0 {
		m["position"] = f.Position
	}
	r.printJSON(m)
}

func (r *run) printJSON(m map[string]any) {
	b, err := json.Marshal(m)
	if err != nil {
		r.errorln(err.Error()) // maps of texts and numbers can be written
		return
	}
	r.println(string(b))
}

// progressBar tells on a terminal how far a check has come, a few times a second.
type progressBar struct {
	*run
	on, shown bool
	last      time.Time
}

const progressEvery = 200 * time.Millisecond

func (b *progressBar) show(done, total int64) {
	if now := b.Now(); b.on && total > 0 && now.Sub(b.last) >= progressEvery {
		b.last, b.shown = now, true
		b.stderr(fmt.Sprintf("\rchecked %d%% of %d MiB ", 100*done/total, total>>20))
	}
}

func (b *progressBar) clear() {
	if b.shown {
		b.shown = false
		b.stderr("\r\x1b[K")
	}
}
