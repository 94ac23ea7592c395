package server

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFetch sends 1 MiB of a cached file in each answer, by sendfile and by copy. The client has
// the kernel throw the bytes away, so that the server is what is measured.
func BenchmarkFetch(b *testing.B) {
	f, _ := fileOf(b, 16<<20)
	for _, size := range []int64{8 << 10, 64 << 10, 1 << 20} {
		for _, noFd := range []bool{false, true} {
			b.Run(fmt.Sprintf("bytes=%d/copy=%v", size, noFd), func(b *testing.B) {
				f := testFile{File: f.File, noFd: noFd}
				head := make([]byte, 60)
				s := start(b, func(r *Request) {
					r.ReplyParts([]Part{{Bytes: head}, {File: f, Pos: 61 + 1<<20, Len: size}}, nil)
				}, nil)
				b.SetBytes(size)
				b.ResetTimer()
				fetchAll(b, dialAll(b, s, 4), size+4+5+60)
			})
		}
	}
}

func fetchAll(b *testing.B, conns []net.Conn, answerBytes int64) {
	const depth = 2
	var wg sync.WaitGroup
	for _, nc := range conns {
		wg.Go(func() {
			raw, err := nc.(*net.TCPConn).SyscallConn()
			if err != nil {
				b.Error(err)
				return
			}
			nowhere := make([]byte, 1<<20)
			n := b.N/len(conns) + depth
			for i := range n {
				if _, err := nc.Write(heartbeat(1)); err != nil {
					b.Error(err)
					return
				}
				if i >= depth-1 {
					if err := throwAway(raw, answerBytes, nowhere); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func throwAway(raw interface {
	Read(func(uintptr) bool) error
}, left int64, nowhere []byte) error {
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		for left > 0 {
			n, _, err := unix.Recvfrom(int(fd), nowhere[:min(left, int64(len(nowhere)))], unix.MSG_TRUNC)
			if err == unix.EAGAIN {
				return false
			}
			if err != nil || n == 0 {
				failed = io.ErrUnexpectedEOF
				return true
			}
			left -= int64(n)
		}
		return true
	})
	if err != nil {
		return err
	}
	return failed
}
