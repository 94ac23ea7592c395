package storage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// cleanStateFile lists, beside the clean-shutdown marker, the topic ids of the logs in a directory, so that the next
// start need not open a file of each. Kafka does not know it and leaves it alone, so it says what it belongs to:
//
//	moldau-logs 1
//	<checksum of marker and recovery points> <number of logs>
//	<topic> <partition> <topic id>
//
// A file that belongs to another stop, or is damaged, is as good as none: the ids are then read one by one.
const cleanStateFile = "moldau-clean-logs"

const cleanStateMagic = "moldau-logs 1"

// cleanStamp tells one orderly stop from another: the marker carries the broker epoch, which always rises.
func (d *logDir) cleanStamp(marker []byte) (string, error) {
	points, err := readSmallFile(d.env.fs, path.Join(d.path, recoveryPointFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return fmt.Sprintf("%08x%08x%08x", crc32.Checksum(marker, castagnoli), crc32.Checksum(points, castagnoli), len(points)), nil
}

// writeCleanState writes the list; a failure only makes the next start slower.
func (d *logDir) writeCleanState(marker []byte) error {
	stamp, err := d.cleanStamp(marker)
	if err != nil {
		return err
	}
	logs := d.m.logsIn(d)
	body := make([]byte, 0, 64*len(logs))
	for _, l := range logs {
		l.mu.RLock()
		id := l.topicID
		l.mu.RUnlock()
		if id == ([16]byte{}) {
			continue
		}
		body = append(body, l.tp.Topic...)
		body = append(body, ' ')
		body = strconv.AppendInt(body, int64(l.tp.Partition), 10)
		body = append(body, ' ')
		body = append(body, encodeUUID(id)...)
		body = append(body, '\n')
	}
	head := fmt.Sprintf("%s\n%s %08x\n", cleanStateMagic, stamp, crc32.Checksum(body, castagnoli))
	// What the power leaves of it is told by the checksums. It is synced all the same: it also tells of a log that is gone later.
	return writeFile(d.env.fs, path.Join(d.path, cleanStateFile), append([]byte(head), body...), true)
}

// readCleanState reads the topic ids that the last orderly stop has listed; nil when there is no list of it.
func (d *logDir) readCleanState(marker []byte) map[TopicPartition][16]byte {
	data, err := readSmallFile(d.env.fs, path.Join(d.path, cleanStateFile))
	if err != nil {
		return nil
	}
	stamp, err := d.cleanStamp(marker)
	if err != nil || !bytes.HasPrefix(data, []byte(cleanStateMagic+"\n"+stamp+" ")) {
		return nil
	}
	return parseCleanList(data)
}

// parseCleanList reads the file; nil if it is damaged.
func parseCleanList(data []byte) map[TopicPartition][16]byte {
	magic, rest, _ := bytes.Cut(data, []byte{'\n'})
	head, body, _ := bytes.Cut(rest, []byte{'\n'})
	_, sum, _ := bytes.Cut(head, []byte{' '})
	if string(magic) != cleanStateMagic || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) {
		return nil
	}
	return parseCleanState(string(body))
}

func parseCleanState(body string) map[TopicPartition][16]byte {
	ids := make(map[TopicPartition][16]byte, strings.Count(body, "\n"))
	for line := range strings.Lines(body) {
		topic, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		number, id, _ := strings.Cut(rest, " ")
		p, err1 := strconv.ParseInt(number, 10, 32)
		u, err2 := parseUUID(id)
		if err1 != nil || err2 != nil {
			return nil
		}
		ids[TopicPartition{topic, int32(p)}] = u
	}
	return ids
}
