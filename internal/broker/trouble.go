package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// troubleEvery is how often the trouble of one partition is told: clients retry several times a second, and the
	// operator needs one line to read.
	troubleEvery = time.Minute
	// maxTroubled bounds the memory of what was told; a whole failing disk has more partitions, and one line for each
	// of so many says enough.
	maxTroubled = 1000
)

// troubles tells the operator of failures that are this node's and not the client's: a client only sees a code, and
// retries it in silence.
type troubles struct {
	mu   sync.Mutex
	told map[storage.TopicPartition]time.Time
}

// isOurs says that err is no answer to what the client asked, but trouble with the log. A corrupt record is the
// client's own when it produces and ours when it reads.
func isOurs(err error, reading bool) bool {
	switch code(err) {
	case kerr.UnknownServerError.Code:
		return true
	case kerr.CorruptMessage.Code:
		return reading
	case kerr.KafkaStorageError.Code:
		return errors.Is(err, storage.ErrStorage)
	}
	return false
}

// tell logs the failure of a partition, if it was not just logged.
func (b *Broker) tell(doing string, tp storage.TopicPartition, err error, reading bool) {
	if err == nil || !isOurs(err, reading) || !b.troubles.due(tp, b.clock.Now()) {
		return
	}
	b.logger.Error("cannot "+doing+" a partition: clients get an error and try again until this is mended",
		"topic", tp.Topic, "partition", tp.Partition, "cause", err)
}

// due says that it is time to tell of tp again.
func (t *troubles) due(tp storage.TopicPartition, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, known := t.told[tp]
	if known && now.Sub(last) < troubleEvery {
		return false
	}
	if len(t.told) >= maxTroubled && !known {
		for other, at := range t.told {
			if now.Sub(at) >= troubleEvery {
				delete(t.told, other)
			}
		}
		if len(t.told) >= maxTroubled {
			return false
		}
	}
	if t.told == nil {
		t.told = make(map[storage.TopicPartition]time.Time)
	}
	t.told[tp] = now
	return true
}
