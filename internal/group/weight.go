package group

// What clients can make a shard remember as members is bounded in bytes: a JoinGroup of any size costs
// a client nothing, and the member that it makes stays for a session, whether anyone is behind it or not.

const (
	// heldBatches keeps the bound above what one group can record, where topics allow batches that
	// large: a group with two protocols holds about twice that.
	heldBatches = 4
	// memberOverheadBytes is what a member takes besides what it has sent: the structs of the member, its
	// timer and its parked request, and its places in the group's maps.
	memberOverheadBytes = 1024
	// protocolOverheadBytes is the same for a protocol.
	protocolOverheadBytes = 128
	// pendingOverheadBytes is the same for an id that was handed out: its timer, and a place in two maps.
	pendingOverheadBytes = 256
)

// maxHeld is the bound for a topic whose batches take maxBatchBytes.
func (c *Config) maxHeld(maxBatchBytes int) int64 {
	return max(c.MaxMemberBytes, heldBatches*int64(maxBatchBytes))
}

func (m *member) weight() int64 {
	n := memberOverheadBytes + len(m.id) + len(m.clientID) + len(m.clientHost) + len(m.assignment)
	if m.instanceID != nil {
		n += len(*m.instanceID)
	}
	return int64(n) + weightOf(m.protocols)
}

func weightOf(protocols []protocol) int64 {
	var n int64
	for _, p := range protocols {
		n += int64(protocolOverheadBytes + len(p.name) + len(p.metadata))
	}
	return n
}

// weigh counts m anew.
func (g *group) weigh(m *member) {
	w := m.weight()
	*g.held += w - m.weighed
	m.weighed = w
}

// unweigh counts m no more.
func (g *group) unweigh(m *member) {
	*g.held -= m.weighed
	m.weighed = 0
}

// unweighAll is for a group that is forgotten as a whole.
func (g *group) unweighAll() {
	for _, m := range g.members {
		g.unweigh(m)
	}
	for id := range g.pendingJoin {
		g.dropPending(id)
	}
}

// addPending notes an id that was handed out.
func (g *group) addPending(id string) {
	g.pendingJoin[id] = struct{}{}
	*g.held += int64(pendingOverheadBytes + len(id))
}

func (g *group) dropPending(id string) {
	if _, had := g.pendingJoin[id]; had {
		delete(g.pendingJoin, id)
		*g.held -= int64(pendingOverheadBytes + len(id))
	}
}

// hasRoom tells whether the shard can hold the member of r with what it says of itself now.
func (s *Shard) hasRoom(g *group, r *joinRequest) bool {
	asked := member{id: r.memberID, instanceID: r.instanceID, clientID: r.clientID, clientHost: r.clientHost, protocols: r.protocols}
	more := asked.weight()
	id := r.memberID
	if id == "" && r.instanceID != nil {
		id = g.static[*r.instanceID]
	}
	if m := g.members[id]; m != nil {
		more -= m.weighed
	}
	return more <= 0 || s.held+more <= s.maxHeld
}
