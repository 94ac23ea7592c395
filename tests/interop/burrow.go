package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	burrowTopic, burrowGroup = "interop-burrow", "burrowed"

	burrowDoes = "Debian's Burrow, with an old sarama, reads the commits of a group out of __consumer_offsets, from the first to the last. " +
		"They are an old client's, which say how long they are to live: what Kafka 4.3 writes for others (version 4 of OffsetCommitValue) is newer than this Burrow. " +
		"Lags, and so the status of groups, it cannot tell of any Kafka 4: it asks where partitions end by version 0 of ListOffsets, which ended with Kafka 3"
	// burrowCommits is how many times the group commits, one offset further each time.
	burrowCommits = 40
	// retentionVersion is the last of OffsetCommit in which a client says how long its offset lives, retention how long that is.
	retentionVersion, retention = 4, time.Hour
)

// burrowProgram is the path of Debian's.
func burrowProgram(c *tools.Cache) (string, error) {
	binary, err := c.Debian("Burrow", "burrow")
	if err != nil {
		return "", errMissing{err.Error()}
	}
	return binary, nil
}

func runBurrow(ctx context.Context, s *stage, r *row, binary string) error {
	ports, err := node.FreePorts(1)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...), kgo.MaxVersions(commitsOf(retentionVersion)))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 1, int16(s.replicas), nil, burrowTopic); err != nil {
		return err
	}
	// The coordinator's topic must be there before Burrow looks for it.
	if err := firstCommit(ctx, cl); err != nil {
		return err
	}
	zookeeper, err := serveZooKeeper()
	if err != nil {
		return err
	}
	defer zookeeper.Close()
	dir := filepath.Join(s.dir, "burrow")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "burrow.toml"), []byte(s.burrowConfig(dir, ports[0], zookeeper.Addr().String())), 0o644); err != nil {
		return err
	}
	p, err := s.start("burrow", binary, "--config-dir", dir)
	if err != nil {
		return err
	}
	defer p.stop()
	at := int64(1)
	err = p.until(ctx, func() error {
		if at < burrowCommits {
			at++
			if err := commitAt(ctx, cl, at); err != nil {
				return err
			}
		}
		return burrowRead(filepath.Join(dir, "log"))
	})
	r.done("consume", err)
	if err != nil {
		return err
	}
	r.done(ownColumn, burrowServes(ctx, "http://127.0.0.1:"+ports[0]))
	return nil
}

// commitsOf is the newest of everything, but OffsetCommit.
func commitsOf(version int16) *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(kmsg.OffsetCommit.Int16(), version)
	return v
}

// firstCommit waits until the coordinator has heard of the topic: whoever creates one is answered before every broker has.
func firstCommit(ctx context.Context, cl *kgo.Client) error {
	for {
		err := commitAt(ctx, cl, 1)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the coordinator does not know the topic: %w", err)
		case <-time.After(lookEvery):
		}
	}
}

func commitAt(ctx context.Context, cl *kgo.Client, at int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.RetentionTimeMillis = burrowGroup, retention.Milliseconds()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = at
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = burrowTopic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// burrowConfig reads offsets from Kafka and says at level debug which; the ZooKeeper is there because Burrow does not start without one.
func (s *stage) burrowConfig(dir, port, zookeeper string) string {
	var servers []string
	for _, a := range s.cluster.Seeds {
		servers = append(servers, `"`+a+`"`)
	}
	list := "[ " + strings.Join(servers, ", ") + " ]"
	return fmt.Sprintf(`[general]
pidfile=%q
[logging]
filename=%q
level="debug"
[zookeeper]
servers=[ %q ]
timeout=6
root-path="/burrow"
[client-profile.p]
client-id="burrow"
kafka-version="2.0.0"
[cluster.local]
class-name="kafka"
servers=%s
client-profile="p"
topic-refresh=2
offset-refresh=1
[consumer.local]
class-name="kafka"
cluster="local"
servers=%s
client-profile="p"
start-latest=false
[httpserver.default]
address="127.0.0.1:%s"
[storage.default]
class-name="inmemory"
workers=2
intervals=5
expire-group=604800
min-distance=1
`, filepath.Join(dir, "pid"), filepath.Join(dir, "log"), zookeeper, list, list, port)
}

// burrowRead looks in Burrow's log whether it has read all commits, in order, from the first that was made after its start.
func burrowRead(log string) error {
	b, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	last := int64(0)
	for _, line := range bytes.Split(b, []byte("\n")) {
		var said struct {
			Message string `json:"msg"`
			Group   string `json:"group"`
			Topic   string `json:"topic"`
			Offset  int64  `json:"offset"`
		}
		if json.Unmarshal(line, &said) != nil || said.Message != "consumer offset" || said.Group != burrowGroup || said.Topic != burrowTopic {
			continue
		}
		if said.Offset != last+1 {
			return fmt.Errorf("Burrow has read a commit of offset %d after one of %d", said.Offset, last)
		}
		last = said.Offset
	}
	if last != burrowCommits {
		return fmt.Errorf("Burrow has read the commits up to offset %d instead of %d", last, burrowCommits)
	}
	return nil
}

// burrowServes asks Burrow for the topics of its cluster.
func burrowServes(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/v3/kafka", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var said struct {
		Error    bool     `json:"error"`
		Clusters []string `json:"clusters"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return fmt.Errorf("cannot read Burrow's answer: %w", err)
	}
	if said.Error || len(said.Clusters) != 1 {
		return fmt.Errorf("Burrow tells of the clusters %q", said.Clusters)
	}
	return nil
}
