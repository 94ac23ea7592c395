package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

// labKnob is a setting that the lab turns.
type labKnob struct {
	key     string
	figures []string
	values  []labValue
	measure func(l *lab, value string) ([]float64, error)
}

type labValue struct {
	value     string
	isDefault bool
	label     string // where the value alone says little
}

func (v labValue) shown() string {
	if v.label != "" {
		return v.label
	}
	return v.value
}

// Names of figures, which the report translates.
const (
	labRecordsPerSecond = "records/s"
	labMBPerSecond      = "MB/s"
	labRequestsPerS     = "requests/s"
	labRecordsPerBatch  = "records/batch"
	labP50, labP99      = "p50 ms", "p99 ms"
	labSizeShare        = "stored/sent %"
	labSegments         = "segments"
	labMBPerFetch       = "MB/fetch"
)

const (
	labRecordBytes = 200
	// labBulkBytes is written or read at most to measure one value.
	labBulkBytes = 150 << 20
	// labWorkers are the consumers that share the partitions, and labWork what a record costs each of them.
	labWorkers = 4
	labWork    = 50 * time.Microsecond
)

func labKnobs() []*labKnob {
	return []*labKnob{
		{"batch.size", []string{labRecordsPerSecond, labRecordsPerBatch, labRequestsPerS}, []labValue{{value: "1024"}, {value: "16384", isDefault: true}, {value: "262144"}}, labBatchSize},
		{"linger.ms", []string{labP50, labP99, labRequestsPerS}, []labValue{{value: "0"}, {value: "5", isDefault: true}, {value: "50"}}, labLinger},
		{"compression.type", []string{labMBPerSecond, labSizeShare}, []labValue{{value: "none", isDefault: true}, {value: "gzip"}, {value: "snappy"}, {value: "lz4"}, {value: "zstd"}}, labCompression},
		{"partitions", []string{labRecordsPerSecond}, []labValue{{value: "1", isDefault: true}, {value: "2"}, {value: "4"}, {value: "16"}}, labPartitions},
		{"fetch.min.bytes", []string{labRequestsPerS, labP50, labP99}, []labValue{{value: "1", isDefault: true}, {value: "10000"}, {value: "100000"}}, labFetchMin},
		{"max.partition.fetch.bytes", []string{labMBPerSecond, labMBPerFetch}, []labValue{{value: "65536"}, {value: "1048576", isDefault: true}, {value: "8388608"}}, labFetchMax},
		{"segment.bytes", []string{labMBPerSecond, labSegments}, []labValue{{value: "1048576"}, {value: "16777216"}, {value: "1073741824", isDefault: true}}, labSegmentBytes},
		{"flush.messages", []string{labRecordsPerSecond, labP50, labP99}, []labValue{{value: "9223372036854775807", isDefault: true, label: "never"}, {value: "1000"}, {value: "1"}}, labFlush},
	}
}

func labBatchSize(l *lab, v string) ([]float64, error) {
	s, err := l.sendTo(1, nil, client.Properties{"batch.size": v, "acks": "1"}, labLoad{recordBytes: labRecordBytes})
	return []float64{s.perSecond(s.records), ratio(s.records, s.batches), s.perSecond(s.requests)}, err
}

func labLinger(l *lab, v string) ([]float64, error) {
	s, err := l.sendTo(1, nil, client.Properties{"linger.ms": v, "acks": "1"}, labLoad{recordBytes: labRecordBytes, perSecond: 2000})
	return []float64{s.quantile(.5), s.quantile(.99), s.perSecond(s.requests)}, err
}

func labCompression(l *lab, v string) ([]float64, error) {
	s, err := l.sendTo(1, nil, client.Properties{"compression.type": v, "acks": "1", "batch.size": "262144"}, labLoad{recordBytes: labRecordBytes})
	return []float64{s.perSecond(s.bytes) / 1e6, 100 * ratio(s.stored, s.bytes)}, err
}

// labPartitions has four consumers take turns with as many partitions as there are: a partition is read by one.
func labPartitions(l *lab, v string) ([]float64, error) {
	n, err := strconv.Atoi(v)
	if err != nil {
		return nil, err
	}
	topic, err := l.topic(int32(n), nil)
	if err != nil {
		return nil, err
	}
	records := int64(min(l.length.Seconds(), 10) / labWork.Seconds())
	props := client.Properties{"acks": "1", "partitioner.class": "org.apache.kafka.clients.producer.RoundRobinPartitioner"}
	if _, err := l.send(topic, props, labLoad{recordBytes: labRecordBytes, records: records}); err != nil {
		return nil, err
	}
	perSecond, err := l.share(topic, n, records)
	return []float64{perSecond}, err
}

func labFetchMin(l *lab, v string) ([]float64, error) {
	topic, err := l.topic(1, nil)
	if err != nil {
		return nil, err
	}
	s, err := l.follow(topic, client.Properties{"fetch.min.bytes": v}, labLoad{recordBytes: labRecordBytes, perSecond: 500})
	return []float64{s.perSecond(s.requests), s.quantile(.5), s.quantile(.99)}, err
}

func labFetchMax(l *lab, v string) ([]float64, error) {
	topic, err := l.topic(1, nil)
	if err != nil {
		return nil, err
	}
	sent, err := l.send(topic, client.Properties{"acks": "1", "batch.size": "16384"}, labLoad{recordBytes: 1024})
	if err != nil {
		return nil, err
	}
	s, err := l.readAll(topic, client.Properties{"max.partition.fetch.bytes": v}, sent.records)
	return []float64{s.perSecond(s.bytes) / 1e6, ratio(s.bytes, s.requests) / 1e6}, err
}

func labSegmentBytes(l *lab, v string) ([]float64, error) {
	size, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return nil, err
	}
	s, err := l.sendTo(1, map[string]string{"segment.bytes": v}, client.Properties{"acks": "1", "batch.size": "131072"}, labLoad{recordBytes: 1024})
	return []float64{s.perSecond(s.bytes) / 1e6, float64(s.stored/size + 1)}, err
}

func labFlush(l *lab, v string) ([]float64, error) {
	s, err := l.sendTo(1, map[string]string{"flush.messages": v}, client.Properties{"acks": "all", "linger.ms": "0"}, labLoad{recordBytes: labRecordBytes, waiting: 16})
	return []float64{s.perSecond(s.records), s.quantile(.5), s.quantile(.99)}, err
}

// sendTo sends to a new topic.
func (l *lab) sendTo(partitions int32, configs map[string]string, props client.Properties, load labLoad) (*labSent, error) {
	topic, err := l.topic(partitions, configs)
	if err != nil {
		return &labSent{}, err
	}
	return l.send(topic, props, load)
}

func ratio(a, b int64) float64 { return float64(a) / float64(max(b, 1)) }

// labFigure writes a number with three digits that count.
func labFigure(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
