package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// plant writes a file as a person or another program would, durably.
func plant(t tb, m *vfs.Mem, name string, data []byte) {
	t.Helper()
	if err := writeFile(m, name, data, true); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir(name[:strings.LastIndexByte(name, '/')]); err != nil {
		t.Fatal(err)
	}
}

// A segment lies in the directory that begins far behind the log's end: empty, with records, or with garbage. The log ends
// where it ended, after an orderly stop as after a crash, and what may hold records is kept.
func TestASegmentFromTheFuture(t *testing.T) {
	const future = 1 << 40
	far := values(1, "from the future")
	far.SetBaseOffset(future)
	for what, data := range map[string][]byte{"empty": nil, "records": far, "garbage": []byte(strings.Repeat("x", 300))} {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s clean=%v", what, clean), func(t *testing.T) {
				m := closedLog(t, 60)
				plant(t, m, "/d/t-0/"+segmentName(future)+logSuffix, data)
				if !clean {
					if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
						t.Fatal(err)
					}
				}
				mgr := openManager(t, m, newTestClock(), smallConfig())
				l := mgr.Log(testTP)
				if end := l.LogEndOffset(); end != 60 || len(readFrom(t, l, 0)) != 60 || l.HighWatermark() != 60 {
					t.Fatal(end, l.HighWatermark())
				}
				if kept := len(filesOf(t, m, "/d/t-0", damagedSuffix)); kept != 1 && what == "records" {
					t.Fatal(kept, files(t, m, "/d/t-0"))
				}
				mustAppend(t, l, values(1, "on"))
				if err := mgr.Close(true); err != nil {
					t.Fatal(err)
				}
				mgr = openManager(t, m, newTestClock(), smallConfig())
				if end := mgr.Log(testTP).LogEndOffset(); end != 61 {
					t.Fatal(end)
				}
				_ = mgr.Close(true)
			})
		}
	}
}

// Whatever is left of one of the directory's small files, no record is lost, and the file is whole again after a stop.
func TestHalfWrittenSmallFilesCostNoRecords(t *testing.T) {
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile, cleanerFile, cleanStateFile, touchedFile, bootFile, cleanShutdownFile, sumsFile,
		"t-0/" + leaderEpochFile} {
		t.Run(name, func(t *testing.T) {
			intact := closedLog(t, 60)
			full := "/d/" + name
			data, err := vfs.ReadFile(intact, full)
			if errors.Is(err, fs.ErrNotExist) {
				data, err = []byte("0\n1\nt 0 7\n"), nil
			}
			if err != nil {
				t.Fatal(err)
			}
			for n := range len(data) + 1 {
				for _, what := range [][]byte{data[:n], append(append([]byte{}, data[:n]...), make([]byte, len(data)-n)...)} {
					m := intact.KillClone()
					plant(t, m, full, what)
					mgr := openManager(t, m, newTestClock(), smallConfig())
					l := mgr.Log(testTP)
					start := l.LogStartOffset()
					if got := readFrom(t, l, start); len(got) != 60-int(start) || start > 7 || l.TopicID() != testID {
						t.Fatalf("%d bytes left of %q: %d records from %d on, %v", n, data, len(got), start, l.Err())
					}
					mustAppend(t, l, values(1, "on"))
					if err := mgr.Close(true); err != nil {
						t.Fatal(err)
					}
					mgr = openManager(t, m, newTestClock(), smallConfig())
					if end := mgr.Log(testTP).LogEndOffset(); end != 61 {
						t.Fatal(n, end)
					}
					_ = mgr.Close(true)
				}
			}
		})
	}
}

