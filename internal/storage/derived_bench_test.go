package storage

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A consumer reads closed segments that this process has found, for the first time: once with nothing checked, once with the
// bytes held against their checksums, and once as a reader of committed records, with the transaction indexes proven too. What
// leaves by sendfile is not counted.
func BenchmarkFirstReadOfClosedSegments(b *testing.B) {
	const total = 1 << 30
	dir := b.TempDir()
	format(b, vfs.OS{}, dir)
	open := func(verify bool) (*Manager, *Log) {
		m := openManager(b, vfs.OS{}, clock.Real{}, DefaultLogConfig(), func(o *ManagerOptions) { o.Dirs, o.VerifyReads = []string{dir}, verify })
		return m, m.Log(testTP)
	}
	m, _ := open(false)
	l, err := m.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		b.Fatal(err)
	}
	value := string(make([]byte, 16<<10))
	seq := int32(0)
	for l.Size() < total {
		mustAppend(b, l, batchOf(record.BuilderOptions{HasProducer: true, ProducerID: 1, BaseSequence: seq, Transactional: true}, time.Now().UnixMilli(), value))
		if seq++; seq%20 == 0 {
			mustCoordinate(b, l, marker(1, 0, seq%40 == 0))
		}
	}
	l.SetHighWatermark(l.LogEndOffset())
	if err := m.Close(true); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name              string
		verify, committed bool
	}{{"unchecked", false, false}, {"checksums", true, false}, {"transactions", false, true}, {"both", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(total)
			for range b.N {
				m, l := open(c.verify)
				end := l.LogEndOffset()
				for at := int64(0); at < end; {
					s, err := l.Read(at, 1<<20, end, true)
					if err != nil {
						b.Fatal(err)
					}
					if c.committed {
						if _, err := l.AbortedTxns(at, s.NextOffset); err != nil {
							b.Fatal(err)
						}
					}
					at = s.NextOffset
					s.Release()
				}
				_ = m.Close(true)
			}
		})
	}
}
