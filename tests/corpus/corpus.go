// Package corpus holds the records that every client must carry unchanged,
// and the comparison of what was written with what came back.
//
// All suites call it; it has no state. If it is wrong, a broker that changes
// a byte, a header or a timestamp passes.
package corpus

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Partitions is how many partitions a corpus topic has: more than one, so that
// a broker which mixes partitions up is caught.
const Partitions = 2

// BigValueBytes is close to, and with its batch below, the default limit of
// 1 MiB that clients and brokers share.
const BigValueBytes = 900 << 10

// Header is one record header; a nil Value is null.
type Header struct {
	Key   string `json:"k"`
	Value []byte `json:"v"`
}

// Record is one record as any client sees it; nil Key or Value is null.
type Record struct {
	Partition   int32    `json:"p"`
	Offset      int64    `json:"o"`
	TimestampMs int64    `json:"t"`
	Key         []byte   `json:"key"`
	Value       []byte   `json:"value"`
	Headers     []Header `json:"headers"`
}

// Limits says what a client's interface cannot express, so that it is not
// asked of it. The zero value can do everything.
type Limits struct {
	NoTimestamps       bool // the client stamps records itself
	NoHeaders          bool
	NoNullHeaderValues bool
	NoRepeatedHeaders  bool
	NoEmptyHeaderKeys  bool
	TextOnly           bool // keys, values and header values are printable text of one line
	NoNullKeys         bool
	NoEmptyKeys        bool // an empty key is sent as null
	NoEmptyValues      bool // an empty value is sent as null
	NoNullValues       bool
	NoBlankRecords     bool // a record without key and content is not sent at all
	TextHeaders        bool // header values are printable text of one line
	OnePartition       bool // the client cannot choose partitions
	NullIsEmpty        bool // reading, the client shows null as empty
	HeadersByName      bool // reading, the client shows headers grouped by name
}

// Make returns the corpus, the same for the same seed and start, as far as
// limits allow. Offsets are those that a fresh topic will give.
func Make(seed uint64, start time.Time, lim Limits) []Record {
	rnd := rand.New(rand.NewPCG(seed, 1))
	base := start.Add(-24 * time.Hour).UnixMilli()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	recs := []Record{
		{Key: []byte("first"), Value: []byte("a plain record")},
		{Key: nil, Value: []byte("no key")},
		{Key: []byte("tombstone"), Value: nil},
		{Key: []byte{}, Value: []byte{}},
		{Key: nil, Value: nil},
		{Key: every, Value: append(every, every...)},
		{Key: []byte("žluťoučký kůň"), Value: []byte("Vltava – 水の流れ – 🌊")},
		{Key: []byte("headers"), Value: []byte("one"), Headers: []Header{{"trace", []byte("abc")}}},
		{Key: []byte("headers"), Value: []byte("many"), Headers: []Header{
			{"a", []byte("1")}, {"b", []byte("2")}, {"a", []byte("3")}, {"a", []byte("1")}, {"empty", []byte{}},
			{"", []byte("no name")}, {"null", nil}, {"bytes", every}, {"jméno", []byte("ž")}}},
		{Key: []byte("big"), Value: words(rnd, BigValueBytes)},
		{Key: []byte("after big"), Value: []byte("still in order")},
	}
	for i := range 120 {
		value := words(rnd, rnd.IntN(2000))
		r := Record{Key: fmt.Appendf(nil, "key-%d", rnd.IntN(20)), Value: value}
		if i%7 == 0 {
			r.Headers = []Header{{"i", fmt.Appendf(nil, "%d", i)}, {"codec-test", []byte("yes")}}
		}
		recs = append(recs, r)
	}
	next := make([]int64, Partitions)
	for i := range recs {
		r := &recs[i]
		r.limit(lim)
		if !lim.OnePartition {
			r.Partition = int32(i % Partitions)
		}
		r.Offset = next[r.Partition]
		next[r.Partition]++
		// Timestamps go up and down: a broker must keep them, not sort by them.
		r.TimestampMs = base + int64(i)*1000 - int64(rnd.IntN(5000))
	}
	return recs
}

// words gives text that every codec can make smaller: some clients send a batch
// as it is when compression does not pay.
func words(rnd *rand.Rand, size int) []byte {
	v := make([]byte, 0, size+16)
	for len(v) < size {
		v = fmt.Appendf(v, "word-%d ", rnd.IntN(500))
	}
	return v[:size]
}

