package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchVersion is the newest of both brokers.
const fetchVersion = 17

// placeholder marks the offset in a request that is built beforehand.
const placeholder = 0x1122334455667788

func fetchRequest(session, epoch int32, maxBytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = fetchVersion
	req.ReplicaState.ID, req.ReplicaState.Epoch = -1, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 500, 1, maxBytes
	req.SessionID, req.SessionEpoch = session, epoch
	return req
}

func fetchPartition(partition int32, offset int64, maxBytes int32) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, maxBytes
	p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = -1, -1, -1
	p.ReplicaDirectoryID = [16]byte{}
	return p
}

// Where things lie in the answer to a fetch, version 17: correlation id 4, tags 1, throttle 4, and then
const (
	fetchErrorAt   = 4 + 1 + 4
	fetchSessionAt = fetchErrorAt + 2
	fetchTopicsAt  = fetchSessionAt + 4
)

// Fetcher reads one partition in steps, from its start to its end and again.
type Fetcher struct {
	frame    []byte
	at       int // where the offset lies in frame
	offsets  []int64
	next     int
	minBytes int
}

// NewFetcher reads so many bytes at a time of a partition, from each offset in turn; every answer must hold at least minBytes.
func NewFetcher(topicID [16]byte, partition int32, offsets []int64, maxBytes, minBytes int) *Fetcher {
	req := fetchRequest(0, -1, int32(maxBytes))
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = topicID
	t.Partitions = append(t.Partitions, fetchPartition(partition, placeholder, int32(maxBytes)))
	req.Topics = append(req.Topics, t)
	f := &Fetcher{frame: Frame(req, 1), offsets: offsets, minBytes: minBytes}
	f.at = bytes.Index(f.frame, binary.BigEndian.AppendUint64(nil, placeholder))
	return f
}

// Next implements Source.
func (f *Fetcher) Next() []byte {
	binary.BigEndian.PutUint64(f.frame[f.at:], uint64(f.offsets[f.next]))
	f.next = (f.next + 1) % len(f.offsets)
	return f.frame
}

// Head implements Source.
func (f *Fetcher) Head() int { return 128 }

// Answer implements Source.
func (f *Fetcher) Answer(b []byte, size int) (int, error) {
	w := &walk{b: b}
	_, err := w.fetch()
	if err != nil {
		return 0, err
	}
	if n := w.uvarint(); n != 2 {
		return 0, errors.New("an answer to a fetch does not tell of exactly one topic")
	}
	w.skip(16)
	if n := w.uvarint(); n != 2 {
		return 0, errors.New("an answer to a fetch does not tell of exactly one partition")
	}
	got, err := w.partition()
	if err != nil {
		return 0, err
	}
	if got < f.minBytes || size < got {
		return 0, fmt.Errorf("a fetch got %d bytes of records and wanted %d", got, f.minBytes)
	}
	return got, nil
}

// walk goes through an answer to a fetch.
type walk struct {
	b   []byte
	at  int
	bad bool
}

func (w *walk) skip(n int) {
	w.at += n
	w.bad = w.bad || w.at > len(w.b)
}

func (w *walk) take(n int) []byte {
	if w.at+n > len(w.b) {
		w.bad = true
		return make([]byte, n)
	}
	w.at += n
	return w.b[w.at-n : w.at]
}

func (w *walk) uvarint() int {
	if w.at > len(w.b) {
		w.bad = true
		return 0
	}
	v, n := binary.Uvarint(w.b[w.at:])
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.at += n
	return int(v)
}

var errCut = errors.New("an answer to a fetch is cut short")

// fetch goes over the head and returns the session.
func (w *walk) fetch() (session int32, err error) {
	w.skip(fetchErrorAt)
	code := int16(binary.BigEndian.Uint16(w.take(2)))
	session = int32(binary.BigEndian.Uint32(w.take(4)))
	if w.bad {
		return 0, errCut
	}
	if code != 0 {
		return 0, fmt.Errorf("a fetch was refused: %w", kerr.ErrorForCode(code))
	}
	return session, nil
}

