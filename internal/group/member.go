package group

import (
	"bytes"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocol is a way to share work that a member supports, and what it says of itself for it.
type protocol struct {
	name     string
	metadata []byte
}

// member is one member of a classic group.
type member struct {
	id         string
	seq        int64 // order of arrival; the order in which members are listed
	instanceID *string
	clientID   string
	clientHost string

	rebalanceTimeoutMs int32
	sessionTimeoutMs   int32
	protocols          []protocol // in the member's order of preference
	assignment         []byte     // durable

	weighed int64 // what the shard counts it as

	// Soft state.
	join  *joinWaiter // its JoinGroup is parked
	sync  *syncWaiter // its SyncGroup is parked
	isNew bool        // has never been told of a generation
}

// joinWaiter is a parked JoinGroup request.
type joinWaiter struct {
	version  int16
	reply    func(*kmsg.JoinGroupResponse)
	answered coord.Latch
}

// answer replies unless that has been done: a turn that has panicked may leave a waiter with the
// group and have its request refused as well.
func (w *joinWaiter) answer(resp *kmsg.JoinGroupResponse) {
	if w.answered.Pass() {
		w.reply(resp)
	}
}

// syncWaiter is a parked SyncGroup request.
type syncWaiter struct {
	version  int16
	reply    func(*kmsg.SyncGroupResponse)
	answered coord.Latch
}

// answer replies unless that has been done, as joinWaiter's.
func (w *syncWaiter) answer(resp *kmsg.SyncGroupResponse) {
	if w.answered.Pass() {
		w.reply(resp)
	}
}

// metadata is what the member says of itself for protocol name.
func (m *member) metadata(name string) []byte {
	for _, p := range m.protocols {
		if p.name == name {
			return p.metadata
		}
	}
	return nil
}

// matches tells whether the member already said exactly this.
func (m *member) matches(protocols []protocol) bool {
	if len(m.protocols) != len(protocols) {
		return false
	}
	for i, p := range m.protocols {
		if p.name != protocols[i].name || !bytes.Equal(p.metadata, protocols[i].metadata) {
			return false
		}
	}
	return true
}

// isAlive tells whether the member need not heartbeat now: it waits for us. A member
// that is new is not alive only because its join is parked, since its client may be gone
// and nothing else would ever remove it.
func (m *member) isAlive() bool { return !m.isNew && (m.join != nil || m.sync != nil) }

func (m *member) value(protocolName string) memberValue {
	return memberValue{
		id:                 m.id,
		instanceID:         m.instanceID,
		clientID:           m.clientID,
		clientHost:         m.clientHost,
		rebalanceTimeoutMs: m.rebalanceTimeoutMs,
		sessionTimeoutMs:   m.sessionTimeoutMs,
		subscription:       m.metadata(protocolName),
		assignment:         m.assignment,
	}
}
