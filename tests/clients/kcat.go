package clients

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/moldau-stream/moldau/tests/corpus"
)

// kcat is the command-line client over librdkafka: one process for each thing done.
type kcat struct {
	path, bootstrap, name string
	members               memberSet
}

// newKcat asks the program for its version, which its usage text holds.
func newKcat(path, bootstrap string) *kcat {
	out, _ := exec.Command(path, "-V").CombinedOutput() // ends with 0 or 1, whatever the version
	v := regexp.MustCompile(`Version (\S+).*librdkafka (\S+)`).FindSubmatch(out)
	k := &kcat{path: path, bootstrap: bootstrap, name: "kcat"}
	if v != nil {
		k.name = fmt.Sprintf("kcat %s, librdkafka %s", v[1], v[2])
	}
	return k
}

func (k *kcat) Name() string { return k.name }

func (k *kcat) Traits() Traits {
	return Traits{
		Limits:     corpus.Limits{NoTimestamps: true, NoEmptyKeys: true, NoBlankRecords: true, TextHeaders: true, NoNullHeaderValues: true, NoEmptyHeaderKeys: true},
		ReadLimits: corpus.Limits{NoHeaders: true}, // printed with commas between, as they are
		Codecs:     allCodecs, Groups: []string{"eager", "cooperative"}, Commit: true, Idempotent: true, Static: true, DropsOnLeave: true,
	}
}

func (k *kcat) Create(context.Context, string, int32) error {
	return errors.New("kcat cannot create topics")
}

func (k *kcat) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, k.path, append([]string{"-b", k.bootstrap, "-m", "20"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("kcat %s: %w: %s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out, nil
}

// Delimiters that the corpus does not contain.
const (
	kcatKeyEnd    = "<~key~>"
	kcatRecordEnd = "<~end~>"
)

// Produce runs kcat once for each stretch of records of a partition that its options can hold together.
func (k *kcat) Produce(ctx context.Context, topic, codec string, idempotent bool, records []corpus.Record) error {
	byPartition := map[int32][]corpus.Record{}
	for _, r := range records {
		byPartition[r.Partition] = append(byPartition[r.Partition], r)
	}
	for p, rs := range byPartition {
		for len(rs) > 0 {
			n := 1
			for n < len(rs) && kcatOptions(rs[n]) == kcatOptions(rs[0]) {
				n++
			}
			if err := k.produceAlike(ctx, topic, codec, p, idempotent, rs[:n]); err != nil {
				return err
			}
			rs = rs[n:]
		}
	}
	return nil
}

// kcatOptions tells what of a record is said by options rather than by input.
func kcatOptions(r corpus.Record) string { return fmt.Sprintf("%q null=%t", r.Headers, r.Value == nil) }

func (k *kcat) produceAlike(ctx context.Context, topic, codec string, p int32, idempotent bool, rs []corpus.Record) error {
	args := []string{"-P", "-t", topic, "-p", strconv.Itoa(int(p)), "-K", kcatKeyEnd, "-D", kcatRecordEnd, "-X", "acks=all", "-X", "enable.idempotence=" + strconv.FormatBool(idempotent),
		"-X", "compression.codec=" + codec}
	for _, h := range rs[0].Headers {
		args = append(args, "-H", h.Key+"="+string(h.Value))
	}
	if rs[0].Value == nil {
		args = append(args, "-Z")
	}
	var in bytes.Buffer
	for i, r := range rs {
		if i > 0 {
			in.WriteString(kcatRecordEnd)
		}
		if r.Key != nil {
			in.Write(r.Key)
			in.WriteString(kcatKeyEnd)
		}
		in.Write(r.Value)
	}
	if in.Len() == 0 || rs[len(rs)-1].Key == nil && len(rs[len(rs)-1].Value) == 0 {
		in.WriteString(kcatRecordEnd) // an empty last record is seen only by its end
	}
	_, err := k.run(ctx, in.Bytes(), args...)
	return err
}

func (k *kcat) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	out, err := k.run(ctx, nil, "-C", "-q", "-t", topic, "-o", "beginning", "-c", strconv.Itoa(count), "-f", `%p %o %T %K %S %k%s`)
	if err != nil {
		return nil, err
	}
	var recs []corpus.Record
	for len(out) > 0 {
		var n [5]int64
		for i := range n {
			digits, rest, ok := bytes.Cut(out, []byte(" "))
			if !ok {
				return recs, fmt.Errorf("cannot read what kcat printed near %.60q", out)
			}
			if n[i], err = strconv.ParseInt(string(digits), 10, 64); err != nil {
				return recs, fmt.Errorf("cannot read what kcat printed: %w", err)
			}
			out = rest
		}
		r := corpus.Record{Partition: int32(n[0]), Offset: n[1], TimestampMs: n[2]}
		r.Key, out = cutLen(out, n[3])
		r.Value, out = cutLen(out, n[4])
		recs = append(recs, r)
	}
	return recs, nil
}

func cutLen(b []byte, n int64) (field, rest []byte) {
	if n < 0 {
		return nil, b
	}
	return b[:n:n], b[n:]
}

var kcatAssigned = regexp.MustCompile(`\[(\d+)\]`)

func (k *kcat) Join(_ context.Context, name, group, topic, strategy string) error {
	assignor := map[string]string{"eager": "range", "cooperative": "cooperative-sticky", staticStrategy: "range"}[strategy]
	instance := ""
	if strategy == staticStrategy {
		instance = groupInstance(group, name)
	}
	cmd := exec.Command(k.path, "-b", k.bootstrap, "-u", "-X", "auto.offset.reset=earliest", "-X", "heartbeat.interval.ms=300", "-X", "session.timeout.ms=10000",
		"-X", "auto.commit.interval.ms=200", "-X", "partition.assignment.strategy="+assignor, "-X", "group.instance.id="+instance, "-f", "%p %o\n", "-G", group, topic)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m := k.members.add(name)
	go kcatRecords(stdout, m)
	go kcatRebalances(stderr, m)
	go func() {
		<-m.ctx.Done()
		_ = cmd.Process.Signal(os.Interrupt)
	}()
	go func() {
		err := cmd.Wait()
		if err != nil && m.ctx.Err() == nil {
			m.fail(fmt.Errorf("kcat ended: %w", err))
		}
		close(m.done)
	}()
	return nil
}

func kcatRecords(r io.Reader, m *member) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		var p, o int64
		if _, err := fmt.Sscan(sc.Text(), &p, &o); err == nil {
			m.record(int32(p), o)
		}
	}
}

