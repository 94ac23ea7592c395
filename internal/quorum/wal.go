package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path"

	"github.com/moldau-stream/moldau/internal/vfs"
	"go.etcd.io/raft/v3/raftpb"
)

// The WAL is a run of frames, one for each sync:
//
//	magic "MQW1" | length uint32 of the body | CRC-32C uint32 of sequence and body | sequence uint64 | body
//
// and a body is a run of items:
//
//	'B' base:  index, term uint64 of the last entry that is not in the file, end int64 of the metadata log after it, count uint32, voters uint64 each
//	'L' learners, after a base that has some: count uint32, uint64 each
//	'H' state: term, vote, commit uint64
//	'E' entry: term, index uint64, type uint8, length uint32, data
//
// The first frame begins with a base. A frame is written only after the one before it was synced; so at most the last
// frame can be torn, and what was torn was never acknowledged. A bad frame with a good one behind it is damage. After a sync that
// failed nothing is written; the next start writes the last frame again before it goes by it.
const (
	// WALName is the WAL's file in the metadata directory.
	WALName         = "raft.wal"
	walMagic        = 0x4d515731
	frameHeaderSize = 20
	// maxFrameBytes bounds what a damaged length can make us allocate. A frame holds what was proposed between two syncs.
	maxFrameBytes = 256 << 20
)

// hardState is Raft's promise to its peers.
type hardState struct{ term, vote, commit uint64 }

// base is where the WAL begins.
type base struct {
	index, term uint64
	endOffset   int64 // of the metadata log after entry index
	voters      []uint64
	learners    []uint64 // members that follow without a vote
}

// walState is what a WAL holds.
type walState struct {
	base    base
	hard    hardState
	entries []*raftpb.Entry
}

// wal is an open WAL; the loop owns it.
type wal struct {
	fs   vfs.FS
	name string
	file vfs.File
	size int64
	seq  uint64
	// broken is set once a write or sync failed: what is in the file is then not known any more, and nothing is added.
	broken error
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// readWAL opens the WAL of a directory. No file is no error: the second result is then false.
func readWAL(fsys vfs.FS, dir string) (*wal, walState, bool, error) {
	name := path.Join(dir, WALName)
	data, size, err := readWALFile(fsys, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, walState{}, false, nil
	}
	if err != nil {
		return nil, walState{}, false, fmt.Errorf("cannot read the Raft log: %w", err)
	}
	st, good, seq, err := parseWAL(data)
	if err != nil {
		return nil, walState{}, false, fmt.Errorf("cannot read the Raft log %s: %w: put the file back from a backup; a node that is the only controller can also start without it, from the metadata log beside it, when the file is moved away (the last changes of topics and configs may then be missing)", name, err)
	}
	w := &wal{fs: fsys, name: name, size: good, seq: seq}
	if w.file, err = fsys.OpenFile(name, os.O_RDWR, 0o644); err != nil {
		return nil, walState{}, false, fmt.Errorf("cannot open the Raft log: %w", err)
	}
	if err := w.settle(data[:good], size); err != nil {
		return nil, walState{}, false, errors.Join(err, w.file.Close())
	}
	return w, st, true, nil
}

// settle makes sure that all of a WAL that was found is on the disk before this node speaks of it. The sync of the last frame
// may have failed when the last run ended: then the kernel may show what the disk does not have, and call it written, so that
// another sync would prove nothing. So the frame is written again, in its place. Those before it were synced before it came. A
// torn end is cut, so that no later frame can make it look whole.
func (w *wal) settle(data []byte, size int64) error {
	if w.size < size {
		if err := w.file.Truncate(w.size); err != nil {
			return fmt.Errorf("cannot cut the torn end of the Raft log %s: %w", w.name, err)
		}
	}
	last := lastFrame(data)
	_, err := w.file.WriteAt(data[last:], int64(last))
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot write the end of the Raft log %s again: %w", w.name, err)
	}
	return nil
}

