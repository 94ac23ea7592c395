package broker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminClientID may write to internal topics, as in Apache Kafka.
const adminClientID = "__admin_client"

// magicAt is where the format's version lies in a batch, and lay in the formats before it.
const magicAt = 16

// errOldMagic is a batch of a format that Kafka has given up.
var errOldMagic = fmt.Errorf("%w: old message format", storage.ErrInvalidRecord)

// firstZstdProduce is the first version whose clients know zstd (KIP-110).
const firstZstdProduce = 7

// produce appends record batches. v3-13; topics by id from 13; the current leader
// beside NOT_LEADER_OR_FOLLOWER from 10 (KIP-951).
func (b *Broker) produce(r *server.Request) {
	p := b.producing(r)
	p.prepare()
	if p.req.TransactionID == nil || !p.verify() {
		p.append()
	}
}

func (p *producing) append() {
	p.b.replicas.Produce(p.parts, p.req.Acks, millis(max(p.req.TimeoutMillis, 0)), p.done)
}

// producing is one produce request under way. Its memory serves one request after the other.
type producing struct {
	b     *Broker
	r     *server.Request
	req   *kmsg.ProduceRequest
	resp  kmsg.ProduceResponse
	parts []replica.Append // in the order of the request
	bytes []int            // by part, for the metrics
	done  func()           // answer, bound once
}

// What is kept for the next request is bounded: a very large one keeps nothing.
const (
	maxKeptTopics = 16
	maxKeptParts  = 1024
)

func (b *Broker) producing(r *server.Request) *producing {
	p, ok := b.producings.Get().(*producing)
	if !ok {
		p = &producing{b: b, resp: kmsg.NewProduceResponse()}
		p.done = p.answer
	}
	p.r, p.req = r, r.Body.(*kmsg.ProduceRequest)
	return p
}

// release gives p back. What belongs to the request, whose records lie in the connection's buffer, is let go of.
func (p *producing) release() {
	p.r.Release()
	p.r, p.req = nil, nil
	if cap(p.parts) > maxKeptParts || cap(p.resp.Topics) > maxKeptTopics {
		return
	}
	clear(p.parts)
	p.parts, p.bytes = p.parts[:0], p.bytes[:0]
	topics := p.resp.Topics
	for i := range topics {
		t := &topics[i]
		clear(t.Partitions)
		*t = kmsg.ProduceResponseTopic{Partitions: t.Partitions[:0]}
	}
	p.resp = kmsg.ProduceResponse{Topics: topics[:0]}
	p.b.producings.Put(p)
}

// prepare turns the request into appends; what cannot be appended carries its error. The
// order of the checks is Kafka's: permission, existence, records, acks, the topic's kind.
func (p *producing) prepare() {
	n := 0
	for i := range p.req.Topics {
		n += len(p.req.Topics[i].Partitions)
	}
	p.parts, p.bytes = slices.Grow(p.parts, n), slices.Grow(p.bytes, n)
	all := p.refuseTransaction()
	for i := range p.req.Topics {
		t := &p.req.Topics[i]
		name, partitions, err := p.topic(t)
		if all != nil && err == nil {
			err = all
		}
		for j := range t.Partitions {
			part := &t.Partitions[j]
			a := replica.Append{
				TP:      storage.TopicPartition{Topic: name, Partition: part.Partition},
				TopicID: t.TopicID, Batches: part.Records, Origin: storage.FromClient, Err: err,
			}
			if a.Err == nil {
				a.Err = p.refusePart(&a, partitions)
			}
			p.parts = append(p.parts, a)
			p.bytes = append(p.bytes, len(part.Records))
		}
	}
}

// refuseTransaction refuses the whole of a request with transactional records by somebody who may not use its transactional id.
func (p *producing) refuseTransaction() error {
	for i := range p.req.Topics {
		for j := range p.req.Topics[i].Partitions {
			b, _, err := record.Next(p.req.Topics[i].Partitions[j].Records)
			if err != nil || !b.IsTransactional() {
				continue
			}
			if id := p.req.TransactionID; id == nil || !p.b.allowed(p.r, security.OperationWrite, security.ResourceTransactionalID, *id) {
				return kerr.TransactionalIDAuthorizationFailed
			}
			return nil
		}
	}
	return nil
}

// topic is the name that the request means and how many partitions it has, or why it may not be written to.
func (p *producing) topic(t *kmsg.ProduceRequestTopic) (name string, partitions int, err error) {
	img, name := p.b.Image(), t.Topic
	var known *meta.Topic
	if p.r.Version >= 13 {
		if known = img.TopicByID(t.TopicID); known == nil {
			return "", 0, kerr.UnknownTopicID
		}
		name = known.Name
	} else {
		known = img.Topic(name)
	}
	switch {
	case !p.b.allowedTopic(p.r, security.OperationWrite, name):
		return name, 0, kerr.TopicAuthorizationFailed
	case known == nil:
		return name, 0, replica.ErrUnknownTopicOrPartition
	}
	return name, len(known.Partitions), nil
}

