package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// docBlock is a fenced block of commands in a page of the documentation:
//
//	```console in=reader figures again
//	$ command
//	output
//	```
//
// Lines that begin with "$ " are commands, up to their last line when they end in a backslash or begin a here-document; what
// follows one is what it prints, "..." being any lines. The words after console are for the test, and do not show:
//
//	in=NAME  a terminal of its own, in which the command goes on running: its output is awaited, here and in later blocks of that
//	         name; a line ^C stops it
//	figures  the numbers depend on the machine: any number stands for any other
//	again    the command is repeated until it prints this
type docBlock struct {
	line  int // of the page, where the block begins
	words []string
	steps []docStep
}

// docStep is a command and its output, or, without a command, more output of a terminal; or ^C.
type docStep struct {
	command string
	stop    bool
	shown   []string
	line    int // of the page, of the first line shown
}

func (b docBlock) has(word string) bool { return slices.Contains(b.words, word) }

// terminal is the name of the terminal in which the block goes on, "" for the shell that waits for each command.
func (b docBlock) terminal() string {
	for _, w := range b.words {
		if name, ok := strings.CutPrefix(w, "in="); ok {
			return name
		}
	}
	return ""
}

// noCommands are the languages of blocks that hold no commands.
var noCommands = map[string]bool{"go": true, "properties": true, "text": true, "java": true, "json": true, "yaml": true}

// docBlocks finds the command blocks of a page; a fence that says nothing of what it holds is refused.
func docBlocks(page string) ([]docBlock, error) {
	var out []docBlock
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		info, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) {
			return nil, fmt.Errorf("line %d: the block does not end", i+1)
		}
		words := strings.Fields(info)
		switch {
		case len(words) > 0 && words[0] == "console":
			out = append(out, docBlock{line: i + 1, words: words[1:], steps: docSteps(lines[i+1:end], i+2)})
		case len(words) == 0 || !noCommands[words[0]]:
			return nil, fmt.Errorf("line %d: a block of %q: commands stand in blocks of console, anything else says what it is", i+1, info)
		}
		i = end
	}
	return out, nil
}

var hereDocument = regexp.MustCompile(`<<'?(\w+)'?`)

func docSteps(lines []string, at int) []docStep {
	var out []docStep
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		switch {
		case ok:
			for strings.HasSuffix(command, "\\") && i+1 < len(lines) {
				i++
				command += "\n" + lines[i]
			}
			if word := hereDocument.FindStringSubmatch(command); word != nil {
				for ended := false; !ended && i+1 < len(lines); {
					i++
					command += "\n" + lines[i]
					ended = lines[i] == word[1]
				}
			}
			out = append(out, docStep{command: command, line: at + i + 1})
		case lines[i] == "^C":
			out = append(out, docStep{stop: true, line: at + i + 1})
		default:
			if len(out) == 0 {
				out = append(out, docStep{line: at + i})
			}
			out[len(out)-1].shown = append(out[len(out)-1].shown, lines[i])
		}
	}
	return out
}

// whatever are the parts of output that differ from run to run, and what stands for them in a comparison.
var whatever = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`console-consumer-\d+`), "console-consumer-N"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,:]\d{3})?`), "TIME"},
	{regexp.MustCompile(`\b\d{13}\b`), "TIMESTAMP"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`(^|[^\w-])[\w-]{22}($|[^\w-])`), "${1}ID$2"},
	{regexp.MustCompile(`\bin \d+ ms\b`), "in N ms"},
	{regexp.MustCompile(`data in \S*/`), "data in DIR/"},
	{regexp.MustCompile(`(localhost)?/(127\.0\.0\.1|0:0:0:0:0:0:0:1|\[::1\])`), "/HOST"},
	// Which node is given which replica is drawn by lot, and which of them leads; how many there are is not.
	{regexp.MustCompile(`(Leader: |controller )\d+`), "${1}N"},
}

var (
	nodesOfPartition = regexp.MustCompile(`(Replicas:|Isr:|Elr:|in sync on) ([\d,]+)`)
	plainNumber      = regexp.MustCompile(`-?\d+(\.\d+)?`)
	anySpace         = regexp.MustCompile(`\s+`)
)

// comparableLine is a line without what differs from run to run.
func comparableLine(line string, figures bool) string {
	for _, w := range whatever {
		line = w.what.ReplaceAllString(line, w.is)
	}
	line = nodesOfPartition.ReplaceAllStringFunc(line, func(s string) string { return plainNumber.ReplaceAllString(s, "N") })
	if figures {
		line = plainNumber.ReplaceAllString(line, "N")
	}
	return strings.TrimSpace(anySpace.ReplaceAllString(line, " "))
}

// matchLines is the number of lines of got that shown stands for, -1 when it does not. With whole, it must be all of them.
func matchLines(shown, got []string, figures, whole bool) int {
	if len(shown) == 0 {
		if whole && len(got) > 0 {
			return -1
		}
		return 0
	}
	if shown[0] == "..." {
		for skip := 0; skip <= len(got); skip++ {
			if n := matchLines(shown[1:], got[skip:], figures, whole); n >= 0 {
				return skip + n
			}
		}
		return -1
	}
	if len(got) == 0 || comparableLine(shown[0], figures) != comparableLine(got[0], figures) {
		return -1
	}
	if n := matchLines(shown[1:], got[1:], figures, whole); n >= 0 {
		return n + 1
	}
	return -1
}
