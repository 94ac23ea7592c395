package wire

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// APIs that only nodes of ours speak, among themselves and on controller listeners only. Their keys lie far above
// Kafka's, and ApiVersions does not show them.
const (
	// PrivateKeys is where such keys begin.
	PrivateKeys int16 = 1000
	// RaftKey carries messages between the controllers of a quorum.
	RaftKey int16 = PrivateKeys
)

const privateText = `api 1000 MoldauRaft C 0-0
0 h2 cluster_id COMPACT_STRING, from INT32, directory_id UUID, host COMPACT_STRING, port UINT16, join BOOLEAN, messages compact[]COMPACT_BYTES, tags
`

// PrivateRanges are the private APIs of a controller listener.
func PrivateRanges() []Range { return []Range{{Key: RaftKey}} }

// privateRequest makes the request of a private key, nil for others.
func privateRequest(key int16) kmsg.Request {
	if key == RaftKey {
		return &RaftRequest{}
	}
	return nil
}

// RaftRequest carries messages of the consensus from one controller to another, in their order.
type RaftRequest struct {
	ClusterID   string
	From        int32
	DirectoryID [16]byte
	Host        string // where the sender's controller listener is reached
	Port        uint16
	// Join asks the leader to let the sender follow the log without a vote.
	Join     bool
	Messages [][]byte
}

func (*RaftRequest) Key() int16                                          { return RaftKey }
func (*RaftRequest) MaxVersion() int16                                   { return 0 }
func (*RaftRequest) SetVersion(int16)                                    {}
func (*RaftRequest) GetVersion() int16                                   { return 0 }
func (*RaftRequest) IsFlexible() bool                                    { return true }
func (r *RaftRequest) ResponseKind() kmsg.Response                       { return &RaftResponse{} }
func (r *RaftRequest) RequestWith(kmsg.Requestor) (kmsg.Response, error) { return nil, ErrUnknownAPI }

// AppendTo writes the body.
func (r *RaftRequest) AppendTo(dst []byte) []byte {
	dst = appendCompactBytes(dst, []byte(r.ClusterID))
	dst = appendInt32(dst, r.From)
	dst = append(dst, r.DirectoryID[:]...)
	dst = appendCompactBytes(dst, []byte(r.Host))
	dst = append(dst, byte(r.Port>>8), byte(r.Port))
	join := byte(0)
	if r.Join {
		join = 1
	}
	dst = appendUvarint(append(dst, join), uint32(len(r.Messages))+1)
	for _, m := range r.Messages {
		dst = appendCompactBytes(dst, m)
	}
	return append(dst, 0)
}

// ReadFrom reads a body that was checked before.
func (r *RaftRequest) ReadFrom(src []byte) error {
	b := reader{rest: src}
	r.ClusterID = string(b.compactBytes())
	r.From = b.int32()
	copy(r.DirectoryID[:], b.take(len(r.DirectoryID)))
	r.Host = string(b.compactBytes())
	if port := b.take(2); port != nil {
		r.Port = uint16(port[0])<<8 | uint16(port[1])
	}
	r.Join = slices.Equal(b.take(1), []byte{1})
	r.Messages = nil
	for n := b.count(); n > 0 && !b.short; n-- {
		r.Messages = append(r.Messages, b.compactBytes())
	}
	if b.short {
		return ErrTruncated
	}
	return nil
}

// RaftResponse says that messages were taken, or why not.
type RaftResponse struct {
	ErrorCode int16
	LeaderID  int32 // who leads as far as the answering node knows, -1 = unknown
}

func (*RaftResponse) Key() int16                { return RaftKey }
func (*RaftResponse) MaxVersion() int16         { return 0 }
func (*RaftResponse) SetVersion(int16)          {}
func (*RaftResponse) GetVersion() int16         { return 0 }
func (*RaftResponse) IsFlexible() bool          { return true }
func (*RaftResponse) RequestKind() kmsg.Request { return &RaftRequest{} }

// AppendTo writes the body.
func (r *RaftResponse) AppendTo(dst []byte) []byte {
	dst = append(dst, byte(uint16(r.ErrorCode)>>8), byte(r.ErrorCode))
	return append(appendInt32(dst, r.LeaderID), 0)
}

// ReadFrom reads a body.
func (r *RaftResponse) ReadFrom(src []byte) error {
	if len(src) < 7 {
		return ErrTruncated
	}
	r.ErrorCode = int16(src[0])<<8 | int16(src[1])
	b := reader{rest: src[2:]}
	r.LeaderID = b.int32()
	return nil
}

func appendInt32(dst []byte, v int32) []byte {
	return append(dst, byte(uint32(v)>>24), byte(uint32(v)>>16), byte(uint32(v)>>8), byte(v))
}

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst, v = append(dst, byte(v)|0x80), v>>7
	}
	return append(dst, byte(v))
}

func appendCompactBytes(dst, b []byte) []byte {
	return append(appendUvarint(dst, uint32(len(b))+1), b...)
}

// reader takes a private body apart. It never reads past its end.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) int32() int32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return int32(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
}

// count is a length, which stands as one more.
func (r *reader) count() int {
	var v, shift uint32
	for range 5 {
		b := r.take(1)
		if b == nil {
			return 0
		}
		v |= uint32(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return int(v) - 1
		}
		shift += 7
	}
	r.short = true
	return 0
}

func (r *reader) compactBytes() []byte { return r.take(r.count()) }