// refusePart says why one partition's records may not be appended.
func (p *producing) refusePart(a *replica.Append, partitions int) error {
	if i := a.TP.Partition; i < 0 || int(i) >= partitions {
		return replica.ErrUnknownTopicOrPartition
	}
	if err := checkRecords(a.Batches, p.r.Version); err != nil {
		return err
	}
	if acks := p.req.Acks; acks != -1 && acks != 0 && acks != 1 {
		return kerr.InvalidRequiredAcks
	}
	if isInternal(a.TP.Topic) && p.r.ClientID != adminClientID {
		return fmt.Errorf("%w: cannot append to internal topic %s", kerr.InvalidTopicException, a.TP.Topic)
	}
	return nil
}

// checkRecords holds the rules for what a client may send in one partition's field:
// exactly one batch of format 2 (KIP-98), and zstd only from clients that know it.
func checkRecords(b []byte, version int16) error {
	switch {
	case len(b) == 0:
		return invalid("Produce requests with version %d must have at least one record batch per partition", version)
	case len(b) > magicAt && b[magicAt] < record.Magic:
		return fmt.Errorf("%w: Produce requests with version %d are only allowed to contain record batches with magic version 2", errOldMagic, version)
	}
	batch, rest, err := record.Next(b)
	switch {
	case errors.Is(err, record.ErrTruncated):
		return invalid("Produce requests with version %d must have at least one record batch per partition, and this one is cut short", version)
	case err != nil:
		return fmt.Errorf("%w: %w", storage.ErrCorruptRecord, err)
	case len(rest) > 0:
		return invalid("Produce requests with version %d are only allowed to contain exactly one record batch per partition", version)
	case batch.Codec() == record.Zstd && version < firstZstdProduce:
		return fmt.Errorf("%w: Produce requests with version %d are not allowed to use ZStandard compression", storage.ErrUnsupportedCompression, version)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{storage.ErrInvalidRecord}, args...)...)
}

// answer runs when each part is decided.
func (p *producing) answer() {
	defer p.release()
	var failed error
	next := 0
	p.resp.Topics = slices.Grow(p.resp.Topics[:0], len(p.req.Topics))[:len(p.req.Topics)]
	for i := range p.req.Topics {
		t := &p.req.Topics[i]
		out := &p.resp.Topics[i]
		out.Topic, out.TopicID = t.Topic, t.TopicID
		out.Partitions = slices.Grow(out.Partitions, len(t.Partitions))[:len(t.Partitions)]
		for j := range t.Partitions {
			a := &p.parts[next]
			p.partition(&out.Partitions[j], a)
			p.b.metrics.produced(a.TP.Topic, p.bytes[next], a)
			if a.Err != nil {
				failed = a.Err
				p.b.tell("write", a.TP, a.Err, false)
			}
			next++
		}
	}
	if p.req.Acks != 0 {
		p.r.Reply(&p.resp)
		return
	}
	if failed != nil {
		p.r.CloseConn(fmt.Errorf("cannot append what was sent with acks=0, and the connection's end is the only way to tell: %w", failed))
		return
	}
	p.r.NoReply()
}

// partition fills one partition's answer.
func (p *producing) partition(out *kmsg.ProduceResponseTopicPartition, a *replica.Append) {
	out.Default()
	out.Partition = a.TP.Partition
	// What was appended but not acknowledged in time is told with its offset, as in Apache Kafka.
	out.BaseOffset, out.LogAppendTime, out.LogStartOffset = a.Info.FirstOffset, a.Info.LogAppendTimeMs, a.Info.LogStartOffset
	if a.Err == nil {
		return
	}
	out.ErrorCode = codeAt(a.Err, p.r.Version, firstStorageErrorProduce)
	out.ErrorMessage = message(a.Err)
	var rec *storage.InvalidRecordError
	if errors.As(a.Err, &rec) {
		for _, e := range rec.RecordErrors {
			er := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			er.RelativeOffset, er.ErrorMessage = int32(e.BatchIndex), text(e.Message)
			out.ErrorRecords = append(out.ErrorRecords, er)
		}
	}
	if out.ErrorCode == kerr.NotLeaderForPartition.Code {
		p.hint(out, a.TP)
	}
}

// hint names the present leader and, once, its address (KIP-951); the version decides what of it is written.
func (p *producing) hint(out *kmsg.ProduceResponseTopicPartition, tp storage.TopicPartition) {
	leader := p.b.leaderHint(p.r, tp)
	if leader == nil {
		return
	}
	out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = leader.id, leader.epoch
	for _, known := range p.resp.Brokers {
		if known.NodeID == leader.id {
			return
		}
	}
	if leader.reachable {
		n := kmsg.NewProduceResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = leader.id, leader.at.host, leader.at.port, leader.at.rack
		p.resp.Brokers = append(p.resp.Brokers, n)
	}
}
