package txn

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Kafka's error codes that a transaction coordinator gives.
const (
	codeNone                     int16 = 0
	codeUnknownServerError       int16 = -1
	codeCoordinatorLoading       int16 = 14
	codeCoordinatorNotAvailable  int16 = 15
	codeNotCoordinator           int16 = 16
	codeInvalidRequest           int16 = 42
	codeInvalidProducerEpoch     int16 = 47
	codeInvalidTxnState          int16 = 48
	codeInvalidProducerIDMapping int16 = 49
	codeInvalidTxnTimeout        int16 = 50
	codeConcurrentTransactions   int16 = 51
	codeCoordinatorFenced        int16 = 52
	codeProducerFenced           int16 = 90
	codeTxnIDNotFound            int16 = 105
	codeTransactionAbortable     int16 = 120
	codeInvalidRegularExpression int16 = 128
)

// codeOf translates a runtime's reason, as Kafka does: what may work when asked again becomes COORDINATOR_NOT_AVAILABLE.
func codeOf(err error) int16 {
	switch {
	case errors.Is(err, coord.ErrLoading):
		return codeCoordinatorLoading
	case errors.Is(err, coord.ErrNotCoordinator), errors.Is(err, coord.ErrNotLeader), errors.Is(err, coord.ErrStorage):
		return codeNotCoordinator
	case errors.Is(err, coord.ErrTimedOut), errors.Is(err, coord.ErrNotEnoughReplicas),
		errors.Is(err, coord.ErrOverloaded), errors.Is(err, coord.ErrUnavailable):
		return codeCoordinatorNotAvailable
	}
	return codeUnknownServerError
}

// olderCode is a code for clients of versions before known, which have not heard of PRODUCER_FENCED.
func olderCode(code, version, known int16) int16 {
	if code == codeProducerFenced && version < known {
		return codeInvalidProducerEpoch
	}
	return code
}
