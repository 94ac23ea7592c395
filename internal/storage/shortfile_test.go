package storage

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A segment's file is cut short under the running node, the active one's as well as a closed one's: what is left is read, readers
// of the rest are told that it is damaged, and the log says it once.
func TestAFileThatIsCutShortUnderTheNodeIsDamage(t *testing.T) {
	for _, active := range []bool{false, true} {
		for _, verify := range []bool{false, true} {
			t.Run(fmt.Sprintf("active %v, reads are verified %v", active, verify), func(t *testing.T) {
				m := vfs.NewMem()
				format(t, m, "/d")
				var out logTo
				mgr := openManager(t, m, newTestClock(), smallConfig(), out.option, func(o *ManagerOptions) { o.VerifyReads = verify })
				defer func() { _ = mgr.Close(false) }()
				l := mustCreate(t, mgr, testTP, 0)
				for i := range 30 {
					mustAppend(t, l, values(1, fmt.Sprintf("value %d %s", i, strings.Repeat("v", 30))))
				}
				views := l.views()
				v := views[1]
				if active {
					v = views[len(views)-1]
				}
				if got := readFrom(t, l, 0); len(got) != 30 {
					t.Fatal(len(got))
				}
				f, err := m.OpenFile(v.seg.path(kindLog), os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Truncate(v.size - 10); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					_, err := l.Read(v.end-1, 1000, l.LogEndOffset(), true)
					wantErr(t, err, ErrCorruptRecord)
				}
				if n := strings.Count(out.String(), "a segment is damaged"); n != 1 || !strings.Contains(out.String(), "shorter") {
					t.Fatal(n, out.String())
				}
				s, err := l.Read(v.seg.base, 1<<20, l.LogEndOffset(), true)
				if err != nil || s.NextOffset != v.end-1 {
					t.Fatal("what is left of the segment is not read", s, err)
				}
				if b, err := s.Bytes(); err != nil || int64(len(b)) != s.Len {
					t.Fatal(err)
				}
				s.Release()
			})
		}
	}
}
