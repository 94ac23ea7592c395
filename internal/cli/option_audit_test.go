package cli

import (
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"go/types"
	"os"
	"strconv"
	"strings"
	"testing"
)

// withoutEffect says why the value of an option is read by nobody.
func withoutEffect() map[string]string {
	return map[string]string{
		"topics --delete-config": "Kafka's tool only warns that it is no longer supported, too",
		"log-dirs --describe":    "it must be given, and is the only thing that the tool does",
		"jmx --jmx-auth-prop":    "refused: the admin listener asks nobody for a password",
	}
}

// TestEveryOptionIsReadByItsTool walks the code behind each tool. An option that is declared there must be looked at there,
// and one that has a value must have it read: what is parsed and ignored is a promise that nobody keeps.
func TestEveryOptionIsReadByItsTool(t *testing.T) {
	c := readSources(t)
	reasons, met := withoutEffect(), map[string]bool{}
	for tool, entry := range c.entries(t) {
		seen := c.behind(entry)
		if _, ofKafka := tools()[tool]; ofKafka && len(seen.declared) == 0 && !strings.HasPrefix(tool, "server-") {
			t.Errorf("%s: the audit finds no options in its code", tool)
		}
		for option, takesValue := range seen.declared {
			if option == "help" || option == "version" {
				continue
			}
			key := tool + " --" + option
			met[key] = true
			read := seen.valued[option] || !takesValue && seen.looked[option]
			if reason := reasons[key]; read == (reason != "") {
				t.Errorf("%s: read by its tool: %v; reason why it has no effect: %q", key, read, reason)
			}
		}
	}
	for key := range reasons {
		if !met[key] {
			t.Errorf("%s has a reason, and is no option", key)
		}
	}
}

// sources are this package's files, with what the compiler knows of their names.
type sources struct {
	info  types.Info
	decls map[types.Object]*ast.FuncDecl
}

// seen is what code says of options: those it declares, and whether they have a value; those of which it looks whether they
// are given; those whose value it reads.
type seen struct {
	declared, looked, valued map[string]bool
}

// noImports leaves what is imported unknown: names of this package are all that is looked for.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

func readSources(t *testing.T) *sources {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	set := gotoken.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") || e.Name() == "process_other.go" {
			continue
		}
		f, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	c := &sources{info: types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}, decls: map[types.Object]*ast.FuncDecl{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}} // what is imported is unknown, and said to be an error
	_, _ = conf.Check("cli", set, files, &c.info)
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				c.decls[c.info.Defs[fn.Name]] = fn
			}
		}
	}
	return c
}

// entries are the functions that run the tools, by the tools' names, as tools() and commands() list them.
func (c *sources) entries(t *testing.T) map[string]ast.Node {
	t.Helper()
	out := map[string]ast.Node{}
	for _, fn := range c.decls {
		if fn.Recv != nil || fn.Name.Name != "tools" && fn.Name.Name != "commands" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if kv, ok := n.(*ast.KeyValueExpr); ok {
				if name, ok := literal(kv.Key); ok {
					out[name] = kv.Value
				}
			}
			return true
		})
	}
	if len(out) < len(tools()) {
		t.Fatalf("of %d tools only %d are found", len(tools()), len(out))
	}
	return out
}

func literal(e ast.Node) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != gotoken.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// literals are all strings in a piece of code, and those that come of putting one behind another as it does.
func literals(n ast.Node) []string {
	var out, ends []string
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := literal(n); ok {
			out = append(out, s)
		}
		if b, ok := n.(*ast.BinaryExpr); ok && b.Op == gotoken.ADD {
			if s, ok := literal(b.Y); ok {
				ends = append(ends, s)
			}
		}
		return true
	})
	for _, s := range out {
		for _, end := range ends {
			out = append(out, s+end)
		}
	}
	return out
}

