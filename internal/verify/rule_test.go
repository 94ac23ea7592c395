package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestEveryRuleIsASentenceWithASource(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Rules() {
		if names[r.Name] {
			t.Errorf("two rules are called %s", r.Name)
		}
		names[r.Name] = true
		if !strings.HasSuffix(r.Sentence, ".") || r.Cites == "" || !strings.Contains(r.Name, "/") {
			t.Errorf("%+v", r)
		}
	}
}

// Of every API that Kafka serves to clients the lowest and the highest version have a rule of their own.
func TestEveryAPIHasRules(t *testing.T) {
	table := map[int16]span{}
	for _, r := range wire.KafkaRanges(wire.Broker) {
		table[r.Key] = span{r.Min, r.Max}
	}
	covered := map[spokenAt]bool{}
	for _, r := range rules() {
		for _, v := range r.versions(table, false) {
			covered[spokenAt{int16(r.key), v}] = true
		}
	}
	for key, s := range table {
		for _, v := range []int16{s.low, s.high} {
			if kmsg.Key(key).Request() != nil && v <= kmsg.Key(key).Request().MaxVersion() && !covered[spokenAt{key, v}] {
				t.Errorf("no rule speaks %s v%d", apiName(key), v)
			}
		}
	}
}

func TestVersionsOfARule(t *testing.T) {
	table := map[int16]span{int16(kmsg.Fetch): {4, 18}, int16(kmsg.Produce): {0, 13}, int16(kmsg.OffsetDelete): {0, 0}}
	for name, c := range map[string]struct {
		rule rule
		all  bool
		want []int16
	}{
		"lowest and highest":        {rule{key: kmsg.Fetch}, false, []int16{4, 18}},
		"from a version on":         {rule{key: kmsg.Fetch, min: 12}, false, []int16{12, 18}},
		"up to a version":           {rule{key: kmsg.Fetch, max: 10}, false, []int16{4, 10}},
		"none left":                 {rule{key: kmsg.Fetch, max: 3}, false, nil},
		"one version":               {rule{key: kmsg.OffsetDelete}, false, []int16{0}},
		"version 0 alone":           {rule{key: kmsg.OffsetDelete, max: versionZero}, false, []int16{0}},
		"Produce begins at 3":       {rule{key: kmsg.Produce}, false, []int16{3, 13}},
		"all versions":              {rule{key: kmsg.Produce, min: 10}, true, []int16{10, 11, 12, 13}},
		"not advertised":            {rule{key: kmsg.Metadata}, false, nil},
		"needs what is not there":   {rule{key: kmsg.Fetch, more: []kmsg.Key{kmsg.Metadata}}, false, nil},
		"needs what is there":       {rule{key: kmsg.Fetch, more: []kmsg.Key{kmsg.Produce}}, false, []int16{4, 18}},
		"above what the codec says": {rule{key: kmsg.OffsetDelete, min: 5}, false, nil},
	} {
		if got := c.rule.versions(table, c.all); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}

func TestCommonIsWhatEveryBrokerSpeaks(t *testing.T) {
	got := common(map[int32]map[int16]span{1: {0: {0, 13}, 1: {4, 18}, 2: {1, 11}, 3: {0, 3}}, 2: {0: {0, 11}, 1: {4, 18}, 3: {5, 9}}})
	if len(got) != 2 || got[0] != (span{0, 11}) || got[1] != (span{4, 18}) {
		t.Errorf("%v", got)
	}
}

// Batches that are good on purpose are good, and each fault is one that a broker can see.
func TestBatches(t *testing.T) {
	for _, b := range []*batch{newBatch(1), newBatch(5).with(codecGzip), newBatch(5).with(codecZstd), newBatch(2).from(producer{7, 1}, 3).with(bitTransactional)} {
		got, rest, err := record.Next(b.bytes())
		if err != nil || len(rest) > 0 || got.Validate() != nil || got.ValidateRecords() != nil || got.NumRecords() != len(b.records) {
			t.Errorf("%+v: %v, %d bytes left", b.RecordBatch, err, len(rest))
		}
	}
	bad := newBatch(1)
	bad.badCRC = true
	if got, _, err := record.Next(bad.bytes()); err != nil || got.Validate() == nil {
		t.Errorf("a wrong CRC is not seen: %v", err)
	}
	short := newBatch(1)
	short.shortBy = 3
	if _, _, err := record.Next(short.bytes()); !errors.Is(err, record.ErrTruncated) {
		t.Errorf("a batch that is cut: %v", err)
	}
}

func TestReadersOfCommittedRecordsLeaveOutWhatWasAborted(t *testing.T) {
	at := func(b *batch, offset int64) []byte {
		raw := record.Batch(b.bytes())
		raw.SetBaseOffset(offset)
		return raw
	}
	p := kmsg.NewFetchResponseTopicPartition()
	marker := record.EndTxnBatch(7, 0, 1, record.EndTxnMarker{})
	marker.SetBaseOffset(4)
	p.RecordBatches = slices.Concat(at(newBatch(2), 0), at(newBatch(2).from(producer{7, 0}, 0).with(bitTransactional), 2), []byte(marker), at(newBatch(1).from(producer{7, 0}, 2).with(bitTransactional), 5))
	p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 2}}
	for isolation, want := range [][]int64{{0, 1, 2, 3, 5}, {0, 1, 5}} {
		rs, next, err := readBatches(p, 0, int8(isolation))
		var got []int64
		for _, r := range rs {
			got = append(got, r.Offset)
		}
		if err != nil || next != 6 || !slices.Equal(got, want) {
			t.Errorf("isolation %d: %v up to %d, %v", isolation, got, next, err)
		}
	}
}

