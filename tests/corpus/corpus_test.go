package corpus

import (
	"strings"
	"testing"
	"time"
)

func TestSameSeedSameCorpusAndEveryChangeIsSeen(t *testing.T) {
	start := time.Now()
	a, b := Make(7, start, Limits{}), Make(7, start, Limits{})
	if err := Compare(a, b, Limits{}); err != nil {
		t.Fatalf("the same seed gave another corpus: %v", err)
	}
	changes := map[string]func(rs []Record) []Record{
		"records instead":   func(rs []Record) []Record { return rs[:len(rs)-1] },
		"offset":            func(rs []Record) []Record { rs[4].Offset++; return rs },
		"timestamp":         func(rs []Record) []Record { rs[20].TimestampMs--; return rs },
		"key is":            func(rs []Record) []Record { rs[1].Key = []byte{}; return rs },
		"value is":          func(rs []Record) []Record { rs[2].Value = []byte{}; return rs },
		"headers instead":   func(rs []Record) []Record { rs[8].Headers = rs[8].Headers[1:]; return rs },
		"value of header 6": func(rs []Record) []Record { rs[8].Headers[6].Value = []byte{}; return rs },
		"has key": func(rs []Record) []Record {
			h := rs[8].Headers
			h[0], h[1] = h[1], h[0]
			return rs
		},
	}
	for part, change := range changes {
		err := Compare(a, change(Make(7, start, Limits{})), Limits{})
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("a change that should tell of %q gave %v", part, err)
		}
	}
}

func TestLimitsTakeOutWhatAClientCannotSay(t *testing.T) {
	lim := Limits{TextOnly: true, NoNullKeys: true, NoEmptyKeys: true, NoNullValues: true, NoEmptyValues: true,
		NoNullHeaderValues: true, NoRepeatedHeaders: true, NoEmptyHeaderKeys: true}
	for _, r := range Make(1, time.Now(), lim) {
		if len(r.Key) == 0 {
			t.Errorf("offset %d: empty or null key kept", r.Offset)
		}
		if r.Value == nil {
			t.Errorf("offset %d: null value kept", r.Offset)
		}
		for _, h := range r.Headers {
			if h.Key == "" || h.Value == nil {
				t.Errorf("offset %d: header %q kept", r.Offset, h.Key)
			}
		}
	}
}
