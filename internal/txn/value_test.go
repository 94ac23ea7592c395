package txn

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func randomValue(t *rapid.T) value {
	v := value{
		producerID: rapid.Int64Min(0).Draw(t, "producer"), prevProducerID: rapid.Int64Min(-1).Draw(t, "previous"),
		nextProducerID: rapid.Int64Min(-1).Draw(t, "next"), epoch: rapid.Int16Min(0).Draw(t, "epoch"), timeoutMs: rapid.Int32Min(1).Draw(t, "timeout"),
		state:    rapid.SampledFrom([]State{Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort}).Draw(t, "state"),
		updateMs: rapid.Int64().Draw(t, "update"), startMs: rapid.Int64().Draw(t, "start"), clientVersion: rapid.SampledFrom([]int16{0, 2}).Draw(t, "client"),
		lastEpoch: noProducerEpoch,
	}
	if v.state != Empty {
		v.partitions = union(nil, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) TopicPartition {
			return TopicPartition{rapid.SampledFrom([]string{"t", "a-topic", strings.Repeat("u", 249)}).Draw(t, "topic"), rapid.Int32Range(0, 3000).Draw(t, "partition")}
		}), 0, 8).Draw(t, "partitions"))
	}
	return v
}

// What is written is read again, and another implementation of Kafka's format reads the same.
func TestRecordsAreKafkas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, version := randomValue(t), rapid.Int16Range(0, 1).Draw(t, "version")
		r := v.record("an id", version)
		got, err := parseValue(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		want := v
		if version == 0 {
			want.prevProducerID, want.nextProducerID, want.clientVersion = noProducerID, noProducerID, 0
		}
		if len(want.partitions) == 0 {
			want.partitions = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v", want, got)
		}
		var k kmsg.TxnMetadataKey
		if err := k.ReadFrom(r.Key); err != nil || k.TransactionalID != "an id" {
			t.Fatal(k, err)
		}
		var m kmsg.TxnMetadataValue
		if err := m.ReadFrom(r.Value); err != nil || m.ProducerID != v.producerID || m.ProducerEpoch != v.epoch || int8(m.State) != int8(v.state) || m.Version != version {
			t.Fatalf("%+v %v", m, err)
		}
		if (m.Topics == nil) != (v.state == Empty) {
			t.Fatalf("%v in %v", m.Topics, v.state)
		}
		if again := m.AppendTo(nil); !bytes.Equal(again, r.Value) {
			t.Fatalf("%x is written %x elsewhere", r.Value, again)
		}
		if err := new(Shard).Verify(r); err != nil {
			t.Fatal(err)
		}
		for cut := range r.Value {
			if _, err := parseValue(r.Value[:cut]); err == nil {
				t.Fatalf("%d of %d bytes are read", cut, len(r.Value))
			}
		}
	})
}

// The bytes as the format says, field by field.
func TestAKnownRecord(t *testing.T) {
	v := value{producerID: 3, prevProducerID: 3, nextProducerID: -1, epoch: 1, timeoutMs: 60000, state: CompleteCommit, updateMs: 0x19ae9, startMs: 0x19ae8, clientVersion: 2}
	got := hex.EncodeToString(v.record("x", 1).Value)
	if want := "0001" + "0000000000000003" + "0001" + "0000ea60" + "04" + "01" + "0000000000019ae9" + "0000000000019ae8" + "02" + "00080000000000000003" + "02020002"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(key("x"), value{producerID: 1, state: Ongoing, partitions: []TopicPartition{{"t", 0}}}.record("x", 1).Value)
	f.Add(key("x"), value{producerID: 1, state: Ongoing, partitions: []TopicPartition{{"t", 0}}}.record("x", 0).Value)
	f.Add(key("x"), []byte(nil))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		id, err := parseKey(k)
		if err != nil {
			return
		}
		parsed, err := parseValue(v)
		if err != nil {
			return
		}
		again, err := parseValue(parsed.record(id, 1).Value)
		if err != nil || !reflect.DeepEqual(again, parsed) && parsed.state != Empty {
			t.Fatalf("%+v became %+v: %v", parsed, again, err)
		}
	})
}