// behind walks all code that runs, or may run, behind a function.
func (c *sources) behind(entry ast.Node) *seen {
	s := &seen{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	reached, loose := map[*ast.FuncDecl]bool{}, map[*ast.FuncDecl]map[string]bool{}
	var calls []*ast.CallExpr
	var walk func(in *ast.FuncDecl, n ast.Node)
	walk = func(in *ast.FuncDecl, n ast.Node) {
		ignored := map[ast.Node]bool{}
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ExprStmt:
				ignored[n.X] = true // a value that is only checked
			case *ast.Ident:
				if fn := c.decls[c.info.Uses[n]]; fn != nil && !reached[fn] && !isRegistry(fn) {
					reached[fn] = true
					walk(fn, fn.Body)
				}
			case *ast.CompositeLit:
				s.subOption(n)
			case *ast.CallExpr:
				calls = append(calls, n)
				if !s.declares(n, c) && !ignored[n] {
					c.reads(s, n, in, loose)
				}
			}
			return true
		})
	}
	walk(nil, entry)
	for fn, how := range loose {
		for _, name := range c.mayName(fn, calls) {
			for into := range how {
				s.note(into, name)
			}
		}
	}
	return s
}

// isRegistry tells the functions that name all tools, behind which everything is.
func isRegistry(fn *ast.FuncDecl) bool {
	switch fn.Name.Name {
	case "tools", "commands", "runTool", "Run", "ToolNames", "optionWords":
		return true
	}
	return false
}

func (s *seen) note(into, option string) {
	s.looked[option] = true
	if into != "has" {
		s.valued[option] = true
	}
}

// subOption notes an option of a sub-command: a composite with the fields long and metavar.
func (s *seen) subOption(l *ast.CompositeLit) {
	long, valued := "", false
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "long" {
				long, _ = literal(kv.Value)
			} else if ok && key.Name == "metavar" {
				valued = true
			}
		}
	}
	if long != "" {
		s.declared[long] = valued
	}
}

// receiver is the name of the type whose method is called, and the method's.
func (c *sources) receiver(call *ast.CallExpr) (typ, method string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	fn := c.decls[c.info.Uses[sel.Sel]]
	if fn == nil || fn.Recv == nil {
		return "", ""
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if id, ok := of.(*ast.Ident); ok {
		typ = id.Name
	}
	return typ, fn.Name.Name
}

// declares notes an option of a tool without sub-commands: s.arg("name", ...) or s.flag("name", ...).
func (s *seen) declares(call *ast.CallExpr, c *sources) bool {
	typ, method := c.receiver(call)
	if typ != "optionSet" || method != "arg" && method != "flag" {
		return false
	}
	if name, ok := literal(call.Args[0]); ok {
		s.declared[name] = method == "arg"
	}
	return true
}

// reads notes what a call reads of a command line. Where the option's name is not in the call itself, in is a function that
// reads whatever it is given.
func (c *sources) reads(s *seen, call *ast.CallExpr, in *ast.FuncDecl, loose map[*ast.FuncDecl]map[string]bool) {
	typ, method := c.receiver(call)
	if typ != "parsed" && typ != "subArgs" {
		return
	}
	into := "has"
	switch method {
	case "value", "first", "all", "number":
		into = "value"
	case "has", "hasAny":
	default:
		return
	}
	for _, a := range call.Args {
		if name, ok := literal(a); ok {
			s.note(into, name)
		} else if in != nil && !checksOnly(in) {
			if loose[in] == nil {
				loose[in] = map[string]bool{}
			}
			loose[in][into] = true
		}
	}
}

// checksOnly tells the function that only says which options do not go together, and the parsers themselves. An option that
// must be there is looked at.
func checksOnly(fn *ast.FuncDecl) bool {
	switch fn.Name.Name {
	case "checkInvalid", "conflict", "has", "hasAny", "value", "first", "repeated", "number", "all":
		return true
	}
	return false
}

// mayName are the names that a function may read which is given them: those in its own text, in the tables that it asks
// for, and in the calls of it.
func (c *sources) mayName(fn *ast.FuncDecl, calls []*ast.CallExpr) []string {
	out := literals(fn.Body)
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if table := c.called(call); table != nil && len(call.Args) == 0 && table.Type.Params.NumFields() == 0 {
				out = append(out, literals(table.Body)...)
			}
		}
		return true
	})
	for _, call := range calls {
		if c.called(call) == fn {
			for _, a := range call.Args {
				out = append(out, literals(a)...)
			}
		}
	}
	return out
}

func (c *sources) called(call *ast.CallExpr) *ast.FuncDecl {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return c.decls[c.info.Uses[f]]
	case *ast.SelectorExpr:
		return c.decls[c.info.Uses[f.Sel]]
	}
	return nil
}
