package broker

import (
	"encoding/binary"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchEncoder writes a Fetch response body by hand around ranges of log files,
// so that record bytes go from the page cache to the socket without being copied
// through this process.
type fetchEncoder struct {
	version int16
	buf     []byte // everything but the records
	from    int    // where in buf the part under way began
	parts   []server.Part
	slices  []*storage.Slice
}

func (e *fetchEncoder) flexible() bool { return e.version >= 12 }
func (e *fetchEncoder) byID() bool     { return e.version >= 13 }

func (e *fetchEncoder) int16(v int16) { e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(v)) }
func (e *fetchEncoder) int32(v int32) { e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(v)) }
func (e *fetchEncoder) int64(v int64) { e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(v)) }
func (e *fetchEncoder) uvarint(v int) { e.buf = binary.AppendUvarint(e.buf, uint64(v)) }

// arrayLen writes the length of an array that is not null.
func (e *fetchEncoder) arrayLen(n int) {
	if e.flexible() {
		e.uvarint(n + 1)
		return
	}
	e.int32(int32(n))
}

func (e *fetchEncoder) string(s string) {
	if e.flexible() {
		e.uvarint(len(s) + 1)
	} else {
		e.int16(int16(len(s)))
	}
	e.buf = append(e.buf, s...)
}

// tags ends a structure that has no tagged field set.
func (e *fetchEncoder) tags() {
	if e.flexible() {
		e.buf = append(e.buf, 0)
	}
}

func (e *fetchEncoder) head(errorCode int16, sessionID int32) {
	e.int32(0) // throttle_time_ms
	if e.version >= 7 {
		e.int16(errorCode)
		e.int32(sessionID)
	}
}

func (e *fetchEncoder) noTopics() {
	e.arrayLen(0)
	e.tags()
}

// topics writes the included parts, those of one topic that follow each other under one head.
func (e *fetchEncoder) topics(f *fetching, include []bool) {
	var brokers []kmsg.ProduceResponseBroker
	runs := 0
	e.eachRun(f, include, func([]int) { runs++ })
	e.arrayLen(runs)
	e.eachRun(f, include, func(run []int) {
		first := &f.parts[run[0]]
		if e.byID() {
			e.buf = append(e.buf, first.TopicID[:]...)
		} else {
			e.string(first.TP.Topic)
		}
		e.arrayLen(len(run))
		for _, i := range run {
			e.partition(f, &f.parts[i], &brokers)
		}
		e.tags()
	})
	e.nodeEndpoints(brokers)
}

// eachRun calls fn with the indexes of included parts that follow each other and have the same topic.
func (e *fetchEncoder) eachRun(f *fetching, include []bool, fn func(run []int)) {
	var run []int
	for i := range f.parts {
		if !include[i] {
			continue
		}
		if len(run) > 0 && !sameTopic(f.ctx.keys[run[0]], f.ctx.keys[i]) {
			fn(run)
			run = run[:0]
		}
		run = append(run, i)
	}
	if len(run) > 0 {
		fn(run)
	}
}

func sameTopic(a, b fetchKey) bool { return a.topic == b.topic && a.id == b.id }

func (e *fetchEncoder) partition(f *fetching, p *replica.FetchPart, brokers *[]kmsg.ProduceResponseBroker) {
	errorCode := code(p.Err)
	e.int32(p.TP.Partition)
	e.int16(errorCode)
	e.int64(p.HighWatermark)
	e.int64(p.LastStableOffset)
	if e.version >= 5 {
		e.int64(p.LogStartOffset)
	}
	e.aborted(f.req.IsolationLevel == 1, p.Aborted)
	if e.version >= 11 {
		e.int32(-1) // preferred_read_replica
	}
	e.records(p.Slice)
	if e.flexible() {
		e.partitionTags(f, p, errorCode, brokers)
	}
}

// aborted writes the transactions that the reader must skip; null for one that reads uncommitted.
func (e *fetchEncoder) aborted(committed bool, txns []storage.AbortedTxn) {
	if !committed {
		if e.flexible() {
			e.uvarint(0)
		} else {
			e.int32(-1)
		}
		return
	}
	e.arrayLen(len(txns))
	for _, t := range txns {
		e.int64(t.ProducerID)
		e.int64(t.FirstOffset)
		e.tags()
	}
}

// records writes the length and hangs the file range behind it.
func (e *fetchEncoder) records(s *storage.Slice) {
	n := 0
	if s != nil {
		n = int(s.Len)
	}
	e.arrayLen(n)
	if n == 0 {
		return
	}
	e.cut()
	e.parts = append(e.parts, server.Part{File: s.File, Pos: s.Pos, Len: s.Len})
	e.slices = append(e.slices, s)
}

// cut closes the run of bytes since the last part. The bytes are addressed by
// their place, because buf still grows; finish turns places into slices.
func (e *fetchEncoder) cut() {
	if len(e.buf) > e.from {
		e.parts = append(e.parts, server.Part{Pos: int64(e.from), Len: int64(len(e.buf) - e.from)})
		e.from = len(e.buf)
	}
}

// partitionTags writes diverging_epoch (tag 0) and current_leader (tag 1) where they say something.
func (e *fetchEncoder) partitionTags(f *fetching, p *replica.FetchPart, errorCode int16, brokers *[]kmsg.ProduceResponseBroker) {
	leader, epoch, hint := int32(-1), int32(-1), false
	if errorCode == kerr.NotLeaderForPartition.Code || errorCode == kerr.FencedLeaderEpoch.Code {
		leader, epoch, hint = f.b.leaderHint(f.r, p.TP, brokers)
	}
	n := 0
	if p.Diverging != nil {
		n++
	}
	if hint {
		n++
	}
	e.uvarint(n)
	if p.Diverging != nil {
		e.buf = append(e.buf, 0, 4+8+1)
		e.int32(p.Diverging.Epoch)
		e.int64(p.Diverging.EndOffset)
		e.tags()
	}
	if hint {
		e.buf = append(e.buf, 1, 4+4+1)
		e.int32(leader)
		e.int32(epoch)
		e.tags()
	}
}

// nodeEndpoints ends the body; from version 16 with the addresses of the leaders that were hinted at.
func (e *fetchEncoder) nodeEndpoints(brokers []kmsg.ProduceResponseBroker) {
	if !e.flexible() {
		return
	}
	if e.version < 16 || len(brokers) == 0 {
		e.tags()
		return
	}
	inner := fetchEncoder{version: e.version}
	inner.arrayLen(len(brokers))
	for _, n := range brokers {
		inner.int32(n.NodeID)
		inner.string(n.Host)
		inner.int32(n.Port)
		if n.Rack == nil {
			inner.uvarint(0)
		} else {
			inner.string(*n.Rack)
		}
		inner.tags()
	}
	e.uvarint(1)
	e.uvarint(0)
	e.uvarint(len(inner.buf))
	e.buf = append(e.buf, inner.buf...)
}

// finish returns the parts in their order.
func (e *fetchEncoder) finish() []server.Part {
	e.cut()
	for i := range e.parts {
		if p := &e.parts[i]; p.File == nil {
			p.Bytes = e.buf[p.Pos : p.Pos+p.Len]
		}
	}
	return e.parts
}

// release lets go of the log files; the server calls it when the response has left or is dropped.
func (e *fetchEncoder) release() {
	for _, s := range e.slices {
		s.Release()
	}
	e.slices = nil
}
