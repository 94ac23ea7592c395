package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A log that goes on behind the records that it has lost looks whole afterwards: it begins later, or has a gap as the cleaner
// makes them. So that a check of the directory goes on telling of the loss, the partition's directory keeps a note of it. No
// node goes by it.
//
//	0
//	<number of lines>
//	<first lost offset> <offset that the log went on at>
const passedLossFile = "moldau-passed-losses"

// maxPassedLosses bounds the lines: whoever loses more has heard of it, and the first are joined to one.
const maxPassedLosses = 64

// lossRange is [from, upTo).
type lossRange struct{ from, upTo int64 }

func parsePassedLosses(data []byte) ([]lossRange, error) {
	lines, err := checkpointLines(data)
	if err != nil {
		return nil, err
	}
	var out []lossRange
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 2 {
			return nil, fmt.Errorf("line %q is not two offsets", line)
		}
		from, err1 := strconv.ParseInt(f[0], 10, 64)
		upTo, err2 := strconv.ParseInt(f[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil || from < 0 || from >= upTo {
			return nil, fmt.Errorf("line %q is not two offsets", line)
		}
		out = append(out, lossRange{from, upTo})
	}
	return out, nil
}

// notePassedLoss adds a loss to the note in a log's directory. A damaged note begins anew.
func (l *Log) notePassedLoss(r lossRange) error {
	if r.from >= r.upTo {
		return nil
	}
	name := path.Join(l.dir, passedLossFile)
	var ranges []lossRange
	data, err := readSmallFile(l.env.fs, name)
	if err == nil {
		ranges, err = parsePassedLosses(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.env.logger.Warn("ignoring a damaged note of lost records", "file", name, "err", err)
	}
	if n := len(ranges); n == 0 || ranges[n-1] != r { // a stop may have come between the note and what follows it
		ranges = append(ranges, r)
	}
	if n := len(ranges); n > maxPassedLosses {
		ranges[1].from = ranges[0].from
		ranges = ranges[1:]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(ranges))
	for _, r := range ranges {
		fmt.Fprintf(&b, "%d %d\n", r.from, r.upTo)
	}
	if err := vfs.WriteFileAtomic(l.env.fs, name, []byte(b.String())); err != nil {
		return fmt.Errorf("cannot note that records are lost: %w", err)
	}
	return nil
}

// passedLosses tells of what the partition has lost and has gone on behind. Once the log begins behind it, retention would
// have taken the records too.
func (p *partitionCheck) passedLosses() {
	name := path.Join(p.dir, passedLossFile)
	data, ok := p.readSmall(name)
	if !ok {
		return
	}
	ranges, err := parsePassedLosses(data)
	if err != nil {
		p.damage(name, -1, "records of %s were lost, and it cannot be understood which: %v", p.tp, err)
		return
	}
	for _, r := range ranges {
		if len(p.bases) > 0 && p.bases[0] > r.upTo {
			p.note(name, "records of %s from offset %d to %d were lost; the log begins behind them", p.tp, r.from, r.upTo-1)
			continue
		}
		p.damage(name, -1, "records of %s from offset %d to %d were lost, and the node has gone on behind them; with a backup, stop the node and see what can be had of them, or remove this file when they are not missed", p.tp, r.from, r.upTo-1)
	}
}

// undecidedLosses tells of logs that have lost records, of which it is not decided yet how they go on.
func (c *dirChecker) undecidedLosses() {
	name := path.Join(c.Dir, lostFile)
	data, ok := c.readSmall(name)
	if !ok {
		return
	}
	lost, err := parseLost(data)
	if err != nil {
		c.damage(name, -1, "logs have lost records, and it cannot be understood which: %v", err)
		return
	}
	for _, tp := range sortedPartitions(lost) {
		if c.Topic == nil || c.Topic(tp.Topic) {
			c.damage(name, -1, "%s has lost records that were below offset %d, and it is not decided yet how it goes on: what other replicas hold is copied from them", tp, lost[tp].upTo)
		}
	}
}
