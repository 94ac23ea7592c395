package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// expireOffsets forgets what has outlived its retention, and groups of which nothing is left.
func (s *Shard) expireOffsets(t *coord.Turn) {
	t.AllowSplit()
	t.SetTimer(coord.TimerKey{Kind: timerExpiry}, s.cfg.RetentionCheckIntervalMs)
	t.OnFailure(func(t *coord.Turn, _ error) {
		t.SetTimer(coord.TimerKey{Kind: timerExpiry}, min(expiryRetryMs, s.cfg.RetentionCheckIntervalMs))
	})
	expired := 0
	for _, id := range sortedKeys(s.groups) {
		g := s.groups[id]
		before := len(t.Records())
		all := s.expireGroup(t, g)
		expired += len(t.Records()) - before
		// An id that was handed out but not used yet keeps the group: its owner is on the way.
		if all && g.state == Empty && len(g.pendingJoin) == 0 && !s.offsets.hasPending(id) {
			t.Append(groupTombstone(id))
		}
	}
	for _, id := range sortedKeys(s.consumers) {
		g := s.consumers[id]
		before := len(t.Records())
		all := s.expireConsumerGroup(t, g)
		expired += len(t.Records()) - before
		if all && len(g.members) == 0 && !s.offsets.hasPending(id) {
			t.Append(g.tombstones()...)
		}
	}
	if len(t.Records()) > 0 {
		t.Note("expired offsets and empty groups are removed", "offsets", expired, "records", len(t.Records()))
	}
	t.Then(func(*coord.Turn) { s.counts.OffsetExpirations.Add(expired) })
}

// expireGroup appends tombstones for a group's expired offsets and tells whether none is left.
func (s *Shard) expireGroup(t *coord.Turn, g *group) (all bool) {
	all = !g.aside
	offsets := s.offsets.byGroup[g.id]
	for _, topic := range sortedKeys(offsets) {
		for _, partition := range sortedKeys(offsets[topic]) {
			o := offsets[topic][partition]
			if !s.isExpired(g, topic, o, t.NowMs) || s.offsets.isPending(g.id, topic, partition) {
				all = false
				continue
			}
			t.Append(offsetTombstone(g.id, topic, partition))
		}
	}
	return all
}

// expireConsumerGroup is expireGroup for a consumer group, of which only topics that no member reads can expire.
func (s *Shard) expireConsumerGroup(t *coord.Turn, g *consumerGroup) (all bool) {
	all = true
	offsets := s.offsets.byGroup[g.id]
	for _, topic := range sortedKeys(offsets) {
		read := g.isSubscribedTo(topic)
		for _, partition := range sortedKeys(offsets[topic]) {
			o := offsets[topic][partition]
			due := t.NowMs-o.commitMs >= s.cfg.OffsetsRetentionMs
			if o.expireMs >= 0 {
				due = t.NowMs >= o.expireMs
			}
			if read || o.unreadable || !due || s.offsets.isPending(g.id, topic, partition) {
				all = false
				continue
			}
			t.Append(offsetTombstone(g.id, topic, partition))
		}
	}
	return all
}

// isExpired is Kafka's rule. The clock of a group that had members runs from when the last of
// them left; that of a group that only stores offsets, from the commit. While
// consumers are at work, only topics that none of them reads can expire.
func (s *Shard) isExpired(g *group, topic string, o committedOffset, nowMs int64) bool {
	if g.aside || o.unreadable {
		return false // since when, nobody can tell
	}
	var sinceMs int64
	switch {
	case g.protocolType == "":
		sinceMs = o.commitMs
	case g.state == Empty:
		sinceMs = g.stateSinceMs
		if sinceMs < 0 {
			sinceMs = o.commitMs
		}
	case g.state == Stable && g.isConsumer() && g.subscribedSet && !g.isSubscribedTo(topic):
		sinceMs = o.commitMs
	default:
		return false
	}
	if o.expireMs >= 0 {
		return nowMs >= o.expireMs // the client's own retention
	}
	return nowMs-sinceMs >= s.cfg.OffsetsRetentionMs
}
