package quorum

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Raft knows a member by one number. Of a static voter it is the node id + 1, as Raft's ids must not be 0 and a node id
// may. Of a member of a dynamic quorum (kraft.version 1) the upper half comes from the id of its directory: a node that
// has lost its disk is then another member, and cannot vote a second time in a term in which its former self voted.
func raftID(node int32, directory meta.UUID) uint64 {
	id := uint64(uint32(node) + 1)
	if directory != (meta.UUID{}) {
		half := crc32.Checksum(directory[:], castagnoli())
		id |= uint64(max(half, 1)) << 32
	}
	return id
}

// nodeOf is the node of a member; 0, Raft's "nobody", becomes -1, Kafka's.
func nodeOf(raftID uint64) int32 { return int32(uint32(raftID)) - 1 }

// dynamic says that the voters stand in the log.
func (k *kraftState) dynamic() bool { return k.version > 0 && len(k.voters) > 0 }

// members are the Raft ids of the voters in the log.
func (k *kraftState) members() []uint64 {
	var out []uint64
	for _, v := range k.voters {
		out = append(out, raftID(v.ID, v.DirectoryID))
	}
	return out
}

// ownID is this node's Raft id under what the log says of the quorum.
func ownID(cfg *Config, k *kraftState) uint64 {
	if k.dynamic() || cfg.Join {
		return raftID(cfg.NodeID, cfg.DirectoryID)
	}
	return raftID(cfg.NodeID, meta.UUID{})
}

// firstMembers are the voters of a node whose Raft log names none yet.
func firstMembers(cfg *Config, k *kraftState) []uint64 {
	if k.dynamic() {
		return k.members()
	}
	if cfg.Join {
		return nil
	}
	var out []uint64
	for _, v := range cfg.Voters {
		out = append(out, raftID(v, meta.UUID{}))
	}
	return out
}

// agree settles the members that the Raft log names with the configured ones, and with those in the metadata log.
func agree(cfg *Config, k *kraftState, st *walState) error {
	own := ownID(cfg, k)
	legacy := []uint64{raftID(cfg.NodeID, meta.UUID{})}
	switch {
	case k.dynamic() && own != legacy[0] && slices.Equal(st.base.voters, legacy) && len(k.voters) == 1:
		// The only voter, from before members were told apart by their directories: it has nobody to disagree with.
		st.base.voters = []uint64{own}
		if st.hard.vote == legacy[0] {
			st.hard.vote = own
		}
		return nil
	case cfg.Join && !k.dynamic() && slices.Equal(st.base.voters, legacy):
		cfg.Join, cfg.Voters = false, []int32{cfg.NodeID} // it stood alone before it was told of a quorum to look for
		return nil
	case k.dynamic() || cfg.Join:
		return nil
	}
	want := firstMembers(cfg, k)
	if !slices.Equal(slices.Sorted(slices.Values(st.base.voters)), slices.Sorted(slices.Values(want))) {
		return fmt.Errorf("this node has been one of the voters %v, but the configuration names the voters %v: fixed voters cannot be changed once a cluster has begun, since two groups of them could then decide; restore controller.quorum.voters",
			nodesOf(st.base.voters), cfg.Voters)
	}
	return nil
}

func nodesOf(ids []uint64) []int32 {
	var out []int32
	for _, id := range ids {
		out = append(out, nodeOf(id))
	}
	slices.Sort(out)
	return out
}

// batchIn is the record batch that an entry carries, nil when it carries none: a normal entry is its batch, a
// change of the members has the voters' control batch beside it.
func batchIn(e *raftpb.Entry) ([]byte, error) {
	if e.GetType() == raftpb.EntryNormal {
		return e.GetData(), nil
	}
	cc, err := changeIn(e)
	if err != nil {
		return nil, err
	}
	return cc.GetContext(), nil
}

// changeIn is the change of the members in an entry.
func changeIn(e *raftpb.Entry) (*raftpb.ConfChangeV2, error) {
	fail := func(err error) (*raftpb.ConfChangeV2, error) {
		return nil, fmt.Errorf("entry %d of the Raft log holds no change of the members: %w", e.GetIndex(), err)
	}
	switch e.GetType() {
	case raftpb.EntryConfChangeV2:
		var cc raftpb.ConfChangeV2
		if err := proto.Unmarshal(e.GetData(), &cc); err != nil {
			return fail(err)
		}
		return &cc, nil
	case raftpb.EntryConfChange:
		var cc raftpb.ConfChange
		if err := proto.Unmarshal(e.GetData(), &cc); err != nil {
			return fail(err)
		}
		return cc.AsV2(), nil
	}
	return fail(fmt.Errorf("it is of type %s", e.GetType()))
}

// confAfter is the membership after an entry: only simple changes are ever proposed.
func confAfter(cs *raftpb.ConfState, cc *raftpb.ConfChangeV2) *raftpb.ConfState {
	out := &raftpb.ConfState{Voters: slices.Clone(cs.GetVoters()), Learners: slices.Clone(cs.GetLearners())}
	drop := func(s []uint64, id uint64) []uint64 {
		return slices.DeleteFunc(s, func(x uint64) bool { return x == id })
	}
	for _, c := range cc.GetChanges() {
		id := c.GetNodeId()
		out.Voters, out.Learners = drop(out.Voters, id), drop(out.Learners, id)
		switch c.GetType() {
		case raftpb.ConfChangeAddNode:
			out.Voters = append(out.Voters, id)
		case raftpb.ConfChangeAddLearnerNode:
			out.Learners = append(out.Learners, id)
		}
	}
	slices.Sort(out.Voters)
	slices.Sort(out.Learners)
	return out
}

// Voter is one voter as others reach it.
type Voter struct {
	ID        int32
	Directory meta.UUID
	Endpoints []record.VoterEndpoint
}
