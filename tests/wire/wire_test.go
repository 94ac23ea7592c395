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

func TestASentenceMayStandWhereKafkaIsSilent(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{`{ErrorCode:3 Configs:[{Name:"a"}] ErrorMessage:*}`, `{ErrorCode:3 Configs:[{Name:"a"}] ErrorMessage:null}`, true},
		{`[{ErrorCode:3 ErrorMessage:* Name:"x"} {ErrorMessage:empty}]`, `[{ErrorCode:3 ErrorMessage:empty Name:"x"} {ErrorMessage:empty}]`, true},
		{`[{ErrorCode:3 ErrorMessage:* Name:"x"}]`, `[{ErrorCode:3 ErrorMessage:null Name:"y"}]`, false},
		{`[{ErrorCode:3 Errors:[]} {Name:"x" ErrorMessage:*}]`, `[{ErrorCode:3 Errors:[]} {Name:"x" ErrorMessage:null}]`, false}, // no error, no words
		{`{ErrorCode:3 ErrorMessage:null}`, `{ErrorCode:3 ErrorMessage:*}`, false},
		{`{ErrorCode:3 ErrorMessage:null}`, `{ErrorCode:3 ErrorMessage:empty}`, false},
		{`{ErrorCode:4 ErrorMessage:*}`, `{ErrorCode:3 ErrorMessage:null}`, false},
		{`{Records:[{ErrorMessage:*}] ErrorCode:87 ErrorMessage:*}`, `{Records:[{ErrorMessage:*}] ErrorCode:87 ErrorMessage:null}`, true},
		{`{ErrorCode:76 ErrorMessage:*}`, `{ErrorCode:-1 ErrorMessage:null}`, true},
		{`{ErrorCode:42 ErrorMessage:*}`, errSilence.Error(), true},
		{`{Topics:[{Name:"x"}]}`, `{Topics:[{ErrorCode:-1 Name:"x"}]}`, false},
		{errDisconnected.Error(), errSilence.Error(), false},
	} {
		if got := same(c.got, c.want); got != c.same {
			t.Errorf("%s and %s: %t", c.got, c.want, got)
		}
	}
}
