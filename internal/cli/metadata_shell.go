package cli

import (
	"bufio"

	"path"
	"regexp"
	"strings"
)

func metadataShell() (*subTool, *subcommand) {
	c := &subcommand{run: runMetadataShellParsed, words: "command", doc: "Shows the cluster's metadata from a snapshot or log file, as a tree of files.",
		usage: "usage: kafka-metadata-shell [-h] --snapshot SNAPSHOT\n                            [command [command ...]]\n\npositional arguments:\n  command                One command to run; without it, commands are read from standard input.",
		options: []subOption{
			{long: "snapshot", short: "s", metavar: "SNAPSHOT", required: true, doc: "A file of the metadata log's directory: a .checkpoint or a .log."},
		}}
	return &subTool{name: "kafka-metadata-shell", helpCode: 1, suggests: true,
		complain: func(r *run, message string) int {
			return r.subError("usage: kafka-metadata-shell [-h] --snapshot SNAPSHOT\n                            [command [command ...]]", "kafka-metadata-shell", message)
		}}, c
}

func runMetadataShell(r *run, args []string) int {
	t, c := metadataShell()
	if len(args) == 0 {
		return r.subMistake(t, c, "argument --snapshot/-s is required")
	}
	return r.runPlain(t, c, args)
}

func runMetadataShellParsed(r *run, a *subArgs) int {
	img, err := readMetadata(a.value("snapshot"))
	if err != nil {
		r.errorf("Unexpected error: %s\n", withFileClass(err))
		return r.failln(withFileClass(err), 1)
	}
	sh := &metaShell{run: r, root: metadataTree(img, r.Version), cwd: "/"}
	if len(a.rest) > 0 {
		sh.once(a.rest)
		return 0
	}
	return sh.interactive()
}

// metaShell walks the tree.
type metaShell struct {
	*run
	root    *metaNode
	cwd     string
	history []string
	ended   bool
}

// shellCommands are those of one command line, then those of a session only.
func shellCommands(session bool) []string {
	if session {
		return []string{"cat", "cd", "exit", "find", "help", "history", "ls", "man", "pwd", "tree"}
	}
	return []string{"cat", "find", "ls", "tree"}
}

func (sh *metaShell) once(words []string) {
	if words[0] == "" {
		return
	}
	if !contains(shellCommands(false), words[0]) {
		sh.unknown(words[0], false)
		return
	}
	sh.execute(words)
}

func (sh *metaShell) unknown(word string, session bool) {
	var names []string
	for _, n := range shellCommands(session) {
		names = append(names, "'"+n+"'")
	}
	sh.failed = true
	sh.printf("invalid choice: '%s' (choose from %s)\n", word, strings.Join(names, ", "))
}

func (sh *metaShell) interactive() int {
	prompt := sh.StdinIsTerminal && sh.StdoutIsTerminal
	if prompt {
		sh.println("[ Kafka Metadata Shell ]")
	}
	in := bufio.NewScanner(sh.Stdin)
	for !sh.ended {
		if prompt {
			sh.printf(">> ")
		}
		sh.out.Flush()
		if !in.Scan() {
			break
		}
		words := strings.Fields(in.Text())
		if len(words) == 0 {
			continue
		}
		sh.history = append(sh.history, in.Text())
		if !contains(shellCommands(true), words[0]) {
			sh.unknown(words[0], true)
			continue
		}
		sh.execute(words)
	}
	return 0
}

func (sh *metaShell) execute(words []string) {
	args := words[1:]
	switch words[0] {
	case "ls":
		sh.ls(args)
	case "find":
		sh.find(args)
	case "cat", "tree":
		switch {
		case len(args) == 0:
			sh.println("too few arguments")
		case words[0] == "cat":
			sh.cat(args)
		default:
			sh.tree(args)
		}
	case "cd":
		sh.cd(args)
	case "pwd":
		sh.println(sh.cwd)
	case "history":
		for i, h := range sh.history {
			sh.printf("% 5d  %s\n", i, h)
		}
	case "exit":
		sh.ended = true
	case "help", "man":
		sh.help()
	}
}

func (sh *metaShell) help() {
	sh.println("The metadata of the cluster, as a tree of directories and files.")
	for _, l := range []string{"cat FILE...   show a file", "cd DIR        go to a directory", "exit          leave", "find DIR...   list everything below", "history       the commands so far", "ls DIR...     list a directory", "pwd           where am I", "tree DIR...   show everything below"} {
		sh.println("  " + l)
	}
	sh.println("Names may hold * and ?.")
}

