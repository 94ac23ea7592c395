package roofline

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Three processes in mode Replicate do what a produce with acks=all cannot do without, with three replicas. The one to which a client is
// connected reads a request, checks its CRC and writes it to a file. From there it goes by sendfile to each of the others, as much
// as has come since the last time, and they read it, check its CRC, write it, and tell how far they are. When both have it,
// the client is answered.

const (
	// peersFile names the file, in each process' directory, that says where the others listen.
	peersFile = "peers"
	// peersTimeout bounds the wait for it.
	peersTimeout = 10 * time.Second
	// copyHello stands where a client has the length of its first request.
	copyHello = 0xffffffff
	// copyHead is a position and a length.
	copyHead = 8 + 4
	// copyAck is up to where a follower has everything, and the CRC of what it got last.
	copyAck = 8 + 4
	// copyBytes bounds what is sent at once.
	copyBytes = 1 << 20
	// wakeBytes is what a reader of a long piece waits for.
	wakeBytes = 256 << 10
)

// TellPeers says to the process with this directory where the others listen.
func TellPeers(dir string, addrs []string) error {
	tmp := filepath.Join(dir, peersFile+".tmp")
	if err := os.WriteFile(tmp, []byte(strings.Join(addrs, "\n")), 0o644); err != nil {
		return fmt.Errorf("cannot tell the peers: %w", err)
	}
	return os.Rename(tmp, filepath.Join(dir, peersFile))
}

func awaitPeers(dir string) ([]string, error) {
	for end := time.Now().Add(peersTimeout); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(filepath.Join(dir, peersFile))
		if err == nil {
			return strings.Fields(string(b)), nil
		}
		if time.Now().After(end) {
			return nil, err
		}
	}
}

// replicateLoop serves a client or a leader.
func (s *server) replicateLoop(c net.Conn, n int) {
	defer c.Close()
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return
	}
	f, err := os.Create(filepath.Join(s.o.Dir, fmt.Sprintf("copy-%d", n)))
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if binary.BigEndian.Uint32(head[:]) == copyHello {
		err = s.follow(c.(*net.TCPConn), f)
	} else {
		err = s.lead(c, f, int(binary.BigEndian.Uint32(head[:])))
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) {
		fmt.Fprintln(os.Stderr, "replicate:", err)
	}
}

// led is the log that one client writes.
type led struct {
	client net.Conn
	file   *os.File

	mu    sync.Mutex
	grown *sync.Cond
	end   int64
	held  []int64 // by follower
	due   []ended // requests that are not answered
	over  bool
}

// ended is a request, by its correlation id, and where it ends in the log.
type ended struct {
	id  [4]byte
	end int64
}

// lead reads a client's requests, of which the first has this size.
func (s *server) lead(c net.Conn, f *os.File, size int) error {
	peers, err := awaitPeers(s.o.Dir)
	if err != nil {
		return fmt.Errorf("the others are not known: %w", err)
	}
	l := &led{client: c, file: f, held: make([]int64, len(peers))}
	l.grown = sync.NewCond(&l.mu)
	defer l.finish()
	for i, addr := range peers {
		p, err := net.Dial("tcp", addr)
		if err != nil {
			return fmt.Errorf("cannot reach a follower: %w", err)
		}
		defer p.Close()
		if _, err := p.Write(binary.BigEndian.AppendUint32(nil, copyHello)); err != nil {
			return err
		}
		go l.send(p.(*net.TCPConn))
		go l.acknowledged(p, i)
	}
	r := bufio.NewReaderSize(c, 64<<10)
	var b []byte
	var head [4]byte
	for {
		if len(b) < size {
			b = make([]byte, size)
		}
		if _, err := io.ReadFull(r, b[:size]); err != nil {
			return err
		}
		if err := l.append(b[:size], s.table); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		size = int(binary.BigEndian.Uint32(head[:]))
	}
}

func (l *led) append(b []byte, table *crc32.Table) error {
	rec := b[min(len(b), headerBytes-61):]
	id := [4]byte(b[4:8])
	binary.BigEndian.PutUint32(b[:4], crc32.Checksum(rec[min(len(rec), 61):], table))
	if _, err := l.file.WriteAt(rec, l.end); err != nil {
		return err
	}
	l.mu.Lock()
	l.end += int64(len(rec))
	l.due = append(l.due, ended{id, l.end})
	l.grown.Broadcast()
	l.mu.Unlock()
	return nil
}

// wait returns when the log reaches beyond from, with its end; false when nothing more comes.
func (l *led) wait(from int64) (end int64, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.end == from && !l.over {
		l.grown.Wait()
	}
	return l.end, !l.over
}

func (l *led) finish() {
	l.mu.Lock()
	l.over = true
	l.grown.Broadcast()
	l.mu.Unlock()
}

// send sends the log to a follower.
func (l *led) send(to *net.TCPConn) {
	raw, err := to.SyscallConn()
	if err != nil {
		return
	}
	head := make([]byte, copyHead)
	for pos := int64(0); ; {
		end, more := l.wait(pos)
		if !more {
			return
		}
		n := int(min(end-pos, copyBytes))
		binary.BigEndian.PutUint64(head, uint64(pos))
		binary.BigEndian.PutUint32(head[8:], uint32(n))
		if sendRange(raw, head, l.file, pos, n) != nil {
			return
		}
		pos += int64(n)
	}
}

// acknowledged takes what a follower says it has, and answers the client when both have it.
func (l *led) acknowledged(from net.Conn, i int) {
	var b [copyAck]byte
	out := make([]byte, 0, 4<<10)
	one := make([]byte, answerBytes)
	binary.BigEndian.PutUint32(one, answerBytes-4)
	for {
		if _, err := io.ReadFull(from, b[:]); err != nil {
			return
		}
		out = out[:0]
		l.mu.Lock()
		l.held[i] = int64(binary.BigEndian.Uint64(b[:]))
		committed := l.held[0]
		for _, h := range l.held {
			committed = min(committed, h)
		}
		for len(l.due) > 0 && l.due[0].end <= committed {
			copy(one[4:], l.due[0].id[:])
			out, l.due = append(out, one...), l.due[1:]
		}
		if len(out) > 0 {
			l.client.Write(out) // under the mutex: answers leave in their order
		}
		l.mu.Unlock()
	}
}

// follow copies what a leader sends.
func (s *server) follow(c *net.TCPConn, f *os.File) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, copyHead+copyBytes)
	ack := make([]byte, copyAck)
	low := 1
	want := func(n int) {
		if n != low {
			low = n
			_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
		}
	}
	have := 0
	for {
		for have < copyHead {
			n, err := c.Read(b[have:])
			if err != nil {
				return err
			}
			have += n
		}
		pos, whole := int64(binary.BigEndian.Uint64(b)), copyHead+int(binary.BigEndian.Uint32(b[8:]))
		for have < whole {
			want(min(whole-have, wakeBytes))
			n, err := c.Read(b[have:whole])
			if err != nil {
				return err
			}
			have += n
		}
		want(1)
		rec := b[copyHead:whole]
		binary.BigEndian.PutUint32(ack[8:], crc32.Checksum(rec, s.table))
		if _, err := f.WriteAt(rec, pos); err != nil {
			return err
		}
		binary.BigEndian.PutUint64(ack, uint64(pos)+uint64(len(rec)))
		if _, err := c.Write(ack); err != nil {
			return err
		}
		have = copy(b, b[whole:have])
	}
}
