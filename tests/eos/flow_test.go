package eos

import (
	"errors"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func counts(word string, ns ...int64) []*kgo.Record {
	var out []*kgo.Record
	for _, n := range ns {
		out = append(out, &kgo.Record{Key: []byte(word), Value: strconv.AppendInt(nil, n, 10)})
	}
	return out
}

func TestACountThatIsDoubledOrLeftOutIsFound(t *testing.T) {
	w := &written{words: map[string]int64{"a": 3}}
	for _, c := range []struct {
		name  string
		got   []*kgo.Record
		whole bool
		wrong bool
	}{
		{"whole", counts("a", 1, 2, 3), true, false},
		{"not yet whole", counts("a", 1, 2), false, false},
		{"doubled", counts("a", 1, 2, 2), false, true},
		{"left out", counts("a", 1, 3), false, true},
		{"too many", counts("a", 1, 2, 3, 4), false, true},
	} {
		if whole, err := counted(w, c.got); whole != c.whole || errors.Is(err, errWrong) != c.wrong {
			t.Errorf("%s: %t, %v", c.name, whole, err)
		}
	}
}

func TestACopyThatIsDoubledOrLeftOutIsFound(t *testing.T) {
	w := &written{count: 8}
	copies := func(ns ...int64) []*kgo.Record {
		var out []*kgo.Record
		for _, n := range ns {
			out = append(out, original(n))
		}
		return out
	}
	for _, c := range []struct {
		name  string
		got   []*kgo.Record
		whole bool
		wrong bool
	}{
		{"whole", copies(0, 1, 2, 3, 4, 5, 6, 7), true, false},
		{"not yet whole", copies(0, 1, 5), false, false},
		{"doubled", copies(0, 0), false, true},
		{"left out", copies(4), false, true},
		{"too many", copies(0, 1, 2, 3, 4, 5, 6, 7, 8), false, true},
	} {
		if whole, err := copied(w, c.got); whole != c.whole || errors.Is(err, errWrong) != c.wrong {
			t.Errorf("%s: %t, %v", c.name, whole, err)
		}
	}
}
