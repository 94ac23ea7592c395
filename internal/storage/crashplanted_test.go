package storage

import (
	"flag"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

var (
	plantAll  = flag.Bool("cuts.plant", false, "leave each sync of the code out, one after the other, and see whether it is missed")
	plantSite = flag.String("cuts.site", "", "of those, only the ones that contain this")
)

// syncSite names the place in the code that asks for a sync: functions of this package from the inside out, without those that only
// pass it on, and the kind of file.
func syncSite(op vfs.Op) string {
	pcs := make([]uintptr, 40)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var chain []string
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		pkg, fn, _ := strings.Cut(name, ".")
		switch {
		case pkg == "vfs" && (fn == "WriteFileAtomic" || fn == "writeSynced"):
			chain = append(chain, fn)
		case pkg != "storage" || strings.HasSuffix(f.File, "_test.go"):
		case !passesOn[strings.TrimLeft(fn[strings.LastIndexByte(fn, ')')+1:], ".")] && !strings.Contains(fn, ".func"):
			chain = append(chain, fn)
		}
		if !more || len(chain) > 0 && !strings.HasPrefix(chain[len(chain)-1], "rite") && len(chain) >= 2 {
			break
		}
	}
	kind := string(op.Kind)
	if op.Kind == vfs.OpSync {
		kind += " " + fileSort(op.Name)
	}
	return kind + " < " + strings.Join(chain, " < ")
}

// passesOn are functions that sync what their callers name.
var passesOn = map[string]bool{"syncFile": true, "writeFile": true, "with": true, "writeCheckpoint": true, "replaceCheckpoint": true, "WriteOffsetCheckpoint": true, "saveEpochs": true, "run": true}

func fileSort(name string) string {
	base := strings.TrimSuffix(path.Base(name), ".tmp")
	base = strings.TrimSuffix(base, cleanedSuffix)
	if ext := path.Ext(base); ext != "" && len(base) == segmentNameDigits+len(ext) {
		return ext
	}
	return base
}

// enoughMissed failed cuts say that a sync is missed.
const enoughMissed = 3

// leftOut runs the workload without the syncs of a place, and returns how many cuts show it. Where a few outcomes of each cut
// do not, there are more ways to tear what was not synced.
func leftOut(t tb, site string) (missed int, first string) {
	missed, first = cutsWithout(t, site, func(o cutOutcome) bool { return o != kept && o != killed && o <= torn })
	if missed == 0 {
		missed, first = cutsWithout(t, site, func(o cutOutcome) bool { return o > torn })
	}
	return missed, first
}

func cutsWithout(t tb, site string, with func(cutOutcome) bool) (missed int, first string) {
	var mu sync.Mutex
	forEachCut(t, func(_ int, o cutOutcome) bool {
		mu.Lock()
		defer mu.Unlock()
		return missed < enoughMissed && with(o)
	}, func(op vfs.Op) error {
		if (op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir) && syncSite(op) == site {
			return vfs.ErrLeftOut
		}
		return nil
	}, func(c cutCase) {
		if err := c.check.verify(); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if missed++; first == "" {
				first, _, _ = strings.Cut(err.Error(), "\n")
			}
		}
	})
	return missed, first
}

