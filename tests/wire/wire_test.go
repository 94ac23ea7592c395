package wire

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestEveryProbeIsARequestOfItsAPI(t *testing.T) {
	l := &lab{vars: strings.NewReplacer("$PRODUCEID", idJSON([16]byte{1}), "$ID", idJSON([16]byte{2}), "$NOID", idJSON([16]byte{3}), "$BATCH", "AAAA", "$LONG", "x")}
	for _, p := range probes() {
		if _, err := l.build(p.key, p.min, p.body); err != nil {
			t.Errorf("%s, %s: %v", p.key.Name(), p.name, err)
		}
		if p.min > p.max {
			t.Errorf("%s, %s: versions %d to %d", p.key.Name(), p.name, p.min, p.max)
		}
	}
}

func TestRenderMasksWhatDiffersAndKeepsWhatCounts(t *testing.T) {
	r := kmsg.NewPtrMetadataResponse()
	id, rack := "cluster-x", "r"
	r.ClusterID = &id
	name := "t"
	r.Topics = []kmsg.MetadataResponseTopic{{Topic: &name, ErrorCode: 3}}
	r.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "h", Port: 9092, Rack: &rack}}
	got := render(r)
	for _, want := range []string{"ErrorCode:3", `Topic:"t"`, "NodeID:1", "ClusterID:*", "Port:*"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if strings.Contains(got, "cluster-x") || strings.Contains(got, "9092") {
		t.Errorf("%s shows what differs from server to server", got)
	}
}

func TestBatchesAreWhatTheyClaim(t *testing.T) {
	var b kmsg.RecordBatch
	if err := b.ReadFrom(newBatch().of(3).bytes()); err != nil {
		t.Fatal(err)
	}
	if b.NumRecords != 3 || b.LastOffsetDelta != 2 || b.Magic != 2 {
		t.Fatalf("%+v", b)
	}
}
