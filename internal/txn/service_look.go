package txn

import (
	"errors"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe shows one transactional id.
func (s *Service) Describe(id string, reply func(kmsg.DescribeTransactionsResponseTransactionState)) {
	show := func(d description) {
		out := kmsg.NewDescribeTransactionsResponseTransactionState()
		out.TransactionalID, out.ErrorCode = id, d.code
		if d.code == codeNone {
			out.State, out.TimeoutMillis, out.StartTimestamp = d.state.String(), d.timeoutMs, d.startMs
			out.ProducerID, out.ProducerEpoch = d.producerID, d.epoch
			out.Topics = describedTopics(d.partitions)
		}
		reply(out)
	}
	if !validID(id) {
		show(description{code: codeInvalidRequest})
		return
	}
	fail := func(err error) { show(description{code: codeOf(err)}) }
	s.do(id, func(sh *Shard, t *coord.Turn) {
		d := sh.describe(id)
		t.Reply(coord.Reply{Send: func() { show(d) }, Fail: fail})
	}, fail)
}

func describedTopics(partitions []TopicPartition) []kmsg.DescribeTransactionsResponseTransactionStateTopic {
	var out []kmsg.DescribeTransactionsResponseTransactionStateTopic
	for _, tp := range partitions { // sorted
		if n := len(out); n == 0 || out[n-1].Topic != tp.Topic {
			t := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			t.Topic = tp.Topic
			out = append(out, t)
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return out
}

// List shows the transactional ids that this broker coordinates and that the request asks for. While one of
// the partitions loads, the list would be incomplete, and the whole answer says so.
func (s *Service) List(version int16, req *kmsg.ListTransactionsRequest, reply func(*kmsg.ListTransactionsResponse)) {
	resp := kmsg.NewPtrListTransactionsResponse()
	resp.Version = version
	pattern, err := compilePattern(req.TransactionalIDPattern)
	if err != nil {
		resp.ErrorCode = codeInvalidRegularExpression
		reply(resp)
		return
	}
	f := &filter{states: slices.Clone(req.StateFilters), producerIDs: slices.Clone(req.ProducerIDFilters), durationMs: req.DurationFilterMillis, pattern: pattern}
	if version < firstDurationList {
		f.durationMs = -1
	}
	for _, name := range f.states {
		if _, known := parseState(name); !known {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	partitions := s.rt.Partitions()
	parts := make([][]listed, len(partitions))
	gather := coord.NewGather(len(partitions), func() {
		if resp.ErrorCode == codeNone {
			fillList(resp, parts)
		}
		reply(resp)
	})
	for i, p := range partitions {
		fail := func(err error) {
			gather.Done(func() {
				if resp.ErrorCode == codeNone && !errors.Is(err, coord.ErrNotCoordinator) {
					resp.ErrorCode = codeOf(err)
				}
			})
		}
		s.rt.Do(p, func(sh *Shard, t *coord.Turn) {
			found := sh.list(f, t.NowMs)
			t.Reply(coord.Reply{Send: func() { gather.Done(func() { parts[i] = found }) }, Fail: fail})
		}, fail)
	}
}

// firstDurationList is the first version of ListTransactions that can ask for long ones.
const firstDurationList = 1

func fillList(resp *kmsg.ListTransactionsResponse, parts [][]listed) {
	for _, part := range parts {
		for _, l := range part {
			out := kmsg.NewListTransactionsResponseTransactionState()
			out.TransactionalID, out.ProducerID, out.TransactionState = l.id, l.producerID, l.state
			resp.TransactionStates = append(resp.TransactionStates, out)
		}
	}
}

// Metrics are the figures of this broker's transactions.
type Metrics struct {
	IDs         int
	ByState     map[string]int
	Undelivered int // markers that are still to be written
	Partitions  coord.Counts

	LoadAvgMs, LoadMaxMs float64 // of the last half minute's loads
}

// Metrics takes a snapshot. It waits for the turns that run now.
func (s *Service) Metrics() Metrics {
	m := Metrics{ByState: map[string]int{}, Partitions: s.rt.Counts()}
	m.LoadAvgMs, m.LoadMaxMs = s.rt.LoadTimes()
	for st := Empty; st <= CompleteAbort; st++ {
		m.ByState[st.String()] = 0
	}
	partitions := s.rt.Partitions()
	done := make(chan struct{})
	g := coord.NewGather(len(partitions), func() { close(done) })
	for _, p := range partitions {
		s.rt.Do(p, func(sh *Shard, _ *coord.Turn) {
			g.Done(func() { sh.measure(&m) })
		}, func(error) { g.Done(func() {}) })
	}
	<-done
	return m
}

func (s *Shard) measure(m *Metrics) {
	m.IDs += len(s.txns)
	for _, tx := range s.txns {
		if !tx.aside {
			m.ByState[tx.state.String()]++
			m.Undelivered += len(tx.markers.left)
		}
	}
}
