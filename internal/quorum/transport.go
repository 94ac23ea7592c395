package quorum

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/meta"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Message is what one member says to another.
type Message struct {
	Data []byte
	// Snapshot: the sender waits for Node.ReportSnapshot.
	Snapshot bool
}

// Transport carries messages between the members. A single voter needs none.
type Transport interface {
	// Send takes a message for the member on a node. It must not block, and may lose messages.
	// A failed connection is told by Node.ReportUnreachable.
	Send(nodeID int32, m Message)
}

func encodeMessage(m *raftpb.Message) (Message, error) {
	data, err := proto.Marshal(m)
	if err != nil {
		return Message{}, fmt.Errorf("cannot encode a message to another controller: %w", err)
	}
	return Message{Data: data, Snapshot: m.GetType() == raftpb.MsgSnap}, nil
}

// Meet notes which metadata directory another controller says it has. Of one without a vote the log does not say it.
func (n *Node) Meet(node int32, directory meta.UUID) {
	if had, ok := n.senders.Load(node); !ok || had != directory {
		n.senders.Store(node, directory)
	}
}

// Step hands over a message from another member.
func (n *Node) Step(data []byte) error {
	m := &raftpb.Message{}
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("cannot read a message of another controller: %w", err)
	}
	switch m.GetType() {
	case raftpb.MsgHup, raftpb.MsgBeat, raftpb.MsgProp, raftpb.MsgUnreachable, raftpb.MsgSnapStatus, raftpb.MsgCheckQuorum,
		raftpb.MsgStorageAppend, raftpb.MsgStorageAppendResp, raftpb.MsgStorageApply, raftpb.MsgStorageApplyResp:
		return fmt.Errorf("cannot take a message of type %s from another controller", m.GetType())
	}
	return n.put(op{msg: m})
}
