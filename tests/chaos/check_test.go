package chaos

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// numbered is a partition that holds the numbered records of producer 0.
func numbered(seqs ...int64) found {
	var rs []*kgo.Record
	for i, s := range seqs {
		rs = append(rs, &kgo.Record{Topic: mainTopic, Offset: int64(i), Value: value(record{0, s})})
	}
	return found{0: rs}
}

func text(p *problems) string {
	if p.err() == nil {
		return ""
	}
	return p.err().Error()
}

func TestEachKindOfDamageIsSeen(t *testing.T) {
	l := newLedger()
	for i := range int64(4) {
		l.acks = append(l.acks, ack{record{0, i}, 0, i})
	}
	whole := numbered(0, 1, 2, 3)
	hole := numbered(0, 1, 2, 3)
	hole[0][3].Offset = 7
	for name, c := range map[string]struct {
		recs                           found
		lost, doubled, disorder, holes string
	}{
		"nothing is wrong":       {recs: whole},
		"the tail is lost":       {recs: numbered(0, 1), lost: "2 times"},
		"one is lost":            {recs: numbered(0, 2, 3), lost: "record 1 of producer 0", disorder: "follows 0"},
		"one is there twice":     {recs: numbered(0, 1, 1, 2, 3), lost: "is at 3", doubled: "offsets 1 and 2"},
		"two are swapped":        {recs: numbered(0, 2, 1, 3), lost: "2 times", disorder: "follows 2"},
		"an offset is left out":  {recs: hole, lost: "is at 7", holes: "has offset 7"},
		"everything is gone":     {recs: found{}, lost: "4 times"},
		"more than acknowledged": {recs: numbered(0, 1, 2, 3, 4)},
	} {
		lost, doubled, disorder, holes := l.compare(c.recs)
		for _, w := range []struct {
			kind string
			is   *problems
			want string
		}{{"lost", lost, c.lost}, {"doubled", doubled, c.doubled}, {"out of order", disorder, c.disorder}, {"holes", holes, c.holes}} {
			if got := text(w.is); (w.want == "") != (got == "") || !strings.Contains(got, w.want) {
				t.Errorf("%s: %s: %q", name, w.kind, got)
			}
		}
	}
}

func TestReadsThatDifferAreSeen(t *testing.T) {
	l := newLedger()
	at := place{mainTopic, 0}
	for i, r := range numbered(0, 1, 2)[0] {
		l.saw(at, int64(i), r.Value)
	}
	l.saw(at, 1, value(record{0, 1}))
	if l.differing.n != 0 || text(l.sameAsSeen(mainTopic, numbered(0, 1, 2, 3))) != "" {
		t.Error("reads that agree are blamed")
	}
	l.saw(at, 1, value(record{1, 1}))
	if l.differing.n != 1 {
		t.Error("two readers may see two records")
	}
	if got := text(l.sameAsSeen(mainTopic, numbered(0, 9))); !strings.Contains(got, "as another record") || !strings.Contains(got, "is gone") {
		t.Error(got)
	}
}

func TestTornAndGhostlyTransactionsAreSeen(t *testing.T) {
	all := func(names ...string) found {
		var rs []*kgo.Record
		for _, n := range names {
			for i := range txnSize {
				rs = append(rs, &kgo.Record{Value: []byte(n + "." + string(rune('0'+i)))})
			}
		}
		return found{0: rs}
	}
	x := newTransactions()
	x.end("0.0", committed)
	x.end("0.1", aborted)
	x.end("0.2", unknown)
	good := all("0.0", "0.2")
	for name, c := range map[string]struct {
		recs         found
		torn, ghosts string
	}{
		"all is well":                        {recs: good},
		"an unknown one was not committed":   {recs: all("0.0")},
		"a committed one is gone":            {recs: all("0.2"), torn: "0.0"},
		"a committed one is there twice":     {recs: all("0.0", "0.0"), torn: "0.0"},
		"an unknown one is torn":             {recs: found{0: good[0][:txnSize+2]}, torn: "0.2"},
		"an aborted one is seen":             {recs: all("0.0", "0.1"), ghosts: "0.1"},
		"one is seen that nobody ever began": {recs: all("0.0", "7.7"), ghosts: "7.7"},
	} {
		torn, ghosts := x.compare(c.recs)
		for _, w := range []struct{ got, want string }{{text(torn), c.torn}, {text(ghosts), c.ghosts}} {
			if (w.want == "") != (w.got == "") || !strings.Contains(w.got, w.want) {
				t.Errorf("%s: %q", name, w.got)
			}
		}
	}
}

func TestCopiesAreCounted(t *testing.T) {
	in := found{2: {{Offset: 5}}}
	once := found{0: {{Value: []byte("2.5.0")}, {Value: []byte("2.5.1")}}}
	if got := text(compareCopies(in, once)); got != "" {
		t.Error(got)
	}
	twice := found{0: append(once[0], &kgo.Record{Value: []byte("2.5.1")})}
	for _, bad := range []found{twice, {0: once[0][:1]}, {0: append(once[0][:2:2], &kgo.Record{Value: []byte("2.6.0")})}} {
		if compareCopies(in, bad).n != 1 {
			t.Error(text(compareCopies(in, bad)))
		}
	}
}

// A link that is cut in one direction carries the other, and what waited arrives when it is healed.
func TestALinkIsCutInOneDirection(t *testing.T) {
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	n := newNetwork()
	defer n.close()
	if err := n.front(2, "127.0.0.1:0", behind.Addr().String()); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", n.closers[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	hello := append([]byte{0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 0, 0, 8}, "broker-1"...)
	if _, err := client.Write(hello); err != nil {
		t.Fatal(err)
	}
	server, err := behind.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	expect := func(c net.Conn, want []byte) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q %v", got, err)
		}
	}
	expect(server, hello)
	n.set(1, 2, true)
	if _, err := client.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	expect(client, []byte("back"))
	_ = server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if k, _ := server.Read(make([]byte, 8)); k > 0 {
		t.Fatal("the cut lets bytes through")
	}
	_ = server.SetReadDeadline(time.Time{})
	n.heal()
	expect(server, []byte("there"))
}
