package broker

import (
	"errors"
	"fmt"
	"testing"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
)

func TestACoordinatorUnderstandsWhyItCouldNotAppend(t *testing.T) {
	strange := errors.New("strange")
	for below, want := range map[error]error{
		replica.ErrNotLeader:                    coord.ErrNotLeader,
		replica.ErrShuttingDown:                 coord.ErrNotLeader,
		replica.ErrUnknownTopicOrPartition:      coord.ErrUnavailable,
		replica.ErrNotEnoughReplicas:            coord.ErrNotEnoughReplicas,
		replica.ErrNotEnoughReplicasAfterAppend: coord.ErrNotEnoughReplicas,
		replica.ErrRequestTimedOut:              coord.ErrTimedOut,
		replica.ErrOffline:                      coord.ErrStorage,
		storage.ErrStorage:                      coord.ErrStorage,
		storage.ErrClosed:                       coord.ErrStorage,
		&storage.InvalidRecordError{Reason: storage.ErrRecordTooLarge}: coord.ErrTooLarge,
		storage.ErrRecordListTooLarge:                                  coord.ErrTooLarge,
		strange:                                                        strange,
	} {
		err := asCoordinatorError(fmt.Errorf("cannot append: %w", below))
		if !errors.Is(err, want) || !errors.Is(err, below) {
			t.Errorf("%v became %v, want %v", below, err, want)
		}
	}
}

func TestACoordinatorThatLeadsNoMore(t *testing.T) {
	r := newRig(t)
	r.create(offsetsTopic, 1)
	log := CoordinatorLog{Topic: offsetsTopic, Replicas: r.replicas}
	batch := coord.Batch{LeaderEpoch: 7, ProducerID: coord.NoProducerID, Records: []coord.Record{{Key: []byte("k")}}}
	if _, err := log.Append(0, batch); !errors.Is(err, coord.ErrNotLeader) {
		t.Fatal(err)
	}
	if _, err := log.Append(99, batch); !errors.Is(err, coord.ErrUnavailable) {
		t.Fatal(err)
	}
}
