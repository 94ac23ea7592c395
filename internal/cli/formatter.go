package cli

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

// formatter prints one record. It writes whole records or nothing.
type formatter interface {
	write(w *bufio.Writer, rec *kgo.Record) error
}

// newFormatter picks and configures the formatter; the error is a class name
// that is not available.
func (r *run) newFormatter(p *parsed) (formatter, error) {
	for _, o := range []string{"formatter", "formatter-config", "key-deserializer", "value-deserializer"} {
		if p.value(o); p.err != nil {
			return nil, p.err
		}
	}
	props := client.Properties{}
	if f := p.value("formatter-config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	props.Merge(keyValues(append(p.all("property"), p.all("formatter-property")...)))
	for _, side := range []string{"key", "value"} {
		if p.has(side + "-deserializer") {
			props[side+".deserializer"] = p.value(side + "-deserializer")
		}
	}
	class := p.value("formatter")
	switch short, known := strings.CutPrefix(class, "org.apache.kafka.tools.consumer."); {
	case !known:
	case short == "DefaultMessageFormatter":
		return r.newDefaultFormatter(props), nil
	case short == "LoggingMessageFormatter":
		return &loggingFormatter{inner: r.newDefaultFormatter(props), run: r}, nil
	case short == "NoOpMessageFormatter":
		return noOpFormatter{}, nil
	case short == "OffsetsMessageFormatter":
		return coordinatorFormatter{offsetsJSON}, nil
	case short == "GroupMetadataMessageFormatter":
		return coordinatorFormatter{groupMetadataJSON}, nil
	case short == "TransactionLogMessageFormatter":
		return coordinatorFormatter{transactionJSON}, nil
	}
	r.hintNearest("formatter", class, inPackage("org.apache.kafka.tools.consumer.", []string{"DefaultMessageFormatter", "LoggingMessageFormatter", "NoOpMessageFormatter",
		"OffsetsMessageFormatter", "GroupMetadataMessageFormatter", "TransactionLogMessageFormatter"}))
	return nil, errors.New(class)
}

type noOpFormatter struct{}

func (noOpFormatter) write(*bufio.Writer, *kgo.Record) error { return nil }

// loggingFormatter prints as the default one does and logs a line beside it.
type loggingFormatter struct {
	inner formatter
	run   *run
}

func (f *loggingFormatter) write(w *bufio.Writer, rec *kgo.Record) error {
	if err := f.inner.write(w, rec); err != nil {
		return err
	}
	text := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return string(b)
	}
	f.run.logLine("INFO", "org.apache.kafka.tools.consumer.LoggingMessageFormatter",
		timestampText(rec)+", key:"+text(rec.Key)+", value:"+text(rec.Value))
	return nil
}

// defaultFormatter prints the columns that were asked for.
type defaultFormatter struct {
	timestamp, partition, offset, delivery, epoch, headers, key, value bool

	keySep, lineSep, headersSep, null []byte
	keyDes, valueDes, headersDes      deserializer
	scratch                           []byte
}

func (r *run) newDefaultFormatter(props client.Properties) formatter {
	flag := func(k string, def bool) bool {
		v, ok := props[k]
		if !ok {
			return def
		}
		return strings.EqualFold(strings.TrimSpace(v), "true")
	}
	text := func(k, def string) []byte {
		if v, ok := props[k]; ok {
			return []byte(v)
		}
		return []byte(def)
	}
	f := &defaultFormatter{
		timestamp: flag("print.timestamp", false), partition: flag("print.partition", false), offset: flag("print.offset", false),
		delivery: flag("print.delivery", false), epoch: flag("print.epoch", false), headers: flag("print.headers", false),
		key: flag("print.key", false), value: flag("print.value", true),
		keySep: text("key.separator", "\t"), lineSep: text("line.separator", "\n"), headersSep: text("headers.separator", ","), null: text("null.literal", "null"),
		keyDes: r.deserializer(props["key.deserializer"]), valueDes: r.deserializer(props["value.deserializer"]), headersDes: r.deserializer(props["headers.deserializer"]),
	}
	r.remarkFormatterKeys(props)
	return f
}

