package wire

import (
	"math/rand/v2"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// filler fills kmsg structs with random values: every field, nulls and empties, arrays within arrays.
type filler struct {
	rng   *rand.Rand
	depth int
	tags  bool // add tagged fields that no schema knows
}

// request makes a random request of an API at a version.
func (f *filler) request(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	f.fill(reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req
}

func (f *filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			f.fillTags(tags)
			return
		}
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				f.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if f.rng.IntN(3) == 0 {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		f.fillSlice(v)
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.rng.IntN(2) == 0)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(f.rng.Float64())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.rng.Uint64() >> (64 - v.Type().Bits()))
	default:
		v.SetInt(int64(f.rng.Uint64()) >> (64 - v.Type().Bits()))
	}
}

func (f *filler) fillSlice(v reflect.Value) {
	n := f.rng.IntN(5) - 1
	if n < 0 {
		v.SetZero() // null, where the schema allows it
		return
	}
	if v.Type().Elem().Kind() != reflect.Uint8 {
		n = min(n, 3-f.depth)
	}
	v.Set(reflect.MakeSlice(v.Type(), max(n, 0), max(n, 0)))
	f.depth++
	for i := range v.Len() {
		f.fill(v.Index(i))
	}
	f.depth--
}

func (f *filler) fillTags(tags *kmsg.Tags) {
	*tags = kmsg.Tags{}
	if f.tags && f.rng.IntN(3) == 0 {
		tags.Set(50+f.rng.Uint32N(1000), []byte(f.text()))
		tags.Set(5000, nil)
	}
}

func (f *filler) text() string {
	b := make([]byte, f.rng.IntN(9))
	for i := range b {
		b[i] = byte('a' + f.rng.IntN(26))
	}
	if f.rng.IntN(30) == 0 { // a compact length of two bytes
		return string(make([]byte, 200))
	}
	return string(b)
}
