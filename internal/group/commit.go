package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// groupNotFoundVersion is the first version of OffsetCommit whose clients know GROUP_ID_NOT_FOUND.
const groupNotFoundVersion = 9

// commitRequest is an OffsetCommit request with names for topics.
type commitRequest struct {
	version     int16
	group       string
	memberID    string
	instanceID  *string
	generation  int32
	retentionMs int64           // -1: the broker's
	producer    *coord.Producer // in whose transaction; nil outside of one
	items       []commitItem
}

// commitItem is one partition of it; code is the answer.
type commitItem struct {
	topic       string
	topicID     [16]byte
	partition   int32
	offset      int64
	leaderEpoch int32
	metadata    string
	code        int16
}

// commit stores offsets. Items whose code is set already are left alone.
func (s *Shard) commit(t *coord.Turn, r *commitRequest) {
	if code := s.checkCommit(r); code != codeNone {
		for i := range r.items {
			if r.items[i].code == codeNone {
				r.items[i].code = code
			}
		}
		return
	}
	if r.producer != nil {
		t.InTransaction(*r.producer)
	} else if g := s.groups[r.group]; g != nil && (g.state == Stable || g.state == PreparingRebalance) {
		s.restartSession(t, g, g.members[r.memberID])
	}
	expireMs := int64(-1)
	if r.retentionMs >= 0 {
		expireMs = t.NowMs + r.retentionMs
	}
	n := 0
	for i := range r.items {
		it := &r.items[i]
		if it.code != codeNone {
			continue
		}
		if len(it.topic) > maxTopicBytes {
			it.code = codeUnknownTopicOrPartition
			continue
		}
		if s.metadataTooLarge(it.metadata) {
			it.code = codeOffsetMetadataTooLarge
			continue
		}
		if r.producer != nil && s.offsets.openCount+int(n) >= s.cfg.MaxPendingOffsets && !s.offsets.isPending(r.group, it.topic, it.partition) {
			it.code = codeCoordinatorNotAvailable
			continue
		}
		o := committedOffset{
			offset: it.offset, leaderEpoch: it.leaderEpoch, metadata: it.metadata,
			commitMs: t.NowMs, expireMs: expireMs, topicID: it.topicID,
		}
		t.Append(o.record(r.group, it.topic, it.partition))
		n++
	}
	t.Then(func(*coord.Turn) { s.counts.OffsetCommits.Add(n) })
}

// metadataTooLarge counts as Java does. Whatever the configuration allows, a record has no room for more.
func (s *Shard) metadataTooLarge(metadata string) bool {
	return javaLength(metadata) > s.cfg.OffsetMetadataMaxBytes || len(metadata) > maxStringBytes
}

// checkCommit decides who may commit: members of the present generation, and anyone
// while the group has no members.
func (s *Shard) checkCommit(r *commitRequest) int16 {
	g := s.groups[r.group]
	if c := s.consumers[r.group]; c != nil && g == nil {
		return c.checkConsumerCommit(r)
	}
	if f := s.foreign[r.group]; f != nil && g == nil {
		if f.live > 0 || r.generation >= 0 {
			return codeUnknownMemberID
		}
		return codeNone
	}
	if g == nil {
		switch {
		case r.generation < 0 && !s.full():
			return codeNone // the first commit makes the group
		case r.generation < 0:
			return codeCoordinatorNotAvailable
		case r.version >= groupNotFoundVersion && r.producer == nil:
			return codeGroupIDNotFound
		default:
			return codeIllegalGeneration
		}
	}
	if r.generation < 0 && g.state == Empty {
		return codeNone
	}
	if r.generation < 0 && r.memberID == "" && r.instanceID == nil {
		if r.producer != nil {
			return codeNone // older transactional clients do not say who they are: their producer's epoch fences them
		}
		return codeUnknownMemberID // an outsider, while members are at work
	}
	if code := g.checkMember(r.memberID, r.instanceID); code != codeNone {
		return code
	}
	if r.generation != g.generation {
		return codeIllegalGeneration
	}
	if g.state == CompletingRebalance && r.producer == nil {
		return codeRebalanceInProgress
	}
	return codeNone
}
