package record

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/snappy"
)

// Java's clients frame snappy as the xerial library does:
//
//	82 'S' 'N' 'A' 'P' 'P' 'Y' 00, version int32 = 1, compatible int32 = 1,
//	then blocks: length int32 (big-endian), that many bytes of raw snappy.
//
// Other clients send one raw snappy block; both are read.
const (
	xerialMagic       = "\x82SNAPPY\x00"
	xerialHeaderBytes = len(xerialMagic) + 8
	// xerialBlockBytes is the block size of Java's writer.
	xerialBlockBytes = 32 << 10
	// maxSnappyRatio is more than a block can unpack to: its best element makes 64 bytes
	// of 3. A length above is made up, and memory is not given for it.
	maxSnappyRatio = 64
)

func compressXerial(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for len(src) > 0 {
		n := min(len(src), xerialBlockBytes)
		at := len(dst)
		need := at + 4 + snappy.MaxEncodedLen(n)
		if cap(dst) < need {
			dst = append(make([]byte, 0, max(need, 2*cap(dst))), dst...)
		}
		block := snappy.Encode(dst[at+4:need:need], src[:n])
		dst = dst[:at+4+len(block)]
		binary.BigEndian.PutUint32(dst[at:], uint32(len(block)))
		src = src[n:]
	}
	return dst
}

func decompressSnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, []byte(xerialMagic)) {
		return decompressSnappyBlock(dst, src, limit)
	}
	start := len(dst)
	for len(src) > 0 {
		if bytes.HasPrefix(src, []byte(xerialMagic)) { // streams may be joined
			if len(src) < xerialHeaderBytes {
				return dst, fmt.Errorf("%w: snappy header of %d bytes", ErrCorrupt, len(src))
			}
			src = src[xerialHeaderBytes:]
			continue
		}
		if len(src) < 4 {
			return dst, fmt.Errorf("%w: %d bytes after the last snappy block", ErrCorrupt, len(src))
		}
		n := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if n > int64(len(src)) {
			return dst, fmt.Errorf("%w: a snappy block of %d bytes where %d are left", ErrCorrupt, n, len(src))
		}
		var err error
		if dst, err = decompressSnappyBlock(dst, src[:n], limit-(len(dst)-start)); err != nil {
			return dst, err
		}
		src = src[n:]
	}
	return dst, nil
}

func decompressSnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if n > limit {
		return dst, fmt.Errorf("%w: a snappy block of %d bytes", ErrTooLarge, n)
	}
	if n > maxSnappyRatio*len(src) {
		return dst, fmt.Errorf("%w: a snappy block of %d bytes says that it unpacks to %d", ErrCorrupt, len(src), n)
	}
	at := len(dst)
	if cap(dst) < at+n {
		dst = append(make([]byte, 0, max(at+n, 2*cap(dst))), dst...)
	}
	out, err := snappy.Decode(dst[at:at+n:at+n], src)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return dst[:at+len(out)], nil
}
