package interop

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

//go:embed java/*.java
var sources embed.FS

const (
	streamsDoes = "Apache's Kafka Streams counts words with exactly_once_v2 over a repartition topic and a changelog; its state directory is deleted, and a second start restores the counts from the changelog and goes on: " +
		"of each word the counts are 1, 2, 3 and so on, each once"
	streamsWords, streamsTurns = 20, 30
)

// streamsClasses is the class path of the application.
func streamsClasses(c *tools.Cache) (string, error) {
	if err := needs("java", "javac", "mvn"); err != nil {
		return "", err
	}
	src, err := tools.Read(sources, "java")
	if err != nil {
		return "", err
	}
	return c.JavaProject("streams", []string{"org.apache.kafka:kafka-streams:" + apacheVersion, "org.slf4j:slf4j-simple:1.7.36"}, src)
}

func runStreams(ctx context.Context, s *stage, r *row, classPath string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...), kgo.DefaultProduceTopic("interop-words"), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer cl.Close()
	defer clients.EndsWith(ctx, cl)()
	resp, err := kadm.NewClient(cl).CreateTopics(ctx, 2, int16(s.replicas), nil, "interop-words", "interop-counts")
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("the reference cannot create the topics: %w", err)
	}
	state := filepath.Join(s.dir, "streams-state")
	for turn, column := range []string{"txn", ownColumn} {
		if err := os.RemoveAll(state); err != nil {
			return err
		}
		if err := writeWords(ctx, cl); err != nil {
			return err
		}
		p, err := s.startJava("streams-"+strconv.Itoa(turn+1), classPath, "Words", s.bootstrap, state, strconv.Itoa(s.replicas))
		if err != nil {
			return err
		}
		err = p.until(ctx, func() error { return s.counted(ctx, streamsTurns*(turn+1)) })
		p.stop()
		r.done(column, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func writeWords(ctx context.Context, cl *kgo.Client) error {
	var recs []*kgo.Record
	for range streamsTurns {
		for w := range streamsWords {
			recs = append(recs, kgo.StringRecord("word"+strconv.Itoa(w)))
		}
	}
	return cl.ProduceSync(ctx, recs...).FirstErr()
}

// counted fails unless each word is counted up to so many, one by one.
func (s *stage) counted(ctx context.Context, upTo int) error {
	recs, err := s.readAll(ctx, "interop-counts")
	if err != nil {
		return err
	}
	at := map[string]int{}
	for _, rec := range recs {
		n, err := strconv.Atoi(string(rec.Value))
		if err != nil {
			return err
		}
		if n != at[string(rec.Key)]+1 {
			return fmt.Errorf("%s is counted %d after %d", rec.Key, n, at[string(rec.Key)])
		}
		at[string(rec.Key)] = n
	}
	for w := range streamsWords {
		if n := at["word"+strconv.Itoa(w)]; n != upTo {
			return fmt.Errorf("word%d is counted %d times instead of %d", w, n, upTo)
		}
	}
	return nil
}
