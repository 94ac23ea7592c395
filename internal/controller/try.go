package controller

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Try tells the sendings of one request apart. A broker that forwards a request whose answer it has lost does not know whether it was
// carried out, and sends it again.
//
// The second must not be told that the topic exists which the first has made. So the ids of the topics that a sending makes follow from
// the sending, and whoever finds a topic with such an id knows whose it is, after a change of the controller too. No two sendings
// make a topic with the same id: what was deleted in between must not come back as what it was.
//
// Nor must it be told that the topic is missing which the first has deleted, or has as many partitions as the first has given it. And it
// must not delete a topic that somebody has created under the name since: the broker says which topic it takes the name for (ExpectTopic).
type Try struct {
	Request [16]byte // zero: the request does not say
	Number  uint32   // of this sending, from 1 on
}

// maxTries bounds what is looked for.
const maxTries = 10_000

// expectedTag is far above those that Kafka gives. A controller that does not know it passes it over.
const expectedTag = 0x4d02

// ExpectTopic notes in a deletion by name which topic has the name.
func ExpectTopic(t *kmsg.DeleteTopicsRequestTopic, id meta.UUID) {
	t.UnknownTags.Set(expectedTag, id[:])
}

// again says that an earlier sending of this request may have been carried out.
func (t Try) again() bool { return t.Request != ([16]byte{}) && t.Number > 1 }

// another says that a deletion by name, sent again, would hit another topic than was meant.
func (t Try) another(asked *kmsg.DeleteTopicsRequestTopic, there meta.UUID) bool {
	other := false
	asked.UnknownTags.Each(func(tag uint32, id []byte) { other = other || tag == expectedTag && !bytes.Equal(id, there[:]) })
	return t.again() && other
}

// topicID is the id of a topic that sending number of this request makes.
func (t Try) topicID(name string, number uint32) (id meta.UUID) {
	h := sha256.New()
	h.Write(t.Request[:])
	h.Write(binary.BigEndian.AppendUint32(nil, number))
	h.Write([]byte(name))
	copy(id[:], h.Sum(nil))
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// made says that an earlier sending of this request has made the topic.
func (t Try) made(topic *meta.Topic) bool {
	if !t.again() {
		return false
	}
	for n := uint32(1); n < min(t.Number, maxTries); n++ {
		if t.topicID(topic.Name, n) == topic.ID {
			return true
		}
	}
	return false
}

// newTopicID is an id that no topic has: the one of this sending, or any.
func (b *batch) newTopicID(name string) meta.UUID {
	if id := b.Try.topicID(name, b.Try.Number); b.Try.Request != ([16]byte{}) && b.mayUse(id) {
		return id
	}
	for {
		if id := b.cfg.Random.UUID(); b.mayUse(id) {
			return id
		}
	}
}

// mayUse leaves out ids whose text begins with a dash: on a command line it would look like an option.
func (b *batch) mayUse(id meta.UUID) bool {
	return !meta.ReservedUUID(id) && meta.FormatUUID(id)[0] != '-' && b.img.TopicByID(id) == nil
}