// notMissed are the syncs that the cuts do not notice, and why they are there. File and directory syncs of WriteFileAtomic
// come together: it is the one way to replace a small file.
var notMissed = map[string]string{
	"sync .index < (*Log).saveForCheckpoint < (*logDir).secure":                         "without its index a segment is checked from its beginning, which takes longer",
	"sync .index < (*Log).saveForCheckpoint < (*Log).pointToNote":                       "as above",
	"sync .snapshot < (*Log).replayProducers < (*Log).loadProducers":                    "a broken one is found where it is read, and the next older is taken",
	"syncdir < (*Future).finish < (*Future).Swap":                                       "announce has replaced checkpoints in the same directory just before; this one does not rely on their having changed",
	"sync moldau-touched-logs < (*logDir).syncTouched < (*logDir).touch":                "a log that seems untouched is still checked from the end that the last stop has noted, and one that is shorter is found damaged: the sync spares it being taken for one that ended in order when the disk has refused the note's page",
	"syncdir < (*logDir).noteBoot < (*logDir).recovered":                                "without the file a power cut looks like a failed sync, which takes longer",
	"syncdir < (*logDir).noteBoot < (*logDir).startRecovery":                            "as above",
	"syncdir < WriteFileAtomic < (*Future).announce":                                    "finish syncs the same directory before the log loses its name",
	"syncdir < WriteFileAtomic < (*logDir).notePointsOf":                                "an older recovery point is as true, and more is checked",
	"syncdir < (*Log).syncActiveName < (*Log).tryRoll":                                  "for file systems that do not keep names in order: TestARollLeavesNoSegmentAlone",
	"syncdir < WriteFileAtomic < (*Log).setState":                                       "a copy is synced whole before it takes the log's place",
	"sync moldau-checkpoint-sums < (*logDir).writeSums < (*logDir).noteMarker":          "without it the file speaks of another stop, and nothing is vouched for",
	"sync .timeindex < (*Log).saveForCheckpoint < (*logDir).secure":                     "as for the checkpoint, where it is missed; the segment is one that is to be cleaned",
	"sync .kafka_cleanshutdown < writeSynced < WriteFileAtomic":                         "a torn marker says that the stop was not orderly: the next start takes longer",
	"sync .index < (*segment).remakeIndexes < (*opener).checkSegment":                   "only where something else than the power has taken an index that was on the disk",
	"sync .timeindex < (*segment).remakeIndexes < (*opener).checkSegment":               "as above",
	"sync moldau-future-complete < writeSynced < WriteFileAtomic":                       "the file is empty",
	"sync moldau-boot-id < (*logDir).noteBoot < (*logDir).recovered":                    "without it a power cut looks like a failed sync: what is unsynced is written anew, which takes longer",
	"sync moldau-boot-id < (*logDir).noteBoot < (*logDir).startRecovery":                "as above",
	"sync moldau-clean-logs < (*logDir).writeCleanState < (*logDir).writeCleanShutdown": "its checksums tell what the power leaves of it; it is there for logs whose directories are gone later",
	"syncdir < (*Log).replaceSegments < (*cleaning).cleanGroup":                         "for file systems that do not keep names in order",
	"syncdir < WriteFileAtomic < (*Manager).checkpointHighWatermarks":                   "an older high watermark does no harm",
	"syncdir < WriteFileAtomic < (*Log).keepStateAt":                                    "for file systems that do not keep names in order: the names of what goes are synced after it",
	"syncdir < WriteFileAtomic < (*Manager).checkpointRecoveryPoints":                   "an older recovery point is as true, and more is checked",
	"syncdir < WriteFileAtomic < (*Manager).checkpointStartOffsets":                     "what was promised is written by noteStartOffsets",
	"syncdir < WriteFileAtomic < (*logDir).noteCleaned":                                 "an older place only has the cleaner do more; that there is one, the next checkpoint's sync makes sure",
	"syncdir < WriteFileAtomic < (*logDir).notePoints":                                  "without it, more is checked",
	"syncdir < WriteFileAtomic < (*logDir).writeCleanShutdown":                          "as for the marker's bytes",
}

// Each sync of the code is left out, one place at a time: the cuts of the power must notice, or the table says why not.
func TestEachSyncIsMissed(t *testing.T) {
	if !*plantAll {
		t.Skip("it takes minutes; make crash-syncs runs it")
	}
	var mu sync.Mutex
	sites := map[string]int{}
	forEachCut(t, func(int, cutOutcome) bool { return false }, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir {
			mu.Lock()
			defer mu.Unlock()
			sites[syncSite(op)]++
		}
		return nil
	}, nil)
	for _, site := range slices.Sorted(maps.Keys(sites)) {
		if !strings.Contains(site, *plantSite) {
			continue
		}
		missed, first := leftOut(t, site)
		why, excused := notMissed[site]
		t.Logf("%s (%d times): missed by %d cuts: %s%s", site, sites[site], missed, first, why)
		if missed == 0 && !excused {
			t.Errorf("%s can be left out and no cut of the power notices", site)
		}
	}
	for site := range notMissed {
		if sites[site] == 0 && *plantSite == "" {
			t.Errorf("%s is in the table, and is not there any more", site)
		}
	}
}
