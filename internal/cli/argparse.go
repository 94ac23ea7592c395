package cli

import (
	"fmt"
	"strings"
)

// Three of Kafka's tools (storage, cluster, features) take sub-commands and are
// parsed by other rules than the rest: short names, unambiguous beginnings of
// long names, and a usage text that is not a table.

// subOption is an option of a sub-command.
type subOption struct {
	long, short string
	metavar     string // "" for a flag
	required    bool
	doc         string
	deprecated  bool
	exclusive   string // at most one of the options with the same mark
}

// subcommand is one of a tool's sub-commands.
type subcommand struct {
	name    string
	usage   string // the "usage: ..." lines, as Kafka breaks them
	doc     string
	options []subOption
	run     func(*run, *subArgs) int
	oneOf   string // an exclusive mark of which one must be given
}

// subTool is a tool with sub-commands.
type subTool struct {
	name     string
	usage    string
	purpose  string
	helpCode int // storage exits 0 after --help, cluster 1
	commands []subcommand
}

// subArgs are the parsed arguments of a sub-command.
type subArgs struct {
	given  map[string]bool
	values map[string][]string
}

func (a *subArgs) has(long string) bool     { return a.given[long] }
func (a *subArgs) all(long string) []string { return a.values[long] }
func (a *subArgs) value(long string) string {
	vs := a.values[long]
	if len(vs) == 0 {
		return ""
	}
	return vs[len(vs)-1]
}

func (r *run) runSubTool(t *subTool, args []string) int {
	if len(args) == 0 {
		return r.subError(t.usage, t.name, "too few arguments")
	}
	first := args[0]
	if first == "-h" || first == "--help" {
		r.stdoutHelp(t.usage, t.purpose, nil, t.commands)
		return t.helpCode
	}
	if strings.HasPrefix(first, "-") {
		return r.subError(t.usage, t.name, fmt.Sprintf("unrecognized arguments: '%s'", first))
	}
	for i := range t.commands {
		if t.commands[i].name == first {
			return r.runSubcommand(t, &t.commands[i], args[1:])
		}
	}
	var names []string
	for _, c := range t.commands {
		names = append(names, "'"+c.name+"'")
	}
	return r.subError(t.usage, t.name, fmt.Sprintf("invalid choice: '%s' (choose from %s)", first, strings.Join(names, ", ")))
}

func (r *run) subError(usage, tool, message string) int {
	r.errorf("%s\n%s: error: %s\n", usage, tool, message)
	return r.fail(1)
}

func (r *run) runSubcommand(t *subTool, c *subcommand, args []string) int {
	parsed := &subArgs{given: map[string]bool{}, values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "-h" || a == "--help" {
			r.stdoutHelp(c.usage, c.doc, c.options, nil)
			return t.helpCode
		}
		name, inline, hasInline := a, "", false
		if strings.HasPrefix(a, "--") {
			name, inline, hasInline = strings.Cut(a, "=")
		}
		o := findSubOption(c.options, name)
		if o == nil {
			return r.subError(c.usage, t.name, fmt.Sprintf("unrecognized arguments: '%s'", a))
		}
		if other := clash(c.options, o, parsed); other != nil {
			return r.subError(c.usage, t.name, fmt.Sprintf("argument %s: not allowed with argument %s", o.label(), other.label()))
		}
		parsed.given[o.long] = true
		if o.metavar == "" {
			continue
		}
		if !hasInline {
			if i+1 >= len(args) {
				return r.subError(c.usage, t.name, fmt.Sprintf("argument %s: expected one argument", o.label()))
			}
			i++
			inline = args[i]
		}
		parsed.values[o.long] = append(parsed.values[o.long], inline)
	}
	if msg := missing(c, parsed); msg != "" {
		return r.subError(c.usage, t.name, msg)
	}
	return c.run(r, parsed)
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
		if len(name) > 2 && strings.HasPrefix("--"+o.long, name) {
			if found != nil {
				return nil
			}
			found = o
		}
	}
	return found
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
	for i := range c.options {
		o := &c.options[i]
		if o.required && !parsed.given[o.long] {
			return fmt.Sprintf("argument %s is required", o.label())
		}
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

// The columns of the help of sub-commands.
const (
	subHelpIndent = 25
	subHelpWidth  = 55
)

func (r *run) stdoutHelp(usage, doc string, options []subOption, commands []subcommand) {
	r.println(usage)
	r.println("")
	if doc != "" {
		r.println(doc)
		r.println("")
	}
	row := func(left, right string) {
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
	if len(commands) > 0 {
		r.println("positional arguments:")
		for _, c := range commands {
			row("    "+c.name, c.doc)
		}
		r.println("")
	}
	r.println("optional arguments:")
	row("  -h, --help", "show this help message and exit")
	for _, o := range options {
		left := "  --" + o.long
		if o.metavar != "" {
			left += " " + o.metavar
		}
		if o.short != "" {
			left += ", -" + o.short
			if o.metavar != "" {
				left += " " + o.metavar
			}
		}
		text := o.doc
		if o.deprecated {
			text = "DEPRECATED: " + text
		}
		row(left, text)
	}
}
