package storage

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

const (
	// keySlotBytes is what one key takes in the map: 16 bytes of hash and 8 of offset, as in Kafka, so
	// that log.cleaner.dedupe.buffer.size holds as many keys here as there.
	keySlotBytes = 24
	// minKeySlots keeps a map usable however small its memory is said to be.
	minKeySlots = 16
)

// keyMap remembers the last offset of each key of a log's dirty part, in memory of a fixed size. Entries
// lie in the order of the slots they belong to (Robin Hood hashing), so that a search
// also ends soon when the key is not there and the map almost full.
type keyMap struct {
	seed     hashSeed
	slots    []keySlot
	size     int
	desired  int   // no more keys than this are taken in
	capacity int   // slots that the memory would allow
	latest   int64 // everything up to this offset has been taken in; -1 at first
}

// keySlot is one key: next is its offset + 1, and 0 says that the slot is free.
type keySlot struct {
	hash hash128
	next int64
}

// newKeyMap makes a map that takes at most memoryBytes, and less when fewer than records keys can come.
func newKeyMap(memoryBytes int64, loadFactor float64, records int64) *keyMap {
	capacity := max(memoryBytes/keySlotBytes, minKeySlots)
	desired := max(int64(float64(capacity)*min(loadFactor, 1)), 1)
	slots := capacity
	if records < desired {
		slots = min(capacity, max(records+records/2, minKeySlots))
	}
	m := &keyMap{slots: make([]keySlot, slots), desired: int(min(desired, slots-1)), capacity: int(capacity), latest: -1}
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // it never fails
	m.seed = hashSeed{binary.LittleEndian.Uint64(secret[:]), binary.LittleEndian.Uint64(secret[8:])}
	return m
}

// home is where the search for a hash begins.
func (m *keyMap) home(h hash128) int {
	i, _ := bits.Mul64(h.hi, uint64(len(m.slots)))
	return int(i)
}

// distance is how far slot i lies from the home of the entry in it.
func (m *keyMap) distance(i int) int {
	d := i - m.home(m.slots[i].hash)
	if d < 0 {
		d += len(m.slots)
	}
	return d
}

// put notes that key was written at offset; false when the map is full.
func (m *keyMap) put(key []byte, offset int64) bool {
	e := keySlot{m.seed.sum(key), offset + 1}
	i, mine := m.home(e.hash), true // mine: e is still the entry that came, not one that made way
	for d := 0; ; d++ {
		s := &m.slots[i]
		if s.next == 0 {
			if m.size >= m.desired {
				return false
			}
			*s = e
			m.size++
			break
		}
		if mine && s.hash == e.hash {
			s.next = e.next
			break
		}
		if there := m.distance(i); there < d {
			if m.size >= m.desired {
				return false // before anything is moved
			}
			*s, e = e, *s
			d, mine = there, false
		}
		if i++; i == len(m.slots) {
			i = 0
		}
	}
	m.latest = max(m.latest, offset)
	return true
}

// get is the last offset of a key, or -1.
func (m *keyMap) get(key []byte) int64 {
	h := m.seed.sum(key)
	i := m.home(h)
	for d := 0; ; d++ {
		s := &m.slots[i]
		if s.next == 0 || m.distance(i) < d {
			return -1
		}
		if s.hash == h {
			return s.next - 1
		}
		if i++; i == len(m.slots) {
			i = 0
		}
	}
}

// utilization is the part of the configured memory that is in use.
func (m *keyMap) utilization() float64 { return float64(m.size) / float64(m.capacity) }
