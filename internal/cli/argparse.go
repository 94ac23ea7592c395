package cli

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Some of Kafka's tools (those with sub-commands, the producer's performance
// test, the verifiable clients, the metadata shell) are parsed by other rules
// than the rest: short names, unambiguous beginnings of long names, and a usage
// text that is not a table.

// subOption is an option of a sub-command.
type subOption struct {
	long, short string
	metavar     string // "" for a flag
	required    bool
	doc         string
	deprecated  bool
	exclusive   string // at most one of the options with the same mark
	choices     []string
	kind        string // Short, Integer, Long or Double: the value must be one
	defs        string // the default, for the help and for value()
	many        bool   // takes all words up to the next option
	mustName    bool   // a required exclusive group of one option, in Kafka's words
	unmarked    bool   // the help does not say that it is required
	unsaid      bool   // the help does not tell the default
	hidden      bool   // Kafka's tool does not have it: not in the help, and only by its whole name
}

// subcommand is one of a tool's sub-commands.
type subcommand struct {
	name    string
	usage   string // the "usage: ..." lines, as Kafka breaks them
	doc     string
	options []subOption
	run     func(*run, *subArgs) int
	oneOf   string // an exclusive mark of which one must be given
	words   string // the name of trailing words, "" when there may be none
}

// subTool is a tool with sub-commands.
type subTool struct {
	name     string
	usage    string
	purpose  string
	helpCode int // storage exits 0 after --help, cluster 1
	commands []subcommand
	// options stand before the sub-command.
	options []subOption
	oneOf   string
	// version is an option -v, --version.
	version bool
	// heading is what stands over the sub-commands in the help.
	heading string
	// complain words a mistake where the tool has a way of its own; suggests is that it names what was probably meant even so.
	complain func(r *run, message string) int
	suggests bool
}

// subArgs are the parsed arguments of a sub-command.
type subArgs struct {
	given   map[string]bool
	values  map[string][]string
	options map[string]*subOption
	rest    []string // words behind the options

	mistake func(message string) int // complains as about a wrong command line; of tools without sub-commands
}

func newSubArgs(options []subOption) *subArgs {
	a := &subArgs{given: map[string]bool{}, values: map[string][]string{}, options: map[string]*subOption{}}
	a.with(options)
	return a
}

func (a *subArgs) with(options []subOption) {
	for i := range options {
		a.options[options[i].long] = &options[i]
	}
}