// found is a node with the path under which it was found.
type found struct {
	path string
	node *metaNode
}

func (sh *metaShell) absolute(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = sh.cwd + "/" + p
	}
	return path.Clean(p)
}

// glob finds the nodes that a path with * and ? means.
func (sh *metaShell) glob(p string) []found {
	at := []found{{"/", sh.root}}
	for _, part := range strings.Split(strings.Trim(sh.absolute(p), "/"), "/") {
		if part == "" {
			continue
		}
		match := globPattern(part)
		var next []found
		for _, f := range at {
			for _, name := range f.node.names() {
				if match.MatchString(name) {
					next = append(next, found{path.Join(f.path, name), f.node.children[name]})
				}
			}
		}
		at = next
	}
	return at
}

func globPattern(part string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(part)
	quoted = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted)
	choice := regexp.MustCompile(`\\\{([^{}]*)\\\}`) // one of several, with commas
	quoted = choice.ReplaceAllStringFunc(quoted, func(s string) string {
		return "(?:" + strings.ReplaceAll(s[2:len(s)-2], ",", "|") + ")"
	})
	return regexp.MustCompile("^(?:" + quoted + ")$")
}

func orHere(args []string) []string {
	if len(args) == 0 {
		return []string{""}
	}
	return args
}

func (sh *metaShell) complain(format string, args ...any) {
	sh.failed = true
	sh.printf(format+"\n", args...)
}

func (sh *metaShell) ls(args []string) {
	var dirs, files []found
	for _, a := range orHere(args) {
		got := sh.glob(a)
		if len(got) == 0 {
			sh.complain("ls: %s: no such file or directory.", a)
		}
		for _, f := range got {
			if f.node.children != nil {
				dirs = append(dirs, f)
			} else {
				files = append(files, f)
			}
		}
	}
	for _, f := range files {
		sh.println(path.Base(f.path))
	}
	for i, d := range dirs {
		if len(dirs)+len(files) > 1 {
			if i > 0 || len(files) > 0 {
				sh.println("")
			}
			sh.println(path.Base(d.path) + ":")
		}
		for _, n := range d.node.names() {
			sh.println(n)
		}
	}
}

func (sh *metaShell) cat(args []string) {
	for _, a := range args {
		got := sh.glob(a)
		if len(got) == 0 {
			sh.complain("cat: %s: No such file or directory.", a)
		}
		for _, f := range got {
			if f.node.children != nil {
				sh.complain("cat: %s: Is a directory", f.path)
				continue
			}
			sh.println(f.node.text)
		}
	}
}

func (sh *metaShell) find(args []string) {
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, a := range args {
		got := sh.glob(a)
		if len(got) == 0 {
			sh.complain("find: %s: no such file or directory.", a)
		}
		for _, f := range got {
			sh.walk(a, f.node)
		}
	}
}

func (sh *metaShell) walk(at string, n *metaNode) {
	if at != "" {
		sh.println(at)
	}
	for _, name := range n.names() {
		next := name
		if at != "" {
			next = strings.TrimSuffix(at, "/") + "/" + name
		}
		sh.walk(next, n.children[name])
	}
}

func (sh *metaShell) tree(args []string) {
	for _, a := range orHere(args) {
		got := sh.glob(a)
		if len(got) == 0 {
			sh.complain("tree: %s: No such file or directory.", a)
		}
		for _, f := range got {
			sh.branch(f.node, 0)
		}
	}
}

func (sh *metaShell) branch(n *metaNode, depth int) {
	indent := strings.Repeat("  ", depth)
	if n.children == nil {
		sh.println(indent + n.text)
		return
	}
	for _, name := range n.names() {
		sh.println(indent + name + ":")
		sh.branch(n.children[name], depth+1)
	}
}

func (sh *metaShell) cd(args []string) {
	target := "/"
	if len(args) > 0 {
		target = args[0]
	}
	got := sh.glob(target)
	switch {
	case len(got) == 0:
		sh.complain("cd: %s: no such file or directory.", target)
	case got[0].node.children == nil:
		sh.complain("cd: %s: not a directory.", target)
	default:
		sh.cwd = got[0].path
	}
}
