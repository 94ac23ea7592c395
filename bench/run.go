package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
)

// allScenarios are the rows of the report, in its order.
func allScenarios() []*scenario {
	return slices.Concat(loadScenarios(), nodeScenarios(), clientScenarios(), groupScenarios(), clusterScenarios())
}

// result is what a scenario has given, as it is kept in the file of results.
type result struct {
	Scenario string
	When     time.Time
	Machine  host.Machine
	Versions map[string]string // by subject
	Command  string
	Length   string
	Subjects []subjectResult
	// Profile is where the CPU went, taken where a target was missed.
	Profile string `json:",omitempty"`
}

type subjectResult struct {
	Name   string
	Rounds []metrics
	Error  string `json:",omitempty"`
}

func (r *result) subject(name string) *subjectResult {
	i := slices.IndexFunc(r.Subjects, func(s subjectResult) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Subjects[i]
}

// of is the figures of one metric, by round; of a subject that has failed, what it did before is no figure.
func (s *subjectResult) of(metric string) []float64 {
	var out []float64
	if s == nil || s.Error != "" {
		return nil
	}
	for _, m := range s.Rounds {
		if v, ok := m[metric]; ok {
			out = append(out, v)
		}
	}
	return out
}

// measure is the bench command itself.
func measure(o options) error {
	list, err := wanted(o)
	if err != nil {
		return err
	}
	if o.list {
		for _, s := range allScenarios() {
			fmt.Printf("%-22s %s\n", s.name, s.title)
		}
		return nil
	}
	e, err := newEnv(o)
	if err != nil {
		return err
	}
	defer e.close()
	if o.moldau == "" {
		if o.moldau, err = build(e.dir); err != nil {
			return err
		}
	}
	o.moldau, _ = filepath.Abs(o.moldau)
	e.opts.moldau = o.moldau
	subjects := []subject{{"roofline", kindRoofline, ""}, {"moldau", kindMoldau, o.moldau}}
	if o.kafka == "on" || o.kafka == "auto" && !o.quick {
		if e.kafka, err = host.FindKafka(kafkaVersion); err == nil {
			subjects = append(subjects, subject{"kafka", kindKafka, ""})
		} else if o.kafka == "on" {
			return err
		} else {
			fmt.Println("without Apache Kafka:", err)
		}
	}
	var failed error
	for _, s := range list {
		r := e.scenario(s, subjects)
		printResult(s, r)
		if err := e.save(r); err != nil {
			return err
		}
		for _, x := range r.Subjects {
			if x.Error != "" {
				failed = errors.Join(failed, fmt.Errorf("%s: %s: %s", s.name, x.Name, x.Error))
			}
		}
	}
	return errors.Join(failed, rewrite(o))
}

// scenario measures the subjects in turn, so that what else the machine does meets all of them.
func (e *env) scenario(s *scenario, subjects []subject) *result {
	fmt.Printf("\n%s: %s\n  %s\n", s.name, s.title, s.how)
	r := &result{Scenario: s.name, When: time.Now().UTC().Truncate(time.Second), Machine: host.ThisMachine(e.dir), Versions: e.versions(s, subjects), Length: e.opts.length.String(), Command: e.command(s)}
	var in []subject
	for _, x := range subjects {
		if slices.Contains(s.subjects, x.kind) {
			in = append(in, x)
			r.Subjects = append(r.Subjects, subjectResult{Name: x.name})
		}
	}
	if s.unpinned && e.opts.driverCPU >= 0 {
		if err := host.Rebind(host.EveryCPU); err != nil {
			fmt.Println("  the driver stays on its CPU:", err)
		}
		defer host.Rebind(e.opts.driverCPU)
	}
	for i := range in {
		if err := e.warmUp(s, in[i]); err != nil {
			r.Subjects[i].Error = err.Error()
		}
	}
	for turn := range s.most(e.opts) {
		for i := range in {
			if r.Subjects[i].Error != "" || turn >= s.roundsOf(e.opts, in[i].kind) {
				continue
			}
			m, err := s.run(e, in[i], round{scenario: s, length: e.opts.length})
			if err != nil {
				r.Subjects[i].Error = err.Error()
				continue
			}
			r.Subjects[i].Rounds = append(r.Subjects[i].Rounds, m)
		}
	}
	if e.opts.profile != "" {
		e.profiles(s, in)
	} else if missed(s, r) {
		r.Profile = e.explain(s, in)
	}
	return r
}

// roundsOf is how many rounds a kind of subject has.
func (s *scenario) roundsOf(o options, k kind) int {
	switch {
	case s.turns != nil:
		return s.turns(o, k)
	case s.rounds > 0:
		return min(o.rounds, s.rounds)
	}
	return o.rounds
}

// most is the rounds of whoever has most of them.
func (s *scenario) most(o options) (n int) {
	for _, k := range s.subjects {
		n = max(n, s.roundsOf(o, k))
	}
	return n
}

func missed(s *scenario, r *result) bool {
	return slices.ContainsFunc(verdicts(s, r), func(v verdict) bool { return !v.met })
}

// explain profiles Moldau once more and says where the CPU goes; empty where the row is not about that.
func (e *env) explain(s *scenario, in []subject) string {
	i := slices.IndexFunc(in, func(x subject) bool { return x.kind == kindMoldau })
	if i < 0 || s.columns[0] != cpuPerGB && s.measure != cpuPerReq || s.unprofiled {
		return ""
	}
	file := filepath.Join(e.dir, "explain.pprof")
	opts := e.opts
	defer func() { e.opts = opts }()
	e.opts.profile = "cpu"
	if _, err := s.run(e, in[i], round{scenario: s, length: max(opts.length, 4*time.Second), profile: file}); err != nil {
		fmt.Println("  no profile:", err)
		return ""
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount", strconv.Itoa(profileLines), "-hide", "^runtime\\.(goexit|main|mcall)", opts.moldau, file).Output()
	if err != nil {
		fmt.Println("  no profile:", err)
		return ""
	}
	_, table, _ := strings.Cut(string(out), "flat  flat%")
	return "flat  flat%" + strings.ReplaceAll(table, "github.com/moldau-stream/moldau/internal/", "")
}

// profileLines is how much of a profile the report shows.
const profileLines = 45

// warmUp drives a subject before it is measured: a JVM until it has compiled what it runs.
func (e *env) warmUp(s *scenario, x subject) error {
	if s.warm == 0 {
		return nil
	}
	length := 2 * time.Second
	if x.kind == kindKafka {
		length = s.warm
	}
	if e.opts.quick {
		length = min(length, 20*time.Second)
	}
	for end := time.Now().Add(length); ; {
		if _, err := s.run(e, x, round{scenario: s, length: min(length, 5*time.Second), warming: true}); err != nil {
			return err
		}
		if !time.Now().Before(end) || x.kind == kindRoofline {
			return nil
		}
	}
}

func (e *env) profiles(s *scenario, in []subject) {
	if s.unprofiled {
		return
	}
	for _, x := range in {
		if x.kind != kindMoldau {
			continue
		}
		file := filepath.Join(e.opts.out, "..", "bench", "profiles", s.name+"."+x.name+"."+e.opts.profile+".pprof")
		if _, err := s.run(e, x, round{scenario: s, length: max(e.opts.length, 4*time.Second), profile: file}); err != nil {
			fmt.Println("  no profile:", err)
		} else {
			fmt.Println("  profile:", file)
		}
	}
}

// printResult shows a scenario's figures.
func printResult(s *scenario, r *result) {
	for i := range r.Subjects {
		x := &r.Subjects[i]
		if x.Error != "" {
			fmt.Printf("  %-10s %s\n", x.Name, x.Error)
		}
		v := x.of(s.measure)
		if len(v) == 0 {
			continue
		}
		var parts []string
		for _, c := range append(slices.Clone(s.columns), otherCPU) {
			if v := x.of(c); len(v) > 0 {
				parts = append(parts, fmt.Sprintf("%s %s", figure(median(v)), c))
			}
		}
		fmt.Printf("  %-10s %s (%s-%s)  %s\n", x.Name, figure(median(v)), figure(slices.Min(v)), figure(slices.Max(v)), strings.Join(parts, ", "))
	}
	for _, v := range verdicts(s, r) {
		fmt.Printf("  %s\n", v.text)
	}
}
