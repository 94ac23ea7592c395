package chaos

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestACommitThatGoesBackIsSeen(t *testing.T) {
	at := func(group string, partition int32, offset int64) commit {
		return commit{group, mainTopic, partition, offset}
	}
	for name, c := range map[string]struct {
		commits []commit
		want    string
	}{
		"nothing is wrong":             {[]commit{at("g", 0, 1), at("g", 1, 0), at("g", 0, 1), at("g", 0, 5), at("g", 1, 3)}, ""},
		"one goes back":                {[]commit{at("g", 0, 1), at("g", 0, 5), at("g", 0, 4), at("g", 0, 6)}, "committed 4 of chaos-0 after 5"},
		"only one that is not watched": {[]commit{at("g", 0, 5), at("other", 0, 5), at("other", 0, 4)}, ""},
	} {
		if got := text(goesBack(c.commits, "g")); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAGroupThatDoesNotConvergeIsSeen(t *testing.T) {
	owns := func(ps ...int32) map[int32]bool {
		m := map[int32]bool{}
		for _, p := range ps {
			m[p] = true
		}
		return m
	}
	for want, seats := range map[string][seatsEach]map[int32]bool{
		"":                           {owns(0, 1), owns(2, 3), owns(4, 5)},
		"both have partition 3":      {owns(0, 1), owns(2, 3), owns(3, 4, 5)},
		"5 of 6 partitions":          {owns(0, 1), owns(2, 3), owns(4)},
		"on seat 1 has no partition": {owns(0, 1, 2, 3), owns(), owns(4, 5)},
		"nobody sits on seat 2":      {owns(0, 1), owns(2, 3), nil},
	} {
		w := newWatched("g")
		w.seats = seats
		err := w.shared()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestARecordThatNoMemberGotIsSeen(t *testing.T) {
	w := newWatched("g")
	recs := numbered(0, 1, 2)
	w.saw(kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: mainTopic, Partitions: []kgo.FetchPartition{{Partition: 0, Records: recs[0][:2]}}}}}})
	if got := text(w.unconsumed(recs)); !strings.Contains(got, "offset 2 reached no member") {
		t.Errorf("%q", got)
	}
	if got := text(w.unconsumed(numbered(0, 1))); got != "" {
		t.Errorf("%q", got)
	}
}

// The dead are cut off in the middle, and dial nobody any more.
func TestTheDeadAreSilent(t *testing.T) {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := front.Accept()
		if err == nil {
			_, err = io.ReadAll(conn)
			_ = conn.Close()
		}
		ended <- err
	}()
	l := newLife()
	conn, err := l.dial(t.Context(), "tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	died := make(chan struct{})
	l.dieAfter(time.Millisecond, t.Context(), func() { close(died) })
	<-died
	if err := <-ended; err == nil {
		t.Error("the other end saw an orderly end")
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("the dead write")
	}
	if _, err := l.dial(t.Context(), "tcp", front.Addr().String()); err == nil {
		t.Error("the dead dial")
	}
	if l.ctx.Err() == nil {
		t.Error("the life goes on")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	survivor := newLife()
	calledOff := survivor.dieAfter(0, over, func() { t.Error("who lives when the faults are over died") })
	time.Sleep(10 * time.Millisecond)
	calledOff()
	if survivor.dead {
		t.Error("the survivor is dead")
	}
}
