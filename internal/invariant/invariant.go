package invariant

import "fmt"

// Check panics with the formatted message unless ok.
// The arguments are evaluated in any case, so keep them cheap.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
