package txn

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxIDFetches is how often one request waits for producer ids: two may be snatched away by others that wait as well.
const maxIDFetches = 3

// asking runs a request that may need a producer id which is not at hand.
func (s *Service) asking(id string, op func(*Shard, *coord.Turn) producerAnswer, reply func(producerAnswer), fetches int) {
	fail := func(err error) { reply(refused(codeOf(err))) }
	s.do(id, func(sh *Shard, t *coord.Turn) {
		a := op(sh, t)
		if !a.needID {
			t.Reply(coord.Reply{Send: func() { reply(a) }, Fail: fail})
			return
		}
		t.Reply(coord.Reply{Send: func() { s.fetchThenAsk(id, op, reply, fetches) }, Fail: fail})
	}, fail)
}

func (s *Service) fetchThenAsk(id string, op func(*Shard, *coord.Turn) producerAnswer, reply func(producerAnswer), fetches int) {
	if fetches == 0 {
		reply(refused(codeCoordinatorLoading)) // which every client retries
		return
	}
	s.o.FetchProducerIDs(func(err error) {
		if err != nil {
			reply(refused(codeCoordinatorLoading))
			return
		}
		s.asking(id, op, reply, fetches-1)
	})
}

// First versions whose clients know PRODUCER_FENCED.
const (
	firstFencedInit = 4
	firstFencedEnd  = 2
	firstFencedAdd  = 2
)

// InitProducerID makes the caller the one producer of a transactional id, which must not be nil.
func (s *Service) InitProducerID(version int16, req *kmsg.InitProducerIDRequest, reply func(*kmsg.InitProducerIDResponse)) {
	answer := func(a producerAnswer) {
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.Version = version
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = olderCode(a.code, version, firstFencedInit), a.producerID, a.epoch
		reply(resp)
	}
	r := &initRequest{id: *req.TransactionalID, timeoutMs: req.TransactionTimeoutMillis, producerID: req.ProducerID, epoch: req.ProducerEpoch}
	switch {
	case !validID(r.id):
		answer(refused(codeInvalidRequest))
		return
	case r.timeoutMs <= 0 || r.timeoutMs > s.o.Config.MaxTimeoutMs:
		answer(refused(codeInvalidTxnTimeout))
		return
	}
	s.asking(r.id, func(sh *Shard, t *coord.Turn) producerAnswer { return sh.initProducerID(t, r) }, answer, maxIDFetches)
}

// firstBumpingEnd is the first version of EndTxn that gives every transaction an epoch of its own (KIP-890).
const firstBumpingEnd = 5

// EndTxn commits or aborts a producer's transaction. The answer leaves when the outcome is fixed, before
// the partitions have heard of it.
func (s *Service) EndTxn(version int16, req *kmsg.EndTxnRequest, reply func(*kmsg.EndTxnResponse)) {
	answer := func(a producerAnswer) {
		resp := kmsg.NewPtrEndTxnResponse()
		resp.Version = version
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = olderCode(a.code, version, firstFencedEnd), a.producerID, a.epoch
		reply(resp)
	}
	if !validID(req.TransactionalID) {
		answer(refused(codeInvalidRequest))
		return
	}
	r := &endRequest{id: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch, commit: req.Commit}
	if version >= firstBumpingEnd {
		r.version = 2
	}
	s.asking(r.id, func(sh *Shard, t *coord.Turn) producerAnswer { return sh.endTxn(t, r) }, answer, maxIDFetches)
}

// Partitions is a request that names partitions of a transaction.
type Partitions struct {
	TransactionalID string
	ProducerID      int64
	ProducerEpoch   int16
	Partitions      []TopicPartition
	// TransactionVersion is the client's: 2 when the partitions are added on its behalf as it writes to them.
	TransactionVersion int16
}

func (p *Partitions) request() *addRequest {
	return &addRequest{id: p.TransactionalID, producerID: p.ProducerID, epoch: p.ProducerEpoch, partitions: slices.Clone(p.Partitions), version: p.TransactionVersion}
}

// AddPartitions makes partitions part of a transaction, which begins with the first. reply is given one code for all.
func (s *Service) AddPartitions(p Partitions, reply func(code int16)) {
	if !validID(p.TransactionalID) {
		reply(codeInvalidRequest)
		return
	}
	r := p.request()
	fail := func(err error) { reply(codeOf(err)) }
	s.do(r.id, func(sh *Shard, t *coord.Turn) {
		code := sh.addPartitions(t, r)
		t.Reply(coord.Reply{Send: func() { reply(code) }, Fail: fail})
	}, fail)
}

// VerifyPartitions says of each partition whether it is part of the transaction; nothing is changed.
func (s *Service) VerifyPartitions(p Partitions, reply func(codes []int16)) {
	r := p.request()
	all := func(code int16) {
		codes := make([]int16, len(r.partitions))
		for i := range codes {
			codes[i] = code
		}
		reply(codes)
	}
	if !validID(p.TransactionalID) {
		all(codeInvalidRequest)
		return
	}
	fail := func(err error) { all(codeOf(err)) }
	s.do(r.id, func(sh *Shard, t *coord.Turn) {
		codes := sh.verifyPartitions(r)
		t.Reply(coord.Reply{Send: func() { reply(codes) }, Fail: fail})
	}, fail)
}

// OlderAddCode is a code of AddPartitions for clients of old versions of AddPartitionsToTxn and AddOffsetsToTxn.
func OlderAddCode(code, version int16) int16 { return olderCode(code, version, firstFencedAdd) }
