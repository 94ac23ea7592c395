package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func dumpLogOptions() *optionSet {
	s := newOptions()
	s.flag("print-data-log", "Print keys and values of the records too. The decoders imply it.")
	s.flag("verify-index-only", "Check indexes against their log without printing them.")
	s.flag("index-sanity-check", "Only check that indexes are sound in themselves, as a broker does when it starts.")
	s.arg("files", "file1, file2, ...", "The files to print, with commas: .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint.")
	s.arg("max-message-size", "size", "The largest batch that an index may point to, in bytes.").withDefault("5242880").ofKind(intValue)
	s.arg("max-bytes", "size", "Read only so many bytes of each log.").withDefault("2147483647").ofKind(intValue)
	s.flag("deep-iteration", "Print each record, not only each batch. --print-data-log implies it.")
	s.flag("value-decoder-class", "How to print values: StringDecoder, DefaultDecoder, IntegerDecoder or LongDecoder of org.apache.kafka.tools.api.").withDefault(stringDecoder).takesMaybe("")
	s.flag("key-decoder-class", "How to print keys; the same choice.").withDefault(stringDecoder).takesMaybe("")
	s.flag("offsets-decoder", "The log is of __consumer_offsets.")
	s.flag("transaction-log-decoder", "The log is of __transaction_state.")
	s.flag("cluster-metadata-decoder", "The log or snapshot holds metadata records.")
	s.flag("remote-log-metadata-decoder", "The log is of __remote_log_metadata.")
	s.flag("share-group-state-decoder", "The log is of __share_group_state.")
	s.flag("skip-record-metadata", "Print only keys and values of records, and no control records.")
	return s
}

func runDumpLog(r *run, args []string) int {
	p, err := dumpLogOptions().parse(args)
	if err == nil {
		err = r.dumpLog(p)
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	r.errorln(err.Error())
	return r.fail(1)
}

func (r *run) dumpLog(p *parsed) error {
	req := []string{"files"}
	if err := r.helpOrVersion(p, req, "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment."); err != nil {
		return err
	}
	if err := r.checkRequired(p, req, req...); err != nil {
		return err
	}
	families, err := loadStoredRecords(storedRecordsText)
	if err != nil {
		return err
	}
	d := newDumper(r, p, families)
	files := javaSplit(p.value("files"), ",")
	if p.err != nil {
		return p.err
	}
	for _, name := range files {
		if err := d.file(javaPath(name)); err != nil {
			return err
		}
	}
	d.printFindings()
	return nil
}

// dumper is one run of kafka-dump-log.
type dumper struct {
	*run
	options                       *parsed
	printData, deep, skipMetadata bool
	sanityOnly, verifyOnly        bool
	maxMessageSize, maxBytes      int64
	parser                        messageParser
	settle                        func() error  // looks at the options' values, which Kafka does when it needs them
	control                       *storedFamily // control records

	// What was found wrong, by the absolute path of the file; it is told at the end.
	mismatches     findings // of offset indexes
	nonConsecutive findings // of logs
	timeMismatches findings // of time indexes, as the next two
	outOfOrder     findings
	notFound       findings
}

func newDumper(r *run, p *parsed, families map[string]*storedFamily) *dumper {
	d := &dumper{run: r, options: p, control: families["control"]}
	d.printData = p.hasAny("print-data-log", "offsets-decoder", "transaction-log-decoder", "value-decoder-class", "key-decoder-class",
		"cluster-metadata-decoder", "remote-log-metadata-decoder", "share-group-state-decoder")
	d.deep = d.printData || p.has("deep-iteration")
	d.skipMetadata = p.has("skip-record-metadata")
	d.sanityOnly, d.verifyOnly = p.has("index-sanity-check"), p.has("verify-index-only")
	d.settle = func() error {
		d.maxBytes, _ = p.number("max-bytes")
		var err error
		if d.parser, err = newMessageParser(p, families); err != nil {
			if nd := new(noDecoderError); errors.As(err, &nd) {
				r.hint(nd.hint())
			}
			return err
		}
		return p.err
	}
	return d
}

// javaPath is a path as java.io.File keeps it: without doubled and trailing slashes.
func javaPath(name string) string {
	for strings.Contains(name, "//") {
		name = strings.ReplaceAll(name, "//", "/")
	}
	if len(name) > 1 {
		name = strings.TrimSuffix(name, "/")
	}
	return name
}

// absolute is File.getAbsolutePath: the working directory before the path, which stays as it is.
func absolute(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	dir, err := os.Getwd()
	if err != nil {
		return name
	}
	return dir + string(filepath.Separator) + name
}

func (d *dumper) file(name string) error {
	d.println("Dumping " + name)
	base := name[strings.LastIndexByte(name, '/')+1:]
	dot := strings.LastIndexByte(base, '.')
	suffix := ""
	if dot >= 0 {
		suffix = base[dot:]
	}
	switch suffix {
	case ".log", ".checkpoint":
		if err := d.settle(); err != nil {
			return err
		}
		return d.logFile(name, base)
	case ".index":
		if d.maxMessageSize, _ = d.options.number("max-message-size"); d.options.err != nil { // only indexes are read with it
			return d.options.err
		}
		if err := d.settle(); err != nil {
			return err
		}
		return d.indexFile(name, base)
	case ".timeindex":
		return d.timeIndexFile(name, base)
	case ".snapshot":
		return d.producerSnapshotFile(name)
	case ".txnindex":
		return d.txnIndexFile(name, base)
	}
	d.errorln("Ignoring unknown file " + name)
	return nil
}

// baseOffset is the number that a segment's file is named by.
func baseOffset(base string) (int64, error) {
	stem, _, _ := strings.Cut(base, ".")
	return parseLong(stem)
}

// sibling is the path of another file of the same segment, as Java joins it.
func sibling(name, base, suffix string) string {
	stem, _, _ := strings.Cut(base, ".")
	dir := absolute(name)
	return dir[:strings.LastIndexByte(dir, '/')+1] + stem + suffix
}

// input is a file that is printed.
type input struct {
	io.ReaderAt
	name string
	size int64
}

func openInput(name string) (*input, func(), error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errors.New(name) // all that Java says
	}
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = errors.New("Is a directory")
	}
	if err != nil {
		_ = f.Close() // opened for reading only
		return nil, nil, err
	}
	return &input{ReaderAt: f, name: name, size: st.Size()}, func() { _ = f.Close() }, nil
}

// readSmall reads a whole file that is held in memory: an index or a snapshot.
func readSmall(name string) ([]byte, error) {
	in, done, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer done()
	if in.size > maxSmallFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than such a file can have", name, in.size)
	}
	b := make([]byte, in.size)
	if _, err := in.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// maxSmallFileBytes bounds what is read at once: Kafka's largest index has 2 GiB, but
// nobody's comes near a tenth of that.
const maxSmallFileBytes = 256 << 20

// parseLong is Java's Long.parseLong.
func parseLong(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, numberFormat(s)
	}
	return n, nil
}