// A small file is damaged while the node runs: nobody reads it, and the next checkpoint replaces it.
func TestSmallFilesDamagedAtRunTimeAreReplaced(t *testing.T) {
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile, cleanerFile, "t-0/" + leaderEpochFile} {
		m := vfs.NewMem()
		format(t, m, "/d")
		mgr := openManager(t, m, newTestClock(), smallConfig())
		l := mustCreate(t, mgr, testTP, 0)
		mustAppend(t, l, values(1, "one", "two"))
		if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
			t.Fatal(err)
		}
		plant(t, m, "/d/"+name, []byte("0\n9"))
		for range 30 {
			mustAppend(t, l, values(1, "three of some length", "four of some length"))
		}
		if _, err := l.AppendAsLeader(values(1, "five"), 2, FromClient); err != nil {
			t.Fatal(err)
		}
		l.SetHighWatermark(50)
		if err := errors.Join(l.AdvanceLogStartOffset(2), mgr.dirs[0].noteCleaned(l, 5, l.cuts()), l.Flush(), mgr.CheckpointAll()); err != nil {
			t.Fatal(err)
		}
		cut := m.CrashClone()
		_ = mgr.Close(true)
		mgr = openManager(t, cut, newTestClock(), smallConfig())
		l = mgr.Log(testTP)
		if e, _ := l.LatestEpoch(); l.LogStartOffset() != 2 || len(readFrom(t, l, 2)) != 61 || l.HighWatermark() != 50 || e != 2 {
			t.Fatal(name, l.LogStartOffset(), l.HighWatermark(), l.LogEndOffset(), e)
		}
		if data, err := vfs.ReadFile(cut, "/d/"+name); err != nil || string(data) == "0\n9" {
			t.Fatal(name, string(data), err)
		}
		_ = mgr.Close(true)
	}
}

// Half of meta.properties: at a start the node says which file it is; while it runs the directory goes out of use, alone.
func TestHalfWrittenMetaProperties(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	whole, err := vfs.ReadFile(m, "/a/meta.properties")
	if err != nil {
		t.Fatal(err)
	}
	half := whole[:strings.Index(string(whole), "directory.id")+14]
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), twoDirs)
	in := [2]*Log{mustCreate(t, mgr, testTP, 1), mustCreate(t, mgr, TopicPartition{"t", 1}, 2)}
	mustAppend(t, in[0], values(1, "one"))
	plant(t, m, "/a/meta.properties", half)
	for in[0].Err() == nil {
		clk.Advance(time.Second) // until the directory is tried out
	}
	if d := mgr.Dirs(); d[0].Err == nil || d[1].Err != nil {
		t.Fatal(d)
	}
	mustAppend(t, in[1], values(1, "one"))
	_ = mgr.Close(true)
	_, err = OpenManager(ManagerOptions{FS: m, Clock: clk, Dirs: []string{"/a", "/b"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig()})
	if err == nil || !strings.Contains(err.Error(), "/a/meta.properties") {
		t.Fatal(err)
	}
	plant(t, m, "/a/meta.properties", whole)
	mgr = openManager(t, m, clk, smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(true) }()
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 1 {
		t.Fatal(got)
	}
}

// A directory that can only be read is left out at the start, with the reason; if it is the only one, the node does not start.
func TestAReadOnlyDirectoryAtTheStart(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	mustAppend(t, mustCreate(t, mgr, testTP, 1), values(1, "one"))
	mustAppend(t, mustCreate(t, mgr, TopicPartition{"t", 1}, 2), values(1, "one"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewFault(m, vfs.ReadOnly("/a"))
	mgr = openManager(t, fsys, newTestClock(), smallConfig(), twoDirs)
	if d := mgr.Dirs(); !errors.Is(d[0].Err, syscall.EROFS) || d[1].Err != nil || mgr.Log(testTP) != nil {
		t.Fatal(d)
	}
	mustAppend(t, mgr.Log(TopicPartition{"t", 1}), values(1, "two"))
	_ = mgr.Close(true)
	_, err := OpenManager(ManagerOptions{FS: fsys, Clock: newTestClock(), Dirs: []string{"/a"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig()})
	wantErr(t, err, syscall.EROFS)
	mgr = openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(true) }()
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 1 {
		t.Fatal("a start that could not write has cost records", got)
	}
}

// After a kill under the same boot, segments of many MiB are gone through by their headers; only the last MiB is read in full.
func TestRecoveryByHeadersOfLargeSegments(t *testing.T) {
	const batches, batchBytes = 24, 512 << 10
	boot := func(o *ManagerOptions) { o.BootID = "A" }
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), DefaultLogConfig(), boot)
	if err := mgr.Close(true); err != nil { // an orderly stop before, which the touched logs are told from
		t.Fatal(err)
	}
	cfg := DefaultLogConfig()
	cfg.SegmentBytes = 4 << 20
	mgr = openManager(t, m, newTestClock(), cfg, boot)
	l := mustCreate(t, mgr, testTP, 0)
	value := strings.Repeat("v", batchBytes)
	for range batches {
		mustAppend(t, l, values(1, value))
	}
	if l.NumSegments() < 3 {
		t.Fatal(l.NumSegments())
	}
	name := l.active().path(kindLog)
	size := int(l.active().size)
	killed := m.KillClone()
	_ = mgr.Close(false)
	for what, torn := range map[string]int{"whole": 0, "torn": 1000} {
		image := killed.KillClone()
		if torn > 0 {
			f, err := image.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Truncate(int64(size-torn)), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
		var read atomic.Int64
		fsys := vfs.NewFault(image, func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, logSuffix) {
				read.Add(int64(op.Len))
			}
			return nil
		})
		mgr := openManager(t, fsys, newTestClock(), cfg, boot)
		l := mgr.Log(testTP)
		want := int64(batches)
		if torn > 0 {
			want--
		}
		if end := l.LogEndOffset(); end != want {
			t.Fatal(what, end)
		}
		// A last MiB, and one batch more, of each of the segments that were not synced whole.
		if bound := int64(l.NumSegments()) * (tornTailBytes + 4*batchBytes); read.Load() > bound || read.Load() > batches*batchBytes {
			t.Errorf("%s: %d bytes read of %d", what, read.Load(), batches*batchBytes)
		}
		_ = mgr.Close(true)
	}
}

