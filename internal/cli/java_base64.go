package cli

import (
	"errors"
	"fmt"
	"strings"
)

const urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// javaBase64URL decodes as Java's decoder for URLs does, with its complaints: padding may be left out, bits that are over are not
// looked at.
func javaBase64URL(s string) ([]byte, error) {
	text := latin1(s)
	if len(text) == 1 {
		return nil, errors.New("Input byte[] should at least have 2 bytes for base64 bytes")
	}
	var out []byte
	var bits uint32
	digits, at := 0, 0
	for at < len(text) && text[at] != '=' {
		digit := strings.IndexByte(urlAlphabet, text[at])
		if digit < 0 {
			return nil, fmt.Errorf("Illegal base64 character %x", int8(text[at]))
		}
		at++
		bits, digits = bits<<6|uint32(digit), digits+1
		if digits == 4 {
			out, bits, digits = append(out, byte(bits>>16), byte(bits>>8), byte(bits)), 0, 0
		}
	}
	if at < len(text) { // padding ends a text of two or three digits
		at++
		if digits < 2 || digits == 2 && (at == len(text) || text[at] != '=') {
			return nil, errors.New("Input byte array has wrong 4-byte ending unit")
		}
		at += 3 - digits
	}
	switch digits {
	case 1:
		return nil, errors.New("Last unit does not have enough valid bits")
	case 2:
		out = append(out, byte(bits>>4))
	case 3:
		out = append(out, byte(bits>>10), byte(bits>>2))
	}
	if at < len(text) {
		return nil, fmt.Errorf("Input byte array has incorrect ending byte at %d", at)
	}
	return out, nil
}

// latin1 has a question mark for what that alphabet has not.
func latin1(s string) []byte {
	var out []byte
	for _, r := range s {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
