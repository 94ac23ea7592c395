//go:build realkafka

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCLIDiff gives every line of testdata/lines.txt to Kafka's tool and to
// ours, on Apache Kafka and on Moldau, and compares exit code, standard output
// and standard error. On either broker the two tools must agree.
//
// MOLDAU_REALKAFKA is a script with `start DIR NODES PORT`, `stop DIR` and `cp`.
// MOLDAU_CLI_BROKER and MOLDAU_CLI_SECTION pick a broker and sections;
// MOLDAU_CLI_RECORD keeps what Kafka's tools said for TestGolden.
func TestCLIDiff(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	rec := readRecord(t)
	for _, broker := range []string{"kafka", "moldau"} {
		if which := os.Getenv("MOLDAU_CLI_BROKER"); which != "" && which != broker {
			continue
		}
		t.Run(broker, func(t *testing.T) {
			lines, differ := 0, 0
			for _, nodes := range []int{1, 3} {
				t.Run(itoa(nodes), func(t *testing.T) {
					n, d := compareOn(t, broker, nodes, rec)
					lines, differ = lines+n, differ+d
				})
			}
			t.Logf("%d command lines on %s, %d differ", lines, broker, differ)
		})
	}
}

// compareOn runs the sections that want so many nodes.
func compareOn(t *testing.T, broker string, nodes int, rec *kafkaSaid) (lines, differ int) {
	var sections []section
	for _, s := range readSections(t) {
		if s.nodes() == nodes && (broker == "kafka" || !s.logins()) && s.wanted() {
			sections = append(sections, s)
		}
	}
	if len(sections) == 0 {
		return 0, 0
	}
	var w *world
	if broker == "kafka" {
		w = kafkaWorld(t, nodes)
	} else {
		w = moldauWorld(t, nodes)
	}
	w.internalTopics()
	drivers := map[bool]*javaDriver{} // one that logs, and one that does not
	for _, s := range sections {
		began := time.Now()
		if drivers[s.logs()] == nil {
			drivers[s.logs()] = startDriver(t, os.Getenv("MOLDAU_REALKAFKA"), w.dir, s.logs())
		}
		n, d := w.compareSection(t, s, drivers[s.logs()], rec)
		lines, differ = lines+n, differ+d
		if os.Getenv("MOLDAU_CLI_RECORD") != "" {
			rec.write(t)
		}
		t.Logf("%s: %d lines, %d differ, %.0f s", s.name, n, d, time.Since(began).Seconds())
	}
	return lines, differ
}

func (w *world) compareSection(t *testing.T, s section, driver *javaDriver, rec *kafkaSaid) (lines, differ int) {
	w.cleanAll()
	w.writeFiles() // sections change them
	theirs := w.runSection(s, func(words []string, stdin string, seconds int) result {
		res, err := driver.run(words, stdin, seconds)
		if err != nil {
			t.Fatal(err)
		}
		return res
	})
	w.cleanAll()
	w.writeFiles()
	ours := w.runSection(s, w.toolFor)
	asked := s.askedLines()
	for i, l := range s.lines {
		if l.kind != compared || l.how["kafka"] && w.name != "kafka" {
			continue
		}
		lines++
		got := w.comparableResult(ours[i], l)
		want := w.asksAgain(t, driver, l, w.comparableResult(theirs[i], l), got)
		rec.put(s.name, asked[i], w.name, want)
		if diff := difference(l, want, got); diff != "" {
			differ++
			t.Errorf("%s, line %d\n$ %s\n%s", s.name, l.number, l.command, diff)
		}
	}
	return lines, differ
}

// asksAgain runs a line of Kafka's metadata shell again if it does not say what ours does: at times it looks before its
// file is read, and finds nothing. The shell changes nothing.
func (w *world) asksAgain(t *testing.T, driver *javaDriver, l line, want, got result) result {
	for range 3 {
		if !strings.HasPrefix(l.command, "kafka-metadata-shell ") || want == got {
			break
		}
		again, err := driver.run(w.words(l.command), l.stdin, toolSeconds)
		if err != nil {
			t.Fatal(err)
		}
		want = w.comparableResult(again, l)
	}
	return want
}

// security is the part of a node's properties that gives it a SASL listener, an
// authorizer that lets the plaintext listener do anything, and delegation tokens.
const security = `listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret" user_bob="bob-secret" user_admin="admin-secret";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=true
delegation.token.secret.key=abc
`

// kafkaWorld starts Apache Kafka: brokers from a port on, the SASL listener 50 above, controllers 100 above. A port may
// become another program's meanwhile: then it tries others.
func kafkaWorld(t *testing.T, nodes int) *world {
	t.Helper()
	w := &world{t: t, bin: toolFolder(t), dir: t.TempDir(), name: "kafka", nodes: nodes}
	var failures []string
	for range 4 {
		failure := w.startKafka(t.TempDir(), freePorts(t, []int{0, 1, 2, 50, 100, 101, 102}))
		if failure == "" {
			return w
		}
		failures = append(failures, failure)
	}
	t.Fatalf("cannot start Kafka:\n%s", strings.Join(failures, "\n"))
	return nil
}

func (w *world) startKafka(dir string, port int) (failure string) {
	script, cluster, more := os.Getenv("MOLDAU_REALKAFKA"), filepath.Join(dir, "cluster"), filepath.Join(dir, "more.properties")
	w.controller, w.sasl = fmt.Sprintf("127.0.0.1:%d", port+100), fmt.Sprintf("127.0.0.1:%d", port+50)
	text := security
	if w.nodes == 1 { // with several nodes the script's own listeners stay
		text += fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://%s,SASL://%s\nadvertised.listeners=PLAINTEXT://127.0.0.1:%d,SASL://%s\n", port, w.controller, w.sasl, port, w.sasl)
	}
	if err := os.WriteFile(more, []byte(text), 0o644); err != nil {
		return err.Error()
	}
	start := exec.Command(script, "start", cluster, itoa(w.nodes), itoa(port))
	start.Env = append(os.Environ(), "RK_PROPS="+more)
	out, err := start.Output()
	if err != nil {
		logged, _ := exec.Command("bash", "-c", "tail -n 5 "+cluster+"/*.log").CombinedOutput()
		exec.Command(script, "stop", cluster).Run()
		return fmt.Sprintf("%v\n%s", err, logged)
	}
	w.t.Cleanup(func() { exec.Command(script, "stop", cluster).Run() })
	w.bootstrap = strings.TrimSpace(string(out))
	w.metadataLog = filepath.Join(cluster, "data-1/__cluster_metadata-0/00000000000000000000.log")
	if b, err := os.ReadFile(filepath.Join(cluster, "1.properties")); err == nil {
		w.nodeProperties = string(b)
	}
	return ""
}

// kafkaFolder is where Apache Kafka's nodes have their files.
func (w *world) kafkaFolder() string {
	return filepath.Dir(filepath.Dir(filepath.Dir(w.metadataLog)))
}

// logs reports whether a section compares what clients log.
func (s section) logs() bool {
	return slices.ContainsFunc(s.lines, func(l line) bool { return l.how["log"] })
}
