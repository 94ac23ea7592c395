package controller

import (
	"math"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// allocateProducerIDs gives a broker a block of ids that nobody was ever given.
func (b *batch) allocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	if _, err := b.brokerAt(req.BrokerID, req.BrokerEpoch); err != nil {
		resp.ErrorCode = err.Code
		return resp
	}
	first := b.img.NextProducerID()
	if first > math.MaxInt64-producerIDBlock {
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp
	}
	b.add(&meta.ProducerIDsRecord{BrokerID: req.BrokerID, BrokerEpoch: req.BrokerEpoch, NextProducerID: first + producerIDBlock})
	resp.ProducerIDStart, resp.ProducerIDLen = first, producerIDBlock
	return resp
}
