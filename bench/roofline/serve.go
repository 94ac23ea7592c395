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
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mode is a loop.
type Mode string

const (
	// Append reads a request, checks its CRC, and writes it to one of Files files with one write.
	Append Mode = "append"
	// Gather does so with all requests that have arrived at once: one write, one answer.
	Gather Mode = "gather"
	// Echo reads a request and answers.
	Echo Mode = "echo"
	// Send answers with bytes of a file in the page cache by sendfile, in pieces of 60 KiB.
	Send Mode = "send"
	// Replicate is one of three processes, see replicate.go.
	Replicate Mode = "replicate"
)

// Options say what a loop does.
type Options struct {
	Mode  Mode
	Dir   string
	Files int // Append: how many, in turn
	Bytes int // Send: of each answer
}

const (
	answerBytes = 60
	// pieceBytes is 15 pages: the fastest piece for sendfile on loopback.
	pieceBytes = 60 << 10
	// cacheBytes is the file that is sent: far above the CPU's caches, far below memory.
	cacheBytes = 512 << 20
	// headerBytes is about what stands before the checked part of a batch in a request.
	headerBytes = 110
	// rotateBytes bounds a file.
	rotateBytes = 1 << 30
)

// Serve listens, prints its address, and serves until its input ends.
func Serve(o Options) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	s := &server{o: o, table: crc32.MakeTable(crc32.Castagnoli)}
	defer s.cleanUp()
	if err := s.open(); err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go s.accept(l)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type server struct {
	o     Options
	table *crc32.Table
	files []*logFile
	cache *os.File
}

// logFile is a file that is appended to.
type logFile struct {
	mu  sync.Mutex
	f   *os.File
	end int64
}

func (l *logFile) append(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end >= rotateBytes {
		l.f.Truncate(0)
		l.end = 0
	}
	binary.BigEndian.PutUint64(b, uint64(l.end))
	l.f.WriteAt(b, l.end)
	l.end += int64(len(b))
}

func (s *server) open() error {
	if s.o.Mode == Send {
		f, err := os.Create(filepath.Join(s.o.Dir, "cache"))
		if err != nil {
			return fmt.Errorf("cannot make the file to send: %w", err)
		}
		s.cache = f
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i * 31)
		}
		for range cacheBytes >> 20 {
			if _, err := f.Write(block); err != nil {
				return fmt.Errorf("cannot fill the file to send: %w", err)
			}
		}
		return f.Sync()
	}
	for i := range s.o.Files {
		f, err := os.Create(filepath.Join(s.o.Dir, fmt.Sprintf("log-%d", i)))
		if err != nil {
			return fmt.Errorf("cannot make a log: %w", err)
		}
		s.files = append(s.files, &logFile{f: f})
	}
	return nil
}

func (s *server) cleanUp() {
	for _, l := range s.files {
		os.Remove(l.f.Name())
	}
	if s.cache != nil {
		os.Remove(s.cache.Name())
	}
}

func (s *server) accept(l net.Listener) {
	for n := 0; ; n++ {
		c, err := l.Accept()
		if err != nil {
			return
		}
		switch s.o.Mode {
		case Append:
			go s.appendLoop(c, n)
		case Gather:
			go s.gatherLoop(c, s.files[n%len(s.files)])
		case Echo:
			go s.echoLoop(c)
		case Send:
			go s.sendLoop(c)
		case Replicate:
			go s.replicateLoop(c, n)
		}
	}
}

// answer fills in an answer to the request in b.
func answer(resp, b []byte) {
	binary.BigEndian.PutUint32(resp, answerBytes-4)
	copy(resp[4:8], b[4:8]) // the correlation id
}

// appendLoop reads as much as there is, up to a request, and writes each request by itself. A
// connection's requests go to the files in turn, each connection beginning with another.
func (s *server) appendLoop(c net.Conn, n int) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	w := bufio.NewWriterSize(c, 16<<10)
	var b []byte
	resp := make([]byte, answerBytes)
	var head [4]byte
	for i := n; ; i++ {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head[:]))
		if len(b) < size {
			b = make([]byte, size)
		}
		if _, err := io.ReadFull(r, b[:size]); err != nil {
			return
		}
		rec := b[min(size, headerBytes-61):size]
		copy(resp[4:8], b[4:8])
		binary.BigEndian.PutUint32(resp, answerBytes-4)
		binary.BigEndian.PutUint32(resp[8:], crc32.Checksum(rec[min(len(rec), 61):], s.table))
		s.files[i%len(s.files)].append(rec)
		w.Write(resp)
		if r.Buffered() < 4 && w.Flush() != nil {
			return
		}
	}
}

func (s *server) gatherLoop(c net.Conn, to *logFile) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 256<<10)
	one := make([]byte, answerBytes)
	out := make([]byte, 0, 64<<10)
	pend := make([]byte, 0, 512<<10)
	for {
		h, err := r.Peek(4)
		if err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(h))
		r.Discard(4)
		k := len(pend)
		pend = pend[:k+size]
		if _, err := io.ReadFull(r, pend[k:]); err != nil {
			return
		}
		answer(one, pend[k:])
		binary.BigEndian.PutUint32(one[8:], crc32.Checksum(pend[k+min(size, headerBytes):], s.table))
		out = append(out, one...)
		if r.Buffered() < 4+size || len(pend)+size > cap(pend) || len(out)+answerBytes > cap(out) {
			to.append(pend)
			if _, err := c.Write(out); err != nil {
				return
			}
			pend, out = pend[:0], out[:0]
		}
	}
}

func (s *server) echoLoop(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	w := bufio.NewWriterSize(c, 16<<10)
	b := make([]byte, 64<<10)
	resp := make([]byte, answerBytes)
	for {
		if _, err := io.ReadFull(r, b[:4]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(b))
		if _, err := io.ReadFull(r, b[:size]); err != nil {
			return
		}
		answer(resp, b)
		w.Write(resp)
		if r.Buffered() < 4 && w.Flush() != nil {
			return
		}
	}
}

// sendLoop uses the socket itself, so that a call of sendfile is one piece.
func (s *server) sendLoop(c net.Conn) {
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, 4096)
	head := make([]byte, answerBytes)
	binary.BigEndian.PutUint32(head, uint32(answerBytes-4+s.o.Bytes))
	pos := int64(0)
	for {
		if _, err := io.ReadFull(c, b[:4]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(b))
		if _, err := io.ReadFull(c, b[:size]); err != nil {
			return
		}
		copy(head[4:8], b[4:8])
		if pos+int64(s.o.Bytes) > cacheBytes {
			pos = 0
		}
		if sendRange(raw, head, s.cache, pos, s.o.Bytes) != nil {
			return
		}
		pos += int64(s.o.Bytes)
	}
}

// sendRange sends head and a range of a file.
func sendRange(raw syscall.RawConn, head []byte, f *os.File, pos int64, n int) error {
	var failed error
	err := raw.Write(func(fd uintptr) bool {
		for len(head) > 0 || n > 0 {
			var sent int
			if len(head) > 0 {
				if sent, failed = unix.SendmsgN(int(fd), head, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL); failed == nil {
					head = head[sent:]
				}
			} else if sent, failed = unix.Sendfile(int(fd), int(f.Fd()), &pos, min(n, pieceBytes)); failed == nil {
				n -= sent
			}
			if failed != nil {
				return failed != unix.EAGAIN
			}
		}
		return true
	})
	return errors.Join(err, failed)
}
