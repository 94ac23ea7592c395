package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// The parser follows the rules of the one that Kafka's tools use: long names
// with one dash or two, `--opt value` and `--opt=value`, options that may come
// more than once, values that may be left out, no abbreviations, and words that
// belong to no option are ignored.

type argKind int

const (
	noArg argKind = iota
	needsArg
	mayTakeArg
)

type valueKind int

const (
	stringValue valueKind = iota
	intValue
	longValue
)

// bits is the size of a number, 0 for what is none.
func (k valueKind) bits() int { return [...]int{0, 32, 64}[k] }

func (k valueKind) String() string { return [...]string{"String", "Integer", "Long"}[k] }

// option describes one option of a tool.
type option struct {
	name    string
	arg     argKind
	kind    valueKind
	argName string // shown in the table
	defs    string // the default, for the table and for value()
	hasDef  bool
	sep     string // values are separated by it as well as by repetition
	doc     string
	hidden  bool // not in the table: Kafka's tool does not have it

	typeLabel string   // shown in the table in place of the kind
	starred   bool     // the parser itself requires it, and marks it so
	behind    []string // the parser takes it only with one of these; empty for always
	unmarked  bool     // required, though the table does not say so
}

func (o *option) withDefault(v string) *option      { o.defs, o.hasDef = v, true; return o }
func (o *option) ofKind(k valueKind) *option        { o.kind = k; return o }
func (o *option) separatedBy(s string) *option      { o.sep = s; return o }
func (o *option) onlyWith(names ...string) *option  { o.behind = names; return o }
func (o *option) takesMaybe(argName string) *option { o.arg, o.argName = mayTakeArg, argName; return o }

// optionSet is the options of one tool.
type optionSet struct {
	byName map[string]*option
}

func newOptions() *optionSet {
	s := &optionSet{byName: map[string]*option{}}
	s.flag("help", "Print this table.")
	s.flag("version", "Print the version.")
	return s
}

func (s *optionSet) flag(name, doc string) *option {
	o := &option{name: name, doc: doc}
	s.byName[name] = o
	return o
}

func (s *optionSet) arg(name, argName, doc string) *option {
	o := s.flag(name, doc)
	o.arg, o.argName = needsArg, argName
	return o
}

// parsed is what a command line said.
type parsed struct {
	set    *optionSet
	given  map[string]bool
	values map[string][]string
	order  []string // names as given, with repeats
	argc   int
	err    error // the first failed conversion
}

// optionError is a command line that breaks the parser's rules.
type optionError struct{ msg string }

func (e *optionError) Error() string { return e.msg }

func unrecognized(name string) error { return &optionError{name + " is not a recognized option"} }

// parse reads args. An error means the line breaks the rules of the parser;
// what its values mean is for the tool.
func (s *optionSet) parse(args []string) (*parsed, error) {
	p := &parsed{set: s, given: map[string]bool{}, values: map[string][]string{}, argc: len(args)}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			break
		}
		if len(a) < 2 || a[0] != '-' {
			continue // a stray word
		}
		name, inline, hasInline := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		o, ok := s.byName[name]
		if !ok {
			if !strings.HasPrefix(a, "--") && name != "" {
				// One dash and no such name: a cluster of one-letter
				// options, of which Kafka's tools have none.
				name = name[:1]
			}
			return nil, unrecognized(name)
		}
		p.given[o.name] = true
		p.order = append(p.order, o.name)
		used, err := p.take(o, inline, hasInline, args[i+1:])
		if err != nil {
			return nil, err
		}
		i += used
	}
	if left := p.unavailable(); len(left) > 0 && !p.has("help") {
		return nil, &optionError{fmt.Sprintf("Option(s) [%s] are unavailable given other options on the command line", strings.Join(left, ", "))}
	}
	return p, nil
}

