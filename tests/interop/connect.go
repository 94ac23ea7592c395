package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// apacheVersion is that of Apache's programs.
	apacheVersion = "4.3.1"
	connectDoes   = "Apache's distributed worker with exactly-once sources: FileStreamSource copies a file's lines to a topic in transactions, FileStreamSink the topic to a file; " +
		"the worker is stopped, the file grows, a new worker goes on where the old one was; no line may be lost or doubled; the three internal topics are compacted; connectors are paused, resumed and deleted"
	// linesTopic is between the two connectors.
	linesTopic            = "interop-lines"
	firstLines, moreLines = 500, 300
	// readTimeout bounds one look at a topic.
	readTimeout = 20 * time.Second
)

// connectClasses is the class path of Apache's worker, its file connectors and MirrorMaker.
func connectClasses(c *tools.Cache) (string, error) {
	if err := needs("java", "javac", "mvn"); err != nil {
		return "", err
	}
	of := func(name string) string { return "org.apache.kafka:" + name + ":" + apacheVersion }
	return c.JavaProject("connect", []string{of("connect-runtime"), of("connect-file"), of("connect-mirror"), "org.slf4j:slf4j-simple:1.7.36"}, nil)
}

// worker is a Connect worker and its REST interface.
type worker struct {
	*process
	url    string
	client *http.Client
}

// workerAt asks by a connection for each question. One that is kept may not have said anything yet, if it was dialled while another
// became free: the worker's web server, when it is to stop, waits half a minute for that, and only then does the worker stop.
func workerAt(url string) *worker {
	return &worker{url: url, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (s *stage) startWorker(classPath, name string) (*worker, error) {
	ports, err := node.FreePorts(1)
	if err != nil {
		return nil, err
	}
	w := workerAt("http://127.0.0.1:" + ports[0])
	r := strconv.Itoa(s.replicas)
	props := properties(map[string]string{
		"bootstrap.servers": s.bootstrap, "group.id": "interop-connect", "listeners": w.url,
		"key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter",
		"config.storage.topic": "interop-connect-configs", "offset.storage.topic": "interop-connect-offsets", "status.storage.topic": "interop-connect-status",
		"config.storage.replication.factor": r, "offset.storage.replication.factor": r, "status.storage.replication.factor": r,
		"offset.storage.partitions": "5", "status.storage.partitions": "5",
		"exactly.once.source.support": "enabled", "offset.flush.interval.ms": "500", "scheduled.rebalance.max.delay.ms": "0",
	})
	file := filepath.Join(s.dir, name+".properties")
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(props), 0o644); err != nil {
		return nil, err
	}
	w.process, err = s.startJava(name, classPath, "org.apache.kafka.connect.cli.ConnectDistributed", file)
	return w, err
}

// properties is the text of a properties file.
func properties(all map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s\n", k, all[k])
	}
	return b.String()
}

// call asks the worker's REST interface; into may be nil.
func (w *worker) call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// state fails unless the connector and its task are in the state.
func (w *worker) state(ctx context.Context, connector, want string) error {
	var st struct {
		Connector struct{ State string }
		Tasks     []struct{ State, Trace string }
	}
	if err := w.call(ctx, "GET", "/connectors/"+connector+"/status", nil, &st); err != nil {
		return err
	}
	if st.Connector.State != want || len(st.Tasks) != 1 || st.Tasks[0].State != want {
		return fmt.Errorf("%s is %+v instead of %s", connector, st, want)
	}
	return nil
}

// copying is the way of lines through a source, a topic and a sink.
type copying struct {
	*stage
	classPath, source, sink string
	w                       *worker
}

func runConnect(ctx context.Context, s *stage, r *row, classPath string) (err error) {
	c := &copying{stage: s, classPath: classPath, source: filepath.Join(s.dir, "source.txt"), sink: filepath.Join(s.dir, "sink.txt")}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := appendLines(c.source, 0, firstLines); err != nil {
		return err
	}
	if err := s.createTopic(ctx, linesTopic); err != nil {
		return err
	}
	if c.w, err = s.startWorker(classPath, "connect-1"); err != nil {
		return err
	}
	defer func() { c.w.stop() }()
	return r.steps(ctx, []step{
		{"create", c.startSource},
		{"none", func(ctx context.Context) error {
			return c.w.until(ctx, func() error { return s.linesInTopic(ctx, firstLines) })
		}},
		{"consume", c.startSink},
		{"commit", c.goOn},
		{"txn", func(ctx context.Context) error { return s.linesInTopic(ctx, firstLines+moreLines) }},
		{"admin", s.internalTopics},
		{ownColumn, func(ctx context.Context) error { return c.w.handle(ctx) }},
	})
}

