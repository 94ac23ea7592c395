//go:build race

package sim

// underRace: the race detector makes a world with applications several times as slow.
const underRace = true
