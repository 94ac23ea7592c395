package invariant

import "fmt"

// Check panics with the formatted message unless ok. The arguments are evaluated,
// and numbers allocated, in any case: a hot path tests by itself and calls Fail.
func Check(ok bool, format string, args ...any) {
	if !ok {
		Fail(format, args...)
	}
}

// Broken is what a broken invariant panics with. Whoever recovers other panics lets
// it pass: what is in memory cannot be trusted any more, and locks may be held; the
// process ends, and the next start goes by what is on the disk.
type Broken string

func (b Broken) Error() string { return "invariant broken: " + string(b) }

// Fail panics with the formatted message.
func Fail(format string, args ...any) {
	panic(Broken(fmt.Sprintf(format, args...)))
}