// partition goes to the records of a partition and returns their size.
func (w *walk) partition() (int, error) {
	w.skip(4)
	code := int16(binary.BigEndian.Uint16(w.take(2)))
	w.skip(8 + 8 + 8)
	if n := w.uvarint(); n > 1 {
		return 0, errors.New("a fetch tells of aborted transactions")
	}
	w.skip(4)
	n := w.uvarint() - 1
	if w.bad {
		return 0, errCut
	}
	if code != 0 {
		return 0, fmt.Errorf("a fetch of a partition was refused: %w", kerr.ErrorForCode(code))
	}
	return max(n, 0), nil
}

// SessionFetcher reads many partitions of a topic in one fetch session. Every request names
// those whose offset has changed: all that had records in the answer before.
type SessionFetcher struct {
	first      []byte   // makes the session
	turns      [][]byte // the requests after it, one for each turn of offsets
	epochAt    int
	sessionAt  int
	epoch      int32
	session    int32
	turn       int
	partitions int // that every answer has records of
	bytes      int // at least, of each
}

// NewSessionFetcher reads n partitions, of which the first busy have one batch of batchBytes for each turn; offsets
// tells where the batches begin, by turn.
func NewSessionFetcher(topicID [16]byte, n, busy int, offsets []int64, end int64, batchBytes int) *SessionFetcher {
	f := &SessionFetcher{partitions: busy, bytes: batchBytes}
	build := func(session, epoch int32, offset int64, count int) []byte {
		req := fetchRequest(session, epoch, int32(n*batchBytes+1<<20))
		t := kmsg.NewFetchRequestTopic()
		t.TopicID = topicID
		for i := range count {
			at := offset
			if i >= busy {
				at = end
			}
			t.Partitions = append(t.Partitions, fetchPartition(int32(i), at, int32(batchBytes)))
		}
		req.Topics = append(req.Topics, t)
		return Frame(req, 1)
	}
	f.first = build(0, 0, offsets[0], n)
	for _, o := range offsets {
		f.turns = append(f.turns, build(placeholder>>32, placeholder&math.MaxUint32, o, busy))
	}
	mark := binary.BigEndian.AppendUint64(nil, placeholder)
	f.sessionAt = bytes.Index(f.turns[0], mark)
	f.epochAt = f.sessionAt + 4
	return f
}

// Next implements Source.
func (f *SessionFetcher) Next() []byte {
	if f.epoch == 0 {
		f.epoch = 1
		f.turn = 1
		return f.first
	}
	b := f.turns[f.turn%len(f.turns)]
	f.turn++
	binary.BigEndian.PutUint32(b[f.sessionAt:], uint32(f.session))
	binary.BigEndian.PutUint32(b[f.epochAt:], uint32(f.epoch))
	f.epoch++
	return b
}

// Head implements Source.
func (f *SessionFetcher) Head() int { return 64 << 20 }

// Answer implements Source.
func (f *SessionFetcher) Answer(b []byte, _ int) (int, error) {
	w := &walk{b: b}
	session, err := w.fetch()
	if err != nil {
		return 0, err
	}
	f.session = session
	total, parts := 0, 0
	for range w.uvarint() - 1 {
		w.skip(16)
		for range w.uvarint() - 1 {
			n, err := w.partition()
			if err != nil {
				return 0, err
			}
			w.skip(n)
			w.tags()
			if n > 0 {
				parts++
			}
			total += n
		}
		w.tags()
		if w.bad {
			return 0, errCut
		}
	}
	if parts != f.partitions || total < parts*f.bytes/2 {
		return 0, fmt.Errorf("a fetch got records of %d partitions, %d bytes, and wanted %d partitions", parts, total, f.partitions)
	}
	return total, nil
}

func (w *walk) tags() {
	for range w.uvarint() {
		w.uvarint()
		w.skip(w.uvarint())
	}
}
