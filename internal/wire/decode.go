package wire

import (
	"bytes"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Version is one API at one version, ready to decode.
type Version struct {
	Key      int16
	Version  int16
	Name     string
	Flexible bool // compact encodings, tagged fields in body and header
	ops      []op
}

// Check walks a body without decoding it and reports the first thing that is wrong.
func (v *Version) Check(body []byte) error {
	_, err := v.walk(body)
	return err
}

func (v *Version) walk(body []byte) (aliases bool, err error) {
	w := walker{buf: body}
	if err = w.run(v.ops); err == nil && w.pos != len(body) && !v.mayTrail() {
		err = fmt.Errorf("%w: %d of them", ErrTrailingBytes, len(body)-w.pos)
	}
	if err != nil {
		return false, fmt.Errorf("cannot decode %s v%d at byte %d of %d: %w", v.Name, v.Version, w.pos, len(body), err)
	}
	return w.aliases, nil
}

// mayTrail says whether bytes behind the body are let pass, as Kafka lets them. librdkafka asks for all topics with a null array
// of four bytes where the flexible versions have one, so that its last three fields lie behind the end.
func (v *Version) mayTrail() bool { return v.Flexible && kmsg.Key(v.Key) == kmsg.Metadata }

// Decode checks a body and decodes it. The request holds nothing of the body; the memory that it takes is bounded by
// a small multiple of the body's length.
func (v *Version) Decode(body []byte) (kmsg.Request, error) {
	aliases, err := v.walk(body)
	if err != nil {
		return nil, err
	}
	if aliases {
		body = bytes.Clone(body)
	}
	req := kmsg.RequestForKey(v.Key)
	if req == nil {
		req = privateRequest(v.Key)
	}
	if req == nil {
		return nil, fmt.Errorf("%w: kmsg does not know key %d", ErrUnknownAPI, v.Key)
	}
	req.SetVersion(v.Version)
	if err := req.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("cannot decode %s v%d: %w", v.Name, v.Version, err)
	}
	return req, nil
}
