package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

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