// unavailable are the options that are given without those that they belong to.
func (p *parsed) unavailable() []string {
	var out []string
	for name := range p.given {
		if o := p.set.byName[name]; len(o.behind) > 0 && !p.hasAny(o.behind...) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// take stores the option's value and returns how many of the following words it used.
func (p *parsed) take(o *option, inline string, hasInline bool, rest []string) (int, error) {
	switch {
	case o.arg == noArg:
		return 0, nil
	case hasInline:
		p.add(o, inline)
		return 0, nil
	case o.arg == needsArg:
		if len(rest) == 0 {
			return 0, &optionError{"Option " + o.name + " requires an argument"}
		}
		p.add(o, rest[0])
		return 1, nil
	case len(rest) > 0 && o.mayTake(rest[0]):
		p.add(o, rest[0])
		return 1, nil
	}
	return 0, nil
}

// mayTake reports whether the word behind an option is its value: a number, even
// a negative one, where a number belongs, else what does not look like an option.
func (o *option) mayTake(word string) bool {
	if bits := o.kind.bits(); bits != 0 {
		_, err := strconv.ParseInt(word, 10, bits)
		return err == nil
	}
	return !strings.HasPrefix(word, "-")
}

func (p *parsed) add(o *option, v string) {
	if v == "" && namesProperties(o.name) {
		v = namelessFile
	}
	if o.sep == "" {
		p.values[o.name] = append(p.values[o.name], v)
		return
	}
	p.values[o.name] = append(p.values[o.name], strings.Split(v, o.sep)...)
}

// namelessFile is what Java opens when a file's name is empty, so that an option that was given is not taken for one that was not.
const namelessFile = "."

// namesProperties tells the options whose value is a file of properties.
func namesProperties(option string) bool {
	switch option {
	case "command-config", "consumer.config", "consumer-config", "producer.config", "admin.config", "config-file", "reader-config", "formatter-config":
		return true
	}
	return false
}

func (p *parsed) has(name string) bool { return p.given[name] }

func (p *parsed) hasAny(names ...string) bool {
	for _, n := range names {
		if p.given[n] {
			return true
		}
	}
	return false
}

// value returns the one value of an option, or its default, or "". More than
// one value, or one that is not of the option's kind, sets p.err.
func (p *parsed) value(name string) string {
	vs := p.values[name]
	if len(vs) == 0 {
		return p.set.byName[name].defs
	}
	if len(vs) > 1 {
		p.setErr(fmt.Sprintf(repeatedOption, name))
		return vs[0]
	}
	p.check(p.set.byName[name], vs[0])
	return vs[0]
}

// first is an option's value where a second one is nothing to complain about yet: repeated does that.
func (p *parsed) first(name string) string {
	if vs := p.values[name]; len(vs) > 0 {
		return vs[0]
	}
	return p.set.byName[name].defs
}

// repeated complains about the first of the options that was given twice, under the name of Java's exception.
func (p *parsed) repeated(names ...string) error {
	for _, name := range names {
		if len(p.values[name]) > 1 {
			return &consumerFailure{"joptsimple.MultipleArgumentsForOptionException", fmt.Errorf(repeatedOption, name)}
		}
	}
	return nil
}

const repeatedOption = "Found multiple arguments for option %s, but you asked for only one"

func (p *parsed) check(o *option, v string) {
	bits := o.kind.bits()
	if bits == 0 {
		return
	}
	if _, err := strconv.ParseInt(v, 10, bits); err != nil {
		p.setErr(fmt.Sprintf("Cannot parse argument '%s' of option %s", v, o.name))
	}
}

func (p *parsed) setErr(msg string) {
	if p.err == nil {
		p.err = &optionError{msg}
	}
}

// all returns every value of an option.
func (p *parsed) all(name string) []string { return p.values[name] }

// number returns an option's value as an integer; ok is false when it is neither
// given nor has a default.
func (p *parsed) number(name string) (n int64, ok bool) {
	v := p.value(name)
	if v == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil
}

// usage is a mistake after which Kafka's tools print their option table.
func (r *run) usage(s *optionSet, required []string, message string) error {
	r.errorln(message)
	r.stderr(s.table(required))
	r.failed = true
	return &exitError{1}
}

// The widths of the option table's two columns, so that it fits 80 characters.
const (
	optionColumn = 39
	docColumn    = 39
)

// table renders the options in two columns.
func (s *optionSet) table(required []string) string {
	must := map[string]bool{}
	for _, n := range required {
		must[n] = true
	}
	names := make([]string, 0, len(s.byName))
	for n, o := range s.byName {
		if !o.hidden {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	row := func(left, right string) {
		l, d := wrap(left, optionColumn), wrap(right, docColumn)
		for i := 0; i < len(l) || i < len(d); i++ {
			b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s  %s", optionColumn, at(l, i), at(d, i)), " "))
			b.WriteByte('\n')
		}
	}
	heading := "Option"
	for _, o := range s.byName {
		if o.starred {
			heading = "Option (* = required)"
		}
	}
	row(heading, "Description")
	row(strings.Repeat("-", len(heading)), "-----------")
	for _, n := range names {
		o := s.byName[n]
		row(o.left(), o.right(must[n]))
	}
	return b.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func (o *option) left() string {
	if o.starred {
		plain := *o
		plain.starred = false
		return "* " + plain.left()
	}
	label := o.kind.String()
	if o.typeLabel != "" {
		label = o.typeLabel
	}
	if o.argName != "" {
		label += ": " + o.argName
	}
	switch o.arg {
	case needsArg:
		return "--" + o.name + " <" + label + ">"
	case mayTakeArg:
		return "--" + o.name + " [" + label + "]"
	}
	return "--" + o.name
}

func (o *option) right(required bool) string {
	doc := o.doc
	if required && !o.unmarked {
		doc = "REQUIRED: " + doc
	}
	if o.hasDef {
		doc += " (default: " + o.defs + ")"
	}
	return doc
}

// wrap breaks s at blanks into lines of at most width; following lines are
// indented by two.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && len(line)+1+len(w) > width {
			lines = append(lines, line)
			line = "  " + w
			continue
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// checkRequired is Kafka's check of options that must be there.
func (r *run) checkRequired(p *parsed, required []string, names ...string) error {
	for _, n := range names {
		if !p.has(n) {
			return r.usage(p.set, required, fmt.Sprintf("Missing required argument \"[%s]\"", n))
		}
	}
	return nil
}

// checkInvalid is Kafka's check of options that do not go together.
func (r *run) checkInvalid(p *parsed, required []string, used string, invalid ...string) error {
	if !p.has(used) {
		return nil
	}
	for _, n := range invalid {
		if p.has(n) {
			return r.usage(p.set, required, fmt.Sprintf("Option \"[%s]\" can't be used with option \"[%s]\"", used, n))
		}
	}
	return nil
}

// exclusion is an option and those that do not go together with it.
type exclusion struct {
	used    string
	invalid []string
}

func (r *run) checkExclusions(p *parsed, required []string, exclusions []exclusion) error {
	for _, c := range exclusions {
		if err := r.checkInvalid(p, required, c.used, c.invalid...); err != nil {
			return err
		}
	}
	return nil
}

// helpOrVersion handles what every tool has: no arguments at all and --help
// print the table on standard error and exit 1, --version exits 0.
func (r *run) helpOrVersion(p *parsed, required []string, purpose string) error {
	if p.argc == 0 || p.has("help") {
		return r.usage(p.set, required, purpose)
	}
	if p.has("version") {
		r.println(r.Version)
		return &exitError{0}
	}
	return nil
}

// conflict refuses an option and its old name together.
func (r *run) conflict(p *parsed, required []string, a, b string) error {
	if p.has(a) && p.has(b) {
		return r.usage(p.set, required, fmt.Sprintf("Options --%s and --%s cannot be specified together.", a, b))
	}
	return nil
}
