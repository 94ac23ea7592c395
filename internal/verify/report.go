package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Report is what a run has found.
type Report struct {
	ClusterID string         `json:"clusterId"`
	Brokers   []int32        `json:"brokers"`
	Prefix    string         `json:"prefix"`
	Clean     bool           `json:"clean"`
	TookMs    int64          `json:"tookMs"`
	Checks    int            `json:"checks"`
	Failed    int            `json:"failed"`
	APIs      []*APIReport   `json:"apis"`
	History   *HistoryReport `json:"history,omitempty"`
	Failures  []Failure      `json:"failures"`
	Rules     int            `json:"rules"`
	NotRun    []RuleRemark   `json:"notRun"`        // for want of time
	NotFor    []RuleRemark   `json:"notApplicable"` // the cluster is not of the kind that they speak of
	Left      []string       `json:"leftBehind"`    // what could not be removed
	apis      map[int16]*APIReport
	named     map[string]bool
	remarked  map[string]bool
}

// APIReport is one API.
type APIReport struct {
	Key    int16   `json:"key"`
	Name   string  `json:"name"`
	Low    int16   `json:"lowest"`
	High   int16   `json:"highest"`
	Spoken []int16 `json:"spoken"`
	Checks int     `json:"checks"`
	Failed int     `json:"failed"`
	Remark string  `json:"remark,omitempty"`
}

// RuleRemark says why a rule was not examined.
type RuleRemark struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

func newReport(c *cluster) *Report {
	rep := &Report{ClusterID: c.id, Brokers: c.nodes(), apis: map[int16]*APIReport{}, named: map[string]bool{}, remarked: map[string]bool{}}
	for key, s := range c.table {
		a := &APIReport{Key: key, Name: apiName(key), Low: s.low, High: s.high}
		rep.apis[key] = a
		rep.APIs = append(rep.APIs, a)
	}
	slices.SortFunc(rep.APIs, func(a, b *APIReport) int { return cmp.Compare(a.Key, b.Key) })
	return rep
}

func apiName(key int16) string {
	if kmsg.Key(key).Request() == nil {
		return fmt.Sprintf("API %d", key)
	}
	return kmsg.Key(key).Name()
}

func (rep *Report) rule(name string) { rep.named[name] = true }

func (rep *Report) unknown(key int16) {
	rep.apis[key].Remark = "newer than this probe"
}

func (rep *Report) spoke(s spokenAt) {
	a := rep.apis[s.key]
	if a != nil && !slices.Contains(a.Spoken, s.version) {
		a.Spoken = append(a.Spoken, s.version)
		slices.Sort(a.Spoken)
	}
}

func (rep *Report) remark(list *[]RuleRemark, rule, why string) {
	if !rep.remarked[rule+why] {
		rep.remarked[rule+why] = true
		*list = append(*list, RuleRemark{rule, why})
	}
}

func (rep *Report) notApplicable(rule, why string) { rep.remark(&rep.NotFor, rule, why) }
func (rep *Report) unfinished(rule, why string)    { rep.remark(&rep.NotRun, rule, why) }

func (rep *Report) examined(x *exam) {
	rep.Checks += x.checks
	rep.Failed += len(x.failed)
	rep.Failures = append(rep.Failures, x.failed...)
	if a := rep.apis[int16(x.rule.key)]; a != nil {
		a.Checks += x.checks
		a.Failed += len(x.failed)
	}
}

func (rep *Report) finish(took time.Duration) {
	rep.Rules, rep.TookMs = len(rep.named), took.Milliseconds()
	rep.Clean = rep.Failed == 0 && len(rep.Failures) == 0 && len(rep.NotRun) == 0 && len(rep.Left) == 0
	slices.SortFunc(rep.Failures, func(a, b Failure) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), cmp.Compare(a.Version, b.Version))
	})
	for _, a := range rep.APIs {
		if a.Remark != "" {
			continue
		}
		if served := kmsg.Key(a.Key).Request().MaxVersion(); served < a.High {
			a.Remark = fmt.Sprintf("versions above %d are newer than this probe", served)
		} else if len(a.Spoken) == 0 {
			a.Remark = "not asked"
		}
	}
}

// WriteJSON writes the report as one object.
func (rep *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rep)
}

// WriteText writes the report for people.
func (rep *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s, brokers %s\n\n", rep.ClusterID, words(rep.Brokers))
	width, spoken := len("API"), len("SPOKEN")
	for _, a := range rep.APIs {
		width, spoken = max(width, len(a.Name)), max(spoken, len(words(a.Spoken)))
	}
	fmt.Fprintf(&b, "%-*s  %-10s %-*s %7s %7s\n", width, "API", "ADVERTISED", spoken, "SPOKEN", "CHECKS", "FAILED")
	for _, a := range rep.APIs {
		line := fmt.Sprintf("%-*s  %-10s %-*s %7d %7d  %s", width, a.Name, spanText(a.Low, a.High), spoken, words(a.Spoken), a.Checks, a.Failed, a.Remark)
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	if rep.History != nil {
		b.WriteString("\n" + rep.History.text())
	}
	for _, f := range rep.Failures {
		f.write(&b)
	}
	writeRemarks(&b, "not examined", rep.NotRun)
	for _, l := range rep.Left {
		fmt.Fprintf(&b, "\nleft behind: %s\n", l)
	}
	fmt.Fprintf(&b, "\n%d rules, %d checks, %d failed", rep.Rules, rep.Checks, rep.Failed)
	if n := len(distinct(rep.NotFor)); n > 0 {
		fmt.Fprintf(&b, "; %d rules do not apply to this cluster or its APIs", n)
	}
	if n := len(distinct(rep.NotRun)); n > 0 {
		fmt.Fprintf(&b, "; %d rules were not examined to the end", n)
	}
	fmt.Fprintf(&b, "; %.1f s\n", float64(rep.TookMs)/1000)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Failure) write(b *strings.Builder) {
	at := fmt.Sprintf("%s v%d", f.API, f.Version)
	if f.API == historyAPI {
		at = historyAPI
	}
	fmt.Fprintf(b, "\nFAILED %s (%s)\n  rule      %s\n  source    %s\n", f.Rule, at, f.Says, f.Cites)
	if f.Request != "" {
		fmt.Fprintf(b, "  request   %s\n", f.Request)
	}
	fmt.Fprintf(b, "  expected  %s\n  got       %s\n", f.Expected, f.Got)
}

func writeRemarks(b *strings.Builder, what string, rs []RuleRemark) {
	byWhy := map[string][]string{}
	for _, r := range rs {
		byWhy[r.Why] = append(byWhy[r.Why], r.Rule)
	}
	for _, why := range slices.Sorted(maps.Keys(byWhy)) {
		fmt.Fprintf(b, "\n%s, since %s: %s\n", what, why, strings.Join(byWhy[why], ", "))
	}
}

func distinct(rs []RuleRemark) map[string]bool {
	out := map[string]bool{}
	for _, r := range rs {
		out[r.Rule] = true
	}
	return out
}

func spanText(low, high int16) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d-%d", low, high)
}

func words[T any](vs []T) string {
	var out []string
	for _, v := range vs {
		out = append(out, fmt.Sprint(v))
	}
	return strings.Join(out, ",")
}
