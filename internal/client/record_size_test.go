package client

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestARecordHasTheSizeThatKafkaReckonsWith compares with what Kafka's producer said of such records.
func TestARecordHasTheSizeThatKafkaReckonsWith(t *testing.T) {
	for _, c := range []struct {
		rec  kgo.Record
		want int64
	}{
		{kgo.Record{Value: []byte("a")}, 86},
		{kgo.Record{Value: []byte("twelve letters")}, 99},
		{kgo.Record{Value: bytes.Repeat([]byte("x"), 50)}, 135},
		{kgo.Record{Value: bytes.Repeat([]byte("x"), 63)}, 148},
		{kgo.Record{Value: bytes.Repeat([]byte("x"), 64)}, 150}, // its length takes two bytes
		{kgo.Record{Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "h", Value: nil}}}, 89},
	} {
		if got := serializedBytes(&c.rec); got != c.want {
			t.Errorf("%d bytes, wanted %d: %q", got, c.want, c.rec.Value)
		}
	}
}

func TestARecordThatIsTooLargeIsRefused(t *testing.T) {
	p := ProducerSettings{MaxRequestBytes: 134, BufferBytes: 1 << 20}
	rec := &kgo.Record{Value: make([]byte, 50)}
	err := p.Fits(rec)
	if err == nil || ClassOf(err) != "org.apache.kafka.common.errors.RecordTooLargeException" || !strings.Contains(err.Error(), "larger than 134, which is the value of the max.request.size") {
		t.Errorf("max.request.size: %v", err)
	}
	p.MaxRequestBytes = 135
	if err := p.Fits(rec); err != nil {
		t.Errorf("just as large as it may be: %v", err)
	}
	p.BufferBytes = 100
	if err := p.Fits(rec); err == nil || !strings.Contains(err.Error(), "total memory buffer") {
		t.Errorf("buffer.memory: %v", err)
	}
}

// TestBatchesGrowOnlyAsFarAsTopicsTakeThem: a raised max.request.size lets records of that size through, and batches of small
// ones stay below what the topic takes.
func TestBatchesGrowOnlyAsFarAsTopicsTakeThem(t *testing.T) {
	p := ProducerSettings{MaxRequestBytes: 5 << 20}
	if got := p.topicBatchBytes("t"); got != bigBatchBytes {
		t.Errorf("before the topic is asked: %d", got)
	}
	p.largest.bytes.Store(2 << 20)
	if got := p.topicBatchBytes("t"); got != 2<<20 {
		t.Errorf("of a topic that takes 2 MiB: %d", got)
	}
	if got := (&ProducerSettings{MaxRequestBytes: 10}).topicBatchBytes("t"); got != leastBatchBytes {
		t.Errorf("the client underneath takes no less than %d: %d", leastBatchBytes, got)
	}
}
