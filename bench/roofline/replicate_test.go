package roofline

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The roofline of a cluster really has every byte in three files when it answers.
func TestAnAnsweredRequestIsInThreeFiles(t *testing.T) {
	var addrs, dirs []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dir := t.TempDir()
		s := &server{o: Options{Mode: Replicate, Dir: dir}, table: crc32.MakeTable(crc32.Castagnoli)}
		go s.accept(l)
		addrs, dirs = append(addrs, l.Addr().String()), append(dirs, dir)
	}
	for i, dir := range dirs {
		others := append(append([]string{}, addrs[:i]...), addrs[i+1:]...)
		if err := TellPeers(dir, others); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	const requests, size = 20, 100_000
	go func() {
		for i := range requests {
			b := bytes.Repeat([]byte{byte(i + 1)}, 4+size)
			binary.BigEndian.PutUint32(b, size)
			binary.BigEndian.PutUint32(b[8:], uint32(i))
			c.Write(b)
		}
	}()
	answer := make([]byte, answerBytes)
	for i := range requests {
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		if id := binary.BigEndian.Uint32(answer[4:]); id != uint32(i) {
			t.Fatalf("answer %d is to request %d", i, id)
		}
	}
	want, err := os.ReadFile(filepath.Join(dirs[0], "copy-0"))
	if err != nil || len(want) != requests*(size-headerBytes+61) {
		t.Fatal(len(want), err)
	}
	for _, dir := range dirs[1:] {
		got, err := os.ReadFile(filepath.Join(dir, "copy-0"))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("a follower has %d bytes of %d: %v", len(got), len(want), err)
		}
	}
}
