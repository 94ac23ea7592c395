package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// stage is a fake broker and a place to run tools against it.
type stage struct {
	t         *testing.T
	bootstrap string
	dir       string
	env       map[string]string
	storage   StorageWriter
	processes []Process
	killed    []int
	server    []ServerArgs
}

func newStage(t *testing.T, topics ...string) *stage {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.AllowAutoTopicCreation(), kfake.SeedTopics(2, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &stage{t: t, bootstrap: c.ListenAddrs()[0], dir: t.TempDir(), env: map[string]string{}}
}

// offline is a stage without a broker.
func offline(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, bootstrap: "127.0.0.1:1", dir: t.TempDir(), env: map[string]string{}}
}

type outcome struct {
	stdout, stderr string
	code           int
}

// run runs a command line; $B is the broker, $W the stage's folder. Words are
// separated by blanks.
func (s *stage) run(line, stdin string) outcome {
	s.t.Helper()
	line = strings.NewReplacer("$B", s.bootstrap, "$W", s.dir).Replace(line)
	return s.args(strings.Fields(line), stdin)
}

func (s *stage) args(args []string, stdin string) outcome {
	s.t.Helper()
	var out, errs bytes.Buffer
	code := Run(Env{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Getenv:  func(k string) string { return s.env[k] },
		Now:     func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC) },
		Exit:    func(code int) { s.t.Errorf("the tool ended the process with %d", code) },
		Storage: s.storage, Version: "test-version",
		Server:    func(a ServerArgs) int { s.server = append(s.server, a); return 7 },
		Processes: func() ([]Process, error) { return s.processes, nil },
		Kill:      func(pid int, _ string) error { s.killed = append(s.killed, pid); return nil },
		Detach:    func([]string, string) (int, error) { return 99, nil },
	})
	return outcome{out.String(), errs.String(), code}
}

func (s *stage) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// expect runs a line and compares standard output and exit code.
func (s *stage) expect(line, stdin, stdout string, code int) outcome {
	s.t.Helper()
	o := s.run(line, stdin)
	if o.stdout != stdout || o.code != code {
		s.t.Errorf("$ %s\nexit %d, wanted %d\n--- stdout\n%s\n--- wanted\n%s\n--- stderr\n%s", line, o.code, code, o.stdout, stdout, o.stderr)
	}
	return o
}

// complains runs a line that must fail with these words on standard error.
func (s *stage) complains(line string, code int, words ...string) {
	s.t.Helper()
	o := s.run(line, "")
	if o.code != code {
		s.t.Errorf("$ %s\nexit %d, wanted %d\n%s%s", line, o.code, code, o.stdout, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			s.t.Errorf("$ %s\nstandard error lacks %q:\n%s", line, w, o.stderr)
		}
	}
}

func TestDispatchByNameAndBySubCommand(t *testing.T) {
	s := offline(t)
	for _, line := range []string{"kafka-topics --version", "/opt/bin/kafka-topics.sh --version", "kafka-topics.exe --version", "moldau topics --version", "moldau kafka-topics --version", "moldau kafka-topics.sh --version", "moldau version", "moldau --version", "moldau server --version", "kafka-server-start --version"} {
		s.expect(line, "", "test-version\n", 0)
	}
	s.complains("moldau topic", 1, `there is no command "topic"; did you mean topics?`)
	if o := s.run("moldau help", ""); !strings.Contains(o.stdout, "console-producer") || o.code != 0 {
		t.Errorf("help does not list the tools:\n%s", o.stdout)
	}
}

