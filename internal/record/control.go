package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType says what a control record is; it lies in the record's key after a version.
type ControlType int16

// The control records there are.
const (
	ControlAbort          ControlType = 0
	ControlCommit         ControlType = 1
	ControlLeaderChange   ControlType = 2
	ControlSnapshotHeader ControlType = 3
	ControlSnapshotFooter ControlType = 4
	ControlKRaftVersion   ControlType = 5
	ControlVoters         ControlType = 6
)

func (t ControlType) String() string {
	names := [...]string{"ABORT", "COMMIT", "LEADER_CHANGE", "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION", "KRAFT_VOTERS"}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("UNKNOWN(%d)", int16(t))
	}
	return names[t]
}

// Control is a control record's value.
type Control interface {
	ControlType() ControlType
	appendValue(dst []byte) []byte
}

// EndTxnMarker ends a producer's transaction in a partition.
type EndTxnMarker struct {
	Commit           bool
	CoordinatorEpoch int32
}

// LeaderChange begins a leader's epoch in the metadata log. Version 1 carries directory ids.
type LeaderChange struct {
	Version        int16
	LeaderID       int32
	Voters         []ReplicaKey
	GrantingVoters []ReplicaKey
}

// ReplicaKey names one incarnation of a voter.
type ReplicaKey struct {
	ID          int32
	DirectoryID [16]byte
}

// SnapshotHeader begins a metadata snapshot.
type SnapshotHeader struct {
	Version                  int16
	LastContainedTimestampMs int64
}

// SnapshotFooter ends a metadata snapshot.
type SnapshotFooter struct{ Version int16 }

// KRaftVersion is the finalized kraft.version.
type KRaftVersion struct {
	Version      int16
	KRaftVersion int16
}

// Voters is the set of voters of the metadata quorum.
type Voters struct {
	Version int16
	Voters  []Voter
}

// Voter is one voter with its addresses and the kraft.versions that it supports.
type Voter struct {
	ReplicaKey
	Endpoints                        []VoterEndpoint
	MinKRaftVersion, MaxKRaftVersion int16
}

// VoterEndpoint is one listener of a voter.
type VoterEndpoint struct {
	Name, Host string
	Port       uint16
}

// ControlType is COMMIT or ABORT.
func (m EndTxnMarker) ControlType() ControlType {
	if m.Commit {
		return ControlCommit
	}
	return ControlAbort
}

// ControlType is LEADER_CHANGE.
func (LeaderChange) ControlType() ControlType { return ControlLeaderChange }

// ControlType is SNAPSHOT_HEADER.
func (SnapshotHeader) ControlType() ControlType { return ControlSnapshotHeader }

// ControlType is SNAPSHOT_FOOTER.
func (SnapshotFooter) ControlType() ControlType { return ControlSnapshotFooter }

// ControlType is KRAFT_VERSION.
func (KRaftVersion) ControlType() ControlType { return ControlKRaftVersion }

// ControlType is KRAFT_VOTERS.
func (Voters) ControlType() ControlType { return ControlVoters }

func (m EndTxnMarker) appendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0) // version
	return binary.BigEndian.AppendUint32(dst, uint32(m.CoordinatorEpoch))
}

func (m LeaderChange) appendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.LeaderID))
	for _, voters := range [][]ReplicaKey{m.Voters, m.GrantingVoters} {
		dst = binary.AppendUvarint(dst, uint64(len(voters)+1))
		for _, v := range voters {
			dst = binary.BigEndian.AppendUint32(dst, uint32(v.ID))
			if m.Version >= 1 {
				dst = append(dst, v.DirectoryID[:]...)
			}
			dst = append(dst, 0)
		}
	}
	return append(dst, 0)
}

func (m SnapshotHeader) appendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Version))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.LastContainedTimestampMs))
	return append(dst, 0)
}

func (m SnapshotFooter) appendValue(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(m.Version)), 0)
}

func (m KRaftVersion) appendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Version))
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.KRaftVersion))
	return append(dst, 0)
}

func (m Voters) appendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.Version))
	dst = binary.AppendUvarint(dst, uint64(len(m.Voters)+1))
	for _, v := range m.Voters {
		dst = binary.BigEndian.AppendUint32(dst, uint32(v.ID))
		dst = append(dst, v.DirectoryID[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(v.Endpoints)+1))
		for _, e := range v.Endpoints {
			dst = appendCompactString(dst, e.Name)
			dst = appendCompactString(dst, e.Host)
			dst = binary.BigEndian.AppendUint16(dst, e.Port)
			dst = append(dst, 0)
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(v.MinKRaftVersion))
		dst = binary.BigEndian.AppendUint16(dst, uint16(v.MaxKRaftVersion))
		dst = append(dst, 0) // the feature's tags
		dst = append(dst, 0) // the voter's tags
	}
	return append(dst, 0)
}

