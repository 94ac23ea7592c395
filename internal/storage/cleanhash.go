package storage

import (
	"encoding/binary"
	"math/bits"
)

// hash128 is a key's hash. Two keys that differ count as the same when their hashes are equal, and one of them is lost
// then: at 128 bits and with a secret seed that does not happen, neither by chance nor by somebody's will.
type hash128 struct{ hi, lo uint64 }

// hashSeed is the secret of one key map.
type hashSeed struct{ k0, k1 uint64 }

// sum is SipHash-2-4 with 128 bits of output.
func (s hashSeed) sum(b []byte) hash128 {
	v0, v1 := s.k0^0x736f6d6570736575, s.k1^0x646f72616e646f6d^0xee
	v2, v3 := s.k0^0x6c7967656e657261, s.k1^0x7465646279746573
	tail := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		m := binary.LittleEndian.Uint64(b)
		v3 ^= m
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	for i, c := range b {
		tail |= uint64(c) << (8 * i)
	}
	v3 ^= tail
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= tail
	v2 ^= 0xee
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	first := v0 ^ v1 ^ v2 ^ v3
	v1 ^= 0xdd
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return hash128{first, v0 ^ v1 ^ v2 ^ v3}
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
