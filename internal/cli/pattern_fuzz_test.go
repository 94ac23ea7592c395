package cli

import (
	"errors"
	"testing"
)

// FuzzJavaPattern: whatever is typed is a pattern or says what is wrong with it.
func FuzzJavaPattern(f *testing.F) {
	for _, s := range []string{"", "(?!__).*", "[a-z&&[^b]]+", `\Qa.b\E`, `\p{Alpha}++`, "(a)(?<n>b)\\1\\k<n>", "a{2,3}?", "[", "(", "*", `\x{61}`, "(?i)A|b", "(?<=a)b", `[\]]`, "a{9999999999}", `\u00e9`, "(?:a|b)*+c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if len(expr) > 14 { // what is longer may go back for ever, as Java's does
			t.Skip()
		}
		p, err := compileJava(expr)
		if pe := new(patternError); err != nil && (!errors.As(err, &pe) || pe.msg == "") {
			t.Fatalf("%q: %v", expr, err)
		}
		if err == nil {
			p.MatchString("aab")
		}
	})
}