func TestMoldauAloneIsANodeWithDefaults(t *testing.T) {
	s := offline(t)
	conf := s.file("server.properties", "node.id=1\n")
	s.run("moldau", "")
	s.run("moldau server "+conf+" --override a=b --override=c=d=e", "")
	s.run("moldau server --check-config "+conf, "")
	s.run("kafka-server-start.sh -name x -loggc "+conf, "")
	want := []ServerArgs{{}, {ConfigFile: conf, Overrides: []Override{{"a", "b"}, {"c", "d=e"}}}, {ConfigFile: conf, CheckConfig: true}, {ConfigFile: conf}}
	if len(s.server) != len(want) {
		t.Fatalf("%d nodes started, wanted %d", len(s.server), len(want))
	}
	for i, w := range want {
		g := s.server[i]
		if g.ConfigFile != w.ConfigFile || g.CheckConfig != w.CheckConfig || len(g.Overrides) != len(w.Overrides) {
			t.Errorf("start %d: %+v, wanted %+v", i, g, w)
			continue
		}
		for j, o := range w.Overrides {
			if g.Overrides[j] != o {
				t.Errorf("start %d, override %d: %+v, wanted %+v", i, j, g.Overrides[j], o)
			}
		}
	}
	s.complains("kafka-server-start", 1, "USAGE:")
	s.complains("kafka-server-start $W/none.properties", 1, "none.properties (No such file or directory)")
	s.complains("moldau server --overide a=b", 1, "overide is not a recognized option")
}

func TestServerStopFindsOnlyNodes(t *testing.T) {
	s := offline(t)
	s.expect("kafka-server-stop", "", "No kafka server to stop\n", 1)
	conf := s.file("three.properties", "process.roles=controller\nnode.id=3\n")
	s.processes = []Process{
		{PID: 10, Args: []string{"bash", "/usr/bin/kafka-server-start.sh", "x"}},
		{PID: 11, Args: []string{"/bin/moldau"}},
		{PID: 12, Args: []string{"/bin/moldau", "server", conf}},
		{PID: 13, Args: []string{"/bin/moldau", "topics", "--list"}},
		{PID: 14, Args: []string{"bin/kafka-server-start.sh", conf}},
		{PID: 15, Args: []string{"vim", "moldau"}},
		{PID: 16, Args: []string{"/bin/moldau", "server", "--check-config", conf}},
	}
	s.expect("kafka-server-stop.sh", "", "", 0)
	if got := joinInts([]int32{int32(s.killed[0]), int32(s.killed[1]), int32(s.killed[2])}, ","); got != "11,12,14" || len(s.killed) != 3 {
		t.Errorf("stopped %v", s.killed)
	}
	s.killed = nil
	s.expect("kafka-server-stop --node-id=3", "", "", 0)
	if len(s.killed) != 2 {
		t.Errorf("stopped %v by node id", s.killed)
	}
	s.complains("kafka-server-stop --process-role broker", 1, "No kafka server to stop for")
}

func TestTopicsLife(t *testing.T) {
	s := newStage(t)
	s.expect("kafka-topics --bootstrap-server $B --create --topic t1 --partitions 3 --replication-factor 1", "", "Created topic t1.\n", 0)
	s.expect("kafka-topics --bootstrap-server $B --create --topic a.b --if-not-exists", "", "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.\nCreated topic a.b.\n", 0)
	s.expect("kafka-topics -create -topic=t1 -bootstrap-server=$B -if-not-exists", "", "", 0)
	s.expect("kafka-topics --bootstrap-server $B --list", "", "a.b\nt1\n", 0)
	s.expect("kafka-topics --bootstrap-server $B --list --topic t[0-9]", "", "t1\n", 0)
	o := s.run("kafka-topics --bootstrap-server $B --describe --topic t1", "")
	lines := strings.Split(o.stdout, "\n")
	if o.code != 0 || len(lines) != 5 || !strings.HasPrefix(lines[0], "Topic: t1\tTopicId: ") || !strings.Contains(lines[0], "\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: ") ||
		!strings.HasPrefix(lines[1], "\tTopic: t1\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\tElr: ") {
		t.Errorf("describe:\n%s%s", o.stdout, o.stderr)
	}
	s.expect("kafka-topics --bootstrap-server $B --alter --topic t1 --partitions 5", "", "", 0)
	s.expect("kafka-topics --bootstrap-server $B --delete --topic t1", "", "", 0)
	o = s.expect("kafka-topics --bootstrap-server $B --delete --topic t1", "", "Error while executing topic command : Topic 't1' does not exist as expected\n", 1)
	if want := "[2026-01-02 03:04:05,006] ERROR Topic 't1' does not exist as expected (org.apache.kafka.tools.TopicCommand)\n"; o.stderr != want {
		t.Errorf("standard error is %q, wanted %q", o.stderr, want)
	}
	s.expect("kafka-topics --bootstrap-server $B --delete --topic t1 --if-exists", "", "", 0)
}

