package config

import "strings"

// nearest is the known broker key that is most like name, or empty when none is near.
// Keys of other scopes count as well, so that a topic key in a broker's file is recognised.
func nearest(name string) string {
	best, least := "", len(name)/3+2 // a third of the letters may differ
	for i := range brokerKeys {
		if d := EditDistance(name, brokerKeys[i].Name, least); d < least {
			best, least = brokerKeys[i].Name, d
		}
	}
	return best
}

// EditDistance is the least number of letters to insert, delete, exchange or swap with their
// neighbour that makes b out of a; at limit it stops counting.
func EditDistance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// topicKeyOf is the broker key that sets the default of a topic key, for who wrote the one for the other.
func topicKeyOf(name string) (broker string, ok bool) {
	k, ok := lookupExact(Topic, name)
	if !ok || len(k.Synonyms) == 0 {
		return "", false
	}
	return k.Synonyms[0], true
}

func isForeign(name string) bool {
	for _, p := range foreignPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