// start creates a connector; the worker may not answer yet.
func (c *copying) start(ctx context.Context, connector string, config map[string]string) error {
	return c.w.until(ctx, func() error { return c.w.call(ctx, "PUT", "/connectors/"+connector+"/config", config, nil) })
}

func (c *copying) startSource(ctx context.Context) error {
	err := c.start(ctx, "lines-in", map[string]string{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1", "file": c.source,
		"topic": linesTopic, "exactly.once.support": "required"})
	if err != nil {
		return err
	}
	return c.w.until(ctx, func() error { return c.w.state(ctx, "lines-in", "RUNNING") })
}

func (c *copying) startSink(ctx context.Context) error {
	err := c.start(ctx, "lines-out", map[string]string{"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1", "file": c.sink,
		"topics": linesTopic, "consumer.override.isolation.level": "read_committed"})
	if err != nil {
		return err
	}
	return c.w.until(ctx, func() error { return linesIn(c.sink, firstLines) })
}

// goOn ends the worker, lets the file grow, and waits until a new worker has copied the rest.
func (c *copying) goOn(ctx context.Context) error {
	c.w.stop()
	if err := appendLines(c.source, firstLines, moreLines); err != nil {
		return err
	}
	again, err := c.startWorker(c.classPath, "connect-2")
	if err != nil {
		return err
	}
	c.w = again
	return c.w.until(ctx, func() error { return linesIn(c.sink, firstLines+moreLines) })
}

// createTopic makes a topic of one partition, so that its records have one order.
func (s *stage) createTopic(ctx context.Context, topic string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...))
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, int16(s.replicas), nil, topic); err != nil {
		return fmt.Errorf("the reference cannot create %s: %w", topic, err)
	}
	return nil
}

// handle pauses, resumes and deletes what runs.
func (w *worker) handle(ctx context.Context) error {
	for _, step := range []struct{ method, path, state string }{
		{"PUT", "/connectors/lines-out/pause", "PAUSED"}, {"PUT", "/connectors/lines-out/resume", "RUNNING"},
		{"DELETE", "/connectors/lines-out", ""}, {"DELETE", "/connectors/lines-in", ""},
	} {
		if err := w.until(ctx, func() error { return w.call(ctx, step.method, step.path, nil, nil) }); err != nil {
			return err
		}
		if step.state == "" {
			continue
		}
		if err := w.until(ctx, func() error { return w.state(ctx, "lines-out", step.state) }); err != nil {
			return err
		}
	}
	return w.until(ctx, func() error {
		var left []string
		if err := w.call(ctx, "GET", "/connectors", nil, &left); err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("the connectors %q are still there", left)
		}
		return nil
	})
}

func lineText(i int) string { return "line " + strconv.Itoa(i) }

func appendLines(file string, from, count int) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range count {
		if _, err := fmt.Fprintln(f, lineText(from+i)); err != nil {
			return err
		}
	}
	return f.Close()
}

// sameLines fails unless got are the first lines, each once and in order.
func sameLines(got []string, count int) error {
	for i, l := range got {
		if l != lineText(i) {
			return fmt.Errorf("line %d is %q", i, l)
		}
	}
	if len(got) != count {
		return fmt.Errorf("%d lines instead of %d", len(got), count)
	}
	return nil
}

func linesIn(file string, count int) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return sameLines(strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"), count)
}

// linesInTopic reads what the source has committed: transactional batches, each line once.
func (s *stage) linesInTopic(ctx context.Context, count int) error {
	recs, err := s.readAll(ctx, linesTopic)
	if err != nil {
		return err
	}
	var got []string
	for _, r := range recs {
		if !r.Attrs.IsTransactional() {
			return fmt.Errorf("offset %d was not written in a transaction", r.Offset)
		}
		got = append(got, string(r.Value))
	}
	return sameLines(got, count)
}

// readAll reads what is committed of a topic, partition by partition in order. Control records are read too, so that the
// end of a transaction is seen, and left out.
func (s *stage) readAll(ctx context.Context, topic string) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics(topic), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var out []*kgo.Record
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w; the ends to reach are %v", topic, err, left)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
		})
	}
	return out, nil
}

func (s *stage) internalTopics(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...))
	if err != nil {
		return err
	}
	defer cl.Close()
	rs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, "interop-connect-configs", "interop-connect-offsets", "interop-connect-status")
	if err != nil {
		return err
	}
	for _, r := range rs {
		if r.Err != nil {
			return fmt.Errorf("%s: %w", r.Name, r.Err)
		}
		for _, c := range r.Configs {
			if c.Key == "cleanup.policy" && c.MaybeValue() != "compact" {
				return fmt.Errorf("%s has cleanup.policy %s", r.Name, c.MaybeValue())
			}
		}
	}
	return nil
}
