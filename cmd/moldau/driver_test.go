//go:build realkafka

package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// javaDriver is the JVM that runs Kafka's tools.
type javaDriver struct {
	conn net.Conn
	in   *bufio.Reader
}

// startDriver starts the JVM in dir, so that tools find their files there. The clients log, or do not.
func startDriver(t *testing.T, realkafka, dir string, logs bool) *javaDriver {
	cp, err := exec.Command(realkafka, "cp").Output()
	if err != nil {
		t.Fatalf("cannot get Kafka's class path: %v", err)
	}
	source, err := filepath.Abs("testdata/ToolDriver.java")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-Djava.security.manager=allow", "--add-opens=java.base/java.lang=ALL-UNNAMED", "-Xmx400m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	if logs {
		config, err := filepath.Abs("testdata/log4j2.xml")
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-Dlog4j2.configurationFile="+config)
	}
	cmd := exec.Command("java", append(args, "-cp", strings.TrimSpace(string(cp)), source)...)
	cmd.Dir = dir
	logged, err := os.Create(filepath.Join(t.TempDir(), "driver.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = logged
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no java: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		logged.Close()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the driver did not start, see %s: %v", logged.Name(), err)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &javaDriver{conn, bufio.NewReader(conn)}
}

// run runs one tool, whose name is the first of words, and ends it after so many seconds.
func (d *javaDriver) run(words []string, stdin string, seconds int) (result, error) {
	class, ok := toolClasses()[strings.TrimSuffix(words[0], ".sh")]
	if !ok {
		return result{}, fmt.Errorf("%s is no tool of Kafka's", words[0])
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	request := []string{class, strconv.Itoa(seconds), encode(stdin)}
	for _, w := range words[1:] {
		request = append(request, encode(w))
	}
	if _, err := io.WriteString(d.conn, strings.Join(append(request, "."), "\n")+"\n"); err != nil {
		return result{}, err
	}
	var answer [3]string
	for i := range answer {
		l, err := d.in.ReadString('\n')
		if err != nil {
			return result{}, fmt.Errorf("the driver has gone: %w", err)
		}
		answer[i] = strings.TrimSpace(l)
	}
	code, err := strconv.Atoi(answer[0])
	if err != nil {
		return result{}, err
	}
	stdout, err := base64.StdEncoding.DecodeString(answer[1])
	if err != nil {
		return result{}, err
	}
	stderr, err := base64.StdEncoding.DecodeString(answer[2])
	return result{string(stdout), string(stderr), code}, err
}

// toolClasses are the classes behind Kafka's scripts.
func toolClasses() map[string]string {
	const t = "org.apache.kafka.tools."
	return map[string]string{
		"kafka-topics": t + "TopicCommand", "kafka-configs": "kafka.admin.ConfigCommand", "kafka-acls": t + "AclCommand",
		"kafka-console-producer": t + "ConsoleProducer", "kafka-console-consumer": t + "consumer.ConsoleConsumer", "kafka-console-share-consumer": t + "consumer.ConsoleShareConsumer",
		"kafka-consumer-groups": t + "consumer.group.ConsumerGroupCommand", "kafka-share-groups": t + "consumer.group.ShareGroupCommand",
		"kafka-streams-groups": t + "streams.StreamsGroupCommand", "kafka-groups": t + "GroupsCommand", "kafka-get-offsets": t + "GetOffsetShell",
		"kafka-delete-records": t + "DeleteRecordsCommand", "kafka-log-dirs": t + "LogDirsCommand", "kafka-dump-log": t + "DumpLogSegments", "kafka-storage": "kafka.tools.StorageTool",
		"kafka-metadata-quorum": t + "MetadataQuorumCommand", "kafka-metadata-shell": "org.apache.kafka.shell.MetadataShell", "kafka-features": t + "FeatureCommand",
		"kafka-cluster": t + "ClusterTool", "kafka-broker-api-versions": t + "BrokerApiVersionsCommand", "kafka-reassign-partitions": t + "reassign.ReassignPartitionsCommand",
		"kafka-leader-election": t + "LeaderElectionCommand", "kafka-replica-verification": t + "ReplicaVerificationTool", "kafka-transactions": t + "TransactionsCommand",
		"kafka-delegation-tokens": t + "DelegationTokenCommand", "kafka-client-metrics": t + "ClientMetricsCommand", "kafka-producer-perf-test": t + "ProducerPerformance",
		"kafka-consumer-perf-test": t + "ConsumerPerformance", "kafka-share-consumer-perf-test": t + "ShareConsumerPerformance", "kafka-e2e-latency": t + "EndToEndLatency",
		"kafka-verifiable-producer": t + "VerifiableProducer", "kafka-verifiable-consumer": t + "VerifiableConsumer", "kafka-verifiable-share-consumer": t + "VerifiableShareConsumer",
		"kafka-streams-application-reset": t + "StreamsResetter", "kafka-jmx": t + "JmxTool", "kafka-transactional-message-copier": t + "TransactionalMessageCopier",
	}
}
