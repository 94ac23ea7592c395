package cli

import (
	"net"
	"slices"
	"strings"
	"testing"
)

func TestDevDescribesACluster(t *testing.T) {
	p, err := parseDev([]string{"--nodes", "3", "--port=19092", "--dir", "d", "--override", "a=b"})
	if err != nil {
		t.Fatal(err)
	}
	s := p.settings(2)
	for _, want := range []string{
		"node.id=2", "listeners=PLAINTEXT://localhost:19192,CONTROLLER://localhost:19193", "log.dirs=d/node-2", "min.insync.replicas=2",
		"controller.quorum.voters=1@localhost:19093,2@localhost:19193,3@localhost:19293", "a=b",
		"moldau.admin.listener=127.0.0.1:19744",
	} {
		if !slices.Contains(s, want) {
			t.Errorf("%s is missing in %v", want, s)
		}
	}
	if one, _ := parseDev([]string{"--nodes", "1"}); !slices.Contains(one.settings(1), "default.replication.factor=1") {
		t.Error("one node cannot hold more than one copy")
	}
	for _, bad := range []string{"--nodes 0", "--nodes 10", "--nodes x", "--nodes", "--port 70000", "--what 1", "--only 0", "--nodes 3 --only 4", "server.properties", "--override nothing"} {
		if _, err := parseDev(strings.Fields(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestDevTellsHowToStartOneNodeAgain(t *testing.T) {
	p, err := parseDev([]string{"--nodes", "3", "--port", "19092", "--override", "a=b"})
	if err != nil {
		t.Fatal(err)
	}
	hint := p.restartHint("bin/moldau", 2)
	if hint != "bin/moldau dev --nodes 3 --port 19092 --dir moldau-dev --only 2 --override a=b" {
		t.Error(hint)
	}
	again, err := parseDev(strings.Fields(hint)[2:])
	if err != nil || !slices.Equal(again.ids(), []int{2}) || !slices.Equal(again.settings(2), p.settings(2)) {
		t.Errorf("%v: the hint starts another node: %+v", err, again)
	}
}

// Another program holds a port of the second node: nothing is started, and the sentence names the port and a way out.
func TestDevStartsNothingOnTakenPorts(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	p := &devPlan{nodes: 2, port: taken - devPortStep - 1, dir: "moldau-dev"}
	err = p.portsAreFree()
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "--port") {
		t.Fatal(err)
	}
	p.overrides = []Override{{Key: "listeners", Value: "PLAINTEXT://localhost:0"}}
	if err := p.portsAreFree(); err != nil {
		t.Fatal(err)
	}
}

func TestDevKeepsTheClustersID(t *testing.T) {
	p := &devPlan{dir: t.TempDir() + "/new"}
	first, err := p.clusterID()
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	if again, err := p.clusterID(); err != nil || again != first {
		t.Fatalf("%s, then %s: %v", first, again, err)
	}
}
