package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
)

// worker is a client in a child process. Requests and answers are JSON, one
// a line, over its stdin and stdout, strictly one after the other:
//
//	{"op":"produce","topic":"t","codec":"gzip",...}  ->  {"ok":true,...} or {"error":"..."}
//
// What it prints on stderr is kept for error messages.
type worker struct {
	traits Traits
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errs   *tail
	broken error // after a lost answer the two sides no longer agree
}

type request struct {
	Op         string          `json:"op"`
	Topic      string          `json:"topic,omitempty"`
	Partitions int32           `json:"partitions,omitempty"`
	Codec      string          `json:"codec,omitempty"`
	Idempotent bool            `json:"idempotent,omitempty"`
	Records    []corpus.Record `json:"records,omitempty"`
	Count      int             `json:"count,omitempty"`
	Name       string          `json:"name,omitempty"`
	Group      string          `json:"group,omitempty"`
	Strategy   string          `json:"strategy,omitempty"`
	Offset     int64           `json:"offset,omitempty"`
	Out        string          `json:"out,omitempty"`
}

type answer struct {
	Error   string            `json:"error"`
	Version string            `json:"version"`
	Offsets []int64           `json:"offsets"`
	Records []corpus.Record   `json:"records"`
	Members map[string]Member `json:"members"`
	Offset  int64             `json:"offset"`
}

// startWorker runs the command and asks it for its version.
func startWorker(ctx context.Context, title string, traits Traits, argv []string, env []string) (*worker, error) {
	w := &worker{traits: traits, errs: &tail{}}
	w.cmd = exec.Command(argv[0], argv[1:]...)
	w.cmd.Env = append(os.Environ(), env...)
	w.cmd.Stderr = w.errs
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewReaderSize(out, 1<<20)
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", title, err)
	}
	a, err := w.call(ctx, request{Op: "hello"})
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("%s does not answer: %w", title, err)
	}
	w.name = title
	if a.Version != "" {
		w.name += " " + a.Version
	}
	return w, nil
}

func (w *worker) call(ctx context.Context, req request) (*answer, error) {
	if w.broken != nil {
		return nil, fmt.Errorf("an earlier step left the client unusable: %w", w.broken)
	}
	type result struct {
		a   answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		if r.err = json.NewEncoder(w.in).Encode(req); r.err == nil {
			var line []byte
			if line, r.err = w.out.ReadBytes('\n'); r.err == nil {
				r.err = json.Unmarshal(line, &r.a)
			}
		}
		done <- r
	}()
	select {
	case r := <-done:
		if r.err != nil {
			w.broken = r.err
			return nil, fmt.Errorf("%s failed: %w\n%s", req.Op, r.err, w.errs)
		}
		if r.a.Error != "" {
			return nil, fmt.Errorf("%s\n%s", r.a.Error, w.errs)
		}
		return &r.a, nil
	case <-ctx.Done():
		w.broken = ctx.Err()
		return nil, fmt.Errorf("no answer to %s in time\n%s", req.Op, w.errs)
	}
}

func (w *worker) Name() string   { return w.name }
func (w *worker) Traits() Traits { return w.traits }

func (w *worker) Create(ctx context.Context, topic string, partitions int32) error {
	_, err := w.call(ctx, request{Op: "create", Topic: topic, Partitions: partitions})
	return err
}

func (w *worker) Produce(ctx context.Context, topic, codec string, idempotent bool, records []corpus.Record) error {
	a, err := w.call(ctx, request{Op: "produce", Topic: topic, Codec: codec, Idempotent: idempotent, Records: records})
	if err != nil {
		return err
	}
	return checkOffsets(records, a.Offsets)
}

// checkOffsets compares the offsets that a client was told with those expected; some clients tell none.
func checkOffsets(records []corpus.Record, offsets []int64) error {
	if len(offsets) == 0 {
		return nil
	}
	if len(offsets) != len(records) {
		return fmt.Errorf("%d of %d records were acknowledged", len(offsets), len(records))
	}
	for i, o := range offsets {
		if o != records[i].Offset {
			return fmt.Errorf("record %d was acknowledged at offset %d of partition %d instead of %d", i, o, records[i].Partition, records[i].Offset)
		}
	}
	return nil
}

func (w *worker) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	a, err := w.call(ctx, request{Op: "consume", Topic: topic, Partitions: corpus.Partitions, Count: count})
	if err != nil {
		return nil, err
	}
	return a.Records, nil
}

func (w *worker) Join(ctx context.Context, name, group, topic, strategy string) error {
	_, err := w.call(ctx, request{Op: "join", Name: name, Group: group, Topic: topic, Strategy: strategy})
	return err
}

func (w *worker) Members(ctx context.Context) (map[string]Member, error) {
	a, err := w.call(ctx, request{Op: "members"})
	if err != nil {
		return nil, err
	}
	return a.Members, nil
}

func (w *worker) Leave(ctx context.Context, name string) error {
	_, err := w.call(ctx, request{Op: "leave", Name: name})
	return err
}

func (w *worker) Commit(ctx context.Context, group, topic string, offset int64) error {
	_, err := w.call(ctx, request{Op: "commit", Group: group, Topic: topic, Offset: offset})
	return err
}

func (w *worker) Resume(ctx context.Context, group, topic string) (int64, error) {
	a, err := w.call(ctx, request{Op: "resume", Group: group, Topic: topic})
	if err != nil {
		return 0, err
	}
	return a.Offset, nil
}

func (w *worker) Admin(ctx context.Context, topic string) error {
	_, err := w.call(ctx, request{Op: "admin", Topic: topic})
	return err
}

// closeTimeout is how long a child may take to end after its input has ended.
const closeTimeout = 5 * time.Second

func (w *worker) Close() {
	w.in.Close()
	timer := time.AfterFunc(closeTimeout, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	_ = w.cmd.Wait()
}

// tailBytes is how much of a child's stderr an error message carries.
const tailBytes = 2 << 10

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > tailBytes {
		t.buf = append([]byte(nil), t.buf[len(t.buf)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
