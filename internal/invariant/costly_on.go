//go:build invariants

package invariant

// Costly says whether checks that take time proportional to the data should run.
const Costly = true
