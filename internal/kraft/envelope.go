package kraft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An envelope (KIP-590) carries a client's request as it would stand on the wire, header and body, and who sent it:
//
//	request    api key int16, version int16, correlation id int32, client id, [tags], body
//	principal  version int16, then Kafka's DefaultPrincipalData
//	answer     correlation id int32, [tags], body
//
// Besides what Kafka puts there a tag says which sending of which request it is (controller.Try), and who does not know it passes it over.

// tryTag is far above those that Kafka gives.
const tryTag = 0x4d01

// tryOf is which sending an envelope holds.
func tryOf(env *kmsg.EnvelopeRequest) (t controller.Try) {
	env.UnknownTags.Each(func(tag uint32, b []byte) {
		if tag == tryTag && len(b) == len(t.Request)+4 {
			copy(t.Request[:], b)
			t.Number = binary.BigEndian.Uint32(b[len(t.Request):])
		}
	})
	return t
}

// seal puts a client's request into an envelope.
func seal(p security.Principal, host []byte, req kmsg.Request, t controller.Try) (*kmsg.EnvelopeRequest, error) {
	env := kmsg.NewPtrEnvelopeRequest()
	b := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = append(b, 0, 0, 0, 0, 0xff, 0xff) // correlation id 0, no client id
	if req.IsFlexible() {
		b = append(b, 0)
	}
	env.RequestData = req.AppendTo(b)
	who := kmsg.NewDefaultPrincipalData()
	who.Type, who.Name = p.Type, p.Name
	env.RequestPrincipal = who.AppendTo(nil)
	env.UnknownTags.Set(tryTag, binary.BigEndian.AppendUint32(t.Request[:], t.Number))
	env.ClientHostAddress = host
	if env.ClientHostAddress == nil {
		env.ClientHostAddress = []byte{127, 0, 0, 1}
	}
	return env, nil
}

// open takes the answer out of an envelope's.
func open(env *kmsg.EnvelopeResponse, req kmsg.Request) (kmsg.Response, error) {
	if env.ErrorCode == kerr.NotController.Code {
		return nil, errNotController
	}
	if err := kerr.ErrorForCode(env.ErrorCode); err != nil {
		return nil, fmt.Errorf("the controller refuses a forwarded request: %w", err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	b := env.ResponseData
	head := 4
	if resp.IsFlexible() {
		head++ // no tagged fields are ever set in it
	}
	if len(b) < head {
		return nil, errors.New("the answer to a forwarded request is cut short")
	}
	if err := resp.ReadFrom(b[head:]); err != nil {
		return nil, fmt.Errorf("cannot read the answer to a forwarded request: %w", err)
	}
	return resp, nil
}

// unseal takes a client's request out of an envelope.
func (h *Handler) unseal(env *kmsg.EnvelopeRequest) (security.Principal, kmsg.Request, *kerr.Error) {
	var p security.Principal
	var who kmsg.DefaultPrincipalData
	if len(env.RequestPrincipal) < 2 || who.ReadFrom(env.RequestPrincipal) != nil {
		return p, nil, kerr.PrincipalDeserializationFailure
	}
	p.Type, p.Name = who.Type, who.Name
	key, version, err := wire.PeekAPI(env.RequestData)
	if err != nil {
		return p, nil, kerr.InvalidRequest
	}
	v, err := h.forwarded.Lookup(key, version)
	if err != nil {
		return p, nil, kerr.InvalidRequest
	}
	_, body, err := wire.ParseRequestHeader(env.RequestData, v.Flexible)
	if err != nil {
		return p, nil, kerr.InvalidRequest
	}
	req, err := v.Decode(body)
	if err != nil {
		return p, nil, kerr.InvalidRequest
	}
	return p, req, nil
}

// reseal makes the envelope's answer of a request's.
func reseal(resp kmsg.Response) *kmsg.EnvelopeResponse {
	out := kmsg.NewPtrEnvelopeResponse()
	b := []byte{0, 0, 0, 0}
	if resp.IsFlexible() {
		b = append(b, 0)
	}
	out.ResponseData = resp.AppendTo(b)
	return out
}
