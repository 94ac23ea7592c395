// Package invariant states what must be true. Check is cheap, always on and
// panics: going on with a broken invariant would turn a bug into lost data.
// Costly checks stand behind the build tag "invariants", as does Costly.
//
// Everybody calls it; it owns no state.
package invariant
