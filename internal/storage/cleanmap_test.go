package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The first two of the published test vectors of SipHash-2-4-128.
func TestTheHashIsSipHash(t *testing.T) {
	s := hashSeed{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for in, want := range map[string]hash128{
		"":     {0xe6a825ba047f81a3, 0x930255c71472f66d},
		"\x00": {0x44af996bd8c187da, 0x45fc229b11597634},
	} {
		if got := s.sum([]byte(in)); got != want {
			t.Errorf("hash of %q is %x, not %x", in, got, want)
		}
	}
}

func TestTheKeyMapAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, slots := range []int64{16, 17, 100, 5000} {
		m := newKeyMap(slots*keySlotBytes, 0.95, 1<<40)
		model := map[string]int64{}
		full := false
		for off := int64(0); !full; off++ {
			key := fmt.Sprint("key ", r.IntN(int(slots)))
			if m.put([]byte(key), off) {
				model[key] = off
				continue
			}
			if _, known := model[key]; known {
				t.Fatalf("%d slots: a known key does not fit at %d entries", slots, m.size)
			}
			full = true
		}
		if m.size != len(model) || m.size < int(float64(slots)*0.95)-1 {
			t.Fatalf("%d slots: full with %d entries, model has %d", slots, m.size, len(model))
		}
		for i := range 2 * slots {
			key := fmt.Sprint("key ", i)
			want, ok := model[key]
			if !ok {
				want = -1
			}
			if got := m.get([]byte(key)); got != want {
				t.Fatalf("%d slots: %s is at %d, not %d", slots, key, got, want)
			}
		}
	}
}

func TestTheKeyMapTakesNoMoreMemoryThanItNeeds(t *testing.T) {
	if m := newKeyMap(1<<30, 0.9, 100); len(m.slots) > 1000 {
		t.Fatal(len(m.slots))
	}
	if m := newKeyMap(24_000, 0.9, 1<<40); len(m.slots) != 1000 || m.desired != 900 {
		t.Fatal(len(m.slots), m.desired)
	}
	m := newKeyMap(0, 0, 1<<40)
	if !m.put([]byte("a"), 1) {
		t.Fatal("a map must take at least one key")
	}
}
