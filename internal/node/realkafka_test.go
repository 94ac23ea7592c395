//go:build realkafka

package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaTool runs one of Apache Kafka's tools by the script that MOLDAU_REALKAFKA names.
func kafkaTool(t *testing.T, args ...string) string {
	t.Helper()
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA does not name the script that runs Apache Kafka")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, script, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Kafka's dump tool reads what the coordinator has written of committed, aborted and open transactions.
func TestKafkaReadsTheTransactionLog(t *testing.T) {
	dir := t.TempDir()
	r := &rig{t: t, net: netx.NewMem(clock.Real{})}
	o := r.options("log.dirs="+dir, "transaction.state.log.num.partitions=1")
	o.FS = vfs.OS{}
	o.Logger = obs.Discard()
	n, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	r.node = n
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = n.Stop()
		}
	})
	r.create("t", 2)
	for id, end := range map[string]kgo.TransactionEndTry{"committed": kgo.TryCommit, "aborted": kgo.TryAbort} {
		r.txn(r.producer(id), end, "t", 2, "a", "b")
	}
	open := r.producer("open")
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := open.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	log := n.logs.Log(storage.TopicPartition{Topic: txn.Topic})
	for deadline := time.Now().Add(10 * time.Second); n.txns.Metrics().Undelivered > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	stopped = true
	out := kafkaTool(t, "tool", "kafka-dump-log", "--transaction-log-decoder", "--files", filepath.Join(dir, fmt.Sprintf("%s-0/%020d.log", txn.Topic, log.LogStartOffset())))
	for _, want := range []string{
		`"transactionalId":"committed"`, `"transactionalId":"aborted"`, `"transactionalId":"open"`, `"transactionStatus":1`, `"transactionStatus":2`,
		`"transactionStatus":3`, `"transactionStatus":4`, `"transactionStatus":5`, `"transactionPartitions":[{"topic":"t","partitionIds":[0,1]}]`, `"clientTransactionVersion":2`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("Kafka's dump does not show %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
