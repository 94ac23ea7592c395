package chaos

import (
	"errors"
	"fmt"
)

// shownProblems bounds how many of one kind of problem are named.
const shownProblems = 5

// problems counts what is wrong and names the first few.
type problems struct {
	n     int
	shown []error
}

func (p *problems) add(format string, args ...any) {
	if p.n++; p.n <= shownProblems {
		p.shown = append(p.shown, fmt.Errorf(format, args...))
	}
}

func (p *problems) err() error {
	if p.n == 0 {
		return nil
	}
	return fmt.Errorf("%d times, such as:\n%w", p.n, errors.Join(p.shown...))
}
