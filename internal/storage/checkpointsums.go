package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// sumsFile vouches for the checkpoints of recovery points and high watermarks, which are Kafka's own files and have no checksum. A digit
// that a disk has flipped in one of them, or a hand, would raise an offset: what the log has never had would be called lost, and what a
// power cut has torn be believed. Kafka does not know the file. It is padded to one size and written over in place:
//
//	moldau-sums 1 <CRC-32C of what follows>
//	marker <CRC-32C of the clean-shutdown marker, or - while a node runs>
//	<name of the checkpoint> <length>:<CRC-64> ...
//
// The checksum of a checkpoint is on the disk before the checkpoint is written, beside those that may be in place until then. Where none
// of them fits, but one does with one digit or bit changed, that is what the file said. Anything else Kafka has written, or a copy
// from elsewhere. Without it the checkpoints are believed as they are.
const sumsFile = "moldau-checkpoint-sums"

const (
	sumsMagic = "moldau-sums 1"
	sumsBytes = 512
	// maxSums is how many contents a checkpoint may have at a moment: the last one, and those of writings that have failed.
	maxSums = 4
	// maxMendBytes bounds the search for a changed digit: a checkpoint of a million partitions has a tenth of it.
	maxMendBytes = 256 << 20
)

var ecma = crc64.MakeTable(crc64.ECMA)

// summed are the checkpoints that are vouched for.
var summed = [...]string{recoveryPointFile, highWatermarkFile}

// contentSum tells one content of a file from others.
type contentSum struct {
	length int
	crc    uint64
}

func sumOf(data []byte) contentSum { return contentSum{len(data), crc64.Checksum(data, ecma)} }

// checkpointSums is what the file says. It is guarded by the directory's ckMu once that is in use.
type checkpointSums struct {
	marker string // as in the file; "" where nothing is known
	of     map[string][]contentSum
}

const noMarker = "-"

func markerSum(marker []byte) string {
	if marker == nil {
		return noMarker
	}
	return fmt.Sprintf("%08x", crc32.Checksum(marker, castagnoli))
}

func (s *checkpointSums) encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "marker %s\n", s.marker)
	for _, name := range summed {
		b.WriteString(name)
		for _, sum := range s.of[name] {
			fmt.Fprintf(&b, " %x:%x", sum.length, sum.crc)
		}
		b.WriteByte('\n')
	}
	head := len(sumsMagic) + len(" 00000000\n")
	body := fmt.Sprintf("%-*s\n", sumsBytes-head-1, b.String())
	return fmt.Appendf(nil, "%s %08x\n%s", sumsMagic, crc32.Checksum([]byte(body), castagnoli), body)
}

// parseSums gives nothing for a file that is damaged.
func parseSums(data []byte) checkpointSums {
	head, body, _ := strings.Cut(string(data), "\n")
	if head != fmt.Sprintf("%s %08x", sumsMagic, crc32.Checksum([]byte(body), castagnoli)) {
		return checkpointSums{}
	}
	out := checkpointSums{of: map[string][]contentSum{}}
	for line := range strings.Lines(body) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "marker" {
			out.marker = f[1]
			continue
		}
		for i := 1; i < len(f); i++ {
			length, sum, _ := strings.Cut(f[i], ":")
			n, err1 := strconv.ParseInt(length, 16, 32)
			crc, err2 := strconv.ParseUint(sum, 16, 64)
			if err1 != nil || err2 != nil {
				return checkpointSums{}
			}
			out.of[f[0]] = append(out.of[f[0]], contentSum{int(n), crc})
		}
	}
	return out
}

// readSums reads the file, where it speaks of what is in the directory: Kafka, if it was here since, has left another marker of its stop,
// or has taken ours away.
func readSums(fsys vfs.FS, dir string) checkpointSums {
	nothing := checkpointSums{of: map[string][]contentSum{}}
	data, err := readSmallFile(fsys, path.Join(dir, sumsFile))
	if err != nil {
		return nothing
	}
	_, _, marker, err := readCleanShutdown(fsys, dir)
	if s := parseSums(data); err == nil && s.of != nil && s.marker == markerSum(marker) {
		return s
	}
	return nothing
}

