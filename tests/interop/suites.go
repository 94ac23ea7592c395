package interop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/moldau-stream/moldau/tests/franz"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
)

// programs are the rows after those of the clients.
func programs() []program {
	return []program{
		{"Kafka Connect " + apacheVersion, connectDoes, connectClasses, runConnect},
		{"MirrorMaker " + apacheVersion, mirrorDoes, connectClasses, runMirror},
		{"Kafka Streams " + apacheVersion, streamsDoes, streamsClasses, runStreams},
		{"Burrow", burrowDoes, burrowProgram, runBurrow},
		{"librdkafka's tests", librdkafkaDoes, librdkafkaTests, runLibrdkafka},
		{"franz-go's tests", franzDoes, franzTests, runFranzTests},
	}
}

const franzDoes = "franz-go's own integration tests: chains of consumers and transactional producers with each balancer of the classic protocol and KIP-848, with static members and without; " +
	"only what needs share groups or SASL may be skipped"

// franzTests compiles them; they are found again by their version.
func franzTests(c *tools.Cache) (string, error) {
	return "", franz.Install(context.Background(), c.Dir)
}

func runFranzTests(ctx context.Context, s *stage, r *row, _ string) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	said := &report.Report{}
	err := franz.Run(ctx, "", franz.Options{Bootstrap: s.bootstrap, Replicas: s.replicas, CacheDir: s.Cache.Dir, Log: filepath.Join(s.dir, "franz.log"), Logf: s.Logf}, said)
	if err == nil {
		err = failuresOf(said)
	}
	r.done(ownColumn, err)
	return nil
}

// failuresOf is what failed in a report, as one error.
func failuresOf(rep *report.Report) error {
	var b strings.Builder
	if rep.Print(&b) == 0 {
		return nil
	}
	_, failures, _ := strings.Cut(b.String(), "\nFAIL ")
	return errors.New(strings.TrimSpace(failures))
}
