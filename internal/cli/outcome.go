package cli

import (
	"errors"
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

// outcomeOn is outcome for tools that print the sentence on standard output
// too, behind words of their own.
func (r *run) outcomeOn(err error, before string) int {
	var use *optionError
	if _, ok := exitCode(err); err != nil && !ok && !errors.As(err, &use) {
		r.printf("%s%s\n", before, strings.TrimRight(err.Error(), "\n"))
	}
	return r.outcome(err)
}