// writeSums writes the file, durably: one from before a power cut would seem to be of another content.
func (d *logDir) writeSums() error {
	f, err := d.env.fs.OpenFile(path.Join(d.path, sumsFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(d.sums.encode(), 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// noteMarker notes how the directory is left: with a marker, or in use. Where that is not possible, nothing is vouched for.
func (d *logDir) noteMarker(marker []byte) {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	d.sums.marker = markerSum(marker)
	if err := d.writeSums(); err != nil && !isDiskFull(err) {
		d.env.logger.Warn("cannot note the checksums of the checkpoints", "dir", d.path, "err", err)
	}
}

// replaceCheckpoint writes one of the offset files, and what vouches for it before. ckMu is held.
func (d *logDir) replaceCheckpoint(name string, offsets map[TopicPartition]int64) error {
	data, full := encodeOffsets(offsets), path.Join(d.path, name)
	if !slices.Contains(summed[:], name) {
		return vfs.WriteFileAtomic(d.env.fs, full, data)
	}
	now := sumOf(data)
	err := d.vouchFor(name, now)
	if err == nil {
		err = vfs.WriteFileAtomic(d.env.fs, full, data)
	}
	if err == nil {
		d.sums.of[name] = []contentSum{now}
	}
	return err
}

// vouchFor notes what a checkpoint is about to say, beside what it may say until then.
func (d *logDir) vouchFor(name string, now contentSum) error {
	was := slices.DeleteFunc(slices.Clone(d.sums.of[name]), func(s contentSum) bool { return s == now })
	if len(was) >= maxSums {
		was = was[len(was)-maxSums+1:]
	}
	d.sums.of[name] = append(was, now)
	return d.writeSums()
}

// mended is a checkpoint as it was before a digit of it was changed; ok is false where nothing says that one was.
func (s *checkpointSums) mended(name string, data []byte) (was []byte, ok bool) {
	listed, have := s.of[name], sumOf(data)
	if slices.Contains(listed, have) || len(data) > maxMendBytes {
		return nil, false
	}
	for _, sum := range listed {
		if sum.length != have.length {
			continue
		}
		at, with, found := changedByte(len(data), sum.crc^have.crc)
		if !found {
			continue
		}
		was = slices.Clone(data)
		was[at] ^= with
		if sumOf(was) == sum && isRaised(data, was) {
			return was, true
		}
	}
	return nil, false
}

// isRaised says that a file names an offset above that which it named, or cannot be understood. One that names a lower one does no
// harm; it might also be what somebody has written who knew.
func isRaised(data, was []byte) bool {
	before, err := parseOffsets(was)
	if err != nil {
		return false
	}
	now, err := parseOffsets(data)
	if err != nil {
		return true
	}
	for tp, at := range now {
		if was, ok := before[tp]; ok && at < was {
			return false
		}
	}
	return true
}

// changedByte finds the one byte of n, and the bits in it, whose change changes a checksum so: a single bit, or one digit for another.
// A checksum is linear: what a change does to it depends on the place and the bits alone.
func changedByte(n int, change uint64) (at int, bits byte, ok bool) {
	var of [8]uint64 // what a change of each bit does at this place
	for bit := range of {
		of[bit] = ecma[1<<bit]
	}
	for at = n - 1; at >= 0; at-- {
		for digit := byte(1); digit < 16; digit++ { // digits differ in their lower half
			sum := uint64(0)
			for bit := range 4 {
				if digit&(1<<bit) != 0 {
					sum ^= of[bit]
				}
			}
			if sum == change {
				return at, digit, true
			}
		}
		for bit := 4; bit < 8; bit++ {
			if of[bit] == change {
				return at, 1 << bit, true
			}
		}
		for bit, sum := range of {
			of[bit] = ecma[byte(sum)] ^ sum>>8
		}
	}
	return 0, 0, false
}

// mendCheckpoint gives what a checkpoint said before a digit of it was changed, and says so once: the file says it again.
func (d *logDir) mendCheckpoint(name string, data []byte) []byte {
	if !slices.Contains(summed[:], name) {
		return data
	}
	was, ok := d.sums.mended(name, data)
	if !ok {
		d.sums.of[name] = []contentSum{sumOf(data)} // from now on
		return data
	}
	d.sums.of[name] = []contentSum{sumOf(was)}
	full := path.Join(d.path, name)
	d.env.damaged.Add(1)
	d.env.logger.Error("a digit of a checkpoint was changed, by the disk or from outside: it says again what it said. No record is lost by that", "file", full,
		"said", changedLine(data, was), "was", changedLine(was, data))
	if err := vfs.WriteFileAtomic(d.env.fs, full, was); err != nil {
		d.env.logger.Warn("cannot write a checkpoint anew", "err", err)
		d.mustWrite[name] = true
	}
	return was
}

// changedLine is the line in which a text differs from another of its length.
func changedLine(text, from []byte) string {
	for i := range text {
		if text[i] != from[i] {
			begin, end := strings.LastIndexByte(string(text[:i]), '\n')+1, strings.IndexByte(string(text[i:]), '\n')
			if end < 0 {
				end = len(text) - i
			}
			return string(text[begin : i+end])
		}
	}
	return ""
}