func appendCompactString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)+1))
	return append(dst, s...)
}

// AppendControl adds a control record; the builder's options must say Control.
func (b *Builder) AppendControl(timestampMs int64, c Control) {
	key := binary.BigEndian.AppendUint16(nil, 0) // version
	key = binary.BigEndian.AppendUint16(key, uint16(c.ControlType()))
	b.Append(timestampMs, key, c.appendValue(nil), nil)
}

// ControlBatch is a batch of control records; opts.Control is implied.
func ControlBatch(opts BuilderOptions, timestampMs int64, controls ...Control) Batch {
	opts.Control = true
	b := NewBuilder(opts)
	for _, c := range controls {
		b.AppendControl(timestampMs, c)
	}
	return b.Build()
}

// EndTxnBatch is the marker batch that ends a transaction of a producer.
func EndTxnBatch(producerID int64, producerEpoch int16, timestampMs int64, m EndTxnMarker) Batch {
	return ControlBatch(BuilderOptions{HasProducer: true, ProducerID: producerID, ProducerEpoch: producerEpoch,
		BaseSequence: NoSequence, Transactional: true, PartitionLeaderEpoch: NoLeaderEpoch}, timestampMs, m)
}

// ParseControlType reads a control record's key.
func ParseControlType(key []byte) (ControlType, error) {
	if len(key) < 4 {
		return 0, fmt.Errorf("%w: a control record's key has %d bytes", ErrCorrupt, len(key))
	}
	if v := int16(binary.BigEndian.Uint16(key)); v < 0 {
		return 0, fmt.Errorf("%w: a control record's key has version %d", ErrCorrupt, v)
	}
	return ControlType(int16(binary.BigEndian.Uint16(key[2:]))), nil
}

// ParseControl reads a control record. A type that is not known is an error of ErrCorrupt:
// who wants to skip those looks at ParseControlType first.
func ParseControl(key, value []byte) (Control, error) {
	t, err := ParseControlType(key)
	if err != nil {
		return nil, err
	}
	r := reader{rest: value}
	version := r.i16()
	var c Control
	switch t {
	case ControlAbort, ControlCommit:
		c = EndTxnMarker{Commit: t == ControlCommit, CoordinatorEpoch: r.i32()}
	case ControlLeaderChange:
		c = LeaderChange{Version: version, LeaderID: r.i32(), Voters: r.replicaKeys(version), GrantingVoters: r.replicaKeys(version)}
		r.tags()
	case ControlSnapshotHeader:
		c = SnapshotHeader{Version: version, LastContainedTimestampMs: r.i64()}
		r.tags()
	case ControlSnapshotFooter:
		c = SnapshotFooter{Version: version}
		r.tags()
	case ControlKRaftVersion:
		c = KRaftVersion{Version: version, KRaftVersion: r.i16()}
		r.tags()
	case ControlVoters:
		c = Voters{Version: version, Voters: r.voters()}
		r.tags()
	default:
		return nil, fmt.Errorf("%w: control record of unknown type %d", ErrCorrupt, int16(t))
	}
	if r.bad {
		return nil, fmt.Errorf("%w: a %v control record of %d bytes", ErrCorrupt, t, len(value))
	}
	return c, nil
}

// reader reads fields until one does not fit, and remembers that.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) i16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) i32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) i64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// length reads a compact length: one more than the number, 0 is null and read as 0.
// Each element takes a byte at the least, which bounds it.
func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.rest))+1 {
		r.bad = true
	}
	if r.bad || n == 0 {
		return 0
	}
	return int(n - 1)
}

func (r *reader) string() string { return string(r.take(uint64(r.length()))) }

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

func (r *reader) tags() {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.uvarint()
		r.take(r.uvarint())
	}
}

func (r *reader) replicaKeys(version int16) []ReplicaKey {
	var keys []ReplicaKey
	for n := r.length(); n > 0 && !r.bad; n-- {
		k := ReplicaKey{ID: r.i32()}
		if version >= 1 {
			k.DirectoryID = r.uuid()
		}
		r.tags()
		keys = append(keys, k)
	}
	return keys
}

func (r *reader) voters() []Voter {
	var voters []Voter
	for n := r.length(); n > 0 && !r.bad; n-- {
		v := Voter{ReplicaKey: ReplicaKey{ID: r.i32(), DirectoryID: r.uuid()}}
		for m := r.length(); m > 0 && !r.bad; m-- {
			v.Endpoints = append(v.Endpoints, VoterEndpoint{Name: r.string(), Host: r.string(), Port: uint16(r.i16())})
			r.tags()
		}
		v.MinKRaftVersion, v.MaxKRaftVersion = r.i16(), r.i16()
		r.tags()
		r.tags()
		voters = append(voters, v)
	}
	return voters
}
