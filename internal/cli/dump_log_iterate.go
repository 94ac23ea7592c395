package cli

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/record"
)

// dumpedRecord is one record as it lies in a batch; key and value are nil for null.
type dumpedRecord struct {
	offset, timestamp int64
	offsetDelta       int32
	key, value        []byte
	headerKeys        []string
}

// eachRecord unpacks a batch as Kafka's own reader does, which is more lenient than
// package record is: offsets need not rise. It finds what is wrong with the same words.
// Records of a compressed batch are looked at before the first is handed out.
func eachRecord(b record.Batch, fn func(*dumpedRecord) error) error {
	count := b.NumRecords()
	if count == 0 {
		return nil
	}
	if count < 0 {
		return fmt.Errorf("Found invalid record count %d in magic v%d batch", count, b.Magic())
	}
	raw := b.RecordsBytes()
	if b.Codec() != record.None {
		var err error
		if raw, err = b.Codec().Decompress(nil, raw, record.MaxDecompressedBytes); err != nil {
			return fmt.Errorf("cannot decompress the records of the batch at offset %d: %w", b.BaseOffset(), err)
		}
		if err := walkRecords(b, raw, count, func(*dumpedRecord) error { return nil }); err != nil {
			return err
		}
	}
	return walkRecords(b, raw, count, fn)
}

func walkRecords(b record.Batch, raw []byte, count int, fn func(*dumpedRecord) error) error {
	in := recordReader{b: raw}
	var r dumpedRecord
	for i := range count {
		if err := in.record(b, &r); err != nil {
			return err
		}
		if i == count-1 && len(in.b) > 0 {
			return errors.New("Incorrect declared batch size, records still remaining in file")
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}

// recordReader reads the parts of records.
type recordReader struct{ b []byte }

var errRecordStructure = errors.New("Found invalid record structure")

func (in *recordReader) varint() (int64, error) {
	v, n := binary.Varint(in.b)
	if n <= 0 {
		return 0, errRecordStructure
	}
	in.b = in.b[n:]
	return v, nil
}

// blob reads a length and so many bytes; a negative length is null.
func (in *recordReader) blob() ([]byte, error) {
	n, err := in.varint()
	if err != nil || n < 0 {
		return nil, err
	}
	if n > int64(len(in.b)) {
		return nil, errRecordStructure
	}
	v := in.b[:n:n]
	in.b = in.b[n:]
	return v, nil
}

func (in *recordReader) record(b record.Batch, r *dumpedRecord) error {
	size, err := in.varint()
	if err != nil {
		return err
	}
	if size > int64(len(in.b)) {
		return fmt.Errorf("Invalid record size: expected %d bytes in record payload, but instead the buffer has only %d remaining bytes.", size, len(in.b))
	}
	if size < 0 {
		return errRecordStructure
	}
	body := recordReader{b: in.b[:size]}
	in.b = in.b[size:]
	if err := body.fields(b, r); err != nil {
		return err
	}
	if left := int64(len(body.b)); left > 0 {
		return fmt.Errorf("Invalid record size: expected to read %d bytes in record payload, but instead read %d", size, size-left)
	}
	return nil
}

func (in *recordReader) fields(b record.Batch, r *dumpedRecord) error {
	if len(in.b) == 0 {
		return errRecordStructure
	}
	in.b = in.b[1:] // attributes, which mean nothing yet
	timeDelta, err := in.varint()
	if err != nil {
		return err
	}
	r.timestamp = b.BaseTimestamp() + timeDelta
	if b.TimestampType() == record.LogAppendTime {
		r.timestamp = b.MaxTimestamp()
	}
	delta, err := in.varint()
	if err != nil {
		return err
	}
	r.offsetDelta = int32(delta)
	r.offset = b.BaseOffset() + int64(r.offsetDelta)
	if r.key, err = in.blob(); err != nil {
		return err
	}
	if r.value, err = in.blob(); err != nil {
		return err
	}
	return in.headers(r)
}

func (in *recordReader) headers(r *dumpedRecord) error {
	n, err := in.varint()
	if err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("Found invalid number of record headers %d", n)
	}
	if n > int64(len(in.b)) {
		return fmt.Errorf("Found invalid number of record headers. %d is larger than the remaining size of the buffer", n)
	}
	r.headerKeys = r.headerKeys[:0]
	for range n {
		size, err := in.varint()
		if err != nil {
			return err
		}
		if size < 0 {
			return fmt.Errorf("Invalid negative header key size %d", size)
		}
		if size > int64(len(in.b)) {
			return errRecordStructure
		}
		r.headerKeys = append(r.headerKeys, javaString(in.b[:size]))
		in.b = in.b[size:]
		if _, err := in.blob(); err != nil {
			return err
		}
	}
	return nil
}
