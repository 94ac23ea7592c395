package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// checkDir checks /d and returns what was found.
func checkDir(t tb, fsys vfs.FS, repair bool) ([]Finding, CheckSummary) {
	t.Helper()
	var found []Finding
	sum, err := CheckDir(CheckOptions{FS: fsys, Dir: "/d", Repair: repair, Found: func(f Finding) { found = append(found, f) }})
	if err != nil {
		t.Fatal(err)
	}
	return found, sum
}

// mustBeSound fails when the check finds damage in a directory that has none.
func mustBeSound(t tb, fsys vfs.FS) {
	t.Helper()
	found, _ := checkDir(t, fsys, false)
	for _, f := range found {
		if f.Damage {
			t.Fatalf("the check finds damage where there is none: %v", f)
		}
	}
}

// checkedDir is a directory with one log of everything: segments, producers, transactions, epochs.
func checkedDir(t *testing.T) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	cfg := smallConfig()
	mgr := openManager(t, m, newTestClock(), cfg)
	l, err := mgr.CreateLog(testTP, testID, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mgr.CreateLog(TopicPartition{"t", 1}, testID, cfg, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	epoch, seq := int32(1), int32(0)
	put := func(b record.Batch, origin Origin) {
		if _, err := l.AppendAsLeader(bytes.Clone(b), epoch, origin); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int32(40) {
		if i%10 == 9 {
			epoch++
		}
		ts := epochStart.UnixMilli() + int64(i)*10
		put(batchOf(record.BuilderOptions{HasProducer: true, ProducerID: 5, BaseSequence: seq, Codec: record.Codec(i % 5)}, ts, "value", strings.Repeat("x", int(i))), FromClient)
		seq += 2
		put(inTxn(7, 0, i, "in a transaction"), FromClient)
		put(marker(7, 0, i%2 == 0), FromCoordinator)
	}
	l.SetHighWatermark(l.LogEndOffset())
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	return m
}

func mustRead(t tb, m vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(m, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustWrite(t *testing.T, m vfs.FS, name string, b []byte) {
	t.Helper()
	if err := vfs.WriteFileAtomic(m, name, b); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file's bytes.
func edit(name string, fn func([]byte) []byte) func(*testing.T, vfs.FS) {
	return func(t *testing.T, m vfs.FS) { mustWrite(t, m, name, fn(bytes.Clone(mustRead(t, m, name)))) }
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			b[len(b)+at] ^= 0x55
		} else {
			b[at] ^= 0x55
		}
		return b
	}
}

func cut(n int) func([]byte) []byte    { return func(b []byte) []byte { return b[:len(b)-n] } }
func say(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }

// logsOf is all records of a directory, which a repair must not change.
func logsOf(t tb, m vfs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range strings.Fields(files(t, m, "/d/t-0")) {
		if path.Ext(name) == logSuffix {
			out[name] = string(mustRead(t, m, "/d/t-0/"+name))
		}
	}
	return out
}

// Each kind of file is damaged in turn: the check says what is wrong in which file, a repair makes anew what
// is derived and touches no record, and after it there is nothing more to repair.
func TestCheckFindsEachDamageAndRepairsWhatIsDerived(t *testing.T) {
	whole := checkedDir(t)
	mustBeSound(t, whole)
	logs := logsOf(t, whole)
	var bases []string
	for name := range logs {
		bases = append(bases, strings.TrimSuffix(name, logSuffix))
	}
	slices.Sort(bases)
	if len(bases) < 4 {
		t.Fatal("too few segments", bases)
	}
	in := func(i int, suffix string) string { return "/d/t-0/" + bases[i] + suffix }
	remove := func(name string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, m vfs.FS) {
			if err := m.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	secondBatch := int(int32(binary.BigEndian.Uint32([]byte(logs[bases[1]+logSuffix])[8:]))) + record.LengthPrefixBytes
	for _, c := range []struct {
		name    string
		damage  func(*testing.T, vfs.FS)
		file    string
		problem string
		derived bool
	}{
		{"a bit of a record", edit(in(1, ".log"), flip(secondBatch+70)), in(1, ".log"), "checksum", false},
		{"a batch's length", edit(in(1, ".log"), func(b []byte) []byte { b[secondBatch+8] = 0x7f; return b }), in(1, ".log"), "no whole batch", false},
		{"a batch's offset", edit(in(1, ".log"), func(b []byte) []byte { b[secondBatch+7] -= 2; return b }), in(1, ".log"), "cannot lie in the segment", false},
		{"a batch's offset in the log", edit(in(0, ".log"), func(b []byte) []byte {
			_, rest, _ := record.Next(b)
			_, rest, _ = record.Next(rest)
			record.Batch(rest).SetBaseOffset(0)
			return b
		}), in(0, ".log"), "comes where offset", false},
		{"a batch's epoch", edit(in(2, ".log"), func(b []byte) []byte { record.Batch(b).SetPartitionLeaderEpoch(0); return b }), in(2, ".log"), "leader epoch 0 follows", false},
		{"records that do not unpack", edit(in(0, ".log"), func(b []byte) []byte {
			first, _, _ := record.Next(b)
			first[record.HeaderBytes] ^= 0x7f
			first.UpdateCRC()
			return b
		}), in(0, ".log"), "cannot be unpacked", false},
		{"the end of a closed segment", edit(in(1, ".log"), cut(20)), in(1, ".log"), "no whole batch", false},
		{"the end of the log", edit(in(len(bases)-1, ".log"), cut(20)), in(len(bases)-1, ".log"), "no whole batch", false},
		{"an index entry's position", edit(in(1, ".index"), flip(7)), in(1, ".index"), "entry", true},
		{"an index entry's order", edit(in(1, ".index"), func(b []byte) []byte { copy(b[8:], b[:8]); return b }), in(1, ".index"), "does not rise", true},
		{"half an index entry", edit(in(1, ".index"), cut(3)), in(1, ".index"), "cut short", true},
		{"an index", remove(in(1, ".index")), in(1, ".index"), "missing", true},
		{"a time index entry", edit(in(1, ".timeindex"), flip(6)), in(1, ".timeindex"), "entry", true},
		{"a time index", remove(in(2, ".timeindex")), in(2, ".timeindex"), "missing", true},
		{"a transaction index", remove(in(0, ".txnindex")), in(0, ".txnindex"), "which is not listed", true},
		{"a transaction index entry", edit(in(0, ".txnindex"), flip(9)), in(0, ".txnindex"), "not listed", true},
		{"half a transaction index entry", edit(in(0, ".txnindex"), cut(5)), in(0, ".txnindex"), "cut short", true},
		{"a transaction that was not aborted", edit(in(0, ".txnindex"), func(b []byte) []byte {
			last, _ := parseTxnIndex(b)
			a := last[len(last)-1]
			return appendAbortedTxn(b, AbortedTxn{5, a.LastOffset + 1, a.LastOffset + 1, a.LastOffset + 2})
		}), in(0, ".txnindex"), "was aborted at", true},
		{"a producer snapshot's bit", edit(in(2, ".snapshot"), flip(20)), in(2, ".snapshot"), "checksum", true},
		{"a producer's sequence", edit(in(2, ".snapshot"), func(b []byte) []byte {
			ps, _ := parseSnapshot(b, 0)
			p := ps.byID[5]
			p.batches[p.n-1].lastSeq++
			return ps.encodeSnapshot()
		}), in(2, ".snapshot"), "producer 5 has sequence", true},
		{"a producer snapshot", edit(in(1, ".snapshot"), say("")), in(1, ".snapshot"), "no producer snapshot", true},
		{"the leader epochs", edit("/d/t-0/leader-epoch-checkpoint", say("0\n9\n1 0\n")), "/d/t-0/leader-epoch-checkpoint", "announces", true},
		{"a leader epoch", edit("/d/t-0/leader-epoch-checkpoint", say("0\n2\n1 0\n2 3\n")), "/d/t-0/leader-epoch-checkpoint", "leader epoch", true},
		{"the topic id", edit("/d/t-0/partition.metadata", say("version: 0\ntopic_id: short\n")), "/d/t-0/partition.metadata", "which topic", true},
		{"another topic's id", edit("/d/t-1/partition.metadata", func([]byte) []byte { return encodePartitionMetadata([16]byte{9}) }), "partition.metadata", "had topic id", false},
		{"meta.properties", edit("/d/meta.properties", say("version=7\n")), "/d/meta.properties", "whose directory", false},
		{"no meta.properties", remove("/d/meta.properties"), "/d/meta.properties", "missing", false},
		{"the recovery points", edit("/d/recovery-point-offset-checkpoint", say("0\nx\n")), "/d/recovery-point-offset-checkpoint", "cannot be understood", true},
		{"a recovery point", edit("/d/recovery-point-offset-checkpoint", say("0\n1\nt 0 100000\n")), "/d/recovery-point-offset-checkpoint", "records are lost", false},
		{"a high watermark", edit("/d/replication-offset-checkpoint", say("0\n1\nt 0 100000\n")), "/d/replication-offset-checkpoint", "the file is damaged", false},
		{"a segment's name", func(t *testing.T, m vfs.FS) { mustWrite(t, m, "/d/t-0/17.log", nil) }, "/d/t-0/17.log", "20 digits", false},
		{"a segment that overlaps", func(t *testing.T, m vfs.FS) {
			mustWrite(t, m, "/d/t-0/00000000000000000001.log", []byte(logs[bases[0]+logSuffix]))
		}, "00000000000000000001.log", "ends at", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := whole.KillClone()
			c.damage(t, m)
			before := logsOf(t, m)
			found, sum := checkDir(t, m, false)
			i := slices.IndexFunc(found, func(f Finding) bool {
				return f.Damage && strings.HasSuffix(f.File, c.file) && strings.Contains(f.Problem, c.problem) && f.Derived == c.derived
			})
			if i < 0 || sum.Damages == 0 {
				t.Fatalf("it is not found: %v", found)
			}
			if c.derived && sum.Damages != 1 {
				t.Errorf("more is found than was done: %v", found)
			}
			repaired, _ := checkDir(t, m, true)
			if after := logsOf(t, m); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Fatal("a repair has touched records")
			}
			again, sum := checkDir(t, m, false)
			if c.derived && sum.Damages != 0 {
				t.Fatalf("after the repair (%v) it is still found: %v", repaired, again)
			}
			if slices.ContainsFunc(again, func(f Finding) bool { return f.Derived && f.Damage }) {
				t.Errorf("something derived was not repaired: %v", again)
			}
		})
	}
}

// A repaired directory opens as one that was never damaged.
func TestARepairedDirectoryServesAsBefore(t *testing.T) {
	whole := checkedDir(t)
	read := func(m *vfs.Mem) (map[int64]string, []AbortedTxn) {
		mgr := openManager(t, m, newTestClock(), smallConfig())
		defer func() { _ = mgr.Close(false) }()
		l := mgr.Log(testTP)
		txns, err := l.AbortedTxns(0, l.LogEndOffset())
		if err != nil {
			t.Fatal(err)
		}
		return readFrom(t, l, 0), txns
	}
	records, txns := read(whole.KillClone())
	m := whole.KillClone()
	for _, name := range strings.Fields(files(t, m, "/d/t-0")) {
		switch path.Ext(name) {
		case indexSuffix, timeIndexSuffix, txnIndexSuffix:
			f, err := m.OpenFile("/d/t-0/"+name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("damage"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, sum := checkDir(t, m, true); sum.Repaired == 0 || sum.Repaired != sum.Damages {
		t.Fatalf("%+v", sum)
	}
	again, txnsAgain := read(m)
	if fmt.Sprint(again) != fmt.Sprint(records) || fmt.Sprint(txnsAgain) != fmt.Sprint(txns) {
		t.Fatal("other records or transactions are served after the repair", txns, txnsAgain)
	}
}

// A running node keeps the check out.
func TestCheckIsRefusedWhileANodeRuns(t *testing.T) {
	m := checkedDir(t)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(false) }()
	if _, err := CheckDir(CheckOptions{FS: m, Dir: "/d", Found: func(Finding) {}}); err == nil || !strings.Contains(err.Error(), "is a node running") {
		t.Fatal(err)
	}
}

// What a stop leaves is worth a note and no damage.
func TestCheckNotesLeftovers(t *testing.T) {
	m := checkedDir(t)
	for _, name := range []string{"/d/t-0/00000000000000000000.log.deleted", "/d/t-0/00000000000000000000.index.cleaned", "/d/t-0/00000000000000000000.log.swap", "/d/x.tmp"} {
		mustWrite(t, m, name, nil)
	}
	for _, dir := range []string{"/d/t-3.abc-delete", "/d/t-4.abc-future", "/d/t-5-stray", "/d/whatever"} {
		if err := m.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	found, sum := checkDir(t, m, false)
	if sum.Notes < 8 || sum.Damages != 0 {
		t.Fatal(sum, found)
	}
	one, _ := CheckDir(CheckOptions{FS: m, Dir: "/d", Topic: func(topic string) bool { return topic == "none" }, Found: func(Finding) {}})
	if one.Partitions != 0 || sum.Partitions != 2 {
		t.Fatal(one, sum)
	}
}

// Kafka reserves room in the indexes of the segment that it writes to, and leaves the zeros there when it is killed. A log
// that nobody writes to afterwards must not be handed back with them.
func TestKafkasReserveInAnIndexIsCutOff(t *testing.T) {
	m := checkedDir(t)
	sameBoot := func(o *ManagerOptions) { o.BootID = "boot" }
	if err := openManager(t, m, newTestClock(), smallConfig(), sameBoot).Close(true); err != nil {
		t.Fatal(err)
	}
	active := ""
	for _, name := range strings.Fields(files(t, m, "/d/t-0")) {
		if path.Ext(name) == logSuffix {
			active = "/d/t-0/" + strings.TrimSuffix(name, logSuffix)
		}
	}
	for _, x := range []string{indexSuffix, timeIndexSuffix} {
		mustWrite(t, m, active+x, append(mustRead(t, m, active+x), make([]byte, 240)...))
	}
	if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, m)
	mgr := openManager(t, m, newTestClock(), smallConfig(), sameBoot)
	if mgr.Log(testTP).LogEndOffset() == 0 {
		t.Fatal("the log is empty")
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, m)
}

// A whole segment that is gone from the middle of a log that the cleaner was never in is a loss, and not a remark.
func TestALostSegmentIsDamage(t *testing.T) {
	m := closedLog(t, 60)
	lost := filesOf(t, m, "/d/t-0", logSuffix)[2]
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, snapshotSuffix} {
		if err := m.Remove(strings.TrimSuffix(lost, logSuffix) + suffix); err != nil {
			t.Fatal(err)
		}
	}
	check := func() (CheckSummary, string) {
		var told strings.Builder
		sum, err := CheckDir(CheckOptions{FS: m, Dir: "/d", Found: func(f Finding) { fmt.Fprintln(&told, f.Damage, f) }})
		if err != nil {
			t.Fatal(err)
		}
		return sum, told.String()
	}
	if sum, told := check(); sum.Damages != 1 || !strings.Contains(told, "a segment is lost") {
		t.Fatal(sum, told)
	}
	var out logTo
	mgr := openManager(t, m, newTestClock(), smallConfig(), out.option)
	l := mgr.Log(testTP)
	if got := readFrom(t, l, 0); len(got) >= 60 || len(got) < 40 {
		t.Fatal(len(got))
	}
	readFrom(t, l, 0)
	if n := strings.Count(out.String(), "offsets are missing, readers"); n != 1 {
		t.Fatal("readers pass over it, and it is told this often:", n, out.String())
	}
	_ = mgr.Close(true)
	mustWrite(t, m, "/d/"+cleanerFile, []byte("0\n1\nt 0 40\n"))
	if sum, told := check(); sum.Damages != 0 {
		t.Fatal(told)
	}
	mustWrite(t, m, "/d/"+cleanerFile, []byte("what?"))
	if sum, told := check(); sum.Damages != 1 || strings.Contains(told, "a segment is lost") {
		t.Fatal(told)
	}
}

// A checkpoint that cannot be understood is what remains of it: a repair leaves out the rest, and so does a node.
func TestADamagedCheckpointIsWrittenAnew(t *testing.T) {
	for _, name := range []string{recoveryPointFile, highWatermarkFile, cleanerFile} {
		for _, how := range []string{"a repair", "a node"} {
			m := closedLog(t, 60)
			mustWrite(t, m, "/d/"+name, []byte("0\n2\nt 0 60\nt x"))
			damages := func(repair bool) int64 {
				sum, err := CheckDir(CheckOptions{FS: m, Dir: "/d", Repair: repair, Found: func(Finding) {}})
				if err != nil {
					t.Fatal(err)
				}
				return sum.Damages
			}
			if damages(false) == 0 {
				t.Fatal(name, "is damaged")
			}
			if how == "a repair" {
				damages(true)
			} else {
				mgr := openManager(t, m, newTestClock(), smallConfig())
				waitReady(mgr.Log(testTP))
				if err := mgr.Close(true); err != nil {
					t.Fatal(err)
				}
			}
			if damages(false) != 0 {
				t.Fatalf("%s stays damaged after %s: %q", name, how, mustRead(t, m, "/d/"+name))
			}
		}
	}
}

// A directory on a read-only file system can be checked, and looking at one leaves nothing there.
func TestACheckLeavesNothingBehind(t *testing.T) {
	m := closedLog(t, 60)
	if err := m.Remove("/d/" + lockFile); err != nil {
		t.Fatal(err)
	}
	told := 0
	o := CheckOptions{FS: m, Dir: "/d", Found: func(f Finding) {
		if f.Damage {
			t.Fatal(f)
		}
		told++
	}}
	if _, err := CheckDir(o); err != nil {
		t.Fatal(err)
	}
	if ok, _ := vfs.Exists(m, "/d/"+lockFile); ok || told > 0 {
		t.Fatal("a file was made", told)
	}
	mustWrite(t, m, "/d/"+lockFile, nil)
	o.FS = vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind.Mutates() || op.Kind == vfs.OpLock {
			return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: syscall.EROFS}
		}
		return nil
	})
	if _, err := CheckDir(o); err != nil || told != 1 {
		t.Fatal(err, told)
	}
	o.Repair = true
	if _, err := CheckDir(o); err == nil {
		t.Fatal("a repair without a lock")
	}
	o.FS, o.Repair = m, false
	lock, err := m.Lock("/d/" + lockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if _, err := CheckDir(o); err == nil {
		t.Fatal("checked under a running node")
	}
}

// The directory of another topic of the same name is told from what the last stop has listed.
func TestAnExchangedDirectoryIsTold(t *testing.T) {
	m := closedLog(t, 60)
	mustWrite(t, m, "/d/t-0/"+partitionMetadataFile, encodePartitionMetadata([16]byte{9, 9}))
	found := ""
	if _, err := CheckDir(CheckOptions{FS: m, Dir: "/d", Found: func(f Finding) { found += f.String() }}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(found, "the node that stopped here last had topic id") {
		t.Fatal(found)
	}
}

// In a compacted log the batches below a snapshot may lack what the snapshot knows of a producer.
func TestASnapshotOfACompactedLogIsNoContradiction(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	cfg := smallConfig()
	cfg.Compact, cfg.Delete = true, false
	cfg.MinCleanableDirtyRatio = 0
	clk := newTestClock()
	mgr := openManager(t, m, clk, cfg)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range int32(80) {
		mustAppend(t, l, from(1, 0, i, fmt.Sprint("value ", i)))
	}
	l.SetHighWatermark(80)
	before := l.Size()
	mgr.StartCleaner()
	clk.Advance(time.Minute)
	for range 1000 {
		if l.Size() < before/2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if l.Size() >= before/2 || l.NumSegments() < 2 {
		t.Fatal("nothing was cleaned", before, l.Size(), l.NumSegments())
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, err := CheckDir(CheckOptions{FS: m, Dir: "/d", Found: func(f Finding) {
		if f.Damage {
			t.Error(f)
		}
	}}); err != nil {
		t.Fatal(err)
	}
}

// A partition whose topic the metadata log does not know, or knows by another name, is told: a backup of another cluster was put there, or a
// directory was renamed. After a kill the metadata may lag behind, and an unknown topic is only worth knowing.
func TestAPartitionOfNoTopicIsTold(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for topics, want := range map[string]string{"t": "", "other": "gives to topic other", "none": "no topic of the metadata log", "unknown": ""} {
			m := closedLog(t, 60)
			if !clean {
				if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
					t.Fatal(err)
				}
			}
			ids := map[[16]byte]string{testID: topics}
			switch topics {
			case "none":
				ids = map[[16]byte]string{}
			case "unknown":
				ids = nil
			}
			found, damages := "", 0
			_, err := CheckDir(CheckOptions{FS: m, Dir: "/d", TopicIDs: func() (map[[16]byte]string, error) { return ids, nil }, Found: func(f Finding) {
				found += f.String()
				if f.Damage {
					damages++
				}
			}})
			if err != nil || !strings.Contains(found, want) || want == "" && found != "" || want != "" && (damages > 0) != (clean || topics == "other") {
				t.Fatal(clean, topics, found, damages, err)
			}
		}
	}
}
