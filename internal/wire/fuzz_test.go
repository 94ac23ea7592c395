package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzDecode decodes any bytes as any API at any version.
func FuzzDecode(f *testing.F) {
	tables := map[Listener]*Table{Broker: everything(f, Broker), Controller: everything(f, Controller)}
	rng := rand.New(rand.NewPCG(7, 8))
	for _, table := range tables {
		for _, r := range table.Ranges() {
			for version := r.Min; version <= r.Max; version++ {
				fill := filler{rng: rng, tags: true}
				f.Add(r.Key, version, fill.request(r.Key, version).AppendTo(nil))
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		for _, table := range tables {
			if v, err := table.Lookup(key, version); err == nil {
				decodeBounded(t, v, body)
				return
			}
		}
	})
}

// FuzzHeader reads any bytes as a frame: its length, its header, its tagged fields.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 14, 0, 18, 0, 3, 0, 0, 0, 1, 0, 2, 'm', 'e', 1, 9, 1, 0}, true)
	f.Add([]byte{0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, b []byte, flexible bool) {
		if len(b) < LengthBytes {
			return
		}
		n, err := FrameLength(b, 1<<20)
		if err == nil && (n < minHeaderBytes || n > 1<<20) {
			t.Fatalf("a frame of %d bytes", n)
		}
		h, body, err := ParseRequestHeader(b[LengthBytes:], flexible)
		if err == nil && !bytes.HasSuffix(b, body) {
			t.Fatalf("%+v: the body is not the end of the frame", h)
		}
	})
}

// FuzzTags walks any bytes as tagged fields.
func FuzzTags(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{2, 0, 1, 7, 5, 2, 'x', 'y'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	known, err := compile("tags{0=flag INT8, 3=names compact[]COMPACT_STRING}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := walker{buf: b}
		if err := w.run(known); err == nil && (w.pos < 1 || w.pos > len(b)) {
			t.Fatalf("stands at %d of %d", w.pos, len(b))
		}
	})
}
