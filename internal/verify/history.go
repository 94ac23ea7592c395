package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// historyRule is a rule about what is left of all that was written.
type historyRule struct{ name, says, cites string }

// historyAPI stands where a rule has no API of its own.
const historyAPI = "history"

// Names of the history's rules.
const (
	ruleLost       = "history/lost"
	ruleDuplicated = "history/duplicated"
	ruleReordered  = "history/reordered"
	rulePhantom    = "history/phantom"
	ruleOffset     = "history/offset"
	ruleTorn       = "history/torn"
	ruleSame       = "history/same-for-all"
	rulePoll       = "history/poll"
	ruleBack       = "history/back"
	ruleProgress   = "history/progress"
)

func historyRules() []historyRule {
	const design = "Kafka documentation, design: message delivery semantics"
	return []historyRule{
		{ruleLost, "A record that was acknowledged with acks=all is read, by readers of either isolation and by groups.", design},
		{ruleDuplicated, "A record of an idempotent producer is in the log once.", "KIP-98"},
		{ruleReordered, "Records of one producer to one partition are in the order in which it sent them.", design},
		{rulePhantom, "Nothing is read that nobody wrote.", design},
		{ruleOffset, "A record is at the offset that its acknowledgement named.", protocolGuide + ", Produce"},
		{ruleTorn, "Readers of committed records see a transaction whole when it was committed, and nothing of it when it was aborted.", "KIP-98"},
		{ruleSame, "Every reader, and every later reading, finds the same record at the same offset.", design},
		{rulePoll, "Within a partition each poll goes on after the one before it.", design},
		{ruleBack, "High watermark, last stable offset and a group's committed offsets do not go back.", design},
		{ruleProgress, "Producers, transactions, readers and groups get on without errors.", design},
	}
}

// place is a record's place.
type place struct {
	partition int32
	offset    int64
}

// sent is a record that a producer has sent.
type sent struct {
	value    string
	producer int
	sequence int // among all that its producer sent
	at       place
	acked    bool // at.offset is what the acknowledgement said
	txn      int  // its transaction, 0 outside of any
}

// Ends of a transaction. One whose end was not answered may be either.
type txnEnd byte

const (
	endUnknown txnEnd = iota
	endCommitted
	endAborted
)

// seen is a record that somebody has read.
type seen struct {
	at    place
	value string
}

// reading is what one reader has seen, in its order.
type reading struct {
	who       string
	committed bool // it asked for committed records only
	group     bool // it is a group's, which may see a record twice
	records   []seen
}

// chronicle is all that was written and read. The check of it is pure.
type chronicle struct {
	sent     []sent
	txns     map[int]txnEnd
	readings []reading
}

// finding is a broken rule with an example.
type finding struct {
	rule, expected, got string
}

// findings collects a few examples of each broken rule.
type findings struct {
	list  []finding
	count map[string]int
}

// examples is how many findings of one rule are told in full.
const examples = 3

func (f *findings) add(rule, expected, got string, args ...any) {
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[rule]++
	if f.count[rule] <= examples {
		f.list = append(f.list, finding{rule, expected, fmt.Sprintf(got, args...)})
	}
}

// check holds the readings against what was sent.
func (c *chronicle) check() *findings {
	f := &findings{}
	byValue := map[string]*sent{}
	for i := range c.sent {
		byValue[c.sent[i].value] = &c.sent[i]
	}
	for i := range c.readings {
		r := &c.readings[i]
		c.checkRecords(f, r, byValue)
		c.checkLost(f, r)
		if r.committed {
			c.checkTorn(f, r, byValue)
		}
	}
	c.checkSame(f)
	return f
}

