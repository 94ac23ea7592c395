package controller

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/moldau-stream/moldau/internal/meta"
)

// Try tells the sendings of one request apart. A broker that forwards a request whose answer it has lost does not know whether it was
// carried out, and sends it again; the second must not be told that the topic exists which the first has made. So the ids of the topics
// that a sending makes follow from the sending, and whoever finds a topic with such an id knows whose it is, after a change of
// the controller too. No two sendings make a topic with the same id: what was deleted in between must not come back as what it was.
type Try struct {
	Request [16]byte // zero: the request does not say
	Number  uint32   // of this sending, from 1 on
}

// maxTries bounds what is looked for.
const maxTries = 10_000

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
	if t.Request == ([16]byte{}) {
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
