package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// notesText says, by row, what stands behind figures that miss their targets: the floor, and why.
//
//go:embed notes.md
var notesText string

// notes writes what is known of a row's missed targets: the text, and the profile of that run.
func notes(b *strings.Builder, s *scenario, r *result) {
	if !missed(s, r) {
		return
	}
	if text := noteOf(s.name); text != "" {
		fmt.Fprintf(b, "\n%s\n", text)
	}
	if r.Profile != "" {
		fmt.Fprintf(b, "\n<details><summary>Where the CPU of that run went</summary>\n\n```\n%s\n```\n\n</details>\n", strings.TrimRight(r.Profile, "\n"))
	}
}

// noteOf finds the text under "## name".
func noteOf(name string) string {
	for part := range strings.SplitSeq("\n"+notesText, "\n## ") {
		if title, text, _ := strings.Cut(part, "\n"); strings.TrimSpace(title) == name {
			return strings.TrimSpace(text)
		}
	}
	return ""
}