func (r *run) remarkFormatterKeys(props client.Properties) {
	known := " print.timestamp print.partition print.offset print.delivery print.epoch print.headers print.key print.value key.separator line.separator headers.separator null.literal key.deserializer value.deserializer headers.deserializer "
	for _, k := range props.Keys() {
		nested := strings.HasPrefix(k, "key.deserializer.") || strings.HasPrefix(k, "value.deserializer.") || strings.HasPrefix(k, "headers.deserializer.")
		if !nested && !strings.Contains(known, " "+k+" ") {
			r.hint(fmt.Sprintf("the formatter property %s is not known%s", k, meant(k, strings.Fields(known))))
		}
	}
}

func timestampText(rec *kgo.Record) string {
	ms := strconv.FormatInt(rec.Timestamp.UnixMilli(), 10)
	switch rec.Attrs.TimestampType() {
	case 0:
		return "CreateTime:" + ms
	case 1:
		return "LogAppendTime:" + ms
	}
	return "NO_TIMESTAMP"
}

func (f *defaultFormatter) write(w *bufio.Writer, rec *kgo.Record) error {
	b, columns := f.scratch[:0], 0
	var err error
	begin := func(on bool) bool {
		if on && columns > 0 {
			b = append(b, f.keySep...)
		}
		if on {
			columns++
		}
		return on
	}
	if begin(f.timestamp) {
		b = append(b, timestampText(rec)...)
	}
	if begin(f.partition) {
		b = strconv.AppendInt(append(b, "Partition:"...), int64(rec.Partition), 10)
	}
	if begin(f.offset) {
		b = strconv.AppendInt(append(b, "Offset:"...), rec.Offset, 10)
	}
	if begin(f.delivery) {
		b = append(b, "Delivery:"...)
		if n := rec.DeliveryCount(); n > 0 {
			b = strconv.AppendInt(b, int64(n), 10)
		} else {
			b = append(b, "NOT_PRESENT"...)
		}
	}
	if begin(f.epoch) {
		b = append(b, "Epoch:NOT_PRESENT"...)
	}
	if begin(f.headers) {
		if b, err = f.appendHeaders(b, rec); err != nil {
			return err
		}
	}
	if begin(f.key) {
		if b, err = f.appendField(b, rec.Key, f.keyDes); err != nil {
			return err
		}
	}
	if begin(f.value) {
		if b, err = f.appendField(b, rec.Value, f.valueDes); err != nil {
			return err
		}
	}
	if columns > 0 {
		b = append(b, f.lineSep...)
	}
	f.scratch = b
	_, err = w.Write(b)
	return err
}

