package verify

import (
	"maps"
	"slices"
	"testing"
)

// aChronicle is a producer with four records in two partitions, a committed transaction 1 and an aborted one 2 of another.
func aChronicle() *chronicle {
	c := &chronicle{txns: map[int]txnEnd{1: endCommitted, 2: endAborted}}
	send := func(value string, producer, sequence, txn int, p int32, offset int64) {
		c.sent = append(c.sent, sent{value: value, producer: producer, sequence: sequence, txn: txn, at: place{p, offset}, acked: true})
	}
	send("a0", 1, 0, 0, 0, 0)
	send("a1", 1, 1, 0, 1, 0)
	send("a2", 1, 2, 0, 0, 1)
	send("a3", 1, 3, 0, 1, 1)
	send("b0", 2, 0, 1, 0, 2)
	send("b1", 2, 1, 1, 1, 2)
	send("b2", 2, 2, 2, 0, 4)
	send("b3", 2, 3, 2, 1, 4)
	return c
}

// everything is what a reader of all records sees of it.
func everything() []seen {
	return []seen{{place{0, 0}, "a0"}, {place{0, 1}, "a2"}, {place{0, 2}, "b0"}, {place{0, 4}, "b2"}, {place{1, 0}, "a1"}, {place{1, 1}, "a3"}, {place{1, 2}, "b1"}, {place{1, 4}, "b3"}}
}

// decided is what a reader of committed records sees of it.
func decided() []seen {
	return slices.DeleteFunc(everything(), func(s seen) bool { return s.value == "b2" || s.value == "b3" })
}

func without(rs []seen, value string) []seen {
	return slices.DeleteFunc(rs, func(s seen) bool { return s.value == value })
}

func TestWhatAHistoryMayNotShow(t *testing.T) {
	reads := func(rs []seen) reading { return reading{who: "r", records: rs} }
	commits := func(rs []seen) reading { return reading{who: "c", committed: true, records: rs} }
	groups := func(rs []seen) reading { return reading{who: "g", group: true, records: rs} }
	for name, test := range map[string]struct {
		change   func(c *chronicle)
		readings []reading
		broken   []string
	}{
		"all well":                             {nil, []reading{reads(everything()), commits(decided()), groups(everything())}, nil},
		"a group sees a record again":          {nil, []reading{groups(append(everything(), everything()[:3]...))}, nil},
		"not acknowledged, not there":          {func(c *chronicle) { c.sent[2].acked = false }, []reading{reads(without(everything(), "a2"))}, nil},
		"not acknowledged, there":              {func(c *chronicle) { c.sent[2].acked, c.sent[2].at.offset = false, -1 }, []reading{reads(everything())}, nil},
		"a transaction whose end is not known": {func(c *chronicle) { c.txns[2] = endUnknown }, []reading{commits(decided()), commits(everything())}, nil},

		"lost":                       {nil, []reading{reads(without(everything(), "a2"))}, []string{ruleLost}},
		"lost to the group":          {nil, []reading{groups(without(everything(), "a2"))}, []string{ruleLost}},
		"lost to committed readers":  {nil, []reading{commits(without(decided(), "a2"))}, []string{ruleLost}},
		"twice in the log":           {nil, []reading{reads(append(everything(), seen{place{0, 5}, "a2"}))}, []string{ruleDuplicated}},
		"twice in the log, to group": {nil, []reading{groups(append(everything(), seen{place{0, 5}, "a2"}))}, []string{ruleDuplicated}},
		"twice to one reader":        {nil, []reading{reads(append(everything(), seen{place{0, 1}, "a2"}))}, []string{ruleDuplicated}},
		"nobody's":                   {nil, []reading{reads(append(everything(), seen{place{0, 5}, "z"}))}, []string{rulePhantom}},
		"two change places":          {nil, []reading{reads(swapped(everything(), "a0", "a2"))}, []string{ruleReordered, ruleOffset}},
		"not where it was said":      {func(c *chronicle) { c.sent[2].at.offset = 7 }, []reading{reads(everything())}, []string{ruleOffset}},
		"half a commit":              {nil, []reading{commits(without(decided(), "b1"))}, []string{ruleTorn}},
		"a committed one is missing": {nil, []reading{commits(without(without(decided(), "b0"), "b1"))}, []string{ruleTorn}},
		"an aborted record":          {nil, []reading{commits(without(everything(), "b2"))}, []string{ruleTorn}},
		"half of who knows":          {func(c *chronicle) { c.txns[2] = endUnknown }, []reading{commits(without(everything(), "b2"))}, []string{ruleTorn}},
		"two readers, two stories":   {func(c *chronicle) { c.sent[0].acked, c.sent[2].acked = false, false }, []reading{reads(without(everything(), "a2")), reads(append(without(without(everything(), "a0"), "a2"), seen{place{0, 0}, "a2"}))}, []string{ruleSame}},
	} {
		t.Run(name, func(t *testing.T) {
			c := aChronicle()
			if test.change != nil {
				test.change(c)
			}
			c.readings = test.readings
			f := c.check()
			got := slices.Sorted(maps.Keys(f.count))
			slices.Sort(test.broken)
			if !slices.Equal(got, test.broken) {
				t.Errorf("broken are %v, not %v: %+v", got, test.broken, f.list)
			}
		})
	}
}

func swapped(rs []seen, a, b string) []seen {
	i, j := slices.IndexFunc(rs, func(s seen) bool { return s.value == a }), slices.IndexFunc(rs, func(s seen) bool { return s.value == b })
	rs[i].value, rs[j].value = rs[j].value, rs[i].value
	return rs
}

func TestFindingsKeepAFewExamples(t *testing.T) {
	f := &findings{}
	for range 50 {
		f.add(ruleLost, "a record", "none")
	}
	if len(f.list) != examples || f.count[ruleLost] != 50 {
		t.Errorf("%d examples of %d", len(f.list), f.count[ruleLost])
	}
}
