package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// verdict is what became of a target.
type verdict struct {
	text string
	met  bool
}

// verdicts compares a result with the scenario's targets.
func verdicts(s *scenario, r *result) []verdict {
	ours := r.subject("moldau")
	var out []verdict
	for _, t := range s.targets {
		mine := ours.of(t.metric)
		if len(mine) == 0 {
			continue
		}
		if t.against == "" {
			out = append(out, t.alone(mine))
			continue
		}
		theirs := r.subject(string(t.against)).of(t.metric)
		if len(theirs) == 0 {
			continue
		}
		ratio := medianRatio(mine, theirs)
		switch {
		case t.atMost > 0:
			met := ratio <= t.atMost
			out = append(out, verdict{fmt.Sprintf("%sx %s's %s, wanted at most %sx: %s", figure(ratio), t.against, t.metric, figure(t.atMost), word(met)), met})
		default:
			if !t.more {
				ratio = 1 / ratio
			}
			met := ratio >= t.atLeast
			out = append(out, verdict{fmt.Sprintf("%sx better than %s in %s, wanted at least %sx: %s", figure(ratio), t.against, t.metric, figure(t.atLeast), word(met)), met})
		}
	}
	return out
}

// alone judges figures by themselves.
func (t target) alone(mine []float64) verdict {
	v, what := median(mine), t.metric
	if t.worst {
		v = slices.Max(mine)
		if t.more {
			v = slices.Min(mine)
		}
		if what += " at worst"; len(mine) > 1 {
			what += fmt.Sprintf(" of %d", len(mine))
		}
	}
	met, bound := v <= t.atMost, "at most "+figure(t.atMost)
	if t.more {
		met, bound = v >= t.atLeast, "at least "+figure(t.atLeast)
	}
	return verdict{fmt.Sprintf("%s %s, wanted %s: %s", figure(v), what, bound, word(met)), met}
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// medianRatio is the median of the ratios of rounds that were measured one after the other.
func medianRatio(mine, theirs []float64) float64 {
	n := min(len(mine), len(theirs))
	ratios := make([]float64, n)
	for i := range n {
		ratios[i] = mine[i] / theirs[i]
	}
	return median(ratios)
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', min(max(digits, 0), 6), 64)
}
