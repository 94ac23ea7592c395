package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// Latency sends one batch each interval, by the clock and not by the answers, and has a consumer wait for
// them. It returns for each batch how long after the instant at which it was due the consumer had it: a
// broker that stalls is charged with all that were due meanwhile.
func Latency(addr string, topicID [16]byte, batch []byte, interval, length time.Duration) ([]time.Duration, error) {
	producer, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	defer producer.Close()
	consumer, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	defer consumer.Close()
	n := int(length / interval)
	p := NewProducer(topicID, []int32{0}, batch, 1, true)
	due := time.Now().Add(50 * time.Millisecond)
	failed := make(chan error, 2)
	go func() { failed <- sendOnTime(producer, p, due, interval, n) }()
	go func() { failed <- checkAnswers(producer, p, n) }()
	c := &tail{nc: consumer, topicID: topicID, batchBytes: len(batch), records: int(p.records), due: due, interval: interval}
	consumer.SetDeadline(due.Add(length + drainTimeout))
	got := make([]time.Duration, 0, n)
	for len(got) < n {
		if got, err = c.poll(got); err != nil {
			return nil, errors.Join(err, firstOf(failed))
		}
	}
	return got, errors.Join(<-failed, <-failed)
}

func firstOf(failed chan error) error {
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// sendOnTime sleeps in the kernel: the runtime's timers are a millisecond coarse when it has nothing to do.
func sendOnTime(nc net.Conn, p *Producer, due time.Time, interval time.Duration, n int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range n {
		if wait := time.Until(due.Add(time.Duration(i) * interval)); wait > 0 {
			ts := unix.NsecToTimespec(wait.Nanoseconds())
			unix.Nanosleep(&ts, nil)
		}
		if _, err := nc.Write(p.Next()); err != nil {
			return fmt.Errorf("cannot send: %w", err)
		}
	}
	return nil
}

func checkAnswers(nc net.Conn, p *Producer, n int) error {
	b := make([]byte, 4096)
	for range n {
		size, err := readFrame(nc, &b)
		if err != nil {
			return err
		}
		if _, err := p.Answer(b[:size], size); err != nil {
			return err
		}
	}
	return nil
}

func readFrame(nc net.Conn, b *[]byte) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(nc, head[:]); err != nil {
		return 0, fmt.Errorf("cannot read an answer: %w", err)
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if len(*b) < size {
		*b = make([]byte, size)
	}
	if _, err := io.ReadFull(nc, (*b)[:size]); err != nil {
		return 0, fmt.Errorf("cannot read an answer: %w", err)
	}
	return size, nil
}

// tail is a consumer that waits at the end of a partition.
type tail struct {
	nc                  net.Conn
	topicID             [16]byte
	batchBytes, records int
	due                 time.Time
	interval            time.Duration
	batches             int // seen
	buf                 []byte
}

const tailMaxBytes = 8 << 20

func (c *tail) poll(got []time.Duration) ([]time.Duration, error) {
	req := fetchRequest(0, -1, tailMaxBytes)
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = c.topicID
	t.Partitions = append(t.Partitions, fetchPartition(0, int64(c.batches*c.records), tailMaxBytes))
	req.Topics = append(req.Topics, t)
	if _, err := c.nc.Write(Frame(req, 1)); err != nil {
		return got, fmt.Errorf("cannot fetch: %w", err)
	}
	size, err := readFrame(c.nc, &c.buf)
	if err != nil {
		return got, err
	}
	now := time.Now()
	w := &walk{b: c.buf[:size]}
	if _, err := w.fetch(); err != nil {
		return got, err
	}
	if w.uvarint() != 2 {
		return got, nil // nothing came in time
	}
	w.skip(16)
	w.uvarint()
	n, err := w.partition()
	if err != nil {
		return got, err
	}
	for range n / c.batchBytes {
		got = append(got, now.Sub(c.due.Add(time.Duration(c.batches)*c.interval)))
		c.batches++
	}
	return got, nil
}