func TestTopicsArguments(t *testing.T) {
	s := offline(t)
	for line, words := range map[string]string{
		"kafka-topics":                                              "Create, delete, describe, or change",
		"kafka-topics --list":                                       "--bootstrap-server must be specified",
		"kafka-topics --bootstrap-server x:1":                       "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
		"kafka-topics --zookeeper x --list":                         "zookeeper is not a recognized option",
		"kafka-topics --boot x --list":                              "boot is not a recognized option",
		"kafka-topics -lx":                                          "l is not a recognized option",
		"kafka-topics --topic":                                      "Option topic requires an argument",
		"kafka-topics --bootstrap-server x:1 --create":              "Missing required argument \"[topic]\"",
		"kafka-topics --bootstrap-server x:1 --alter --topic x":     "Missing required argument \"[partitions]\"",
		"kafka-topics --bootstrap-server x:1 --list --partitions 3": "Option \"[partitions]\" can't be used with option \"[list]\"",
		"kafka-topics --bootstrap-server x:1 --alter --topic x --partitions 3 --config a=b": "kafka-configs tool can be used",
		"kafka-topics --bootstrap-server nohostport --list":                                 "Failed to create new KafkaAdminClient\nmoldau: ",
		"kafka-topics --bootstrap-server $B --list --command-config /no/such":               "/no/such",
	} {
		s.complains(line, 1, words)
	}
	for line, out := range map[string]string{
		"kafka-topics --bootstrap-server $B --create --topic x --partitions many":          "Cannot parse argument 'many' of option partitions",
		"kafka-topics --bootstrap-server $B --create --topic x --partitions 0":             "The partitions must be greater than 0",
		"kafka-topics --bootstrap-server $B --create --topic x --replica-assignment 1:1":   "Partition replica lists may not contain duplicate entries: 1",
		"kafka-topics --bootstrap-server $B --create --topic x --replica-assignment 1,1:2": "Partition 1 has different replication factor: [1, 2]",
		"kafka-topics --bootstrap-server $B --list --topic a --topic b":                    "Found multiple arguments for option topic, but you asked for only one",
	} {
		s.expect(line, "", "Error while executing topic command : "+out+"\n", 1)
	}
}

func TestARefusedConnectionIsExplained(t *testing.T) {
	s := offline(t)
	conf := s.file("short.properties", "default.api.timeout.ms=300\nrequest.timeout.ms=200\nretry.backoff.ms=20\n")
	o := s.expect("kafka-topics --bootstrap-server $B --list --command-config "+conf, "", "Error while executing topic command : Timed out waiting for a node assignment. Call: listTopics\n", 1)
	if !strings.Contains(o.stderr, "moldau: 127.0.0.1:1 refuses the connection: is the broker running") {
		t.Errorf("no help on standard error:\n%s", o.stderr)
	}
}