func TestAnswersThatNoClientCouldRead(t *testing.T) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	good := append([]byte{0, 0, 0, 7, 0}, resp.AppendTo(nil)...)
	if _, err := decode(good, 7, req); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"another's correlation id": append([]byte{0, 0, 0, 8}, good[4:]...),
		"bytes that trail":         append(slices.Clone(good), 1, 2),
		"cut":                      good[:len(good)-3],
		"no tag section":           append(good[:4:4], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"nothing":                  {0, 0, 0, 7},
	} {
		if _, err := decode(b, 7, req); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestCodesAreFoundWhereverTheyAre(t *testing.T) {
	resp := kmsg.NewPtrProduceResponse()
	p := kmsg.NewProduceResponseTopicPartition()
	p.ErrorCode = codeNotLeader
	resp.Topics = []kmsg.ProduceResponseTopic{{Partitions: []kmsg.ProduceResponseTopicPartition{p}}}
	if got := codesIn(resp); !slices.Contains(got, codeNotLeader) {
		t.Errorf("%v", got)
	}
}

func TestAReportForPeopleAndForPrograms(t *testing.T) {
	c := &cluster{ids: []int32{1}, id: "c", table: map[int16]span{0: {0, 13}, 9999: {0, 1}}}
	rep := newReport(c)
	rep.unknown(9999)
	rep.rule("produce/crc")
	rep.rule("txn/markers")
	rep.notApplicable("txn/markers", "needs 2 brokers")
	r := &rule{name: "produce/crc", key: kmsg.Produce, says: "A sentence.", cites: "KIP-0"}
	x := &exam{rule: r, version: 3, request: "Produce v3 {}"}
	x.code("the batch", 0, codeCorruptMessage)
	x.code("the batch", codeCorruptMessage, codeCorruptMessage)
	rep.examined(x)
	rep.spoke(spokenAt{0, 3})
	rep.finish(1500 * time.Millisecond)
	var text bytes.Buffer
	if err := rep.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED produce/crc (Produce v3)", "A sentence.", "KIP-0", "request   Produce v3 {}", "expected  the batch CORRUPT_MESSAGE (2)", "got       the batch NONE (0)",
		"newer than this probe", "2 rules, 2 checks, 1 failed; 1 rules do not apply", "1.5 s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	var out bytes.Buffer
	if err := rep.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Clean    bool
		Failures []Failure
		APIs     []APIReport
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Clean || len(back.Failures) != 1 || len(back.APIs) != 2 {
		t.Errorf("%v %+v", err, back)
	}
}