func (r *Record) limit(lim Limits) {
	if lim.TextOnly {
		r.Key, r.Value = text(r.Key), text(r.Value)
	}
	if lim.NoNullKeys && r.Key == nil || lim.NoEmptyKeys && r.Key != nil && len(r.Key) == 0 {
		r.Key = []byte("a key")
	}
	if lim.NoNullValues && r.Value == nil || lim.NoEmptyValues && r.Value != nil && len(r.Value) == 0 {
		r.Value = []byte("a value")
	}
	if lim.NoBlankRecords && r.Key == nil && len(r.Value) == 0 {
		r.Key = []byte("a key")
	}
	if lim.NoHeaders {
		r.Headers = nil
		return
	}
	seen := map[string]bool{}
	var kept []Header
	for _, h := range r.Headers {
		if lim.TextOnly || lim.TextHeaders {
			h.Value = text(h.Value)
		}
		if lim.NoNullHeaderValues && h.Value == nil || lim.NoEmptyHeaderKeys && h.Key == "" || lim.NoRepeatedHeaders && seen[h.Key] {
			continue
		}
		seen[h.Key] = true
		kept = append(kept, h)
	}
	r.Headers = kept
}

// text keeps b if it is printable and one line, and otherwise gives a text in its place.
func text(b []byte) []byte {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return []byte("a text instead of bytes")
		}
	}
	return b
}

// shown is how many bytes of a value an error message shows.
const shown = 40

// Compare checks that got is want: each partition's records in order, and of
// each the offset, timestamp, key, value and headers. Records may arrive
// interleaved across partitions. With lim.NoTimestamps the time only has to be near now.
func Compare(want, got []Record, lim Limits) error {
	w, g := byPartition(want), byPartition(got)
	if len(want) != len(got) {
		return fmt.Errorf("%d records instead of %d%s", len(got), len(want), counts(w, g))
	}
	for p, ws := range w {
		gs := g[p]
		if len(gs) != len(ws) {
			return fmt.Errorf("partition %d has %d records instead of %d", p, len(gs), len(ws))
		}
		for i := range ws {
			if err := compareOne(ws[i], gs[i], lim); err != nil {
				return fmt.Errorf("record %d of partition %d: %w", i, p, err)
			}
		}
	}
	return nil
}

func counts(w, g map[int32][]Record) string {
	s := ""
	for p := range w {
		s += fmt.Sprintf("; partition %d: %d of %d", p, len(g[p]), len(w[p]))
	}
	return s
}

func byPartition(rs []Record) map[int32][]Record {
	m := map[int32][]Record{}
	for _, r := range rs {
		m[r.Partition] = append(m[r.Partition], r)
	}
	return m
}

// stampToleranceMs is how far a client's own timestamp may lie from now: a run takes minutes.
const stampToleranceMs = 20 * 60 * 1000

func compareOne(want, got Record, lim Limits) error {
	if got.Offset != want.Offset {
		return fmt.Errorf("offset %d instead of %d", got.Offset, want.Offset)
	}
	if lim.NoTimestamps {
		if d := time.Now().UnixMilli() - got.TimestampMs; d < -stampToleranceMs || d > stampToleranceMs {
			return fmt.Errorf("timestamp %d is not near now", got.TimestampMs)
		}
	} else if got.TimestampMs != want.TimestampMs {
		return fmt.Errorf("timestamp %d instead of %d", got.TimestampMs, want.TimestampMs)
	}
	sameBytes := sameBytes
	if lim.NullIsEmpty {
		sameBytes = sameContent
	}
	if err := sameBytes("key", want.Key, got.Key); err != nil {
		return err
	}
	if err := sameBytes("value", want.Value, got.Value); err != nil {
		return err
	}
	if lim.NoHeaders {
		return nil
	}
	if len(want.Headers) != len(got.Headers) {
		return fmt.Errorf("%d headers instead of %d: %q", len(got.Headers), len(want.Headers), got.Headers)
	}
	if lim.HeadersByName {
		want.Headers, got.Headers = byName(want.Headers), byName(got.Headers)
	}
	for i, h := range want.Headers {
		if h.Key != got.Headers[i].Key {
			return fmt.Errorf("header %d has key %q instead of %q", i, got.Headers[i].Key, h.Key)
		}
		if err := sameBytes(fmt.Sprintf("value of header %d %q", i, h.Key), h.Value, got.Headers[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// byName sorts headers by name and keeps the order of those with one name.
func byName(hs []Header) []Header {
	hs = slices.Clone(hs)
	slices.SortStableFunc(hs, func(a, b Header) int { return strings.Compare(a.Key, b.Key) })
	return hs
}

func sameBytes(what string, want, got []byte) error {
	if (want == nil) != (got == nil) {
		return fmt.Errorf("%s is %s instead of %s", what, show(got), show(want))
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("%s is %s (%d bytes) instead of %s (%d bytes)", what, show(got), len(got), show(want), len(want))
	}
	return nil
}

// sameContent is sameBytes for clients that do not tell null from empty.
func sameContent(what string, want, got []byte) error {
	return sameBytes(what, append([]byte{}, want...), append([]byte{}, got...))
}

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	if len(b) > shown {
		return fmt.Sprintf("%q...", b[:shown])
	}
	return fmt.Sprintf("%q", b)
}
