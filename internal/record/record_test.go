package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

func genBytes(max int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
			return nil
		}
		b := rapid.SliceOfN(rapid.Byte(), 0, max).Draw(t, "bytes")
		if b == nil {
			b = []byte{}
		}
		return b
	})
}

func drawRecords(t *rapid.T) []Record {
	n := rapid.IntRange(1, 20).Draw(t, "n")
	recs := make([]Record, n)
	for i := range recs {
		r := Record{TimestampMs: rapid.Int64Range(-1, math.MaxInt64/2).Draw(t, "ts"), Key: genBytes(40).Draw(t, "key"), Value: genBytes(300).Draw(t, "value")}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{Key: rapid.String().Draw(t, "hk"), Value: genBytes(9).Draw(t, "hv")})
		}
		recs[i] = r
	}
	return recs
}

func collect(t interface{ Fatalf(string, ...any) }, b Batch) []Record {
	var got []Record
	if err := b.ForEach(func(r Record) error { got = append(got, r.Clone()); return nil }); err != nil {
		t.Fatalf("ForEach: %v", err)
	}
	return got
}

func TestWhatIsBuiltIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs := drawRecords(t)
		opts := BuilderOptions{
			Codec: rapid.SampledFrom(allCodecs).Draw(t, "codec"), HasProducer: true,
			ProducerID: rapid.Int64Min(0).Draw(t, "pid"), ProducerEpoch: rapid.Int16Min(0).Draw(t, "epoch"),
			BaseSequence: rapid.Int32Min(0).Draw(t, "seq"), PartitionLeaderEpoch: rapid.Int32().Draw(t, "leader epoch"),
			BaseOffset: rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "base"), Transactional: rapid.Bool().Draw(t, "txn"),
		}
		b := NewBuilder(opts)
		maxTs := recs[0].TimestampMs
		for i := range recs {
			b.Append(recs[i].TimestampMs, recs[i].Key, recs[i].Value, recs[i].Headers)
			recs[i].Offset = opts.BaseOffset + int64(i)
			maxTs = max(maxTs, recs[i].TimestampMs)
		}
		batch := b.Build()
		if err := batch.Validate(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(recs, collect(t, batch)); diff != "" {
			t.Fatal(diff)
		}
		if batch.MaxTimestamp() != maxTs || batch.BaseOffset() != opts.BaseOffset || batch.LastOffset() != opts.BaseOffset+int64(len(recs)-1) ||
			batch.NumRecords() != len(recs) || batch.ProducerID() != opts.ProducerID || batch.ProducerEpoch() != opts.ProducerEpoch ||
			batch.BaseSequence() != opts.BaseSequence || batch.IsTransactional() != opts.Transactional || batch.IsControl() ||
			batch.Codec() != opts.Codec || batch.PartitionLeaderEpoch() != opts.PartitionLeaderEpoch || batch.SizeInBytes() != len(batch) {
			t.Fatalf("header %+v does not say %+v", batch[:HeaderBytes], opts)
		}
		crc := batch.CRC()
		batch.SetBaseOffset(5)
		batch.SetPartitionLeaderEpoch(6)
		if batch.ComputeCRC() != crc {
			t.Fatal("the checksum covers offset or epoch")
		}
		batch.SetLogAppendTime(77)
		if err := batch.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, r := range collect(t, batch) {
			if r.TimestampMs != 77 {
				t.Fatalf("a record of a batch stamped 77 says %d", r.TimestampMs)
			}
		}
	})
}

// Another implementation of the format must see the same fields.
func TestHeaderAgreesWithKmsg(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 7, HasProducer: true, ProducerID: 9, ProducerEpoch: 3, BaseSequence: 11, PartitionLeaderEpoch: 2})
	b.Append(1000, []byte("k"), []byte("v"), []Header{{"h", nil}})
	b.Append(900, nil, []byte("w"), nil)
	batch := b.Build()
	var k kmsg.RecordBatch
	if err := k.ReadFrom(batch); err != nil {
		t.Fatal(err)
	}
	if k.FirstOffset != 7 || k.ProducerID != 9 || k.ProducerEpoch != 3 || k.FirstSequence != 11 || k.PartitionLeaderEpoch != 2 ||
		k.FirstTimestamp != 1000 || k.MaxTimestamp != 1000 || k.NumRecords != 2 || k.LastOffsetDelta != 1 || uint32(k.CRC) != batch.CRC() {
		t.Fatalf("kmsg reads %+v", k)
	}
	var r kmsg.Record
	if err := r.ReadFrom(k.Records); err != nil || string(r.Key) != "k" || string(r.Value) != "v" || len(r.Headers) != 1 {
		t.Fatalf("kmsg reads %+v, %v", r, err)
	}
}

func sample(codec Codec, values ...string) Batch {
	b := NewBuilder(BuilderOptions{Codec: codec})
	for i, v := range values {
		b.Append(int64(1000+i), []byte(fmt.Sprint("k", i)), []byte(v), nil)
	}
	return b.Build()
}