// A log moves from directory to directory while it is written to, and the process is killed at any time: what was
// acknowledged is there, once, in one of them.
func TestMovesUnderLoadSurviveKills(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	for round := range 25 {
		clk.Advance(time.Second) // the names of what is on its way out go by it
		mgr := openManager(t, m, clk, smallConfig(), twoDirs)
		var lead sync.RWMutex // as package replica holds the role still over a swap
		l := mgr.Log(testTP)
		if l == nil {
			l = mustCreate(t, mgr, testTP, 1)
		}
		from := l.LogEndOffset()
		if got := int64(len(readFrom(t, l, 0))); got != from {
			t.Fatalf("round %d: %d records up to offset %d", round, got, from)
		}
		var acked atomic.Int64
		acked.Store(from)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				lead.RLock()
				log := mgr.Log(testTP)
				info, err := log.AppendAsLeader(values(1, fmt.Sprintf("value %s", strings.Repeat("v", 40))), 1, FromClient)
				if err == nil {
					log.SetHighWatermark(info.LastOffset + 1)
					acked.Store(info.LastOffset + 1)
				}
				lead.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		moves := mgr.ResumeMoves()
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				var f *Future
				if len(moves) > 0 {
					f, moves = moves[0], moves[1:]
				} else {
					var err error
					if f, err = mgr.BeginMove(testTP, []string{"/a", "/b"}[n%2]); err != nil {
						t.Error(err)
						return
					}
				}
				for f != nil {
					if n, err := f.Copy(2000, false); err != nil {
						t.Error(err)
						return
					} else if n > 0 {
						continue
					}
					lead.Lock()
					_, err := f.Swap()
					lead.Unlock()
					if err != nil {
						t.Error(err)
					}
					break
				}
			}
		})
		for acked.Load() < from+int64(5+r.IntN(40)) && !t.Failed() {
			time.Sleep(50 * time.Microsecond)
		}
		sure := acked.Load()
		m2 := m.KillClone()
		close(stop)
		wg.Wait()
		_ = mgr.Close(false)
		if t.Failed() {
			return
		}
		m = m2
		clk.Advance(time.Second)
		check := openManager(t, m, clk, smallConfig(), twoDirs)
		if l := check.Log(testTP); l == nil || l.LogEndOffset() < sure {
			t.Fatalf("round %d: acknowledged up to %d: %s %s", round, sure, files(t, m, "/a"), files(t, m, "/b"))
		}
		_ = check.Close(r.IntN(2) == 0)
	}
}

