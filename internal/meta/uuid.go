package meta

import (
	"encoding/base64"
	"fmt"
)

// UUID is Kafka's 128-bit id: of a topic, a log directory, an incarnation.
type UUID = [16]byte

// FormatUUID is the text that Kafka shows for an id: base64 for URLs, without padding.
func FormatUUID(u UUID) string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// ParseUUID reads what FormatUUID writes.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(u) {
		return u, fmt.Errorf("%q is not an id of 16 bytes in base64", s)
	}
	copy(u[:], b)
	return u, nil
}

// ReservedUUID says that u is one of the first 100 values, which Kafka keeps for itself
// and never gives to a topic or a directory.
func ReservedUUID(u UUID) bool {
	for _, b := range u[:15] {
		if b != 0 {
			return false
		}
	}
	return u[15] < 100
}
