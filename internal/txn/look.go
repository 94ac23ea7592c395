package txn

import (
	"maps"
	"regexp"
	"slices"
)

// description is a transactional id as DescribeTransactions shows it.
type description struct {
	code int16
	value
}

func (s *Shard) describe(id string) description {
	tx := s.txns[id]
	switch {
	case tx == nil:
		return description{code: codeTxnIDNotFound}
	case tx.aside:
		return description{code: codeCoordinatorNotAvailable}
	}
	d := description{value: tx.value}
	if tx.state.decided() {
		d.partitions = tx.markers.left // what still waits for its marker, as Kafka shows it
	}
	return d
}

// filter chooses transactional ids.
type filter struct {
	states      []string
	producerIDs []int64
	durationMs  int64 // open for longer than that; negative: any
	pattern     *regexp.Regexp
}

// compilePattern makes a pattern that the whole id must match; nil for none.
func compilePattern(pattern *string) (*regexp.Regexp, error) {
	if pattern == nil || *pattern == "" {
		return nil, nil
	}
	return regexp.Compile(`\A(?:` + *pattern + `)\z`)
}

func (f *filter) admits(tx *transaction, nowMs int64) bool {
	switch {
	case tx.aside,
		len(f.producerIDs) > 0 && !slices.Contains(f.producerIDs, tx.producerID),
		len(f.states) > 0 && !slices.Contains(f.states, tx.state.String()),
		f.durationMs >= 0 && nowMs-tx.startMs <= f.durationMs,
		f.pattern != nil && !f.pattern.MatchString(tx.id):
		return false
	}
	return true
}

// listed is a transactional id as ListTransactions shows it.
type listed struct {
	id         string
	producerID int64
	state      string
}

func (s *Shard) list(f *filter, nowMs int64) []listed {
	var out []listed
	for _, id := range slices.Sorted(maps.Keys(s.txns)) {
		if tx := s.txns[id]; f.admits(tx, nowMs) {
			out = append(out, listed{id, tx.producerID, tx.state.String()})
		}
	}
	return out
}