func (f *defaultFormatter) appendHeaders(b []byte, rec *kgo.Record) ([]byte, error) {
	if len(rec.Headers) == 0 {
		return append(b, "NO_HEADERS"...), nil
	}
	var err error
	for i, h := range rec.Headers {
		if i > 0 {
			b = append(b, f.headersSep...)
		}
		b = append(append(b, h.Key...), ':')
		if b, err = f.appendField(b, h.Value, f.headersDes); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (f *defaultFormatter) appendField(b, field []byte, des deserializer) ([]byte, error) {
	if field == nil {
		field = f.null // a deserializer gets these letters, as Kafka's does
	}
	if des == nil {
		return append(b, field...), nil
	}
	return des(b, field)
}

// deserializer appends the text of a field.
type deserializer func(dst, field []byte) ([]byte, error)

// deserializer finds one of Kafka's by class name. An unknown one is logged and
// the bytes are printed as they are, which is what Kafka does.
func (r *run) deserializer(class string) deserializer {
	if class == "" {
		return nil
	}
	short, ok := strings.CutPrefix(class, "org.apache.kafka.common.serialization.")
	if ok && short == "ByteArrayDeserializer" {
		r.hint("ByteArrayDeserializer prints what Java calls the array, not what is in it: without it the bytes are printed")
	}
	if d, known := deserializers()[short]; ok && known {
		return d
	}
	r.hintNearest("deserializer", class, inPackage("org.apache.kafka.common.serialization.", sortedKeys(deserializers())))
	r.logError("org.apache.kafka.tools.consumer.DefaultMessageFormatter", "Unable to instantiate a deserializer from "+class, &consumerFailure{"java.lang.ClassNotFoundException", errors.New(class)})
	r.hint("the deserializers are Kafka's own, org.apache.kafka.common.serialization.*: String, Integer, Long, Short, Float, Double, Boolean, UUID, Bytes, ByteArray, ByteBuffer and VoidDeserializer")
	return nil
}

func sizeError(who string, size int) error {
	return fmt.Errorf("Size of data received by %s is not %d", who, size)
}

func deserializers() map[string]deserializer {
	raw := func(dst, field []byte) ([]byte, error) { return append(dst, field...), nil }
	integer := func(who string, size int, read func([]byte) int64) deserializer {
		return func(dst, field []byte) ([]byte, error) {
			if len(field) != size {
				return dst, sizeError(who, size)
			}
			return strconv.AppendInt(dst, read(field), 10), nil
		}
	}
	floating := func(who string, size int, read func([]byte) float64) deserializer {
		return func(dst, field []byte) ([]byte, error) {
			if len(field) != size {
				return dst, sizeError(who, size)
			}
			return append(dst, javaDouble(read(field), size*8)...), nil
		}
	}
	be := binary.BigEndian
	return map[string]deserializer{
		"StringDeserializer":    raw,
		"ByteArrayDeserializer": byteArrayText,
		"BytesDeserializer":     bytesText,
		"ByteBufferDeserializer": func(dst, field []byte) ([]byte, error) {
			return fmt.Appendf(dst, "java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]", len(field), len(field)), nil
		},
		"LongDeserializer":    integer("LongDeserializer", 8, func(b []byte) int64 { return int64(be.Uint64(b)) }),
		"IntegerDeserializer": integer("IntegerDeserializer", 4, func(b []byte) int64 { return int64(int32(be.Uint32(b))) }),
		"ShortDeserializer":   integer("ShortDeserializer", 2, func(b []byte) int64 { return int64(int16(be.Uint16(b))) }),
		"FloatDeserializer":   floating("Deserializer", 4, func(b []byte) float64 { return float64(math.Float32frombits(be.Uint32(b))) }),
		"DoubleDeserializer":  floating("Deserializer", 8, func(b []byte) float64 { return math.Float64frombits(be.Uint64(b)) }),
		"VoidDeserializer": func(dst, _ []byte) ([]byte, error) {
			return dst, errors.New("Data should be null for a VoidDeserializer.")
		},
		"BooleanDeserializer": booleanText,
		"UUIDDeserializer":    uuidText,
	}
}

// byteArrayText is what Java prints of an array: a name made of its type and of eight digits that say nothing.
func byteArrayText(dst, field []byte) ([]byte, error) {
	return fmt.Appendf(dst, "[B@%x", crc32.ChecksumIEEE(field)), nil
}

// bytesText is Java's Bytes.toString: printable ASCII as it is, but for the
// backslash; the rest as \xNN.
func bytesText(dst, field []byte) ([]byte, error) {
	for _, c := range field {
		if c >= ' ' && c <= '~' && c != '\\' {
			dst = append(dst, c)
			continue
		}
		dst = fmt.Appendf(dst, `\x%02X`, c)
	}
	return dst, nil
}

func booleanText(dst, field []byte) ([]byte, error) {
	if len(field) != 1 {
		return dst, errors.New("Size of data received by BooleanDeserializer is not 1")
	}
	switch field[0] {
	case 0:
		return append(dst, "false"...), nil
	case 1:
		return append(dst, "true"...), nil
	}
	return dst, fmt.Errorf("Unexpected byte received by BooleanDeserializer: %d", int8(field[0]))
}

// uuidText accepts the 36-character form, as the serializer writes it, and
// prints it in lower case without changing its value.
func uuidText(dst, field []byte) ([]byte, error) {
	s := string(field)
	parts := strings.Split(s, "-")
	if len(parts) != 5 {
		return dst, errors.New("Error parsing data into UUID")
	}
	widths := [5]int{8, 4, 4, 4, 12}
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 16, 64)
		if err != nil || len(part) > widths[i] {
			return dst, errors.New("Error parsing data into UUID")
		}
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = fmt.Appendf(dst, "%0*x", widths[i], v)
	}
	return dst, nil
}
