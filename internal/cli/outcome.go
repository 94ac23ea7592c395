package cli

import (
	"strings"
)

// outcome ends a tool that reports what went wrong in one sentence on standard
// error and exits 1.
func (r *run) outcome(err error) int {
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	r.errorln(strings.TrimRight(err.Error(), "\n"))
	r.explainConstruct(err)
	return r.fail(1)
}
