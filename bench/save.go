package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func (o options) resultsFile() string { return filepath.Join(o.out, "benchmarks", "results.json") }

// loadResults reads what runs have left, by scenario.
func loadResults(o options) ([]*result, error) {
	b, err := os.ReadFile(o.resultsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the results: %w", err)
	}
	var out []*result
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", o.resultsFile(), err)
	}
	return out, nil
}

// save puts a result in the place of the one before, unless nothing was measured: the run itself tells why.
func (e *env) save(r *result) error {
	if !slices.ContainsFunc(r.Subjects, func(x subjectResult) bool { return len(x.Rounds) > 0 }) {
		return nil
	}
	all, err := loadResults(e.opts)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(x *result) bool { return x.Scenario == r.Scenario })
	all = append(all, r)
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("cannot write the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(e.opts.resultsFile()), 0o755); err != nil {
		return err
	}
	return os.WriteFile(e.opts.resultsFile(), append(b, '\n'), 0o644)
}

func (e *env) versions(sc *scenario, subjects []subject) map[string]string {
	out := map[string]string{}
	for _, s := range subjects {
		switch s.kind {
		case kindMoldau:
			if b, err := os.ReadFile(s.binary); e.opts.given && err == nil {
				out[s.name] = fmt.Sprintf("a given binary, SHA-256 %.6x", sha256.Sum256(b))
				continue
			}
			commit, _ := exec.Command("git", "-C", "..", "rev-parse", "--short", "HEAD").Output()
			out[s.name] = "commit " + strings.TrimSpace(string(commit))
			if dirty, _ := exec.Command("git", "-C", "..", "status", "--porcelain", "--untracked-files=no", "--", "internal", "cmd", "go.mod").Output(); len(dirty) > 0 {
				out[s.name] += " with changes"
			}
		case kindKafka:
			out[s.name] = e.kafka.Version + ", " + e.kafka.Java + ", heap " + cmp.Or(sc.heap, e.opts.heap)
		}
	}
	return out
}

func (e *env) command(s *scenario) string {
	c := "make bench ONLY=" + s.name
	if e.opts.quick {
		c += " QUICK=1"
	}
	flags := fmt.Sprintf("-rounds %d -length %s", e.opts.rounds, e.opts.length)
	if s.turns != nil {
		flags += fmt.Sprintf(" -strikes %d -kafka-strikes %d", e.opts.strikes, e.opts.kafkaStrikes)
	}
	return c + ` BENCHFLAGS="` + flags + `"`
}
