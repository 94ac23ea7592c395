package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// worseBy is how much more a build may cost before the comparison fails; less is noise.
const worseBy = 0.05

// compare measures two builds in one run: bench compare OLD NEW.
func compare(o options) error {
	if len(o.args) != 2 {
		return errors.New("compare wants two binaries: bench compare [flags] OLD NEW")
	}
	o.kafka, o.quick = "off", o.only == ""
	list, err := wanted(o)
	if err != nil {
		return err
	}
	e, err := newEnv(o)
	if err != nil {
		return err
	}
	defer e.close()
	subjects := []subject{{name: "old", kind: kindMoldau}, {name: "new", kind: kindMoldau}}
	for i := range subjects {
		if subjects[i].binary, err = filepath.Abs(o.args[i]); err != nil {
			return err
		}
	}
	var worse error
	for _, s := range list {
		r := e.scenario(s, subjects)
		printResult(s, r)
		before, after := r.subject("old").of(s.measure), r.subject("new").of(s.measure)
		if len(before) == 0 || len(after) == 0 {
			worse = errors.Join(worse, fmt.Errorf("%s was not measured", s.name))
			continue
		}
		ratio := medianRatio(after, before)
		fmt.Printf("  new/old: %sx %s\n", figure(ratio), s.measure)
		// Worse is what is worse in the middle and in the best round: a busy machine makes both of them slow in turn.
		if ratio > 1+worseBy && slices.Min(after) > slices.Min(before)*(1+worseBy/2) {
			worse = errors.Join(worse, fmt.Errorf("%s: the new build costs %sx the old one's %s", s.name, figure(ratio), s.measure))
		}
	}
	return worse
}
