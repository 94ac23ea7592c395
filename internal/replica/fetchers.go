package replica

import (
	"hash/fnv"
	"sync"
)

// fetcherKey names a connection to a leader: the number is below num.replica.fetchers.
type fetcherKey struct {
	leader int32
	number int
}

// fetcherSet is all fetchers of this broker: for each leader that it follows num.replica.fetchers of them.
type fetcherSet struct {
	m *Manager

	mu      sync.Mutex // taken before that of a fetcher
	byKey   map[fetcherKey]*fetcher
	at      map[*Partition]*fetcher // where a partition is followed
	stopped bool
}

func newFetcherSet(m *Manager) *fetcherSet {
	return &fetcherSet{m: m, byKey: make(map[fetcherKey]*fetcher), at: make(map[*Partition]*fetcher)}
}

// keyOf spreads the partitions of a leader over its fetchers.
func (s *fetcherSet) keyOf(p *Partition, leader int32) fetcherKey {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p.tp.Topic))
	return fetcherKey{leader, int((h.Sum32()*31 + uint32(p.tp.Partition)) % uint32(max(s.m.conf().NumFetchers, 1)))}
}

// follow has p copied from its leader in this epoch. Nothing is sent before kick.
func (s *fetcherSet) follow(p *Partition, leader, epoch int32) {
	if s.m.dial == nil {
		return
	}
	key := s.keyOf(p, leader)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if at := s.at[p]; at != nil {
		if at.key == key && at.follows(p, epoch) {
			return
		}
		at.remove(p)
	}
	f := s.byKey[key]
	if f == nil {
		f = newFetcher(s.m, key)
		s.byKey[key] = f
	}
	s.at[p] = f
	f.add(p, epoch)
}

// unfollow ends the copying of p.
func (s *fetcherSet) unfollow(p *Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.at[p]; f != nil {
		delete(s.at, p)
		f.remove(p)
	}
}

// kick has all fetchers send that have something to ask for.
func (s *fetcherSet) kick() {
	for _, f := range s.list() {
		if f.idle() {
			s.retire(f)
			continue
		}
		f.kick()
	}
}

// retire ends a fetcher that follows nothing.
func (s *fetcherSet) retire(f *fetcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[f.key] == f && f.idle() {
		delete(s.byKey, f.key)
		f.stop()
	}
}

// brokersChanged has the fetchers of these brokers connect anew if their addresses are others, and try again now.
func (s *fetcherSet) brokersChanged(brokers map[int32]struct{}) {
	for _, f := range s.list() {
		if _, changed := brokers[f.key.leader]; changed {
			f.leaderChanged()
		}
	}
}

// rearrange spreads all partitions anew, over another number of fetchers.
func (s *fetcherSet) rearrange() {
	type placed struct {
		p             *Partition
		leader, epoch int32
	}
	var all []placed
	for _, f := range s.list() {
		for p, epoch := range f.everything() {
			all = append(all, placed{p, f.key.leader, epoch})
		}
	}
	for _, x := range all {
		s.follow(x.p, x.leader, x.epoch)
	}
	s.kick()
}

// eachLag tells how far behind each followed partition is.
func (s *fetcherSet) eachLag(fn func(p *Partition, lag int64)) {
	for _, f := range s.list() {
		f.eachLag(fn)
	}
}

// list is the fetchers, in the order of leaders and numbers.
func (s *fetcherSet) list() []*fetcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*fetcher, 0, len(s.byKey))
	for _, f := range s.byKey {
		all = append(all, f)
	}
	sortFetchers(all)
	return all
}

// stop ends all fetchers.
func (s *fetcherSet) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	for _, f := range s.list() {
		f.stop()
	}
}