// checkRecords looks at each record that was read: who sent it, where, and what of its producer came before.
func (c *chronicle) checkRecords(f *findings, r *reading, byValue map[string]*sent) {
	first := map[string]place{}
	type lane struct {
		producer  int
		partition int32
	}
	last := map[lane]*sent{}
	// In the order of offsets, since partitions are read side by side and a group's members too.
	ordered := slices.Clone(r.records)
	slices.SortStableFunc(ordered, func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.at.partition, b.at.partition), cmp.Compare(a.at.offset, b.at.offset))
	})
	for _, s := range ordered {
		w := byValue[s.value]
		if w == nil {
			f.add(rulePhantom, "only records that were sent", "%s read %q at %s", r.who, s.value, s.at)
			continue
		}
		if before, twice := first[s.value]; twice {
			if before != s.at || !r.group {
				f.add(ruleDuplicated, fmt.Sprintf("%q once", s.value), "%s read it at %s and at %s", r.who, before, s.at)
			}
			continue
		}
		first[s.value] = s.at
		if w.acked && w.at != s.at {
			f.add(ruleOffset, fmt.Sprintf("%q at %s, as acknowledged", s.value, w.at), "%s read it at %s", r.who, s.at)
		}
		l := lane{w.producer, s.at.partition}
		if p := last[l]; p != nil && p.sequence > w.sequence {
			f.add(ruleReordered, fmt.Sprintf("%q before %q, as sent", w.value, p.value), "%s read it after, at %s", r.who, s.at)
		}
		last[l] = w
	}
}

// checkLost looks for what was acknowledged and not read.
func (c *chronicle) checkLost(f *findings, r *reading) {
	read := map[string]bool{}
	for _, s := range r.records {
		read[s.value] = true
	}
	for _, w := range c.sent {
		if !w.acked || read[w.value] || r.committed && w.txn != 0 {
			continue // torn transactions have a rule of their own
		}
		f.add(ruleLost, fmt.Sprintf("%q, acknowledged at %s", w.value, w.at), "%s did not read it", r.who)
	}
}

// checkTorn counts what a reader of committed records has seen of each transaction.
func (c *chronicle) checkTorn(f *findings, r *reading, byValue map[string]*sent) {
	all, got := map[int]int{}, map[int]int{}
	for _, w := range c.sent {
		all[w.txn]++
	}
	read := map[string]bool{}
	for _, s := range r.records {
		if w := byValue[s.value]; w != nil && !read[s.value] {
			read[s.value] = true
			got[w.txn]++
		}
	}
	for _, t := range slices.Sorted(maps.Keys(c.txns)) {
		switch {
		case c.txns[t] == endCommitted && got[t] != all[t]:
			f.add(ruleTorn, fmt.Sprintf("all %d records of committed transaction %d", all[t], t), "%s read %d", r.who, got[t])
		case c.txns[t] == endAborted && got[t] != 0:
			f.add(ruleTorn, fmt.Sprintf("no record of aborted transaction %d", t), "%s read %d of %d", r.who, got[t], all[t])
		case c.txns[t] == endUnknown && got[t] != 0 && got[t] != all[t]:
			f.add(ruleTorn, fmt.Sprintf("all %d records of transaction %d or none", all[t], t), "%s read %d", r.who, got[t])
		}
	}
}

// checkSame compares what the readers found at each place.
func (c *chronicle) checkSame(f *findings) {
	type found struct{ value, who string }
	at := map[place]found{}
	for _, r := range c.readings {
		for _, s := range r.records {
			if before, ok := at[s.at]; ok && before.value != s.value {
				f.add(ruleSame, fmt.Sprintf("%q at %s, as %s read it", before.value, s.at, before.who), "%s read %q", r.who, s.value)
				continue
			}
			at[s.at] = found{s.value, r.who}
		}
	}
}

func (p place) String() string {
	return fmt.Sprintf("offset %d of partition %d", p.offset, p.partition)
}

// HistoryReport says what the history was made of.
type HistoryReport struct {
	Partitions   int      `json:"partitions"`
	Acknowledged int      `json:"recordsAcknowledged"`
	Committed    int      `json:"transactionsCommitted"`
	Aborted      int      `json:"transactionsAborted"`
	Readings     int      `json:"readings"`
	Read         int      `json:"recordsRead"`
	Groups       []string `json:"groups"`
	Rebalances   int      `json:"rebalances"`
	Broken       []string `json:"brokenRules"`
}

func (h *HistoryReport) text() string {
	s := fmt.Sprintf("history: %d records acknowledged in %d partitions, %d transactions committed and %d aborted; %d readings of %d records, %d of them by groups (%s) with %d assignments; ",
		h.Acknowledged, h.Partitions, h.Committed, h.Aborted, h.Readings, h.Read, len(h.Groups), words(h.Groups), h.Rebalances)
	if len(h.Broken) == 0 {
		return s + "nothing lost, doubled, reordered or torn\n"
	}
	return s + "broken: " + words(h.Broken) + "\n"
}
