package quorum

import (
	"sync"

	"github.com/moldau-stream/moldau/internal/meta"
)

// publisher calls subscribers and replies, in the order of the log, on one goroutine, so that a slow subscriber
// holds up replies (which promise that it has seen the change) but never the loop.
type publisher struct {
	mu     sync.Mutex
	queue  []publication
	wake   chan struct{}
	closed bool
	done   chan struct{}

	image *meta.Image // what was published last; the publisher's goroutine owns it
	subs  []func(*meta.Image, *meta.Delta)
}

// publication is one step of the log, or a new subscriber, and the replies that may leave after it.
type publication struct {
	image   *meta.Image // nil when nothing changed
	delta   *meta.Delta
	sub     func(*meta.Image, *meta.Delta)
	store   func(*meta.Image)
	replies []func()
}

func newPublisher(img *meta.Image) *publisher {
	return &publisher{wake: make(chan struct{}, 1), done: make(chan struct{}), image: img}
}

// put queues a publication; after close it is dropped and false returned. The queue's bound is that of the
// requests in flight, each of which puts one publication at most.
func (p *publisher) put(x publication) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.queue = append(p.queue, x)
	signal(p.wake)
	return true
}

// subscribe adds a subscriber and returns when it has seen the present image.
func (p *publisher) subscribe(fn func(*meta.Image, *meta.Delta)) {
	first := make(chan struct{})
	if p.put(publication{sub: fn, replies: []func(){func() { close(first) }}}) {
		<-first
	}
}

func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	signal(p.wake)
	p.mu.Unlock()
	<-p.done
}

// signal wakes who waits on c, now or when it looks next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run publishes until it is closed and nothing is left.
func (p *publisher) run() {
	defer close(p.done)
	for range p.wake {
		for {
			p.mu.Lock()
			work, closed := p.queue, p.closed
			p.queue = nil
			p.mu.Unlock()
			if len(work) == 0 {
				if closed {
					return
				}
				break
			}
			for _, x := range work {
				p.publish(x)
			}
		}
	}
}

func (p *publisher) publish(x publication) {
	if x.image != nil {
		p.image = x.image
		if x.store != nil {
			x.store(x.image)
		}
		for _, fn := range p.subs {
			fn(x.image, x.delta)
		}
	}
	if x.sub != nil {
		p.subs = append(p.subs, x.sub)
		x.sub(p.image, meta.Diff(meta.NewImage(), p.image))
	}
	for _, reply := range x.replies {
		reply()
	}
}
