package verify

import "github.com/moldau-stream/moldau/internal/record"

// compress packs records as a producer does.
func compress(recs []byte, codec int16) []byte {
	out, err := record.Codec(codec).Compress(nil, recs, record.DefaultLevel)
	if err != nil {
		panic(err) // a codec that no rule names
	}
	return out
}