func TestNextSplitsAndNamesWhatIsWrong(t *testing.T) {
	one, two := sample(None, "a"), sample(Gzip, "b", "c")
	joined := append(bytes.Clone(one), two...)
	first, rest, err := Next(joined)
	if err != nil || !bytes.Equal(first, one) || !bytes.Equal(rest, two) {
		t.Fatalf("first %d bytes, rest %d, %v", len(first), len(rest), err)
	}
	for cut := range len(one) {
		if _, _, err := Next(one[:cut]); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	short := bytes.Clone(one)
	binary.BigEndian.PutUint32(short[8:], 48)
	if _, _, err := Next(short); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("length 48: %v", err)
	}
	for _, magic := range []byte{0, 1, 3} {
		old := bytes.Clone(one)
		old[16] = magic
		if _, _, err := Next(old); !errors.Is(err, ErrUnsupportedMagic) {
			t.Fatalf("magic %d: %v", magic, err)
		}
	}
}

func TestEachFlippedBitIsNoticed(t *testing.T) {
	batch := sample(None, "hello", "world")
	for at := 8; at < len(batch); at++ {
		if at >= 12 && at < 16 {
			continue // the leader epoch is not covered
		}
		broken := Batch(bytes.Clone(batch))
		broken[at] ^= 0x10
		if broken.Validate() == nil {
			t.Fatalf("a flipped bit at %d went unnoticed", at)
		}
	}
}