func TestProduceAndConsume(t *testing.T) {
	s := newStage(t, "p")
	s.expect("kafka-console-producer --bootstrap-server $B --topic p --reader-property parse.key=true --reader-property parse.headers=true --reader-property headers.delimiter=| --reader-property key.separator=: --reader-property null.marker=NIL",
		"h:1,g:2|k:v\nNIL|NIL:\n|NIL:x\r\nx:NIL|k:NIL", "", 1) // the third line has no header at all
	s.expect("kafka-console-producer --bootstrap-server $B --topic one", "one\ntwo\r\n\nlast", "", 0)
	s.expect("kafka-console-consumer --bootstrap-server $B --topic one --from-beginning --max-messages 4 --timeout-ms 20000", "", "one\ntwo\n\nlast\n", 0)
	s.expect("kafka-console-consumer --bootstrap-server $B --topic one --partition 0 --offset 3 --max-messages 1 --formatter-property print.offset=true --formatter-property print.key=true --formatter-property print.headers=true", "", "Offset:3\tNO_HEADERS\tnull\tlast\n", 0)
	o := s.expect("kafka-console-consumer --bootstrap-server $B --topic one --group g --from-beginning --max-messages 2 --property print.partition=true", "", "Option --property is deprecated and will be removed in a future version. Use --formatter-property instead.\nPartition:0\tone\nPartition:0\ttwo\n", 0)
	if !strings.HasSuffix(o.stderr, "Processed a total of 2 messages\n") {
		t.Errorf("standard error: %s", o.stderr)
	}
	s.expect("kafka-console-consumer --bootstrap-server $B --topic one --group g --max-messages 2", "", "\nlast\n", 0)
	o = s.run("kafka-consumer-groups --bootstrap-server $B --describe --group g", "")
	if !strings.Contains(o.stdout, "g               one             0          4               4               0               -               -               -\n") || !strings.Contains(o.stderr, "Consumer group 'g' has no active members.") {
		t.Errorf("describe:\n%s%s", o.stdout, o.stderr)
	}
	s.expect("kafka-get-offsets --bootstrap-server $B --topic one", "", "one:0:4\n", 0)
	s.expect("kafka-consumer-groups --bootstrap-server $B --reset-offsets --group g --topic one --shift-by -3 --execute", "", "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\ng               one             0          1\n", 0)
	s.expect("kafka-console-consumer --bootstrap-server $B --topic one --group g --max-messages 1", "", "two\n", 0)
	s.expect("kafka-consumer-groups --bootstrap-server $B --delete --group g", "", "Deletion of requested consumer groups ('g') was successful.\n", 0)
}

func TestTimeoutEndsTheConsumerWithZero(t *testing.T) {
	s := newStage(t, "empty")
	o := s.expect("kafka-console-consumer --bootstrap-server $B --topic empty --from-beginning --timeout-ms 200", "", "", 0)
	want := "ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)\norg.apache.kafka.common.errors.TimeoutException\nProcessed a total of 0 messages\n"
	if !strings.HasSuffix(o.stderr, want) {
		t.Errorf("standard error: %s", o.stderr)
	}
}

func TestStrictTurnsFailuresIntoExitOne(t *testing.T) {
	s := newStage(t)
	line := "kafka-consumer-groups --bootstrap-server $B --describe --group nobody"
	if o := s.run(line, ""); o.code != 0 {
		t.Errorf("exit %d", o.code)
	}
	s.env["MOLDAU_STRICT"] = "1"
	if o := s.run(line, ""); o.code != 1 {
		t.Errorf("strict: exit %d\n%s", o.code, o.stdout)
	}
}

func TestConfigs(t *testing.T) {
	s := newStage(t, "c")
	s.expect("kafka-configs --bootstrap-server $B --alter --topic c --add-config retention.ms=60000,cleanup.policy=[compact,delete]", "", "Completed updating config for topic c.\n", 0)
	o := s.run("kafka-configs --bootstrap-server $B --describe --entity-type topics --entity-name c", "")
	if !strings.HasPrefix(o.stdout, "Dynamic configs for topic c are:\n  cleanup.policy=compact,delete sensitive=false synonyms={") || !strings.Contains(o.stdout, "\n  retention.ms=60000 sensitive=false") {
		t.Errorf("describe:\n%s%s", o.stdout, o.stderr)
	}
	s.expect("kafka-configs --bootstrap-server $B --describe --topic nothing", "", "The topic 'nothing' doesn't exist and doesn't have dynamic config.\n", 0)
	for line, words := range map[string]string{
		"kafka-configs --describe --topic c":                                        "Either --bootstrap-server or --bootstrap-controller must be specified.",
		"kafka-configs --bootstrap-server $B --describe":                            "At least one entity type must be specified",
		"kafka-configs --bootstrap-server $B --describe --topic c --add-config a=b": "Option \"[describe]\" can't be used with option \"[add-config]\"",
		"kafka-configs --bootstrap-server $B --alter --topic c --add-config a":      "requirement failed: Invalid entity config",
		"kafka-configs --bootstrap-server $B --alter --user u --add-config x=1":     "Unexpected config names: Set(x)",
		"kafka-configs --bootstrap-server $B --describe --broker abc":               "must be a valid integer broker id, but it is: abc",
	} {
		s.complains(line, 1, words)
	}
}

