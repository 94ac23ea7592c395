package broker

import "sync"

// A fetch of a thousand partitions needs half a megabyte for what is asked, read and answered. Readers that poll a session need it
// many times a second, so that it is used again.

// maxPooledParts keeps the memory of a rare fetch of everything from staying for ever.
const maxPooledParts = 4096

// holdersOfAFetch are the request and its answer.
const holdersOfAFetch = 2

type fetchPool struct{ pool sync.Pool }

func (p *fetchPool) get() *fetching {
	f, ok := p.pool.Get().(*fetching)
	if !ok {
		f = &fetching{}
	}
	f.holders.Store(holdersOfAFetch)
	return f
}

// put takes back the memory of a fetch that nobody knows any more.
func (p *fetchPool) put(f *fetching) {
	if cap(f.parts) > maxPooledParts || cap(f.ctx.keys) > maxPooledParts {
		return
	}
	clear(f.parts)
	c, a := &f.ctx, &f.reply
	clear(c.keys)
	clear(c.wants)
	clear(c.places)
	clear(a.partitions)
	clear(a.slices)
	p.pool.Put(&fetching{
		parts: f.parts[:0],
		ctx:   fetchContext{keys: c.keys[:0], wants: c.wants[:0], places: c.places[:0], include: c.include[:0]},
		reply: fetchAnswer{partitions: a.partitions[:0], slices: a.slices[:0], first: a.first[:0]},
	})
}

// letGo is called by each holder once.
func (f *fetching) letGo() {
	if f.holders.Add(-1) == 0 {
		f.b.fetches.put(f)
	}
}
