package cli

import (
	"regexp"
	"slices"
)

// compileJavaPart compiles a Java regular expression that may match anywhere.
func compileJavaPart(expr string) (*regexp.Regexp, error) {
	if _, err := compileJava(expr); err != nil {
		return nil, err
	}
	return regexp.Compile(expr)
}

// patternSplit splits as Java's Pattern does: empty strings at the end are not there.
func patternSplit(re *regexp.Regexp, s string) []string {
	parts := re.Split(s, -1)
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// scannerTokens are what Java's Scanner finds between delimiters: one of them at the beginning counts for nothing, nor does one
// at the end.
func scannerTokens(re *regexp.Regexp, s string) []string {
	if s == "" {
		return nil
	}
	tokens := re.Split(s, -1)
	if len(tokens) > 1 && tokens[0] == "" {
		tokens = tokens[1:]
	}
	if last := len(tokens) - 1; tokens[last] == "" {
		tokens = tokens[:last]
	}
	return slices.Clip(tokens)
}