// lastFrame is where the last of a run of good frames begins.
func lastFrame(data []byte) (last int) {
	for pos := 0; pos < len(data); {
		last = pos
		pos += frameHeaderSize + int(binary.BigEndian.Uint32(data[pos+4:]))
	}
	return last
}

// parseWAL reads frames up to the first that is not whole; good is where that begins.
func parseWAL(data []byte) (st walState, good int64, seq uint64, err error) {
	pos := 0
	for pos < len(data) {
		body, n, ok := frameAt(data[pos:], seq+1)
		if !ok {
			break
		}
		if err := st.take(body); err != nil {
			return st, 0, 0, fmt.Errorf("frame %d at position %d: %w", seq+1, pos, err)
		}
		pos += n
		seq++
	}
	if seq == 0 {
		return st, 0, 0, errors.New("its first frame is damaged")
	}
	for i := pos + 1; i+frameHeaderSize <= len(data); i++ {
		if binary.BigEndian.Uint32(data[i:]) != walMagic {
			continue
		}
		if later := binary.BigEndian.Uint64(data[i+12:]); later > seq {
			if _, _, ok := frameAt(data[i:], later); ok {
				return st, 0, 0, fmt.Errorf("the frame at position %d is damaged, and a whole one follows at %d", pos, i)
			}
		}
	}
	return st, int64(pos), seq, nil
}

func frameAt(b []byte, seq uint64) (body []byte, n int, ok bool) {
	if len(b) < frameHeaderSize || binary.BigEndian.Uint32(b) != walMagic || binary.BigEndian.Uint64(b[12:]) != seq {
		return nil, 0, false
	}
	size := binary.BigEndian.Uint32(b[4:])
	if size > maxFrameBytes || int(size) > len(b)-frameHeaderSize {
		return nil, 0, false
	}
	n = frameHeaderSize + int(size)
	if crc32.Checksum(b[12:n], castagnoli()) != binary.BigEndian.Uint32(b[8:]) {
		return nil, 0, false
	}
	return b[frameHeaderSize:n], n, true
}

// take applies the items of one frame.
func (st *walState) take(b []byte) error {
	short := errors.New("an item is cut short")
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case 'B':
			if len(b) < 28 {
				return short
			}
			st.base = base{index: be64(b), term: be64(b[8:]), endOffset: int64(be64(b[16:]))}
			n := int(binary.BigEndian.Uint32(b[24:]))
			b = b[28:]
			if n > len(b)/8 {
				return short
			}
			for range n {
				st.base.voters = append(st.base.voters, be64(b))
				b = b[8:]
			}
		case 'L':
			if len(b) < 4 || int(binary.BigEndian.Uint32(b)) > (len(b)-4)/8 {
				return short
			}
			n := int(binary.BigEndian.Uint32(b))
			b = b[4:]
			for range n {
				st.base.learners = append(st.base.learners, be64(b))
				b = b[8:]
			}
		case 'H':
			if len(b) < 24 {
				return short
			}
			st.hard = hardState{be64(b), be64(b[8:]), be64(b[16:])}
			b = b[24:]
		case 'E':
			if len(b) < 21 {
				return short
			}
			size := int(binary.BigEndian.Uint32(b[17:]))
			if size > len(b)-21 {
				return short
			}
			e := &raftpb.Entry{Term: new(be64(b)), Index: new(be64(b[8:])), Type: raftpb.EntryType(b[16]).Enum()}
			if size > 0 {
				e.Data = append([]byte(nil), b[21:21+size]...)
			}
			if err := st.addEntry(e); err != nil {
				return err
			}
			b = b[21+size:]
		default:
			return fmt.Errorf("an item of unknown kind %q", kind)
		}
	}
	return nil
}

