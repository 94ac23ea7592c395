package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// contents are a record's key and value as they are printed; nil for what is not.
type contents struct{ key, value *string }

func text(format string, args ...any) *string {
	s := fmt.Sprintf(format, args...)
	return &s
}

// messageParser says what the records of a topic mean.
type messageParser interface {
	parse(*dumpedRecord) (contents, error)
}

const stringDecoder = "org.apache.kafka.tools.api.StringDecoder"

func newMessageParser(p *parsed, families map[string]*storedFamily) (messageParser, error) {
	switch {
	case p.has("offsets-decoder"):
		c := coordinatorParser{family: families["offsets"]}
		c.protocol = families["control"]
		return &c, nil
	case p.has("transaction-log-decoder"):
		return &coordinatorParser{family: families["transactions"]}, nil
	case p.has("cluster-metadata-decoder"):
		return &metadataParser{family: families["metadata"]}, nil
	case p.has("remote-log-metadata-decoder"):
		return &remoteParser{family: families["remote"]}, nil
	case p.has("share-group-state-decoder"):
		return &coordinatorParser{family: families["share"]}, nil
	}
	key, err := newDecoder(p.value("key-decoder-class"))
	if err != nil {
		return nil, err
	}
	value, err := newDecoder(p.value("value-decoder-class"))
	return &decoderParser{key, value}, err
}

// decoder prints the bytes of a key or a value.
type decoder func([]byte) (string, error)

func newDecoder(class string) (decoder, error) {
	switch strings.TrimPrefix(class, "org.apache.kafka.tools.api.") {
	case "StringDecoder":
		return func(b []byte) (string, error) { return javaString(b), nil }, nil
	case "DefaultDecoder":
		// Java prints the identity of the array, which says nothing; hexadecimal digits say what is in it.
		return func(b []byte) (string, error) { return fmt.Sprintf("%x", b), nil }, nil
	case "IntegerDecoder":
		return func(b []byte) (string, error) {
			if len(b) < 4 {
				return "", fmt.Errorf("%d bytes are no integer of 4", len(b))
			}
			return strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10), nil
		}, nil
	case "LongDecoder":
		return func(b []byte) (string, error) {
			if len(b) < 8 {
				return "", fmt.Errorf("%d bytes are no integer of 8", len(b))
			}
			return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10), nil
		}, nil
	}
	return nil, &noDecoderError{class}
}

// noDecoderError is of a class that would need a JVM.
type noDecoderError struct{ class string }

func (e *noDecoderError) Error() string { return "Failed to load decoder class" }

func (e *noDecoderError) hint() string {
	return e.class + " cannot be run, since this is no JVM; there are StringDecoder, DefaultDecoder, IntegerDecoder and LongDecoder of org.apache.kafka.tools.api"
}

type decoderParser struct{ key, value decoder }

func (p *decoderParser) parse(r *dumpedRecord) (c contents, err error) {
	if r.key != nil {
		s, err := p.key(r.key)
		if err != nil {
			return c, err
		}
		c.key = &s
	}
	if r.value != nil {
		s, err := p.value(r.value)
		if err != nil {
			return c, err
		}
		c.value = &s
	}
	return c, nil
}

// coordinatorParser reads the records of a coordinator: a key that begins with its type
// and a value that begins with its version.
type coordinatorParser struct {
	family   *storedFamily
	protocol *storedFamily // what consumers say in classic groups; nil where there are none
}

func (p *coordinatorParser) parse(r *dumpedRecord) (c contents, err error) {
	if r.key == nil {
		return c, fmt.Errorf("Failed to decode message at offset %d using the specified decoder (message had a missing key)", r.offset)
	}
	c, err = p.record(r.key, r.value)
	var unknown unknownTypeError
	switch {
	case errors.As(err, &unknown):
		c = contents{key: text("Unknown record type %d at offset %d, skipping.", int16(unknown), r.offset)}
	case err != nil:
		c = contents{key: text("Error at offset %d, skipping. %v", r.offset, err)}
	}
	return c, nil
}

// unknownTypeError is a record type that is not known.
type unknownTypeError int16

func (e unknownTypeError) Error() string { return fmt.Sprintf("unknown record type %d", int16(e)) }

