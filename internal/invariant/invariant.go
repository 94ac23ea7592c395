package invariant

import "fmt"

// Check panics with the formatted message unless ok. The arguments are evaluated,
// and numbers allocated, in any case: a hot path tests by itself and calls Fail.
func Check(ok bool, format string, args ...any) {
	if !ok {
		Fail(format, args...)
	}
}

// Fail panics with the formatted message.
func Fail(format string, args ...any) {
	panic("invariant broken: " + fmt.Sprintf(format, args...))
}
