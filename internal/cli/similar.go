package cli

import (
	"slices"
	"sort"
	"strings"
)

// What it costs to make one word of another, and up to which cost words are taken for each other, in Kafka's tools with
// sub-commands.
const (
	changeCost  = 2
	addCost     = 1
	dropCost    = 3
	similarCost = 7 // from here on they are not
)

// similar are those of the subjects that word is most like: all that begin with it, or else the ones of the least cost. A
// swap of two letters costs nothing. Subjects are compared without the dashes before them.
func similar(word string, subjects []string) []string {
	word = strings.TrimLeft(word, "-")
	if word == "" {
		return nil
	}
	var best []string
	least := similarCost
	for _, s := range subjects {
		cost := 0
		if body := strings.TrimLeft(s, "-"); !strings.HasPrefix(body, word) {
			cost = wordCost(word, body)
		}
		if cost < least {
			best, least = nil, cost
		}
		if cost == least && cost < similarCost {
			best = append(best, s)
		}
	}
	sort.Strings(best)
	return slices.Compact(best)
}

// wordCost is the least that it costs to make b of a.
func wordCost(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j * addCost
	}
	for i := range len(a) {
		next[0] = (i + 1) * dropCost
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost += changeCost
			}
			if i > 0 && j > 0 && a[i-1] == b[j] && a[i] == b[j-1] {
				cost = min(cost, before[j-1])
			}
			next[j+1] = min(cost, row[j+1]+dropCost, next[j]+addCost)
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// didYouMean is what follows the complaint about an unknown option or sub-command, with what it is most like.
func didYouMean(word string, subjects []string) string {
	if strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") {
		return "" // one letter is like nothing
	}
	found := similar(word, subjects)
	if len(found) == 0 {
		return ""
	}
	return "\nDid you mean:\n\t" + strings.Join(found, "\n\t") + "\n"
}

// optionNames are the names that Kafka's tool knows, the letters left out.
func (c *subcommand) optionNames() []string {
	names := []string{"--help"}
	for _, o := range c.options {
		if !o.hidden {
			names = append(names, "--"+o.long)
		}
	}
	return names
}
