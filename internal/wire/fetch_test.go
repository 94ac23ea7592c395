package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clearInnerTags takes the unknown tags out of the three optional structs: no one writes any there.
func clearInnerTags(resp *kmsg.FetchResponse) {
	for t := range resp.Topics {
		for p := range resp.Topics[t].Partitions {
			part := &resp.Topics[t].Partitions[p]
			part.DivergingEpoch.UnknownTags, part.CurrentLeader.UnknownTags, part.SnapshotID.UnknownTags = kmsg.Tags{}, kmsg.Tags{}, kmsg.Tags{}
		}
	}
}

// fill puts the records that were left out into the gaps.
func fill(body []byte, gaps []Gap, resp *kmsg.FetchResponse) []byte {
	var out []byte
	from := 0
	for _, g := range gaps {
		out = append(out, body[from:g.At]...)
		out = append(out, resp.Topics[g.Topic].Partitions[g.Partition].RecordBatches...)
		from = g.At
	}
	return append(out, body[from:]...)
}

func TestFramedFetchResponsesAreThoseOfKmsg(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for version := int16(4); version <= 18; version++ {
		for i := range 300 {
			resp := kmsg.NewPtrFetchResponse()
			f := filler{rng: rng, tags: i%2 == 1}
			f.fill(reflect.ValueOf(resp).Elem())
			resp.Version = version
			if i%5 == 0 {
				resp.Brokers = nil
			}
			for t := range resp.Topics {
				for p := range resp.Topics[t].Partitions {
					if part := &resp.Topics[t].Partitions[p]; rng.IntN(2) == 0 {
						part.DivergingEpoch.Default()
						part.SnapshotID.Default()
					}
				}
			}
			clearInnerTags(resp)
			want := resp.AppendTo(nil)
			body, gaps := AppendFetchResponse([]byte("x"), resp, func(t, p int) int {
				return len(resp.Topics[t].Partitions[p].RecordBatches) * (i % 3 / 2) // gaps in every third response
			})
			if got := fill(body, gaps, resp)[1:]; !bytes.Equal(got, want) {
				t.Fatalf("v%d, %d gaps:\n%x, kmsg writes\n%x", version, len(gaps), got, want)
			}
		}
	}
}

func BenchmarkFetchResponse(b *testing.B) {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 13
	topic := kmsg.NewFetchResponseTopic()
	for range 1000 {
		topic.Partitions = append(topic.Partitions, kmsg.NewFetchResponseTopicPartition())
	}
	resp.Topics = append(resp.Topics, topic)
	var buf []byte
	b.Run("framed", func(b *testing.B) {
		for b.Loop() {
			buf, _ = AppendFetchResponse(buf[:0], resp, func(int, int) int { return 100 })
		}
	})
	b.Run("kmsg", func(b *testing.B) {
		for b.Loop() {
			buf = resp.AppendTo(buf[:0])
		}
	})
}
