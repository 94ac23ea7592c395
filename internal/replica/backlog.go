package replica

// maxBacklog bounds how many appends above the high watermark are counted one by one. There
// are more only while the watermark stands still and producers do not wait for it.
const maxBacklog = 256

// backlog counts the bytes of appends that are not committed yet, so that a fetch is told of
// the bytes that it may read and of no others.
type backlog []uncommitted // in no order

type uncommitted struct {
	end, bytes int64
	several    bool // appends, of which the watermark may have passed some
}

// add counts one append that reaches to end.
func (b *backlog) add(end, bytes int64) {
	if n := len(*b); n == maxBacklog {
		last := &(*b)[n-1]
		*last = uncommitted{end: max(last.end, end), bytes: last.bytes + bytes, several: true}
		return
	}
	*b = append(*b, uncommitted{end: end, bytes: bytes})
}

// take is how many bytes have been committed now that the high watermark is hw. It is not exact
// while appends that were counted together lie above hw.
func (b *backlog) take(hw int64) (bytes int64, exact bool) {
	exact = true
	kept := (*b)[:0]
	for _, a := range *b {
		if a.end <= hw {
			bytes += a.bytes
			continue
		}
		exact = exact && !a.several
		kept = append(kept, a)
	}
	*b = kept
	return bytes, exact
}