func (p *coordinatorParser) record(key, value []byte) (c contents, err error) {
	if len(key) < 2 {
		return c, errors.New("Could not read version from key's buffer.")
	}
	typ := int16(binary.BigEndian.Uint16(key))
	k, v := p.family.named(typ, "Key"), p.family.named(typ, "Value")
	if k == nil || v == nil {
		return c, unknownTypeError(typ)
	}
	keyJSON, err := p.read(k.versions[0], k.name, key[2:])
	if err != nil {
		return c, fmt.Errorf("Could not read record with version %d from key's buffer due to: %w.", typ, err)
	}
	c.key = text(`{"type":"%d","data":%s}`, typ, keyJSON)
	if value == nil {
		c.value = text("<DELETE>")
		return c, nil
	}
	if len(value) < 2 {
		return c, errors.New("Could not read version from value's buffer.")
	}
	version := int16(binary.BigEndian.Uint16(value))
	t := v.at(version)
	if t == nil {
		return c, fmt.Errorf("Found an unknown record version %d for %d type", version, typ)
	}
	valueJSON, err := p.read(t, v.name, value[2:])
	if err != nil {
		return c, fmt.Errorf("Could not read record with version %d from value's buffer due to: %w.", version, err)
	}
	c.value = text(`{"version":"%d","data":%s}`, version, valueJSON)
	return c, nil
}

func (p *coordinatorParser) read(t *storedType, name string, b []byte) ([]byte, error) {
	in := storedReader{b: b}
	if p.protocol != nil && name == "GroupMetadataValue" {
		in.replace = func(field string, value []byte) ([]byte, bool) {
			if in.protocolType != "consumer" {
				return nil, false
			}
			switch field {
			case "subscription":
				return consumerProtocol(p.protocol.byName["ConsumerProtocolSubscription"], value)
			case "assignment":
				return consumerProtocol(p.protocol.byName["ConsumerProtocolAssignment"], value)
			}
			return nil, false
		}
	}
	json := in.structure(nil, t)
	return json, in.err
}

// consumerProtocol is what a consumer has said to its group, if it can be read.
func consumerProtocol(r *storedRecord, value []byte) ([]byte, bool) {
	if len(value) < 2 {
		return nil, false
	}
	t := r.at(int16(binary.BigEndian.Uint16(value)))
	if t == nil {
		return nil, false
	}
	in := storedReader{b: value[2:]}
	json := in.structure(nil, t)
	return json, in.err == nil
}

// framed is the frame that metadata records are stored in: its version, the record's type and version.
type framed struct {
	typ, version int16
	rest         storedReader
}

// errMetadataID is an unknown type; the class stands there because Java puts it inside another exception.
func errMetadataID(typ int16) error {
	return fmt.Errorf("org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id %d", typ)
}

func readFrame(value []byte) (f framed, err error) {
	f.rest.b = value
	number := func(what string) int16 {
		v := f.rest.uvarint()
		switch {
		case err != nil:
		case f.rest.err != nil:
			err = fmt.Errorf("Error while reading %s", what)
		case v > 1<<15-1:
			err = fmt.Errorf("Value for %s was too large.", what)
		}
		return int16(v)
	}
	frame := number("frame version")
	switch {
	case err != nil:
		return f, err
	case frame == 0:
		return f, errors.New("Could not deserialize metadata record with frame version 0. Note that upgrades from the preview release of KRaft in 2.8 to newer versions are not supported.")
	case frame != 1:
		return f, fmt.Errorf("Could not deserialize metadata record due to unknown frame version %d(only frame version 1 is supported)", frame)
	}
	f.typ = number("type")
	f.version = number("version")
	return f, err
}

// read reads the framed record's fields with read, to the last byte.
func (f *framed) read(family *storedFamily, read func(*storedRecord, *storedType) error) error {
	records := family.byType[f.typ]
	if len(records) == 0 {
		return errMetadataID(f.typ)
	}
	t := records[0].at(f.version)
	if t == nil && f.version > records[0].lowest {
		// A later version is read like the newest that is known, as far as it has no structures inside.
		t = records[0].versions[len(records[0].versions)-1]
		f.rest.flat = true
	}
	if t == nil {
		return fmt.Errorf("Failed to deserialize record with type %d", f.typ)
	}
	if err := read(records[0], t); err != nil || f.rest.err != nil {
		return fmt.Errorf("Failed to deserialize record with type %d", f.typ)
	}
	if n := len(f.rest.b); n > 0 {
		return fmt.Errorf("Found %d byte(s) of garbage after %d", n, f.typ)
	}
	return nil
}

// metadataParser reads the records of the metadata log and of its snapshots.
type metadataParser struct{ family *storedFamily }

func (p *metadataParser) parse(r *dumpedRecord) (contents, error) {
	f, err := readFrame(r.value)
	var out *string
	if err == nil {
		err = f.read(p.family, func(record *storedRecord, t *storedType) error {
			json := f.rest.structure(nil, t)
			out = text(`{"type":"%s","version":%d,"data":%s}`, constantName(record.name), f.version, json)
			return nil
		})
	}
	if err != nil {
		out = text("Error at %d, skipping. %v", r.offset, err)
	}
	return contents{value: out}, nil
}

// constantName turns RegisterBrokerRecord into REGISTER_BROKER_RECORD.
func constantName(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
