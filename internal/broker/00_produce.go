package broker

import (
	"errors"
	"fmt"
	"time"

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
	req := r.Body.(*kmsg.ProduceRequest)
	p := &producing{b: b, r: r, req: req, resp: req.ResponseKind().(*kmsg.ProduceResponse)}
	p.prepare()
	timeout := time.Duration(max(req.TimeoutMillis, 0)) * time.Millisecond
	b.replicas.Produce(p.parts, req.Acks, timeout, p.answer)
}

// producing is one produce request under way.
type producing struct {
	b     *Broker
	r     *server.Request
	req   *kmsg.ProduceRequest
	resp  *kmsg.ProduceResponse
	parts []replica.Append // in the order of the request
	bytes []int            // by part, for the metrics
}

// prepare turns the request into appends; what cannot be appended carries its error.
func (p *producing) prepare() {
	n := 0
	for i := range p.req.Topics {
		n += len(p.req.Topics[i].Partitions)
	}
	p.parts = make([]replica.Append, 0, n)
	p.bytes = make([]int, 0, n)
	all := p.refusal()
	for i := range p.req.Topics {
		t := &p.req.Topics[i]
		name, err := p.topic(t)
		if all != nil {
			err = all
		}
		for j := range t.Partitions {
			part := &t.Partitions[j]
			a := replica.Append{
				TP: storage.TopicPartition{Topic: name, Partition: part.Partition}, Batches: part.Records, Origin: storage.FromClient, Err: err,
			}
			if a.Err == nil {
				a.Err = checkRecords(part.Records, p.r.Version)
			}
			p.parts = append(p.parts, a)
			p.bytes = append(p.bytes, len(part.Records))
		}
	}
}

// refusal is an error that holds for every partition of the request.
func (p *producing) refusal() error {
	if a := p.req.Acks; a != -1 && a != 0 && a != 1 {
		return kerr.InvalidRequiredAcks
	}
	if id := p.req.TransactionID; id != nil && !p.b.allowed(p.r, security.OperationWrite, security.ResourceTransactionalID, *id) {
		return kerr.TransactionalIDAuthorizationFailed
	}
	return nil
}

// topic is the name that the request means, or why it may not be written to.
func (p *producing) topic(t *kmsg.ProduceRequestTopic) (string, error) {
	if p.r.Version >= 13 {
		known := p.b.Image().TopicByID(t.TopicID)
		if known == nil {
			return "", kerr.UnknownTopicID
		}
		if !p.b.allowedTopic(p.r, security.OperationWrite, known.Name) {
			return known.Name, kerr.TopicAuthorizationFailed
		}
		return known.Name, p.internal(known.Name)
	}
	if !p.b.allowedTopic(p.r, security.OperationWrite, t.Topic) {
		return t.Topic, kerr.TopicAuthorizationFailed
	}
	return t.Topic, p.internal(t.Topic)
}

func (p *producing) internal(topic string) error {
	if isInternal(topic) && p.r.ClientID != adminClientID {
		return fmt.Errorf("%w: cannot append to internal topic %s", kerr.InvalidTopicException, topic)
	}
	return nil
}

// checkRecords holds the rules for what a client may send in one partition's field:
// exactly one batch of format 2 (KIP-98), zstd only from clients that know it,
// and no transactional data, since no transaction can be open before they are served.
func checkRecords(b []byte, version int16) error {
	switch {
	case len(b) == 0:
		return invalid("Produce requests with version %d must have at least one record batch per partition", version)
	case len(b) > magicAt && b[magicAt] < record.Magic:
		return fmt.Errorf("%w: Produce requests with version %d are only allowed to contain record batches with magic version 2", errOldMagic, version)
	}
	batch, rest, err := record.Next(b)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrCorruptRecord, err)
	}
	switch {
	case len(rest) > 0:
		return invalid("Produce requests with version %d are only allowed to contain exactly one record batch per partition", version)
	case batch.Codec() == record.Zstd && version < firstZstdProduce:
		return fmt.Errorf("%w: Produce requests with version %d are not allowed to use ZStandard compression", storage.ErrUnsupportedCompression, version)
	case batch.IsTransactional():
		return kerr.InvalidTxnState
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{storage.ErrInvalidRecord}, args...)...)
}

// answer runs when each part is decided.
func (p *producing) answer() {
	var failed error
	next := 0
	p.resp.Topics = make([]kmsg.ProduceResponseTopic, len(p.req.Topics))
	for i := range p.req.Topics {
		t := &p.req.Topics[i]
		out := &p.resp.Topics[i]
		out.Topic, out.TopicID = t.Topic, t.TopicID
		out.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(t.Partitions))
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
		p.r.Reply(p.resp)
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
	out.LogAppendTime, out.LogStartOffset = -1, -1
	if a.Err == nil {
		out.BaseOffset, out.LogAppendTime, out.LogStartOffset = a.Info.FirstOffset, a.Info.LogAppendTimeMs, a.Info.LogStartOffset
		return
	}
	out.BaseOffset = -1
	out.ErrorCode = code(a.Err)
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
