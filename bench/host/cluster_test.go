package host

import (
	"strconv"
	"testing"
)

func TestEachNodeKnowsAllVoters(t *testing.T) {
	ports := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}
	p := memberProps("/d", ports, 1)
	for key, want := range map[string]string{
		"node.id": "2", "controller.quorum.voters": "1@127.0.0.1:2,2@127.0.0.1:5,3@127.0.0.1:8",
		"listeners": "PLAINTEXT://127.0.0.1:4,CONTROLLER://127.0.0.1:5", "advertised.listeners": "PLAINTEXT://127.0.0.1:4",
		"offsets.topic.replication.factor": "3", "transaction.state.log.min.isr": "2", "log.dirs": "/d/data",
	} {
		if p[key] != want {
			t.Errorf("%s=%s, not %s", key, p[key], want)
		}
	}
}

func TestLastingPorts(t *testing.T) {
	ports, err := lastingPorts(9)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range ports {
		n, _ := strconv.Atoi(p)
		if seen[p] || n < lowestPort || n >= highestPort {
			t.Errorf("port %s", p)
		}
		seen[p] = true
	}
}

func TestACommandForEveryCPUIsFreed(t *testing.T) {
	if args := Command(EveryCPU, "true").Args; len(args) != 4 || args[1] != pinCommand || args[2] != strconv.Itoa(EveryCPU) {
		t.Error(args)
	}
	if args := Command(-1, "true").Args; len(args) != 1 {
		t.Error(args)
	}
}
