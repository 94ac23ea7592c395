//go:build realkafka

package quorum

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// realKafka runs the script that MOLDAU_REALKAFKA names.
func realKafka(t *testing.T, args ...string) string {
	t.Helper()
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	cmd := exec.Command(script, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

func diskConfig(t *testing.T, dir string) Config {
	return Config{
		FS: vfs.OS{}, Dir: dir, NodeID: 1, Clock: clock.Real{}, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		Controller: controller.Config{ClusterID: "C", LocalBroker: true, DeleteTopicEnable: true, Random: newChance()},
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func TestKafkaReadsOurLogAndSnapshot(t *testing.T) {
	dir := t.TempDir()
	cfg := diskConfig(t, dir)
	cfg.SnapshotBytes = 4000
	n := startNode(t, cfg)
	registerBroker(t, n, 1)
	for i := range 40 {
		createTopic(t, n, fmt.Sprintf("topic-%02d", i))
	}
	quota := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	part := kmsg.NewAlterClientQuotasRequestEntryEntity()
	part.Type = "user"
	e.Entity = append(e.Entity, part)
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value = "producer_byte_rate", 1024
	e.Ops = append(e.Ops, op)
	quota.Entries = append(quota.Entries, e)
	call[*kmsg.AlterClientQuotasResponse](t, n, quota)
	closeNode(t, n)

	logs, err := filepath.Glob(filepath.Join(dir, logDirName, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	dump := realKafka(t, "tool", "kafka-dump-log", "--cluster-metadata-decoder", "--files", strings.Join(logs, ","))
	for _, want := range []string{
		`LeaderChange`, `"type":"BEGIN_TRANSACTION_RECORD","version":0,"data":{"name":"Bootstrap records"}`,
		`{"type":"FEATURE_LEVEL_RECORD","version":0,"data":{"name":"metadata.version","featureLevel":30}}`,
		`{"type":"CONFIG_RECORD","version":0,"data":{"resourceType":4,"resourceName":"","name":"min.insync.replicas","value":"1"}}`,
		`"type":"REGISTER_BROKER_RECORD","version":4`, `"name":"topic-39"`,
		`{"type":"CLIENT_QUOTA_RECORD","version":0,"data":{"entity":[{"entityType":"user","entityName":null}],"key":"producer_byte_rate","value":1024.0,"remove":false}}`,
	} {
		if !strings.Contains(dump, want) {
			t.Errorf("kafka-dump-log does not show %s", want)
		}
	}
	if strings.Contains(dump, "isvalid: false") || strings.Contains(dump, "Could not deserialize") || t.Failed() {
		t.Errorf("kafka-dump-log is not content:\n%s", dump)
	}
	snaps, err := filepath.Glob(filepath.Join(dir, logDirName, "*.checkpoint"))
	if err != nil || len(snaps) == 0 {
		t.Fatal(snaps, err)
	}
	slices.Sort(snaps)
	newest := snaps[len(snaps)-1]
	dump = realKafka(t, "tool", "kafka-dump-log", "--cluster-metadata-decoder", "--files", newest)
	if !strings.Contains(dump, `"name":"topic-00"`) || !strings.Contains(dump, "SnapshotFooter") {
		t.Errorf("kafka-dump-log of the snapshot:\n%s", dump)
	}
	// The shell loads on another thread than it answers from, and at times shows the empty image it began with.
	shell := ""
	for range 5 {
		shell = realKafka(t, "tool", "kafka-metadata-shell", "--snapshot", newest, "tree", "/")
		if !strings.Contains(shell, "offset -1, epoch -1") {
			break
		}
	}
	for _, want := range []string{"topic-00", "metadata.version", "leaderRecoveryState"} {
		if !strings.Contains(shell, want) {
			t.Errorf("kafka-metadata-shell does not show %s:\n%s", want, shell)
		}
	}
}

func TestWeReadWhatKafkaFormats(t *testing.T) {
	dir := t.TempDir()
	props := filepath.Join(dir, "server.properties")
	text := "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:29193\nlisteners=PLAINTEXT://127.0.0.1:29192,CONTROLLER://127.0.0.1:29193\n" +
		"controller.listener.names=CONTROLLER\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs=" + dir + "/d\n"
	if err := os.WriteFile(props, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	realKafka(t, "tool", "kafka-storage", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", props)
	theirs, err := ReadBootstrap(vfs.OS{}, dir+"/d")
	if err != nil || len(theirs) < 2 {
		t.Fatal(theirs, err)
	}
	if err := os.Mkdir(dir+"/ours", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteBootstrap(vfs.OS{}, dir+"/ours", 1_700_000_000_000, theirs); err != nil {
		t.Fatal(err)
	}
	a, err1 := os.ReadFile(dir + "/d/" + BootstrapName)
	b, err2 := os.ReadFile(dir + "/ours/" + BootstrapName)
	if err1 != nil || err2 != nil || len(a) != len(b) {
		t.Errorf("Kafka writes %d bytes, we %d (%v, %v)", len(a), len(b), err1, err2)
	}
	n := startNode(t, diskConfig(t, dir+"/d"))
	defer closeNode(t, n)
	if n.Image().MetadataVersion() != 30 || n.Image().FeatureLevel(meta.FeatureGroup) != 1 {
		t.Errorf("features %v", n.Image().Features())
	}
}

// The same directory goes from Kafka to us and back to Kafka.
func TestADirectoryGoesFromKafkaToUsAndBack(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	dir := t.TempDir()
	const port, bootstrap = "29592", "127.0.0.1:29592"
	realKafka(t, "start", dir, "1", port)
	stopped := false
	stop := func() {
		if !stopped {
			realKafka(t, "stop", dir)
		}
		stopped = true
	}
	defer stop()
	realKafka(t, "tool", "kafka-topics", "--bootstrap-server", bootstrap, "--create", "--topic", "theirs", "--partitions", "3", "--config", "retention.ms=1000")
	stop()

	id, err := os.ReadFile(dir + "/cluster.id")
	if err != nil {
		t.Fatal(err)
	}
	cfg := diskConfig(t, dir+"/data-1")
	cfg.Controller.ClusterID = strings.TrimSpace(string(id))
	n := startNode(t, cfg)
	img := n.Image()
	if tp := img.Topic("theirs"); tp == nil || len(tp.Partitions) != 3 || img.Config(meta.ResourceTopic, "theirs")["retention.ms"] != "1000" {
		t.Errorf("their topic: %+v", tp)
	}
	if _, epoch := n.Leader(); epoch < 2 {
		t.Errorf("our epoch %d does not follow theirs", epoch)
	}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "theirs"
	kv := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := "123456"
	kv.Name, kv.Value = "retention.ms", &value
	r.Configs = append(r.Configs, kv)
	alter.Resources = append(alter.Resources, r)
	call[*kmsg.IncrementalAlterConfigsResponse](t, n, alter)
	closeNode(t, n)

	stopped = false
	realKafka(t, "start", dir, "1", port)
	out := realKafka(t, "tool", "kafka-topics", "--bootstrap-server", bootstrap, "--describe", "--topic", "theirs")
	if !strings.Contains(out, "retention.ms=123456") || !strings.Contains(out, "Leader: 1") {
		t.Errorf("Kafka does not see what we changed:\n%s", out)
	}
	stop()

	// And once more to us: Kafka wrote on in the meantime.
	again := startNode(t, cfg)
	defer closeNode(t, again)
	if again.Image().Config(meta.ResourceTopic, "theirs")["retention.ms"] != "123456" {
		t.Error("lost on the way back")
	}
}
