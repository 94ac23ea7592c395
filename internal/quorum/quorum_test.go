package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chance is a source of ids that never repeats, across restarts too.
type chance struct{ n *atomic.Int64 }

func newChance() chance { return chance{new(atomic.Int64)} }

func (c chance) UUID() meta.UUID {
	n := c.n.Add(1)
	return meta.UUID{0: 0xCC, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}
func (c chance) IntN(n int) int { return int(c.n.Add(1)) % n }

const testDir = "/data"

func testConfig(fsys vfs.FS, ids chance) Config {
	return Config{
		FS: fsys, Dir: testDir, NodeID: 1, Clock: clock.NewFake(time.Unix(1_700_000_000, 0)),
		Controller: controller.Config{ClusterID: "C", LocalBroker: true, DeleteTopicEnable: true, Random: ids},
	}
}

func startNode(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func call[R kmsg.Response](t testing.TB, n *Node, req kmsg.Request) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := n.Call(ctx, RequestContext{Local: true}, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(R)
}

func registerBroker(t testing.TB, n *Node, life byte) int64 {
	t.Helper()
	r := kmsg.NewPtrBrokerRegistrationRequest()
	r.BrokerID, r.ClusterID, r.IncarnationID, r.LogDirs = 1, "C", meta.UUID{0xB, life}, [][16]byte{{0xD}}
	for _, f := range meta.AdvertisedFeatures() {
		kf := kmsg.NewBrokerRegistrationRequestFeature()
		kf.Name, kf.MinSupportedVersion, kf.MaxSupportedVersion = f.Name, f.MinSupportedVersion, f.MaxSupportedVersion
		r.Features = append(r.Features, kf)
	}
	resp := call[*kmsg.BrokerRegistrationResponse](t, n, r)
	if resp.ErrorCode != 0 {
		t.Fatalf("registration: error %d", resp.ErrorCode)
	}
	hb := kmsg.NewPtrBrokerHeartbeatRequest()
	hb.BrokerID, hb.BrokerEpoch, hb.CurrentMetadataOffset = 1, resp.BrokerEpoch, resp.BrokerEpoch
	if h := call[*kmsg.BrokerHeartbeatResponse](t, n, hb); h.ErrorCode != 0 || h.IsFenced {
		t.Fatalf("heartbeat: %+v", h)
	}
	return resp.BrokerEpoch
}

func createRequest(names ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	for _, name := range names {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 2, 1
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func createTopic(t testing.TB, n *Node, name string) {
	t.Helper()
	if r := call[*kmsg.CreateTopicsResponse](t, n, createRequest(name)).Topics[0]; r.ErrorCode != 0 {
		t.Fatalf("%s: error %d", name, r.ErrorCode)
	}
}

func topicNames(img *meta.Image) []string {
	var out []string
	img.Topics(func(t *meta.Topic) bool {
		out = append(out, t.Name)
		return true
	})
	return out
}

func TestANewNodeLeadsAndAnswersAndRemembers(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	n := startNode(t, testConfig(mem, ids))
	if id, epoch := n.Leader(); id != 1 || epoch != 1 {
		t.Errorf("leader %d in epoch %d", id, epoch)
	}
	if n.Image().MetadataVersion() != meta.LatestMetadataVersion || !n.Image().ELREnabled() {
		t.Errorf("bootstrapped features: %v", n.Image().Features())
	}
	epoch := registerBroker(t, n, 1)
	createTopic(t, n, "a")
	if n.Image().Topic("a") == nil {
		t.Error("the reply left before the image was there")
	}
	if got := n.Image().Broker(1).Epoch; got != epoch {
		t.Errorf("broker epoch %d, the reply said %d", got, epoch)
	}
	q, err := n.DescribeQuorum(context.Background())
	if err != nil || q.LeaderID != 1 || q.HighWatermark != n.LogEndOffset() || len(q.CurrentVoters) != 1 || q.CurrentVoters[0].LogEndOffset != q.HighWatermark {
		t.Errorf("quorum %+v, %v", q, err)
	}
	closeNode(t, n)
	if _, err := n.Call(context.Background(), RequestContext{}, createRequest("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	state, err := vfs.ReadFile(mem, path.Join(testDir, logDirName, quorumStateName))
	want := `{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}`
	if err != nil || string(state) != want {
		t.Errorf("quorum-state %s, %v", state, err)
	}

	again := startNode(t, testConfig(mem, ids))
	defer closeNode(t, again)
	if _, e := again.Leader(); e != 2 {
		t.Errorf("epoch %d after a restart", e)
	}
	if !slices.Equal(topicNames(again.Image()), []string{"a"}) {
		t.Errorf("topics %v", topicNames(again.Image()))
	}
	registerBroker(t, again, 2)
	createTopic(t, again, "b")
}

func mustMkdir(t testing.TB, fsys vfs.FS) {
	t.Helper()
	err := fsys.MkdirAll(testDir, 0o755)
	if err == nil {
		err = fsys.SyncDir("/")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubscribersSeeEveryStepInOrder(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	n := startNode(t, testConfig(mem, newChance()))
	defer closeNode(t, n)
	registerBroker(t, n, 1)
	createTopic(t, n, "before")
	var seen []string
	last := int64(-1)
	calls := 0
	n.Subscribe(func(img *meta.Image, d *meta.Delta) {
		calls++
		if img.Offset() < last {
			t.Errorf("offset %d after %d", img.Offset(), last)
		}
		last = img.Offset()
		for _, td := range d.ChangedTopics {
			seen = append(seen, td.Topic.Name)
		}
	})
	if calls != 1 || !slices.Equal(seen, []string{"before"}) {
		t.Errorf("Subscribe returned after %d calls, which showed %v", calls, seen)
	}
	for i := range 20 {
		createTopic(t, n, fmt.Sprint("t", i))
		if len(seen) != i+2 || seen[i+1] != fmt.Sprint("t", i) {
			t.Fatalf("the reply to creation %d left before the subscriber had seen it: %v", i, seen)
		}
	}
}

func TestManyCallersShareASync(t *testing.T) {
	var syncs atomic.Int64
	slow := vfs.NewFault(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, WALName) {
			syncs.Add(1)
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	mustMkdir(t, slow)
	n := startNode(t, testConfig(slow, newChance()))
	defer closeNode(t, n)
	registerBroker(t, n, 1)
	before := syncs.Load()
	var wg sync.WaitGroup
	const callers = 200
	for i := range callers {
		wg.Go(func() { createTopic(t, n, fmt.Sprint("t", i)) })
	}
	wg.Wait()
	if n.Image().NumTopics() != callers {
		t.Errorf("%d topics", n.Image().NumTopics())
	}
	if got := syncs.Load() - before; got > callers/2 {
		t.Errorf("%d syncs for %d requests at once", got, callers)
	}
}

func TestARepliedRefusalRestsOnWhatIsCommitted(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	n := startNode(t, testConfig(mem, newChance()))
	defer closeNode(t, n)
	registerBroker(t, n, 1)
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 20 {
		wg.Go(func() {
			r := call[*kmsg.CreateTopicsResponse](t, n, createRequest("same")).Topics[0]
			if r.ErrorCode == 0 {
				won.Add(1)
			} else if n.Image().Topic("same") == nil {
				t.Error("told that the topic exists before it does")
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers created the same topic", won.Load())
	}
}

func TestSnapshotsLetGoOfTheRaftLogAndOfOldSegments(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	cfg := testConfig(mem, ids)
	cfg.SnapshotBytes, cfg.RetentionBytes = 4000, 12_000
	n := startNode(t, cfg)
	registerBroker(t, n, 1)
	for i := range 200 {
		createTopic(t, n, fmt.Sprintf("t%03d", i))
		if i%3 == 0 {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.Version, req.TopicNames = 5, []string{fmt.Sprintf("t%03d", i)}
			call[*kmsg.DeleteTopicsResponse](t, n, req)
		}
		if i%10 == 0 {
			awaitSnapshot(t, n)
		}
	}
	awaitSnapshot(t, n)
	want := topicNames(n.Image())
	closeNode(t, n)
	snaps, err := listSnapshots(mem, path.Join(testDir, logDirName))
	if err != nil || len(snaps) == 0 {
		t.Fatalf("snapshots %v, %v", snaps, err)
	}
	if data, _ := vfs.ReadFile(mem, path.Join(testDir, WALName)); len(data) > 40_000 {
		t.Errorf("the Raft log has grown to %d bytes", len(data))
	}
	if b, err := vfs.Exists(mem, path.Join(testDir, logDirName, "00000000000000000000.log")); err != nil || b {
		t.Errorf("the first segment is still there (%v)", err)
	}
	again := startNode(t, cfg)
	if got := topicNames(again.Image()); !slices.Equal(got, want) {
		t.Errorf("after a restart %d topics instead of %d", len(got), len(want))
	}
	closeNode(t, again)

	// The newest snapshot is damaged: the one before it and the log behind it will do.
	if snaps, err = listSnapshots(mem, path.Join(testDir, logDirName)); err != nil {
		t.Fatal(err)
	}
	name := path.Join(testDir, logDirName, snaps[len(snaps)-1].name())
	data, err := vfs.ReadFile(mem, name)
	if err == nil {
		data[len(data)/2] ^= 1
		err = vfs.WriteFileAtomic(mem, name, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(snaps) > 1 {
		third := startNode(t, cfg)
		if got := topicNames(third.Image()); !slices.Equal(got, want) {
			t.Errorf("with a damaged snapshot %d topics instead of %d", len(got), len(want))
		}
		closeNode(t, third)
	}
}

// awaitSnapshot returns when no snapshot is being written.
func awaitSnapshot(t *testing.T, n *Node) {
	t.Helper()
	for range 10_000 {
		running := make(chan bool, 1)
		if err := n.put(op{fn: func(l *loop) { running <- l.snapshotRunning }}); err != nil {
			t.Fatal(err)
		}
		if !<-running {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the snapshot never ends")
}

func TestSnapshotsByTime(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	cfg := testConfig(mem, newChance())
	fake := cfg.Clock.(*clock.Fake)
	n := startNode(t, cfg)
	defer closeNode(t, n)
	createTopicless := func() int {
		ids, err := listSnapshots(mem, path.Join(testDir, logDirName))
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	if createTopicless() != 0 {
		t.Error("a snapshot before its time")
	}
	fake.Advance(time.Hour + time.Second)
	deadline := time.Now().Add(10 * time.Second)
	for createTopicless() == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if createTopicless() != 1 {
		t.Error("no snapshot after an hour")
	}
}

func TestANodeThatIsIdleLeavesItsDiskAlone(t *testing.T) {
	var writes atomic.Int64
	watched := vfs.NewFault(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind.Mutates() {
			writes.Add(1)
		}
		return nil
	})
	mustMkdir(t, watched)
	cfg := testConfig(watched, newChance())
	cfg.SnapshotInterval = -1
	fake := cfg.Clock.(*clock.Fake)
	n := startNode(t, cfg)
	defer closeNode(t, n)
	if _, err := n.DescribeQuorum(context.Background()); err != nil { // the loop is at rest
		t.Fatal(err)
	}
	before := writes.Load()
	for range 100 {
		fake.Advance(time.Second)
		if _, err := n.DescribeQuorum(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := writes.Load() - before; got != 0 {
		t.Errorf("%d writes while nothing happened", got)
	}
}

func TestIdleRecordsWhenTheKeyAsks(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	cfg := testConfig(mem, newChance())
	cfg.IdleInterval = 500 * time.Millisecond
	fake := cfg.Clock.(*clock.Fake)
	n := startNode(t, cfg)
	defer closeNode(t, n)
	before := n.LogEndOffset()
	for range 1000 {
		fake.Advance(500 * time.Millisecond)
		if _, err := n.DescribeQuorum(context.Background()); err != nil { // the loop has seen the time
			t.Fatal(err)
		}
		if n.LogEndOffset()-before >= 4 {
			return
		}
	}
	t.Errorf("%d idle records", n.LogEndOffset()-before)
}

func TestASilentBrokerIsFencedByTheClock(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	cfg := testConfig(mem, newChance())
	fake := cfg.Clock.(*clock.Fake)
	n := startNode(t, cfg)
	defer closeNode(t, n)
	registerBroker(t, n, 1)
	fenced := make(chan struct{})
	n.Subscribe(func(img *meta.Image, _ *meta.Delta) {
		if img.Broker(1).Fenced {
			close(fenced)
		}
	})
	for range 1000 {
		fake.Advance(time.Second)
		if _, err := n.DescribeQuorum(context.Background()); err != nil { // the loop has seen the time
			t.Fatal(err)
		}
		select {
		case <-fenced:
			return
		default:
		}
	}
	select { // the clock is far enough; what it has brought about is told by another goroutine
	case <-fenced:
	case <-time.After(30 * time.Second):
		t.Error("not fenced")
	}
}

// A power cut or a kill at any moment: what was acknowledged is there, and the node starts.
func TestWhatWasAcknowledgedSurvivesACrashAtEveryStep(t *testing.T) {
	run := func(stopAt int64, kind string) (steps int64) {
		mem, ids := vfs.NewMem(), newChance()
		mustMkdir(t, mem)
		var count atomic.Int64
		var crashed atomic.Pointer[vfs.Mem]
		var ackedAtCrash atomic.Pointer[[]string]
		var mu sync.Mutex
		var acked []string
		faulty := vfs.NewFault(mem, func(op vfs.Op) error {
			if !op.Kind.Mutates() {
				return nil
			}
			if count.Add(1) == stopAt {
				mu.Lock()
				now := slices.Clone(acked)
				mu.Unlock()
				ackedAtCrash.Store(&now)
				switch kind {
				case "power":
					crashed.Store(mem.CrashClone())
				case "kill":
					crashed.Store(mem.KillClone())
				default:
					crashed.Store(mem.TornClone(rand.New(rand.NewPCG(uint64(stopAt), 3))))
				}
			}
			return nil
		})
		cfg := testConfig(faulty, ids)
		cfg.SnapshotBytes, cfg.RetentionBytes = 2500, 6000
		n, err := Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		registerBroker(t, n, 1)
		for i := range 30 {
			name := fmt.Sprintf("t%02d", i)
			createTopic(t, n, name)
			mu.Lock()
			acked = append(acked, name)
			mu.Unlock()
		}
		closeNode(t, n)
		if disk := crashed.Load(); disk != nil {
			checkAfterCrash(t, disk, ids, *ackedAtCrash.Load(), fmt.Sprintf("%s at step %d", kind, stopAt))
		}
		return count.Load()
	}
	cuts := int64(0)
	for _, kind := range []string{"power", "kill", "torn"} {
		steps := run(-1, kind)
		cuts += steps
		for at := int64(1); at <= steps; at++ {
			run(at, kind)
		}
	}
	t.Logf("%d cuts", cuts)
}

func checkAfterCrash(t *testing.T, disk *vfs.Mem, ids chance, acked []string, when string) {
	t.Helper()
	mustMkdir(t, disk)
	cfg := testConfig(disk, ids)
	n, err := Start(cfg)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	got := topicNames(n.Image())
	if len(got) < len(acked) || !slices.Equal(got[:len(acked)], acked) {
		t.Errorf("%s: acknowledged %v, found %v", when, acked, got)
	}
	registerBroker(t, n, 9)
	createTopic(t, n, "zz-after")
	want := encodeImage(n.Image())
	closeNode(t, n)
	again := startNode(t, cfg)
	if !slices.Equal(encodeImage(again.Image()), want) {
		t.Errorf("%s: the second start finds another image than the first left", when)
	}
	closeNode(t, again)
}

func encodeImage(img *meta.Image) []string {
	var out []string
	for r := range img.Records() {
		out = append(out, string(meta.Append(nil, r)))
	}
	return out
}

func TestADiskThatFailsEndsTheNodeAndNotTheData(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	broken := errors.New("no space left on device")
	var armed atomic.Bool
	cfg := testConfig(vfs.NewFault(mem, func(op vfs.Op) error {
		if armed.Load() && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, WALName) {
			return broken
		}
		return nil
	}), ids)
	fatal := make(chan error, 1)
	cfg.OnFatal = func(err error) { fatal <- err }
	n := startNode(t, cfg)
	registerBroker(t, n, 1)
	createTopic(t, n, "a")
	armed.Store(true)
	if _, err := n.Call(context.Background(), RequestContext{}, createRequest("b")); !errors.Is(err, broken) {
		t.Errorf("the caller is told %v", err)
	}
	if err := <-fatal; !errors.Is(err, broken) {
		t.Errorf("OnFatal is told %v", err)
	}
	if _, err := n.Call(context.Background(), RequestContext{}, createRequest("c")); !errors.Is(err, broken) {
		t.Errorf("later callers are told %v", err)
	}
	_ = n.Close()
	armed.Store(false)
	again := startNode(t, cfg)
	defer closeNode(t, again)
	if !slices.Equal(topicNames(again.Image()), []string{"a"}) {
		t.Errorf("topics %v", topicNames(again.Image()))
	}
}

// Any one write, sync or rename fails, once: the node may end or go on, but what it acknowledged is there afterwards.
func TestAFailureAtAnyStepLosesNothing(t *testing.T) {
	run := func(failAt int64) (steps int64) {
		mem, ids := vfs.NewMem(), newChance()
		mustMkdir(t, mem)
		var count atomic.Int64
		cfg := testConfig(vfs.NewFault(mem, func(op vfs.Op) error {
			if op.Kind.Mutates() && count.Add(1) == failAt {
				return errors.New("no space left on device")
			}
			return nil
		}), ids)
		cfg.SnapshotBytes, cfg.RetentionBytes = 2500, 6000
		var acked []string
		n, err := Start(cfg)
		if err == nil {
			for i := range 30 {
				name := fmt.Sprintf("t%02d", i)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				resp, err := n.Call(ctx, RequestContext{}, groupConfig(name))
				cancel()
				if err == nil && resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode == 0 {
					acked = append(acked, name)
				}
			}
			_ = n.Close() // it may well have failed
		}
		plain := testConfig(mem, ids)
		again, err := Start(plain)
		if err != nil {
			t.Fatalf("failure at step %d: the next start fails: %v", failAt, err)
		}
		for _, name := range acked {
			if again.Image().Config(meta.ResourceGroup, name) == nil {
				t.Errorf("failure at step %d: %s was acknowledged and is lost", failAt, name)
			}
		}
		closeNode(t, again)
		return count.Load()
	}
	steps := run(-1)
	for at := int64(1); at <= steps; at++ {
		run(at)
	}
}

func TestDamageInTheMiddleOfTheRaftLogIsNotPassedOver(t *testing.T) {
	mem, ids := vfs.NewMem(), newChance()
	mustMkdir(t, mem)
	n := startNode(t, testConfig(mem, ids))
	registerBroker(t, n, 1)
	createTopic(t, n, "a")
	createTopic(t, n, "b")
	closeNode(t, n)
	name := path.Join(testDir, WALName)
	data, err := vfs.ReadFile(mem, name)
	if err != nil {
		t.Fatal(err)
	}
	torn := slices.Clone(data[:len(data)-7])
	if _, good, _, err := parseWAL(torn); err != nil || good >= int64(len(torn)) {
		t.Errorf("a torn last frame: good up to %d of %d, %v", good, len(torn), err)
	}
	data[len(data)/2] ^= 0x40
	if err := vfs.WriteFileAtomic(mem, name, data); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(testConfig(mem, ids)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("started on a damaged Raft log: %v", err)
	}
}

func TestABootstrapFileSaysWhatTheFirstLeaderWrites(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	records := []meta.Record{
		&meta.FeatureLevelRecord{Name: meta.FeatureMetadataVersion, FeatureLevel: 25},
		&meta.UserScramCredentialRecord{Name: "admin", Mechanism: 1, Salt: []byte{1}, StoredKey: []byte{2}, ServerKey: []byte{3}, Iterations: 4096},
	}
	if err := WriteBootstrap(mem, testDir, 1, records); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, testConfig(mem, newChance()))
	defer closeNode(t, n)
	if img := n.Image(); img.MetadataVersion() != 25 || img.ELREnabled() || img.ScramCredential(1, "admin") == nil {
		t.Errorf("features %v", img.Features())
	}
	var kinds []string
	err := n.log.Read(0, func(b record.Batch) error {
		if b.IsControl() {
			kinds = append(kinds, "control")
			return nil
		}
		rs, err := readRecords(b)
		for _, r := range rs {
			kinds = append(kinds, r.Type().String())
		}
		return err
	})
	want := []string{"control", "BEGIN_TRANSACTION_RECORD", "FEATURE_LEVEL_RECORD", "USER_SCRAM_CREDENTIAL_RECORD", "END_TRANSACTION_RECORD"}
	if err != nil || !slices.Equal(kinds, want) {
		t.Errorf("the log holds %v, %v", kinds, err)
	}
}

func TestARequestThatNobodyServesIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	mustMkdir(t, mem)
	n := startNode(t, testConfig(mem, newChance()))
	defer closeNode(t, n)
	if _, err := n.Call(context.Background(), RequestContext{}, kmsg.NewPtrProduceRequest()); !errors.Is(err, ErrUnknownRequest) {
		t.Errorf("Produce at the controller: %v", err)
	}
}
