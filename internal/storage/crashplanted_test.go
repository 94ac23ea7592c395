package storage

import (
	"flag"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

var plantAll = flag.Bool("cuts.plant", false, "leave each sync of the code out, one after the other, and see whether it is missed")

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
var passesOn = map[string]bool{"syncFile": true, "writeFile": true, "with": true, "writeCheckpoint": true, "WriteOffsetCheckpoint": true, "saveEpochs": true, "run": true}

func fileSort(name string) string {
	base := strings.TrimSuffix(path.Base(name), ".tmp")
	base = strings.TrimSuffix(base, cleanedSuffix)
	if ext := path.Ext(base); ext != "" && len(base) == segmentNameDigits+len(ext) {
		return ext
	}
	return base
}

// leftOut runs the workload without the syncs of a place, and returns how many cuts show it.
func leftOut(t tb, site string) (missed int, first string) {
	var mu sync.Mutex
	forEachCut(t, func(_ int, o cutOutcome) bool { return o == lost || o == torn }, func(op vfs.Op) error {
		if (op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir) && syncSite(op) == site {
			return vfs.ErrLeftOut
		}
		return nil
	}, func(c cutCase) {
		mu.Lock()
		enough := missed >= 3
		mu.Unlock()
		if enough {
			return
		}
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

// Each sync of the code is left out, one place at a time: the cuts of the power must notice, or the sync is not needed.
func TestEachSyncIsMissed(t *testing.T) {
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
		missed, why := leftOut(t, site)
		fmt.Printf("%-110s %4d times  missed %d: %s\n", site, sites[site], missed, why)
	}
}