// number is an option's value, or its default; 0 when there is neither. The
// option's kind has been checked.
func (a *subArgs) number(long string) int64 {
	n, err := strconv.ParseInt(a.value(long), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (a *subArgs) has(long string) bool     { return a.given[long] }
func (a *subArgs) all(long string) []string { return a.values[long] }
func (a *subArgs) value(long string) string {
	vs := a.values[long]
	if len(vs) > 0 {
		return vs[len(vs)-1]
	}
	if o := a.options[long]; o != nil {
		return o.defs
	}
	return ""
}

func (r *run) runSubTool(t *subTool, args []string) int {
	top := &subcommand{usage: t.usage, doc: t.purpose, options: t.options, oneOf: t.oneOf}
	a := newSubArgs(t.options)
	rest, code, ended := r.readSubOptions(t, top, a, args)
	if ended {
		return code
	}
	if len(rest) == 0 {
		return r.subMistake(t, top, "too few arguments")
	}
	command, several := t.commandOf(rest[0])
	if len(several) > 1 {
		sort.Strings(several)
		return r.subMistake(t, top, fmt.Sprintf("ambiguous command: %s could match %s", rest[0], strings.Join(several, ", ")))
	}
	if c := command; c != nil {
		a.with(c.options)
		rest, code, ended := r.readSubOptions(t, c, a, rest[1:])
		if ended {
			return code
		}
		if len(rest) > 0 {
			return r.unknownWord(t, c, fmt.Sprintf("unrecognized arguments: '%s'", rest[0]), rest[0], c.optionNames())
		}
		for _, level := range []*subcommand{c, top} {
			if msg := missing(level, a); msg != "" {
				return r.subMistake(t, level, msg)
			}
		}
		r.json = a.value("format") == formatJSON
		return c.run(r, a)
	}
	var names, quoted []string
	for _, c := range t.commands {
		names, quoted = append(names, c.name), append(quoted, "'"+c.name+"'")
	}
	return r.unknownWord(t, top, fmt.Sprintf("invalid choice: '%s' (choose from %s)", rest[0], strings.Join(quoted, ", ")), rest[0], names)
}

// commandOf is the sub-command of that name, or the only one whose name begins so; several are those that begin so.
func (t *subTool) commandOf(word string) (c *subcommand, several []string) {
	for i := range t.commands {
		if t.commands[i].name == word {
			return &t.commands[i], nil
		}
		if strings.HasPrefix(t.commands[i].name, word) {
			c, several = &t.commands[i], append(several, t.commands[i].name)
		}
	}
	return c, several
}

// runPlain runs a tool of this kind that has no sub-commands. Without any
// argument it prints its help and exits 0, after --help it exits 1.
func (r *run) runPlain(t *subTool, c *subcommand, args []string) int {
	if len(args) == 0 {
		r.stdoutHelp(t, c, nil)
		return 0
	}
	a := newSubArgs(c.options)
	a.mistake = func(message string) int { return r.subMistake(t, c, message) }
	rest, code, ended := r.readSubOptions(t, c, a, args)
	if ended {
		return code
	}
	if len(rest) > 0 && c.words == "" {
		return r.subMistake(t, c, fmt.Sprintf("unrecognized arguments: '%s'", rest[0]))
	}
	for len(rest) > 0 { // options may stand between words
		if strings.HasPrefix(rest[0], "-") && rest[0] != "-" {
			if rest, code, ended = r.readSubOptions(t, c, a, rest); ended {
				return code
			}
			continue
		}
		a.rest, rest = append(a.rest, rest[0]), rest[1:]
	}
	if msg := missing(c, a); msg != "" {
		return r.subMistake(t, c, msg)
	}
	return c.run(r, a)
}

// subMistake says what is wrong with the command line.
func (r *run) subMistake(t *subTool, c *subcommand, message string) int {
	if t.complain != nil {
		return t.complain(r, message)
	}
	return r.subError(c.usage, t.name, message)
}

// unknownWord complains about an option or a sub-command that there is not, and names those that were probably meant.
func (r *run) unknownWord(t *subTool, c *subcommand, message, word string, names []string) int {
	code := r.subMistake(t, c, message)
	if t.complain == nil || t.suggests {
		r.stderr(didYouMean(word, names))
	} else if !strings.HasPrefix(word, "-") {
		r.hintNearest("command", word, names)
	}
	return code
}

func (r *run) subError(usage, tool, message string) int {
	r.errorf("%s\n%s\n", usage, justify(tool+": error: "+message, usageWidth))
	return r.fail(1)
}

// readSubOptions reads options up to the first word that is none. ended is true
// when the tool is done: after help, version or a mistake.
func (r *run) readSubOptions(t *subTool, c *subcommand, parsed *subArgs, args []string) (rest []string, code int, ended bool) {
	mistake := func(format string, args ...any) ([]string, int, bool) {
		return nil, r.subMistake(t, c, fmt.Sprintf(format, args...)), true
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			return args[i:], 0, false
		}
		if a == "-h" || a == "--help" {
			r.stdoutHelp(t, c, t.commandsOf(c))
			return nil, t.helpCode, true
		}
		if t.version && (a == "-v" || a == "--version") {
			r.println(r.Version)
			return nil, 0, true
		}
		name, inline, hasInline := a, "", false
		if strings.HasPrefix(a, "--") {
			name, inline, hasInline = strings.Cut(a, "=")
		}
		o := findSubOption(c.options, name)
		if o == nil && !strings.HasPrefix(a, "--") {
			if strings.HasPrefix(a, "-h") {
				r.stdoutHelp(t, c, t.commandsOf(c))
				return nil, t.helpCode, true
			}
			if short := findSubOption(c.options, a[:2]); short != nil && short.metavar != "" { // the value stands right behind
				o, name, inline, hasInline = short, a[:2], a[2:], true
			}
		}
		if several := meanings(c.options, name); o == nil && len(several) > 1 {
			return mistake("ambiguous option: %s could match %s", name, strings.Join(several, ", "))
		}
		if o == nil {
			return nil, r.unknownWord(t, c, fmt.Sprintf("unrecognized arguments: '%s'", name), name, c.optionNames()), true
		}
		if other := clash(c.options, o, parsed); other != nil {
			return mistake("argument %s: not allowed with argument %s", o.label(), other.label())
		}
		parsed.given[o.long] = true
		if o.metavar == "" {
			if hasInline {
				return mistake("argument %s: ignore implicit argument '%s'", o.label(), inline)
			}
			continue
		}
		words, ok := o.take(inline, hasInline, args[i+1:])
		if !ok {
			return mistake("argument %s: expected %s", o.label(), map[bool]string{true: "1 argument(s)", false: "one argument"}[o.many])
		}
		if !hasInline {
			i += len(words)
		}
		if len(words) == 1 && words[0] == "" && namesProperties(o.long) {
			words = []string{namelessFile}
		}
		for _, w := range words {
			if err := o.check(w); err != nil {
				return mistake("argument %s: %v", o.label(), err)
			}
		}
		parsed.values[o.long] = append(parsed.values[o.long], words...)
	}
	return nil, 0, false
}

// commandsOf are the sub-commands that the help at this level lists.
func (t *subTool) commandsOf(c *subcommand) []subcommand {
	if c.name == "" {
		return t.commands
	}
	return nil
}

// take finds the option's values among the words behind it.
func (o *subOption) take(inline string, hasInline bool, rest []string) ([]string, bool) {
	switch {
	case hasInline:
		return []string{inline}, true
	case len(rest) == 0 || looksLikeSubOption(rest[0]):
		return nil, false
	case !o.many:
		return rest[:1], true
	}
	n := 0
	for n < len(rest) && !looksLikeSubOption(rest[n]) {
		n++
	}
	return rest[:n], true
}

// looksLikeSubOption tells an option from a negative number.
func looksLikeSubOption(word string) bool {
	if !strings.HasPrefix(word, "-") || word == "-" {
		return false
	}
	_, err := strconv.ParseFloat(word, 64)
	return err != nil
}

func (o *subOption) check(v string) error {
	if len(o.choices) > 0 && !contains(o.choices, v) {
		return fmt.Errorf("invalid choice: '%s' (choose from {%s})", v, strings.Join(o.choices, ","))
	}
	var err error
	switch o.kind {
	case "Integer":
		_, err = strconv.ParseInt(v, 10, 32)
	case "Long":
		_, err = strconv.ParseInt(v, 10, 64)
	case "Short":
		if _, err = strconv.ParseInt(v, 10, 16); errors.Is(err, strconv.ErrRange) && len(v) < 10 {
			return fmt.Errorf("could not convert '%s' to %s (Value out of range. Value:\"%s\" Radix:10)", v, o.kind, v)
		}
	case "Double":
		if v == "" {
			return fmt.Errorf("could not convert '' to %s (empty String)", o.kind)
		}
		_, err = strconv.ParseFloat(v, 64)
	}
	if err != nil {
		return fmt.Errorf("could not convert '%s' to %s (For input string: \"%s\")", v, o.kind, v)
	}
	return nil
}

func (o *subOption) label() string {
	if o.short == "" {
		return "--" + o.long
	}
	return "--" + o.long + "/-" + o.short
}

// findSubOption accepts -c, --config and any beginning of it that is no other's.
func findSubOption(options []subOption, name string) *subOption {
	var found *subOption
	for i := range options {
		o := &options[i]
		if name == "--"+o.long || o.short != "" && name == "-"+o.short {
			return o
		}
		if len(name) > 2 && !o.hidden && strings.HasPrefix("--"+o.long, name) {
			if found != nil {
				return nil
			}
			found = o
		}
	}
	return found
}

// meanings are the long names that begin so.
func meanings(options []subOption, name string) []string {
	var out []string
	for _, o := range options {
		if len(name) > 2 && !o.hidden && strings.HasPrefix("--"+o.long, name) {
			out = append(out, "--"+o.long)
		}
	}
	slices.Sort(out)
	return out
}

func clash(options []subOption, o *subOption, parsed *subArgs) *subOption {
	if o.exclusive == "" {
		return nil
	}
	for i := range options {
		other := &options[i]
		if other.exclusive == o.exclusive && other.long != o.long && parsed.given[other.long] {
			return other
		}
	}
	return nil
}

func missing(c *subcommand, parsed *subArgs) string {
	var choice []string
	satisfied := c.oneOf == ""
	// Of several options that are missing, Kafka names the last.
	for i := len(c.options) - 1; i >= 0; i-- {
		o := &c.options[i]
		if o.required && !parsed.given[o.long] {
			if o.mustName {
				return "one of the arguments " + o.label() + " is required"
			}
			return fmt.Sprintf("argument %s is required", o.label())
		}
	}
	for i := range c.options {
		o := &c.options[i]
		if c.oneOf != "" && o.exclusive == c.oneOf {
			choice = append(choice, o.label())
			satisfied = satisfied || parsed.given[o.long]
		}
	}
	if !satisfied {
		return "one of the arguments " + strings.Join(choice, " ") + " is required"
	}
	return ""
}

// The columns of the help.
const (
	subHelpIndent = 25
	subHelpWidth  = 55
	usageWidth    = 75
)

func (r *run) stdoutHelp(t *subTool, c *subcommand, commands []subcommand) {
	r.println(c.usage)
	r.println("")
	if c.doc != "" {
		r.println(c.doc)
		r.println("")
	}
	if len(commands) > 0 {
		r.helpCommands(t, commands)
	}
	r.println("optional arguments:")
	r.helpRow("  -h, --help", "show this help message and exit")
	if t.version && c.name == "" {
		r.helpRow("  -v, --version", "print the version and exit")
	}
	for i := range c.options {
		if o := &c.options[i]; !o.hidden {
			r.helpRow(o.left(), o.text())
		}
	}
}

func (r *run) helpCommands(t *subTool, commands []subcommand) {
	if t.heading != "" {
		r.println(t.heading)
	} else {
		var names []string
		for _, c := range commands {
			names = append(names, c.name)
		}
		r.println("positional arguments:")
		r.println("  {" + strings.Join(names, ",") + "}")
	}
	for _, c := range commands {
		r.helpRow("    "+c.name, c.doc)
	}
	r.println("")
}

func (r *run) helpRow(left, right string) {
	lines := wrap(right, subHelpWidth)
	if len(left) >= subHelpIndent-1 {
		r.println(left)
		left = ""
	}
	for i, l := range lines {
		if i > 0 {
			left = ""
		}
		r.println(strings.TrimRight(fmt.Sprintf("%-*s%s", subHelpIndent, left, strings.TrimLeft(l, " ")), " "))
	}
}

func (o *subOption) left() string {
	left := "  --" + o.long
	meta := ""
	if o.metavar != "" {
		meta = " " + o.metavar
		if o.many {
			meta += " [" + o.metavar + " ...]"
		}
	}
	left += meta
	if o.short != "" {
		left += ", -" + o.short + meta
	}
	return left
}

func (o *subOption) text() string {
	text := o.doc
	if o.deprecated {
		text = "DEPRECATED: " + text
	}
	if o.mustName && !o.unmarked {
		text = "REQUIRED: " + text
	}
	if o.defs != "" && !o.unsaid {
		text += " (default: " + o.defs + ")"
	}
	return text
}

// justify breaks a message into lines of width and fills each but the last with
// blanks between its words, as Kafka's tools of this kind print theirs: every
// gap gets an equal share, and the rest goes to the gaps in the middle.
func justify(s string, width int) string {
	var out strings.Builder
	line := ""
	pieces := breakable(s)
	for i, piece := range pieces {
		room := width
		if i == len(pieces)-1 {
			room-- // Kafka counts the line end
		}
		if line != "" && len(line)+len(piece) > room {
			out.WriteString(spread(strings.TrimRight(line, " "), width) + "\n")
			line = ""
		}
		line += piece
	}
	return out.String() + strings.TrimRight(line, " ")
}

// breakable cuts a text where a line may end: behind blanks, and behind a
// hyphen before a letter.
func breakable(s string) []string {
	var out []string
	from := 0
	for i := 0; i+1 < len(s); i++ {
		next := s[i+1]
		letter := next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z'
		if s[i] == ' ' && next != ' ' || s[i] == '-' && letter {
			out = append(out, s[from:i+1])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

func spread(line string, width int) string {
	words := strings.Fields(line)
	gaps, extra := len(words)-1, width-len(line)
	if gaps < 1 || extra < 1 {
		return line
	}
	each, rest := extra/gaps, extra%gaps
	first := (gaps - rest + 1) / 2
	var b strings.Builder
	for i, w := range words {
		b.WriteString(w)
		if i == gaps {
			break
		}
		n := 1 + each
		if i >= first && i < first+rest {
			n++
		}
		b.WriteString(strings.Repeat(" ", n))
	}
	return b.String()
}
