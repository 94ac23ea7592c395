package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is what stops the start.
type Problem struct {
	Key     string
	Value   string // as written; empty for a key that is missing, and for a secret
	Place   Place
	Allowed string // what may stand there; empty where Message says it
	Message string // a sentence without its stop
}

// String is the problem in one line: place, key, what is wrong, what is allowed.
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Place.String(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString(p.Message)
	if p.Allowed != "" {
		b.WriteString(" (allowed: " + p.Allowed + ")")
	}
	return b.String()
}

// NoteKind says what a note is about.
type NoteKind int8

// The kinds of notes, in the order in which they are listed.
const (
	Understood NoteKind = iota // what was made of a configuration that says too little
	Unknown                    // a name that nothing is known of
	Removed                    // a key of an older Kafka
	Duplicate                  // a key that is set twice
	Advice                     // allowed, but hardly meant
	NoEffect                   // a key of Kafka that changes nothing here
)

// Note is what an operator should know, and what does not stop the start.
type Note struct {
	Kind    NoteKind
	Key     string
	Place   Place
	Message string
}

// String is the note in one line.
func (n Note) String() string {
	if at := n.Place.String(); at != "" {
		return at + ": " + n.Message
	}
	return n.Message
}

// Report is all there is to say about a configuration.
type Report struct {
	Problems []Problem // any of them stops the start
	Notes    []Note
}

// Lines are the report for people: the problems, then the notes, with the keys that share a
// reason for having no effect gathered in one line.
func (r Report) Lines() []string {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.String())
	}
	return append(lines, r.NoteLines()...)
}

// NoteLines are the notes of Lines alone.
func (r Report) NoteLines() []string {
	var lines []string
	notes := slices.Clone(r.Notes)
	slices.SortStableFunc(notes, func(a, b Note) int { return cmp.Compare(a.Kind, b.Kind) })
	gathered := make(map[string][]string)
	var reasons []string
	for _, n := range notes {
		if n.Kind != NoEffect {
			lines = append(lines, n.String())
			continue
		}
		if gathered[n.Message] == nil {
			reasons = append(reasons, n.Message)
		}
		gathered[n.Message] = append(gathered[n.Message], n.Key)
	}
	for _, reason := range reasons {
		keys := gathered[reason]
		verb := "have"
		if len(keys) == 1 {
			verb = "has"
		}
		lines = append(lines, fmt.Sprintf("%s %s no effect: %s", enumerate(keys), verb, reason))
	}
	return lines
}

// enumerate writes a, b and c.
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func (r *Report) problem(p Problem) { r.Problems = append(r.Problems, p) }

func (r *Report) note(kind NoteKind, key string, at Place, format string, args ...any) {
	r.Notes = append(r.Notes, Note{Kind: kind, Key: key, Place: at, Message: fmt.Sprintf(format, args...)})
}