func TestDeleteRecordsReadsItsFile(t *testing.T) {
	s := newStage(t)
	s.expect("kafka-console-producer --bootstrap-server $B --topic d", "1\n2\n3\n", "", 0)
	good := s.file("good.json", `{"partitions":[{"topic":"d","partition":0,"offset":2}],"version":1}`)
	s.expect("kafka-delete-records --bootstrap-server $B --offset-json-file "+good, "", "Executing records delete operation\nRecords delete operation completed:\npartition: d-0\tlow_watermark: 2\n", 0)
	for text, words := range map[string]string{
		"nonsense":                      "The input string is not a valid JSON",
		`{"version":1}`:                 "Missing partitions field",
		`{"partitions":[],"version":9}`: "Not supported version field value 9",
		`{"partitions":[{"topic":"d","partition":0,"offset":1},{"topic":"d","partition":0,"offset":2}]}`: "duplicate topic partitions: d-0",
		`{"partitions":[{"topic":"d","offset":1}],"version":1}`:                                          "No such field exists: `partition`",
	} {
		s.complains("kafka-delete-records --bootstrap-server $B --offset-json-file "+s.file("bad.json", text), 1, words)
	}
}

func TestClusterAndItsKin(t *testing.T) {
	s := newStage(t, "x")
	if o := s.run("kafka-cluster cluster-id --bootstrap-server $B", ""); !strings.HasPrefix(o.stdout, "Cluster ID: ") || o.code != 0 {
		t.Errorf("cluster-id: %s%s", o.stdout, o.stderr)
	}
	if o := s.run("kafka-broker-api-versions --bootstrap-server $B", ""); !strings.Contains(o.stdout, " -> (\n\tProduce(0): ") || !strings.HasSuffix(o.stdout, "\n)\n") {
		t.Errorf("api versions: %s%s", o.stdout, o.stderr)
	}
	if o := s.run("kafka-log-dirs --bootstrap-server $B --describe", ""); !strings.HasPrefix(o.stdout, "Querying brokers for log directories information\nReceived log directory information from brokers 0\n{\"brokers\":[{\"broker\":0,\"logDirs\":[") {
		t.Errorf("log dirs: %s%s", o.stdout, o.stderr)
	}
	s.expect("kafka-groups --bootstrap-server $B --list", "", "GROUP                TYPE                 PROTOCOL\n", 0)
	s.complains("kafka-cluster unregister --bootstrap-server $B", 1, "argument --id/-i is required")
	s.complains("kafka-cluster cluster-id", 1, "bootstrap-controller/-C is required")
}

// TestTopShowsWhatGoesOn looks twice at a fake cluster and at metrics in the form of a node.
func TestTopShowsWhatGoesOn(t *testing.T) {
	s := newStage(t, "orders")
	s.expect("kafka-console-producer --bootstrap-server $B --topic orders", "a\nb\n", "", 0)
	s.expect("kafka-consumer-groups --bootstrap-server $B --reset-offsets --group late --topic orders --to-earliest --execute", "", "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\nlate            orders          0          0\nlate            orders          1          0\n", 0)
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "# TYPE x gauge\nkafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.50\"} 1.5\nkafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.99\"} 20.25\nkafka_network_requestmetrics_totaltimems_count{request=\"Produce\"} 7\nother 1\n")
	}))
	t.Cleanup(metrics.Close)
	o := s.run("moldau top --bootstrap-server $B --count 1 --metrics-url "+metrics.URL+" --metrics-url http://127.0.0.1:1", "")
	text := strings.Join(strings.Fields(o.stdout), " ")
	for _, want := range []string{"under-replicated 0", "orders 2 - 2", "late Empty 2", "Produce 0.0 1.50 20.25", "http://127.0.0.1:1: connection refused"} {
		if !strings.Contains(text, want) || o.code != 0 {
			t.Errorf("exit %d, top lacks %q:\n%s%s", o.code, want, o.stdout, o.stderr)
		}
	}
	if strings.Contains(o.stdout, "\x1b") {
		t.Error("colours where there is no terminal")
	}
}
