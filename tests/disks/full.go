package disks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	keptTopic   = "disk-kept"
	fillerTopic = "disk-filler"
	valueBytes  = 64 << 10
	// againTimeout bounds the time from the deletion of a topic to the next record that is taken.
	againTimeout = 60 * time.Second
)

// filling is what was acknowledged on a disk that fills up.
type filling struct {
	n    *node.Node
	kept int64 // records of keptTopic that were acknowledged, by number
	last error
}

// RunFull fills the disk under a node, whose data lies on v.
func RunFull(ctx context.Context, n *node.Node, rep *report.Report) {
	f := &filling{n: n}
	start := time.Now()
	check := func(name string, err error) bool {
		rep.Check("disks", name, time.Since(start), err)
		return err == nil
	}
	pid := n.PID()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"a full disk refuses records with an error that can be retried", f.fill},
		{"what was acknowledged is read while the disk is full", f.read},
		{"when a topic is deleted, records are taken again", f.makeRoom},
		{"the server has not been restarted", func(context.Context) error {
			if !n.Alive() || n.PID() != pid {
				return errors.New("the process is gone; the end of its output:\n" + n.LogTail())
			}
			return nil
		}},
		{"what was acknowledged is there after a kill", func(ctx context.Context) error {
			n.Kill()
			if err := n.Restart(); err != nil {
				return err
			}
			return f.read(ctx)
		}},
	} {
		if !check(step.name, step.do(ctx)) {
			return
		}
	}
	rep.Note("disks: the disk was full after %d records, %v", f.kept, f.last)
}

func (f *filling) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.n.Bootstrap), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
}

// record is number i: nothing that a disk could make smaller.
func record(topic string, i int64) *kgo.Record {
	v := make([]byte, valueBytes)
	r := rand.New(rand.NewPCG(uint64(i), 1))
	for at := 0; at < len(v); at += 8 {
		binary.BigEndian.PutUint64(v[at:], r.Uint64())
	}
	return &kgo.Record{Topic: topic, Value: v}
}

// fill writes until the server refuses; each record is acknowledged before the next.
func (f *filling) fill(ctx context.Context) error {
	cl, err := f.client(kgo.RecordRetries(1), kgo.RecordDeliveryTimeout(20*time.Second), kgo.DisableIdempotentWrite())
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for _, t := range []string{keptTopic, fillerTopic} {
		if _, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"segment.bytes": kadm.StringPtr("4194304")}, t); err != nil {
			return err
		}
	}
	for i := int64(0); i < 1<<20; i++ {
		if i%4 == 0 {
			if f.last = cl.ProduceSync(ctx, record(keptTopic, f.kept)).FirstErr(); f.last == nil {
				f.kept++
			}
		} else {
			f.last = cl.ProduceSync(ctx, record(fillerTopic, i)).FirstErr()
		}
		if f.last == nil {
			continue
		}
		if !kerr.IsRetriable(f.last) {
			return fmt.Errorf("the error is %w", f.last)
		}
		return nil
	}
	return errors.New("the disk does not become full")
}

// read looks for everything that was acknowledged.
func (f *filling) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	cl, err := f.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{keptTopic: {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		return err
	}
	defer cl.Close()
	for want := int64(0); want < f.kept; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("at record %d of %d: %w", want, f.kept, err)
		}
		for _, r := range fs.Records() {
			if r.Offset != want || want < f.kept && !bytes.Equal(r.Value, record(keptTopic, want).Value) {
				return fmt.Errorf("the record at offset %d is not number %d", r.Offset, want)
			}
			want++
		}
	}
	return nil
}

// makeRoom deletes the other topic and waits for a record to be taken.
func (f *filling) makeRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	cl, err := f.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteTopic(ctx, fillerTopic); err != nil {
		return err
	}
	for range 20 {
		if err := cl.ProduceSync(ctx, record(keptTopic, f.kept)).FirstErr(); err != nil {
			return fmt.Errorf("%s after the deletion: %w", againTimeout, err)
		}
		f.kept++
	}
	return nil
}
