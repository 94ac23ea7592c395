package disks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	spreadTopic      = "disk-spread"
	spreadPartitions = 6
	// refusedWithin bounds the time from the file system's turning read-only to the first record that is refused, and
	// servedAnyway is how many records the other directory must take after that.
	refusedWithin = 60 * time.Second
	servedAnyway  = 30
	readOnlyBytes = 4 << 10
)

// TurnReadOnly has the kernel believe that the file system is damaged, whereupon it takes no more writes, also not through open files.
func (v *Volume) TurnReadOnly() error {
	device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", v.Path).Output()
	if err != nil {
		return fmt.Errorf("cannot tell the device of %s: %w", v.Path, err)
	}
	name := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(device))), "trigger_fs_error")
	return os.WriteFile(name, []byte("played by a test\n"), 0)
}

// CannotTurnReadOnly says why this volume cannot be turned read-only under a process, or "".
func (v *Volume) CannotTurnReadOnly() string {
	if _, err := exec.LookPath("findmnt"); err != nil {
		return "findmnt is not installed"
	}
	if err := command("mount", "-o", "remount,errors=remount-ro", v.Path); err != nil {
		return err.Error()
	}
	return ""
}

// Repair checks the file system as at a boot, and mounts it again.
func (v *Volume) Repair() error {
	if err := v.Unmount(); err != nil {
		return err
	}
	var exit *exec.ExitError
	out, err := exec.Command("e2fsck", "-p", "-f", v.image).CombinedOutput()
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // it has repaired what was to be repaired
	}
	if err != nil {
		return fmt.Errorf("e2fsck: %w: %s", err, out)
	}
	return v.Mount()
}

// spread is what was acknowledged of a topic whose partitions lie in two directories.
type spread struct {
	n       *node.Node
	cl      *kgo.Client
	next    int64
	acked   [spreadPartitions]map[int64]int64 // record numbers by offset
	refused [spreadPartitions]int
	last    error
}

// RunReadOnly turns the file system of one of a node's two log directories read-only under load, and back.
func RunReadOnly(ctx context.Context, v *Volume, n *node.Node, rep *report.Report) {
	s := &spread{n: n}
	for p := range s.acked {
		s.acked[p] = map[int64]int64{}
	}
	start, pid := time.Now(), n.PID()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"both directories take records", s.begin},
		{"a directory that turns read-only under load refuses with errors that can be retried, and the other goes on", func(ctx context.Context) error { return s.under(ctx, v) }},
		{"the server has outlived it", func(context.Context) error {
			if !n.Alive() || n.PID() != pid {
				return errors.New("the process is gone; the end of its output:\n" + n.LogTail())
			}
			return nil
		}},
		{"repaired and started again, the directory has all that was acknowledged, and takes records", func(ctx context.Context) error {
			s.cl.Close()
			n.Kill()
			if err := v.Repair(); err != nil {
				return err
			}
			if err := n.Restart(); err != nil {
				return err
			}
			return s.back(ctx)
		}},
	} {
		err := step.do(ctx)
		rep.Check("disks", step.name, time.Since(start), err)
		if err != nil {
			break
		}
	}
	if s.cl != nil {
		s.cl.Close()
	}
	total := 0
	for _, offsets := range s.acked {
		total += len(offsets)
	}
	rep.Note("disks: %d records were acknowledged around a file system that turned read-only, %v", total, s.last)
}

func (s *spread) connect() (err error) {
	s.cl, err = kgo.NewClient(kgo.SeedBrokers(s.n.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(1), kgo.RecordDeliveryTimeout(2*time.Second), kgo.MetadataMinAge(50*time.Millisecond))
	return err
}

func spreadRecord(number int64) *kgo.Record {
	r := record(spreadTopic, number)
	r.Value = r.Value[:readOnlyBytes]
	return r
}

// put writes a record to a partition, and notes what becomes of it.
func (s *spread) put(ctx context.Context, p int32) error {
	number := s.next
	s.next++
	r := spreadRecord(number)
	r.Partition = p
	got, err := s.cl.ProduceSync(ctx, r).First()
	if err == nil {
		s.acked[p][got.Offset] = number
	}
	return err
}

func (s *spread) begin(ctx context.Context) error {
	if err := s.connect(); err != nil {
		return err
	}
	if _, err := kadm.NewClient(s.cl).CreateTopic(ctx, spreadPartitions, 1, nil, spreadTopic); err != nil {
		return err
	}
	for i := range int32(10 * spreadPartitions) {
		if err := s.putUntil(ctx, i%spreadPartitions); err != nil {
			return err
		}
	}
	return nil
}

// putUntil writes a record, again as long as it is refused.
func (s *spread) putUntil(ctx context.Context, p int32) error {
	ctx, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	for {
		err := s.put(ctx, p)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("partition %d takes no records: %w", p, err)
		}
	}
}

// under turns the volume read-only between two records, and goes on until both directories have shown what they do.
func (s *spread) under(ctx context.Context, v *Volume) error {
	ctx, cancel := context.WithTimeout(ctx, refusedWithin)
	defer cancel()
	if err := v.TurnReadOnly(); err != nil {
		return err
	}
	served, refusing := 0, 0
	for p := int32(0); served < servedAnyway || refusing == 0; p = (p + 1) % spreadPartitions {
		if ctx.Err() != nil {
			return fmt.Errorf("%d records were taken, %d partitions refuse", served, refusing)
		}
		if refusing == spreadPartitions {
			return errors.New("the other directory refuses, too")
		}
		if s.refused[p] > 1 {
			continue
		}
		err := s.put(ctx, p)
		switch {
		case err == nil && refusing > 0:
			served++
		case err == nil:
		case errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, kgo.ErrRecordRetries) || kerr.IsRetriable(err):
			s.last = err
			if s.refused[p]++; s.refused[p] == 1 {
				refusing++
			}
		default:
			return fmt.Errorf("partition %d: the error is %w", p, err)
		}
	}
	return nil
}

// back writes to each partition, and reads all that was ever acknowledged.
func (s *spread) back(ctx context.Context) error {
	if err := s.connect(); err != nil {
		return err
	}
	for p := range int32(spreadPartitions) {
		if err := s.putUntil(ctx, p); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	starts, left := map[int32]kgo.Offset{}, 0
	for p, offsets := range s.acked {
		starts[int32(p)] = kgo.NewOffset().At(0)
		left += len(offsets)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.n.Bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{spreadTopic: starts}))
	if err != nil {
		return err
	}
	defer cl.Close()
	for left > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("with %d records to go: %w", left, err)
		}
		for _, r := range fs.Records() {
			number, acked := s.acked[r.Partition][r.Offset]
			if !acked {
				continue
			}
			if left--; !bytes.Equal(r.Value, spreadRecord(number).Value) {
				return fmt.Errorf("the record of partition %d at offset %d is not number %d", r.Partition, r.Offset, number)
			}
		}
	}
	return nil
}
