package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestProduceResponsesAreWrittenAsKmsgWritesThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for version := int16(3); version <= 13; version++ {
		for i := range 300 {
			resp := kmsg.NewPtrProduceResponse()
			f := filler{rng: rng, tags: i%2 == 1}
			f.fill(reflect.ValueOf(resp).Elem())
			resp.Version = version
			if i%5 == 0 {
				resp.Brokers = nil
			}
			for t := range resp.Topics {
				for p := range resp.Topics[t].Partitions {
					part := &resp.Topics[t].Partitions[p]
					part.CurrentLeader.UnknownTags = kmsg.Tags{} // no one writes any there
					if rng.IntN(2) == 0 {
						part.CurrentLeader.Default()
					}
				}
			}
			want := resp.AppendTo([]byte("x"))
			if got := appendProduceResponse([]byte("x"), resp); !bytes.Equal(got, want) {
				t.Fatalf("v%d:\n%x, kmsg writes\n%x", version, got, want)
			}
		}
	}
}

// One request value reads every version's bodies in turn, with tags that nobody knows, and holds each time what
// kmsg reads, nothing of the one before.
func TestProduceRequestsAreReadAsKmsgReadsThem(t *testing.T) {
	table := everything(t, Broker)
	fill := filler{rng: rand.New(rand.NewPCG(11, 12)), tags: true}
	got := new(kmsg.ProduceRequest)
	for round := range 200 {
		v, err := table.Lookup(0, int16(3+round%11))
		if err != nil {
			t.Fatal(err)
		}
		body := fill.request(0, v.Version).AppendTo(nil)
		decoded, err := v.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		want := decoded.(*kmsg.ProduceRequest)
		want.UnknownTags = kmsg.Tags{}
		for i := range want.Topics {
			want.Topics[i].UnknownTags = kmsg.Tags{}
			for j := range want.Topics[i].Partitions {
				want.Topics[i].Partitions[j].UnknownTags = kmsg.Tags{}
			}
		}
		if err := v.DecodeProduce(body, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(kmsg.Tags{})); diff != "" {
			t.Fatalf("v%d: %s", v.Version, diff)
		}
		ForgetProduce(got)
		if got.TransactionID != nil || len(got.Topics) != 0 {
			t.Fatalf("v%d: %+v is kept", v.Version, got)
		}
	}
}

func TestAVeryLargeProduceRequestIsNotKept(t *testing.T) {
	if req := (&kmsg.ProduceRequest{Topics: make([]kmsg.ProduceRequestTopic, 1, 2)}); !ForgetProduce(req) {
		t.Fatal("a small request is not kept")
	}
	if req := (&kmsg.ProduceRequest{Topics: make([]kmsg.ProduceRequestTopic, maxKeptTopics+1)}); ForgetProduce(req) {
		t.Fatal("a request of many topics is kept")
	}
}
