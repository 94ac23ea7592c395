package client

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What Kafka's producer reckons with beside key, value and headers before it takes a record: the header of a batch of its
// own, and the most that the fields of a record before its key can take.
const (
	batchOverheadBytes  = 61
	recordOverheadBytes = 21
)

// Fits refuses a record that is larger than max.request.size or buffer.memory allow, in Kafka's words.
func (p *ProducerSettings) Fits(rec *kgo.Record) error {
	size := serializedBytes(rec)
	switch {
	case size > p.MaxRequestBytes:
		return tooLarge(fmt.Sprintf("The message is %d bytes when serialized which is larger than %d, which is the value of the max.request.size configuration.", size, p.MaxRequestBytes))
	case size > p.BufferBytes:
		return tooLarge(fmt.Sprintf("The message is %d bytes when serialized which is larger than the total memory buffer you have configured with the buffer.memory configuration.", size))
	}
	return nil
}

func tooLarge(message string) error {
	return &KafkaError{Code: kerr.MessageTooLarge.Code, Message: message}
}

func serializedBytes(rec *kgo.Record) int64 {
	n := batchOverheadBytes + recordOverheadBytes + fieldBytes(rec.Key) + fieldBytes(rec.Value) + varintBytes(len(rec.Headers))
	for _, h := range rec.Headers {
		n += fieldBytes([]byte(h.Key)) + fieldBytes(h.Value)
	}
	return int64(n)
}

// fieldBytes is a field with its length before it; nil has the length -1.
func fieldBytes(b []byte) int {
	if b == nil {
		return varintBytes(-1)
	}
	return varintBytes(len(b)) + len(b)
}

// varintBytes is how long a zigzag-encoded number is.
func varintBytes(v int) int {
	z := uint64(v)<<1 ^ uint64(int64(v)>>63)
	n := 1
	for ; z >= 0x80; z >>= 7 {
		n++
	}
	return n
}

// largestBatches is what topics take at once, where the client asked: the bound of a batch underneath, which bounds a record
// as well. It is read when the client underneath first hears of a topic's partitions.
type largestBatches struct{ bytes atomic.Int64 }

// LearnBatchLimit asks how large a topic's batches may be, before the first record goes there, if records may be larger than
// batches are otherwise. A cluster that does not tell is trusted to take what max.request.size allows.
func (c *Client) LearnBatchLimit(ctx context.Context, topic string) {
	p := &c.Settings.Producer
	if p.MaxRequestBytes <= bigBatchBytes {
		return
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{"max.message.bytes"}
	req.Resources = append(req.Resources, r)
	limit := p.MaxRequestBytes
	if resp, err := c.Any(ctx, "describeConfigs", req); err == nil {
		limit = min(limit, maxMessageBytes(resp.(*kmsg.DescribeConfigsResponse), limit))
	}
	p.largest.bytes.Store(max(limit, leastBatchBytes))
}

func maxMessageBytes(resp *kmsg.DescribeConfigsResponse, otherwise int64) int64 {
	for _, r := range resp.Resources {
		for _, c := range r.Configs {
			if c.Value == nil {
				continue
			}
			if n, err := strconv.ParseInt(*c.Value, 10, 64); err == nil {
				return n
			}
		}
	}
	return otherwise
}

// topicBatchBytes is the bound of a topic's batches.
func (p *ProducerSettings) topicBatchBytes(string) int32 {
	if n := p.largest.bytes.Load(); n > 0 {
		return int32(min(n, mostBatchBytes))
	}
	return int32(p.batchBytes())
}
