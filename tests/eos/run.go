package eos

import (
	"context"
	"embed"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

//go:embed java/*.java
var sources embed.FS

const (
	// kafkaVersion is that of Kafka Streams and its client.
	kafkaVersion = "4.3.1"
	partitions   = 4
	words        = 20
	// lineWords is how many words are in one record of the word count.
	lineWords = 3
	// rate is how many records a second are written to each topic.
	rate = 100
	// rest lies between two faults: longer than the applications need to come back on a slow machine.
	rest = 5 * time.Second
	// drainTimeout bounds the time after the last fault until everything is processed: sessions and transactions of the
	// killed must run out, and a JVM starts.
	drainTimeout = 120 * time.Second
)

// Options of a run.
type Options struct {
	Duration time.Duration // of the faults
	Seed     uint64
	Dir      string // for the applications' state and output
	Cache    *tools.Cache
	Moldau   string // the binary, for its own applications; empty: without them
	Logf     func(format string, args ...any)
}

// stage is a run: the cluster, the applications and what was written.
type stage struct {
	Options
	c    *node.Cluster
	rnd  *rand.Rand
	apps []*app
	told map[string]*written // by topic
}

// Run writes to the applications' topics while it kills, and checks what came out.
func Run(ctx context.Context, c *node.Cluster, o Options, rep *report.Report) error {
	src, err := tools.Read(sources, "java")
	if err != nil {
		return err
	}
	classPath, err := o.Cache.JavaProject("eos", []string{"org.apache.kafka:kafka-streams:" + kafkaVersion, "org.apache.kafka:kafka-tools:" + kafkaVersion, "org.slf4j:slf4j-simple:1.7.36"}, src)
	if err != nil {
		return err
	}
	s := &stage{Options: o, c: c, rnd: rand.New(rand.NewPCG(o.Seed, 9)), told: map[string]*written{}}
	defer s.endApps()
	flows := flows(o.Moldau != "")
	if err := s.begin(ctx, classPath, flows); err != nil {
		return err
	}
	writing, stop := context.WithCancel(ctx)
	done := make(chan error, len(flows))
	for _, f := range flows {
		w := &written{}
		s.told[f.in] = w
		go func() { done <- w.write(writing, c.Seeds, f) }()
	}
	start := time.Now()
	faults, err := s.hurt(ctx, start.Add(o.Duration))
	stop()
	for range flows {
		if bad := <-done; err == nil {
			err = bad
		}
	}
	if err != nil {
		return err
	}
	for _, f := range flows {
		began := time.Now()
		n, err := s.verify(ctx, f)
		if err != nil {
			err = fmt.Errorf("%w; the applications said:\n%s", err, s.said(f))
		}
		rep.Check("eos", f.name, time.Since(began), err)
		rep.Note("eos, %s: %d records in, %d out, %d faults, seed %d", f.name, s.told[f.in].count, n, faults, o.Seed)
	}
	return nil
}

// begin creates the topics and starts two of each application.
func (s *stage) begin(ctx context.Context, classPath string, flows []flow) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.c.Seeds...))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, f := range flows {
		resp, err := kadm.NewClient(cl).CreateTopics(ctx, partitions, int16(len(s.c.Nodes)), nil, f.in, f.out)
		if err == nil {
			err = resp.Error()
		}
		if err != nil {
			return fmt.Errorf("cannot create the topics of %s: %w", f.name, err)
		}
		for i := range 2 {
			a, err := s.startApp(classPath, f, i)
			if err != nil {
				return err
			}
			s.apps = append(s.apps, a)
		}
	}
	return nil
}

// hurt kills applications and nodes in turn until the time is up, and brings each back.
func (s *stage) hurt(ctx context.Context, until time.Time) (int, error) {
	n := 0
	for ; time.Now().Before(until) && ctx.Err() == nil; n++ {
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
		if n%2 == 0 {
			a := s.apps[s.rnd.IntN(len(s.apps))]
			s.Logf("killing %s", a.name)
			if err := a.again(); err != nil {
				return n, err
			}
			continue
		}
		i := s.rnd.IntN(len(s.c.Nodes))
		s.Logf("killing node %d", i+1)
		s.c.Nodes[i].Kill()
		time.Sleep(rest / 5)
		if err := s.c.Nodes[i].Restart(); err != nil {
			return n, fmt.Errorf("node %d does not come back: %w", i+1, err)
		}
	}
	return n, ctx.Err()
}