func TestRecordsMustBeAsTheHeaderSays(t *testing.T) {
	change := func(at int, v uint32) Batch {
		b := Batch(bytes.Clone(sample(None, "a", "b", "c")))
		binary.BigEndian.PutUint32(b[at:], v)
		b.UpdateCRC()
		return b
	}
	for name, b := range map[string]Batch{
		"fewer records": change(offCount, 2), "more records": change(offCount, 4), "negative count": change(offCount, math.MaxUint32),
		"last offset too low": change(offLastOffsetDelta, 1),
	} {
		if err := b.ValidateRecords(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unknown := Batch(bytes.Clone(sample(None, "a")))
	unknown[22] |= 5
	if err := unknown.ValidateRecords(); !errors.Is(err, ErrUnsupportedCodec) {
		t.Errorf("codec 5: %v", err)
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	plain := make([]byte, 1<<20)
	for _, c := range allCodecs {
		packed, err := c.Compress(nil, plain, DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Decompress(nil, packed, len(plain)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", c, err)
		}
		if got, err := c.Decompress([]byte("x"), packed, len(plain)); err != nil || len(got) != len(plain)+1 || got[0] != 'x' {
			t.Errorf("%v: %d bytes, %v", c, len(got), err)
		}
		for _, cut := range []int{1, len(packed) / 2, len(packed) - 1} {
			if c == None {
				continue
			}
			if got, err := c.Decompress(nil, packed[:cut], len(plain)); err == nil && len(got) == len(plain) {
				t.Errorf("%v cut at %d of %d went unnoticed", c, cut, len(packed))
			}
		}
	}
}

func TestLevels(t *testing.T) {
	src := bytes.Repeat([]byte("moldau and elbe "), 1000)
	for c, levels := range map[Codec][]int{Gzip: {-1, 1, 9}, LZ4: {1, 8, 9, 10, 17}, Zstd: {-7, 1, 3, 22}, Snappy: {0}} {
		for _, level := range levels {
			packed, err := c.Compress(nil, src, level)
			if err != nil {
				t.Fatalf("%v level %d: %v", c, level, err)
			}
			if got, err := c.Decompress(nil, packed, len(src)); err != nil || !bytes.Equal(got, src) {
				t.Fatalf("%v level %d: %v", c, level, err)
			}
		}
	}
	if _, err := Gzip.Compress(nil, src, 10); err == nil {
		t.Error("gzip level 10 was taken")
	}
	if _, err := LZ4.Compress(nil, src, 18); err == nil {
		t.Error("lz4 level 18 was taken")
	}
}

func TestSnappyIsReadInBothFramings(t *testing.T) {
	src := bytes.Repeat([]byte("Karlův most "), 10_000)
	raw := snappy.Encode(nil, src)
	if got, err := Snappy.Decompress(nil, raw, len(src)); err != nil || !bytes.Equal(got, src) {
		t.Fatalf("raw: %v", err)
	}
	xerial, _ := Snappy.Compress(nil, src, DefaultLevel)
	if !bytes.HasPrefix(xerial, []byte(xerialMagic)) {
		t.Fatal("not framed as Java does")
	}
	joined := append(bytes.Clone(xerial), xerial...)
	if got, err := Snappy.Decompress(nil, joined, 2*len(src)); err != nil || !bytes.Equal(got, append(bytes.Clone(src), src...)) {
		t.Fatalf("joined: %v", err)
	}
}

func TestControlRecordsRoundTrip(t *testing.T) {
	id := [16]byte{1, 2, 3}
	for _, want := range []Control{
		EndTxnMarker{Commit: true, CoordinatorEpoch: 4}, EndTxnMarker{CoordinatorEpoch: -1},
		LeaderChange{Version: 0, LeaderID: 3, Voters: []ReplicaKey{{ID: 1}, {ID: 3}}, GrantingVoters: []ReplicaKey{{ID: 3}}},
		LeaderChange{Version: 1, LeaderID: 3, Voters: []ReplicaKey{{ID: 3, DirectoryID: id}}},
		SnapshotHeader{LastContainedTimestampMs: 99}, SnapshotFooter{}, KRaftVersion{KRaftVersion: 1},
		Voters{Voters: []Voter{{ReplicaKey: ReplicaKey{ID: 1, DirectoryID: id}, Endpoints: []VoterEndpoint{{"CONTROLLER", "localhost", 65535}}, MaxKRaftVersion: 1}}},
	} {
		batch := ControlBatch(BuilderOptions{}, 5, want)
		if !batch.IsControl() {
			t.Fatal("not a control batch")
		}
		r := collect(t, batch)[0]
		got, err := ParseControl(r.Key, r.Value)
		if err != nil {
			t.Fatalf("%v: %v", want.ControlType(), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for cut := range len(r.Value) {
			if _, err := ParseControl(r.Key, r.Value[:cut]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v cut at %d: %v", want.ControlType(), cut, err)
			}
		}
	}
	marker := EndTxnBatch(7, 2, 5, EndTxnMarker{Commit: true, CoordinatorEpoch: 1})
	if !marker.IsTransactional() || marker.BaseSequence() != NoSequence || marker.ProducerID() != 7 {
		t.Fatal("a marker's header is wrong")
	}
	if got := ControlType(9).String(); got != "UNKNOWN(9)" {
		t.Fatal(got)
	}
}

func TestSequencesWrap(t *testing.T) {
	if got := AddSequence(math.MaxInt32, 1); got != 0 {
		t.Fatal(got)
	}
	if got := AddSequence(math.MaxInt32-2, 5); got != 2 {
		t.Fatal(got)
	}
}

func TestCompactedBatchKeepsItsRange(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 100, DeleteHorizonMs: 5000})
	b.AppendAt(3, 4000, []byte("k"), nil, nil)
	b.SetLastOffsetDelta(9)
	batch := b.Build()
	if h, ok := batch.DeleteHorizonMs(); !ok || h != 5000 {
		t.Fatal(h, ok)
	}
	r := collect(t, batch)[0]
	if r.Offset != 103 || r.TimestampMs != 4000 || batch.LastOffset() != 109 {
		t.Fatalf("%+v %d", r, batch.LastOffset())
	}
	empty := NewBuilder(BuilderOptions{BaseOffset: 100})
	empty.SetLastOffsetDelta(9)
	if b := empty.Build(); b.Validate() != nil || b.ValidateRecords() != nil || b.LastOffset() != 109 {
		t.Fatal("an empty batch must keep its offsets")
	}
}

func FuzzBatch(f *testing.F) {
	for _, c := range allCodecs {
		f.Add([]byte(sample(c, "hello", "world")))
	}
	f.Add([]byte(ControlBatch(BuilderOptions{}, 1, LeaderChange{Version: 1, Voters: []ReplicaKey{{ID: 1}}})))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			batch, rest, err := Next(b)
			if err != nil {
				return
			}
			_ = batch.Validate()
			n := 0
			err = batch.ForEach(func(r Record) error {
				n++
				if batch.IsControl() {
					_, _ = ParseControl(r.Key, r.Value)
				}
				if r.Offset > batch.LastOffset() {
					t.Fatalf("offset %d in a batch up to %d", r.Offset, batch.LastOffset())
				}
				return nil
			})
			if err == nil && n != batch.NumRecords() {
				t.Fatalf("%d records, header says %d", n, batch.NumRecords())
			}
			b = rest
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, c := range allCodecs {
		packed, _ := c.Compress(nil, bytes.Repeat([]byte("abc"), 100), DefaultLevel)
		f.Add(int8(c), packed)
	}
	f.Fuzz(func(t *testing.T, c int8, b []byte) {
		const limit = 1 << 20
		if out, err := Codec(c).Decompress(nil, b, limit); err == nil && len(out) > limit {
			t.Fatalf("%d bytes despite the limit", len(out))
		}
	})
}

func BenchmarkForEach(b *testing.B) {
	for _, c := range allCodecs {
		b.Run(c.String(), func(b *testing.B) {
			bld := NewBuilder(BuilderOptions{Codec: c})
			for i := range 1000 {
				bld.Append(int64(i), []byte("key"), bytes.Repeat([]byte("value"), 20), nil)
			}
			batch := bld.Build()
			b.SetBytes(int64(bld.SizeInBytes()))
			b.ReportAllocs()
			for b.Loop() {
				if err := batch.ForEachKey(func(Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