// addEntry adds an entry; one with an index that is there already replaces it and all behind it, as Raft wants.
func (st *walState) addEntry(e *raftpb.Entry) error {
	if e.GetIndex() <= st.base.index {
		return fmt.Errorf("entry %d lies before the file's beginning %d", e.GetIndex(), st.base.index)
	}
	at := e.GetIndex() - st.base.index - 1
	if at > uint64(len(st.entries)) {
		return fmt.Errorf("entry %d comes after %d entries from %d on", e.GetIndex(), len(st.entries), st.base.index)
	}
	st.entries = append(st.entries[:at], e)
	return nil
}

func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func appendBase(dst []byte, b base) []byte {
	dst = append(dst, 'B')
	dst = binary.BigEndian.AppendUint64(dst, b.index)
	dst = binary.BigEndian.AppendUint64(dst, b.term)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.endOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.voters)))
	for _, v := range b.voters {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	if len(b.learners) == 0 {
		return dst
	}
	dst = append(dst, 'L')
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.learners)))
	for _, v := range b.learners {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

func appendHard(dst []byte, h hardState) []byte {
	dst = append(dst, 'H')
	dst = binary.BigEndian.AppendUint64(dst, h.term)
	dst = binary.BigEndian.AppendUint64(dst, h.vote)
	return binary.BigEndian.AppendUint64(dst, h.commit)
}

func appendEntry(dst []byte, e *raftpb.Entry) []byte {
	dst = append(dst, 'E')
	dst = binary.BigEndian.AppendUint64(dst, e.GetTerm())
	dst = binary.BigEndian.AppendUint64(dst, e.GetIndex())
	dst = append(dst, byte(e.GetType()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(e.GetData())))
	return append(dst, e.GetData()...)
}

func frame(seq uint64, body []byte) []byte {
	out := make([]byte, frameHeaderSize, frameHeaderSize+len(body))
	binary.BigEndian.PutUint32(out, walMagic)
	binary.BigEndian.PutUint32(out[4:], uint32(len(body)))
	binary.BigEndian.PutUint64(out[12:], seq)
	out = append(out, body...)
	binary.BigEndian.PutUint32(out[8:], crc32.Checksum(out[12:], castagnoli()))
	return out
}

// writeWAL puts a new WAL in place of what was there, in one step, and opens it. When it fails, touched says whether
// what lies under the name may have changed: before the rename it has not.
func writeWAL(fsys vfs.FS, dir string, st walState) (w *wal, touched bool, err error) {
	body := appendHard(appendBase(nil, st.base), st.hard)
	for _, e := range st.entries {
		body = appendEntry(body, e)
	}
	name := path.Join(dir, WALName)
	data := frame(1, body)
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write the Raft log %s: %w", name, err)
		}
	}()
	if err := writeSynced(fsys, name+tmpSuffix, data); err != nil {
		return nil, false, err
	}
	if err := fsys.Rename(name+tmpSuffix, name); err != nil {
		return nil, true, err
	}
	if err := fsys.SyncDir(dir); err != nil {
		return nil, true, err
	}
	f, err := fsys.OpenFile(name, os.O_RDWR, 0o644)
	if err != nil {
		return nil, true, err
	}
	return &wal{fs: fsys, name: name, file: f, size: int64(len(data)), seq: 1}, true, nil
}

// tmpSuffix marks a file that is not finished; the next one of its name overwrites it.
const tmpSuffix = ".tmp"

// writeSynced writes a whole file and syncs it.
func writeSynced(fsys vfs.FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// append makes a state and entries durable.
func (w *wal) append(h hardState, entries []*raftpb.Entry) error {
	if w.broken != nil {
		return w.broken
	}
	body := appendHard(nil, h)
	for _, e := range entries {
		body = appendEntry(body, e)
	}
	data := frame(w.seq+1, body)
	_, err := w.file.WriteAt(data, w.size)
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		w.broken = fmt.Errorf("cannot write the Raft log %s: %w", w.name, err)
		return w.broken
	}
	w.seq++
	w.size += int64(len(data))
	return nil
}

func (w *wal) close() error { return w.file.Close() }