// kcatRebalances reads the lines by which kcat tells of assignments:
// "% Group g rebalanced (memberid x): assigned: t [0], t [1]", or "revoked: ...",
// or "incremental assignment of", "incremental revoke of".
func kcatRebalances(r io.Reader, m *member) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		_, what, ok := strings.Cut(sc.Text(), "rebalanced")
		if !ok {
			continue
		}
		var ps []int32
		for _, f := range kcatAssigned.FindAllStringSubmatch(what, -1) {
			p, _ := strconv.Atoi(f[1])
			ps = append(ps, int32(p))
		}
		if strings.Contains(what, "revoke") {
			m.revoke(ps)
		} else {
			m.assign(ps)
		}
	}
}

func (k *kcat) Members(context.Context) (map[string]Member, error) { return k.members.states(), nil }
func (k *kcat) Leave(_ context.Context, name string) error         { return k.members.leave(name) }

// Commit reads as many records as the offset says; kcat commits what it has read when it ends.
func (k *kcat) Commit(ctx context.Context, group, topic string, offset int64) error {
	_, err := k.run(ctx, nil, "-q", "-X", "auto.offset.reset=earliest", "-c", strconv.FormatInt(offset, 10), "-f", "%o\n", "-G", group, topic)
	return err
}

func (k *kcat) Resume(ctx context.Context, group, topic string) (int64, error) {
	out, err := k.run(ctx, nil, "-q", "-X", "auto.offset.reset=earliest", "-c", "1", "-f", "%o\n", "-G", group, topic)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

func (k *kcat) Admin(context.Context, string) error { return errors.New("kcat has no admin calls") }

func (k *kcat) Close() { k.members.leaveAll() }
