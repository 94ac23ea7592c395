package group

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Kafka's error codes that a group coordinator gives.
const (
	codeNone                    int16 = 0
	codeUnknownServerError      int16 = -1
	codeUnknownTopicOrPartition int16 = 3
	codeOffsetMetadataTooLarge  int16 = 12
	codeCoordinatorLoading      int16 = 14
	codeCoordinatorNotAvailable int16 = 15
	codeNotCoordinator          int16 = 16
	codeIllegalGeneration       int16 = 22
	codeInconsistentProtocol    int16 = 23
	codeInvalidGroupID          int16 = 24
	codeUnknownMemberID         int16 = 25
	codeInvalidSessionTimeout   int16 = 26
	codeRebalanceInProgress     int16 = 27
	codeInvalidCommitOffsetSize int16 = 28
	codeInvalidProducerEpoch    int16 = 47
	codeInvalidTxnState         int16 = 48
	codeCoordinatorFenced       int16 = 52
	codeNonEmptyGroup           int16 = 68
	codeGroupIDNotFound         int16 = 69
	codeMemberIDRequired        int16 = 79
	codeGroupMaxSizeReached     int16 = 81
	codeFencedInstanceID        int16 = 82
	codeGroupSubscribedToTopic  int16 = 86
	codeUnstableOffsetCommit    int16 = 88
	codeUnknownTopicID          int16 = 100
	codeUnsupportedVersion      int16 = 35
	codeInvalidRequest          int16 = 42
	codeFencedMemberEpoch       int16 = 110
	codeUnreleasedInstanceID    int16 = 111
	codeUnsupportedAssignor     int16 = 112
	codeStaleMemberEpoch        int16 = 113
	codeInvalidRegex            int16 = 128
)

// codeOf translates a runtime's reason. Whatever a client cannot act upon but by asking
// again becomes COORDINATOR_NOT_AVAILABLE, as in Kafka.
func codeOf(err error) int16 {
	switch {
	case errors.Is(err, coord.ErrLoading):
		return codeCoordinatorLoading
	case errors.Is(err, coord.ErrNotCoordinator), errors.Is(err, coord.ErrNotLeader), errors.Is(err, coord.ErrStorage):
		return codeNotCoordinator
	case errors.Is(err, coord.ErrTimedOut), errors.Is(err, coord.ErrNotEnoughReplicas),
		errors.Is(err, coord.ErrOverloaded), errors.Is(err, coord.ErrUnavailable):
		return codeCoordinatorNotAvailable
	case errors.Is(err, coord.ErrProducerFenced):
		return codeInvalidProducerEpoch
	case errors.Is(err, coord.ErrNotInTransaction):
		return codeInvalidTxnState
	case errors.Is(err, coord.ErrCoordinatorFenced):
		return codeCoordinatorFenced
	}
	return codeUnknownServerError
}

// commitCodeOf is codeOf for OffsetCommit, which has a code of its own for offsets that are too much for one batch.
func commitCodeOf(err error) int16 {
	if errors.Is(err, coord.ErrTooLarge) {
		return codeInvalidCommitOffsetSize
	}
	return codeOf(err)
}

// fetchCodeOf is codeOf for OffsetFetch, whose older clients do not understand
// COORDINATOR_NOT_AVAILABLE and take NOT_COORDINATOR as the sign to look again.
func fetchCodeOf(err error) int16 {
	if code := codeOf(err); code != codeCoordinatorNotAvailable {
		return code
	}
	return codeNotCoordinator
}
