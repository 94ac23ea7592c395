package cli

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinatorFormatter prints the records of an internal topic as JSON:
// {"key":{"type":n,"data":{...}},"value":{"version":n,"data":{...}}}.
// Records of other types in the same topic are passed over.
type coordinatorFormatter struct {
	// data returns the fields of key and value, or known false for a type
	// that this formatter does not print.
	data func(keyType int16, key, value []byte) (k, v fields, known bool, err error)
}

// fields is a JSON object that keeps the order of its members.
type fields []field

type field struct {
	name  string
	value any
}

func (f fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", m.name)
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
		b.Truncate(b.Len() - 1) // Encode ends with a line break
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (c coordinatorFormatter) write(w *bufio.Writer, rec *kgo.Record) error {
	if rec.Key == nil {
		return nil
	}
	if len(rec.Key) < 2 {
		return &consumerFailure{"java.nio.BufferUnderflowException", errors.New("")}
	}
	keyType := int16(binary.BigEndian.Uint16(rec.Key))
	k, v, known, err := c.data(keyType, rec.Key, rec.Value)
	if err != nil {
		return fmt.Errorf("cannot decode the record at offset %d of %s-%d: %w", rec.Offset, rec.Topic, rec.Partition, err)
	}
	if !known {
		return nil
	}
	line := fields{{"key", fields{{"type", keyType}, {"data", k}}}, {"value", nil}}
	if len(rec.Value) >= 2 {
		line[1].value = fields{{"version", int16(binary.BigEndian.Uint16(rec.Value))}, {"data", v}}
	}
	b, err := line.MarshalJSON()
	if err != nil {
		return err
	}
	// Kafka ends no line here; JSON needs none.
	_, err = w.Write(b)
	return err
}

func offsetsJSON(keyType int16, key, value []byte) (k, v fields, known bool, err error) {
	if keyType > 1 {
		return nil, nil, false, nil
	}
	var ck kmsg.OffsetCommitKey
	if err := ck.ReadFrom(key); err != nil {
		return nil, nil, true, err
	}
	k = fields{{"group", ck.Group}, {"topic", ck.Topic}, {"partition", ck.Partition}}
	if value == nil {
		return k, nil, true, nil
	}
	var cv kmsg.OffsetCommitValue
	if err := cv.ReadFrom(value); err != nil {
		return nil, nil, true, err
	}
	v = fields{{"offset", cv.Offset}}
	if cv.Version >= 3 {
		v = append(v, field{"leaderEpoch", cv.LeaderEpoch})
	}
	v = append(v, field{"metadata", cv.Metadata}, field{"commitTimestamp", cv.CommitTimestamp})
	if cv.Version == 1 {
		v = append(v, field{"expireTimestamp", cv.ExpireTimestamp})
	}
	if cv.Version >= 4 {
		v = append(v, field{"topicId", uuidString(cv.TopicID)})
	}
	return k, v, true, nil
}

func groupMetadataJSON(keyType int16, key, value []byte) (k, v fields, known bool, err error) {
	if keyType != 2 {
		return nil, nil, false, nil
	}
	var gk kmsg.GroupMetadataKey
	if err := gk.ReadFrom(key); err != nil {
		return nil, nil, true, err
	}
	k = fields{{"group", gk.Group}}
	if value == nil {
		return k, nil, true, nil
	}
	var gv kmsg.GroupMetadataValue
	if err := gv.ReadFrom(value); err != nil {
		return nil, nil, true, err
	}
	v = fields{{"protocolType", gv.ProtocolType}, {"generation", gv.Generation}, {"protocol", gv.Protocol}, {"leader", gv.Leader}}
	if gv.Version >= 2 {
		v = append(v, field{"currentStateTimestamp", gv.CurrentStateTimestamp})
	}
	members := []fields{}
	for _, m := range gv.Members {
		f := fields{{"memberId", m.MemberID}}
		if gv.Version >= 3 {
			f = append(f, field{"groupInstanceId", m.InstanceID})
		}
		f = append(f, field{"clientId", m.ClientID}, field{"clientHost", m.ClientHost})
		if gv.Version >= 1 {
			f = append(f, field{"rebalanceTimeout", m.RebalanceTimeoutMillis})
		}
		members = append(members, append(f, field{"sessionTimeout", m.SessionTimeoutMillis}, field{"subscription", m.Subscription}, field{"assignment", m.Assignment}))
	}
	return k, append(v, field{"members", members}), true, nil
}

func transactionJSON(keyType int16, key, value []byte) (k, v fields, known bool, err error) {
	if keyType != 0 {
		return nil, nil, false, nil
	}
	var tk kmsg.TxnMetadataKey
	if err := tk.ReadFrom(key); err != nil {
		return nil, nil, true, err
	}
	k = fields{{"transactionalId", tk.TransactionalID}}
	if value == nil {
		return k, nil, true, nil
	}
	var tv kmsg.TxnMetadataValue
	if err := tv.ReadFrom(value); err != nil {
		return nil, nil, true, err
	}
	topics := []fields{}
	for _, t := range tv.Topics {
		topics = append(topics, fields{{"topic", t.Topic}, {"partitionIds", t.Partitions}})
	}
	v = fields{{"producerId", tv.ProducerID}, {"producerEpoch", tv.ProducerEpoch}, {"transactionTimeoutMs", tv.TimeoutMillis}, {"transactionStatus", int8(tv.State)}}
	if len(tv.Topics) == 0 {
		v = append(v, field{"transactionPartitions", nil})
	} else {
		v = append(v, field{"transactionPartitions", topics})
	}
	v = append(v, field{"transactionLastUpdateTimestampMs", tv.LastUpdateTimestamp}, field{"transactionStartTimestampMs", tv.StartTimestamp})
	return k, v, true, nil
}
