package cli

import (
	"fmt"
	"strings"
)

// javaPattern is a regular expression as Java reads it: with look-around, possessive and lazy quantifiers, back references,
// nested character classes and Java's names of classes, which Go's engine has not. It matches names, which are short: it
// goes back where it went wrong, as Java's does.
type javaPattern struct {
	root   node
	groups int
}

// patternError is a regular expression that cannot be used; its text is Java's.
type patternError struct{ msg string }

func (e *patternError) Error() string { return e.msg }

// compileJava compiles a Java regular expression that must match a whole name.
func compileJava(expr string) (p *javaPattern, err error) {
	ps := &patternParser{text: withoutQuotes([]rune(expr)), names: map[string]int{}}
	defer func() {
		if pe, ok := recover().(patternSlip); ok {
			p, err = nil, &patternError{patternMessage(pe, expr)}
		}
	}()
	root := ps.alternatives()
	if !ps.done() {
		ps.fail("Unmatched closing ')'")
	}
	return &javaPattern{root, ps.groups}, nil
}

// patternSlip is what is wrong, and where; only compileJava sees it.
type patternSlip struct {
	what string
	at   int
}

// patternMessage is PatternSyntaxException.getMessage.
func patternMessage(s patternSlip, expr string) string {
	msg := s.what
	if s.at >= 0 {
		msg += fmt.Sprintf(" near index %d", s.at)
	}
	msg += "\n" + expr
	if s.at >= 0 && s.at < len([]rune(expr)) {
		msg += "\n" + strings.Repeat(" ", s.at) + "^"
	}
	return msg
}

// withoutQuotes writes what stands between \Q and \E with a backslash before each character that has a meaning.
func withoutQuotes(in []rune) []rune {
	var out []rune
	quoted := false
	for i := 0; i < len(in); i++ {
		r := in[i]
		pair := i+1 < len(in) && r == '\\'
		switch {
		case !quoted && pair && in[i+1] == 'Q':
			quoted, i = true, i+1
		case quoted && pair && in[i+1] == 'E':
			quoted, i = false, i+1
		case quoted && r < 0x80 && !isLetter(r) && !isDigit(r):
			out = append(out, '\\', r)
		case !quoted && pair:
			out, i = append(out, r, in[i+1]), i+1
		default:
			out = append(out, r)
		}
	}
	return out
}

// MatchString reports whether the pattern matches all of s.
func (p *javaPattern) MatchString(s string) bool {
	m := &subject{text: []rune(s), groups: make([]span, p.groups+1)}
	return p.root.match(m, 0, func(at int) bool { return at == len(m.text) })
}

// subject is the text that is matched and what its groups hold at the moment.
type subject struct {
	text   []rune
	groups []span
}

// span is a part of the text; set tells that a group has taken one.
type span struct {
	from, to int
	set      bool
}

// node is a part of a pattern. match tells whether it matches from a place on so that what comes then does too.
type node struct {
	match func(m *subject, at int, then func(int) bool) bool
	most  int  // characters that it takes at most, -1 for no bound
	char  bool // it is a character
}

// empty matches nothing, everywhere.
func empty() node {
	return node{match: func(_ *subject, at int, then func(int) bool) bool { return then(at) }}
}

func one(is func(rune) bool) node {
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		return at < len(m.text) && is(m.text[at]) && then(at+1)
	}, most: 1, char: true}
}

// where matches nothing, at the places of which is says so.
func where(is func(m *subject, at int) bool) node {
	return node{match: func(m *subject, at int, then func(int) bool) bool { return is(m, at) && then(at) }}
}

func sequence(parts []node) node {
	if len(parts) == 0 {
		return empty()
	}
	out := parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		out = pair(parts[i], out)
	}
	return out
}

func pair(a, b node) node {
	most := -1
	if a.most >= 0 && b.most >= 0 {
		most = a.most + b.most
	}
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		return a.match(m, at, func(at int) bool { return b.match(m, at, then) })
	}, most: most}
}

func either(parts []node) node {
	most := 0
	for _, p := range parts {
		if p.most < 0 || most < 0 {
			most = -1
			continue
		}
		most = max(most, p.most)
	}
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		for _, p := range parts {
			if p.match(m, at, then) {
				return true
			}
		}
		return false
	}, most: most}
}

// group remembers what n takes.
func group(n node, number int) node {
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		before := m.groups[number]
		ok := n.match(m, at, func(end int) bool {
			inner := m.groups[number]
			m.groups[number] = span{at, end, true}
			if then(end) {
				return true
			}
			m.groups[number] = inner
			return false
		})
		if !ok {
			m.groups[number] = before
		}
		return ok
	}, most: n.most}
}

// whole takes what n takes first, and stays with it.
func whole(n node) node {
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		end := -1
		if !n.match(m, at, func(e int) bool { end = e; return true }) {
			return false
		}
		return then(end)
	}, most: n.most}
}

// backReference matches what a group holds.
func backReference(number int, same func(a, b rune) bool) node {
	return node{match: func(m *subject, at int, then func(int) bool) bool {
		if number >= len(m.groups) || !m.groups[number].set {
			return false
		}
		for _, r := range m.text[m.groups[number].from:m.groups[number].to] {
			if at >= len(m.text) || !same(m.text[at], r) {
				return false
			}
			at++
		}
		return then(at)
	}, most: -1}
}

func lookAhead(n node, want bool) node {
	return where(func(m *subject, at int) bool {
		return n.match(m, at, func(int) bool { return true }) == want
	})
}

func lookBehind(n node, want bool) node {
	return where(func(m *subject, at int) bool {
		for from := at; from >= 0 && at-from <= n.most; from-- {
			if n.match(m, from, func(end int) bool { return end == at }) {
				return want
			}
		}
		return !want
	})
}

type greed int

const (
	greedy greed = iota
	lazy
	possessive
)

const noMost = -1

// repeat is n from least to most times.
func repeat(n node, least, most int, how greed) node {
	var from func(m *subject, at, count int, then func(int) bool) bool
	from = func(m *subject, at, count int, then func(int) bool) bool {
		more := func() bool {
			return (most == noMost || count < most) && n.match(m, at, func(end int) bool {
				if end == at { // as often as it must be, and once more is of no use
					return count < least && from(m, end, least, then)
				}
				return from(m, end, count+1, then)
			})
		}
		switch {
		case count < least:
			return more()
		case how == lazy:
			return then(at) || more()
		}
		return more() || then(at)
	}
	length := -1
	if n.most >= 0 && most != noMost {
		length = n.most * most
	}
	out := node{match: func(m *subject, at int, then func(int) bool) bool { return from(m, at, 0, then) }, most: length}
	if how == possessive {
		return whole(out)
	}
	return out
}
