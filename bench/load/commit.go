package load

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitVersion is the last one without tags: its answer has everything at a fixed place.
const commitVersion = 7

// Committer commits offsets of one partition for one group that has no members, one higher each time.
type Committer struct {
	frame    []byte
	offsetAt int
	errorAt  int
	offset   uint64
}

// NewCommitter builds the request.
func NewCommitter(group, topic string, partition int32) *Committer {
	f := Frame(CommitRequest(group, topic, partition, 0), 0)
	// The offset is followed by the leader's epoch and a null metadata, and ends the request.
	return &Committer{frame: f, offsetAt: len(f) - 2 - 4 - 8, errorAt: 4 + 4 + 4 + 2 + len(topic) + 4 + 4}
}

// CommitRequest is a commit of one offset.
func CommitRequest(group, topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = commitVersion, group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch = partition, offset, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// Next implements Source.
func (c *Committer) Next() []byte {
	c.offset++
	binary.BigEndian.PutUint64(c.frame[c.offsetAt:], c.offset)
	return c.frame
}

// Head implements Source.
func (c *Committer) Head() int { return 256 }

// Answer implements Source.
func (c *Committer) Answer(b []byte, size int) (int, error) {
	if size != c.errorAt+2 || len(b) < size {
		return 0, fmt.Errorf("an answer to a commit has %d bytes, not %d", size, c.errorAt+2)
	}
	if code := int16(binary.BigEndian.Uint16(b[c.errorAt:])); code != 0 {
		return 0, fmt.Errorf("a commit was refused: %w", kerr.ErrorForCode(code))
	}
	return 0, nil
}