// closedLogWithID is a closed log that knows of which topic it is.
func closedLogWithID(t *testing.T, records int) *vfs.Mem {
	t.Helper()
	m := closedLog(t, records)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	if err := mgr.Log(testTP).SetTopicID(testID); err != nil {
		t.Fatal(err)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	return m
}

// A partition's directory that is gone is told of, unless another topic has taken the name.
func TestAMissingDirectoryIsToldOf(t *testing.T) {
	for _, same := range []bool{true, false} {
		m := closedLogWithID(t, 60)
		if err := m.RemoveAll("/d/t-0"); err != nil {
			t.Fatal(err)
		}
		var out logTo
		mgr := openManager(t, m, newTestClock(), smallConfig(), out.option)
		id := testID
		if !same {
			id = [16]byte{9}
		}
		if _, err := mgr.CreateLog(testTP, id, smallConfig(), [16]byte{}); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(out.String(), "records are lost"); told != same {
			t.Fatal(out.String())
		}
		_ = mgr.Close(true)
	}
}

// A log that this node has deleted is no loss, though it dies, and dies again, before the checkpoints forget the log.
func TestADeletedLogIsNotMissing(t *testing.T) {
	m := closedLogWithID(t, 60)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	_ = mgr.Close(false)
	var out logTo
	for range 3 {
		clk := newTestClock()
		mgr = openManager(t, m, clk, smallConfig(), out.option)
		clk.Advance(time.Second)
		_ = mgr.Close(false)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig(), out.option)
	defer func() { _ = mgr.Close(true) }()
	if _, err := mgr.CreateLog(testTP, testID, smallConfig(), [16]byte{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "records are lost") {
		t.Fatal(out.String())
	}
}

// A directory that comes while the node runs, by a link or from a backup, keeps what it holds.
func TestSegmentsInANewPartitionsDirectoryAreKept(t *testing.T) {
	m := closedLog(t, 60)
	if err := m.Rename("/d/t-0", "/d/away"); err != nil {
		t.Fatal(err)
	}
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(true) }()
	if err := m.Rename("/d/away", "/d/t-0"); err != nil {
		t.Fatal(err)
	}
	// A segment less: the cleaner may have been at work.
	names := filesOf(t, m, "/d/t-0", logSuffix)
	if err := m.Remove(names[1]); err != nil {
		t.Fatal(err)
	}
	l := mustCreate(t, mgr, testTP, 0)
	if l.LogEndOffset() != 60 || len(filesOf(t, m, "/d/t-0", damagedSuffix)) != 0 || len(readFrom(t, l, 0)) < 40 {
		t.Fatal(l.LogEndOffset(), files(t, m, "/d/t-0"))
	}
}

func TestOnlyPartitionsNamesAreTaken(t *testing.T) {
	for name, ok := range map[string]bool{"t-0": true, "t-10": true, "a-b-3": true, "t-00": false, "t-01": false, "t-+1": false, "t-": false, "-1": false, "t-2147483648": false} {
		if _, err := ParseTopicPartition(name); (err == nil) != ok {
			t.Error(name, err)
		}
	}
}

// As Kafka does, a partition's directory may be a link.
func TestAPartitionBehindALinkIsServed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	fsys := vfs.OS{}
	format(t, fsys, dir)
	here := func(o *ManagerOptions) { o.Dirs = []string{dir} }
	mgr := openManager(t, fsys, newTestClock(), smallConfig(), here)
	mustAppend(t, mustCreate(t, mgr, testTP, 0), values(1, "one"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir+"/t-0", elsewhere+"/t-0"), os.Symlink(elsewhere+"/t-0", dir+"/t-0")); err != nil {
		t.Skip("no links here:", err)
	}
	mgr = openManager(t, fsys, newTestClock(), smallConfig(), here)
	defer func() { _ = mgr.Close(true) }()
	if l := mgr.Log(testTP); l == nil || len(readFrom(t, l, 0)) != 1 {
		t.Fatal("it is not found")
	}
}

// Out of descriptors for a moment: the append is refused, and nothing else is lost.
func TestAppendsSurviveTheWantOfDescriptors(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var s switchable
	mgr := openManager(t, vfs.NewFault(m, s.ask), newTestClock(), smallConfig(), func(o *ManagerOptions) { o.MaxOpenFiles = 1 })
	defer func() { _ = mgr.Close(true) }()
	l := mustCreate(t, mgr, testTP, 0)
	mustAppend(t, l, values(1, "one"))
	mustAppend(t, mustCreate(t, mgr, TopicPartition{"t", 1}, 0), values(1, "takes the descriptor"))
	s.set(func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate {
			return syscall.EMFILE
		}
		return nil
	})
	_, err := l.AppendAsLeader(values(1, "two"), 1, FromClient)
	wantErr(t, err, ErrStorage, syscall.EMFILE)
	s.set(func(vfs.Op) error { return nil })
	mustAppend(t, l, values(1, "two"))
	if l.Err() != nil || mgr.Dirs()[0].Err != nil || len(readFrom(t, l, 0)) != 2 {
		t.Fatal(l.Err(), mgr.Dirs()[0].Err)
	}
}
