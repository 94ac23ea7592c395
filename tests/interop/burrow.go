package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	burrowDoes = "Debian's Burrow reads __consumer_offsets with an old sarama; the lag that it tells of a group, which keeps committing behind the end, is right, and so is its status"
	// burrowRecords are in the topic, of which the group leaves burrowLag.
	burrowRecords, burrowLag = 200, 40
)

func runBurrow(ctx context.Context, s *stage, r *row) error {
	binary, err := s.Cache.Debian("Burrow", "burrow")
	if err != nil {
		return errMissing{err.Error()}
	}
	ports, err := node.FreePorts(1)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Seeds...), kgo.DefaultProduceTopic("interop-burrow"), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 1, int16(s.replicas), nil, "interop-burrow"); err != nil {
		return err
	}
	for range burrowRecords {
		cl.Produce(ctx, kgo.StringRecord("r"), nil)
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	// The coordinator's topic must be there before Burrow looks for it.
	if err := commitAt(ctx, adm, 1); err != nil {
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
		at = min(at+10, burrowRecords-burrowLag)
		if err := commitAt(ctx, adm, at); err != nil {
			return err
		}
		if at < burrowRecords-burrowLag {
			return fmt.Errorf("the group has read %d records", at)
		}
		return burrowSays(ctx, "http://127.0.0.1:"+ports[0])
	})
	r.done("consume", err)
	r.done(ownColumn, err)
	return nil
}

func commitAt(ctx context.Context, adm *kadm.Client, at int64) error {
	offsets := kadm.Offsets{}
	offsets.AddOffset("interop-burrow", 0, at, -1)
	return adm.CommitAllOffsets(ctx, "burrowed", offsets)
}

// burrowConfig reads offsets from Kafka; the ZooKeeper is there because Burrow does not start without one.
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
level="info"
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

// burrowSays asks for the group's lag and status.
func burrowSays(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/v3/kafka/local/consumer/burrowed/lag", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var said struct {
		Error   bool   `json:"error"`
		Message string `json:"message"`
		Status  struct {
			Status   string `json:"status"`
			TotalLag int64  `json:"totallag"`
		} `json:"status"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return fmt.Errorf("cannot read Burrow's answer: %w", err)
	}
	if said.Error || said.Status.TotalLag != burrowLag || said.Status.Status != "OK" {
		return fmt.Errorf("Burrow says %+v instead of a lag of %d and OK", said, burrowLag)
	}
	return nil
}
